//! The page lies inside the file, and could not be read.
use nix::errno::Errno;

use crate::{
    correlate::{
        cause::{Absence, Cause, Rule, SignalFrom},
        errno,
        evidence::{Evidence, Verdict},
    },
    model::{
        cause::{CauseKind, Confidence},
        fault::{Fault, Handler},
        magic::{BTRFS_SUPER_MAGIC, FUSE_SUPER_MAGIC, NFS_SUPER_MAGIC},
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
    advice: "the FUSE server is gone: unmount first (fusermount3 -u, or umount -l), mount it again, then restart what \
             maps its files",
};

pub const RULE: Rule = Rule { causes: &[READ_ERROR, STALE_HANDLE, FUSE_GONE], evaluate };

const KEY_ADVICE: &str = "the file is encrypted and its key is not there, or has expired: unlock it again \
                          (fscrypt, keyctl), then restart what maps it";
const TICKET_ADVICE: &str = "the server refuses: look whether a Kerberos ticket has expired (klist) or \
                             permissions have changed there, then restart what maps the file";
const CHECKSUM_ADVICE: &str = "what is stored is not what was written: dmesg names the block; check the file \
                               system (fsck, xfs_repair, btrfs scrub) and restore the file from a backup";
/// fs/btrfs/bio.c btrfs_end_bio_work makes EIO of a checksum that does not match.
const BTRFS_ADVICE: &str = "dmesg tells whether the device failed or a checksum did (csum failed); btrfs device stats \
                            and btrfs scrub count both. Restore the file from a backup; smartctl for the device";
const MEMORY_ADVICE: &str = "there was no memory to read the page into: look at the limit of its memory cgroup \
                             (memory.max) and at what else uses the host's memory";
const SERVER_ADVICE: &str = "look at the server and the way there: dmesg on this host, the server's log, the mount's \
                             options (soft and timeo give up; hard waits)";
const SWAP_ADVICE: &str = "a swap device fails: see dmesg and /proc/swaps. Add other swap first, stop what uses the \
                           shared memory, then swapoff: what it cannot read back is lost";
const FUSE_ADVICE: &str = "the FUSE server failed the read, or does not answer: its log says why";

const EIO: i32 = -5;
const EBADF: i32 = -9;
/// fs/fuse/dev.c: what is under way when the server dies, and what comes after.
const ECONNABORTED: i32 = -103;
const ENOTCONN: i32 = -107;
const ESTALE: i32 = -116;

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    if let Some(fault) = evidence.inside(Handler::ShmemFault) {
        return of_swap(fault);
    }
    if evidence.stale && evidence.inside(Handler::Unattributed).is_some() {
        let summary = "the page lies inside the file, whose server no longer knows it (ESTALE); reads are not watched \
                       on this host";
        return Some(STALE_HANDLE.verdict(Confidence::Likely, summary));
    }
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
        // Asked afterwards: the server may have failed the read first, and ended then. From 6.18 on FUSE reads by
        // way of fs/iomap/buffered-io.c, which makes EIO of every errno.
        None | Some(EIO) if asked == Some(libc::ENOTCONN) => {
            let summary = "the page lies inside the file and could not be read: the FUSE server is gone \
                           (statfs right after: ENOTCONN)";
            Some(FUSE_GONE.verdict(Confidence::Likely, summary))
        }
        // fs/nfs/nfs4proc.c nfs4_state_mark_open_context_bad: the server has dropped the open file.
        Some(EBADF) if fault.inode.magic == NFS_SUPER_MAGIC => {
            proven(&STALE_HANDLE, "the server lost the open state of the file (EBADF)")
        }
        Some(returned) => {
            let mut verdict = proven(&READ_ERROR, &errno::named(returned))?;
            // What the kernel makes EIO of is told by the tracepoint of stale files alone.
            let nfs = fault.inode.magic == NFS_SUPER_MAGIC;
            if returned == EIO && nfs && evidence.lacks(Observe::NfsStale) {
                verdict.confidence = Confidence::Likely;
            }
            verdict.advice = advice(returned, fault);
            Some(verdict)
        }
        None => {
            let why = if evidence.host.coverage.sees(Observe::ReadError) {
                "no errno was seen"
            } else {
                "the errno is not seen on this kernel"
            };
            let summary =
                format!("the page lies inside the file: it could not be read ({why}){silent}");
            let mut verdict = READ_ERROR.verdict(Confidence::Likely, summary);
            verdict.advice = advice(EIO, fault);
            Some(verdict)
        }
    }
}

/// A page of shared memory that does not come back from swap.
fn of_swap(fault: &Fault) -> Option<Verdict> {
    let why = errno::named(fault.read_errno?);
    let confidence = if fault.refusal.doubt { Confidence::Likely } else { Confidence::Proven };
    let summary = format!(
        "the page lies inside the file, had been swapped out and could not be read back from swap: {why}"
    );
    let mut verdict = READ_ERROR.verdict(confidence, summary);
    verdict.advice = SWAP_ADVICE;
    Some(verdict)
}

/// What to do about a page that could not be read because of the errno `returned`, by what it is read from.
fn advice(returned: i32, fault: &Fault) -> &'static str {
    let remote = Evidence::changed_elsewhere(fault);
    match errno::errno(returned) {
        Errno::ENOKEY | Errno::EKEYEXPIRED | Errno::EKEYREVOKED if !remote => KEY_ADVICE,
        Errno::EACCES | Errno::EPERM | Errno::ENOKEY | Errno::EKEYEXPIRED | Errno::EKEYREVOKED
            if remote =>
        {
            TICKET_ADVICE
        }
        Errno::EBADMSG | Errno::EUCLEAN | Errno::EILSEQ if !remote => CHECKSUM_ADVICE,
        Errno::ENOMEM => MEMORY_ADVICE,
        _ if fault.inode.magic == FUSE_SUPER_MAGIC => FUSE_ADVICE,
        _ if remote => SERVER_ADVICE,
        Errno::EIO if fault.inode.magic == BTRFS_SUPER_MAGIC => BTRFS_ADVICE,
        _ => READ_ERROR.advice,
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
        let verdict = evaluate(&evidence);
        assert_eq!((verdict.class, verdict.confidence), (CauseKind::FuseGone, Confidence::Likely));
        evidence.space = Some(Space { errno: Some(i32::MIN), ..space(0) });
        assert_eq!(evaluate(&evidence).class, CauseKind::ReadError, "a foreign stream");
    }

    /// Of the fault only the signal was seen, and of the server that it does not know the file.
    #[test]
    fn a_stale_file_is_the_likely_reason_where_no_read_is_seen() {
        let fault = Fault { handler: Handler::Unattributed, ..fault(0, 4_096) };
        let verdict = evaluate(&Evidence { stale: true, ..evidence(&fault, &[]) });
        assert_eq!(
            (verdict.class, verdict.confidence),
            (CauseKind::StaleHandle, Confidence::Likely)
        );
        assert_eq!(evaluate(&evidence(&fault, &[])).class, CauseKind::Unknown);
    }

    #[test]
    fn an_errno_has_its_name_and_its_advice() {
        const EXT4: u64 = 0xef53;
        const BTRFS: u64 = 0x9123_683e;
        const NFS: u64 = 0x6969;
        const FUSE: u64 = 0x6573_5546;
        let cases = [
            (-5, EXT4, "(EIO)", "smartctl"),
            (-5, NFS, "(EIO)", "server"),
            (-5, FUSE, "(EIO)", "FUSE"),
            (-110, NFS, "(ETIMEDOUT)", "soft"),
            (-13, NFS, "(EACCES)", "Kerberos"),
            (-126, EXT4, "(ENOKEY)", "fscrypt"),
            (-74, EXT4, "(EBADMSG)", "backup"),
            (-5, BTRFS, "(EIO)", "csum failed"),
            (-117, EXT4, "(EUCLEAN)", "fsck"),
            (-12, EXT4, "(ENOMEM)", "memory.max"),
            (-4_000, EXT4, "errno 4000", "smartctl"),
            (i32::MIN, EXT4, "errno 2147483648", "smartctl"),
        ];
        for (errno, magic, name, advice) in cases {
            let mut fault = fault(0, 4_096);
            (fault.inode.magic, fault.read_errno) = (magic, Some(errno));
            let verdict = evaluate(&evidence(&fault, &[]));
            assert!(verdict.summary.contains(name), "{errno}: {}", verdict.summary);
            assert!(verdict.advice.contains(advice), "{errno}: {}", verdict.advice);
        }
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
