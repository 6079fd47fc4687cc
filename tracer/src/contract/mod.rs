//! The contract: everything that leaves the process, as every output, the history and other programs
//! know it. `whybus schema` and docs/json.md describe it; a new field, kind or word is compatible,
//! anything else raises [`SCHEMA`].
//!
//! Sizes and offsets are bytes, durations end in `_ns`. Absent facts are null, where it helps with a
//! sibling `_why`. What people read is made from this too, so that history tells what was told live.
//! Where a field means what a semantic convention of OpenTelemetry means, its name there is noted.
mod before;
mod cause;
pub mod convert;
mod count;
mod doctor;
mod elsewhere;
mod file;
mod gap;
mod incident;
pub mod json;
pub mod log_command;
mod output;
mod process;
mod record;
mod run;
#[cfg(test)]
pub mod samples;
mod scan;
pub mod schema;
pub mod series;
mod server;
mod stack;
mod status;
mod story;
mod value;
mod warning;
mod watch;

pub use before::{Before, EarlierBuild, EarlierImage};
pub use cause::{Cause, Chosen, Memory, Oom, Other};
pub use count::Count;
pub use doctor::{Capability, Doctor, Observed};
pub use elsewhere::Elsewhere;
pub use file::{File, Mapping, Mount, Remote, Sizing, Volume};
pub use gap::{Gap, GapReason, LOSSES};
pub use incident::{Exit, Fault, Incident, MappingDriver, Restart, Signal};
pub use output::{Output, OutputKind, Outputs};
pub use process::{Ancestor, Container, Mapper, Pod, Process, SlurmJob};
pub use record::{Record, SCHEMA};
pub use run::Run;
pub use scan::{Finding, FoundFile, FoundMapping, FoundProcess, Scan};
pub use server::Server;
pub use stack::{Frame, Module, Replacement, Stack};
pub use status::{Lost, Recorder, Status};
pub use story::{CauseCount, RestartSpread, RuledOut, Step, Story};
pub use value::{Hex, Label, Named, Time, Untrusted, Vocabulary};
pub use warning::{ShrunkFile, Truncation};
pub use watch::{Blind, End, Loss, Missed, Watching};
