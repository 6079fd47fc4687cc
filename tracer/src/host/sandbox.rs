//! A process that can do nothing but compute with what it is given: the parser of foreign files (decision 28).
use std::{io, os::fd::AsRawFd, time::Duration};

use anyhow::{Context as _, Result};
use rustix::{
    process::{
        DumpableBehavior, Resource, Rlimit, Signal, chdir, set_dumpable_behavior,
        set_parent_process_death_signal, setrlimit,
    },
    thread::{
        CapabilitySet, CapabilitySets, Gid, Uid, clear_ambient_capability_set, set_capabilities,
        set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
    },
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, apply_filter,
};

/// Nobody's: behind what service managers and containers take (systemd's docs/UIDS-GIDS.md).
const USER: u32 = 0x7fff_0000;
/// Where that one is not mapped (user namespaces).
const NOBODY: u32 = 65_534;
/// Descriptors at most.
const DESCRIPTORS: u64 = 128;

/// Computes, reads what is open, and talks over sockets that are open.
const COMPUTES: &[i64] = &[
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_close,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_sched_yield,
    libc::SYS_clock_gettime,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Starts such processes, waits for them, and ends them.
const STARTS: &[i64] = &[
    libc::SYS_clone,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    // Its own, where it has no descriptor for one.
    libc::SYS_kill,
    // Those that it starts have this filter, too, and another pid, when they give up.
    libc::SYS_tgkill,
    libc::SYS_tkill,
    libc::SYS_ppoll,
    libc::SYS_getppid,
    libc::SYS_prctl,
    libc::SYS_prlimit64,
    libc::SYS_seccomp,
    libc::SYS_rseq,
    libc::SYS_close_range,
];

/// Of x86 alone.
#[cfg(target_arch = "x86_64")]
const OF_THIS_MACHINE: &[i64] = &[libc::SYS_fork, libc::SYS_poll];
#[cfg(not(target_arch = "x86_64"))]
const OF_THIS_MACHINE: &[i64] = &[];

/// Lets go of all that a process has from who started it: its user, capabilities, paths, and any way to get them again.
/// What it starts has no more than that. It ends with the thread that started it.
///
/// # Errors
/// Where something is left that it might do harm with.
pub fn enter() -> Result<()> {
    leave_user();
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    let _ = clear_ambient_capability_set();
    set_capabilities(None, sets).context("capabilities")?;
    set_no_new_privs(true).context("no_new_privs")?;
    // A change of its user takes these away.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).context("core dumps")?;
    set_parent_process_death_signal(Some(Signal::KILL)).context("its parent's end")?;
    chdir("/").context("/")?;
    for (resource, most) in [
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Memlock, 0),
        (Resource::Nofile, DESCRIPTORS),
    ] {
        limit(resource, most)?;
    }
    // Where the kernel has none, the filter refuses to open anything all the same.
    let _ = forbid_paths();
    let calls = COMPUTES.iter().chain(STARTS).chain(OF_THIS_MACHINE);
    only(calls, &WITH_ARGUMENTS)
}

/// The same for who parses: nothing is started, and memory and time end.
///
/// # Errors
/// As [`enter`].
pub fn confine(memory: u64, time: Duration) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).context("its parent's end")?;
    limit(Resource::As, memory)?;
    let seconds = time.as_secs().max(1);
    // The first one is told as SIGXCPU.
    let (current, maximum) = (Some(seconds), Some(seconds.saturating_add(1)));
    setrlimit(Resource::Cpu, Rlimit { current, maximum }).context("CPU time")?;
    let all = u32::MAX;
    let own = std::process::id();
    let raise = [(libc::SYS_tgkill, 0, all, own), (libc::SYS_tkill, 0, all, own)];
    only(COMPUTES.iter(), &[WITH_ARGUMENTS.as_slice(), &raise].concat())
}

/// A call, the number of an argument, which of its bits matter, and what these must be.
type Condition = (i64, u8, u32, u32);

/// What may be done with some arguments.
const WITH_ARGUMENTS: [Condition; 5] = [
    (libc::SYS_mmap, 2, libc::PROT_EXEC.cast_unsigned(), 0),
    (libc::SYS_mprotect, 2, libc::PROT_EXEC.cast_unsigned(), 0),
    // Builds with assertions look whether what they close is open.
    (libc::SYS_fcntl, 1, u32::MAX, libc::F_GETFD.cast_unsigned()),
    // What is said before abort(3), to nobody.
    (libc::SYS_write, 0, u32::MAX, 2),
    (libc::SYS_writev, 0, u32::MAX, 2),
];

/// Becomes a user that owns nothing. Who may not stays what it is: without capabilities, and with the filter.
fn leave_user() {
    let _ = set_thread_groups(&[]);
    for id in [USER, NOBODY] {
        let (user, group) = (Uid::from_raw(id), Gid::from_raw(id));
        if set_thread_res_gid(group, group, group).is_ok()
            && set_thread_res_uid(user, user, user).is_ok()
        {
            return;
        }
    }
}

/// Closes every descriptor but this one: whoever parses has its own question, and no way to others.
///
/// # Errors
/// Where the kernel cannot do so.
pub fn close_all_but(kept: &impl AsRawFd) -> io::Result<()> {
    let kept = kept.as_raw_fd().cast_unsigned();
    for (first, last) in [(0, kept.checked_sub(1)), (kept + 1, Some(u32::MAX))] {
        let Some(last) = last else { continue };
        // SAFETY: nothing that is closed is used again: what owns it is never dropped.
        if unsafe { libc::syscall(libc::SYS_close_range, first, last, 0_u32) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

fn limit(resource: Resource, most: u64) -> Result<()> {
    let before = rustix::process::getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let most = Some(most.min(before));
    setrlimit(resource, Rlimit { current: most, maximum: most })
        .with_context(|| format!("{resource:?}"))
}

/// A Landlock domain with no path in it: include/uapi/linux/landlock.h.
fn forbid_paths() -> io::Result<()> {
    const CREATE_RULESET: i64 = 444;
    const RESTRICT_SELF: i64 = 446;
    const VERSION: u64 = 1;
    /// What each version knows of file systems.
    static RIGHTS: [u64; 5] = [0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff];
    let none = std::ptr::null::<u64>();
    // SAFETY: asks for a version; nothing is read.
    let version = unsafe { libc::syscall(CREATE_RULESET, none, 0_usize, VERSION) };
    let version = usize::try_from(version).map_err(|_| io::Error::last_os_error())?;
    let at = version.saturating_sub(1).min(RIGHTS.len() - 1);
    // SAFETY: `struct landlock_ruleset_attr` as of the first version: one word.
    let rules =
        unsafe { libc::syscall(CREATE_RULESET, &raw const RIGHTS[at], size_of::<u64>(), 0_u64) };
    if rules < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor of such rules, which are empty; it is closed once.
    let done = unsafe { libc::syscall(RESTRICT_SELF, rules, 0_u64) };
    let error = io::Error::last_os_error();
    // SAFETY: as above.
    unsafe { libc::close(rules as i32) };
    if done == 0 { Ok(()) } else { Err(error) }
}

/// Any other call, and any that is not as its condition says, kills the process (SIGSYS).
fn only<'c>(calls: impl Iterator<Item = &'c i64>, conditional: &[Condition]) -> Result<()> {
    let mut rules: Vec<(i64, Vec<SeccompRule>)> = calls.map(|call| (*call, Vec::new())).collect();
    for (call, argument, bits, value) in conditional {
        let op = SeccompCmpOp::MaskedEq(u64::from(*bits));
        let condition = SeccompCondition::new(*argument, Dword, op, u64::from(*value))?;
        rules.push((*call, vec![SeccompRule::new(vec![condition])?]));
    }
    let machine = std::env::consts::ARCH.try_into()?;
    let (refuse, allow) = (SeccompAction::KillProcess, SeccompAction::Allow);
    let filter = SeccompFilter::new(rules.into_iter().collect(), refuse, allow, machine)?;
    let filter: BpfProgram = filter.try_into()?;
    apply_filter(&filter).context("seccomp(2)")
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt as _, process::Command};

    use super::*;

    /// Run by another test, in a process of its own: it ends there.
    const ALONE: &str = "host::sandbox::tests::alone";
    /// Which of the calls it makes, and whether it is one that starts others.
    const CALL: &str = "WHYBUS_TEST_CALL";

    /// Calls that whoever parses has no use for, with arguments that would do no harm.
    const REFUSED: [(i64, [i64; 4]); 15] = [
        (libc::SYS_openat, [libc::AT_FDCWD as i64, 0, 0, 0]),
        (libc::SYS_openat2, [libc::AT_FDCWD as i64, 0, 0, 0]),
        (libc::SYS_statx, [libc::AT_FDCWD as i64, 0, 0, 0]),
        (libc::SYS_socket, [libc::AF_UNIX as i64, libc::SOCK_STREAM as i64, 0, 0]),
        (libc::SYS_connect, [-1, 0, 0, 0]),
        (libc::SYS_execve, [0; 4]),
        (libc::SYS_ptrace, [-1, 0, 0, 0]),
        (libc::SYS_process_vm_readv, [-1, 0, 0, 0]),
        (libc::SYS_process_vm_writev, [-1, 0, 0, 0]),
        (libc::SYS_bpf, [-1, 0, 0, 0]),
        (libc::SYS_setresuid, [-1, -1, -1, 0]),
        (libc::SYS_io_uring_setup, [0; 4]),
        (libc::SYS_ioctl, [-1, 0, 0, 0]),
        // Memory that code may be put into.
        (libc::SYS_mmap, [0, 4_096, 7, libc::MAP_PRIVATE as i64 | libc::MAP_ANONYMOUS as i64]),
        (libc::SYS_write, [1, 0, 0, 0]),
    ];
    /// Those that starting others takes.
    const OF_PARSING: [(i64, [i64; 4]); 5] = [
        (libc::SYS_clone, [0; 4]),
        (libc::SYS_prctl, [-1, 0, 0, 0]),
        (libc::SYS_pidfd_open, [-1, 0, 0, 0]),
        (libc::SYS_tgkill, [1, 1, 0, 0]),
        (libc::SYS_kill, [0, 0, 0, 0]),
    ];

    fn ended(call: &str) -> std::process::ExitStatus {
        let own = std::env::current_exe().expect("a path");
        let mut command = Command::new(own);
        command
            .args(["--exact", ALONE, "--ignored"])
            .env(CALL, call)
            .env("RUST_BACKTRACE", "0")
            .output()
            .expect("a run")
            .status
    }

    #[test]
    fn every_call_that_parsing_does_not_take_ends_it() {
        for (at, call) in REFUSED.iter().chain(&OF_PARSING).enumerate() {
            let starts = ["starts"].into_iter().filter(|_| at < REFUSED.len());
            for from in starts.chain(["parses"]) {
                let status = ended(&format!("{from} {at}"));
                assert_eq!(status.signal(), Some(libc::SIGSYS), "{from}, {call:?}: {status}");
            }
        }
    }

    #[test]
    fn what_parsing_takes_is_done() {
        assert_eq!(ended("parses done").code(), Some(42));
        assert_eq!(ended("parses abort").signal(), Some(libc::SIGABRT));
        // One that was started by who has the other filter.
        assert_eq!(ended("forks abort").code(), Some(libc::SIGABRT));
        assert_eq!(ended("parses memory").signal(), Some(libc::SIGABRT));
        assert_eq!(ended("parses time").signal(), Some(libc::SIGXCPU));
    }

    #[test]
    #[ignore = "run by another test, in a process of its own"]
    fn alone() {
        let call = std::env::var(CALL).expect("a call");
        let (from, call) = call.split_once(' ').expect("two words");
        enter().expect("a kernel with filters");
        // SAFETY: the child computes, and ends.
        if from == "forks" && unsafe { libc::fork() } != 0 {
            let mut status = 0;
            // SAFETY: `status` is there; this process ends.
            unsafe {
                libc::wait4(-1, &raw mut status, 0, std::ptr::null_mut());
                libc::_exit(libc::WTERMSIG(status));
            }
        }
        if from != "starts" {
            confine(256 << 20, Duration::from_secs(1)).expect("a kernel with filters");
        }
        let calls = [REFUSED.as_slice(), &OF_PARSING].concat();
        match call {
            "done" => {
                let room = vec![1_u8; 32 << 20];
                // SAFETY: this process ends.
                unsafe { libc::_exit(41 + i32::from(std::hint::black_box(room)[77])) }
            }
            "abort" => std::process::abort(),
            "memory" => drop(std::hint::black_box(vec![1_u8; 300 << 20])),
            "time" => loop {
                std::hint::black_box(());
            },
            at => {
                let (call, [a, b, c, d]) = calls[at.parse::<usize>().expect("a number")];
                // SAFETY: null pointers, descriptors that nobody has, and sizes of 0; or memory that nobody uses.
                unsafe { libc::syscall(call, a, b, c, d, -1_i64, 0_i64) };
            }
        }
    }
}
