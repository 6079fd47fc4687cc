//! What events ask for.
use std::thread;

use tracer_common::event as wire;

use super::*;
use crate::{
    enrich::view::own,
    model::{fact::Place, fault::Fault},
    parse::protocol::{Answer, Request},
    testing::{exit, fault, host, shrink},
    wire::decode::testing::{bytes, zeroed},
};

/// A fault of this thread.
fn ours() -> Box<Fault> {
    let mut fault = Box::new(fault(0, 0));
    (fault.ip, fault.nth) = (Some(own as *const () as u64), 1);
    let task = &mut fault.actor.task;
    task.id = ProcessId { tgid: std::process::id(), start: 0 };
    task.tid = rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs();
    task.thread_comm = std::fs::read("/proc/thread-self/comm").expect("a name");
    task.thread_comm.pop();
    fault
}

/// Of what a fault asks, its place is told to whoever waits for its victim.
#[test]
fn where_a_fault_happened_is_asked() {
    let fault = ours();
    // Nobody waits for the symbols of these tests, which are large.
    let parser = Parser::answering(|channel| drop(channel.send(&Answer::Done { left: 0 }, &[])));
    let mut enricher = Enricher::new(&host(), false, parser);
    enricher.on_event(10, &KernelEvent::Fault(fault.clone()));
    let told = place(&mut enricher);
    assert_eq!(
        told.map(|place| (place.victim, Some(place.ip))),
        Some((fault.actor.task.id, fault.ip))
    );
}

/// A stack whose files take their time holds up nobody's place.
#[test]
fn a_large_file_delays_nobody_else() {
    let parser = Parser::answering(|channel| match channel.receive::<Request>(None) {
        Ok((Request::Stack(_), _)) => thread::sleep(Duration::from_secs(8)),
        _ => drop(channel.send(&Answer::Done { left: 0 }, &[])),
    });
    let mut enricher = Enricher::new(&host(), false, parser);
    let death = exit(20, 11);
    let mut sample: wire::StackSample = zeroed();
    (sample.tgid, sample.start_time) = (death.exit.id.tgid, death.exit.id.start);
    enricher.captured(&bytes(&sample, b""));
    let begin = Instant::now();
    enricher.on_event(20, &KernelEvent::ProcessExit(Box::new(death)));
    assert!(enricher.is_busy(), "no stack is asked for");
    enricher.on_event(30, &KernelEvent::Fault(ours()));
    assert!(place(&mut enricher).is_some());
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    assert!(enricher.is_busy(), "its stack is still looked for");
}

/// The place that is told next.
fn place(enricher: &mut Enricher) -> Option<Place> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut told = None;
    while told.is_none() && Instant::now() < deadline {
        let answers = enricher.try_next().into_iter().flat_map(|(_, inputs)| inputs);
        let place = |input| match input {
            Input::Fact(Fact::Place(place)) => Some(place),
            _ => None,
        };
        told = answers.filter_map(place).next();
        thread::sleep(Duration::from_millis(1));
    }
    told
}

/// The first is looked for; that nobody looks a second time says nothing of who maps it.
#[test]
fn who_maps_a_file_that_is_shrunk_again_at_once_is_not_known() {
    let mut enricher = Enricher::new(&host(), true, Parser::here());
    let mut told = Vec::new();
    for begin in [10, 20] {
        let mut shrink = shrink(2, begin, 8_192, 0);
        shrink.inode.magic = 0x6969;
        enricher.on_event(begin, &KernelEvent::Shrink(Box::new(shrink)));
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while told.is_empty() && Instant::now() < deadline {
        let answers = enricher.try_next().into_iter().flat_map(|(_, inputs)| inputs);
        told.extend(answers.filter_map(|input| match input {
            Input::Fact(Fact::Mappers(mappers)) => Some((mappers.begin, mappers.why.is_some())),
            _ => None,
        }));
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(told, [(20, true)]);
}
