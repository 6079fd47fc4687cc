//! Tasks and actors.
use bytes::Buf;
use tracer_common::event as wire;

use crate::model::{
    Bytes,
    task::{Actor, Ancestor, Login, ProcessId, Task},
};

/// include/linux/sched.h
const PF_KTHREAD: u32 = 0x0020_0000;
/// PF_EXITING | PF_SIGNALED; the latter is set before a core dump (kernel/signal.c get_signal).
const PF_ENDING: u32 = 0x404;
/// include/linux/sched.h
const PF_FORKNOEXEC: u32 = 0x40;
/// What audit calls unset (include/linux/audit.h AUDIT_UID_UNSET, AUDIT_SID_UNSET).
const NOBODY: u32 = u32::MAX;

/// `wire::Actor`
pub fn actor(b: &mut &[u8]) -> Actor {
    let task = task(b);
    let mut ancestors = Vec::new();
    for _ in 0..wire::ANCESTORS {
        let start = b.get_u64_le();
        let tgid = b.get_u32_le();
        b.advance(4);
        ancestors.push(Ancestor { id: ProcessId { tgid, start }, comm: name(b) });
    }
    ancestors.truncate(b.get_u32_le() as usize);
    let flags = b.get_u32_le();
    let len = (b.get_u32_le() as usize).min(wire::CMDLINE);
    let full = b.get_u32_le() as usize;
    let cmdline = b.chunk()[..len].to_vec();
    b.advance(wire::CMDLINE);
    let known = flags & wire::ACTOR_NO_CMDLINE == 0 && len != 0;
    Actor {
        task,
        ancestors,
        cmdline: known.then(|| arguments(&cmdline)),
        cmdline_cut: full > len,
        partial: flags & wire::ACTOR_PARTIAL != 0,
        login: Login::default(),
    }
}

/// `wire::Login`
pub fn login(b: &mut &[u8]) -> Login {
    let known = b.get_u32_le() & wire::LOGIN_AUDIT != 0;
    let id = |id| (known && id != NOBODY).then_some(id);
    let [uid, session] = [b.get_u32_le(), b.get_u32_le()].map(id);
    b.advance(4);
    let name = Some(name(b)).filter(|name| !name.is_empty());
    // It was read without a lock: it may have been freed.
    let tty = name.filter(|name| name.iter().all(u8::is_ascii_graphic)).map(terminal);
    Login { uid, session, tty }
}

/// How a terminal is called below /dev: the kernel calls `pts/3` `pts3` (drivers/tty/pty.c unix98_pty_init).
fn terminal(name: Bytes) -> Bytes {
    match name.strip_prefix(b"pts") {
        Some(number) if !number.is_empty() && number.iter().all(u8::is_ascii_digit) => {
            [b"pts/", number].concat()
        }
        _ => name,
    }
}

/// Splits NUL-ended arguments.
pub fn arguments(bytes: &[u8]) -> Vec<Bytes> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    bytes.split(|b| *b == 0).map(<[u8]>::to_vec).collect()
}

/// `wire::Task`
pub fn task(b: &mut &[u8]) -> Task {
    let start = b.get_u64_le();
    let cgroup = b.get_u64_le();
    let tgid = b.get_u32_le();
    let tid = b.get_u32_le();
    let uid = b.get_u32_le();
    let ns_tgid = b.get_u32_le();
    let flags = b.get_u32_le();
    let leader_flags = b.get_u32_le();
    Task {
        id: ProcessId { tgid, start },
        tid,
        uid,
        ns_tgid: Some(ns_tgid).filter(|tgid| *tgid != 0),
        cgroup: Some(cgroup).filter(|id| *id != 0),
        exe: None,
        kthread: flags & PF_KTHREAD != 0,
        ending: flags & PF_ENDING != 0,
        forked: leader_flags & PF_FORKNOEXEC != 0,
        comm: name(b),
        thread_comm: name(b),
    }
}

/// A comm: up to the first NUL, since 5.10 leaves stale bytes behind it.
fn name(b: &mut &[u8]) -> Bytes {
    let bytes = b.chunk()[..wire::COMM].split(|b| *b == 0).next().unwrap_or_default().to_vec();
    b.advance(wire::COMM);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::input::KernelEvent,
        wire::decode::{
            decode,
            testing::{bytes, padded, zeroed},
        },
    };

    /// The actor of an event that has one, as `fill` leaves it.
    fn decoded(fill: impl FnOnce(&mut wire::Actor)) -> Actor {
        let mut start: wire::Start = zeroed();
        fill(&mut start.actor);
        match decode(&bytes(&start, b"")).expect("an event").1 {
            Some(KernelEvent::ProcessStart(start)) => start.actor,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_task() {
        let actor = decoded(|actor| {
            actor.task = wire::Task {
                start_time: 1,
                cgroup: 2,
                tgid: 3,
                tid: 4,
                uid: 5,
                ns_tgid: 6,
                flags: PF_KTHREAD,
                leader_flags: PF_FORKNOEXEC,
                comm: padded(b"name"),
                thread_comm: padded(b"thread"),
            };
        });
        let task = Task {
            id: ProcessId { tgid: 3, start: 1 },
            tid: 4,
            uid: 5,
            ns_tgid: Some(6),
            cgroup: Some(2),
            exe: None,
            kthread: true,
            ending: false,
            forked: true,
            comm: b"name".to_vec(),
            thread_comm: b"thread".to_vec(),
        };
        assert_eq!(actor.task, task);
    }

    #[test]
    fn what_the_kernel_does_not_know_is_none() {
        let Task { ns_tgid, cgroup, kthread, ending, .. } = decoded(|_| ()).task;
        assert_eq!((ns_tgid, cgroup, kthread, ending), (None, None, false, false));
        assert!(decoded(|actor| actor.task.flags = 4).task.ending, "PF_EXITING");
        assert!(decoded(|actor| actor.task.flags = 0x400).task.ending, "PF_SIGNALED");
    }

    #[test]
    fn stale_bytes_behind_a_name_are_left_out() {
        let actor = decoded(|actor| actor.task.comm = padded(b"sh\0stale"));
        assert_eq!(actor.task.comm, b"sh");
        let actor = decoded(|actor| actor.task.comm = [b'x'; wire::COMM]);
        assert_eq!(actor.task.comm.len(), wire::COMM);
    }

    #[test]
    fn ancestors_nearest_first_as_many_as_it_says() {
        let fill = |count| {
            move |actor: &mut wire::Actor| {
                actor.ancestor_count = count;
                for (i, ancestor) in actor.ancestors.iter_mut().enumerate() {
                    let tgid = 10 + i as u32;
                    *ancestor =
                        wire::Ancestor { start_time: 20, tgid, pad: 0, comm: padded(b"up") };
                }
            }
        };
        let actor = decoded(fill(2));
        let id = |tgid| Ancestor { id: ProcessId { tgid, start: 20 }, comm: b"up".to_vec() };
        assert_eq!(actor.ancestors, [id(10), id(11)]);
        // A damaged count.
        assert_eq!(decoded(fill(u32::MAX)).ancestors.len(), wire::ANCESTORS);
    }

    #[test]
    fn logins() {
        let login = |known, uid, session, tty: [u8; 16]| {
            let words = [0, 8].map(|at| u64::from_le_bytes(tty[at..at + 8].try_into().unwrap()));
            let mut shrink: wire::Shrink = zeroed();
            shrink.login = wire::Login { known, uid, session, pad: 0, tty: words };
            match decode(&bytes(&shrink, b"")).expect("an event").1 {
                Some(KernelEvent::Shrink(shrink)) => shrink.actor.login,
                other => panic!("{other:?}"),
            }
        };
        let decoded = |known, tty| login(known, 1000, 3, tty);
        let pts = Login { uid: Some(1000), session: Some(3), tty: Some(b"pts/3".to_vec()) };
        assert_eq!(decoded(wire::LOGIN_AUDIT, padded(b"pts3")), pts);
        assert_eq!(decoded(0, padded(b"")), Login::default());
        // A daemon: what is unset is no user.
        assert_eq!(login(wire::LOGIN_AUDIT, NOBODY, NOBODY, padded(b"")), Login::default());
        let root = Login { uid: Some(0), ..Login::default() };
        assert_eq!(login(wire::LOGIN_AUDIT, 0, NOBODY, padded(b"\xffpts3")), root);
        for (name, called) in [
            (&b"ttyS0\0stale"[..], &b"ttyS0"[..]),
            (b"pts", b"pts"),
            (b"pts3x", b"pts3x"),
            (b"0123456789abcdef", b"0123456789abcdef"),
        ] {
            assert_eq!(decoded(0, padded(name)).tty.as_deref(), Some(called));
        }
    }

    #[test]
    fn command_lines() {
        let actor = decoded(|actor| {
            actor.cmdline = padded(b"cp\0-a\0");
            actor.cmdline_len = 6;
            actor.cmdline_full = 6;
        });
        assert_eq!(actor.cmdline, Some(vec![b"cp".to_vec(), b"-a".to_vec()]));
        assert!(!actor.cmdline_cut && !actor.partial);
        let actor = decoded(|actor| {
            actor.cmdline_len = u32::MAX;
            actor.cmdline_full = u32::MAX;
            actor.cmdline = [b'x'; wire::CMDLINE];
            actor.flags = wire::ACTOR_PARTIAL;
        });
        assert_eq!(actor.cmdline.map(|args| args[0].len()), Some(wire::CMDLINE));
        assert!(actor.cmdline_cut && actor.partial);
        let actor = decoded(|actor| {
            actor.flags = wire::ACTOR_NO_CMDLINE;
            actor.cmdline_len = 3;
        });
        assert_eq!(actor.cmdline, None);
    }
}
