//! The ring of captured stacks.
use std::os::fd::AsFd as _;

use anyhow::{Context as _, Result, bail};
use aya::{
    Ebpf,
    maps::{Map, MapData, PerCpuArray, RingBuf},
};

/// What is in it is read when an exit or a shrink is: the kernel puts it there before.
pub struct StackRing {
    /// It is mapped while it is of use, and takes twice its size then.
    mapped: Option<RingBuf<MapData>>,
    ring: MapData,
    lost: PerCpuArray<MapData, u64>,
}

impl StackRing {
    /// Takes the ring out of a loaded object.
    ///
    /// # Errors
    /// Where it is missing.
    pub fn take(ebpf: &mut Ebpf) -> Result<Self> {
        let mut map = |name: &str| {
            ebpf.take_map(name).with_context(|| format!("the object has no map {name}"))
        };
        let (ring, lost) = (map("STACKS")?, map("STACKS_LOST")?);
        let Map::RingBuf(ring) = ring else { bail!("STACKS is no ring") };
        Ok(Self { mapped: None, ring, lost: PerCpuArray::try_from(lost)? })
    }

    /// Hands on all records there are.
    ///
    /// # Errors
    /// Where it cannot be mapped.
    pub fn drain(&mut self, mut take: impl FnMut(&[u8])) -> Result<()> {
        let ring = match &mut self.mapped {
            Some(ring) => ring,
            None => {
                let ring = MapData::from_fd(self.ring.fd().as_fd().try_clone_to_owned()?)?;
                self.mapped.insert(RingBuf::try_from(Map::RingBuf(ring))?)
            }
        };
        while let Some(record) = ring.next() {
            take(&record);
        }
        Ok(())
    }

    /// It is not of use for a while.
    pub fn rest(&mut self) {
        self.mapped = None;
    }

    /// Stacks that found no room so far, or were too many of one user.
    pub fn lost(&self) -> Option<u64> {
        Some(self.lost.get(&0, 0).ok()?.iter().fold(0, |sum: u64, count| sum.wrapping_add(*count)))
    }
}
