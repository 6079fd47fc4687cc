//! One incident in the order of what happened.
use crate::{
    contract::{Elsewhere, Exit, Incident, Step, Time},
    correlate::cause::SignalFrom,
    explain::phrase::{
        arguments, blamed_server, by_kernel, is_raised, which_server, who, who_else,
    },
    model::{
        cause::{CauseKind, Outcome},
        signal_name::{self as signals, SI_KERNEL},
    },
    text::{
        escape::{escape, host_phrase},
        format::size,
    },
};

/// What happened, oldest first. The order is that of the kernel's clock since boot, whatever the wall
/// clock did meanwhile: all times of one incident were made from it by the same difference.
pub fn steps(incident: &Incident, elsewhere: Option<&Elsewhere>) -> Vec<Step> {
    let victim = who(&incident.victim);
    let mut steps = Vec::new();
    let mut step = |time: Time, what: &str, text: String| {
        steps.push(Step { time, after_ns: 0, what: what.into(), text: text.into() });
    };
    if let Some(start) = incident.victim.start_time {
        let by = incident.victim.ancestors.first();
        // Whose child it was in the end. Who had started it may have ended before it: init adopts.
        let of = by.map_or_else(String::new, |by| format!(", child of {}", who_else(by)));
        step(start, "start", format!("{victim} started{of}: {}", arguments(&incident.victim)));
    }
    let cause = &incident.cause;
    let path = incident.path().map_or_else(|| "its file".to_owned(), |path| escape(&path.0));
    if let Some((time, sizes)) = cause.time.zip(cause.old_size.zip(cause.new_size)) {
        step(time, "shrink", changed(incident, elsewhere, &path, sizes));
    }
    if let Some(fault) = &incident.fault {
        let does = match fault.access.as_deref() {
            Some("read") => "read",
            Some("write") => "wrote",
            Some("exec") => "executed",
            _ => "touched",
        };
        let what = match (fault.file_offset, &incident.file) {
            (Some(_), Some(_)) if cause.class.known() == CauseKind::DeviceMapping => path.clone(),
            (Some(offset), Some(file)) => {
                let deleted = if file.deleted { " (deleted)" } else { "" };
                format!("{path}{deleted} at {}; the file had {}", size(offset), size(file.size))
            }
            _ => match &fault.mapping {
                Some(mapping) => escape(&mapping.0),
                None => format!("address {:#x}", fault.address.0),
            },
        };
        step(incident.time, "fault", format!("{victim} {does} {what}"));
    }
    if let Some(signal) = &incident.signal {
        let code = signal.code_name.as_ref().map_or_else(String::new, |name| format!(" ({name})"));
        let name = &signal.name;
        let text = match (cause.class.known().cause().signal_from, &cause.culprit) {
            _ if by_kernel(incident) => format!("the kernel sent {name} to {victim}"),
            _ if is_raised(incident) => format!("{victim} got {name}{code}"),
            (SignalFrom::Process, Some(by)) if by.pid != incident.victim.pid => {
                format!("{} sent {name}{code} to {victim}", who(by))
            }
            (SignalFrom::OomKiller, Some(by)) => {
                format!("{} asked for memory; the OOM killer sent {name} to {victim}", who(by))
            }
            (SignalFrom::OomKiller, None) => format!("the OOM killer sent {name} to {victim}"),
            (SignalFrom::Process, _) if signal.code == SI_KERNEL => {
                format!("the kernel sent {name} to {victim}")
            }
            (SignalFrom::Process, Some(_)) | (SignalFrom::Itself, _) => {
                format!("{victim} sent itself {name}{code}")
            }
            _ => format!("{victim} got {name}{code}"),
        };
        step(incident.time, "signal", text);
    }
    if let Some(exit) = &incident.exit {
        let handled = incident.outcome.known() == Outcome::Exited && incident.signal.is_some();
        step(exit.time, "exit", ended(exit, handled));
    }
    if let Some(restart) = &incident.restart {
        let by = restart.by.as_ref();
        let by = by.map_or_else(String::new, |by| format!(" by {}", who_else(by)));
        step(restart.time, "restart", format!("restarted as pid {}{by}", restart.pid));
    }
    steps.sort_by_key(|step| step.time);
    let mut before = None;
    for step in &mut steps {
        step.after_ns = step.time.since(before.replace(step.time).unwrap_or(step.time));
    }
    steps
}

/// How the process ended, by itself or by its handler.
fn ended(exit: &Exit, handled: bool) -> String {
    match (exit.signal, exit.code) {
        (Some(number), _) => {
            let core = if exit.core { ", core dumped" } else { "" };
            let name = signals::name(number as i32);
            let by = if handled { "its handler ended it by" } else { "killed by" };
            format!("{by} {name} (shell status {}{core})", number.saturating_add(128))
        }
        (None, code) => {
            let by = if handled { "its handler exited" } else { "exited" };
            format!("{by} with status {}", code.unwrap_or(0))
        }
    }
}

/// Who made the file called `path` lose its end, or opened it to write to it: then it had one size before and after.
fn changed(
    incident: &Incident,
    elsewhere: Option<&Elsewhere>,
    path: &str,
    (old, new): (u64, u64),
) -> String {
    let cause = &incident.cause;
    let what = format!("{path}: {} → {}", size(old), size(new));
    let how = cause.how.as_deref().unwrap_or("an unknown method");
    match (&cause.culprit, elsewhere) {
        (Some(by), _) if old == new => format!("{} opened {path} to write to it", who(by)),
        (Some(by), _) => format!("{} shrank {what} by {how}", who(by)),
        // The act is older than what the host learnt of it, by how much only another clock tells.
        (None, Some(Elsewhere { culprit, host, how, .. })) => {
            let (by, host) = (who(culprit), host_phrase(host));
            format!("the victim's host saw a shrink of {what}, likely by {by} on {host} by {how}")
        }
        (None, None) if let Some(server) = blamed_server(incident) => {
            format!(
                "the victim's host saw a shrink of {what}, reported by {}",
                which_server(server)
            )
        }
        (None, None) if is_fuse(incident) => {
            format!("the victim's host saw a shrink of {what} from its FUSE server, by {how}")
        }
        (None, None) => format!("another host shrank {what} by {how}"),
    }
}

/// Whether the file that was touched is served by a process, which need not be another host's.
fn is_fuse(incident: &Incident) -> bool {
    let fstype = incident.file.as_ref().and_then(|file| file.fstype.as_ref());
    fstype.is_some_and(|fstype| fstype.0.starts_with(b"fuse"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contract::{
            Restart,
            samples::{full_incident, incident},
        },
        correlate::cause::{BY_KERNEL, RAISED},
        model::cause::CauseKind,
    };

    const SECOND: i64 = 1_000_000_000;

    /// Its steps as `kind +seconds: sentence`.
    fn told(incident: &Incident) -> Vec<String> {
        let line = |step: &Step| {
            let after = step.after_ns / SECOND.unsigned_abs();
            format!("{} +{after}: {}", &*step.what, &*step.text)
        };
        steps(incident, None).iter().map(line).collect()
    }

    /// A death of `class`, ten seconds after the start, the end a second later.
    fn death(class: CauseKind, signal: u32) -> Incident {
        let mut incident = incident(class, signal);
        incident.victim.start_time = Some(Time(0));
        incident.time = Time(10 * SECOND);
        if let Some(exit) = &mut incident.exit {
            exit.time = Time(11 * SECOND);
        }
        incident
    }

    #[test]
    fn a_death_from_start_to_restart() {
        let mut incident = death(CauseKind::Sent, 9);
        incident.restart = Some(Restart {
            pid: 11,
            start_time: None,
            time: Time(13 * SECOND),
            after_ns: 0,
            by: incident.victim.ancestors.first().cloned(),
            forked: false,
            same_arguments: None,
        });
        assert_eq!(
            told(&incident),
            [
                "start +0: geo-api[10] started, child of sv[5]: (command line unknown)",
                "signal +10: sv[5] sent SIGKILL (SI_USER) to geo-api[10]",
                "exit +1: killed by SIGKILL (shell status 137)",
                "restart +2: restarted as pid 11 by sv[5]",
            ]
        );
    }

    #[test]
    fn who_sends_the_signal_depends_on_the_cause() {
        let signal = |class| told(&death(class, 9)).swap_remove(1);
        assert_eq!(
            signal(CauseKind::Aborted),
            "signal +10: geo-api[10] sent itself SIGKILL (SI_USER)"
        );
        assert_eq!(
            signal(CauseKind::OomKilled),
            "signal +10: the OOM killer sent SIGKILL to geo-api[10]"
        );
        assert_eq!(signal(CauseKind::Truncated), "signal +10: geo-api[10] got SIGKILL (SI_USER)");
    }

    #[test]
    fn what_the_kernel_sends_no_process_sent() {
        let mut followed = death(CauseKind::Sent, 9);
        followed.cause.summary = format!("{BY_KERNEL} because its parent ended").into();
        assert_eq!(told(&followed)[1], "signal +10: the kernel sent SIGKILL to geo-api[10]");
        followed.cause.summary = format!("{RAISED} because it wrote to a pipe").into();
        assert_eq!(told(&followed)[1], "signal +10: geo-api[10] got SIGKILL (SI_USER)");
    }

    #[test]
    fn a_shrink_stands_where_it_happened() {
        let mut incident = Incident { restart: None, ..full_incident() };
        incident.victim.start_time = Some(Time(3 * SECOND));
        incident.cause.time = Some(Time(2 * SECOND));
        incident.time = Time(4 * SECOND);
        let kinds: Vec<String> =
            steps(&incident, None).iter().map(|step| step.what.to_string()).collect();
        assert_eq!(kinds[..4], ["shrink", "start", "fault", "signal"]);
        // Without its file only the address is left.
        incident.file = None;
        if let Some(fault) = &mut incident.fault {
            (fault.mapping, fault.file_offset) = (None, None);
        }
        assert!(told(&incident)[2].ends_with("read address 0x1000"), "{:?}", told(&incident));
    }
}
