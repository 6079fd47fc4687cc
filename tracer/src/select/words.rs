//! Words that are typed where a name is taken, and mean a signal, a status or a class. Pure.
use crate::{
    model::{cause::CauseKind, signal_name as signals},
    select::pattern::BUS_ERRORS,
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
    let outlived = (
        format!("--class {BUS_ERRORS}"),
        "every bus error of the kernel, also of who survived it or exited".to_owned(),
    );
    let bus = ended == 128 + signals::SIGBUS;
    [exit].into_iter().chain(Some(outlived).filter(|_| bus)).collect()
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
            ("sigsegv", "--exit SIGSEGV"),
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
