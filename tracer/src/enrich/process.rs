//! Processes: what /proc still tells of one. Every field may be missing; none may block long.
use std::{
    fs::{self, File},
    io::Read as _,
    os::fd::OwnedFd,
};

use rustix::fs::{CWD, Mode, OFlags, openat, readlinkat};

use crate::{
    model::{
        Bytes,
        fact::{Mapper, Process},
        task::{Ancestor, ProcessId, Task},
    },
    wire::decode::arguments,
};

/// Longest command line kept, in bytes: enough for any `java -cp …` worth reading.
const CMDLINE: u64 = 16 * 1024;
/// `task_struct.start_boottime` in /proc/PID/stat counts USER_HZ, 100 on every architecture.
const NS_PER_TICK: u64 = 10_000_000;
const ANCESTORS: usize = 8;
/// Of /proc/PID/stat: some fifty numbers.
const STAT: u64 = 4096;

impl Process {
    /// One that /proc told nothing of in time.
    pub fn late(id: ProcessId) -> Self {
        Self { late: true, ..Self::unknown(id) }
    }
}

/// A process' directory in /proc. Nothing is read through it of another one that has the same pid later
/// (fs/proc/base.c: it holds the `struct pid`).
struct Directory(OwnedFd);

impl Directory {
    fn open(tgid: u32) -> Option<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(CWD, format!("/proc/{tgid}"), flags, Mode::empty()).ok().map(Self)
    }

    fn read(&self, name: &str, most: u64) -> Option<Bytes> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = File::from(openat(&self.0, name, flags, Mode::empty()).ok()?);
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    fn stat(&self) -> Option<Stat> {
        Stat::parse(&self.read("stat", STAT)?)
    }

    fn exe(&self) -> Option<Bytes> {
        Some(readlinkat(&self.0, "exe", Vec::new()).ok()?.into_bytes())
    }

    /// Reading it can hang.
    fn cmdline(&self) -> Option<Vec<Bytes>> {
        let bytes = self.read("cmdline", CMDLINE)?;
        (!bytes.is_empty()).then(|| arguments(&bytes))
    }
}

/// Reads what /proc tells of a task's process; `None` if there is nothing to tell: it is gone, or its pid now
/// names another process.
///
/// The command line is read only if it is `wanted`: that can hang.
pub fn read(task: &Task, wanted: bool) -> Option<Process> {
    of(&Directory::open(task.id.tgid)?, task.id, wanted)
}

fn of(directory: &Directory, id: ProcessId, wanted: bool) -> Option<Process> {
    let stat = directory.stat().filter(|stat| stat.is_of(id))?;
    Some(Process {
        id,
        exe: directory.exe(),
        cmdline: wanted.then(|| directory.cmdline()).flatten(),
        ancestors: ancestors(stat.ppid, stat.start()),
        comm: Some(stat.comm),
        ..Process::unknown(id)
    })
}

/// Whether a process is there still, by its start as the kernel told it; 0 if it did not.
pub(super) fn is_there(id: ProcessId) -> bool {
    Stat::read(id.tgid).is_some_and(|stat| stat.is_of(id))
}

/// Whether a process is there still, by its start as far as /proc counts that.
pub fn lives(id: ProcessId) -> bool {
    Stat::read(id.tgid).is_some_and(|stat| stat.start() == id.start)
}

/// A process by name and start, as far as /proc counts that, and whether it maps `code`.
pub fn mapper(tgid: u32, code: bool) -> Option<Mapper> {
    let stat = Stat::read(tgid)?;
    Some(Mapper { id: ProcessId { tgid, start: stat.start() }, comm: stat.comm, code })
}

pub(super) fn exe(tgid: u32) -> Option<Bytes> {
    Directory::open(tgid)?.exe()
}

/// Reading it can hang.
pub(super) fn cmdline(tgid: u32) -> Option<Vec<Bytes>> {
    Directory::open(tgid)?.cmdline()
}

/// Parent `ppid` of a process that was started at `born`, ns since boot, and those above. A parent is no younger than its
/// child, whoever that was left to: who is younger has got the pid of a parent that is gone.
pub(super) fn ancestors(mut ppid: u32, mut born: u64) -> Vec<Ancestor> {
    let mut found = Vec::new();
    while ppid != 0 && found.len() < ANCESTORS {
        let Some(stat) = Stat::read(ppid).filter(|stat| stat.start() <= born) else { break };
        born = stat.start();
        let id = ProcessId { tgid: ppid, start: born };
        found.push(Ancestor { id, comm: stat.comm });
        ppid = stat.ppid;
    }
    found
}

/// The fields of /proc/PID/stat in use.
#[derive(Debug, PartialEq, Eq)]
pub struct Stat {
    pub comm: Bytes,
    /// `R` where it does not sleep (fs/proc/array.c task_state_array).
    pub state: u8,
    pub ppid: u32,
    start_ticks: u64,
}

impl Stat {
    fn is_of(&self, id: ProcessId) -> bool {
        id.start == 0 || id.start / NS_PER_TICK == self.start_ticks
    }

    /// When the process was started, ns since boot, to 10 ms.
    pub fn start(&self) -> u64 {
        self.start_ticks.saturating_mul(NS_PER_TICK)
    }

    pub fn read(tgid: u32) -> Option<Self> {
        Self::parse(&fs::read(format!("/proc/{tgid}/stat")).ok()?)
    }

    /// `pid (comm) state ppid …`: the comm may hold anything, parentheses and newlines included.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let open = bytes.iter().position(|b| *b == b'(')?;
        let close = bytes.iter().rposition(|b| *b == b')')?;
        let comm = bytes.get(open + 1..close)?.to_vec();
        let rest = std::str::from_utf8(bytes.get(close + 1..)?).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let ppid = fields.next()?.parse().ok()?;
        // starttime is field 22 of proc(5); ppid was the 4th.
        let start_ticks = fields.nth(17)?.parse().ok()?;
        Some(Self { comm, state, ppid, start_ticks })
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_comm_may_hold_parentheses() {
        let line = b"7 (a) (b\n) S 3 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 1\n";
        let stat = Stat { comm: b"a) (b\n".to_vec(), state: b'S', ppid: 3, start_ticks: 4242 };
        assert_eq!(Stat::parse(line), Some(stat));
    }

    #[test]
    fn damaged_lines_are_no_process() {
        for line in [&b""[..], b"7 (", b"7 )(", b"7 (a) S", b"\xff\xff"] {
            assert_eq!(Stat::parse(line), None);
        }
    }

    fn task(start: u64) -> Task {
        Task {
            id: ProcessId { tgid: std::process::id(), start },
            tid: std::process::id(),
            uid: 0,
            ns_tgid: None,
            cgroup: None,
            exe: None,
            kthread: false,
            forked: false,
            ending: false,
            comm: Vec::new(),
            thread_comm: Vec::new(),
        }
    }

    #[test]
    fn we_are_a_process_ourselves() {
        let process = read(&task(0), true).expect("/proc/self");
        assert!(process.exe.is_some() && process.cmdline.is_some());
    }

    #[test]
    fn a_reused_pid_is_another_process() {
        assert_eq!(read(&task(1), true), None);
    }

    /// Its pid may be anybody's once it has been waited for.
    #[test]
    fn nothing_is_read_of_who_gets_its_pid_later() {
        let mut child = Command::new("sleep").arg("1000").spawn().expect("a child");
        let id = ProcessId { tgid: child.id(), start: 0 };
        let directory = Directory::open(id.tgid).expect("/proc");
        assert!(of(&directory, id, true).is_some_and(|process| process.exe.is_some()));
        child.kill().expect("ours");
        child.wait().expect("ours");
        assert_eq!((directory.stat(), directory.exe(), directory.cmdline()), (None, None, None));
        assert_eq!(of(&directory, id, true), None);
    }

    #[test]
    fn who_is_younger_than_a_child_is_not_its_parent() {
        let own = Stat::read(std::process::id()).expect("/proc/self");
        let parents = ancestors(own.ppid, own.start());
        assert_eq!(parents.first().map(|parent| parent.id.tgid), Some(own.ppid));
        assert_eq!(ancestors(own.ppid, parents[0].id.start - 1), []);
    }
}
