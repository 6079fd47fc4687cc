//! Files that lose their end.
use anyhow::Result;
use bytes::Buf;
use tracer_common::event as wire;

use crate::{
    model::shrink::{Shrink, ShrinkEnd, ShrinkKind, Stale},
    wire::decode::{
        file::{dev, inode, path},
        task::{actor, login},
    },
};

/// Flags of a shrink that is sent for a process of this host.
const MAPPED_OR_REPLAYED: u32 = wire::SHRINK_MAPPED | wire::SHRINK_REPLAYED;

/// `wire::Shrink`, of any version.
pub fn shrink(b: &mut &[u8], version: u16) -> Result<Shrink> {
    let mut actor = actor(b);
    let inode = inode(b);
    let new_size = u64::try_from(b.get_i64_le()).unwrap_or(0);
    let begin = b.get_u64_le();
    let end = Some(b.get_u64_le()).filter(|end| *end != 0);
    let ret = b.get_i32_le();
    let how = match b.get_u32_le() {
        wire::shrink_kind::TRUNCATE => ShrinkKind::Truncate,
        wire::shrink_kind::FTRUNCATE => ShrinkKind::Ftruncate,
        wire::shrink_kind::OPEN_TRUNC => ShrinkKind::OpenTrunc,
        wire::shrink_kind::COLLAPSE_RANGE => ShrinkKind::CollapseRange,
        wire::shrink_kind::REMOTE => ShrinkKind::Remote,
        wire::shrink_kind::OPEN_WRITE => ShrinkKind::OpenWrite,
        wire::shrink_kind::GROWN => ShrinkKind::Grown,
        other => ShrinkKind::Other(other),
    };
    let flags = b.get_u32_le();
    b.advance(4);
    let path_flags = b.get_u32_le();
    let path_len = b.get_u32_le();
    let (ino, outer) = (b.get_u64_le(), dev(b.get_u32_le()));
    b.advance(4);
    if version > 0 {
        actor.login = login(b);
    }
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
        dropped: flags & wire::SHRINK_DROPPED != 0,
        shared: flags & (MAPPED_OR_REPLAYED | wire::SHRINK_SHARED) == wire::SHRINK_SHARED,
    })
}

/// `wire::ShrinkEnd`
pub fn shrink_end(b: &mut &[u8], time: u64) -> ShrinkEnd {
    let (inode, begin) = (b.get_u64_le(), b.get_u64_le());
    ShrinkEnd { inode, begin, time, ret: b.get_i32_le() }
}

/// `wire::Stale`
pub fn stale(b: &mut &[u8]) -> Stale {
    let inode = inode(b);
    Stale { ptr: inode.ptr, inode: inode.id }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{file::Dev, input::KernelEvent},
        wire::decode::{
            decode,
            testing::{bytes, zeroed},
        },
    };

    fn decoded(shrink: &wire::Shrink, path: &[u8]) -> Shrink {
        match decode(&bytes(shrink, path)).expect("an event").1 {
            Some(KernelEvent::Shrink(shrink)) => *shrink,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_field_of_a_shrink() {
        let mut sent: wire::Shrink = zeroed();
        sent.actor.task.tgid = 1;
        sent.inode.ptr = 2;
        sent.new_size = 3;
        sent.begin = 4;
        sent.end = 5;
        sent.ret = -28;
        sent.how = wire::shrink_kind::FTRUNCATE;
        sent.flags = wire::SHRINK_MAPPED | wire::SHRINK_REPLAYED;
        sent.sent = 1;
        sent.path_flags = wire::PATH_FS_ROOT;
        sent.path_len = 5;
        sent.outer_ino = 6;
        sent.outer_dev = 1 << 20 | 7;
        let shrink = decoded(&sent, b"leaf\0");
        assert_eq!((shrink.actor.task.id.tgid, shrink.inode.ptr), (1, 2));
        assert_eq!((shrink.new_size, shrink.begin, shrink.end), (3, 4, Some(5)));
        assert_eq!((shrink.ret, shrink.how), (Some(-28), ShrinkKind::Ftruncate));
        assert!(shrink.mapped && shrink.replayed && shrink.path.fs_root);
        assert_eq!(shrink.outer, Some((Dev { major: 1, minor: 7 }, 6)));
        assert_eq!(shrink.path.names, [b"leaf".to_vec()]);
    }

    #[test]
    fn one_that_is_under_way() {
        let mut sent: wire::Shrink = zeroed();
        (sent.ret, sent.new_size) = (-1, -1);
        let shrink = decoded(&sent, b"");
        assert_eq!((shrink.end, shrink.ret, shrink.new_size), (None, None, 0));
        assert_eq!((shrink.outer, shrink.how), (None, ShrinkKind::Other(0)));
        assert!(!shrink.mapped && !shrink.replayed);
    }

    #[test]
    fn ways_to_shrink() {
        for (number, known) in [
            (wire::shrink_kind::TRUNCATE, ShrinkKind::Truncate),
            (wire::shrink_kind::OPEN_TRUNC, ShrinkKind::OpenTrunc),
            (wire::shrink_kind::COLLAPSE_RANGE, ShrinkKind::CollapseRange),
            (wire::shrink_kind::REMOTE, ShrinkKind::Remote),
            (wire::shrink_kind::OPEN_WRITE, ShrinkKind::OpenWrite),
            (wire::shrink_kind::GROWN, ShrinkKind::Grown),
            (99, ShrinkKind::Other(99)),
        ] {
            let mut sent: wire::Shrink = zeroed();
            sent.how = number;
            assert_eq!(decoded(&sent, b"").how, known);
        }
    }

    #[test]
    fn its_end_and_a_file_that_is_gone() {
        let mut sent: wire::ShrinkEnd = zeroed();
        (sent.inode, sent.begin, sent.ret) = (1, 2, -3);
        let mut raw = bytes(&sent, b"");
        raw[24..32].copy_from_slice(&9_u64.to_le_bytes());
        let Ok((_, Some(KernelEvent::ShrinkEnd(end)))) = decode(&raw) else { panic!() };
        assert_eq!(end, ShrinkEnd { inode: 1, begin: 2, time: 9, ret: -3 });
        let mut sent: wire::Stale = zeroed();
        (sent.inode.ptr, sent.inode.ino) = (4, 5);
        let Ok((_, Some(KernelEvent::Stale(stale)))) = decode(&bytes(&sent, b"")) else { panic!() };
        assert_eq!((stale.ptr, stale.inode.ino), (4, 5));
    }
}
