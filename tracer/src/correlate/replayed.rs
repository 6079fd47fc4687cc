//! Streams recorded in the guests, put through the engine in other orders and with losses.
use std::collections::BTreeMap;

use crate::{
    correlate::{
        engine::Engine,
        incident::Incident,
        update::{Counts, Update},
    },
    model::{
        host::Host,
        input::{Input, KernelEvent, Stamp, WatchNote},
    },
    wire::stream,
};

const STREAM: &[u8] = include_bytes!("../../tests/streams/newest.stream");
/// The same with `--signals all --exits lasting`: deaths of every class.
const DEATHS: &[u8] = include_bytes!("../../tests/streams/deaths.stream");
const MS: u64 = 1_000_000;

type Events = Vec<(Stamp, Input)>;

fn recorded(stream: &'static [u8]) -> (Host, Events) {
    let (host, records) = stream::open(stream).expect("a stream");
    let events = records.map(|record| record.expect("a record"));
    let events = events.filter_map(|(stamp, event)| Some((stamp, event?)));
    // When time moves on is what the tests below decide.
    let advanced = |input: &Input| matches!(input, Input::Watch(WatchNote::Advanced));
    (host, events.filter(|(_, input)| !advanced(input)).collect())
}

/// What the engine says of each victim in the end, in the order of their faults.
fn told(updates: Vec<Update>) -> Vec<Incident> {
    let mut last = BTreeMap::new();
    for update in updates {
        match update {
            Update::Incident(incident) | Update::Change(incident) => {
                last.insert((incident.first, incident.id.clone()), *incident);
            }
            Update::Truncation(_) | Update::Loss(_) | Update::Missed { .. } => {}
        }
    }
    last.into_values().collect()
}

/// Hands the events over at the given times.
fn run(host: &Host, arrivals: Vec<(u64, Stamp, Input)>) -> (Vec<Incident>, Counts) {
    let mut engine = Engine::new(host.clone());
    let mut updates = Vec::new();
    for (now, stamp, event) in arrivals {
        engine.push(stamp, event);
        updates.extend(engine.advance(now));
    }
    updates.extend(engine.finish());
    (told(updates), engine.counts())
}

/// A small generator, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % limit
    }
}

/// Every event late by up to 25 ms, those of one CPU and ring in their order, and so what user space found out of
/// one event: it asks before it has the answer.
fn late(events: &Events, dice: &mut Dice) -> Vec<(u64, Stamp, Input)> {
    let (mut latest, mut asked) = (BTreeMap::new(), BTreeMap::new());
    let mut arrivals: Vec<(u64, Stamp, Input)> = events
        .iter()
        .map(|(stamp, event)| {
            let floor = latest.entry((stamp.cpu, stamp.ring)).or_insert(0_u64);
            let mut at = (stamp.time + dice.below(25 * MS)).max(*floor);
            match event {
                // An account is of what has arrived.
                Input::Watch(WatchNote::SeqCheckpoint { .. }) => at = stamp.time + 25 * MS,
                _ if stamp.seq != 0 => *floor = at,
                _ => {
                    let floor = asked.entry(stamp.time).or_insert(0_u64);
                    at = at.max(*floor);
                    *floor = at;
                }
            }
            (at, *stamp, event.clone())
        })
        .collect();
    arrivals.sort_by_key(|(at, stamp, _)| (*at, stamp.seq));
    arrivals
}

fn numbers_aside(mut incidents: Vec<Incident>) -> Vec<Incident> {
    for incident in &mut incidents {
        incident.number = 0;
    }
    incidents
}

#[test]
fn the_order_of_arrival_does_not_matter() {
    in_any_order(STREAM, 40);
    in_any_order(DEATHS, 20);
}

fn in_any_order(stream: &'static [u8], least: usize) {
    let (host, events) = recorded(stream);
    let punctual = events.iter().map(|(stamp, event)| (stamp.time, *stamp, event.clone()));
    let expected = numbers_aside(run(&host, punctual.collect()).0);
    assert!(expected.len() > least, "{} incidents", expected.len());
    for seed in 0..20 {
        let arrivals = late(&events, &mut Dice(seed));
        let got = numbers_aside(run(&host, arrivals).0);
        for (got, expected) in got.iter().zip(&expected) {
            assert_eq!(got, expected, "seed {seed}");
        }
        assert_eq!(got.len(), expected.len(), "seed {seed}");
    }
}

#[test]
fn how_often_we_look_does_not_matter() {
    for stream in [STREAM, DEATHS] {
        let (host, events) = recorded(stream);
        let seen = |step: u64| {
            let late = |time: u64| time / step * step;
            let arrivals =
                events.iter().map(|(stamp, event)| (late(stamp.time), *stamp, event.clone()));
            numbers_aside(run(&host, arrivals.collect()).0)
        };
        let expected = seen(MS);
        for step in [30 * MS, 1_000 * MS, 10_000 * MS, u64::MAX] {
            let got = seen(step);
            for (got, expected) in got.iter().zip(&expected) {
                assert_eq!(got, expected, "every {step} ns");
            }
            assert_eq!(got.len(), expected.len(), "every {step} ns");
        }
    }
}

#[test]
fn a_core_dump_may_take_minutes() {
    let (host, mut events) = recorded(DEATHS);
    let bus = |input: &Input| match input {
        Input::Kernel(KernelEvent::ProcessExit(death)) => death.exit.code & 0x7f == 7,
        _ => false,
    };
    let (ended, _) = events.iter().find(|(_, event)| bus(event)).expect("a bus error");
    let time = ended.time;
    for (stamp, event) in &mut events {
        if stamp.time >= time {
            stamp.time += 120_000 * MS;
            match event {
                Input::Kernel(KernelEvent::ProcessExit(death)) => death.exit.time += 120_000 * MS,
                Input::Kernel(KernelEvent::Shrink(shrink)) => shrink.begin += 120_000 * MS,
                Input::Kernel(KernelEvent::ShrinkEnd(end)) => {
                    (end.begin, end.time) = (end.begin + 120_000 * MS, end.time + 120_000 * MS)
                }
                _ => {}
            }
        }
    }
    let arrivals = events.into_iter().map(|(stamp, event)| (stamp.time, stamp, event)).collect();
    let (incidents, _) = run(&host, arrivals);
    let slow = incidents
        .iter()
        .find(|incident| incident.exit.is_some_and(|exit| exit.time == time + 120_000 * MS));
    let slow = slow.expect("its end");
    assert!(slow.fault.is_some() && slow.restart.is_some(), "{slow:?}");
}

#[test]
fn a_lost_event_never_goes_unnoticed() {
    without_any(STREAM);
    without_any(DEATHS);
}

fn without_any(stream: &'static [u8]) {
    let (host, events) = recorded(stream);
    let punctual = events.iter().map(|(stamp, event)| (stamp.time, *stamp, event.clone()));
    let (whole, _) = run(&host, punctual.collect());
    let of = |incidents: &[Incident]| -> BTreeMap<u32, Incident> {
        incidents.iter().map(|i| (i.victim.task.id.tgid, i.clone())).collect()
    };
    let whole = of(&whole);
    for (i, (lost, _)) in events.iter().enumerate().filter(|(_, (stamp, _))| stamp.seq != 0) {
        let rest = events.iter().enumerate().filter(|(j, _)| *j != i);
        let arrivals = rest.map(|(_, (stamp, event))| (stamp.time, *stamp, event.clone()));
        let (got, counts) = run(&host, arrivals.collect());
        assert_eq!(counts.lost, 1, "event {i}, {lost:?}");
        for (tgid, got) in of(&got) {
            let same = whole.get(&tgid).is_some_and(|whole| {
                let facts = |i: &Incident| (i.cause.class, i.outcome, i.exit, i.count, i.first);
                facts(whole) == facts(&got)
            });
            assert!(same || got.lost > 0, "event {i}, {lost:?}: {got:?}");
        }
    }
}
