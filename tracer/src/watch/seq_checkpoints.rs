//! How far each CPU has numbered its events: reported once every one of them that arrived has been processed, for until
//! then none is missing.
use std::collections::{HashMap, VecDeque};

use tracer_common::maps::RingState;

use crate::{model::input::WatchNote, probe::ring::Fetched};

/// Samples whose events have not all been processed, at most.
const PENDING: usize = 64;

/// Samples are so far apart: an event gets its number a moment before it is in the ring. Ns.
const APART: u64 = 5_000_000;

/// The numbering of each CPU and ring.
type States = Vec<(u32, u16, RingState)>;

#[derive(Default)]
pub struct SeqCheckpoints {
    /// The last sample, and when it was taken, ns since boot.
    last: (u64, States),
    /// The samples before it, each with the events that are to be processed first.
    pending: VecDeque<(u64, States, Fetched)>,
    /// The numbers reported last.
    reported: HashMap<(u32, u16), u64>,
    /// When the sample reported last was taken, ns since boot.
    known_until: u64,
}

impl SeqCheckpoints {
    /// Takes a sample at `time`, and which events were fetched from the rings since, if they were emptied: what had a number
    /// at the sample before is among these, or lost.
    pub fn sample(&mut self, time: u64, states: States, fetched: Option<Fetched>) {
        if self.pending.len() < PENDING
            && time.saturating_sub(self.last.0) >= APART
            && let Some(fetched) = fetched
        {
            let (then, before) = std::mem::replace(&mut self.last, (time, states));
            self.pending.push_back((then, before, fetched));
        }
    }

    /// Reports the samples whose events have been processed, as `is_processed` says.
    pub fn report_processed(&mut self, is_processed: impl Fn(&Fetched) -> bool) -> Vec<WatchNote> {
        let mut notes = Vec::new();
        while let Some((time, states, _)) = self.pending.pop_front_if(|(.., of)| is_processed(of)) {
            self.known_until = time;
            notes.extend(self.report(states));
        }
        notes
    }

    /// Reports a sample, whatever has been processed.
    pub fn report(&mut self, states: States) -> Vec<WatchNote> {
        let mut new = |cpu, ring, seq| self.reported.insert((cpu, ring), seq).unwrap_or(0) != seq;
        let states = states.into_iter().filter(|(cpu, ring, state)| new(*cpu, *ring, state.seq));
        states
            .map(|(cpu, ring, RingState { seq, .. })| WatchNote::SeqCheckpoint { cpu, ring, seq })
            .collect()
    }

    /// Until when every loss has been reported, ns since boot.
    pub fn known_until(&self) -> u64 {
        self.known_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(seq: u64) -> States {
        vec![(0, 0, RingState { seq, lost: 0 })]
    }

    fn seqs(notes: &[WatchNote]) -> Vec<u64> {
        let seq = |note: &WatchNote| match note {
            WatchNote::SeqCheckpoint { seq, .. } => Some(*seq),
            _ => None,
        };
        notes.iter().filter_map(seq).collect()
    }

    #[test]
    fn a_sample_is_reported_once_what_arrived_by_the_next_is_processed() {
        let mut checkpoints = SeqCheckpoints::default();
        for (time, seq) in [(10, 1), (20, 5), (30, 5), (40, 9)] {
            checkpoints.sample(time * APART, states(seq), Some(Fetched([seq, 0])));
        }
        let processed = |upto: u64| move |Fetched([critical, _]): &Fetched| *critical <= upto;
        assert_eq!(
            (seqs(&checkpoints.report_processed(processed(4))), checkpoints.known_until()),
            (vec![], 0)
        );
        assert_eq!(
            (seqs(&checkpoints.report_processed(processed(5))), checkpoints.known_until()),
            (vec![1, 5], 20 * APART)
        );
        assert_eq!(
            (seqs(&checkpoints.report_processed(processed(9))), checkpoints.known_until()),
            (vec![], 30 * APART)
        );
        assert_eq!(seqs(&checkpoints.report(states(9))), [9], "in the end");
    }

    #[test]
    fn a_ring_that_was_not_emptied_gives_no_sample() {
        let mut checkpoints = SeqCheckpoints::default();
        checkpoints.sample(10 * APART, states(1), Some(Fetched([0, 0])));
        checkpoints.sample(20 * APART, states(5), None);
        assert!(checkpoints.report_processed(|_| true).is_empty());
        checkpoints.sample(30 * APART, states(6), Some(Fetched([6, 0])));
        assert_eq!(
            (seqs(&checkpoints.report_processed(|_| true)), checkpoints.known_until()),
            (vec![1], 10 * APART)
        );
    }

    #[test]
    fn samples_are_bounded() {
        let mut checkpoints = SeqCheckpoints::default();
        (0..1_000).for_each(|seq| {
            checkpoints.sample((seq + 1) * APART, states(seq), Some(Fetched([seq, 0])))
        });
        assert_eq!(checkpoints.pending.len(), PENDING);
        assert_eq!(
            seqs(&checkpoints.report_processed(|_| true)).last(),
            Some(&(PENDING as u64 - 2))
        );
    }
}
