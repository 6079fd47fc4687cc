//! What the probes capture of stacks. No event: it is never saved, and this build of the probes alone writes it.
use anyhow::{Result, bail, ensure};
use bytes::Buf;
use tracer_common::event as wire;

use crate::{
    model::{
        file::Path,
        stack::{Mapping, Registers, Sample},
        task::ProcessId,
    },
    wire::decode::file::{inode, path},
};

/// One record of that ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StackRecord {
    /// The path of a module, ahead of the sample.
    Path {
        key: SampleKey,
        module: usize,
        path: Path,
    },
    Sample {
        key: SampleKey,
        sample: Box<Sample>,
    },
}

/// What a sample and the paths of its modules have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleKey {
    tgid: u32,
    /// Ns since boot (CLOCK_BOOTTIME).
    time: u64,
}

/// Decodes one record.
///
/// # Errors
/// Where its lengths contradict each other, or it is of no kind that is known.
pub fn stack(mut bytes: &[u8]) -> Result<StackRecord> {
    let total = bytes.len();
    ensure!(total >= size_of::<wire::Header>(), "a record of {total} bytes");
    let b = &mut bytes;
    let kind = b.get_u16_le();
    b.advance(size_of::<wire::Header>() - 2 - 8);
    let time = b.get_u64_le();
    match kind {
        wire::stack_kind::MODULE => {
            ensure!(total >= size_of::<wire::StackPath>(), "a path of a module of {total} bytes");
            let time = b.get_u64_le();
            let (tgid, module) = (b.get_u32_le(), b.get_u32_le() as usize);
            let (flags, len) = (b.get_u32_le(), b.get_u32_le());
            let key = SampleKey { tgid, time };
            Ok(StackRecord::Path { key, module, path: path(b, flags, len)? })
        }
        wire::stack_kind::SAMPLE => {
            ensure!(total >= size_of::<wire::StackSample>(), "a stack of {total} bytes");
            sample(b, time)
        }
        other => bail!("a record of kind {other}"),
    }
}

fn sample(b: &mut &[u8], time: u64) -> Result<StackRecord> {
    let start = b.get_u64_le();
    let act = Some(b.get_u64_le()).filter(|act| *act != 0);
    let (tgid, tid, machine) = (b.get_u32_le(), b.get_u32_le(), b.get_u32_le());
    let known = b.get_u32_le() != 0;
    let [ip, sp, fp, lr] = [0; 4].map(|_| b.get_u64_le());
    let chain = [0; wire::STACK_CHAIN].map(|_| b.get_u64_le());
    let modules = [(); wire::STACK_MODULES].map(|()| {
        let (start, end, offset) = (b.get_u64_le(), b.get_u64_le(), b.get_u64_le());
        b.advance(8);
        Mapping { start, end, offset, inode: inode(b), path: Path::default() }
    });
    let (count, len) = (b.get_u32_le() as usize, b.get_u32_le() as usize);
    ensure!(count <= wire::STACK_MODULES, "a stack of {count} modules");
    ensure!(b.len() == len, "a stack says {len} bytes and has {}", b.len());
    let sample = Sample {
        process: ProcessId { tgid, start },
        tid,
        act,
        machine,
        // A thread of the kernel has none of user mode: they are 0.
        registers: Some(Registers { ip, sp, fp, lr }).filter(|_| known && (ip, sp) != (0, 0)),
        chain: chain.into_iter().take_while(|ip| *ip != 0).collect(),
        modules: modules.into_iter().take(count).collect(),
        bytes: b.to_vec(),
    };
    let key = SampleKey { tgid, time };
    Ok(StackRecord::Sample { key, sample: Box::new(sample) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::decode::testing::{bytes, zeroed};

    fn sent() -> wire::StackSample {
        let mut sent: wire::StackSample = zeroed();
        (sent.start_time, sent.tgid, sent.tid, sent.machine) = (1, 2, 3, 62);
        sent.act = 13;
        (sent.registers, sent.ip, sent.sp, sent.fp, sent.lr) = (1, 4, 5, 6, 7);
        (sent.chain[0], sent.chain[1]) = (4, 8);
        let module = &mut sent.modules[0];
        (module.start, module.end, module.offset, module.inode.ino) = (9, 10, 11, 12);
        (sent.module_count, sent.bytes_len) = (1, 3);
        sent
    }

    #[test]
    fn every_field_of_a_sample() {
        let Ok(StackRecord::Sample { key, sample }) = stack(&bytes(&sent(), b"abc")) else {
            panic!()
        };
        assert_eq!((key.tgid, sample.process), (2, ProcessId { tgid: 2, start: 1 }));
        assert_eq!((sample.tid, sample.act, sample.machine), (3, Some(13), 62));
        assert_eq!(sample.registers, Some(Registers { ip: 4, sp: 5, fp: 6, lr: 7 }));
        assert_eq!((sample.chain, sample.bytes), (vec![4, 8], b"abc".to_vec()));
        let [module] = &sample.modules[..] else { panic!() };
        assert_eq!((module.start, module.end, module.offset), (9, 10, 11));
        assert_eq!(module.inode.id.ino, 12);
    }

    #[test]
    fn a_path_is_that_of_a_module_of_a_sample() {
        let mut sent: wire::StackPath = zeroed();
        (sent.sample, sent.tgid, sent.module, sent.path_len) = (7, 2, 1, 8);
        let Ok(StackRecord::Path { key, module, path }) = stack(&bytes(&sent, b"leaf\0up\0"))
        else {
            panic!()
        };
        assert_eq!((key, module), (SampleKey { tgid: 2, time: 7 }, 1));
        assert_eq!(path.names, [b"up".to_vec(), b"leaf".to_vec()]);
    }

    #[test]
    fn no_length_panics() {
        let whole = bytes(&sent(), b"abc");
        for len in 0..whole.len() {
            assert!(stack(&whole[..len]).is_err(), "{len}");
        }
        let mut sent = sent();
        sent.module_count = wire::STACK_MODULES as u32 + 1;
        assert!(stack(&bytes(&sent, b"abc")).is_err());
    }
}
