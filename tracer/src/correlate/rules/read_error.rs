//! The page lies inside the file, and could not be read.
use crate::{
    correlate::{
        cause::{Absence, Cause, Rule, SignalFrom},
        evidence::{Evidence, Verdict},
    },
    model::{
        cause::{CauseKind, Confidence},
        fault::Handler,
        observe::Observe,
    },
};

const READ_ERROR: Cause = Cause {
    kind: CauseKind::ReadError,
    observes: &[Observe::FileFault],
    rests_on: Some(Absence::OfAct),
    shows_mount: true,
    signal_from: SignalFrom::Fault,
    advice: "look at the device and its file system: dmesg, smartctl, a check of the file \
             against a backup",
};
const STALE_HANDLE: Cause = Cause {
    kind: CauseKind::StaleHandle,
    observes: &[Observe::FileFault],
    rests_on: Some(Absence::OfAct),
    shows_mount: true,
    signal_from: SignalFrom::Fault,
    advice: "the server no longer knows the file (removed or replaced there): \
             restart what maps it",
};
const FUSE_GONE: Cause = Cause {
    kind: CauseKind::FuseGone,
    observes: &[Observe::FileFault],
    rests_on: Some(Absence::OfAct),
    shows_mount: true,
    signal_from: SignalFrom::Fault,
    advice: "the FUSE server is gone: restart it, then what maps its files",
};

pub const RULE: Rule = Rule { causes: &[READ_ERROR, STALE_HANDLE, FUSE_GONE], evaluate };

/// include/uapi/linux/magic.h
const NFS_SUPER_MAGIC: u64 = 0x6969;

const EIO: i32 = -5;
const EBADF: i32 = -9;
/// fs/fuse/dev.c: what is under way when the server dies, and what comes after.
const ECONNABORTED: i32 = -103;
const ENOTCONN: i32 = -107;
const ESTALE: i32 = -116;

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    let fault = evidence.inside(Handler::FilemapFault)?;
    let asked = evidence.space.and_then(|space| space.errno);
    let silent = match asked {
        Some(libc::ETIMEDOUT) => {
            "; its file system does not answer (statfs: nothing within 100 ms)"
        }
        _ => "",
    };
    let proven = |cause: &Cause, what: &str| {
        let summary =
            format!("the page lies inside the file and could not be read: {what}{silent}");
        Some(cause.verdict(Confidence::Proven, summary))
    };
    match fault.read_errno {
        // fs/nfs/read.c may turn it into EIO on the way (filemap_read_folio sees only a flag).
        _ if evidence.stale => {
            proven(&STALE_HANDLE, "the server no longer knows the file (ESTALE)")
        }
        Some(ESTALE) => proven(&STALE_HANDLE, "stale file handle (ESTALE)"),
        Some(ENOTCONN | ECONNABORTED) => proven(&FUSE_GONE, "the FUSE server is gone (ENOTCONN)"),
        None | Some(EIO) if asked.is_some_and(|errno| -errno == ENOTCONN) => {
            proven(&FUSE_GONE, "the FUSE server is gone (statfs right after: ENOTCONN)")
        }
        // fs/nfs/nfs4proc.c nfs4_state_mark_open_context_bad: the server has dropped the open file.
        Some(EBADF) if fault.inode.magic == NFS_SUPER_MAGIC => proven(
            &STALE_HANDLE,
            "the server has dropped the open file, and does not give it back (EBADF)",
        ),
        Some(EIO) => proven(&READ_ERROR, "input/output error (EIO)"),
        Some(errno) => proven(&READ_ERROR, &format!("errno {}", errno.unsigned_abs())),
        None => {
            let summary = format!(
                "the page lies inside the file: it could not be read (this kernel does not tell \
                 the errno){silent}"
            );
            Some(READ_ERROR.verdict(Confidence::Likely, summary))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::*;

    #[test]
    fn what_is_seen_beside_it_names_the_class_too() {
        let mut fault = fault(0, 4_096);
        fault.read_errno = Some(-5);
        let mut evidence = evidence(&fault, &[]);
        evidence.stale = true;
        assert_eq!(evaluate(&evidence).class, CauseKind::StaleHandle);
        evidence.stale = false;
        evidence.space = Some(Space { errno: Some(107), ..space(0) });
        assert_eq!(evaluate(&evidence).class, CauseKind::FuseGone);
    }

    #[test]
    fn the_errno_names_the_class() {
        let cases = [
            (Some(-5), CauseKind::ReadError, Confidence::Proven),
            (Some(-116), CauseKind::StaleHandle, Confidence::Proven),
            (Some(-107), CauseKind::FuseGone, Confidence::Proven),
            (Some(i32::MIN), CauseKind::ReadError, Confidence::Proven),
            (None, CauseKind::ReadError, Confidence::Likely),
        ];
        for (errno, class, confidence) in cases {
            let mut fault = fault(0, 4_096);
            fault.read_errno = errno;
            let verdict = evaluate(&evidence(&fault, &[]));
            assert_eq!((verdict.class, verdict.confidence), (class, confidence));
        }
    }
}
