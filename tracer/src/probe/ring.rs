//! The ring buffers, as one source of raw events.
use anyhow::{Context as _, Result};
use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
};
use tokio::io::unix::AsyncFd;

/// Events taken from one ring before the other gets its turn.
const BATCH: usize = 256;

/// Both rings: one for what decides an answer, one for what there may be much of.
pub struct RingReader {
    critical: AsyncFd<RingBuf<MapData>>,
    bulk: AsyncFd<RingBuf<MapData>>,
}

impl RingReader {
    /// Takes the rings out of a loaded object.
    ///
    /// # Errors
    /// Where one is missing, or cannot be polled.
    pub fn new(ebpf: &mut Ebpf) -> Result<Self> {
        let mut ring = |name: &str| -> Result<_> {
            let map =
                ebpf.take_map(name).with_context(|| format!("the object has no map {name}"))?;
            // SAFETY: the RingBuf owns its descriptor and keeps it open as long as it lives.
            Ok(unsafe { AsyncFd::register(RingBuf::try_from(map)?) }?)
        };
        Ok(Self { critical: ring("CRITICAL")?, bulk: ring("BULK")? })
    }

    /// Waits until either ring has something.
    ///
    /// # Errors
    /// Where polling fails.
    pub async fn ready(&mut self) -> Result<()> {
        tokio::select! {
            guard = self.critical.readable_mut() => guard?.clear_ready(),
            guard = self.bulk.readable_mut() => guard?.clear_ready(),
        }
        Ok(())
    }

    /// Hands every waiting event to `take`; false once both rings are empty.
    pub fn drain(&mut self, mut take: impl FnMut(&[u8])) -> bool {
        let mut more = false;
        // Shrinks first: they explain the faults.
        for ring in [&mut self.bulk, &mut self.critical] {
            let ring = ring.get_mut();
            let mut left = BATCH;
            while left > 0
                && let Some(item) = ring.next()
            {
                take(&item);
                left -= 1;
            }
            more |= left == 0;
        }
        more
    }
}
