//! Cgroups as they are made.
use anyhow::{Result, ensure};
use bytes::Buf;
use tracer_common::event as wire;

use crate::model::cgroup::CgroupMade;

/// `wire::Cgroup`
pub fn cgroup(b: &mut &[u8]) -> Result<CgroupMade> {
    let id = b.get_u64_le();
    let len = b.get_u32_le() as usize;
    b.advance(4);
    ensure!(b.len() == len, "a path says {len} bytes and has {}", b.len());
    // One that fills its buffer may have been cut.
    let whole = len != 0 && len < wire::CGROUP_PATH - 1;
    Ok(CgroupMade { id, path: whole.then(|| b.to_vec()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::input::KernelEvent,
        wire::decode::{
            decode,
            testing::{bytes, zeroed},
        },
    };

    fn made(path: &[u8]) -> CgroupMade {
        let mut sent: wire::Cgroup = zeroed();
        (sent.id, sent.path_len) = (7, path.len() as u32);
        match decode(&bytes(&sent, path)).expect("an event").1 {
            Some(KernelEvent::Cgroup(made)) => made,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_cgroup_and_its_path() {
        assert_eq!(made(b"/a\n/\xff"), CgroupMade { id: 7, path: Some(b"/a\n/\xff".to_vec()) });
    }

    #[test]
    fn a_path_that_was_not_read_or_may_be_cut_is_none() {
        for len in [0, wire::CGROUP_PATH - 1] {
            assert_eq!(made(&vec![b'x'; len]), CgroupMade { id: 7, path: None });
        }
        assert!(made(&[b'x'; wire::CGROUP_PATH - 2]).path.is_some());
    }
}
