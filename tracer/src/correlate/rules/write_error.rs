//! The page lies inside the file, and was not made writable, but not for want of room.
use crate::{
    correlate::{
        cause::{Absence, Cause, Rule, SignalFrom},
        errno,
        evidence::{Evidence, Verdict},
    },
    model::{
        cause::{CauseKind, Confidence},
        fault::{Fault, Handler},
        magic::NFS_SUPER_MAGIC,
        observe::Observe,
    },
};

const CAUSE: Cause = Cause {
    kind: CauseKind::WriteError,
    observes: &[Observe::PageMkwrite],
    rests_on: Some(Absence::OfAct),
    shows_mount: true,
    signal_from: SignalFrom::Fault,
    advice: "look at the device and its file system: dmesg says what the first error was; then unmount it, check \
             it (fsck, xfs_repair) and mount it again",
};

pub const RULE: Rule = Rule { causes: &[CAUSE], evaluate };

const SERVER_ADVICE: &str = "look at the server and the way there: dmesg on this host, the server's log, the room and \
                             the quotas there";

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    let fault = evidence.inside(Handler::PageMkwrite)?;
    let refusal = fault.refusal;
    let (confidence, why) = match refusal.errno.map(i32::wrapping_neg) {
        Some(libc::ENOSPC | libc::EDQUOT) => return None,
        Some(_) if refusal.doubt => (Confidence::Likely, named(fault)),
        Some(_) => (Confidence::Proven, named(fault)),
        None if refusal.shut_down => {
            (Confidence::Proven, "its file system had been shut down, by an error or by hand".to_owned())
        }
        // Its errno was not seen.
        None if refusal.read_only => {
            (Confidence::Likely, "its file system was read-only, as it is after an error".to_owned())
        }
        // fs/nfs/file.c nfs_vm_page_mkwrite asks for no room: what was written before is sent first.
        None if fault.inode.magic == NFS_SUPER_MAGIC => (
            Confidence::Likely,
            "what had been written before could not be sent to the server, which has no room, or failed".to_owned(),
        ),
        None if evidence.would_have_said_no_room(fault) => (
            Confidence::Likely,
            "its file system gave no reason, and a lack of room would have been seen: it has been shut down, or its \
             device fails"
                .to_owned(),
        ),
        None => return None,
    };
    let mut verdict = CAUSE.verdict(
        confidence,
        format!("the page lies inside the file and could not be made writable: {why}"),
    );
    if Evidence::changed_elsewhere(fault) {
        verdict.advice = SERVER_ADVICE;
    }
    Some(verdict)
}

fn named(fault: &Fault) -> String {
    errno::named(fault.refusal.errno.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use crate::testing::*;

    #[test]
    fn an_errno_or_a_shutdown_proves_it() {
        for (refusal, confidence, why) in [
            (Refusal { errno: Some(-5), ..Refusal::default() }, Confidence::Proven, "(EIO)"),
            (Refusal { errno: Some(-30), ..Refusal::default() }, Confidence::Proven, "(EROFS)"),
            (
                Refusal { errno: Some(-5), doubt: true, ..Refusal::default() },
                Confidence::Likely,
                "(EIO)",
            ),
            (Refusal { shut_down: true, ..Refusal::default() }, Confidence::Proven, "shut down"),
            (Refusal { read_only: true, ..Refusal::default() }, Confidence::Likely, "read-only"),
        ] {
            let fault = refused(refusal);
            let mut evidence = evidence(&fault, &[]);
            evidence.space = Some(space(1 << 30));
            let verdict = evaluate(&evidence);
            assert_eq!((verdict.class, verdict.confidence), (CauseKind::WriteError, confidence));
            assert!(verdict.summary.contains(why), "{}", verdict.summary);
            assert!(verdict.advice.contains("dmesg"), "{}", verdict.advice);
        }
    }

    #[test]
    fn a_file_system_that_says_when_it_is_full_and_said_nothing_had_an_error() {
        let fault = refused(Refusal::default());
        let mut host = host();
        let class = |host: &Host| {
            let mut evidence = Evidence { host, ..evidence(&fault, &[]) };
            evidence.space = Some(space(0));
            evaluate(&evidence).class
        };
        assert_eq!(class(&host), CauseKind::NoSpace);
        let of = |observe| AttachedHook { observe: Some(observe), hook: String::new() };
        host.coverage.hooks.push(of(Observe::MkwriteErrno));
        assert_eq!(class(&host), CauseKind::NoSpace);
        host.coverage.hooks.push(of(Observe::Ext4Refusal));
        assert_eq!(class(&host), CauseKind::WriteError);
    }

    #[test]
    fn a_server_has_its_own_advice() {
        let mut fault = refused(Refusal::default());
        fault.inode.magic = super::NFS_SUPER_MAGIC;
        let verdict = evaluate(&evidence(&fault, &[]));
        assert_eq!(
            (verdict.class, verdict.confidence),
            (CauseKind::WriteError, Confidence::Likely)
        );
        assert!(verdict.advice.contains("server"), "{}", verdict.advice);
    }
}
