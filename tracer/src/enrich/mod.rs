//! What only /proc and the file systems know, asked at once, because the process may be gone a
//! moment later, and never for long.
pub mod cgroups;
mod changed;
pub mod completion;
pub mod containers;
pub mod deadline;
pub mod debug_files;
pub mod enricher;
pub mod holders;
pub mod lookup;
mod mapped_file;
pub mod mappers;
pub mod mount_table;
mod open;
pub mod origin;
pub mod outputs;
pub mod parser;
pub mod place;
pub mod process;
pub mod samples;
pub mod server;
pub mod shares;
pub mod stack;
pub mod target;
pub mod throttle;
pub mod view;
mod worker;
