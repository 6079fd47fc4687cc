//! Page faults.
use anyhow::Result;
use bytes::Buf;
use tracer_common::event as wire;

use crate::{
    model::fault::{Access, Fault, Handler, KernelSymbol, Mapper, Mode, QuotaId, Refusal, Shm},
    wire::decode::{
        file::{dev, inode, names_within, path},
        task::actor,
    },
};

/// include/linux/mm_types.h enum fault_flag
mod fault_flag {
    pub const WRITE: u32 = 0x01;
    pub const USER: u32 = 0x40;
    pub const REMOTE: u32 = 0x80;
    pub const INSTRUCTION: u32 = 0x100;
}
/// VM_FAULT_HWPOISON | VM_FAULT_HWPOISON_LARGE
const VM_FAULT_POISON: u32 = 0x30;

/// `wire::Fault`, of any version.
pub fn fault(b: &mut &[u8], version: u16) -> Result<Fault> {
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
    let refusal = if version == 0 { Refusal::default() } else { refusal(b) };
    let mapper = match version {
        0 => Mapper::default(),
        1 => {
            b.advance(4);
            Mapper::default()
        }
        _ => mapper(b),
    };
    let below_mount = names_within(b, below_mount);
    let unattributed = handler == Handler::Unattributed;
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
        access: if unattributed {
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
        refusal,
        mapper,
        poisoned: ret & VM_FAULT_POISON != 0,
    })
}

/// What stands behind version 0.
fn refusal(b: &mut &[u8]) -> Refusal {
    let errno = Some(b.get_i32_le()).filter(|errno| *errno != 0);
    let doubt = b.get_u32_le() != 0;
    let (kind, id) = (b.get_u32_le(), b.get_u32_le());
    let state = b.get_u32_le();
    Refusal {
        errno,
        doubt,
        quota: kind.checked_sub(1).map(|kind| QuotaId { kind, id }),
        read_only: state & wire::fs_state::READ_ONLY != 0,
        shut_down: state & wire::fs_state::SHUT_DOWN != 0,
    }
}

/// What stands behind version 1.
fn mapper(b: &mut &[u8]) -> Mapper {
    let rdev = b.get_u32_le();
    let asked = b.get_u32_le();
    b.advance(4);
    Mapper {
        device: (rdev != 0).then(|| dev(rdev)),
        nobody: asked == wire::mapper::NOBODY,
        function: symbol(b),
        vm_ops: symbol(b),
        file_ops: symbol(b),
    }
}

/// `name+0x0/0x1f0 [module]`, ended by NUL; `None` if there is none, or the address is inside of something else.
fn symbol(b: &mut &[u8]) -> Option<KernelSymbol> {
    let text = b.chunk()[..wire::SYMBOL].split(|b| *b == 0).next().unwrap_or_default().to_vec();
    b.advance(wire::SYMBOL);
    let mut words = text.split(|b| *b == b' ');
    let (name, module) = (words.next()?, words.next());
    let at = name.windows(5).position(|part| part == b"+0x0/")?;
    // Kernels that check control flow with jump tables (before 6.1) take the address of an entry there.
    let name = name[..at].strip_suffix(b".cfi_jt").unwrap_or(&name[..at]);
    let module = module.and_then(|word| word.strip_prefix(b"[")?.strip_suffix(b"]"));
    (!name.is_empty())
        .then(|| KernelSymbol { name: name.to_vec(), module: module.map(<[u8]>::to_vec) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{file::Dev, input::KernelEvent},
        wire::decode::{
            decode,
            testing::{bytes, padded, zeroed},
        },
    };

    fn decoded(fault: &wire::Fault, path: &[u8]) -> Fault {
        match decode(&bytes(fault, path)).expect("an event").1 {
            Some(KernelEvent::Fault(fault)) => *fault,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_field_of_a_fault() {
        let mut sent: wire::Fault = zeroed();
        sent.actor.task.tgid = 1;
        sent.inode.ino = 2;
        sent.address = 3;
        sent.pgoff = 4;
        sent.vm_start = 5;
        sent.vm_end = 6;
        sent.vm_pgoff = 7;
        sent.vm_flags = 8;
        sent.ip = 9;
        sent.nth = 10;
        sent.flags = fault_flag::WRITE | fault_flag::USER;
        sent.ret = 0x10;
        sent.handler = wire::handler::SHMEM_FAULT;
        sent.address_exact = 1;
        sent.owner_tgid = 11;
        sent.path_len = 9;
        sent.read_errno = -5;
        sent.shm_max = 12;
        sent.shm_used = 13;
        sent.mnt_ns = 14;
        sent.below_mount = 5;
        sent.mount_source = padded(b"/dev/vda");
        let fault = decoded(&sent, b"leaf\0dir\0");
        assert_eq!((fault.actor.task.id.tgid, fault.inode.id.ino), (1, 2));
        assert_eq!((fault.address, fault.address_exact, fault.pgoff), (3, true, 4));
        assert_eq!((fault.vm_start, fault.vm_end, fault.vm_pgoff), (5, 6, 7));
        assert_eq!((fault.vm_flags, fault.ip, fault.nth), (8, Some(9), 10));
        assert_eq!((fault.access, fault.mode, fault.poisoned), (Access::Write, Mode::User, true));
        assert_eq!((fault.handler, fault.owner_tgid), (Handler::ShmemFault, Some(11)));
        assert_eq!((fault.read_errno, fault.shm), (Some(-5), Some(Shm { max: 12, used: 13 })));
        assert_eq!((fault.mnt_ns, fault.below_mount), (Some(14), Some(1)));
        assert_eq!(fault.source.as_deref(), Some(b"/dev/vda".as_slice()));
        assert_eq!(fault.path.names, [b"dir".to_vec(), b"leaf".to_vec()]);
    }

    #[test]
    fn what_the_kernel_does_not_know_is_none() {
        let mut sent: wire::Fault = zeroed();
        sent.below_mount = u32::MAX;
        let fault = decoded(&sent, b"");
        assert_eq!((fault.ip, fault.owner_tgid, fault.read_errno), (None, None, None));
        assert_eq!((fault.shm, fault.mnt_ns, fault.below_mount), (None, None, None));
        assert_eq!((fault.source, fault.handler), (None, Handler::Other(0)));
        assert_eq!((fault.access, fault.mode, fault.poisoned), (Access::Read, Mode::Kernel, false));
    }

    #[test]
    fn why_a_page_was_not_made_writable() {
        let mut sent: wire::Fault = zeroed();
        assert_eq!(decoded(&sent, b"").refusal, Refusal::default());
        (sent.write_errno, sent.write_doubt) = (-122, 1);
        (sent.quota_type, sent.quota_id) = (3, 77);
        sent.fs_state = wire::fs_state::READ_ONLY | wire::fs_state::SHUT_DOWN;
        sent.path_len = 5;
        let refusal = Refusal {
            errno: Some(-122),
            doubt: true,
            quota: Some(QuotaId { kind: 2, id: 77 }),
            read_only: true,
            shut_down: true,
        };
        let new = bytes(&sent, b"leaf\0");
        assert_eq!(decoded(&sent, b"leaf\0").refusal, refusal);
        for (version, refusal) in [(0, Refusal::default()), (1, refusal)] {
            let old = as_version(version, new.clone());
            match decode(&old).expect("an event").1 {
                Some(KernelEvent::Fault(fault)) => {
                    assert_eq!((fault.refusal, fault.mapper), (refusal, Mapper::default()));
                    assert_eq!(fault.path.names, [b"leaf".to_vec()]);
                }
                other => panic!("{other:?}"),
            }
            for len in 0..old.len() {
                let mut cut = old[..len].to_vec();
                if len >= 8 {
                    cut[4..8].copy_from_slice(&(len as u32).to_le_bytes());
                }
                assert!(decode(&cut).is_err(), "{len} bytes");
            }
        }
    }

    /// An event as a stream of before has it.
    fn as_version(version: u16, mut event: Vec<u8>) -> Vec<u8> {
        let end = size_of::<wire::Fault>();
        event.drain(end - wire::FAULT_SHORTER[usize::from(version)]..end);
        event[12..14].copy_from_slice(&version.to_le_bytes());
        let len = event.len() as u32;
        event[4..8].copy_from_slice(&len.to_le_bytes());
        event
    }

    #[test]
    fn whose_mapping_it_is() {
        let mut sent: wire::Fault = zeroed();
        assert_eq!(decoded(&sent, b"").mapper, Mapper::default());
        (sent.rdev, sent.mapper) = (1 << 20 | 1, wire::mapper::FUNCTION);
        sent.vm_ops_fault = padded(b"uio_vma_fault+0x0/0x1f0 [uio]");
        sent.vm_ops = padded(b"shmem_vm_ops+0x0/0x80");
        // Inside of something, or of nothing that has a name.
        sent.f_op = padded(b"mem_fops+0x8/0x100");
        let symbol = |name: &[u8], module: Option<&[u8]>| {
            Some(KernelSymbol { name: name.to_vec(), module: module.map(<[u8]>::to_vec) })
        };
        let mapper = Mapper {
            device: Some(Dev { major: 1, minor: 1 }),
            nobody: false,
            function: symbol(b"uio_vma_fault", Some(b"uio")),
            vm_ops: symbol(b"shmem_vm_ops", None),
            file_ops: None,
        };
        assert_eq!(decoded(&sent, b"").mapper, mapper);
        sent.mapper = wire::mapper::NOBODY;
        sent.vm_ops_fault = [b'f'; wire::SYMBOL];
        sent.vm_ops = padded(b"0xffffffff81000000");
        let mapper = decoded(&sent, b"").mapper;
        assert!(mapper.nobody && mapper.function.is_none() && mapper.vm_ops.is_none());
    }

    #[test]
    fn accesses_and_modes() {
        let access = |flags, handler| {
            let mut sent: wire::Fault = zeroed();
            (sent.flags, sent.handler) = (flags, handler);
            let fault = decoded(&sent, b"");
            (fault.access, fault.mode)
        };
        let handler = wire::handler::FILEMAP_FAULT;
        assert_eq!(access(0x140, handler), (Access::Exec, Mode::User));
        assert_eq!(access(0xc0, handler), (Access::Read, Mode::Remote));
        let handler = wire::handler::UNATTRIBUTED;
        assert_eq!(access(0x41, handler), (Access::Unknown, Mode::User));
    }

    #[test]
    fn a_source_fills_its_place() {
        let mut sent: wire::Fault = zeroed();
        sent.mount_source = [b'x'; wire::SOURCE];
        assert_eq!(decoded(&sent, b"").source.map(|source| source.len()), Some(wire::SOURCE));
    }
}
