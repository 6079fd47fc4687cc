//! Somebody sent the signal: kill(2), tgkill(2), sigqueue(3).
pub use self::by_kernel::by_whom;
use self::{by_kernel::of_terminal_or_tracer, parent::may_have_been_parent, systemd::means};
use crate::{
    correlate::{
        cause::{Absence, BY_KERNEL, Cause, ON_BEHALF, RAISED, Rule, SignalFrom},
        ending::raised_late,
        evidence::{Evidence, Verdict},
        exits::with_namespace,
        rules::crashed,
    },
    model::{
        cause::{CauseKind, Confidence},
        observe::Observe,
        signal::{Origin, Signal},
        signal_name::{
            SI_ASYNCIO, SI_KERNEL, SI_TIMER, SIGALRM, SIGBUS, SIGFPE, SIGILL, SIGKILL, SIGPIPE,
            SIGSEGV, SIGTRAP, SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ,
        },
        task::Ancestor,
    },
};

mod by_kernel;
mod parent;
mod systemd;

const CAUSE: Cause = Cause {
    kind: CauseKind::Sent,
    observes: &[Observe::SignalGenerated],
    rests_on: Some(Absence::OfFault),
    shows_mount: false,
    signal_from: SignalFrom::Process,
    advice: "no memory access failed: ask whoever sent the signal",
};

/// What a process has asked for, nobody else did.
const INTERRUPT_ADVICE: &str = "look into its own code: it asked for that signal, most likely (alarm(2), timer_create(2), fcntl(2) \
                                F_SETSIG), and had no handler for it as it came";

/// timeout(1) and sudo(8) raise what ended their child, handlers what they handled.
const OWN_ADVICE: &str = "it raised the signal itself: timeout(1), sudo(8) and the like do so after their child died of \
                          it (look at incidents just before); otherwise look into its own code";

/// Of a process that others sent more signals than are told.
const LEFT: &str = "; too many others were sent to it to report each";

pub const RULE: Rule = Rule { causes: &[CAUSE], evaluate: weighed };

/// Of signals that nobody takes for a failed memory access.
const ASK_ADVICE: &str = "ask whoever sent the signal";
const UNHANDLED_ADVICE: &str = "ask whoever sent the signal; this program has no handler for it, or had none yet: see whether its pid \
                                was taken from a stale file, and whether a reload (logrotate's postrotate, ExecReload=) fits \
                                the program and comes only once it is up";
pub const DETACH_ADVICE: &str = "what is to outlive its terminal, or whoever started it, runs as a service, \
                             or by systemd-run, setsid or tmux";

/// The answer, less sure where another signal may have come after the one that is known.
fn weighed(evidence: &Evidence<'_>) -> Option<Verdict> {
    let mut verdict = evaluate(evidence)?;
    let left = evidence.death.is_some_and(|death| death.signals_left);
    if left && evidence.signal.is_some_and(|signal| signal.number != SIGKILL) {
        verdict.confidence = Confidence::Likely;
        verdict.summary.push_str(LEFT);
    }
    Some(verdict)
}

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    let signal = evidence.signal?;
    if evidence.fault.is_some() {
        return None;
    }
    if signal.may_be_of_interrupt() {
        let own = signal.sender.task.id.same(signal.target.id);
        let sure = signal.is_of_interval_timer() && !own;
        let confidence = if sure { Confidence::Proven } else { Confidence::Likely };
        let verdict = CAUSE.verdict(confidence, of_interrupt(signal));
        return Some(Verdict { advice: INTERRUPT_ADVICE, ..verdict });
    }
    let own = signal.sender.task.id.same(signal.target.id);
    if signal.code > 0 && evidence.death.is_none() {
        // Only to itself may a process send what looks like a fault (kernel/signal.c
        // do_rt_sigqueueinfo).
        let watched = evidence.host.coverage.sees(Observe::ForcedSignal);
        // That other hooks have missed calls says nothing of this one.
        if signal.may_be_of_fault(!watched) || evidence.forced_may_be_lost() {
            return None;
        }
        return Some(made_up(signal));
    }
    if own && signal.code > 0 && signal.code != SI_KERNEL && !signal.is_of_execution() {
        return Some(made_up(signal));
    }
    if signal.code == SI_KERNEL
        && !own
        && let Some(summary) = of_terminal_or_tracer(signal)
    {
        let verdict = CAUSE.verdict(Confidence::Proven, summary);
        return Some(Verdict { advice: DETACH_ADVICE, ..verdict });
    }
    // mm/oom_kill.c __oom_kill_process kills who shares memory with the one it marks, and marks no other.
    let kill = (signal.number, signal.code) == (SIGKILL, SI_KERNEL);
    if kill && own && !with_namespace(signal) && evidence.lacks(Observe::OomKill) {
        let summary = "sent by the kernel while it ran: it has used up the CPU time it may have (RLIMIT_CPU or \
                       RLIMIT_RTTIME), or the OOM killer killed it, whose decisions are not watched on this host";
        let advice = "see in dmesg whether the OOM killer ran (`oom-kill:`); if not, raise that limit, or find what it \
                      spent so much CPU time on";
        return Some(Verdict { advice, ..CAUSE.verdict(Confidence::Likely, summary) });
    }
    if let Some((summary, advice)) = by_kernel(signal, own) {
        // A BPF program may do so in its place (kernel/trace/bpf_trace.c bpf_send_signal), and who forges SI_KERNEL to itself.
        let limit = is_of_cpu_limit(signal, own);
        let sure = if limit { Confidence::Likely } else { Confidence::Proven };
        return Some(Verdict { advice, ..CAUSE.verdict(sure, summary) });
    }
    let parents = evidence.death.map(|death| death.actor.ancestors.as_slice()).unwrap_or_default();
    let late = evidence.death.and_then(|death| raised_late(death, evidence.time)).filter(|_| !own);
    let summary = called(signal, own, parents) + &late.map(crashed::again).unwrap_or_default();
    let may_be_forged = own && signal.code == SI_KERNEL;
    let likely = late.is_some() || may_be_forged;
    let sure = if likely { Confidence::Likely } else { Confidence::Proven };
    let verdict = CAUSE.verdict(sure, summary);
    let advice = match signal.number {
        _ if own => OWN_ADVICE,
        SIGILL | SIGTRAP | SIGBUS | SIGFPE | SIGSEGV => verdict.advice,
        SIGUSR1 | SIGUSR2 | SIGALRM => UNHANDLED_ADVICE,
        _ => ASK_ADVICE,
    };
    Some(Verdict { advice, ..verdict })
}

fn made_up(signal: &Signal) -> Verdict {
    let code = signal.code;
    let summary = format!(
        "sent by the process to itself with a forged si_code of {code}: no fault raised it"
    );
    Verdict { advice: OWN_ADVICE, ..CAUSE.verdict(Confidence::Proven, summary) }
}

/// What a process asked to be told of. The kernel tells it in whatever an interrupt finds, which is nobody's act; and
/// whoever may signal it may write such an si_code (kernel/signal.c do_rt_sigqueueinfo).
fn of_interrupt(signal: &Signal) -> String {
    if signal.is_of_interval_timer() {
        return format!("{RAISED} because a timer of its own ran out (alarm(2), setitimer(2))");
    }
    let what = match signal.code {
        SI_TIMER => "because a timer of its own ran out (timer_create(2))",
        SI_ASYNCIO => "because I/O that it had asked for is done",
        _ => "because a file is ready that it asked to be told of (fcntl(2) F_SETSIG)",
    };
    format!("{RAISED} {what}; or by a process that may signal it and wrote that si_code")
}

/// By which call, and by whom in relation to a process that had these `parents`.
fn called(signal: &Signal, own: bool, parents: &[Ancestor]) -> String {
    let call = match signal.code {
        // SEND_SIG_PRIV: nobody's call.
        SI_KERNEL => "the kernel",
        0 if signal.origin == Origin::Kernel => "kill(2) or by the kernel on its own",
        0 => "kill(2)",
        -1 => "sigqueue(3)",
        -6 => "tgkill(2)",
        _ => "another process",
    };
    let ancestor = parents.iter().position(|parent| parent.id.same(signal.sender.task.id));
    let who = match (own, ancestor) {
        (true, _) => "the process to itself",
        (_, Some(0)) => "its parent",
        (_, Some(_)) => "an ancestor",
        _ if may_have_been_parent(signal, parents) => {
            "another process (its parent, perhaps, if that has ended since)"
        }
        _ if !parents.is_empty() => "another process",
        _ => "",
    };
    // kernel/cgroup/cgroup.c __cgroup_kill. Linux 7.3 has been seen without a siginfo for kill(2), too.
    let cgroup = (signal.number, signal.code, signal.origin) == (SIGKILL, 0, Origin::Kernel);
    let sent = match (signal.code, who) {
        _ if cgroup && !own => {
            let by = if who.is_empty() { who.to_owned() } else { format!("by {who}, ") };
            format!(
                "sent {by}by kill(2), or by a write to cgroup.kill, which kills all of a cgroup: this kernel does \
                 not tell which"
            )
        }
        (_, "") => format!("sent by {call}"),
        (SI_KERNEL, who) => format!("{BY_KERNEL}{ON_BEHALF} {who}"),
        (_, who) => format!("sent by {call}, by {who}"),
    };
    sent + &means(signal)
}

/// kernel/time/posix-cpu-timers.c check_process_timers, check_thread_timers
fn is_of_cpu_limit(signal: &Signal, own: bool) -> bool {
    let ends = matches!(signal.number, SIGKILL | SIGXCPU);
    ends && signal.code == SI_KERNEL && own && !with_namespace(signal)
}

/// What a signal says that the kernel sent without anybody's call, although it may read SI_USER; and what to do.
fn by_kernel(signal: &Signal, own: bool) -> Option<(&'static str, &'static str)> {
    if with_namespace(signal) {
        return Some((
            "sent by the kernel to all that was left in its PID namespace: the first process in there had ended, \
             the main process of a container most often",
            "find out why that first process ended: this one only went with it",
        ));
    }
    match signal.number {
        _ if is_of_cpu_limit(signal, own) => {
            return Some((
                "sent by the kernel while it ran: most likely it has used up the CPU time it may have \
                 (RLIMIT_CPU: `ulimit -t`, LimitCPU=; or RLIMIT_RTTIME); security tools kill so, too \
                 (bpf_send_signal: Tetragon)",
                "raise that limit, or find what it spent so much CPU time on; the log of such a tool names its policy",
            ));
        }
        // mm/filemap.c generic_write_check_limits, fs/attr.c inode_newsize_ok
        SIGXFSZ if signal.code == 0 && own => {
            return Some((
                "raised by the kernel because it wanted a file larger than it may write (RLIMIT_FSIZE: \
                 `ulimit -f`, LimitFSIZE=), or by its own kill(2)",
                "raise that limit, or have it write smaller files",
            ));
        }
        _ => {}
    }
    if signal.code != 0 || signal.origin == Origin::Call {
        return None;
    }
    Some(match signal.number {
        // Whoever ends makes no system call any more (kernel/exit.c forget_original_parent).
        _ if signal.sender.task.ending && !own => (
            "sent by the kernel because its parent ended, or the thread of its parent that had started it: it \
                 had asked for that (PR_SET_PDEATHSIG)",
            "find out why the parent, or that thread, ended: this one only followed",
        ),
        // fs/pipe.c pipe_write
        SIGPIPE if own => (
            "raised by the kernel because it wrote to a pipe or socket that nobody reads any more, or by its \
             own kill(2)",
            "find out why the reader has gone; a program that is to survive that ignores SIGPIPE and looks for EPIPE",
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::{
        correlate::{
            cause::{BY_KERNEL, RAISED},
            incident::Incident,
        },
        model::{
            observe::{AttachedHook, Coverage, Observe},
            signal::Origin,
        },
        testing::*,
    };

    fn hooked(hook: &str, observe: Observe) -> Host {
        let hooks = vec![AttachedHook { observe: Some(observe), hook: hook.to_owned() }];
        let coverage = Coverage { hooks, uncovered: Vec::new() };
        Host { coverage, ..without_fault(&signal(2)).host.clone() }
    }

    #[test]
    fn its_advice_may_name_the_sender() {
        for advice in [super::CAUSE.advice, super::ASK_ADVICE, super::UNHANDLED_ADVICE] {
            assert!(advice.contains(crate::correlate::cause::SENDER));
        }
    }

    #[test]
    fn a_fault_that_nothing_forced_is_made_up() {
        let signal = signal(2);
        let host = hooked("fentry force_sig_fault", Observe::ForcedSignal);
        let watched = |signal| Evidence { host: &host, ..without_fault(signal) };
        assert_eq!(evaluate(&watched(&signal)).class, CauseKind::Sent);
        assert_eq!(evaluate(&without_fault(&signal)).class, CauseKind::Unknown);
        let forced = Signal { forced: true, ..signal.clone() };
        assert_eq!(evaluate(&watched(&forced)).class, CauseKind::Unknown);
    }

    #[test]
    fn a_crash_that_a_process_makes_up_is_its_own_signal() {
        let death = exit(9, 11);
        let mut own = Signal { number: 11, ..signal(1) };
        own.sender.task.id = own.target.id;
        let verdict = evaluate(&of_death(&death, Some(&own)));
        assert_eq!((verdict.class, verdict.confidence), (CauseKind::Sent, Confidence::Proven));
        assert!(verdict.summary.contains("forged"), "{}", verdict.summary);
    }

    /// The timer's interrupt finds anybody, whom its owner may have waited for.
    #[test]
    fn who_an_interrupt_finds_has_sent_nothing() {
        let death = exit(15, 15);
        for (number, code) in [(15, -2), (9, -2), (7, -2), (15, -5), (15, 1), (10, 6)] {
            let forced = code > 0;
            let signal = Signal { number, code, forced, sender: actor(4242), ..signal(code) };
            let verdict = evaluate(&of_death(&death, Some(&signal)));
            assert_eq!((verdict.class, verdict.confidence), (CauseKind::Sent, Confidence::Likely));
            assert!(verdict.summary.starts_with(RAISED), "{}", verdict.summary);
            let mut incident = Incident::new(String::new(), 1, actor(7), ClockOffset::default());
            (incident.cause, incident.signal) = (verdict, Some(signal));
            assert_eq!(incident.culprit(), None);
        }
        // Of alarm(2) no other process can have written it.
        let alarm = Signal { number: 14, code: 0x80, sender: actor(4242), ..signal(0x80) };
        let verdict = evaluate(&of_death(&exit(14, 14), Some(&alarm)));
        assert_eq!((verdict.class, verdict.confidence), (CauseKind::Sent, Confidence::Proven));
        assert!(verdict.summary.contains("alarm(2)"), "{}", verdict.summary);
        // SIGSEGV with SEGV_MAPERR is a fault's, and sigqueue(3) and mq_notify(3) are calls of whoever makes them.
        for (number, code) in [(11, 1), (15, -1), (15, -3), (15, 0), (14, 0), (15, 0x80)] {
            assert!(!Signal { number, code, ..signal(code) }.may_be_of_interrupt());
        }
    }

    /// It kills who shares memory with the one it chose, too, and marks that one alone.
    #[test]
    fn where_the_oom_killer_is_not_watched_a_kill_by_the_kernel_may_be_its() {
        let death = exit(9, 9);
        let sender = actor(VICTIM);
        let signal = Signal { number: 9, code: 0x80, forced: true, sender, ..signal(0x80) };
        let judged = |missing: &[Observe]| {
            let host = lacking(missing);
            evaluate(&Evidence { host: &host, ..of_death(&death, Some(&signal)) })
        };
        let whole = judged(&[]);
        assert_eq!((whole.class, whole.confidence), (CauseKind::Sent, Confidence::Likely));
        assert!(!whole.summary.contains("OOM killer"), "{}", whole.summary);
        let blind = judged(&[Observe::OomKill, Observe::OomKillEnd]);
        assert_eq!((blind.class, blind.confidence), (CauseKind::Sent, Confidence::Likely));
        assert!(blind.summary.contains("OOM killer"), "{}", blind.summary);
    }

    /// Today's form and one that is to come.
    #[test]
    fn in_what_form_signals_are_watched_does_not_matter() {
        let signal = signal(2);
        let seen = |hook: &str, observe| {
            let host = hooked(hook, observe);
            evaluate(&Evidence { host: &host, ..without_fault(&signal) }).class
        };
        assert_eq!(seen("fentry force_sig_fault", Observe::ForcedSignal), CauseKind::Sent);
        assert_eq!(seen("kprobe force_sig_fault", Observe::ForcedSignal), CauseKind::Sent);
        assert_eq!(seen("fentry force_sig_fault", Observe::Shrink), CauseKind::Unknown);
    }

    /// Nothing survives SIGKILL: what came after it ended nobody.
    #[test]
    fn nothing_is_proven_where_other_signals_were_left_out() {
        let judged = |number: i32, signals_left| {
            let death = ProcessExit { signals_left, ..exit(9, number as u32) };
            let signal = Signal { number, ..signal(0) };
            evaluate(&of_death(&death, Some(&signal))).confidence
        };
        assert_eq!(judged(15, true), Confidence::Likely);
        assert_eq!(judged(15, false), Confidence::Proven);
        assert_eq!(judged(9, true), Confidence::Proven);
    }

    #[test]
    fn a_code_of_zero_or_less_was_sent() {
        for (code, call) in [(0, "kill(2)"), (-1, "sigqueue(3)"), (-6, "tgkill(2)")] {
            let signal = signal(code);
            let verdict = evaluate(&without_fault(&signal));
            assert_eq!(verdict.class, CauseKind::Sent);
            assert!(verdict.summary.contains(call));
        }
    }

    /// timeout(1) raises what ended its child.
    #[test]
    fn nobody_is_told_to_ask_a_process_that_sent_itself_the_signal() {
        let mut own = signal(-6);
        own.sender.task.id = own.target.id;
        let verdict = evaluate(&without_fault(&own));
        assert_eq!((verdict.class, verdict.confidence), (CauseKind::Sent, Confidence::Proven));
        assert!(verdict.advice.contains("timeout(1)"), "{}", verdict.advice);
        assert!(!verdict.advice.contains(crate::correlate::cause::SENDER));
    }

    fn summary(signal: &Signal) -> String {
        let verdict = evaluate(&without_fault(signal));
        assert_eq!((verdict.class, verdict.confidence), (CauseKind::Sent, Confidence::Proven));
        verdict.summary
    }

    #[test]
    fn what_the_kernel_sends_on_its_own_is_no_kill() {
        let mut parent_ended = signal(0);
        parent_ended.origin = Origin::Kernel;
        parent_ended.sender.task.ending = true;
        assert!(summary(&parent_ended).contains("PR_SET_PDEATHSIG"), "{}", summary(&parent_ended));
        // Also where nobody looked at the siginfo.
        parent_ended.origin = Origin::Unknown;
        assert!(summary(&parent_ended).contains("PR_SET_PDEATHSIG"));
        let killed = Signal { number: 9, origin: Origin::Kernel, ..signal(0) };
        assert!(summary(&killed).starts_with("sent by kill(2), or by a write to cgroup.kill,"));
        let mut by_parent = killed.clone();
        (by_parent.target.id.tgid, by_parent.sender.task.id.tgid) = (50, 7);
        let mut death = exit(9, 9);
        death.actor.ancestors =
            vec![Ancestor { id: by_parent.sender.task.id, comm: b"sh".to_vec() }];
        let told = evaluate(&of_death(&death, Some(&by_parent))).summary;
        assert!(told.starts_with("sent by its parent, by kill(2), or by"), "{told}");
        let called = Signal { origin: Origin::Call, ..killed };
        assert_eq!(summary(&called), "sent by kill(2)");
        let mut own = Signal { number: 13, origin: Origin::Unknown, ..signal(0) };
        own.sender.task.id = own.target.id;
        assert!(summary(&own).contains("that nobody reads"), "{}", summary(&own));
        assert!(summary(&own).starts_with(RAISED));
        assert!(summary(&parent_ended).starts_with(BY_KERNEL));
    }

    /// Of a process that it ended.
    fn told(signal: &Signal) -> String {
        let death = exit(9, signal.number as u32);
        let verdict = evaluate(&of_death(&death, Some(signal)));
        // What a BPF program may do in the kernel's place is not proven.
        let limit = verdict.summary.contains("CPU time");
        let sure = if limit { Confidence::Likely } else { Confidence::Proven };
        let got = (verdict.class, verdict.confidence);
        assert_eq!(got, (CauseKind::Sent, sure), "{}", verdict.summary);
        verdict.summary
    }

    #[test]
    fn a_limit_is_nobodys_signal() {
        let own = |number, code| {
            let mut signal = Signal { number, forced: code > 0, ..signal(code) };
            signal.sender.task.id = signal.target.id;
            told(&signal)
        };
        for number in [9, 24] {
            assert!(own(number, 0x80).contains("RLIMIT_CPU"), "{}", own(number, 0x80));
            assert!(!own(number, 0).contains("RLIMIT_CPU"), "its own kill(2)");
        }
        assert!(own(25, 0).contains("RLIMIT_FSIZE"), "{}", own(25, 0));
    }

    #[test]
    fn the_end_of_a_pid_namespace_is_no_kill_by_its_parent() {
        let mut signal = Signal { number: 9, ..signal(0x80) };
        (signal.sender.task.ending, signal.sender.task.ns_tgid) = (true, Some(1));
        signal.target.id.tgid = 50;
        assert!(told(&signal).contains("PID namespace"), "{}", told(&signal));
    }

    #[test]
    fn a_terminal_and_a_tracer_that_ended_are_nobodys_kill() {
        let sent = |number, ending| {
            let mut signal = Signal { number, ..signal(0x80) };
            signal.target.id.tgid = 50;
            signal.sender.task.ending = ending;
            told(&signal)
        };
        assert!(sent(2, false).contains("Ctrl-C"), "{}", sent(2, false));
        assert!(sent(3, false).contains("Ctrl-\\"), "{}", sent(3, false));
        assert!(sent(1, false).contains("terminal is gone"), "{}", sent(1, false));
        assert!(sent(1, true).contains("session ended"), "{}", sent(1, true));
        assert!(sent(9, true).contains("PTRACE_O_EXITKILL"), "{}", sent(9, true));
        assert_eq!(sent(9, false), "sent by the kernel");
    }
}
