//! Options that several verbs share.
use std::path::PathBuf;

use clap::{Args, ValueEnum, builder::PossibleValue};
use regex::bytes::Regex;

use crate::{
    correlate::readiness::Requirement,
    model::{
        process::{ExitFilter, ExitScope},
        signal_name as signals,
    },
    render::{Format, list::Shown},
    sink::terminal::{self, Colour},
    text::secrets::{Secrets, asked},
};

/// Where the history is unless told otherwise.
pub const STATE_DIR: &str = "/var/lib/whybus";

impl ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Human, Self::Oneline, Self::Json]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            Self::Human => "human",
            Self::Oneline => "oneline",
            Self::Json => "json",
        }))
    }
}

/// How `list` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// A row each, fitted to the terminal; `?` behind a cause: likely, not proven; `*`: incomplete, something was missed
    Table,
    /// A sentence each, for logs and grep
    Oneline,
    /// A paragraph each
    Human,
    /// The columns of the table, whole, for a spreadsheet; times as RFC 3339 in UTC
    Csv,
    /// A JSON object each
    Json,
}

/// How `stats` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatsFormat {
    /// Tables
    Human,
    /// A line each, for logs and grep
    Oneline,
    /// For a spreadsheet; times as RFC 3339 in UTC
    Csv,
    /// A JSON object each
    Json,
}

/// How `why` and `show` print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WhyFormat {
    /// All of it; of several stories a table, and the latest
    Human,
    /// A sentence each, for logs and grep
    Oneline,
    /// For a chat or a ticket
    Markdown,
    /// A JSON object each
    Json,
}

impl ValueEnum for Shown {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}

impl ValueEnum for Colour {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Auto, Self::Always, Self::Never]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        }))
    }
}

/// How any verb uses the terminal.
#[derive(Args)]
#[command(next_help_heading = "Terminal")]
pub struct Display {
    /// Whether to colour; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    color: Colour,
    /// Do not page what a history has through $WHYBUS_PAGER, $PAGER or less
    #[arg(long, global = true)]
    no_pager: bool,
}

impl Display {
    /// What is asked for.
    pub fn asked(&self) -> terminal::Display {
        terminal::Display { colour: self.color, no_pager: self.no_pager }
    }
}

/// How to print, and times of which zone.
#[derive(Args)]
pub struct Output {
    /// How to print
    #[arg(short, long, value_enum, default_value = "human")]
    pub output: Format,
    /// Print times in UTC instead of local time (JSON always is)
    #[arg(long)]
    pub utc: bool,
}

/// Which ends of processes are told, beside bus errors.
#[derive(Args, Default)]
#[command(next_help_heading = "What to report")]
pub struct Deaths {
    /// Processes that these signals end: names, `all` of the usual ones, or `none` [default: none
    /// beside bus errors for `trace`, all for `record`]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = signals_of)]
    pub signals: Vec<Signals>,
    /// Processes that end themselves with a status other than 0: `none`; `lasting`, which somebody
    /// supervises (init, a container runtime, a supervisor), or which fail again and again with the
    /// same arguments under the same parent, and no orderly stops; or `all` [default: none for
    /// `trace`, lasting for `record`]
    #[arg(long, value_name = "WHICH", value_parser = exits)]
    pub exits: Option<ExitFilter>,
}

/// What is kept of command lines.
#[derive(Args, Default)]
#[command(next_help_heading = "Command lines")]
pub struct CommandLines {
    /// Keep only the program of each command line, none of its arguments; overrides --redact and --no-redact
    #[arg(long)]
    no_cmdline: bool,
    /// Hide more of command lines than passwords, tokens and keys that are known as such (docs/redaction.md): what this
    /// regular expression finds, in any case, or only its group `secret`. `\x00` stands between arguments
    #[arg(long, value_name = "REGEX", value_parser = asked, allow_hyphen_values = true)]
    redact: Vec<Regex>,
    /// Turn off what is hidden by default: only --redact hides
    #[arg(long)]
    no_redact: bool,
}

impl CommandLines {
    /// What is asked for.
    pub fn policy(&self) -> Secrets {
        Secrets::new(self.no_cmdline, self.no_redact, self.redact.clone())
    }
}

/// What must be told.
#[derive(Args, Default)]
pub struct Require {
    /// Exit with status 69 at once unless this host can report these: `bus-errors` (which file, and who did
    /// it), `deaths`, `all` that whybus knows, or causes by name (truncated, quota, ...; see docs/causes.md)
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = requirement)]
    pub require: Vec<Requirement>,
}

fn requirement(name: &str) -> Result<Requirement, String> {
    Requirement::parse(name).ok_or_else(|| {
        "use bus-errors, deaths, all, or the name of a cause: truncated, quota, ...".to_owned()
    })
}

/// One item of `--signals`.
#[derive(Clone)]
pub struct Signals(Vec<i32>);

impl Deaths {
    /// What was asked for, or else `default`.
    pub fn exit_scope(&self, default: ExitScope) -> ExitScope {
        let named: Vec<i32> = self.signals.iter().flat_map(|item| item.0.clone()).collect();
        let signals = if self.signals.is_empty() { default.signals } else { signals::mask(&named) };
        ExitScope {
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

/// Where the history is.
#[derive(Args)]
pub struct State {
    /// The directory with the history
    #[arg(long, value_name = "DIR", default_value = STATE_DIR)]
    pub state_dir: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Verb};

    #[test]
    fn deaths_by_name() {
        let none = ExitScope::default();
        let of = |text: &str| Cli::try_parse_from(["whybus", "trace", "--signals", text]);
        let mask = |text: &str| match of(text) {
            Ok(Cli { verb: Verb::Trace(trace), .. }) => Some(trace.deaths.exit_scope(none).signals),
            _ => None,
        };
        assert_eq!(mask("segv,SIGKILL"), Some(1 << 11 | 1 << 9));
        assert_eq!(mask("none"), Some(0));
        assert_eq!(mask("chld"), None);
    }
}
