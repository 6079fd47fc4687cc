//! Filters as they are typed, and what they ask for.
use clap::Args;

use crate::{
    cli::{
        not::Not,
        value::{number, status, unit, user},
    },
    model::cause::CauseKind,
    select::{field::Field, pattern::BUS_ERRORS, selection::Selection, time},
    text::escape::typed,
};

/// What can be asked of any incident, live, replayed or recorded. A filter that is given several times
/// takes what any of its values matches.
#[derive(Args, Default)]
pub struct Common {
    /// Victims with this process id
    #[arg(short, long, value_name = "PID", value_parser = number)]
    pub pid: Vec<u32>,
    /// Victims whose process name matches; live also those whose thread name does
    #[arg(short, long, value_name = "PATTERN")]
    pub comm: Vec<String>,
    /// Victims of this user: an id, or a name of this host
    #[arg(short, long, value_name = "UID", value_parser = user)]
    pub uid: Vec<u32>,
    /// Victims of this systemd unit
    #[arg(long, value_name = "PATTERN", value_parser = unit)]
    pub unit: Vec<String>,
    /// Victims whose cgroup path matches, or contains, this
    #[arg(long, value_name = "PATTERN")]
    pub cgroup: Vec<String>,
    /// Victims in the container whose name matches, or whose id starts with, this
    #[arg(long, value_name = "NAME|ID")]
    pub container: Vec<String>,
    /// Victims in the Kubernetes pod whose name matches, or whose uid starts with, this
    #[arg(long, value_name = "NAME|UID")]
    pub pod: Vec<String>,
    /// Victims in pods of this Kubernetes namespace
    #[arg(long, value_name = "PATTERN")]
    pub namespace: Vec<String>,
    /// Victims in containers of this image, named with or without registry and tag
    #[arg(long, value_name = "PATTERN")]
    pub image: Vec<String>,
    /// Faults on files whose path matches, or lies below, this
    #[arg(long, value_name = "PATTERN")]
    pub path: Vec<String>,
    /// Culprits with this process id
    #[arg(long, value_name = "PID", value_parser = number)]
    pub by_pid: Vec<u32>,
    /// Culprits whose process name matches; also who triggered an OOM kill
    #[arg(long, value_name = "PATTERN")]
    pub by_comm: Vec<String>,
    /// Causes of this class: `no-space`, `truncated*`, ... (--help has all), or `bus-errors`
    #[arg(long, value_name = "CLASS", value_delimiter = ',', long_help = classes())]
    pub class: Vec<String>,
    #[command(flatten)]
    pub not: Not,
}

/// What is asked of incidents as they happen.
#[derive(Args, Default)]
#[command(next_help_heading = HEADING)]
pub struct Filter {
    #[command(flatten)]
    pub common: Common,
    /// Only bus errors: no warning when a mapped file is shrunk
    #[arg(long, help_heading = "What to report")]
    pub no_warnings: bool,
}

const HEADING: &str =
    "Filters (all must match, of one given several times any; a pattern may use * and ?)";

/// Times between which something happened.
#[derive(Args, Default)]
#[command(next_help_heading = HEADING)]
pub struct Range {
    /// Since then: `1 hour ago`, `-1h30m`, `2w`, `yesterday`, `10:03`, `2026-11-21 10:03 UTC`, `@1790000000`, RFC 3339
    #[arg(short = 'S', long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<String>,
    /// Until then
    #[arg(short = 'U', long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,
}

impl Range {
    /// Ns since the epoch, both ends.
    ///
    /// # Errors
    /// Where a time is not one, or nothing can lie in between.
    pub fn bounds(&self) -> Result<(Option<i64>, Option<i64>), String> {
        time::range(self.since.as_deref(), self.until.as_deref(), &time::now())
    }

    /// As they were typed, a space before each.
    pub fn typed(&self) -> String {
        let flags = [("since", &self.since), ("until", &self.until)].into_iter();
        let given = flags.filter_map(|(flag, time)| Some((flag, time.as_ref()?)));
        given.map(|(flag, time)| format!(" --{flag} {}", typed(time))).collect()
    }
}

/// What is asked of a history.
#[derive(Args, Default)]
#[command(next_help_heading = HEADING)]
pub struct Select {
    #[command(flatten)]
    pub range: Range,
    /// Victims that ended with this status or signal, within two seconds: 1, 135, -7 or SIGBUS. Who survived a bus error, or
    /// exited after it, has another status: --class bus-errors
    #[arg(long, value_name = "STATUS", allow_hyphen_values = true, value_parser = status)]
    pub exit: Vec<u32>,
    #[command(flatten)]
    pub common: Common,
    /// Victims with this crash signature, `FUNCTION in FILE, build ID`: see `stats --by signature`
    #[arg(long, value_name = "PATTERN")]
    pub signature: Vec<String>,
    /// Incidents of this host (after an import); `-` is one without a name
    #[arg(long, value_name = "HOST")]
    pub host: Vec<String>,
}

/// What `--help` says of classes, with all their names.
fn classes() -> String {
    let names: Vec<&str> = CauseKind::ALL.iter().map(|kind| kind.name()).collect();
    format!(
        "Causes of this class, or pattern: {} (docs/causes.md); `{BUS_ERRORS}` stands for all that the kernel raised, \
         however the victim ended; not for SIGBUS from kill(2), which is `sent`",
        names.join(", ")
    )
}

impl Common {
    fn selection(&self) -> Selection {
        let excluded = Selection { terms: self.not.terms().collect(), ..Selection::default() };
        excluded
            .with_numbers(Field::Pid, &self.pid)
            .with_numbers(Field::Uid, &self.uid)
            .with_numbers(Field::ByPid, &self.by_pid)
            .with_names(Field::Comm, &self.comm)
            .with_names(Field::ByComm, &self.by_comm)
            .with_names(Field::Unit, &self.unit)
            .with_names(Field::Cgroup, &self.cgroup)
            .with_names(Field::Container, &self.container)
            .with_names(Field::Pod, &self.pod)
            .with_names(Field::Namespace, &self.namespace)
            .with_names(Field::Image, &self.image)
            .with_names(Field::Path, &self.path)
            .with_names(Field::Class, &self.class)
    }
}

impl Filter {
    /// What is asked for.
    pub fn selection(&self) -> Selection {
        Selection { without_warnings: self.no_warnings, ..self.common.selection() }
    }
}

impl Select {
    /// What is asked for.
    ///
    /// # Errors
    /// Where a time is not one, or nothing can lie in between.
    pub fn selection(&self) -> Result<Selection, String> {
        let (since, until) = self.range.bounds()?;
        let selection = self
            .common
            .selection()
            .with_numbers(Field::Exit, &self.exit)
            .with_names(Field::Host, &self.host)
            .with_names(Field::Signature, &self.signature);
        Ok(Selection { since, until, times: self.range.typed(), ..selection })
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::{
        cli::{Cli, Verb},
        select::field::FILTERS,
    };

    /// Each filter of the table can be given to `list`, twice, and becomes a term of its own.
    #[test]
    fn every_filter_of_the_table_has_a_flag() {
        for filter in &FILTERS {
            let (flag, value) = (format!("--{}", filter.flag), "7");
            let words = ["whybus", "list", &flag, value, &flag, value];
            let Ok(Cli { verb: Verb::List(list), .. }) = Cli::try_parse_from(words) else {
                panic!("{words:?}");
            };
            let terms = list.select.selection().expect("no times").terms;
            let fields: Vec<Field> = terms.iter().map(|term| term.filter.field).collect();
            assert_eq!(fields, [filter.field]);
        }
    }

    /// And what is asked of a watch can be asked of a history.
    #[test]
    fn a_live_filter_is_a_filter_of_the_history() {
        let command = Cli::command();
        let flags = |verb: &str| -> Vec<String> {
            let verb = command.find_subcommand(verb).expect("a verb");
            verb.get_arguments().filter_map(|arg| arg.get_long().map(str::to_owned)).collect()
        };
        let (live, recorded) = (flags("trace"), flags("list"));
        for filter in FILTERS.iter().filter(|filter| live.iter().any(|flag| flag == filter.flag)) {
            assert!(recorded.iter().any(|flag| flag == filter.flag), "{filter:?}");
        }
        assert!(live.iter().any(|flag| flag == "by-comm"), "{live:?}");
    }
}
