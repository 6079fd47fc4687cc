//! The command line.
pub mod config;
mod examples;
mod hint;
pub mod not;
pub mod options;
pub mod select;
mod value;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::{
    cli::{
        options::{
            CommandLines, Deaths, Display, ListFormat, Output, Require, State, StatsFormat,
            WhyFormat,
        },
        select::{Filter, Range, Select},
    },
    contract::SCHEMA,
    enrich::debug_files::DIRECTORY,
    render::{Format, list::Shown},
    store::sqlite::schema::VERSION,
    text::{
        escape::word,
        parse::{bytes, duration},
    },
};

/// Why did this process die? Bus errors in depth: which file, which offset, who truncated it. With `record`, or `trace
/// --signals`, every other death, too: who sent the signal, which limit was hit, where it crashed.
#[derive(Parser)]
#[command(name = "whybus", version = version(), long_version = long_version(), after_help = EXIT_STATUS, max_term_width = 100, args_override_self = true)]
pub struct Cli {
    #[command(flatten)]
    pub display: Display,
    /// Settings file: one table per verb, one key per flag (docs/history.md); /dev/null for none
    #[arg(long, global = true, value_name = "FILE", default_value = config::CONFIG)]
    pub config: PathBuf,
    #[command(subcommand)]
    pub verb: Verb,
}

impl Cli {
    /// What a command has to be typed with, a space before it, to ask the same history with the same settings.
    pub fn flags(&self) -> String {
        let state = match &self.verb {
            Verb::Record(Record { state, .. })
            | Verb::Why(Why { state, .. })
            | Verb::List(List { state, .. })
            | Verb::Show(Show { state, .. })
            | Verb::Stats(Stats { state, .. })
            | Verb::Export(Export { state, .. })
            | Verb::Import(Import { state, .. })
            | Verb::Forget(Forget { state, .. })
            | Verb::Status(Status { state, .. }) => Some(&state.state_dir),
            _ => None,
        };
        let state = state.filter(|dir| dir.as_path() != Path::new(options::STATE_DIR));
        let config = Some(&self.config).filter(|file| file.as_path() != Path::new(config::CONFIG));
        let flag = |name: &str, path: Option<&PathBuf>| {
            path.map_or_else(String::new, |path| {
                format!(" --{name} {}", word(path.as_os_str().as_encoded_bytes()))
            })
        };
        flag("state-dir", state) + &flag("config", config)
    }
}

/// The version, and the commit it was built from where WHYBUS_COMMIT named that to the compiler.
fn version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    option_env!("WHYBUS_COMMIT")
        .map_or_else(|| version.to_owned(), |commit| format!("{version} ({commit})"))
}

/// With the formats that it reads and writes.
fn long_version() -> String {
    format!("{}\nJSON schema {SCHEMA}, history layout {VERSION}", version())
}

/// What `--help` says of exit statuses (see `cmd::exit_status`).
pub const EXIT_STATUS: &str = "\
Exit status:
  0   done: found, ended as asked, nothing waiting to happen, ready
  1   nothing found, fewer than --count asked for, findings of `scan`, or (`status`) no recorder
  2   usage: flags, times, selectors that cannot be
  66  an input cannot be read: no history, a damaged stream, a refused directory
  69  unsupported kernel, or not what --require names, or (`doctor`, `demo`, `status`) is NOT READY
  70  internal error
  75  only partly: `scan` unprivileged, `doctor` or `status` DEGRADED, `trace` NOT READY
  77  no privilege
  `trace -- CMD` passes the status of CMD on (128 + signal if one ended it), or 127
      where there is no such command, and 126 where it cannot be run";

#[derive(Subcommand)]
pub enum Verb {
    /// Watch live; with a command, run it and watch it and its children until it ends
    #[command(after_long_help = examples::TRACE)]
    Trace(Trace),
    /// Watch all the time and keep a history on disk, for list, show, why and stats
    #[command(after_long_help = examples::RECORD)]
    Record(Record),
    /// Say why a process died: what was ruled out, how often, what came after, what to do
    #[command(after_long_help = examples::WHY)]
    Why(Why),
    /// List recorded incidents, the newest last; behind a cause `?`: likely, not proven; `*`: incomplete
    #[command(after_long_help = examples::LIST)]
    List(List),
    /// Show one recorded incident
    #[command(after_long_help = examples::SHOW)]
    Show(Show),
    /// Count recorded incidents by cause, file, culprit, crash signature, unit, host and time
    #[command(after_long_help = examples::STATS)]
    Stats(Stats),
    /// Write recorded incidents as JSON, one a line
    #[command(after_long_help = examples::EXPORT)]
    Export(Export),
    /// Import incidents from `whybus export`, or from any `-o json` output, into a history
    #[command(after_long_help = examples::IMPORT)]
    Import(Import),
    /// Delete incidents by filter or time, for good, down to their bytes
    #[command(after_long_help = examples::FORGET)]
    Forget(Forget),
    /// Run a saved event stream through the same pipeline, without root
    ///
    /// It says what the watch said, in that order: an incident stands where its cause was known, a warning at once.
    #[command(after_long_help = examples::REPLAY)]
    Replay(Replay),
    /// List bus errors waiting to happen: mappings that reach past their file's end (no eBPF)
    #[command(after_long_help = examples::SCAN)]
    Scan(Scan),
    /// Provoke one harmless truncation and bus error in a temporary file and show the answer
    Demo,
    /// Check this host: what attaches, what is missing, and what cannot be detected then
    #[command(after_long_help = examples::DOCTOR)]
    Doctor(Doctor),
    /// Say whether a recorder runs, and what its history holds; the exit status is for a health check
    #[command(after_long_help = examples::STATUS)]
    Status(Status),
    /// Print the JSON Schema of the output
    Schema,
    /// Print a completion script for a shell
    #[command(after_long_help = examples::COMPLETION)]
    Completion(Completion),
    /// Print a manual page
    #[command(after_long_help = examples::MAN)]
    Man(Manual),
    #[command(hide = true, name = "demo-victim")]
    DemoVictim { file: PathBuf },
}

#[derive(Args)]
pub struct Trace {
    #[command(flatten)]
    pub output: Output,
    /// Print incidents only: no line on start, losses or end
    #[arg(short, long)]
    pub quiet: bool,
    /// Stop after this long: 30s, 5m, 1h30m, or seconds
    #[arg(short, long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
    /// Stop after this many incidents
    #[arg(short = 'n', long, value_name = "N", allow_negative_numbers = true, value_parser = value::count)]
    pub count: Option<u64>,
    #[command(flatten)]
    pub require: Require,
    /// Keep the raw event stream in FILE, for `whybus replay`; a FILE of one's own that is there is written over
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Say on standard error what each probe decides, and why it leaves: where an answer is wrong or missing,
    /// `whybus trace -v 2>whybus.log` shows why (docs/troubleshooting.md)
    #[arg(short, long)]
    pub verbose: bool,
    /// Drop every N-th event, to see how losses are reported (for tests)
    #[arg(long, value_name = "N", hide = true, default_value_t = 0)]
    pub fail_every: u32,
    /// Run this command and watch only it and its children
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
    // With headings of their own, which go on for whatever follows.
    #[command(flatten)]
    pub deaths: Deaths,
    #[command(flatten)]
    pub filter: Filter,
    #[command(flatten)]
    pub secrets: CommandLines,
}

#[derive(Args)]
pub struct Record {
    #[command(flatten)]
    pub state: State,
    /// Forget incidents older than this: 90d, 12h, 4w
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "90d")]
    pub keep: Duration,
    /// Forget the oldest incidents once the history is larger than this: 500M, 2G
    #[arg(long, value_name = "SIZE", value_parser = bytes, default_value = "1G")]
    pub keep_size: u64,
    /// The group that may read the history [default: adm, where there is one]
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Also send one record per incident to the systemd journal
    #[arg(long)]
    pub journal: bool,
    /// Run this by sh(1) for each incident, as JSON on standard input: 20 at once and then one every 6 s at most, each
    /// for 10 s at most; WHYBUS_SKIPPED is how many incidents before it were skipped
    #[arg(long, value_name = "CMD")]
    pub exec: Option<String>,
    /// Also print incidents to standard output
    #[arg(long, value_enum, value_name = "FORMAT", num_args = 0..=1, default_missing_value = "oneline")]
    pub print: Option<Format>,
    #[command(flatten)]
    pub require: Require,
    #[command(flatten)]
    pub deaths: Deaths,
    #[command(flatten)]
    pub filter: Filter,
    #[command(flatten)]
    pub secrets: CommandLines,
}

#[derive(Args)]
pub struct List {
    #[command(flatten)]
    pub state: State,
    /// How to print
    #[arg(short, long, value_enum, default_value = "table")]
    pub output: ListFormat,
    /// Print times in UTC instead of local time (JSON always is)
    #[arg(long)]
    pub utc: bool,
    /// Show at most so many, the newest; 0 for all
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100, allow_negative_numbers = true, value_parser = value::limit)]
    pub limit: usize,
    /// Columns of the table, in this order [default: what fits, and is known]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = value::Trimmed::<Shown>::new())]
    pub columns: Vec<Shown>,
    /// Sort by this column, before --limit counts [default: time, the newest last]
    #[arg(long, value_enum, value_name = "COLUMN")]
    pub sort: Option<Shown>,
    /// Reverse the order: the newest first, or the greatest
    #[arg(short, long)]
    pub reverse: bool,
    /// No line of column names
    #[arg(long)]
    pub no_header: bool,
    /// Go on: print incidents as they are recorded
    #[arg(short, long, conflicts_with_all = ["warnings", "sort", "reverse"])]
    pub follow: bool,
    /// Early warnings instead of incidents: mapped files that were shrunk, and who may crash next
    #[arg(long, conflicts_with_all = ["columns", "sort"])]
    pub warnings: bool,
    #[command(flatten)]
    pub select: Select,
}

#[derive(Args)]
pub struct Show {
    #[command(flatten)]
    pub state: State,
    /// How to print
    #[arg(short, long, value_enum, default_value = "human")]
    pub output: WhyFormat,
    /// Print times in UTC instead of local time (JSON always is)
    #[arg(long)]
    pub utc: bool,
    /// Look up functions and lines of the source now, in debug files by build id: of incidents of other hosts, too
    #[arg(long)]
    pub symbolize: bool,
    /// Where debug files are, as DIR/.build-id/ab/cdef.debug
    #[arg(long, value_name = "DIR", requires = "symbolize", default_value = DIRECTORY)]
    pub debug_dir: PathBuf,
    /// The id of an incident, or its beginning, as `list` and `why` show it
    pub id: String,
}

#[derive(Args)]
pub struct Why {
    #[command(flatten)]
    pub state: State,
    /// How to print
    #[arg(short, long, value_enum, default_value = "human")]
    pub output: WhyFormat,
    /// Print times in UTC instead of local time (JSON always is)
    #[arg(long)]
    pub utc: bool,
    /// List at most so many stories (a process, or a restart loop), the newest; 0 lists all. The newest is told in full below,
    /// any other by its id; -o markdown, oneline and json tell each
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10, allow_negative_numbers = true, value_parser = value::limit)]
    pub limit: usize,
    /// A process id, process name, both as in `geo-api[1234]`, unit, container or pod (its name or id), path, or incident id; may
    /// be left out where filters select
    pub selector: Option<String>,
    #[command(flatten)]
    pub select: Select,
}

#[derive(Args)]
pub struct Stats {
    #[command(flatten)]
    pub state: State,
    /// How to print
    #[arg(short, long, value_enum, default_value = "human")]
    pub output: StatsFormat,
    /// Print times in UTC instead of local time (JSON and CSV always are)
    #[arg(long)]
    pub utc: bool,
    /// One table only: by cause, file, culprit, victim, signature, unit, container, pod, image, host or time
    #[arg(long, value_name = "WHAT")]
    pub by: Option<String>,
    /// Rows per table, at most; 0 for all
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10, allow_negative_numbers = true, value_parser = value::limit)]
    pub limit: usize,
    /// No lines of column names
    #[arg(long)]
    pub no_header: bool,
    #[command(flatten)]
    pub select: Select,
}

#[derive(Args)]
pub struct Export {
    #[command(flatten)]
    pub state: State,
    #[command(flatten)]
    pub select: Select,
}

#[derive(Args)]
pub struct Import {
    #[command(flatten)]
    pub state: State,
    /// The file to take; standard input if it is left out or `-`
    pub file: Option<PathBuf>,
}

#[derive(Args)]
pub struct Forget {
    #[command(flatten)]
    pub state: State,
    /// Everything
    #[arg(long)]
    pub all: bool,
    /// Only say how many incidents and warnings would go
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub select: Select,
}

#[derive(Args)]
pub struct Replay {
    #[command(flatten)]
    pub output: Output,
    /// Print incidents only: no line on start, losses or end
    #[arg(short, long)]
    pub quiet: bool,
    /// A stream saved by `whybus trace --save FILE`
    pub file: PathBuf,
    #[command(flatten)]
    pub range: Range,
    #[command(flatten)]
    pub filter: Filter,
}

#[derive(Args)]
pub struct Status {
    #[command(flatten)]
    pub state: State,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Args)]
pub struct Completion {
    /// For which shell
    #[arg(value_enum)]
    pub shell: Shell,
}

#[derive(Args)]
pub struct Manual {
    /// The page of this verb [default: that of whybus]
    pub verb: Option<String>,
}

#[derive(Args)]
pub struct Doctor {
    /// How to print
    #[arg(short, long, value_enum, default_value = "human")]
    pub output: Format,
}

#[derive(Args)]
pub struct Scan {
    /// How to print
    #[arg(short, long, value_enum, default_value = "human")]
    pub output: Format,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
