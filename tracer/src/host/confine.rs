//! What a process that watches cannot do any more: system calls that it has no use for are refused (decision 26).
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, apply_filter_all_threads, sock_filter,
};

/// There is a filter of our own.
static CONFINED: AtomicBool = AtomicBool::new(false);

/// What is still to be done once watching has begun.
#[derive(Debug, Clone, Copy)]
pub struct Needs {
    /// Probes, of modules that are loaded later.
    pub attach: bool,
    /// Commands, which have the same filter.
    pub commands: bool,
}

/// Whatever is asked, with any arguments.
const REFUSED: &[i64] = &[
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_process_mrelease,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    // The kernel's own code.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    KEXEC_FILE_LOAD,
    // Mounts and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_unshare,
    // The host.
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_fanotify_init,
    // Keys, and what kernels are attacked through.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_personality,
];

/// Of x86 alone.
#[cfg(target_arch = "x86_64")]
const OF_THIS_MACHINE: &[i64] = &[libc::SYS_ioperm, libc::SYS_iopl, libc::SYS_modify_ldt];
#[cfg(not(target_arch = "x86_64"))]
const OF_THIS_MACHINE: &[i64] = &[];

/// libc has no number of it for arm64 with musl.
#[cfg(target_arch = "x86_64")]
const KEXEC_FILE_LOAD: i64 = 320;
#[cfg(not(target_arch = "x86_64"))]
const KEXEC_FILE_LOAD: i64 = 294;

/// What runs another program.
const COMMANDS: [i64; 2] = [libc::SYS_execve, libc::SYS_execveat];

/// Commands of bpf(2), include/uapi/linux/bpf.h `enum bpf_cmd`: BPF_MAP_LOOKUP_ELEM, for counters, and
/// BPF_OBJ_GET_INFO_BY_FD, by which aya opens a map whose descriptor it has.
const BPF: [u32; 2] = [1, 15];
/// BPF_PROG_LOAD, BPF_RAW_TRACEPOINT_OPEN and BPF_LINK_CREATE.
const BPF_ATTACH: [u32; 3] = [5, 17, 28];

/// What types on a terminal for whoever sits there.
const TYPE: [u32; 2] = [libc::TIOCSTI as u32, libc::TIOCLINUX as u32];

/// Refuses what is not needed, in all threads there are and to come, and in all programs they run. There is no way back.
///
/// # Errors
/// Where the kernel has no such filters.
pub fn confine(needs: Needs) -> Result<()> {
    apply_filter_all_threads(&filter(needs)?).context("seccomp(2)")?;
    CONFINED.store(true, Ordering::Relaxed);
    Ok(())
}

/// How many of the filters that the kernel counts are our own.
pub fn own_filters() -> u64 {
    u64::from(CONFINED.load(Ordering::Relaxed))
}

fn filter(needs: Needs) -> Result<BpfProgram> {
    let mut rules: Vec<(i64, Vec<SeccompRule>)> =
        REFUSED.iter().chain(OF_THIS_MACHINE).map(|call| (*call, Vec::new())).collect();
    let mut bpf = BPF.to_vec();
    if needs.attach {
        bpf.extend(BPF_ATTACH);
    } else {
        rules.push((libc::SYS_perf_event_open, Vec::new()));
    }
    rules.push((libc::SYS_bpf, vec![other_than(0, &bpf)?]));
    let kinds = [libc::USRQUOTA, libc::GRPQUOTA];
    let quotas = kinds.map(|kind| libc::QCMD(libc::Q_GETQUOTA, kind).cast_unsigned());
    rules.push((libc::SYS_quotactl, vec![other_than(0, &quotas)?]));
    rules.push((libc::SYS_quotactl_fd, vec![other_than(1, &quotas)?]));
    let types = TYPE.iter().map(|request| rule(vec![is(1, *request, SeccompCmpOp::Eq)?]));
    rules.push((libc::SYS_ioctl, types.collect::<Result<_>>()?));
    if !needs.commands {
        rules.extend(COMMANDS.map(|call| (call, Vec::new())));
        // A service manager and the journal have sockets of this host.
        let unix = [libc::AF_UNIX.cast_unsigned()];
        rules.push((libc::SYS_socket, vec![other_than(0, &unix)?]));
    }
    let (allow, refuse) = (SeccompAction::Allow, SeccompAction::Errno(libc::EPERM.cast_unsigned()));
    let machine = std::env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(rules.into_iter().collect(), allow, refuse, machine)?;
    let filter: BpfProgram = filter.try_into()?;
    Ok([no_x32(), filter].concat())
}

/// The rule that an argument is none of these.
fn other_than(argument: u8, values: &[u32]) -> Result<SeccompRule> {
    let conditions = values.iter().map(|value| is(argument, *value, SeccompCmpOp::Ne));
    rule(conditions.collect::<Result<_>>()?)
}

fn is(argument: u8, value: u32, op: SeccompCmpOp) -> Result<SeccompCondition> {
    Ok(SeccompCondition::new(argument, Dword, op, u64::from(value))?)
}

fn rule(conditions: Vec<SeccompCondition>) -> Result<SeccompRule> {
    Ok(SeccompRule::new(conditions)?)
}

/// On x86 the same calls have other numbers in a second ABI, which is of the same architecture as far as a filter is told
/// (arch/x86/include/uapi/asm/unistd.h `__X32_SYSCALL_BIT`): as if the kernel had been built without it.
fn no_x32() -> BpfProgram {
    if !cfg!(target_arch = "x86_64") {
        return Vec::new();
    }
    let of = |code: u32, jf, k| sock_filter { code: code as u16, jt: 0, jf, k };
    // `nr` is what `struct seccomp_data` begins with.
    let load = of(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0);
    let is_x32 = of(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 1, 0x4000_0000);
    let none = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned();
    vec![load, is_x32, of(libc::BPF_RET | libc::BPF_K, 0, none)]
}

#[cfg(test)]
mod tests {
    use std::{io, process::Command, sync::mpsc, thread};

    use super::*;

    const NO_NEEDS: Needs = Needs { attach: false, commands: false };

    /// What a call answers whose arguments are wrong; 0 if it does not mind them.
    fn answer(call: i64, arguments: [i64; 4]) -> i32 {
        let [a, b, c, d] = arguments;
        // SAFETY: null pointers and descriptors that nobody has, and sizes of 0.
        match unsafe { libc::syscall(call, a, b, c, d) } {
            -1 => io::Error::last_os_error().raw_os_error().unwrap_or(0),
            _ => 0,
        }
    }

    /// In a thread of its own, which has the filter for itself.
    fn confined<T: Send + 'static>(needs: Needs, ask: fn() -> T) -> T {
        let filter = filter(needs).expect("a filter");
        let confined = move || {
            seccompiler::apply_filter(&filter).expect("a kernel with filters");
            ask()
        };
        thread::spawn(confined).join().expect("no panic")
    }

    /// Calls that answer otherwise to whoever may do them; in a container some may not be done by anybody.
    const WRONG: [(i64, [i64; 4]); 8] = [
        (libc::SYS_quotactl, [libc::QCMD(libc::Q_SYNC, libc::USRQUOTA) as i64, 0, 0, 0]),
        (libc::SYS_process_vm_writev, [-1, 0, 0, 0]),
        (libc::SYS_setns, [-1, 0, 0, 0]),
        (libc::SYS_unshare, [0; 4]),
        (libc::SYS_keyctl, [-1, 0, 0, 0]),
        (libc::SYS_ioctl, [-1, libc::TIOCSTI as i64, 0, 0]),
        (libc::SYS_execve, [0; 4]),
        (libc::SYS_socket, [libc::AF_INET as i64, -1, 0, 0]),
    ];

    /// Calls that go on, and those that go on as long as something may be attached.
    const RIGHT: [(i64, [i64; 4]); 2] = [
        (libc::SYS_bpf, [BPF[0] as i64, 0, 0, 0]),
        (libc::SYS_quotactl, [libc::QCMD(libc::Q_GETQUOTA, libc::GRPQUOTA) as i64, 0, 0, 0]),
    ];
    const ATTACH: [(i64, [i64; 4]); 2] = [
        (libc::SYS_bpf, [BPF_ATTACH[0] as i64, 0, 0, 0]),
        (libc::SYS_perf_event_open, [0, -1, -1, -1]),
    ];

    fn answers_to(calls: &[(i64, [i64; 4])]) -> Vec<i32> {
        calls.iter().map(|(call, arguments)| answer(*call, *arguments)).collect()
    }

    fn answers() -> Vec<i32> {
        answers_to(&WRONG)
    }

    #[test]
    fn what_is_not_needed_is_refused() {
        let before = answers();
        let may = before.iter().filter(|answer| **answer != libc::EPERM).count();
        assert!(may >= 3, "{before:?}");
        assert_eq!(confined(NO_NEEDS, answers), [libc::EPERM; WRONG.len()]);
        let all = confined(NO_NEEDS, || {
            REFUSED.iter().chain(OF_THIS_MACHINE).all(|call| answer(*call, [-1; 4]) == libc::EPERM)
        });
        assert!(all);
    }

    #[test]
    fn what_is_needed_is_done() {
        let needs = Needs { attach: true, commands: true };
        assert_eq!(confined(NO_NEEDS, || answers_to(&RIGHT)), answers_to(&RIGHT));
        assert_eq!(confined(needs, || answers_to(&ATTACH)), answers_to(&ATTACH));
        assert_eq!(confined(NO_NEEDS, || answers_to(&ATTACH)), [libc::EPERM; ATTACH.len()]);
        assert_ne!(confined(needs, || answer(libc::SYS_execve, [0; 4])), libc::EPERM);
        assert!(confined(needs, || std::net::UdpSocket::bind("127.0.0.1:0").is_ok()));
        assert!(confined(NO_NEEDS, || std::os::unix::net::UnixDatagram::unbound().is_ok()));
        let program = |needs| confined(needs, || Command::new("true").status().is_ok());
        assert!(program(needs) && !program(NO_NEEDS));
    }

    #[test]
    fn calls_of_a_second_abi_are_none() {
        #[cfg(target_arch = "x86_64")]
        for call in [libc::SYS_getpid, 521] {
            let needs = Needs { attach: true, commands: true };
            let filter = filter(needs).expect("a filter");
            let asked = thread::spawn(move || {
                seccompiler::apply_filter(&filter).expect("a kernel with filters");
                answer(call | 0x4000_0000, [0; 4])
            });
            assert_eq!(asked.join().expect("no panic"), libc::ENOSYS);
        }
    }

    /// A process that has the filter keeps it.
    const ALONE: &str = "host::confine::tests::alone";

    #[test]
    fn a_thread_that_was_there_before_has_it_too() {
        let own = std::env::current_exe().expect("a path");
        let run = Command::new(own).args(["--exact", ALONE, "--ignored"]).output();
        let run = run.expect("a run");
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success() && said.contains("1 passed"), "{said}");
    }

    #[test]
    #[ignore = "run by another test, in a process of its own"]
    fn alone() {
        let (go, gone) = mpsc::channel::<()>();
        let earlier = thread::spawn(move || gone.recv().map(|()| answers()));
        assert_eq!(own_filters(), 0);
        confine(NO_NEEDS).expect("a kernel with filters");
        assert_eq!(own_filters(), 1);
        go.send(()).expect("it waits");
        assert_eq!(earlier.join().expect("no panic"), Ok(vec![libc::EPERM; WRONG.len()]));
        let status = std::fs::read_to_string("/proc/self/status").expect("a status");
        assert!(
            status.contains("NoNewPrivs:\t1\n") && status.contains("Seccomp:\t2\n"),
            "{status}"
        );
    }
}
