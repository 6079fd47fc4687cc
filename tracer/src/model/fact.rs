//! What user space looked up after an event: /proc, statfs(2), quotactl(2), symbol tables.
use serde::{Deserialize, Serialize};

use crate::{
    model::{
        Bytes,
        cgroup::CgroupPath,
        file::{Dev, Mount},
        names::ContainerNames,
        output::Outputs,
        server::FuseServer,
        stack::Stack,
        task::{Actor, Ancestor, ProcessId},
    },
    text::{base64, secrets::HIDDEN},
};

/// One thing that was looked up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    Process(Box<Process>),
    Cgroup(CgroupPath),
    Container(Box<ContainerNames>),
    Symbol(Symbol),
    Place(Place),
    Stack(Box<Stack>),
    MemoryLimit(MemoryLimit),
    /// OOM kills since boot (`oom_kill` of /proc/vmstat), counted after a process ended.
    OomKills {
        victim: ProcessId,
        count: u64,
    },
    /// The mounts of our own namespace (/proc/self/mountinfo), where they have changed.
    Mounts(Vec<Mount>),
    Space(Space),
    HugePages(HugePages),
    Commit(Commit),
    Quota(Quota),
    HugeLimit(HugeLimit),
    View(View),
    Mapped(Mapped),
    BoundDriver(BoundDriver),
    Mappers(Mappers),
    FuseServer(FuseServer),
    User(User),
    Triggers(Triggers),
}

/// What a user is called (/etc/passwd).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub uid: u32,
    pub name: String,
}

/// Timers that are set up to start a service, by systemd's unit files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Triggers {
    pub unit: String,
    pub timers: Vec<String>,
}

/// Why nobody asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unasked {
    /// Other processes of the same user do not answer.
    User,
    /// Too many processes, of whatever users, do not answer.
    Others,
}

/// What /proc told of a process, read at once because it may be gone a moment later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub id: ProcessId,
    #[serde(with = "base64")]
    pub exe: Option<Bytes>,
    /// Path of its cgroup as it was looked up at some time: of streams that do not know [`Fact::Cgroup`].
    #[serde(with = "base64")]
    pub cgroup: Option<Bytes>,
    #[serde(with = "base64")]
    pub cmdline: Option<Vec<Bytes>>,
    /// Nearest first.
    pub ancestors: Vec<Ancestor>,
    /// Its name (`comm`) as program and arguments were looked up: exec(2) gives it another. `None` in older
    /// streams.
    #[serde(default, with = "base64")]
    pub comm: Option<Bytes>,
    /// /proc did not answer in time: nothing but the id is known.
    pub late: bool,
    /// Why /proc was not asked in time, if it was not asked at all: then it is `late`, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unasked: Option<Unasked>,
    /// Where its standard output and standard error led; of victims only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Box<Outputs>>,
    /// What its container is called, where that is known of its cgroup.
    #[serde(skip)]
    pub names: Option<Box<ContainerNames>>,
    /// What the user is called who logged in for it.
    #[serde(skip)]
    pub login_user: Option<String>,
    /// Timers that start its service.
    #[serde(skip)]
    pub timers: Vec<String>,
}

impl Process {
    /// One that /proc told nothing of.
    pub fn unknown(id: ProcessId) -> Self {
        let (exe, cgroup, cmdline, comm) = (None, None, None, None);
        let (ancestors, timers) = (Vec::new(), Vec::new());
        let (late, unasked, outputs) = (false, None, None);
        let (names, login_user) = (None, None);
        Self {
            id,
            exe,
            cgroup,
            cmdline,
            ancestors,
            comm,
            late,
            unasked,
            outputs,
            names,
            login_user,
            timers,
        }
    }

    /// Takes over what was learnt later: a program and its arguments are those of the last exec(2). What can no
    /// longer be asked stays as it was known.
    pub fn learn(&mut self, other: Self) {
        let Self { exe, cgroup, cmdline, ancestors, comm, late, unasked, outputs, .. } = other;
        if exe.is_some() {
            self.comm = comm;
        }
        self.exe = exe.or(self.exe.take());
        self.cgroup = self.cgroup.take().or(cgroup);
        self.cmdline = cmdline.or(self.cmdline.take());
        if self.ancestors.is_empty() {
            self.ancestors = ancestors;
        }
        self.late |= late;
        self.unasked = unasked.or(self.unasked);
        match (&mut self.outputs, outputs) {
            (Some(known), Some(outputs)) => known.learn(*outputs),
            (known, outputs) => *known = known.take().or(outputs),
        }
    }
}

/// What the function at an instruction is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symbol {
    pub victim: ProcessId,
    #[serde(with = "base64")]
    pub name: Bytes,
    /// Bytes from its start.
    pub offset: u64,
}

/// Where in its program a fault happened, as /proc said while the process was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub victim: ProcessId,
    pub ip: u64,
    /// The file that is mapped there, by its path as the victim sees it.
    #[serde(with = "base64")]
    pub module: Bytes,
    /// Of the instruction in that file, in bytes.
    pub offset: u64,
    /// Of the instruction for that file's tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<u64>,
    pub symbol: Option<Symbol>,
    /// Of that file.
    #[serde(with = "base64")]
    pub build_id: Option<Bytes>,
}

/// A memory cgroup that is at its limit, read at once after the OOM killer acted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryLimit {
    pub victim: ProcessId,
    #[serde(with = "base64")]
    pub cgroup: Bytes,
    /// Bytes (`memory.max`).
    pub limit: u64,
}

/// How much room a file system had, read at once after a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    pub dev: Dev,
    /// Bytes.
    pub total: u64,
    /// Bytes an ordinary user may still take.
    pub free: u64,
    /// Inodes; 0 of 0 where the file system does not count them.
    pub free_inodes: u64,
    /// What statfs(2) failed with instead of telling the above, a positive errno.
    pub errno: Option<i32>,
}

/// The pool that the huge pages of the file are taken from, read at once after a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HugePages {
    /// Whose fault it was read for; older streams do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub victim: Option<ProcessId>,
    pub total: u64,
    pub free: u64,
    /// Promised to mappings that have not touched them.
    pub reserved: u64,
    /// Bytes.
    pub size: u64,
}

/// How much memory the host has promised, and whether it promises more than it has; read at once after a fault of
/// shared memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// vm.overcommit_memory=2: it promises no more than `limit`.
    pub strict: bool,
    /// Bytes (CommitLimit of /proc/meminfo).
    pub limit: u64,
    /// Bytes (Committed_AS).
    pub committed: u64,
}

/// A quota of the file system that is used up, read at once after a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Whose fault it was asked for.
    pub victim: ProcessId,
    /// USRQUOTA 0, GRPQUOTA 1, PRJQUOTA 2.
    pub kind: u32,
    /// uid, gid or project.
    pub id: u32,
    /// Bytes.
    pub used: u64,
    /// Bytes; the hard limit.
    pub limit: u64,
}

/// The cgroup's limit on huge pages that is used up, read at once after a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HugeLimit {
    /// Whose fault it was asked for.
    pub victim: ProcessId,
    #[serde(with = "base64")]
    pub cgroup: Bytes,
    /// Bytes.
    pub used: u64,
    /// Bytes.
    pub limit: u64,
}

/// What /proc said lies at the address of a signal whose fault nobody told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapped {
    pub victim: ProcessId,
    pub address: u64,
    #[serde(with = "base64")]
    pub path: Bytes,
}

/// The driver that the device of a fault is bound to (/sys/dev/char/M:m/device/driver).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundDriver {
    pub victim: ProcessId,
    pub device: Dev,
    #[serde(with = "base64")]
    pub name: Bytes,
}

/// How the victim's mount namespace sees the file system of its file, where that is not ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    pub victim: ProcessId,
    /// The process it was read from: the victim or an ancestor in the same namespace.
    pub via: u32,
    pub mounts: Vec<Mount>,
}

/// Who maps a file that is being shrunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mappers {
    /// `Shrink::inode.ptr`.
    pub inode: u64,
    /// `Shrink::begin`.
    pub begin: u64,
    pub processes: Vec<Mapper>,
    /// What the file is called in the first of them.
    #[serde(with = "base64")]
    pub path: Option<Bytes>,
    /// Why the list may be incomplete.
    pub why: Option<String>,
}

/// Why nobody is named who maps a file where nobody has looked.
const NOT_LOOKED_FOR: &str =
    "nobody looked who maps it: that was done less than a second before, or too many files wait";

/// The same where somebody has looked and found nobody any more.
pub const GONE: &str = "whoever mapped it was gone when somebody looked";

impl Mappers {
    /// Nobody mapped it, by the kernel.
    pub fn none(inode: u64, begin: u64) -> Self {
        Self { inode, begin, processes: Vec::new(), path: None, why: None }
    }

    /// Somebody maps it, and nobody looks who.
    pub fn not_looked_for(inode: u64, begin: u64) -> Self {
        Self { why: Some(NOT_LOOKED_FOR.to_owned()), ..Self::none(inode, begin) }
    }
}

/// Whether a shrink is a warning: `anybody` was found to be at risk, or was looked for, and `why` says why the search
/// may have missed somebody.
pub fn is_warning(anybody: bool, why: Option<&str>) -> bool {
    anybody || why.is_some_and(|why| ![NOT_LOOKED_FOR, GONE].contains(&why))
}

/// A process that maps a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapper {
    pub id: ProcessId,
    #[serde(with = "base64")]
    pub comm: Bytes,
    /// It may execute what it maps of it. `false` in older streams.
    #[serde(default)]
    pub code: bool,
}

/// Ancestors of an actor, from the kernel or else from /proc.
pub fn ancestors<'a>(actor: &'a Actor, process: Option<&'a Process>) -> &'a [Ancestor] {
    match process {
        Some(process) if actor.ancestors.is_empty() => &process.ancestors,
        _ => &actor.ancestors,
    }
}

/// Command line of an actor: the longer of what the kernel and /proc told. If they differ, /proc told that of another
/// process, or what this one has written over it since.
pub fn cmdline<'a>(actor: &'a Actor, process: Option<&'a Process>) -> Option<&'a [Bytes]> {
    let told = process.and_then(|process| process.cmdline.as_deref());
    match (&actor.cmdline, told) {
        (Some(cmdline), Some(told)) if actor.cmdline_cut && begins_with(told, cmdline) => {
            Some(told)
        }
        (Some(cmdline), _) => Some(cmdline),
        (None, told) => told,
    }
}

/// Whether arguments are those that were cut somewhere in the last one. Where a secret was hidden, they may differ.
fn begins_with(whole: &[Bytes], cut: &[Bytes]) -> bool {
    let Some((last, before)) = cut.split_last() else { return true };
    let plain = |argument: &Bytes| argument.windows(HIDDEN.len()).position(|at| at == HIDDEN);
    let same = |argument: &Bytes| {
        let last = &last[..plain(last).unwrap_or(last.len())];
        let as_long = argument.len() >= last.len() || plain(argument).is_some();
        let end = plain(argument).unwrap_or(argument.len());
        as_long && last.iter().zip(&argument[..end]).all(|(one, other)| one == other)
    };
    whole.get(..before.len()) == Some(before) && whole.get(before.len()).is_some_and(same)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::actor;

    fn words(line: &str) -> Vec<Bytes> {
        line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
    }

    #[test]
    fn proc_only_goes_on_with_what_the_kernel_told() {
        let told = |kernel: &str, cut: bool, proc: &str| {
            let actor = Actor { cmdline: Some(words(kernel)), cmdline_cut: cut, ..actor(7) };
            let process = Process { cmdline: Some(words(proc)), ..Process::unknown(actor.task.id) };
            String::from_utf8(cmdline(&actor, Some(&process)).expect("some").join(&b' '))
        };
        let cases = [
            ("java -cp /opt/a", true, "java -cp /opt/a.jar:/opt/b.jar Main", true),
            ("java -cp", true, "java -cp /opt/a.jar", true),
            ("java -cp /opt/a", false, "java -cp /opt/a.jar", false),
            // Of another process that has its pid by now.
            ("java -cp /opt/a", true, "python -cp /opt/a.jar", false),
            ("java -cp /opt/a", true, "java -cp /opt/b", false),
            ("java -cp /opt/a", true, "java -cp /op", false),
            ("java -cp /opt/a", true, "java -cp", false),
            // Where it was cut, a secret may be hidden in only one of them.
            ("get https://me:s3", true, "get https://me:***@host", true),
            ("get https://me:***", true, "get https://me:***@host/x", true),
            ("get https://me:***", true, "get https://you:***@host/x", false),
        ];
        for (kernel, cut, proc, longer) in cases {
            let expected = if longer { proc } else { kernel };
            assert_eq!(told(kernel, cut, proc).as_deref(), Ok(expected), "{kernel}, {proc}");
        }
    }

    #[test]
    fn without_a_word_of_the_kernel_proc_is_asked() {
        let actor = Actor { cmdline: None, ..actor(7) };
        let process = Process { cmdline: Some(words("a b")), ..Process::unknown(actor.task.id) };
        assert_eq!(cmdline(&actor, Some(&process)), Some(&words("a b")[..]));
        assert_eq!(cmdline(&actor, None), None);
    }
}
