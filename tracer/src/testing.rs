//! Values for unit tests: process 1, started at STARTED, watched since SINCE, on ext4.
use std::sync::LazyLock;

pub use crate::{
    correlate::{evidence::Evidence, rules::evaluate},
    model::{
        cause::{CauseKind, Confidence},
        crash::Crash,
        fact::{Commit, HugeLimit, HugePages, Mapped, Quota, Space},
        fault::{Access, Fault, Handler, Mapper, Mode, QuotaId, Refusal, Shm},
        file::{Dev, Inode, InodeId, Path},
        host::Host,
        observe::{AttachedHook, Coverage, Observe, Uncovered},
        output::OpenFile,
        process::{Exit, ExitScope, ProcessExit, Program, SelfSignal},
        shrink::{Shrink, ShrinkKind},
        signal::{Origin, Signal},
        task::{Actor, Ancestor, Login, ProcessId, Task},
        time::ClockOffset,
    },
};

pub const VICTIM: u32 = 1;
pub const STARTED: u64 = 1_000_000_000;
pub const SINCE: u64 = 5_000_000_000;
pub const WALL: i64 = 1_000_000;

static HOST: LazyLock<Host> = LazyLock::new(host);

/// Watches bus errors and who shrinks files.
pub fn host() -> Host {
    Host {
        name: "host".into(),
        boot_id: "boot".into(),
        release: "6.1".into(),
        since: SINCE,
        clock: ClockOffset(WALL),
        page_size: 4096,
        cpus: Some(2),
        pid: 99,
        mnt_ns: None,
        init_mnt_ns: None,
        deaths: ExitScope::default(),
        coverage: Coverage {
            hooks: [Observe::Shrink, Observe::Collapse].map(hook).into(),
            ..Coverage::default()
        },
    }
}

fn hook(observe: Observe) -> AttachedHook {
    AttachedHook { observe: Some(observe), hook: observe.word().to_owned() }
}

/// A host on which all is watched but that.
pub fn lacking(missing: &[Observe]) -> Host {
    let is_there = |observe: &&Observe| !missing.contains(observe);
    let hooks = Observe::ALL.iter().filter(is_there).map(|observe| hook(*observe));
    let uncovered = missing.iter().map(|observe| Uncovered {
        observe: Some(*observe),
        hook: observe.word().to_owned(),
        reason: "kernel.ftrace_enabled is 0".to_owned(),
        causes: String::new(),
    });
    let coverage = Coverage { hooks: hooks.collect(), uncovered: uncovered.collect() };
    Host { coverage, ..host() }
}

/// A process of one thread, that the kernel told all of.
pub fn actor(tgid: u32) -> Actor {
    let task = Task {
        id: ProcessId { tgid, start: STARTED },
        tid: tgid,
        uid: 0,
        ns_tgid: None,
        cgroup: None,
        exe: None,
        kthread: false,
        ending: false,
        forked: false,
        comm: b"x".to_vec(),
        thread_comm: b"x".to_vec(),
    };
    Actor {
        task,
        ancestors: Vec::new(),
        cmdline: None,
        cmdline_cut: false,
        partial: false,
        login: Login::default(),
    }
}

/// On ext4, unchanged since before the process started.
pub fn inode(size: u64) -> Inode {
    let id = InodeId { dev: Dev { major: 8, minor: 1 }, ino: 12, generation: 1 };
    Inode {
        id,
        ptr: 7,
        magic: 0xef53,
        size,
        ctime: WALL,
        nlink: 1,
        mode: 0o100_644,
        uid: 0,
        gid: 0,
    }
}

pub fn fault(pgoff: u64, size: u64) -> Fault {
    Fault {
        actor: actor(VICTIM),
        inode: inode(size),
        path: Path::default(),
        address: 0,
        address_exact: true,
        pgoff,
        vm_start: 0,
        vm_end: 0x10_0000,
        vm_pgoff: 0,
        vm_flags: 0,
        ip: None,
        access: Access::Read,
        mode: Mode::User,
        handler: Handler::FilemapFault,
        owner_tgid: Some(VICTIM),
        nth: 1,
        read_errno: None,
        refusal: Refusal::default(),
        mapper: Mapper::default(),
        poisoned: false,
        shm: None,
        mnt_ns: None,
        below_mount: None,
        source: None,
    }
}

/// A page that lies inside of a file, but was not made writable, its file system having said so much.
pub fn refused(refusal: Refusal) -> Fault {
    Fault { handler: Handler::PageMkwrite, access: Access::Write, refusal, ..fault(0, 8_192) }
}

pub fn space(free: u64) -> Space {
    Space { dev: Dev { major: 8, minor: 1 }, total: 1 << 24, free, free_inodes: 100, errno: None }
}

pub fn shrink(tgid: u32, begin: u64, old: u64, new_size: u64) -> Shrink {
    Shrink {
        actor: actor(tgid),
        inode: inode(old),
        path: Path::default(),
        new_size,
        begin,
        end: None,
        ret: None,
        how: ShrinkKind::Ftruncate,
        mapped: true,
        replayed: false,
        dropped: false,
        shared: false,
        outer: None,
    }
}

pub fn signal(code: i32) -> Signal {
    let (target, sender) = (actor(VICTIM).task, actor(2));
    Signal {
        target,
        sender,
        number: 7,
        code,
        address: 0,
        generated: None,
        result: 0,
        forced: false,
        origin: Origin::Call,
    }
}

/// The end of the victim, `code` as wait(2) gives it.
pub fn exit(time: u64, code: u32) -> ProcessExit {
    let actor = actor(VICTIM);
    let exit = Exit { id: actor.task.id, time, code };
    let (exe, fault, own, module, crash) = (None, None, None, None, None);
    let (oom, signals_left, prompt) = (false, false, None);
    ProcessExit { exit, actor, exe, fault, own, module, crash, oom, signals_left, prompt }
}

/// An instruction that is none, on x86-64.
pub fn crash() -> Crash {
    let id = actor(VICTIM).task.id;
    let (module, bytes, registers) = (None, Vec::new(), None);
    let (tid, ip, machine) = (VICTIM, 0x7f00_0000_1000, 62);
    Crash { id, tid, ip, signal: 11, code: 0x80, module, bytes, registers, machine }
}

/// A process runs what is called so, in the root directory.
pub fn program(tgid: u32, name: &[u8]) -> Program {
    let path = Path { names: vec![name.to_vec()], ..Path::default() };
    Program { id: actor(tgid).task.id, path }
}

/// The ancestors of a child of `parent`, a shell.
pub fn child_of(parent: u32) -> Vec<Ancestor> {
    vec![Ancestor { id: ProcessId { tgid: parent, start: 5 }, comm: b"sh".to_vec() }]
}

pub fn raised(time: u64, signal: i32, code: i32) -> SelfSignal {
    SelfSignal { time, address: 0, ip: None, signal, code, tid: VICTIM, may_be_sent: false }
}

pub fn of_death<'a>(death: &'a ProcessExit, signal: Option<&'a Signal>) -> Evidence<'a> {
    Evidence { death: Some(death), signal, ..nothing() }
}

pub fn evidence<'a>(fault: &'a Fault, shrinks: &'a [Shrink]) -> Evidence<'a> {
    Evidence { fault: Some(fault), shrinks, ..nothing() }
}

pub fn without_fault(signal: &Signal) -> Evidence<'_> {
    Evidence { signal: Some(signal), ..nothing() }
}

fn nothing<'a>() -> Evidence<'a> {
    Evidence {
        victim: ProcessId { tgid: VICTIM, start: STARTED },
        forked_since: None,
        fault: None,
        signal: None,
        death: None,
        stack: None,
        prompt: None,
        oom: None,
        memory: None,
        shrinks: &[],
        overwrites: &[],
        code_lost: None,
        time: 10_000_000_000,
        space: None,
        quota: None,
        huge_pages: None,
        commit: None,
        huge_limit: None,
        mapped: None,
        stale: false,
        host: &HOST,
        covered: SINCE,
        dropped: None,
        lost: 0,
        shrinks_lost: 0,
        forced_lost: 0,
    }
}

/// A file that is open for writing, of that type.
pub fn open_file(kind: u32, path: &[&str]) -> OpenFile {
    let names = path.iter().map(|name| name.as_bytes().to_vec()).collect();
    let mut inode = inode(100);
    inode.mode = kind | 0o600;
    OpenFile {
        inode,
        writable: true,
        moved: true,
        device: Dev { major: 0, minor: 0 },
        mnt_ns: 1,
        mount: Some(9),
        path: Path { names, ..Path::default() },
        bound: None,
    }
}
