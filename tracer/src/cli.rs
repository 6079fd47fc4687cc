//! The command line.
use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

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

#[derive(Args)]
pub struct Trace {
    #[command(flatten)]
    pub output: Output,
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

/// `90`, `90s`, `5m`, `1h`.
fn duration(text: &str) -> Result<Duration, String> {
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
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
