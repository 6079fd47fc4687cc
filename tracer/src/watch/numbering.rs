//! How far the CPUs have numbered their events: told once all of these that are there have been judged, for until then
//! they are not missing.
use std::collections::{HashMap, VecDeque};

use tracer_common::maps::RingState;

use crate::{model::input::WatchNote, probe::ring::Fetched};

/// Looks whose events have not been judged yet, at most.
const LOOKS: usize = 64;

/// The numbering of each CPU and ring.
type States = Vec<(u32, u16, RingState)>;

#[derive(Default)]
pub struct Numbering {
    /// How far it was at the last look, and when that was, ns since boot.
    last: (u64, States),
    /// The same of looks before, and which events are judged before that is told.
    due: VecDeque<(u64, States, Fetched)>,
    /// How far it was told.
    told: HashMap<(u32, u16), u64>,
    /// Until when, ns since boot.
    known: u64,
}

impl Numbering {
    /// How far it is at `time`; which events were taken out of the rings by then, where they were emptied. What was
    /// numbered at the look before is among these by now, or lost.
    pub fn look(&mut self, time: u64, states: States, fetched: Option<Fetched>) {
        if self.due.len() < LOOKS
            && let Some(fetched) = fetched
        {
            let (then, before) = std::mem::replace(&mut self.last, (time, states));
            self.due.push_back((then, before, fetched));
        }
    }

    /// What may be told, as `is_judged` says.
    pub fn judged(&mut self, is_judged: impl Fn(&Fetched) -> bool) -> Vec<WatchNote> {
        let mut notes = Vec::new();
        while let Some((time, states, _)) = self.due.pop_front_if(|(.., of)| is_judged(of)) {
            self.known = time;
            notes.extend(self.told(states));
        }
        notes
    }

    /// Tells it, whatever has been judged.
    pub fn told(&mut self, states: States) -> Vec<WatchNote> {
        let mut new = |cpu, ring, seq| self.told.insert((cpu, ring), seq).unwrap_or(0) != seq;
        let states = states.into_iter().filter(|(cpu, ring, state)| new(*cpu, *ring, state.seq));
        states
            .map(|(cpu, ring, RingState { seq, .. })| WatchNote::SeqCheckpoint { cpu, ring, seq })
            .collect()
    }

    /// Until when it is known what was lost, ns since boot.
    pub fn known(&self) -> u64 {
        self.known
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
    fn a_number_is_told_once_what_was_there_at_the_next_look_is_judged() {
        let mut numbering = Numbering::default();
        for (time, seq) in [(10, 1), (20, 5), (30, 5), (40, 9)] {
            numbering.look(time, states(seq), Some(Fetched([seq, 0])));
        }
        let judged = |upto: u64| move |Fetched([critical, _]): &Fetched| *critical <= upto;
        assert_eq!((seqs(&numbering.judged(judged(4))), numbering.known()), (vec![], 0));
        assert_eq!((seqs(&numbering.judged(judged(5))), numbering.known()), (vec![1, 5], 20));
        assert_eq!((seqs(&numbering.judged(judged(9))), numbering.known()), (vec![], 30));
        assert_eq!(seqs(&numbering.told(states(9))), [9], "in the end");
    }

    #[test]
    fn a_ring_that_was_not_emptied_tells_nothing() {
        let mut numbering = Numbering::default();
        numbering.look(10, states(1), Some(Fetched([0, 0])));
        numbering.look(20, states(5), None);
        assert!(numbering.judged(|_| true).is_empty());
        numbering.look(30, states(6), Some(Fetched([6, 0])));
        assert_eq!((seqs(&numbering.judged(|_| true)), numbering.known()), (vec![1], 10));
    }

    #[test]
    fn looks_are_bounded() {
        let mut numbering = Numbering::default();
        (0..1_000).for_each(|seq| numbering.look(seq, states(seq), Some(Fetched([seq, 0]))));
        assert_eq!(numbering.due.len(), LOOKS);
        assert_eq!(seqs(&numbering.judged(|_| true)).last(), Some(&(LOOKS as u64 - 2)));
    }
}
