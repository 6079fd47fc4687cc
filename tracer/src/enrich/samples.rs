//! Stacks that the kernel has captured and that nobody has asked for yet.
use std::collections::VecDeque;

use crate::{
    model::{file::Path, input::KernelEvent, stack::Sample, task::ProcessId},
    wire::decode::{SampleKey, StackRecord, stack},
};

/// Samples that wait, at most: 17 KiB each.
const SAMPLES: usize = 64;
/// Paths that wait for their sample, at most.
const PATHS: usize = 1_024;

/// Whether the kernel may have captured a stack before it sent an event.
pub fn may_belong_to(event: &KernelEvent) -> bool {
    match event {
        KernelEvent::ProcessExit(exit) => exit.exit.code & 0x7f != 0,
        KernelEvent::Shrink(shrink) => shrink.mapped && !shrink.replayed,
        _ => false,
    }
}

/// What waits, oldest first.
#[derive(Default)]
pub struct Samples {
    paths: VecDeque<(SampleKey, usize, Path)>,
    samples: VecDeque<Box<Sample>>,
}

impl Samples {
    /// Takes in a record of the ring of stacks. What cannot be read is left out.
    pub fn add(&mut self, record: &[u8]) {
        match stack(record) {
            Ok(StackRecord::Path { key, module, path }) => {
                if self.paths.len() == PATHS {
                    self.paths.pop_front();
                }
                self.paths.push_back((key, module, path));
            }
            Ok(StackRecord::Sample { key, mut sample }) => {
                self.paths.retain(|(of, module, path)| {
                    if *of == key
                        && let Some(module) = sample.modules.get_mut(*module)
                    {
                        module.path = path.clone();
                    }
                    *of != key
                });
                if self.samples.len() == SAMPLES {
                    self.samples.pop_front();
                }
                self.samples.push_back(sample);
            }
            Err(_) => {}
        }
    }

    /// The stacks of a process as it ended (`act` is none), one for each of its threads that died of its own signal, or as it
    /// began an act at that time.
    pub fn take(&mut self, of: ProcessId, act: Option<u64>) -> Vec<Box<Sample>> {
        let is = |sample: &Sample| sample.process.same(of) && sample.act == act;
        let (taken, kept): (Vec<_>, _) = self.samples.drain(..).partition(|sample| is(sample));
        self.samples = kept.into();
        taken
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::event as wire;

    use super::*;
    use crate::wire::decode::testing::{bytes, zeroed};

    fn sample(tgid: u32, time: u64) -> Vec<u8> {
        let mut sent: wire::StackSample = zeroed();
        (sent.header.time, sent.tgid, sent.start_time, sent.module_count) = (time, tgid, 9, 2);
        bytes(&sent, b"")
    }

    fn path(tgid: u32, time: u64, module: u32) -> Vec<u8> {
        let mut sent: wire::StackPath = zeroed();
        (sent.sample, sent.tgid, sent.module, sent.path_len) = (time, tgid, module, 8);
        bytes(&sent, b"leaf\0up\0")
    }

    #[test]
    fn modules_of_a_sample_have_their_paths() {
        let mut samples = Samples::default();
        for record in [path(1, 7, 1), path(1, 7, 99), path(2, 7, 0), sample(1, 7)] {
            samples.add(&record);
        }
        let id = ProcessId { tgid: 1, start: 9 };
        assert_eq!(samples.take(ProcessId { start: 8, ..id }, None), [], "another process");
        assert_eq!(samples.take(id, Some(3)), [], "an act of its");
        let sample = samples.take(id, None).pop().expect("a sample");
        let named: Vec<bool> = sample.modules.iter().map(|m| !m.path.names.is_empty()).collect();
        assert_eq!(named, [false, true]);
        assert_eq!(samples.take(id, None), [], "it is taken once");
    }

    #[test]
    fn what_nobody_asks_for_is_bounded() {
        let mut samples = Samples::default();
        for tgid in 0..2_000 {
            samples.add(&path(tgid, 1, 0));
            samples.add(&sample(tgid, 2));
            samples.add(b"no record");
        }
        assert_eq!((samples.samples.len(), samples.paths.len()), (SAMPLES, PATHS));
        assert!(samples.take(ProcessId { tgid: 1_999, start: 9 }, None).len() == 1);
    }
}
