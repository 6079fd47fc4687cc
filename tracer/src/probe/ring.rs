//! The ring buffers, as one source of raw events.
use anyhow::{Context as _, Result};
use aya::{
    Ebpf, Pod,
    maps::{HashMap, MapData, PerCpuArray, RingBuf},
};
use tokio::io::unix::AsyncFd;
use tracer_common::{
    event::{Storm, StormKey, ring},
    globals::RingState,
};

/// Events taken from one ring before the other gets its turn.
const BATCH: usize = 256;

#[derive(Clone, Copy)]
#[repr(transparent)]
struct State(RingState);
// SAFETY: `repr(C)`, two u64, no padding.
unsafe impl Pod for State {}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct Key(StormKey);
// SAFETY: `repr(C)`, a u64 and two u32, no padding.
unsafe impl Pod for Key {}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct Count(Storm);
// SAFETY: `repr(C)`, two u64, no padding.
unsafe impl Pod for Count {}

/// Both rings and their accounts.
pub struct Reader {
    decisive: AsyncFd<RingBuf<MapData>>,
    chatty: AsyncFd<RingBuf<MapData>>,
    states: PerCpuArray<MapData, State>,
    storms: HashMap<MapData, Key, Count>,
}

impl Reader {
    /// Takes the maps out of a loaded object.
    ///
    /// # Errors
    /// Where a map is missing, or cannot be polled.
    pub fn new(ebpf: &mut Ebpf) -> Result<Self> {
        let mut ring = |name: &str| -> Result<_> {
            let map =
                ebpf.take_map(name).with_context(|| format!("the object has no map {name}"))?;
            // SAFETY: the RingBuf owns its descriptor and keeps it open as long as it lives.
            Ok(unsafe { AsyncFd::register(RingBuf::try_from(map)?) }?)
        };
        let decisive = ring("DECISIVE")?;
        let chatty = ring("CHATTY")?;
        let states = ebpf.take_map("RINGS").context("the object has no map RINGS")?;
        let storms = ebpf.take_map("STORMS").context("the object has no map STORMS")?;
        Ok(Self {
            decisive,
            chatty,
            states: PerCpuArray::try_from(states)?,
            storms: HashMap::try_from(storms)?,
        })
    }

    /// Waits until either ring has something.
    ///
    /// # Errors
    /// Where polling fails.
    pub async fn ready(&mut self) -> Result<()> {
        tokio::select! {
            guard = self.decisive.readable_mut() => guard?.clear_ready(),
            guard = self.chatty.readable_mut() => guard?.clear_ready(),
        }
        Ok(())
    }

    /// Hands every waiting event to `take`; false once both rings are empty.
    pub fn drain(&mut self, mut take: impl FnMut(&[u8])) -> bool {
        let mut more = false;
        // Shrinks first: they explain the faults.
        for ring in [&mut self.chatty, &mut self.decisive] {
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

    /// How often the kernel has counted this fault.
    pub fn storm(&self, key: StormKey) -> Option<u64> {
        Some(self.storms.get(&Key(key), 0).ok()?.0.count)
    }

    /// Events numbered and lost so far, by (cpu, ring).
    pub fn states(&self) -> Vec<(u32, u16, RingState)> {
        let mut all = Vec::new();
        for ring in 0..ring::COUNT as u16 {
            if let Ok(values) = self.states.get(&u32::from(ring), 0) {
                for (cpu, state) in values.iter().enumerate() {
                    all.push((cpu as u32, ring, state.0));
                }
            }
        }
        all
    }
}
