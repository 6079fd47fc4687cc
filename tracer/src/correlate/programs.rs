//! Which program each process ran at which time, and since when, as the kernel told it.
use std::collections::VecDeque;

use crate::{
    correlate::bounded::BoundedMap,
    model::{
        Bytes,
        file::{self, DELETED},
        input::KernelEvent,
        process::{ProcessStart, Program},
        task::{ProcessId, Task},
    },
};

/// Processes of which it is remembered. The kernel tells of one again after a minute.
const PROCESSES: usize = 4_096;
/// Programs of one process: what it did before an exec(2) may be told of after that.
const PROGRAMS: usize = 4;

/// What a process has run.
#[derive(Default)]
struct Programs {
    /// And from when on, ns since boot; in the order of time.
    list: VecDeque<(u64, Option<Bytes>)>,
    /// Its last exec(2) was later, ns since boot; 0 if none is known of. Programs are told before acts of them, not
    /// as they begin.
    exec_after: u64,
}

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
        let Programs { list, exec_after } = self.processes.entry(program.id);
        if let Some((told, last)) = list.back() {
            if *last == exe {
                return;
            }
            if is_other(last.as_ref(), exe.as_ref()) {
                *exec_after = (*exec_after).max(*told);
            }
        }
        if list.len() == PROGRAMS {
            list.pop_front();
            self.outrun += 1;
        }
        list.push_back((time, exe));
    }

    /// A process was forked, or has called exec(2), at `time`.
    pub fn started(&mut self, time: u64, start: &ProcessStart) {
        if !start.forked {
            self.executed(time, start.actor.task.id);
        }
    }

    /// A process has called exec(2), at `time`: it may run the same program again.
    pub fn executed(&mut self, time: u64, id: ProcessId) {
        let programs = self.processes.entry(id);
        programs.exec_after = programs.exec_after.max(time);
    }

    /// When a process had not yet called the last exec(2) of it that is known of, ns since boot: what it maps, it has
    /// mapped since. 0 if none is.
    pub fn exec_after(&self, id: ProcessId) -> u64 {
        self.processes.peek(&id).map_or(0, |programs| programs.exec_after)
    }

    /// Whether two processes are known to run different programs.
    pub fn differ(&self, a: ProcessId, b: ProcessId) -> bool {
        let last = |id| self.processes.peek(&id)?.list.back()?.1.as_ref();
        is_other(last(a), last(b))
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
            | KernelEvent::Output(_)
            | KernelEvent::OomKill(_)
            | KernelEvent::Crash(_) => {}
        }
    }

    /// The program that the kernel told last before `time`.
    fn name_at(&mut self, time: u64, task: &mut Task) {
        let programs = self.processes.get(&task.id).into_iter().flat_map(|known| &known.list);
        let until = programs.take_while(|(told, _)| *told <= time);
        task.exe = until.last().and_then(|(_, exe)| exe.clone());
    }

    /// How many were forgotten because there were too many.
    pub fn evicted(&self) -> u64 {
        self.processes.evicted() + self.outrun
    }
}

/// Whether two programs are known and not the same one, which may have been replaced meanwhile.
fn is_other(a: Option<&Bytes>, b: Option<&Bytes>) -> bool {
    let path = |exe: &Bytes| exe.strip_suffix(DELETED).unwrap_or(exe).to_vec();
    a.zip(b).is_some_and(|(a, b)| path(a) != path(b))
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
    fn an_exec_is_known_by_another_program_or_as_it_happens() {
        let mut log = ProgramLog::default();
        let id = |tgid| actor(tgid).task.id;
        log.told(10, &program(1, b"first"));
        log.told(15, &program(1, b"first (deleted)"));
        assert_eq!(log.exec_after(id(1)), 0, "its file was replaced");
        log.told(20, &program(1, b"second"));
        assert_eq!(log.exec_after(id(1)), 15);
        log.executed(30, id(1));
        assert_eq!((log.exec_after(id(1)), log.exec_after(id(2))), (30, 0));
        log.told(40, &program(2, b"second (deleted)"));
        assert!(!log.differ(id(1), id(2)) && !log.differ(id(1), id(3)));
        log.told(50, &program(3, b"third"));
        assert!(log.differ(id(1), id(3)));
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
