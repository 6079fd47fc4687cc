//! From the bytes of a ring buffer, or of a saved stream, to an event. Pure; never panics.
use anyhow::{Result, anyhow, bail, ensure};
use bytes::Buf;
use tracer_common::event as wire;

use crate::model::{
    Bytes,
    fault::{Access, Fault, Handler, Mode, Shm},
    file::{Dev, Inode, InodeId, Path},
    input::{KernelEvent, Stamp},
    process::{Exit, Module, ProcessExit, ProcessStart, SelfSignal},
    shrink::{Shrink, ShrinkEnd, ShrinkKind, Stale},
    signal::{Deliver, Disposition, Signal},
    task::{Actor, Ancestor, ProcessId, Task},
};

/// More than any kernel is built for (NR_CPUS).
const CPUS: u32 = 1 << 16;
/// include/linux/mm_types.h enum fault_flag
mod fault_flag {
    pub const WRITE: u32 = 0x01;
    pub const USER: u32 = 0x40;
    pub const REMOTE: u32 = 0x80;
    pub const INSTRUCTION: u32 = 0x100;
}
/// VM_FAULT_HWPOISON | VM_FAULT_HWPOISON_LARGE
const VM_FAULT_POISON: u32 = 0x30;
/// include/linux/sched.h
const PF_KTHREAD: u32 = 0x0020_0000;
/// PF_EXITING | PF_SIGNALED; the latter is set before a core dump (kernel/signal.c get_signal).
const PF_ENDING: u32 = 0x404;

/// Decodes one event; `None` for a kind this build does not know.
///
/// # Errors
/// Where the bytes are shorter than their kind needs or their lengths contradict each other.
pub fn decode(mut bytes: &[u8]) -> Result<(Stamp, Option<KernelEvent>)> {
    ensure!(
        bytes.len() >= size_of::<wire::Header>(),
        "an event of {} bytes is shorter than its header",
        bytes.len()
    );
    let total = bytes.len();
    let b = &mut bytes;
    let kind = b.get_u16_le();
    let ring = b.get_u16_le();
    let len = b.get_u32_le() as usize;
    let cpu = b.get_u32_le();
    b.advance(4);
    let stamp = Stamp { cpu, ring, seq: b.get_u64_le(), time: b.get_u64_le() };
    ensure!(len == total, "an event says {len} bytes and has {total}");
    ensure!(usize::from(ring) < wire::ring::COUNT, "an event names ring {ring}");
    ensure!(cpu < CPUS, "an event names cpu {cpu}");
    let fixed = match kind {
        wire::kind::FAULT => size_of::<wire::Fault>(),
        wire::kind::SHRINK => size_of::<wire::Shrink>(),
        wire::kind::SHRINK_END => size_of::<wire::ShrinkEnd>(),
        wire::kind::SIGNAL => size_of::<wire::Signal>(),
        wire::kind::DELIVER => size_of::<wire::Deliver>(),
        wire::kind::EXIT => size_of::<wire::Exit>(),
        wire::kind::STALE => size_of::<wire::Stale>(),
        wire::kind::START => size_of::<wire::Start>(),
        _ => return Ok((stamp, None)),
    };
    ensure!(total >= fixed, "an event of kind {kind} has {total} bytes instead of {fixed}");
    let event = match kind {
        wire::kind::FAULT => KernelEvent::Fault(Box::new(fault(b)?)),
        wire::kind::SHRINK => KernelEvent::Shrink(Box::new(shrink(b)?)),
        wire::kind::SHRINK_END => {
            let (inode, begin) = (b.get_u64_le(), b.get_u64_le());
            KernelEvent::ShrinkEnd(ShrinkEnd {
                inode,
                begin,
                time: stamp.time,
                ret: b.get_i32_le(),
            })
        }
        wire::kind::SIGNAL => KernelEvent::Signal(Box::new(signal(b))),
        wire::kind::DELIVER => KernelEvent::Deliver(Box::new(deliver(b)?)),
        wire::kind::EXIT => KernelEvent::ProcessExit(Box::new(death(b, stamp.time)?)),
        wire::kind::START => {
            let (actor, exe) = (actor(b), file_id(b));
            KernelEvent::ProcessStart(Box::new(ProcessStart {
                actor,
                exe,
                forked: b.get_u32_le() != 0,
            }))
        }
        wire::kind::STALE => {
            let inode = inode(b);
            KernelEvent::Stale(Stale { ptr: inode.ptr, inode: inode.id })
        }
        other => bail!("kind {other} has a length but no decoder"),
    };
    Ok((stamp, Some(event)))
}

fn fault(b: &mut &[u8]) -> Result<Fault> {
    let actor = actor(b);
    let inode = inode(b);
    let address = b.get_u64_le();
    let pgoff = b.get_u64_le();
    let (vm_start, vm_end, vm_pgoff) = (b.get_u64_le(), b.get_u64_le(), b.get_u64_le());
    let vm_flags = b.get_u64_le();
    let ip = Some(b.get_u64_le()).filter(|ip| *ip != 0);
    let nth = b.get_u64_le();
    let flags = b.get_u32_le();
    let ret = b.get_u32_le();
    let handler = Handler::from(b.get_u32_le());
    let address_exact = b.get_u32_le() != 0;
    let owner_tgid = Some(b.get_u32_le()).filter(|tgid| *tgid != 0);
    let path_flags = b.get_u32_le();
    let path_len = b.get_u32_le();
    let read_errno = Some(b.get_i32_le()).filter(|errno| *errno != 0);
    let (shm_max, shm_used) = (b.get_u64_le(), b.get_u64_le());
    let mnt_ns = Some(b.get_u32_le()).filter(|inum| *inum != 0);
    let below_mount = b.get_u32_le();
    let source = b.chunk()[..wire::SOURCE].split(|b| *b == 0).next().unwrap_or_default().to_vec();
    b.advance(wire::SOURCE);
    let below_mount = b.get(..below_mount as usize).map(|below| names(below).len());
    let unseen = handler == Handler::Unattributed;
    Ok(Fault {
        path: path(b, path_flags, path_len)?,
        shm: (shm_max != 0).then_some(Shm { max: shm_max, used: shm_used }),
        mnt_ns,
        below_mount,
        source: Some(source).filter(|source| !source.is_empty()),
        actor,
        inode,
        address,
        address_exact,
        pgoff,
        vm_start,
        vm_end,
        vm_pgoff,
        vm_flags,
        ip,
        access: if unseen {
            Access::Unknown
        } else if flags & fault_flag::INSTRUCTION != 0 {
            Access::Exec
        } else if flags & fault_flag::WRITE != 0 {
            Access::Write
        } else {
            Access::Read
        },
        mode: if flags & fault_flag::REMOTE != 0 {
            Mode::Remote
        } else if flags & fault_flag::USER != 0 {
            Mode::User
        } else {
            Mode::Kernel
        },
        handler,
        owner_tgid,
        nth,
        read_errno,
        poisoned: ret & VM_FAULT_POISON != 0,
    })
}

fn shrink(b: &mut &[u8]) -> Result<Shrink> {
    let actor = actor(b);
    let inode = inode(b);
    let new_size = u64::try_from(b.get_i64_le()).unwrap_or(0);
    let begin = b.get_u64_le();
    let end = Some(b.get_u64_le()).filter(|end| *end != 0);
    let ret = b.get_i32_le();
    let how = match b.get_u32_le() {
        wire::how::TRUNCATE => ShrinkKind::Truncate,
        wire::how::FTRUNCATE => ShrinkKind::Ftruncate,
        wire::how::OPEN_TRUNC => ShrinkKind::OpenTrunc,
        wire::how::COLLAPSE_RANGE => ShrinkKind::CollapseRange,
        wire::how::REMOTE => ShrinkKind::Remote,
        other => ShrinkKind::Other(other),
    };
    let flags = b.get_u32_le();
    b.advance(4);
    let path_flags = b.get_u32_le();
    let path_len = b.get_u32_le();
    let (ino, outer) = (b.get_u64_le(), dev(b.get_u32_le()));
    b.advance(4);
    Ok(Shrink {
        outer: (ino != 0).then_some((outer, ino)),
        path: path(b, path_flags, path_len)?,
        actor,
        inode,
        new_size,
        begin,
        end,
        ret: end.map(|_| ret),
        how,
        mapped: flags & wire::SHRINK_MAPPED != 0,
        replayed: flags & wire::SHRINK_REPLAYED != 0,
    })
}

fn signal(b: &mut &[u8]) -> Signal {
    Signal {
        target: task(b),
        sender: actor(b),
        address: b.get_u64_le(),
        number: b.get_i32_le(),
        code: b.get_i32_le(),
        result: b.get_i32_le(),
        forced: {
            b.advance(4);
            b.get_u32_le() != 0
        },
    }
}

fn death(b: &mut &[u8], time: u64) -> Result<ProcessExit> {
    let actor = actor(b);
    let (fault, own) = (raised(b), raised(b));
    let (exe, module) = (file_id(b), file_id(b));
    let offset = b.get_u64_le();
    let code = b.get_u32_le();
    let oom = b.get_u32_le() != 0;
    let (path_flags, path_len) = (b.get_u32_le(), b.get_u32_le());
    let path = path(b, path_flags, path_len)?;
    Ok(ProcessExit {
        exit: Exit { id: actor.task.id, time, code },
        actor,
        exe,
        fault,
        own,
        module: module.map(|id| Module { id, offset, path }),
        oom,
    })
}

fn raised(b: &mut &[u8]) -> Option<SelfSignal> {
    let time = b.get_u64_le();
    let address = b.get_u64_le();
    let ip = Some(b.get_u64_le()).filter(|ip| *ip != 0);
    let (signal, code, tid) = (b.get_i32_le(), b.get_i32_le(), b.get_u32_le());
    b.advance(4);
    (time != 0).then_some(SelfSignal { time, address, ip, signal, code, tid })
}

fn file_id(b: &mut &[u8]) -> Option<InodeId> {
    let ino = b.get_u64_le();
    let (dev, generation) = (dev(b.get_u32_le()), b.get_u32_le());
    (ino != 0).then_some(InodeId { dev, ino, generation })
}

fn deliver(b: &mut &[u8]) -> Result<Deliver> {
    let target = actor(b);
    b.advance(4);
    let disposition = match b.get_u32_le() {
        wire::disposition::DEFAULT => Disposition::Default,
        wire::disposition::IGNORE => Disposition::Ignore,
        wire::disposition::HANDLER => Disposition::Handler,
        other => return Err(anyhow!("a delivery names disposition {other}")),
    };
    Ok(Deliver { target, disposition })
}

fn actor(b: &mut &[u8]) -> Actor {
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
    }
}

/// Splits NUL-ended arguments.
pub fn arguments(bytes: &[u8]) -> Vec<Bytes> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    bytes.split(|b| *b == 0).map(<[u8]>::to_vec).collect()
}

fn task(b: &mut &[u8]) -> Task {
    let start = b.get_u64_le();
    let cgroup = b.get_u64_le();
    let tgid = b.get_u32_le();
    let tid = b.get_u32_le();
    let uid = b.get_u32_le();
    let ns_tgid = b.get_u32_le();
    let flags = b.get_u32_le();
    b.advance(4);
    Task {
        id: ProcessId { tgid, start },
        tid,
        uid,
        ns_tgid: Some(ns_tgid).filter(|tgid| *tgid != 0),
        cgroup: Some(cgroup).filter(|id| *id != 0),
        kthread: flags & PF_KTHREAD != 0,
        ending: flags & PF_ENDING != 0,
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

fn inode(b: &mut &[u8]) -> Inode {
    let ptr = b.get_u64_le();
    let ino = b.get_u64_le();
    let dev = dev(b.get_u32_le());
    let generation = b.get_u32_le();
    Inode {
        id: InodeId { dev, ino, generation },
        ptr,
        magic: b.get_u64_le(),
        size: u64::try_from(b.get_i64_le()).unwrap_or(0),
        ctime: b.get_i64_le(),
        nlink: b.get_u32_le(),
        mode: b.get_u32_le(),
        uid: b.get_u32_le(),
        gid: b.get_u32_le(),
    }
}

/// The kernel's dev_t: 12 bits of major, 20 of minor (include/linux/kdev_t.h).
fn dev(dev: u32) -> Dev {
    Dev { major: dev >> 20, minor: dev & 0xf_ffff }
}

/// Names come leaf first, padded with NULs; an empty one is padding.
fn names(bytes: &[u8]) -> Vec<Bytes> {
    bytes.split(|b| *b == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect()
}

fn path(b: &mut &[u8], flags: u32, len: u32) -> Result<Path> {
    ensure!(b.len() == len as usize, "a path says {len} bytes and has {}", b.len());
    let mut names = names(b);
    names.reverse();
    Ok(Path {
        names,
        fs_root: flags & wire::PATH_FS_ROOT != 0,
        cut: flags & wire::PATH_CUT != 0,
        name_missing: flags & wire::PATH_NAME_MISSING != 0,
        deleted: flags & wire::PATH_DELETED != 0,
        pseudo: flags & wire::PATH_PSEUDO != 0,
    })
}
