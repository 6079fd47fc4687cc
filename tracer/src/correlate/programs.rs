//! Which program each process ran at which time, as the kernel told it.
use std::collections::VecDeque;

use crate::{
    correlate::bounded::BoundedMap,
    model::{
        Bytes, file,
        input::KernelEvent,
        process::Program,
        task::{ProcessId, Task},
    },
};

/// Processes of which it is remembered. The kernel tells of one again after a minute.
const PROCESSES: usize = 4_096;
/// Programs of one process: what it did before an exec(2) may be told of after that.
const PROGRAMS: usize = 4;

/// What a process has run, and from when on, ns since boot; in the order of time.
type Programs = VecDeque<(u64, Option<Bytes>)>;

/// What processes have run.
pub struct ProgramLog {
    processes: BoundedMap<ProcessId, Programs>,
    /// Programs that were forgotten of processes that ran too many.
    outrun: u64,
}

impl Default for ProgramLog {
    fn default() -> Self {
        Self { processes: BoundedMap::new(PROCESSES), outrun: 0 }
    }
}

impl ProgramLog {
    /// The kernel told what a process runs at `time`.
    pub fn told(&mut self, time: u64, program: &Program) {
        let exe = file::program(&program.path);
        let programs = self.processes.entry(program.id);
        if programs.back().is_some_and(|(_, last)| *last == exe) {
            return;
        }
        if programs.len() == PROGRAMS {
            programs.pop_front();
            self.outrun += 1;
        }
        programs.push_back((time, exe));
    }

    /// Says of whoever acts in an event of `time` which program that was.
    pub fn name(&mut self, time: u64, event: &mut KernelEvent) {
        match event {
            KernelEvent::Fault(fault) => self.name_at(time, &mut fault.actor.task),
            // It may be told of long after, when a fault needs it; and an open(2) has done it before it is told.
            KernelEvent::Shrink(shrink) => {
                let time = shrink.begin.max(shrink.end.unwrap_or(0));
                self.name_at(time, &mut shrink.actor.task);
            }
            KernelEvent::Signal(signal) => {
                self.name_at(time, &mut signal.target);
                self.name_at(time, &mut signal.sender.task);
            }
            KernelEvent::Deliver(delivery) => self.name_at(time, &mut delivery.target.task),
            KernelEvent::ProcessExit(exit) => self.name_at(time, &mut exit.actor.task),
            KernelEvent::ShrinkEnd(_)
            | KernelEvent::ProcessStart(_)
            | KernelEvent::Stale(_)
            | KernelEvent::Cgroup(_)
            | KernelEvent::Program(_)
            | KernelEvent::OomKill(_)
            | KernelEvent::Crash(_) => {}
        }
    }

    /// The program that the kernel told last before `time`.
    fn name_at(&mut self, time: u64, task: &mut Task) {
        let programs = self.processes.get(&task.id).into_iter().flatten();
        let until = programs.take_while(|(told, _)| *told <= time);
        task.exe = until.last().and_then(|(_, exe)| exe.clone());
    }

    /// How many were forgotten because there were too many.
    pub fn evicted(&self) -> u64 {
        self.processes.evicted() + self.outrun
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::file::Path,
        testing::{actor, program},
    };

    fn at(log: &mut ProgramLog, tgid: u32, time: u64) -> Option<String> {
        let mut task = actor(tgid).task;
        log.name_at(time, &mut task);
        task.exe.map(|exe| String::from_utf8_lossy(&exe).into_owned())
    }

    #[test]
    fn an_act_is_that_of_the_program_of_its_time() {
        let mut log = ProgramLog::default();
        log.told(10, &program(1, b"first"));
        log.told(15, &program(1, b"first"));
        log.told(20, &program(1, b"second"));
        log.told(30, &program(1, b"first"));
        let told = [9, 10, 19, 20, 29, 30].map(|time| at(&mut log, 1, time));
        let (first, second) = (Some("/first".to_owned()), Some("/second".to_owned()));
        let expected = [None, first.clone(), first.clone(), second.clone(), second, first];
        assert_eq!(told, expected);
        assert_eq!(at(&mut log, 2, 30), None);
    }

    #[test]
    fn a_program_whose_path_was_not_told_is_no_earlier_one() {
        let mut log = ProgramLog::default();
        log.told(10, &program(1, b"first"));
        log.told(20, &Program { path: Path::default(), ..program(1, b"") });
        assert_eq!(at(&mut log, 1, 20), None);
    }

    #[test]
    fn what_is_forgotten_is_counted() {
        let mut log = ProgramLog::default();
        for tgid in 0..=PROCESSES as u32 {
            log.told(1, &program(tgid, b"x"));
        }
        assert_eq!((at(&mut log, 0, 1), log.evicted()), (None, 1));
        for time in 2..=1 + PROGRAMS as u64 {
            log.told(time, &program(1, time.to_string().as_bytes()));
        }
        assert_eq!((at(&mut log, 1, 1), log.evicted()), (None, 2));
        assert_eq!(at(&mut log, 1, 2), Some("/2".to_owned()));
    }
}
