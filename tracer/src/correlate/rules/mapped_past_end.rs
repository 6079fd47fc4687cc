//! Past the end, and nobody shrank the file: it was mapped longer than it is.
use crate::{
    correlate::{
        cause::{Absence, Cause, Rule, SignalFrom},
        evidence::{Evidence, UNDER_WAY, Verdict},
    },
    model::{
        cause::{CauseKind, Confidence},
        fault::{Access, Fault},
        observe::Observe,
        shrink::Shrink,
    },
    text::format::{duration, size},
};

const CAUSE: Cause = Cause {
    kind: CauseKind::MappedPastEnd,
    observes: &[Observe::FileFault, Observe::ForcedSignal],
    rests_on: Some(Absence::OfAct),
    shows_mount: false,
    signal_from: SignalFrom::Fault,
    advice: "compare st_size with the mapped length before touching the mapping; grow the \
             file with ftruncate(2) or posix_fallocate(3) first",
};

const ADVICE_MEMFD: &str = "map no more of shared memory than fstat(2) says it has, whatever its sender tells; or refuse it";
const ADVICE_REWRITTEN: &str = "write the new file beside the old one and rename(2) it into place: whoever opens it meanwhile then \
                                finds a whole one";
const ADVICE_PROGRAM: &str = "the file ends before what its header promises: a program or library that was copied, downloaded or \
                              unpacked in part only. Install it again (dpkg -V or rpm -V names others)";
const ADVICE_DEVICE: &str = "the block device is smaller than what was mapped: compare with `blockdev --getsize64`; a loop \
                             device follows its image (losetup -c), others their partition or volume";

pub const RULE: Rule = Rule { causes: &[CAUSE], evaluate };

/// include/linux/mm.h
const VM_SHARED: u64 = 0x8;
/// How long after a shrink a file may still be being written again. Ns.
const REWRITE: u64 = 60_000_000_000;

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    let fault = evidence.past_end()?;
    let doubt = evidence.absence_doubt(fault);
    let unchanged = evidence.changed_since_start(fault) == Some(false);
    // A shrink unmaps its pages before it changes ctime (fs/ext4/inode.c ext4_setattr: first
    // truncate_pagecache, then ext4_truncate): while one may be under way, an old ctime says nothing.
    let under_way = evidence.lacks(Observe::Shrink)
        || evidence.shrinks_lost_since(evidence.time.saturating_sub(UNDER_WAY));
    let rewritten = rewritten(evidence);
    let (confidence, ground) = match (rewritten, doubt) {
        (Some(shrink), _) => (
            Confidence::Likely,
            format!(
                "it was shrunk from {} to {} {} before, and whoever did that may still be writing it anew",
                size(shrink.inode.size),
                size(shrink.new_size),
                duration(evidence.time.saturating_sub(shrink.begin)),
            ),
        ),
        (None, None) => {
            (Confidence::Proven, "no truncation since before the process started".to_owned())
        }
        (None, Some(_)) if unchanged && !under_way => (
            Confidence::Likely,
            "no truncation seen, and the inode has not changed since before the process started"
                .to_owned(),
        ),
        (None, Some(doubt)) => (Confidence::Likely, format!("no truncation seen, but {doubt}")),
    };
    let mapped = fault.vm_end.saturating_sub(fault.vm_start);
    let summary = format!(
        "mapped past the end: {} mapped from offset {}, the {} has {}; {ground}",
        size(mapped),
        size(fault.vm_pgoff.saturating_mul(evidence.host.page_size)),
        if fault.inode.block_device() { "device" } else { "file" },
        size(fault.inode.size),
    );
    let mut verdict = CAUSE.verdict(confidence, summary);
    if Evidence::is_memfd(fault) {
        verdict.advice = ADVICE_MEMFD;
    } else if fault.inode.block_device() {
        verdict.advice = ADVICE_DEVICE;
    } else if rewritten.is_some() {
        verdict.advice = ADVICE_REWRITTEN;
    } else if is_program(fault) {
        verdict.advice = ADVICE_PROGRAM;
    }
    Some(verdict)
}

/// Whether it is mapped as programs and libraries are: executed, or written to in memory alone (relocations, and the end
/// of the data, which execve(2) clears: fs/binfmt_elf.c padzero). Their headers say how much is mapped.
fn is_program(fault: &Fault) -> bool {
    match fault.access {
        Access::Exec => true,
        Access::Write => fault.vm_flags & VM_SHARED == 0,
        Access::Read | Access::Unknown => false,
    }
}

/// The last shrink of the file, if it is so fresh that whoever did it may still be writing the file again, or
/// had not finished when the victim looked at it.
fn rewritten<'a>(evidence: &Evidence<'a>) -> Option<&'a Shrink> {
    let last = evidence.shrinks.last()?;
    let since = last.end.unwrap_or(evidence.time).max(last.begin);
    (since.saturating_add(REWRITE) >= evidence.victim.start).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::{REWRITE, UNDER_WAY};
    use crate::testing::*;

    /// A process that started while everything was watched.
    fn watched(fault: &Fault) -> Evidence<'_> {
        let mut evidence = evidence(fault, &[]);
        evidence.victim.start = SINCE + 1;
        evidence
    }

    #[test]
    fn nothing_is_proven_by_what_is_not_covered() {
        let fault = fault(1, 0);
        let likely = |change: &dyn Fn(&mut Evidence<'_>), word: &str| {
            let mut evidence = watched(&fault);
            change(&mut evidence);
            let verdict = evaluate(&evidence);
            assert_eq!(verdict.class, CauseKind::MappedPastEnd, "{word}");
            assert_eq!(verdict.confidence, Confidence::Likely, "{word}");
        };
        assert_eq!(evaluate(&watched(&fault)).confidence, Confidence::Proven);
        likely(&|evidence| evidence.covered = SINCE + 1, "an eviction since the start");
        likely(&|evidence| evidence.covered = u64::MAX, "a hook that is missing");
        likely(&|evidence| evidence.victim.start = SINCE, "older than the watch");
        likely(&|evidence| evidence.victim.start = 0, "a start that is not known");
        likely(&|evidence| evidence.forked_since = Some(SINCE), "forked by one that is older");
        likely(&|evidence| evidence.shrinks_lost = SINCE + 1, "a loss");
    }

    #[test]
    fn where_nobody_looks_who_shrinks_files_that_is_said() {
        let fault = fault(1, 0);
        let told = |missing: &[Observe]| {
            let host = lacking(missing);
            let mut evidence = Evidence { host: &host, ..watched(&fault) };
            evidence.covered = u64::MAX;
            evaluate(&evidence).summary
        };
        let blind = told(&[Observe::Shrink, Observe::Collapse]);
        assert!(blind.ends_with("who shrinks files is not watched here"), "{blind}");
        assert!(!told(&[Observe::Collapse]).contains("who shrinks files"));
    }

    #[test]
    fn a_block_device_is_not_to_be_grown_as_a_file() {
        let mut fault = fault(20, 40_960);
        fault.inode.mode = libc::S_IFBLK | 0o660;
        let verdict = evaluate(&watched(&fault));
        assert_eq!(verdict.class, CauseKind::MappedPastEnd);
        assert!(verdict.summary.contains("the device has 40 KiB"), "{}", verdict.summary);
        assert!(verdict.advice.contains("losetup"), "{}", verdict.advice);
    }

    #[test]
    fn a_program_that_is_not_whole_is_to_be_installed_again() {
        let advice = |access, vm_flags| {
            let fault = Fault { access, vm_flags, ..fault(1, 0) };
            evaluate(&watched(&fault)).advice
        };
        assert!(advice(Access::Exec, 0).contains("Install it again"));
        assert!(advice(Access::Write, 0).contains("Install it again"));
        assert!(advice(Access::Write, super::VM_SHARED).contains("st_size"));
        assert!(advice(Access::Read, 0).contains("st_size"));
    }

    #[test]
    fn a_file_system_we_do_not_know_proves_nothing() {
        let mut fault = fault(1, 0);
        // GFS2: other nodes change its files.
        fault.inode.magic = 0x0116_1970;
        assert_eq!(evaluate(&watched(&fault)).confidence, Confidence::Likely);
    }

    #[test]
    fn who_is_rewriting_the_file_is_named() {
        let fault = fault(20, 4_096);
        let mut rewriting = shrink(10, SINCE, 8_192, 0);
        rewriting.end = Some(SINCE);
        let shrinks = [rewriting];
        let mut evidence = Evidence { shrinks: &shrinks, ..watched(&fault) };
        let verdict = evaluate(&evidence);
        assert_eq!(verdict.class, CauseKind::MappedPastEnd);
        assert_eq!(verdict.confidence, Confidence::Likely);
        assert!(
            verdict.summary.contains("shrunk from 8 KiB to 0 B 5.0 s before"),
            "{}",
            verdict.summary
        );
        assert_eq!(verdict.others.len(), 1, "who did it");
        assert!(verdict.advice.contains("rename(2)"), "{}", verdict.advice);
        // Long done: it is as if it had not been.
        evidence.victim.start = SINCE + REWRITE + 1;
        assert_eq!(evaluate(&evidence).confidence, Confidence::Proven);
    }

    #[test]
    fn an_old_ctime_is_named_and_proves_nothing() {
        let fault = fault(1, 0);
        let mut evidence = evidence(&fault, &[]);
        evidence.time = UNDER_WAY + 2;
        let names_ctime = |evidence: &Evidence<'_>| {
            let verdict = evaluate(evidence);
            assert_eq!(verdict.class, CauseKind::MappedPastEnd);
            assert_eq!(verdict.confidence, Confidence::Likely);
            verdict.summary.contains("has not changed")
        };
        assert!(names_ctime(&evidence));
        // A shrink that was lost may still be under way.
        evidence.shrinks_lost = 2;
        assert!(!names_ctime(&evidence));
    }
}
