//! All incidents that are not finished, and which of them hears what.
use std::collections::VecDeque;

use crate::{
    correlate::{incident::Restart, open::OpenIncident},
    model::{fact::Fact, fault::BurstKey, process::Exit, task::Task},
};

/// Incidents that are open at a time.
const INCIDENTS: usize = 4_096;

/// All incidents that are open, in the order in which they began.
#[derive(Default)]
pub struct OpenIncidents {
    list: VecDeque<OpenIncident>,
    evicted: u64,
}

impl OpenIncidents {
    /// Opens an incident; gives the oldest, if there are too many.
    pub fn add(&mut self, open: OpenIncident) -> Option<OpenIncident> {
        let full = self.list.len() >= INCIDENTS;
        let oldest = full.then(|| self.list.pop_front()).flatten();
        self.evicted += u64::from(oldest.is_some());
        self.list.push_back(open);
        oldest
    }

    /// The latest that `takes` something.
    pub fn latest(&mut self, takes: impl Fn(&OpenIncident) -> bool) -> Option<&mut OpenIncident> {
        self.list.iter_mut().rev().find(|open| takes(open))
    }

    /// The one whose SIGBUS reaches a thread: one whose signal is on its way there, or else whose fault was that thread's;
    /// of several the latest.
    pub fn delivered(&mut self, target: &Task) -> Option<&mut OpenIncident> {
        let takes = self.list.iter_mut().filter(|open| open.takes_delivery(target.id));
        takes.max_by_key(|open| {
            (open.is_on_its_way_to(target.tid), open.incident.threads.contains(&target.tid))
        })
    }

    /// Those whose victim an end is.
    pub fn ended(&mut self, exit: Exit) -> impl Iterator<Item = &mut OpenIncident> {
        self.list.iter_mut().filter(move |open| open.takes_exit(&exit))
    }

    /// Hands what was looked up to those it is about.
    pub fn fact(&mut self, fact: &Fact) {
        // The latest first: some answers are about one incident only.
        let _ = self.list.iter_mut().rev().try_for_each(|open| open.fact(fact));
    }

    /// Takes note that events were lost, or are not any more, which may concern any of them.
    pub fn lost(&mut self) {
        for open in &mut self.list {
            open.mark_changed();
        }
    }

    /// Takes note that a victim was started again; whether its incident is still open.
    pub fn restarted(&mut self, id: &str, restart: &Restart) -> bool {
        let open = self.list.iter_mut().find(|open| open.incident.id == id);
        let known = open.map(|open| {
            open.incident.restart = Some(restart.clone());
            open.mark_changed();
        });
        known.is_some()
    }

    /// Looks at each in turn and forgets those for which `keep` is false.
    pub fn retain(&mut self, keep: impl FnMut(&mut OpenIncident) -> bool) {
        self.list.retain_mut(keep);
    }

    /// Faults that loop, whose counts are to be read.
    pub fn bursts(&self) -> Vec<BurstKey> {
        self.list.iter().filter_map(OpenIncident::burst_key).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether nothing becomes due without another event.
    pub fn idle(&self) -> bool {
        self.list.iter().all(OpenIncident::idle)
    }

    /// How many were closed early because there were too many.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        correlate::open::REPORT_DELAY,
        model::{
            cause::Outcome,
            fact::{Place, Space, Symbol},
            fault::{Burst, Fault},
            signal::{Deliver, Disposition},
            time::ClockOffset,
        },
        testing::{VICTIM, exit, fault, signal, space},
    };

    const AT: u64 = 10_000_000_000;

    fn open() -> OpenIncident {
        OpenIncident::of_fault("a".into(), AT, fault(1, 0), ClockOffset(0))
    }

    #[test]
    fn a_fact_goes_to_those_it_is_about() {
        let mut open = OpenIncidents::default();
        for _ in 0..2 {
            open.add(self::open());
        }
        let mut other = fault(1, 0);
        other.actor.task.id.tgid = VICTIM + 1;
        open.add(OpenIncident::of_fault("b".into(), AT, other, ClockOffset(0)));
        let victim = fault(1, 0).actor.task.id;
        open.fact(&Fact::Symbol(Symbol { victim, name: b"f".to_vec(), offset: 0 }));
        open.fact(&Fact::Space(space(0)));
        open.fact(&Fact::Space(Space { free: 9, ..space(0) }));
        let known = |open: &OpenIncident| {
            (open.incident.symbol.is_some(), open.lookups.space.map(|space| space.free))
        };
        let known: Vec<_> = open.list.iter().map(known).collect();
        // The function of the latest of its victim; the room first seen, for all of that device.
        assert_eq!(known, [(false, Some(0)), (true, Some(0)), (false, Some(0))]);
    }

    /// A process that lives on may have a fault at another instruction.
    #[test]
    fn a_place_is_that_of_the_instruction_that_faulted() {
        let mut open = OpenIncidents::default();
        let mut at = |ip| {
            let fault = Fault { ip, ..fault(1, 0) };
            open.add(OpenIncident::of_fault("a".into(), AT, fault, ClockOffset(0)));
        };
        at(Some(4));
        at(Some(5));
        at(None);
        let (victim, module) = (fault(1, 0).actor.task.id, b"/usr/bin/geo".to_vec());
        let (address, symbol, build_id) = (None, None, None);
        let place = Place { victim, ip: 4, module, offset: 1, address, symbol, build_id };
        open.fact(&Fact::Place(place.clone()));
        // What was read first is nearest to the fault.
        open.fact(&Fact::Place(Place { offset: 2, ..place.clone() }));
        let told: Vec<_> = open.list.iter().map(|open| open.incident.place.clone()).collect();
        assert_eq!(told, [Some(place), None, None]);
    }

    /// Two fail at once, and the handler of the first is gone (SA_RESETHAND) when the second needs it.
    #[test]
    fn what_a_thread_does_with_its_signal_is_told_of_its_own_fault() {
        let mut open = OpenIncidents::default();
        let threads = [(VICTIM, Disposition::Handler), (VICTIM + 1, Disposition::Default)].map(
            |(tid, set)| {
                let (mut fault, mut raised) = (fault(1, 0), signal(2));
                (fault.actor.task.tid, raised.target.tid) = (tid, tid);
                let delivery = Deliver { target: fault.actor.clone(), disposition: set };
                let mut one = OpenIncident::of_fault("a".into(), AT, fault, ClockOffset(0));
                one.signal(AT, raised);
                open.add(one);
                delivery
            },
        );
        for delivery in threads {
            let taken = open.delivered(&delivery.target.task);
            taken.expect("its incident").delivery(AT, &delivery);
        }
        let outcomes: Vec<Outcome> = open.list.iter().map(|one| one.incident.outcome).collect();
        assert_eq!(outcomes, [Outcome::Survived, Outcome::Killed]);
    }

    /// On a busy host the next look at the kernel's counts may come long after the end.
    #[test]
    fn a_loop_is_open_until_its_faults_were_counted() {
        let mut open = open();
        for nth in 2..=10 {
            open.fault(AT, &Fault { nth, ..fault(1, 0) });
        }
        let key = open.burst_key().expect("a loop");
        open.mark_reported();
        open.exit(&exit(AT + 1, 7), false);
        let late = AT + 1 + 2 * REPORT_DELAY;
        assert!(!open.over(late), "it is not known how many there were");
        open.burst(AT + 2, &Burst { key, count: 40 });
        assert!(open.over(late));
        assert_eq!(open.incident.count, 40);
    }

    #[test]
    fn the_oldest_is_closed_when_too_many_are_open() {
        let mut open = OpenIncidents::default();
        for _ in 0..INCIDENTS {
            assert!(open.add(self::open()).is_none());
        }
        assert!(open.add(self::open()).is_some());
        assert_eq!((open.list.len(), open.evicted()), (INCIDENTS, 1));
    }
}
