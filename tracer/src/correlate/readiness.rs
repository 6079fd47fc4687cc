//! What can be told on a host, by what is watched there. Pure.
use std::collections::BTreeSet;

use crate::{
    correlate::cause::SignalFrom,
    model::{
        cause::CauseKind,
        observe::{Coverage, Observe, Readiness, Uncovered},
    },
    probe::refusal::{fix, split},
};

/// What decides bus errors, any one of it, and what nobody can tell without. The file of a fault may be had from its
/// signal, too.
const DECIDES: [Decisive; 4] = [
    (&[Observe::FileFault, Observe::ForcedSignal], "which file a bus error was in"),
    (&[Observe::ShmemFault, Observe::ForcedSignal], "which shared memory a bus error was in"),
    (&[Observe::Shrink], "who truncated a file"),
    (&[Observe::SignalGenerated], "who sent a signal"),
];
/// The same for deaths of other kinds.
const DECIDES_DEATHS: [Decisive; 2] =
    [(&[Observe::Exit], "how a process ended"), (&[Observe::SignalGenerated], "who sent a signal")];

type Decisive = (&'static [Observe], &'static str);
/// What is looked at of a host to say that something can be told there at all.
const ANY: [Observe; 6] = [
    Observe::FileFault,
    Observe::ShmemFault,
    Observe::Shrink,
    Observe::ForcedSignal,
    Observe::SignalGenerated,
    Observe::Exit,
];

/// Causes by name in one sentence, at most.
const NAMED: usize = 4;
/// As the names of hooks begin.
const FORMS: [&str; 6] = ["fentry", "fexit", "tp_btf", "raw_tp", "kretprobe", "kprobe"];
/// Before the names of causes.
const BY: &str = "bus errors by ";

/// How far what is asked for can be told here.
pub fn readiness(coverage: &Coverage) -> Readiness {
    match coverage {
        _ if !unseen(coverage, &DECIDES).is_empty() => Readiness::NotReady,
        Coverage { uncovered, .. } if uncovered.is_empty() => Readiness::Ready,
        _ => Readiness::Degraded,
    }
}

/// Whether anything of it would be told.
pub fn sees_anything(coverage: &Coverage) -> bool {
    ANY.iter().any(|observe| coverage.sees(*observe))
}

/// How many causes can be told, and which cannot.
pub fn causes(coverage: &Coverage) -> (usize, Vec<CauseKind>) {
    let named = CauseKind::ALL.iter().filter(|kind| **kind != CauseKind::Unknown);
    let (told, blind): (Vec<CauseKind>, Vec<CauseKind>) =
        named.partition(|kind| is_told(**kind, coverage));
    (told.len(), blind)
}

fn is_told(cause: CauseKind, coverage: &Coverage) -> bool {
    cause.cause().observes.iter().any(|observe| coverage.sees(*observe))
}

fn unseen(coverage: &Coverage, decides: &[Decisive]) -> Vec<&'static str> {
    let lacks = |(any, _): &&Decisive| any.iter().all(|observe| coverage.lacks(*observe));
    decides.iter().filter(lacks).map(|(_, what)| *what).collect()
}

/// What of bus errors nobody can tell here.
fn undecided(coverage: &Coverage) -> Option<String> {
    let mut unseen = unseen(coverage, &DECIDES);
    // Shared memory is made of files, too.
    if unseen.contains(&DECIDES[0].1) {
        unseen.retain(|what| *what != DECIDES[1].1);
    }
    (!unseen.is_empty()).then(|| list(&unseen, "or"))
}

/// What nobody will be told here, in a few words; nothing where every hook is attached.
pub fn not_told(coverage: &Coverage) -> Option<String> {
    if let Some(unseen) = undecided(coverage) {
        return Some(unseen);
    }
    if coverage.uncovered.is_empty() {
        return None;
    }
    let (_, blind) = causes(coverage);
    let of_faults = |cause: &&CauseKind| {
        cause.is_of_bus_errors() && cause.cause().signal_from == SignalFrom::Fault
    };
    let names: Vec<&str> = blind.iter().filter(of_faults).map(|cause| cause.name()).collect();
    Some(match names.as_slice() {
        [] => match different(coverage.uncovered.iter().map(|missing| missing.causes.as_str())) {
            one if one.len() == 1 => one.concat(),
            several => format!("{} details (`whybus doctor`)", several.len()),
        },
        few if few.len() <= NAMED => format!("{BY}{}", list(few, "or")),
        many => format!("{BY}{} of the causes (`whybus doctor`)", many.len()),
    })
}

/// The first line of what people read: what cannot be told, and why.
pub fn summary(coverage: &Coverage) -> Option<String> {
    let not_told = not_told(coverage)?;
    let what = match readiness(coverage) {
        Readiness::NotReady => format!("whybus cannot tell {not_told}"),
        _ if not_told.starts_with(BY) => format!("whybus cannot explain {not_told}"),
        _ => format!("bus errors are explained, except {not_told}"),
    };
    let reasons = of(coverage);
    // Forms that were tried one after the other have theirs in one.
    let all: BTreeSet<&str> = reasons.iter().flat_map(|reason| reason.why.split("; ")).collect();
    let more = match all.len() {
        0 | 1 => String::new(),
        count => format!(" (one of {count} reasons)"),
    };
    let why = reasons.first().map(|reason| reason.why.as_str()).unwrap_or_default();
    // What else is said of further forms.
    let why = why.split("; ").next().unwrap_or(why);
    Some(format!("{what}, because {why}{more}"))
}

/// Hooks that are missing for one reason.
#[derive(Debug, PartialEq, Eq)]
pub struct Reason<'a, T> {
    /// Without the name of its function, where there are several.
    pub why: String,
    pub missing: Vec<&'a T>,
}

fn of(coverage: &Coverage) -> Vec<Reason<'_, Uncovered>> {
    reasons(&coverage.uncovered, |missing| (&missing.hook, split(&missing.reason).0))
}

/// Why hooks are missing, the reason of most of them first; `named` gives a hook's name and its reason.
pub fn reasons<'a, T>(
    missing: &'a [T],
    named: impl Fn(&'a T) -> (&'a str, String),
) -> Vec<Reason<'a, T>> {
    let mut reasons: Vec<Reason<'_, T>> = Vec::new();
    for one in missing {
        let (hook, reason) = named(one);
        let why = alike(hook, &reason);
        match reasons.iter_mut().find(|reason| reason.why == why) {
            Some(reason) => reason.missing.push(one),
            None => reasons.push(Reason { why, missing: vec![one] }),
        }
    }
    for reason in &mut reasons {
        if let [only] = reason.missing.as_slice() {
            reason.why = named(only).1;
        }
    }
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.missing.len()));
    reasons
}

/// A reason, the same for every hook that is missing for it.
fn alike(hook: &str, reason: &str) -> String {
    let Some((_, function)) = hook.split_once(' ') else { return reason.to_owned() };
    let inert = |c: char| !c.is_alphanumeric() && c != '_';
    let word = |word: &str| match word.trim_matches(inert) == function {
        true => word.replace(function, "…"),
        false => word.to_owned(),
    };
    let mut alike = reason.split(' ').map(word).collect::<Vec<_>>().join(" ");
    // Nor does it matter in which of its forms.
    for form in FORMS {
        alike = alike.replace(&format!("{form} …: "), "");
    }
    alike
}

fn different<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut texts: Vec<&str> = texts.collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}

/// `a, b or c`.
fn list(words: &[&str], last: &str) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
    }
}

/// What must be told, or else nobody is to believe that it is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    /// Which file a bus error was in, and who did it.
    BusErrors,
    /// How processes end, and who killed them.
    Deaths,
    /// Every hook.
    All,
    Cause(CauseKind),
}

impl Requirement {
    /// By its name: a group's, or a cause's.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "bus-errors" => Self::BusErrors,
            "deaths" => Self::Deaths,
            "all" => Self::All,
            cause => {
                let named =
                    |kind: &&CauseKind| kind.name() == cause && **kind != CauseKind::Unknown;
                Self::Cause(*CauseKind::ALL.iter().find(named)?)
            }
        })
    }

    /// What of it cannot be told, in a few words.
    fn unmet(self, coverage: &Coverage) -> Option<String> {
        let unseen = match self {
            Self::BusErrors => undecided(coverage).unwrap_or_default(),
            Self::Deaths => list(&unseen(coverage, &DECIDES_DEATHS), "or"),
            Self::All => not_told(coverage).unwrap_or_default(),
            Self::Cause(cause) if is_told(cause, coverage) => String::new(),
            Self::Cause(cause) => format!("the cause {}", cause.name()),
        };
        (!unseen.is_empty()).then_some(unseen)
    }
}

/// Why not all that is required can be told, as a sentence; `None` if it can.
pub fn unmet(required: &[Requirement], coverage: &Coverage) -> Option<String> {
    let unmet: Vec<String> = required.iter().filter_map(|one| one.unmet(coverage)).collect();
    let unmet = different(unmet.iter().map(String::as_str)).join("; ");
    if unmet.is_empty() {
        return None;
    }
    let reasons = of(coverage);
    let why = reasons.first().map_or("no hook for it is attached", |reason| &reason.why);
    let to_do = fix(why).map(|fix| format!("; to do: {fix}")).unwrap_or_default();
    Some(format!("whybus cannot tell {unmet} here, which is required, because {why}{to_do}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::observe::AttachedHook;

    /// All is watched but `lacking`, each for its own reason.
    fn watched(lacking: &[(Observe, &str)]) -> Coverage {
        let lacks = |observe: &Observe| lacking.iter().any(|(missing, _)| missing == observe);
        let hooks = Observe::ALL.iter().filter(|observe| !lacks(observe)).map(|observe| {
            AttachedHook { observe: Some(*observe), hook: format!("fexit {}", observe.word()) }
        });
        let uncovered = lacking.iter().map(|(observe, reason)| Uncovered {
            observe: Some(*observe),
            hook: format!("fexit {}", observe.word()),
            reason: (*reason).to_owned(),
            causes: format!("what {} shows", observe.word()),
        });
        Coverage { hooks: hooks.collect(), uncovered: uncovered.collect() }
    }

    const OFF: &str = "kernel.ftrace_enabled is 0";

    /// Those of forms that were tried one after the other are no third one.
    #[test]
    fn reasons_are_counted_once_each() {
        let both = format!("{OFF}; not there");
        let lacking = [
            (Observe::Shrink, OFF),
            (Observe::ReadError, "not there"),
            (Observe::HugetlbFault, &both),
        ];
        let said = summary(&watched(&lacking)).expect("a sentence");
        assert!(said.ends_with(" (one of 2 reasons)"), "{said}");
    }

    #[test]
    fn what_decides_bus_errors_weighs_more_than_the_rest() {
        let all = watched(&[]);
        let (told, none) = causes(&all);
        assert_eq!((told, none.len()), (CauseKind::ALL.len() - 1, 0));
        assert_eq!((readiness(&all), summary(&all)), (Readiness::Ready, None));
        for (any, what) in DECIDES {
            let mut lacking: Vec<_> = any.iter().map(|observe| (*observe, OFF)).collect();
            lacking.push((Observe::ReadError, "not there"));
            let coverage = watched(&lacking);
            assert_eq!(readiness(&coverage), Readiness::NotReady, "{any:?}");
            let said = summary(&coverage).expect("a sentence");
            assert!(said.starts_with(&format!("whybus cannot tell {what}, because ")), "{said}");
            assert!(said.ends_with(" (one of 2 reasons)"), "{said}");
        }
        let small = watched(&[(Observe::HugetlbFault, OFF), (Observe::UserfaultFault, OFF)]);
        assert_eq!(readiness(&small), Readiness::Degraded);
        assert_eq!(
            summary(&small).as_deref(),
            Some(
                "whybus cannot explain bus errors by hugepages or userfaultfd, because \
                 kernel.ftrace_enabled is 0"
            )
        );
        // By its signal alone.
        let signals = watched(&[(Observe::FileFault, OFF), (Observe::PageMkwrite, OFF)]);
        assert_eq!(readiness(&signals), Readiness::Degraded);
        let said = not_told(&signals).unwrap_or_default();
        assert_eq!(said, "bus errors by 6 of the causes (`whybus doctor`)");
        let detail = watched(&[(Observe::ReadError, "not there")]);
        assert_eq!(not_told(&detail).as_deref(), Some("what read-error shows"));
    }

    #[test]
    fn a_host_with_next_to_no_hooks_says_what_it_cannot_tell() {
        let lacking: Vec<(Observe, &str)> = Observe::ALL
            .iter()
            .filter(|observe| **observe != Observe::SignalGenerated)
            .map(|observe| (*observe, OFF))
            .collect();
        let coverage = watched(&lacking);
        assert_eq!(
            summary(&coverage).as_deref(),
            Some(
                "whybus cannot tell which file a bus error was in or who truncated a file, because \
                 kernel.ftrace_enabled is 0"
            )
        );
        assert!(sees_anything(&coverage));
        let nothing = watched(&Observe::ALL.iter().map(|one| (*one, OFF)).collect::<Vec<_>>());
        assert!(!sees_anything(&nothing));
    }

    #[test]
    fn one_reason_is_given_once_whatever_function_it_names() {
        let coverage = watched(&[
            (Observe::ReadError, "no function read-error; kprobe read-error: off"),
            (Observe::Exec, OFF),
            (Observe::SwapIn, "no function swap-in; kretprobe swap-in: off"),
        ]);
        let told = of(&coverage);
        let told: Vec<(&str, usize)> =
            told.iter().map(|reason| (reason.why.as_str(), reason.missing.len())).collect();
        assert_eq!(told, [("no function …; off", 2), (OFF, 1)]);
    }

    #[test]
    fn what_is_only_waited_for_is_not_missing() {
        let mut coverage = watched(&[]);
        coverage.hooks.retain(|hook| hook.observe != Some(Observe::NfsSize));
        assert_eq!(readiness(&coverage), Readiness::Ready);
        // A second program on the same hook stands in for the first.
        let backup = watched(&[(Observe::Shrink, OFF)]).uncovered;
        let coverage = Coverage { uncovered: backup, ..watched(&[]) };
        assert_eq!(readiness(&coverage), Readiness::Degraded);
    }

    #[test]
    fn what_is_required_is_asked_for_by_name() {
        let coverage = watched(&[(Observe::HugetlbFault, OFF), (Observe::Exit, OFF)]);
        let unmet = |name: &str| {
            unmet(&[Requirement::parse(name).unwrap_or_else(|| panic!("{name}"))], &coverage)
        };
        assert_eq!(unmet("bus-errors"), None);
        assert_eq!(unmet("truncated"), None);
        for (name, what) in [
            ("hugepages", "the cause hugepages"),
            ("deaths", "how a process ended"),
            ("all", "bus errors by hugepages"),
        ] {
            let said = unmet(name).unwrap_or_default();
            assert!(said.starts_with(&format!("whybus cannot tell {what} here")), "{name}: {said}");
            assert!(said.ends_with("; to do: sysctl kernel.ftrace_enabled=1"), "{said}");
        }
        assert_eq!(Requirement::parse("unknown"), None);
        assert_eq!(Requirement::parse("buserrors"), None);
    }
}
