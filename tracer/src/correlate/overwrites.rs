//! Who wrote over the code that a process crashed in, while the process mapped it.
use crate::{
    correlate::{
        incident::Truncation, programs::ProgramLog, shrinks::ShrinkLog, supervisor::adopts,
    },
    model::{
        fact::Mapper,
        process::ProcessExit,
        shrink::Shrink,
        task::{Actor, ProcessId},
    },
};

/// Whoever looks who maps a file that is shrunk has looked after this time: it may take three seconds (enrich::mappers).
/// Ns.
const LOOKED: u64 = 4_000_000_000;
/// /proc tells starts in ticks of so many ns (USER_HZ).
const TICK: u64 = 10_000_000;

/// A process, and the ancestors that it was forked by without an exec(2): what they had mapped, it has.
pub struct Image {
    processes: Vec<ProcessId>,
    /// When the first of them began, or had not yet called its last exec(2), ns since boot; 0 unknown.
    since: u64,
}

impl Image {
    /// That of `actor`, as far as the kernel's flag, its parents' names and what is known of their programs tell: who calls exec(2) for
    /// the program that it runs already, or another of that name, looks as if it had not, where nobody saw it. Of its parents
    /// there is no flag.
    pub fn of(actor: &Actor, programs: &ProgramLog) -> Self {
        let victim = actor.task.id;
        let mut image =
            Self { processes: vec![victim], since: victim.start.max(programs.exec_after(victim)) };
        let mut child = victim;
        for parent in &actor.ancestors {
            // A parent that called exec(2) after its child began has not taken the child along.
            let exec = programs.exec_after(child);
            let alike = parent.comm == actor.task.comm;
            // Who was forked by one that has ended is a child of who adopted it (daemon(3)).
            let renamed = child.same(victim) && actor.task.forked && !adopts(parent);
            let forked = (alike || renamed) && exec <= child.start;
            if !forked || programs.differ(victim, parent.id) {
                break;
            }
            let exec = programs.exec_after(parent.id);
            let before = if exec < child.start { exec } else { 0 };
            image.since = parent.id.start.max(before);
            image.processes.push(parent.id);
            child = parent.id;
        }
        image
    }

    /// When the first of the processes that it was forked by began, ns since boot; `None` if it was forked by none.
    pub fn forked_since(&self) -> Option<u64> {
        (self.processes.len() > 1).then_some(self.since)
    }
}

/// Shrinks of the file that `death` failed in which began until `time`, while its victim mapped it, as far as that
/// is known; oldest first.
pub fn of_death(log: &ShrinkLog, death: &ProcessExit, image: &Image, time: u64) -> Vec<Shrink> {
    let Some(module) = &death.module else { return Vec::new() };
    let mapped_it = |shrink: &Shrink| {
        image.since != 0
            && shrink.begin >= image.since
            && shrink.mapped
            && log.warning_of(shrink).is_none_or(|warning| may_list(warning, image, time))
    };
    log.of_file(module.id, time).into_iter().filter(mapped_it).collect()
}

/// The latest shrink of any file until `time` that a victim was seen to map code of. With the code went what it had
/// written to other pages of the file: the addresses that the dynamic linker put there
/// (mm/truncate.c truncate_pagecache unmaps private copies, too).
pub fn of_process(log: &ShrinkLog, image: &Image, time: u64) -> Option<Shrink> {
    let code = |warning: &&Truncation| {
        (image.since..=time).contains(&warning.shrink.begin)
            && lists(warning, image).is_some_and(|mapper| mapper.code)
    };
    let latest = log.warnings().filter(code).max_by_key(|warning| warning.shrink.begin)?;
    log.find(latest.shrink.inode.ptr, latest.shrink.begin).cloned()
}

/// Whether one of these is among those who mapped the file, or may have been gone when they were looked for.
fn may_list(warning: &Truncation, image: &Image, time: u64) -> bool {
    let looked = time.saturating_sub(warning.shrink.begin) > LOOKED && warning.why.is_none();
    !looked || lists(warning, image).is_some()
}

/// The first of those who mapped the file that is one of these.
fn lists<'a>(warning: &'a Truncation, image: &Image) -> Option<&'a Mapper> {
    let same = |a: ProcessId, b: ProcessId| a.tgid == b.tgid && a.start.abs_diff(b.start) <= TICK;
    warning.at_risk.iter().find(|mapper| image.processes.iter().any(|id| same(*id, mapper.id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            fact::Mapper,
            file::Path,
            process::{Module, Program},
            task::Ancestor,
        },
        testing::{STARTED, VICTIM, exit, program, shrink},
    };

    const AT: u64 = 20 * STARTED;

    fn death() -> ProcessExit {
        let id = shrink(2, 0, 0, 0).inode.id;
        ProcessExit {
            module: Some(Module { id, offset: 0, path: Path::default() }),
            ..exit(AT, 11)
        }
    }

    fn begins(log: &ShrinkLog, death: &ProcessExit) -> Vec<u64> {
        begins_after(log, death, &ProgramLog::default())
    }

    fn begins_after(log: &ShrinkLog, death: &ProcessExit, programs: &ProgramLog) -> Vec<u64> {
        let image = Image::of(&death.actor, programs);
        of_death(log, death, &image, AT).iter().map(|shrink| shrink.begin).collect()
    }

    fn warned(begin: u64, pids: &[u32], code: bool, why: Option<&str>) -> Truncation {
        let id = |tgid: &u32| ProcessId { tgid: *tgid, start: STARTED - TICK / 2 };
        Truncation {
            id: String::new(),
            shrink: shrink(2, begin, 8_192, 0),
            path: None,
            process: None,
            mount: None,
            server: None,
            at_risk: pids
                .iter()
                .map(|pid| Mapper { id: id(pid), comm: Vec::new(), code })
                .collect(),
            why: why.map(str::to_owned),
        }
    }

    #[test]
    fn only_what_happened_while_it_lived_and_somebody_mapped_the_file() {
        let mut log = ShrinkLog::default();
        let (begin, unmapped) =
            (5 * STARTED, Shrink { mapped: false, ..shrink(2, 6 * STARTED, 9, 0) });
        log.begin(shrink(2, STARTED - 1, 8_192, 0));
        log.begin(shrink(2, begin, 8_192, 0));
        log.begin(unmapped);
        log.begin(shrink(2, AT + 1, 8_192, 0));
        assert_eq!(begins(&log, &death()), [begin]);
        let mut other = death();
        if let Some(module) = &mut other.module {
            module.id.ino += 1;
        }
        assert!(begins(&log, &other).is_empty(), "the file was replaced");
        assert!(begins(&log, &ProcessExit { module: None, ..death() }).is_empty());
    }

    #[test]
    fn a_forked_worker_maps_what_its_parent_did() {
        let mut log = ShrinkLog::default();
        log.begin(shrink(2, STARTED - 5, 8_192, 0));
        let mut worker = death();
        let parent =
            |comm: &[u8]| Ancestor { id: ProcessId { tgid: 9, start: 5 }, comm: comm.to_vec() };
        worker.actor.ancestors = vec![parent(b"sh")];
        assert!(begins(&log, &worker).is_empty());
        worker.actor.ancestors = vec![parent(&worker.actor.task.comm)];
        assert_eq!(begins(&log, &worker), [STARTED - 5]);
        // Whatever it calls itself since (setproctitle, prctl PR_SET_NAME).
        worker.actor.ancestors = vec![parent(b"master"), parent(b"sh")];
        assert!(begins(&log, &worker).is_empty());
        worker.actor.task.forked = true;
        assert_eq!(begins(&log, &worker), [STARTED - 5]);
        let image = |worker: &ProcessExit| Image::of(&worker.actor, &ProgramLog::default());
        let known = image(&worker).processes.len();
        assert_eq!(known, 2, "of the parent of its parent nothing is known");
        worker.actor.ancestors = vec![parent(b"systemd")];
        assert_eq!(image(&worker).processes.len(), 1, "it was adopted");
    }

    #[test]
    fn who_was_not_seen_to_map_it_did_not() {
        let judged = |begin: u64, pids: &[u32], why| {
            let mut log = ShrinkLog::default();
            log.begin(shrink(2, begin, 8_192, 0));
            log.warned(warned(begin, pids, true, why));
            begins(&log, &death()).len()
        };
        let long_before = 5 * STARTED;
        assert_eq!(judged(long_before, &[VICTIM, 77], None), 1);
        assert_eq!(judged(long_before, &[77], None), 0, "it ran another program then");
        assert_eq!(judged(long_before, &[77], Some("too many")), 1);
        assert_eq!(judged(AT - 5, &[], None), 1, "it was gone before anybody looked");
    }

    #[test]
    fn who_was_seen_to_map_code_lost_it() {
        let judged = |pids: &[u32], code: bool, begin: u64, time: u64| {
            let mut log = ShrinkLog::default();
            log.begin(shrink(2, begin, 8_192, 0));
            log.warned(warned(begin, pids, code, None));
            let image = Image::of(&death().actor, &ProgramLog::default());
            of_process(&log, &image, time).map(|shrink| shrink.begin)
        };
        let (act, end) = (STARTED + 7, STARTED + 8);
        assert_eq!(judged(&[77, VICTIM], true, act, end), Some(act));
        assert_eq!(judged(&[77, VICTIM], false, act, end), None, "data alone");
        assert_eq!(judged(&[77], true, act, end), None);
        assert_eq!(judged(&[VICTIM], true, act, act - 1), None, "it was gone before");
    }

    /// A supervisor that runs itself anew for each worker, and a server that does to be updated.
    #[test]
    fn who_has_called_exec_since_maps_the_new_code() {
        let (mut log, mut worker) = (ShrinkLog::default(), death());
        let parent = ProcessId { tgid: 9, start: 5 };
        let comm = worker.actor.task.comm.clone();
        worker.actor.ancestors = vec![Ancestor { id: parent, comm }];
        let (before, while_it_ran) = (STARTED - 5, STARTED + 5);
        for begin in [before, while_it_ran] {
            log.begin(shrink(2, begin, 8_192, 0));
        }
        let after = |execs: &[(u64, ProcessId)]| {
            let mut programs = ProgramLog::default();
            execs.iter().for_each(|(time, id)| programs.executed(*time, *id));
            begins_after(&log, &worker, &programs)
        };
        let victim = worker.actor.task.id;
        assert_eq!(after(&[]), [before, while_it_ran]);
        assert_eq!(after(&[(STARTED + 1, victim)]), [while_it_ran]);
        assert!(after(&[(STARTED + 9, victim)]).is_empty());
        assert_eq!(after(&[(STARTED - 3, parent)]), [while_it_ran]);
        let later = after(&[(STARTED + 3, parent)]);
        assert_eq!(later, [before, while_it_ran], "its child was there");
        let mut programs = ProgramLog::default();
        programs.told(6, &Program { id: parent, ..program(9, b"spawn") });
        programs.told(STARTED + 1, &program(VICTIM, b"worker"));
        assert_eq!(begins_after(&log, &worker, &programs), [while_it_ran], "of another program");
    }
}
