//! Who wrote over the code that a process crashed in, while the process mapped it.
use crate::{
    correlate::{incident::Truncation, shrinks::ShrinkLog},
    model::{
        fact::Mapper,
        process::ProcessExit,
        shrink::Shrink,
        task::{Actor, ProcessId},
    },
};

/// Whoever looks who maps a file that is shrunk has looked after this time. Ns.
const LOOKED: u64 = 2_000_000_000;
/// /proc tells starts in ticks of so many ns (USER_HZ).
const TICK: u64 = 10_000_000;

/// Shrinks of the file that `death` failed in which began until `time`, while its victim mapped it, as far as that
/// is known; oldest first.
pub fn of_death(log: &ShrinkLog, death: &ProcessExit, time: u64) -> Vec<Shrink> {
    let Some(module) = &death.module else { return Vec::new() };
    let image = image(&death.actor);
    let since = image.iter().map(|id| id.start).min().unwrap_or(0);
    let mapped_it = |shrink: &Shrink| {
        since != 0
            && shrink.begin >= since
            && shrink.mapped
            && log.warning_of(shrink).is_none_or(|warning| may_list(warning, &image, time))
    };
    log.of_file(module.id, time).into_iter().filter(mapped_it).collect()
}

/// The latest shrink of any file until `time` that `victim` was seen to map code of. With the code went what it had
/// written to other pages of the file: the addresses that the dynamic linker put there
/// (mm/truncate.c truncate_pagecache unmaps private copies, too).
pub fn of_process(log: &ShrinkLog, victim: &Actor, time: u64) -> Option<Shrink> {
    let image = image(victim);
    let code = |warning: &&Truncation| {
        let begin = warning.shrink.begin;
        begin <= time && lists(warning, &image).is_some_and(|mapper| mapper.code)
    };
    let latest = log.warnings().filter(code).max_by_key(|warning| warning.shrink.begin)?;
    log.find(latest.shrink.inode.ptr, latest.shrink.begin).cloned()
}

/// The process, and the ancestors that it was forked by without an exec(2): what they had mapped, it has.
fn image(actor: &Actor) -> Vec<ProcessId> {
    let forked_by = actor.ancestors.iter().take_while(|parent| parent.comm == actor.task.comm);
    std::iter::once(actor.task.id).chain(forked_by.map(|parent| parent.id)).collect()
}

/// Whether one of these is among those who mapped the file, or may have been gone when they were looked for.
fn may_list(warning: &Truncation, image: &[ProcessId], time: u64) -> bool {
    let looked = time.saturating_sub(warning.shrink.begin) > LOOKED && warning.why.is_none();
    !looked || lists(warning, image).is_some()
}

/// The first of those who mapped the file that is one of these.
fn lists<'a>(warning: &'a Truncation, image: &[ProcessId]) -> Option<&'a Mapper> {
    let same = |a: ProcessId, b: ProcessId| a.tgid == b.tgid && a.start.abs_diff(b.start) <= TICK;
    warning.at_risk.iter().find(|mapper| image.iter().any(|id| same(*id, mapper.id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{fact::Mapper, file::Path, process::Module, task::Ancestor},
        testing::{STARTED, VICTIM, exit, shrink},
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
        of_death(log, death, AT).iter().map(|shrink| shrink.begin).collect()
    }

    fn warned(begin: u64, pids: &[u32], code: bool, why: Option<&str>) -> Truncation {
        let id = |tgid: &u32| ProcessId { tgid: *tgid, start: STARTED - TICK / 2 };
        Truncation {
            id: String::new(),
            shrink: shrink(2, begin, 8_192, 0),
            path: None,
            process: None,
            mount: None,
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
            of_process(&log, &death().actor, time).map(|shrink| shrink.begin)
        };
        assert_eq!(judged(&[77, VICTIM], true, 7, 8), Some(7));
        assert_eq!(judged(&[77, VICTIM], false, 7, 8), None, "data alone");
        assert_eq!(judged(&[77], true, 7, 8), None);
        assert_eq!(judged(&[VICTIM], true, 7, 6), None, "it was gone before");
    }
}
