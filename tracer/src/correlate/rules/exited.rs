//! No signal at all: it ended itself with a status other than 0.
use crate::{
    correlate::{
        cause::{Cause, Rule, SignalFrom},
        ending::{CONSEQUENCE, HANDLING},
        evidence::{Evidence, Verdict},
        rules::sent::{DETACH_ADVICE, by_whom},
        supervisor::{forks_to_exec, shell},
    },
    model::{
        cause::{CauseKind, Confidence},
        observe::Observe,
        process::ProcessExit,
        signal_name as signals,
    },
    text::format::duration,
};

const CAUSE: Cause = Cause {
    kind: CauseKind::Exited,
    observes: &[Observe::Exit],
    rests_on: None,
    shows_mount: false,
    signal_from: SignalFrom::NoSignal,
    advice: "no signal was involved: its own output says why, or strace(1) of its last system \
             calls",
};

pub const RULE: Rule = Rule { causes: &[CAUSE], evaluate };

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    let death = evidence.death?;
    if evidence.signal.is_some() || death.exit.code & 0x7f != 0 {
        return None;
    }
    let status = death.exit.code >> 8 & 0xff;
    let after = match death.exit.id.start {
        0 => String::new(),
        start => format!(", {} after its start", duration(death.exit.time.saturating_sub(start))),
    };
    if let Some(setting) = not_started(death, status) {
        let summary = format!(
            "its program was never run: systemd's own child gave up before, with status {status} \
             ({setting}){after}"
        );
        return Some(Verdict {
            advice: ADVICE_SETUP,
            // Anybody may call itself so (prctl PR_SET_NAME).
            ..CAUSE.verdict(Confidence::Likely, summary)
        });
    }
    if let Some((sent, signal)) = evidence.prompt {
        let parent = death.actor.ancestors.first().map(|parent| parent.id);
        let (by, by_kernel) = by_whom(signal, parent);
        let before = death.exit.time.saturating_sub(*sent);
        let why = match before > CONSEQUENCE {
            true => format!("exited with status {status}, most likely as it was asked to end"),
            false => format!("it called exit({status}) in a handler, most likely"),
        };
        let summary = format!(
            "{why}: {} earlier it was sent {} {by}{}",
            duration(before),
            signals::name(signal.number),
            by_shell(death, status),
        );
        return Some(Verdict {
            advice: if by_kernel { DETACH_ADVICE } else { ADVICE_SENDER },
            ..CAUSE.verdict(Confidence::Likely, summary)
        });
    }
    let meaning = by_shell(death, status);
    // Of a signal that was handled nobody would know.
    let before = "which signals it was sent before watching began is not known";
    let before = may_have_been_asked_before(evidence, death).then_some(before);
    let (confidence, unseen) = match evidence.signals_unseen(death).or(before) {
        Some(why) => (Confidence::Likely, format!("; {why}")),
        None => (Confidence::Proven, String::new()),
    };
    let summary = format!("exited with status {status} on its own{after}{meaning}{unseen}");
    Some(CAUSE.verdict(confidence, summary))
}

/// Whether somebody may have asked it to end, as a service manager does, before anybody watched.
fn may_have_been_asked_before(evidence: &Evidence<'_>, death: &ProcessExit) -> bool {
    let since = evidence.host.since;
    death.exit.id.start < since && death.exit.time.saturating_sub(since) <= HANDLING
}

const ADVICE_SENDER: &str = "ask whoever sent the signal: masters end workers that take too long, or whose \
                             neighbour has crashed; their logs say so";

const ADVICE_SETUP: &str = "the unit's journal (`journalctl -u`) says what could not be set up; systemd.exec(5) \
                            explains the statuses from 200 on";

/// What systemd calls the statuses of a child that could not set up what a unit asks for
/// (src/basic/exit-status.h), from 200 on.
const SETUP: [&str; 45] = [
    "CHDIR",
    "NICE",
    "FDS",
    "EXEC",
    "MEMORY",
    "LIMITS",
    "OOM_ADJUST",
    "SIGNAL_MASK",
    "STDIN",
    "STDOUT",
    "CHROOT",
    "IOPRIO",
    "TIMERSLACK",
    "SECUREBITS",
    "SETSCHEDULER",
    "CPUAFFINITY",
    "GROUP",
    "USER",
    "CAPABILITIES",
    "CGROUP",
    "SETSID",
    "CONFIRM",
    "STDERR",
    "reserved",
    "PAM",
    "NETWORK",
    "NAMESPACE",
    "NO_NEW_PRIVILEGES",
    "SECCOMP",
    "SELINUX_CONTEXT",
    "PERSONALITY",
    "APPARMOR",
    "ADDRESS_FAMILIES",
    "RUNTIME_DIRECTORY",
    "reserved",
    "CHOWN",
    "SMACK_PROCESS_LABEL",
    "KEYRING",
    "STATE_DIRECTORY",
    "CACHE_DIRECTORY",
    "LOGS_DIRECTORY",
    "CONFIGURATION_DIRECTORY",
    "NUMA_POLICY",
    "CREDENTIALS",
    "BPF",
];

/// What systemd could not set up, where its child ended before it ran the program of its unit. Until then it is
/// called after the program, in parentheses (src/basic/process-util.c rename_process).
fn not_started(death: &ProcessExit, status: u32) -> Option<&'static str> {
    let comm = &death.actor.task.comm;
    let child = comm.starts_with(b"(") && comm.ends_with(b")") && forks_to_exec(&death.actor);
    SETUP.get((status as usize).checked_sub(200)?).filter(|_| child).copied()
}

/// What a shell may mean by its status.
fn by_shell(death: &ProcessExit, status: u32) -> String {
    if !shell(&death.actor.task.comm) {
        return String::new();
    }
    match status {
        126 => "; a shell does so if it may not execute a command".to_owned(),
        127 => "; a shell does so if it does not find a command".to_owned(),
        129..=159 => {
            let (number, name) = (status - 128, signals::name(status as i32 - 128));
            format!("; a shell does so if {name} ended its last command (128 + {number})")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::*;

    #[test]
    fn a_status_is_no_signal() {
        let verdict = evaluate(&of_death(&ended(1), None));
        assert_eq!(verdict.class, CauseKind::Exited);
        assert_eq!(verdict.summary, "exited with status 1 on its own, 2.0 s after its start");
    }

    /// One that lived while everything was watched.
    fn ended(status: u32) -> ProcessExit {
        let mut death = exit(SINCE + 3_000_000_000, status << 8);
        death.exit.id.start = SINCE + 1_000_000_000;
        death
    }

    fn summary(comm: &str, parent: u32, status: u32) -> String {
        judged(comm, parent, status).1
    }

    fn judged(comm: &str, parent: u32, status: u32) -> (Confidence, String) {
        let mut death = ended(status);
        death.actor.task.comm = comm.as_bytes().to_vec();
        death.actor.ancestors = child_of(parent);
        let verdict = evaluate(&of_death(&death, None));
        (verdict.confidence, verdict.summary)
    }

    #[test]
    fn what_systemd_could_not_set_up_is_not_the_programs_doing() {
        let (likely, missing) = judged("(geo-api)", 1, 203);
        assert_eq!(likely, Confidence::Likely, "by a name that anybody may take");
        assert!(missing.contains("never run") && missing.contains("203 (EXEC)"), "{missing}");
        for (status, name) in
            [(200, "(CHDIR)"), (217, "(USER)"), (226, "(NAMESPACE)"), (244, "(BPF)")]
        {
            assert!(summary("(geo-api)", 1, status).contains(name), "{status}");
        }
        for (comm, parent, status) in [("geo-api", 1, 203), ("(geo-api)", 50, 203), ("(x)", 1, 5)] {
            assert!(
                summary(comm, parent, status).contains("on its own"),
                "{comm} {parent} {status}"
            );
        }
    }

    #[test]
    fn whose_signal_came_just_before_is_named() {
        let mut death = exit(3_000_000_000, 1 << 8);
        death.actor.ancestors = child_of(50);
        let mut abort = Signal { number: 6, ..signal(0) };
        abort.sender.task.id = death.actor.ancestors[0].id;
        let prompt = (2_990_000_000, abort);
        let verdict = evaluate(&Evidence { prompt: Some(&prompt), ..of_death(&death, None) });
        assert_eq!((verdict.class, verdict.confidence), (CauseKind::Exited, Confidence::Likely));
        assert!(
            verdict.summary.contains("10 ms earlier it was sent SIGABRT by its parent, pid 50")
        );
    }

    #[test]
    fn who_takes_its_time_to_stop_was_asked_to() {
        let at = 100_000_000_000;
        let mut death = exit(at, 1 << 8);
        let prompt = (at - 3_000_000_000, Signal { number: 15, ..signal(0) });
        let verdict = evaluate(&Evidence { prompt: Some(&prompt), ..of_death(&death, None) });
        assert_eq!(verdict.confidence, Confidence::Likely);
        assert!(
            verdict.summary.contains("as it was asked to end: 3.0 s earlier it was sent SIGTERM"),
            "{}",
            verdict.summary
        );
        // Nobody knows what came before the watch.
        let judged = |death: &ProcessExit, since| {
            let host = Host { since, ..lacking(&[]) };
            evaluate(&Evidence { host: &host, ..of_death(death, None) }).confidence
        };
        death.exit.id.start = at / 2;
        assert_eq!(judged(&death, at - 1), Confidence::Likely);
        assert_eq!(judged(&death, at / 4), Confidence::Proven);
        death.exit.id.start = 1;
        assert_eq!(judged(&death, 2), Confidence::Proven, "long ago");
    }

    #[test]
    fn a_shell_passes_on_how_its_command_ended() {
        assert!(summary("sh", 1, 135).ends_with("SIGBUS ended its last command (128 + 7)"));
        assert!(summary("bash", 1, 127).contains("does not find a command"));
        assert!(!summary("geo-api", 1, 135).contains("SIGBUS"));
    }
}
