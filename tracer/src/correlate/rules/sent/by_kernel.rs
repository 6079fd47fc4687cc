//! What the kernel sends for others: what is typed on a terminal, what follows the end of a session or a tracer. Pure.
use crate::{
    correlate::exits::with_namespace,
    model::{
        signal::Signal,
        signal_name::{SI_KERNEL, SIGHUP, SIGINT, SIGKILL, SIGQUIT},
        task::ProcessId,
    },
};

/// Who sent a signal that somebody handled, as what follows its name, and whether that was the kernel: what is typed on a
/// terminal is read by one of its threads.
pub fn by_whom(signal: &Signal, parent: Option<ProcessId>) -> (String, bool) {
    let sender = &signal.sender.task;
    if sender.kthread || signal.code == SI_KERNEL {
        let how = of_terminal_or_tracer(signal).and_then(|how| how.strip_prefix("sent "));
        return (how.unwrap_or("by the kernel").to_owned(), true);
    }
    let by_parent = parent.is_some_and(|parent| parent.same(sender.id));
    (format!("by {}pid {}", if by_parent { "its parent, " } else { "" }, sender.id.tgid), false)
}

/// What a signal says that the kernel sends to another than the process it acts for (SEND_SIG_PRIV): who that is says
/// little, a terminal's keys are read by a kernel thread.
pub fn of_terminal_or_tracer(signal: &Signal) -> Option<&'static str> {
    let ending = signal.sender.task.ending;
    if with_namespace(signal) {
        return None;
    }
    Some(match signal.number {
        // drivers/tty/n_tty.c isig, drivers/tty/pty.c pty_signal
        SIGINT => {
            "sent by the kernel to all that ran in the foreground of its terminal: most likely Ctrl-C was typed there"
        }
        SIGQUIT => {
            "sent by the kernel to all that ran in the foreground of its terminal: most likely Ctrl-\\ was typed there"
        }
        // drivers/tty/tty_jobctrl.c disassociate_ctty, kernel/exit.c kill_orphaned_pgrp
        SIGHUP if ending => {
            "sent by the kernel because the first process of its terminal's session ended, or the program that showed its \
             terminal; or it had been stopped, and with its parent ended the last that could have continued it"
        }
        // drivers/tty/tty_jobctrl.c tty_signal_session_leader
        SIGHUP => {
            "sent by the kernel because its terminal is gone: a window or a connection was closed"
        }
        // kernel/ptrace.c exit_ptrace
        SIGKILL if ending => {
            "sent by the kernel because its tracer ended, a debugger or a sandbox, which had asked for that \
             (PTRACE_O_EXITKILL: strace --kill-on-exit)"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::signal as sent;

    /// The keys of a terminal are read by a kworker.
    #[test]
    fn nobody_is_named_for_what_a_kernel_thread_passes_on() {
        let mut typed = Signal { number: SIGINT, ..sent(SI_KERNEL) };
        typed.sender.task.kthread = true;
        let (by, by_kernel) = by_whom(&typed, None);
        assert!(
            by_kernel && by.starts_with("by the kernel to all that ran in the foreground"),
            "{by}"
        );
        let other = Signal { number: 10, ..typed };
        assert_eq!(by_whom(&other, None), ("by the kernel".to_owned(), true));
        let kill = Signal { number: 15, ..sent(0) };
        let sender = kill.sender.task.id;
        assert_eq!(by_whom(&kill, None), (format!("by pid {}", sender.tgid), false));
        let parent = (format!("by its parent, pid {}", sender.tgid), false);
        assert_eq!(by_whom(&kill, Some(sender)), parent);
    }
}
