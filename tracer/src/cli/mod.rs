//! The command line.
use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    model::{
        process::{self, ExitFilter},
        signal_name as signals,
    },
    store::state_dir::STATE_DIR,
};

/// Tells why a process got a bus error: which file, which offset, and who truncated it.
#[derive(Parser)]
#[command(name = "whybus", version, about, after_help = EXIT_STATUS, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
}

const EXIT_STATUS: &str = "\
Exit status:
  0   done
  1   nothing found
  2   usage, or a file that cannot be read
  69  this kernel cannot do it
  70  internal error
  77  no privilege
  `trace -- CMD` passes the status of CMD on (128 + signal if one ended it)";

#[derive(Subcommand)]
pub enum Verb {
    /// Watch live; with a command, run it and watch it and its children until it ends
    Trace(Trace),
    /// Watch all the time and keep a history on disk, for list, show, why and stats
    Record(Record),
    /// Tell the story of a process: why it died, what was ruled out, how often, what came after
    Why(Why),
    /// List recorded incidents
    List(List),
    /// Show one recorded incident
    Show(Show),
    /// Count recorded incidents by file, culprit, cause, unit and time
    Stats(Stats),
    /// Write recorded incidents as JSON, one a line
    Export(Export),
    /// Take incidents from `whybus export`, or from any `-o json` output, into a history
    Import(Import),
    /// Run a saved event stream through the same pipeline, without root
    Replay(Replay),
    /// List bus errors waiting to happen: mappings that reach past their file's end (no eBPF)
    Scan(Scan),
    /// Provoke one harmless truncation and bus error in a temporary file and show the answer
    Demo,
    /// Say what would attach here, what is missing, and which causes are then blind
    Doctor(Doctor),
    /// Print the JSON Schema of the output
    Schema,
    #[command(hide = true, name = "demo-victim")]
    DemoVictim { file: PathBuf },
}

/// How to print.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Human,
    Oneline,
    Json,
}

#[derive(Args)]
pub struct Output {
    /// How to print
    #[arg(short, long, value_enum, default_value = "human")]
    pub output: Format,
    /// Print times in UTC instead of local time (JSON always is)
    #[arg(long)]
    pub utc: bool,
}

#[derive(Args, Default)]
#[command(next_help_heading = "Filters (all must match; a pattern may use * and ?)")]
pub struct Filter {
    /// Victims with this process id
    #[arg(short, long, value_name = "PID")]
    pub pid: Vec<u32>,
    /// Victims whose process or thread name matches
    #[arg(short, long, value_name = "PATTERN")]
    pub comm: Vec<String>,
    /// Victims of this user id
    #[arg(short, long, value_name = "UID")]
    pub uid: Vec<u32>,
    /// Victims whose cgroup path matches, or contains, this
    #[arg(long, value_name = "PATTERN")]
    pub cgroup: Vec<String>,
    /// Victims in the container whose id starts with this
    #[arg(long, value_name = "ID")]
    pub container: Vec<String>,
    /// Faults on files whose path matches, or lies below, this
    #[arg(long, value_name = "PATTERN")]
    pub path: Vec<String>,
    /// Culprits with this process id
    #[arg(long, value_name = "PID")]
    pub by_pid: Vec<u32>,
    /// Culprits whose process name matches
    #[arg(long, value_name = "PATTERN")]
    pub by_comm: Vec<String>,
    /// Only bus errors: no warning when a mapped file is shrunk
    #[arg(long)]
    pub no_warnings: bool,
}

/// Which ends of processes are told, beside bus errors.
#[derive(Args, Default)]
#[command(next_help_heading = "Deaths")]
pub struct Deaths {
    /// Processes that these signals end: names, `all` of the usual ones, or `none` [default: none
    /// beside bus errors for `trace`, all for `record`]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = signals_of)]
    pub signals: Vec<Signals>,
    /// Processes that end themselves with a status other than 0: `none`; `lasting`, which lived a
    /// second, are the main process of a service or container, or fail again and again under the
    /// same parent; or `all` [default: none for `trace`, lasting for `record`]
    #[arg(long, value_name = "WHICH", value_parser = exits)]
    pub exits: Option<ExitFilter>,
}

/// One item of `--signals`.
#[derive(Clone)]
pub struct Signals(Vec<i32>);

impl Deaths {
    /// What was asked for, or else `default`.
    pub fn wanted(&self, default: process::ExitScope) -> process::ExitScope {
        let named: Vec<i32> = self.signals.iter().flat_map(|item| item.0.clone()).collect();
        let signals = if self.signals.is_empty() { default.signals } else { signals::mask(&named) };
        process::ExitScope {
            // Bus errors are told anyway, and as more than a death.
            signals: signals & !signals::mask(&[signals::SIGBUS]),
            exits: self.exits.unwrap_or(default.exits),
        }
    }
}

fn signals_of(text: &str) -> Result<Signals, String> {
    Ok(Signals(match text {
        "none" => Vec::new(),
        "all" => signals::RECORDED.to_vec(),
        name => vec![signals::parse(name)?],
    }))
}

fn exits(text: &str) -> Result<ExitFilter, String> {
    ExitFilter::parse(text).ok_or_else(|| "use none, lasting or all".to_owned())
}

#[derive(Args)]
pub struct Trace {
    #[command(flatten)]
    pub output: Output,
    #[command(flatten)]
    pub deaths: Deaths,
    /// Stop after this long: 30s, 5m, 1h, or seconds
    #[arg(short, long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
    /// Stop after this many incidents
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Keep the raw event stream in FILE, for `whybus replay`
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Drop every N-th event, to see how losses are told (for tests)
    #[arg(long, value_name = "N", hide = true, default_value_t = 0)]
    pub fail_every: u32,
    #[command(flatten)]
    pub filter: Filter,
    /// Run this command and watch only it and its children
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// Where the history is.
#[derive(Args)]
pub struct State {
    /// The directory with the history
    #[arg(long, value_name = "DIR", default_value = STATE_DIR)]
    pub state_dir: PathBuf,
}

#[derive(Args)]
pub struct Record {
    #[command(flatten)]
    pub state: State,
    /// Forget incidents older than this: 90d, 12h
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "90d")]
    pub keep: Duration,
    /// Forget the oldest incidents once the history is larger than this: 500M, 2G
    #[arg(long, value_name = "SIZE", value_parser = bytes, default_value = "1G")]
    pub keep_size: u64,
    /// The group that may read the history [default: adm, where there is one]
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Send one record an incident to the systemd journal too
    #[arg(long)]
    pub journal: bool,
    /// Print incidents as well
    #[arg(long, value_enum, value_name = "FORMAT", num_args = 0..=1, default_missing_value = "oneline")]
    pub print: Option<Format>,
    #[command(flatten)]
    pub deaths: Deaths,
    #[command(flatten)]
    pub filter: Filter,
}

/// Which recorded incidents are wanted. All must match; a pattern may use * and ?.
#[derive(Args, Default)]
#[command(next_help_heading = "Filters (all must match; a pattern may use * and ?)")]
pub struct Select {
    /// Since then: `10m ago`, `2h`, `today`, `10:03`, `2026-11-21 10:03`, RFC 3339
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Until then
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Victims that ended so: a status, or a signal as 135, -7 or SIGBUS
    #[arg(long, value_name = "STATUS", allow_hyphen_values = true, value_parser = status)]
    pub exit: Option<u32>,
    /// Victims with this process id
    #[arg(short, long, value_name = "PID")]
    pub pid: Option<u32>,
    /// Victims whose process name matches
    #[arg(short, long, value_name = "PATTERN")]
    pub comm: Option<String>,
    /// Victims of this user id
    #[arg(short, long, value_name = "UID")]
    pub uid: Option<u32>,
    /// Victims of this systemd unit
    #[arg(long, value_name = "PATTERN")]
    pub unit: Option<String>,
    /// Victims whose cgroup path matches, or contains, this
    #[arg(long, value_name = "PATTERN")]
    pub cgroup: Option<String>,
    /// Victims in the container whose id starts with this
    #[arg(long, value_name = "ID")]
    pub container: Option<String>,
    /// Faults on files whose path matches, or lies below, this
    #[arg(long, value_name = "PATTERN")]
    pub path: Option<String>,
    /// Culprits with this process id
    #[arg(long, value_name = "PID")]
    pub by_pid: Option<u32>,
    /// Culprits whose process name matches
    #[arg(long, value_name = "PATTERN")]
    pub by_comm: Option<String>,
    /// Causes of this class
    #[arg(long, value_name = "CLASS")]
    pub class: Option<String>,
    /// Incidents of this host (after an import)
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
}

#[derive(Args)]
pub struct List {
    #[command(flatten)]
    pub state: State,
    /// How to print
    #[arg(short, long, value_enum, default_value = "oneline")]
    pub output: Format,
    /// Print times in UTC instead of local time (JSON always is)
    #[arg(long)]
    pub utc: bool,
    /// At most so many, the newest; 0 for all
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    #[command(flatten)]
    pub select: Select,
}

#[derive(Args)]
pub struct Show {
    #[command(flatten)]
    pub state: State,
    #[command(flatten)]
    pub output: Output,
    /// The id of an incident, or the start of the short form that `list` and `why` show
    pub id: String,
}

#[derive(Args)]
pub struct Why {
    #[command(flatten)]
    pub state: State,
    #[command(flatten)]
    pub output: Output,
    /// A process id, process name, unit, container id, path, or incident id; may be left out where
    /// filters select
    pub selector: Option<String>,
    #[command(flatten)]
    pub select: Select,
}

#[derive(Args)]
pub struct Stats {
    #[command(flatten)]
    pub state: State,
    #[command(flatten)]
    pub output: Output,
    /// At most so many rows a table
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    pub limit: usize,
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
pub struct Replay {
    #[command(flatten)]
    pub output: Output,
    /// A stream saved by `whybus trace --save FILE`
    pub file: PathBuf,
    #[command(flatten)]
    pub filter: Filter,
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

/// `500M`, `2G`, or bytes.
fn bytes(text: &str) -> Result<u64, String> {
    let (digits, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
    let shift = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KIB" => 10,
        "M" | "MIB" => 20,
        "G" | "GIB" => 30,
        "T" | "TIB" => 40,
        _ => return Err(format!("`{unit}` is no unit of size; use K, M, G or T")),
    };
    let number: u64 = digits.parse().map_err(|_| format!("`{text}` is no size; try 500M"))?;
    let bytes = number.checked_mul(1 << shift).filter(|bytes| *bytes >= 1 << 20);
    bytes.ok_or_else(|| format!("`{text}` is out of range: at least 1M"))
}

/// As a shell has it: a status, or 128 and the number of a signal.
fn status(text: &str) -> Result<u32, String> {
    if let Ok(number) = text.parse::<i32>() {
        let status = if number < 0 { 128 - number } else { number };
        return u32::try_from(status)
            .ok()
            .filter(|status| *status < 256)
            .ok_or_else(|| format!("`{text}` is no exit status: 0 to 255, or -1 to -127"));
    }
    signals::parse(text).map(|signal| 128 + signal as u32)
}

/// `90`, `90s`, `5m`, `1h`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (digits, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
    let factor = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(format!("`{unit}` is no unit of time; use ms, s, m, h or d")),
    };
    let number: f64 = digits.parse().map_err(|_| format!("`{text}` is no time; try 30s or 5m"))?;
    Duration::try_from_secs_f64(number * factor)
        .ok()
        .filter(|duration| !duration.is_zero() && duration.as_secs() < 10 * 366 * 86_400)
        .ok_or_else(|| format!("`{text}` is out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("200ms"), Ok(Duration::from_millis(200)));
        for bad in ["", "m", "-1s", "1y", "NaN", "inf", "0", "1e300h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(bytes("500M"), Ok(500 << 20));
        assert_eq!(bytes("2GiB"), Ok(2 << 30));
        for bad in ["", "M", "-1M", "5Q", "10K", "99999999T"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn statuses() {
        for text in ["135", "-7", "SIGBUS", "bus"] {
            assert_eq!(status(text), Ok(135), "{text}");
        }
        assert_eq!(status("1"), Ok(1));
        for bad in ["256", "-200", "x"] {
            assert!(status(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn deaths_by_name() {
        let none = process::ExitScope::default();
        let of = |text: &str| Cli::try_parse_from(["whybus", "trace", "--signals", text]);
        let mask = |text: &str| match of(text) {
            Ok(Cli { verb: Verb::Trace(trace) }) => Some(trace.deaths.wanted(none).signals),
            _ => None,
        };
        assert_eq!(mask("segv,SIGKILL"), Some(1 << 11 | 1 << 9));
        assert_eq!(mask("none"), Some(0));
        assert_eq!(mask("chld"), None);
    }

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
