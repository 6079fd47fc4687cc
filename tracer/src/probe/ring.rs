//! The ring buffers, as one source of raw events.
//!
//! A ring that is full loses what comes, and how soon it is depends on how fast events are processed. So they are moved into
//! memory of our own first, which takes little, and wait there until they are processed.
use std::collections::VecDeque;

use anyhow::{Context as _, Result};
use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
};
use tokio::io::unix::AsyncFd;

/// Events delivered of one ring before the other gets its turn, and before the rings are looked at again. On a starved
/// host that takes some tenths of a second.
const BATCH: usize = 32;
/// Bytes of each ring that wait here at most; then they wait there.
const WAITING: usize = 4 << 20;

/// A ring, and what was in it and waits.
struct Queue {
    ring: AsyncFd<RingBuf<MapData>>,
    waiting: VecDeque<Box<[u8]>>,
    /// Of what waits.
    bytes: usize,
    /// Events taken out of the ring so far, and delivered.
    fetched: u64,
    delivered: u64,
}

impl Queue {
    fn take(ebpf: &mut Ebpf, name: &str) -> Result<Self> {
        let map = ebpf.take_map(name).with_context(|| format!("the object has no map {name}"))?;
        // SAFETY: the RingBuf owns its descriptor and keeps it open as long as it lives.
        let ring = unsafe { AsyncFd::register(RingBuf::try_from(map)?) }?;
        Ok(Self { ring, waiting: VecDeque::new(), bytes: 0, fetched: 0, delivered: 0 })
    }

    /// Empties the ring; `None` where there is no room for all of it, or else how many events were taken out so far.
    fn fetch(&mut self) -> Option<u64> {
        let ring = self.ring.get_mut();
        while self.bytes < WAITING {
            let Some(event) = ring.next() else { return Some(self.fetched) };
            self.bytes += event.len();
            self.waiting.push_back(Box::from(&*event));
            self.fetched += 1;
        }
        None
    }

    fn pop(&mut self) -> Option<Box<[u8]>> {
        let event = self.waiting.pop_front()?;
        self.bytes -= event.len();
        self.delivered += 1;
        if self.waiting.is_empty() {
            // What a flood took is given back.
            self.waiting = VecDeque::new();
        }
        Some(event)
    }
}

/// Both rings: one for what decides an answer, one for what there may be much of.
pub struct RingReader {
    critical: Queue,
    bulk: Queue,
}

/// How many events were taken out of each ring, critical and bulk, when both were empty.
pub struct Fetched(pub [u64; 2]);

impl RingReader {
    /// Takes the rings out of a loaded object.
    ///
    /// # Errors
    /// Where one is missing, or cannot be polled.
    pub fn new(ebpf: &mut Ebpf) -> Result<Self> {
        Ok(Self { critical: Queue::take(ebpf, "CRITICAL")?, bulk: Queue::take(ebpf, "BULK")? })
    }

    /// Waits until either ring has something.
    ///
    /// # Errors
    /// Where polling fails.
    pub async fn ready(&mut self) -> Result<()> {
        tokio::select! {
            guard = self.critical.ring.readable_mut() => guard?.clear_ready(),
            guard = self.bulk.ring.readable_mut() => guard?.clear_ready(),
        }
        Ok(())
    }

    /// Hands a batch of each ring to `take`; false once both are empty and nothing waits.
    pub fn drain(&mut self, mut take: impl FnMut(&[u8])) -> bool {
        self.fetch();
        // Shrinks first: they explain the faults.
        for queue in [&mut self.bulk, &mut self.critical] {
            for event in (0..BATCH).map_while(|_| queue.pop()) {
                take(&event);
            }
        }
        self.fetch();
        self.oldest().next().is_some()
    }

    /// Takes out of the rings what there is room for; `None` where that is not all.
    pub fn fetch(&mut self) -> Option<Fetched> {
        let (bulk, critical) = (self.bulk.fetch(), self.critical.fetch());
        Some(Fetched([critical?, bulk?]))
    }

    /// Whether all of these were delivered.
    pub fn has_delivered(&self, Fetched([critical, bulk]): &Fetched) -> bool {
        self.critical.delivered >= *critical && self.bulk.delivered >= *bulk
    }

    /// What waits longest, of each ring.
    pub fn oldest(&self) -> impl Iterator<Item = &[u8]> {
        [&self.bulk, &self.critical].into_iter().filter_map(|queue| Some(&**queue.waiting.front()?))
    }
}
