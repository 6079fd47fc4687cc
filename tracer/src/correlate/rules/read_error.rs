//! The page lies inside the file, and could not be read.
use super::{Class, Confidence, Evidence, Verdict};
use crate::event::model::Handler;

const ADVICE: &str = "look at the device and its file system: dmesg, smartctl, a check of the file \
                      against a backup";
const ADVICE_STALE: &str = "the server no longer knows the file (removed or replaced there): \
                            restart what maps it";
const ADVICE_FUSE: &str = "the FUSE server is gone: restart it, then what maps its files";

const EIO: i32 = -5;
const ENOTCONN: i32 = -107;
const ESTALE: i32 = -116;

pub fn judge(evidence: &Evidence<'_>) -> Option<Verdict> {
    let fault = evidence.inside(Handler::FilemapFault)?;
    let proven = |class, what: &str, advice| {
        let summary = format!("the page lies inside the file and could not be read: {what}");
        Some(Verdict::new(class, Confidence::Proven, summary, advice))
    };
    match fault.read_errno {
        Some(ESTALE) => proven(Class::StaleHandle, "stale file handle (ESTALE)", ADVICE_STALE),
        Some(ENOTCONN) => proven(Class::FuseGone, "the server is gone (ENOTCONN)", ADVICE_FUSE),
        Some(EIO) => proven(Class::ReadError, "input/output error (EIO)", ADVICE),
        Some(errno) => proven(Class::ReadError, &format!("errno {}", errno.unsigned_abs()), ADVICE),
        None => {
            let summary = "the page lies inside the file: it could not be read (this kernel does \
                           not tell the errno)";
            Some(Verdict::new(Class::ReadError, Confidence::Likely, summary, ADVICE))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{samples::*, *};

    #[test]
    fn the_errno_names_the_class() {
        let cases = [
            (Some(-5), Class::ReadError, Confidence::Proven),
            (Some(-116), Class::StaleHandle, Confidence::Proven),
            (Some(-107), Class::FuseGone, Confidence::Proven),
            (Some(i32::MIN), Class::ReadError, Confidence::Proven),
            (None, Class::ReadError, Confidence::Likely),
        ];
        for (errno, class, confidence) in cases {
            let mut fault = fault(0, 4_096);
            fault.read_errno = errno;
            let verdict = judge(&evidence(&fault, &[]));
            assert_eq!((verdict.class, verdict.confidence), (class, confidence));
        }
    }
}
