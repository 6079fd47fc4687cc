//! It crashed in code that somebody had written over while it ran: `cp new.so lib.so`.
//!
//! Code is mapped privately, but what nobody has written to is the file's own page cache: what stands there next is
//! executed, with jumps, tables and data of the file that was linked. The kernel refuses that (ETXTBSY) for programs
//! alone, not for libraries.
use crate::{
    correlate::{
        cause::{Cause, Rule, SignalFrom},
        evidence::{Evidence, Verdict},
        rules::crashed,
    },
    model::{
        cause::{CauseKind, Confidence},
        observe::Observe,
        process::{Module, ProcessExit},
        shrink::{Shrink, ShrinkKind, how},
        signal_name::{SIGSEGV, SIGSYS},
    },
    text::format::{duration, size},
};

const CAUSE: Cause = Cause {
    kind: CauseKind::Overwritten,
    observes: &[Observe::Shrink, Observe::OpenTruncate],
    rests_on: None,
    shows_mount: false,
    signal_from: SignalFrom::Fault,
    advice: "install the new file beside the old one and rename(2) it into place, or remove the old one first, as \
             install(1), dpkg and rpm do; never cp over a library that is in use. Whoever maps it is to be \
             restarted",
};

pub const RULE: Rule = Rule { causes: &[CAUSE], evaluate };

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    let death = evidence.death?;
    // A system call that a filter forbids neither code nor its data brings about.
    let by_code = evidence.signal.filter(|signal| signal.is_of_execution());
    let signal = by_code.filter(|signal| signal.number != SIGSYS)?;
    let (shrink, place) = match &death.module {
        Some(module) => {
            let opened = || crashed::opened(evidence, death);
            let by_pointer = || crashed::by_pointer(signal, death) && !is_zeros(death);
            let opened = || opened().filter(|_| !by_pointer());
            (removed(evidence, module).or_else(opened)?, "its code lies in a file that")
        }
        None if jumped_away(death) => {
            (evidence.code_lost?, "it jumped to where no code is, and a library that it has loaded")
        }
        None => return None,
    };
    let before = duration(evidence.time.saturating_sub(shrink.begin));
    let act = match shrink.how {
        ShrinkKind::OpenWrite => {
            format!(
                "was opened for writing while it ran, {before} earlier, and may have been written over: its content \
                 or attributes have changed since"
            )
        }
        kind => format!(
            "was written over while it ran, {before} earlier: {} → {} by {}, and new content since",
            size(shrink.inode.size),
            size(shrink.new_size),
            how(kind),
        ),
    };
    let what = match is_zeros(death) {
        true => "where it failed are only zeros, which are no code".to_owned(),
        false => crashed::what_of_damaged(signal, death),
    };
    let summary = format!("{place} {act}; {what}");
    // Nobody saw which bytes were other ones.
    let mut verdict = CAUSE.verdict(Confidence::Likely, summary);
    verdict.shrink = Some(shrink.clone());
    Some(verdict)
}

/// The latest act that removed the page of the instruction.
fn removed<'a>(evidence: &Evidence<'a>, module: &Module) -> Option<&'a Shrink> {
    let page = evidence.host.page_size;
    let removed = |shrink: &&Shrink| {
        let gone = shrink.new_size.div_ceil(page)..shrink.inode.size.div_ceil(page);
        gone.contains(&(module.offset / page))
    };
    evidence.overwrites.iter().rev().find(removed)
}

/// Whether zeros were executed, which no compiler writes: `add %al,(%rax)`, most often with a null pointer.
fn is_zeros(death: &ProcessExit) -> bool {
    let bytes = death.crash.as_ref().map(|crash| crash.bytes.as_slice()).unwrap_or_default();
    bytes.len() >= 8 && bytes.iter().all(|byte| *byte == 0)
}

/// Whether the instruction itself was not to be had: a damaged address was called, as that of a function in a table
/// which the dynamic linker had filled in.
fn jumped_away(death: &ProcessExit) -> bool {
    death.fault.is_some_and(|fault| fault.ip == Some(fault.address) && fault.signal == SIGSEGV)
}

#[cfg(test)]
mod tests {
    use crate::{model::process::Module, testing::*};

    fn class(offset: u64, number: i32, forced: bool, overwrites: &[Shrink]) -> CauseKind {
        let id = shrink(2, 0, 0, 0).inode.id;
        let module = Some(Module { id, offset, path: Path::default() });
        let death = ProcessExit { module, ..exit(9, number as u32) };
        let signal = Signal { number, forced, ..signal(1) };
        let verdict = evaluate(&Evidence { overwrites, ..of_death(&death, Some(&signal)) });
        if verdict.class == CauseKind::Overwritten {
            assert_eq!(verdict.confidence, Confidence::Likely);
            assert!(verdict.shrink.is_some() && !verdict.advice.is_empty());
            // What is damaged says why; how sure that is stands beside it.
            assert!(!verdict.summary.contains("most likely"), "{}", verdict.summary);
        }
        verdict.class
    }

    #[test]
    fn code_that_was_written_over_is_the_likely_cause() {
        let cp = [shrink(2, 100, 16_384, 0)];
        for number in [4, 5, 8, 11] {
            assert_eq!(class(0x1139, number, true, &cp), CauseKind::Overwritten);
        }
        assert_eq!(class(0x1139, 11, true, &[]), CauseKind::Signal);
        assert_eq!(class(0x1139, 31, true, &cp), CauseKind::Signal, "seccomp");
        assert_eq!(class(0x1139, 11, false, &cp), CauseKind::Sent);
    }

    #[test]
    fn what_was_cut_off_behind_the_code_is_not() {
        let strip = [shrink(2, 100, 65_536, 16_384)];
        assert_eq!(class(0x1139, 11, true, &strip), CauseKind::Signal);
        assert_eq!(class(0x5139, 11, true, &strip), CauseKind::Overwritten);
    }

    #[test]
    fn the_latest_did_it() {
        let acts = [shrink(2, 100, 16_384, 0), shrink(3, 200, 16_384, 0)];
        let id = acts[0].inode.id;
        let module = Some(Module { id, offset: 0x1139, path: Path::default() });
        let death = ProcessExit { module, ..exit(9, 11) };
        let signal = Signal { number: 11, forced: true, ..signal(1) };
        let verdict = evaluate(&Evidence { overwrites: &acts, ..of_death(&death, Some(&signal)) });
        assert_eq!(verdict.shrink.map(|shrink| shrink.begin), Some(200));
        assert_eq!(verdict.others.len(), 1);
    }

    #[test]
    fn a_jump_to_nowhere_follows_lost_code() {
        let judged = |ip: u64, code_lost: Option<&Shrink>| {
            let fault = SelfSignal { address: 0x10b0, ip: Some(ip), ..raised(8, 11, 1) };
            let death = ProcessExit { fault: Some(fault), ..exit(9, 11) };
            let signal = Signal { number: 11, forced: true, ..signal(1) };
            evaluate(&Evidence { code_lost, ..of_death(&death, Some(&signal)) }).class
        };
        let cp = shrink(2, 100, 16_384, 0);
        assert_eq!(judged(0x10b0, Some(&cp)), CauseKind::Overwritten);
        assert_eq!(judged(0x10b0, None), CauseKind::Signal);
        assert_eq!(judged(0x7f00, Some(&cp)), CauseKind::Signal, "code of no file");
    }

    #[test]
    fn who_opened_it_for_writing_is_the_culprit_only_where_it_has_changed_since() {
        let dd = dd();
        let judged = |ctime: Option<i64>| {
            let (class, said, _) = judged(std::slice::from_ref(&dd), ctime, &wild());
            (class, said.contains("opened for writing"))
        };
        assert_eq!(judged(Some(dd.inode.ctime + 5)), (CauseKind::Overwritten, true));
        assert_eq!(judged(Some(dd.inode.ctime)), (CauseKind::Signal, false));
        assert_eq!(judged(None), (CauseKind::Signal, false));
    }

    /// `cp new.so lib.so`, and then `touch lib.so`.
    #[test]
    fn who_only_opened_it_gives_way_to_whoever_removed_the_page() {
        let acts = [shrink(3, 90_000_000, 16_384, 0), dd()];
        let ctime = Some(dd().inode.ctime + 5);
        let (class, said, others) = judged(&acts, ctime, &wild());
        assert_eq!(class, CauseKind::Overwritten);
        assert!(said.contains("16 KiB → 0 B by ftruncate"), "{said}");
        assert_eq!(others, 0, "nothing follows from that");
    }

    #[test]
    fn a_bad_pointer_is_not_laid_at_the_door_of_whoever_opened_the_file() {
        let null = Signal { address: 8, ..wild() };
        let (class, said, _) = judged(&[dd()], Some(dd().inode.ctime + 5), &null);
        assert_eq!(class, CauseKind::Signal);
        assert!(
            said.contains("null pointer") && said.contains("pid 2 opened for writing"),
            "{said}"
        );
        let (class, ..) = judged(&[shrink(3, 90_000_000, 16_384, 0)], None, &null);
        assert_eq!(class, CauseKind::Overwritten, "the code was gone");
    }

    /// `dd if=/dev/zero of=lib.so conv=notrunc`
    #[test]
    fn zeros_are_no_code_of_anybodys() {
        let mut inode = dd().inode;
        let module = Some(Module { id: inode.id, offset: 0x1139, path: Path::default() });
        inode.ctime += 5;
        let null = Signal { address: 0, ..wild() };
        let judged = |bytes: Vec<u8>| {
            let crash = Some(Crash { module: Some(inode), bytes, ..crash() });
            let death = ProcessExit { module: module.clone(), crash, ..exit(9, 11) };
            evaluate(&Evidence { overwrites: &[dd()], ..of_death(&death, Some(&null)) })
        };
        let zeros = judged(vec![0; 16]);
        assert_eq!((zeros.class, zeros.confidence), (CauseKind::Overwritten, Confidence::Likely));
        assert!(zeros.summary.contains("only zeros"), "{}", zeros.summary);
        assert_eq!(judged(vec![0, 0, 0x48, 0x89, 0, 0, 0, 0]).class, CauseKind::Signal);
        assert_eq!(judged(Vec::new()).class, CauseKind::Signal);
    }

    /// A mapped library is opened to be written to.
    fn dd() -> Shrink {
        let act = shrink(2, 100_000_000, 16_384, 16_384);
        Shrink { how: ShrinkKind::OpenWrite, end: Some(act.begin), ..act }
    }

    /// SIGSEGV at an address that is no null pointer's.
    fn wild() -> Signal {
        Signal { number: 11, forced: true, address: 0x7f00_0000, ..signal(1) }
    }

    /// The class of a crash in that library, its summary, and how many others it lists; `ctime` is its own as the thread ended.
    fn judged(
        overwrites: &[Shrink],
        ctime: Option<i64>,
        signal: &Signal,
    ) -> (CauseKind, String, usize) {
        let inode = dd().inode;
        let module = Some(Module { id: inode.id, offset: 0x1139, path: Path::default() });
        let file = ctime.map(|ctime| Inode { ctime, ..inode });
        let crash = Some(Crash { module: file, ..crash() });
        let death = ProcessExit { module, crash, ..exit(9, 11) };
        let verdict = evaluate(&Evidence { overwrites, ..of_death(&death, Some(signal)) });
        (verdict.class, verdict.summary, verdict.others.len())
    }
}
