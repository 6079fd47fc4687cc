//! What the kernel counts beside the events: how far each ring was numbered, faults that loop, and
//! calls that a program was not run for.
use std::os::fd::{AsFd as _, AsRawFd as _};

use anyhow::{Context as _, Result};
use aya::{
    Ebpf, Pod,
    maps::{Array, HashMap, MapData, PerCpuArray},
};
use tracer_common::{
    event::ring,
    maps::{BurstCount, BurstKey, RingState, SHARED_KINDS, SharedShrinks, call, signal_count},
};

use crate::{
    model::signal::SignalsUntold,
    probe::{attach::Attached, form::Form, kretprobes::Kretprobe, plan::Probe},
};

#[derive(Clone, Copy)]
#[repr(transparent)]
struct State(RingState);
// SAFETY: `repr(C)`, two u64, no padding.
unsafe impl Pod for State {}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct Key(BurstKey);
// SAFETY: `repr(C)`, a u64 and two u32, no padding.
unsafe impl Pod for Key {}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct Count(BurstCount);
// SAFETY: `repr(C)`, two u64, no padding.
unsafe impl Pod for Count {}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct Shared(SharedShrinks);
// SAFETY: `repr(C)`, three u64, no padding.
unsafe impl Pod for Shared {}

/// The maps that hold counts.
pub struct Counters {
    states: PerCpuArray<MapData, State>,
    bursts: HashMap<MapData, Key, Count>,
    shrinks: PerCpuArray<MapData, u64>,
    shared: Array<MapData, Shared>,
    signals: PerCpuArray<MapData, u64>,
}

impl Counters {
    /// Takes the maps out of a loaded object.
    ///
    /// # Errors
    /// Where one is missing.
    pub fn new(ebpf: &mut Ebpf) -> Result<Self> {
        let states = ebpf.take_map("RINGS").context("the object has no map RINGS")?;
        let bursts = ebpf.take_map("BURSTS").context("the object has no map BURSTS")?;
        let shrinks = ebpf.take_map("SHRINKS_RECORDED");
        let shrinks = shrinks.context("the object has no map SHRINKS_RECORDED")?;
        let shared = ebpf.take_map("SHARED_SHRINKS");
        let shared = shared.context("the object has no map SHARED_SHRINKS")?;
        let signals = ebpf.take_map("SIGNAL_COUNTS");
        let signals = signals.context("the object has no map SIGNAL_COUNTS")?;
        Ok(Self {
            signals: PerCpuArray::try_from(signals)?,
            states: PerCpuArray::try_from(states)?,
            bursts: HashMap::try_from(bursts)?,
            shrinks: PerCpuArray::try_from(shrinks)?,
            shared: Array::try_from(shared)?,
        })
    }

    /// How often the kernel has counted this fault.
    pub fn burst(&self, key: BurstKey) -> Option<u64> {
        Some(self.bursts.get(&Key(key), 0).ok()?.0.count)
    }

    /// How many shrinks the kernel has remembered so far, of which it may have evicted the oldest.
    pub fn shrinks_recorded(&self) -> Option<u64> {
        sum(&self.shrinks, 0)
    }

    /// Signals that were too many to be told as they were sent, so far.
    pub fn signals_untold(&self) -> Option<SignalsUntold> {
        Some(SignalsUntold {
            kept: sum(&self.signals, signal_count::KEPT)?,
            left: sum(&self.signals, signal_count::LEFT)?,
            handled: sum(&self.signals, signal_count::DELIVERIES)?,
        })
    }

    /// How many shrinks of files that other hosts may map were too many so far.
    pub fn shared_suppressed(&self) -> Option<u64> {
        (0..SHARED_KINDS as u32)
            .map(|kind| Some(self.shared.get(&kind, 0).ok()?.0.suppressed))
            .sum()
    }

    /// Events numbered and lost so far, by (cpu, ring).
    pub fn ring_states(&self) -> Vec<(u32, u16, RingState)> {
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

/// What all CPUs have counted.
fn sum(map: &PerCpuArray<MapData, u64>, index: u32) -> Option<u64> {
    let values = map.get(&index, 0).ok()?;
    Some(values.iter().fold(0, |sum: u64, count| sum.wrapping_add(*count)))
}

/// Calls that were not followed from their beginning to their end, by the number of the function
/// ([`tracer_common::maps::call`]).
fn calls_missed(ebpf: &Ebpf) -> Vec<u64> {
    let map = ebpf.map("CALLS_MISSED").and_then(|map| PerCpuArray::<_, u64>::try_from(map).ok());
    let Some(map) = map else { return Vec::new() };
    let count = |call| map.get(&call, 0).map_or(0, |values| values.iter().sum());
    (0..call::COUNT).map(count).collect()
}

/// How often calls of each hook were not looked at, because its program was running already on that
/// CPU (`recursion_misses`; before 5.12, and of kprobes before 6.7, the kernel does not count), or because a kprobe
/// and a kretprobe did not both see them, which the kernel counts from 6.17 on ([`Kretprobe`]). Where a second program
/// stands in for one, only what both were not run for is missed: no more than either was.
pub fn recursion_misses(armed: &Attached) -> Vec<(Probe, u64)> {
    let Attached { ebpf, attached, kretprobes, .. } = armed;
    let count = |program: &str| {
        let fd = ebpf.program(program)?.fd().ok()?.as_fd().as_raw_fd();
        let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?;
        line.trim().parse::<u64>().ok()
    };
    let followed = calls_missed(ebpf);
    let mut seen: Vec<&str> = Vec::new();
    let mut misses = Vec::new();
    for probe in attached {
        // One program may serve several hooks.
        if seen.contains(&probe.program.name) || probe.row.backup {
            continue;
        }
        seen.push(probe.program.name);
        let second = attached.iter().find(|other| other.row.stands_in_for(probe.row));
        let calls = count(probe.program.name).unwrap_or(0);
        let second = second.and_then(|second| count(second.program.name)).unwrap_or(calls);
        let kept = probe.program.kept.as_ref();
        let halves = kept.and_then(|kept| followed.get(kept.call as usize)).copied().unwrap_or(0);
        let halves = match probe.program.form {
            Form::Kretprobe(function) => halves.max(Kretprobe::missed(kretprobes, function)),
            _ => halves,
        };
        misses.push((*probe, calls.min(second) + halves));
    }
    misses.retain(|(_, calls)| *calls != 0);
    misses
}
