//! Words that are typed where a name is taken, and mean a signal, a status or a class. Pure.
use crate::{
    model::{cause::CauseKind, signal_name as signals},
    select::{
        field::Field,
        pattern::{BUS_ERRORS, Pattern},
        selection::{Selection, Values},
    },
    text::{escape::label, near::nearest},
};

/// What causes and signals are called elsewhere: by the kernel, kubectl, shells.
const ALIASES: [(&[&str], &str, &str); 6] = [
    (&["oom", "oom-kill", "oomkilled", "oom-killer"], "--class oom-killed", "OOM kills"),
    (&["segfault", "segmentation-fault"], "--exit SIGSEGV", "whom SIGSEGV ended"),
    (&["abort", "abrt"], "--class aborted", "who called abort(3)"),
    (&["enospc", "disk-full"], "--class no-space", "bus errors for want of space"),
    (&["edquot"], "--class quota", "bus errors for want of quota"),
    (&["buserror", "bus-error", BUS_ERRORS], "--class bus-errors", "bus errors"),
];

/// The filters that may be meant, the most likely first, each with what it finds.
pub fn meant(word: &str) -> Vec<(String, String)> {
    let lower = word.to_ascii_lowercase().replace([' ', '_'], "-");
    let class = CauseKind::ALL.iter().find(|kind| kind.name() == lower);
    if let Some(class) = class.map(|kind| kind.name()) {
        return vec![(format!("--class {class}"), format!("what is of the class {class}"))];
    }
    if let Some((_, filter, what)) = ALIASES.iter().find(|(words, ..)| words.contains(&&*lower)) {
        return vec![((*filter).to_owned(), (*what).to_owned())];
    }
    let of_signal = || signals::parse(&lower).ok().filter(|_| lower.starts_with("sig"));
    let status = lower.parse().ok().filter(|status| (1..=255).contains(status));
    let ended = match status {
        Some(status) => status,
        None => match of_signal() {
            Some(signal) => 128 + signal,
            None => return Vec::new(),
        },
    };
    let exit = match (ended, signals::name(ended - 128)) {
        // Of others a shell tells nothing.
        (129..=159, name) if name.starts_with("SIG") => {
            (format!("--exit {name}"), format!("whom {name} ended"))
        }
        _ => (format!("--exit {ended}"), format!("what ended with status {ended}")),
    };
    const CRASHES: [i32; 4] =
        [signals::SIGSEGV, signals::SIGILL, signals::SIGFPE, signals::SIGTRAP];
    let outlived = match ended - 128 {
        signals::SIGBUS => Some((
            format!("--class {BUS_ERRORS}"),
            "every bus error of the kernel, also of who survived it or exited".to_owned(),
        )),
        signal if CRASHES.contains(&signal) => Some((
            format!("--class {}", CauseKind::Signal.name()),
            "every crash, also of who caught its signal and exited".to_owned(),
        )),
        _ => None,
    };
    [exit].into_iter().chain(outlived).collect()
}

/// What is wrong with the first class of a selection that none matches, of ours or of those `recorded`. A pattern that
/// finds nothing shows so itself, unless it excludes.
/// What happens now has no `--exit`: `live` offers classes alone.
pub fn no_class(selection: &Selection, recorded: &[Vec<u8>], live: bool) -> Option<String> {
    let ours: Vec<&str> = CauseKind::ALL.iter().map(|kind| kind.name()).collect();
    let known = |pattern: &Pattern| {
        let ours = ours.iter().map(|name| name.as_bytes());
        ours.chain(recorded.iter().map(Vec::as_slice)).any(|name| pattern.matches(name))
    };
    let terms = selection.terms.iter().filter(|term| term.filter.field == Field::Class);
    let mut asked = terms.flat_map(|term| match &term.values {
        Values::Names(patterns) => patterns.iter().map(|one| (term.not, one)).collect(),
        Values::Numbers(_) => Vec::new(),
    });
    let refused =
        |(not, one): &(bool, &Pattern)| (*not || !one.text().contains(['*', '?'])) && !known(one);
    let (not, text) = asked.find(refused).map(|(not, one)| (not, one.text()))?;
    let lower = text.to_ascii_lowercase();
    let near = || {
        let names: Vec<&str> = ours.iter().copied().chain([BUS_ERRORS]).collect();
        Some(format!("--class {}", nearest(&lower, &names)?))
    };
    let there_is = |filter: &String| !live || filter.starts_with("--class ");
    let mut meant = meant(text).into_iter().map(|(filter, _)| filter);
    let filter = meant.find(there_is).or_else(near);
    let tip = filter.map_or_else(String::new, |filter| {
        let meant = match filter.strip_prefix("--class ") {
            Some(name) => name.to_owned(),
            None if not => filter.replacen("--", "--not-", 1),
            None => filter,
        };
        format!("; did you mean `{meant}`?")
    });
    Some(format!(
        "there is no class `{}`{tip}\nclasses: {}; {BUS_ERRORS} stands for all that the kernel raised",
        label(text),
        ours.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_signals_statuses_and_classes() {
        let filters = |word: &str| {
            meant(word).into_iter().map(|(filter, _)| filter).collect::<Vec<_>>().join(" or ")
        };
        for (word, filter) in [
            ("SIGBUS", "--exit SIGBUS or --class bus-errors"),
            ("135", "--exit SIGBUS or --class bus-errors"),
            ("sigsegv", "--exit SIGSEGV or --class signal"),
            ("1", "--exit 1"),
            ("130", "--exit SIGINT"),
            ("truncated", "--class truncated"),
            ("No_Space", "--class no-space"),
            ("OOM", "--class oom-killed"),
            ("OOMKilled", "--class oom-killed"),
            ("bus error", "--class bus-errors"),
            // Names are no words.
            ("bus", ""),
            ("geo-api", ""),
            ("300", ""),
            ("SIGNAL", "--class signal"),
            ("SIGWHAT", ""),
        ] {
            assert_eq!(filters(word), filter, "{word}");
        }
    }
}
