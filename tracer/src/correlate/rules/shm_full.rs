//! tmpfs had no room for a page inside the file: /dev/shm of a container, most often.
use super::{Class, Confidence, Evidence, Verdict};
use crate::{event::model::Handler, output::format::size};

const ADVICE: &str = "make the tmpfs larger (docker run --shm-size, an emptyDir with medium Memory \
                      and a sizeLimit, mount -o remount,size=), or remove what fills it";

pub fn judge(evidence: &Evidence<'_>) -> Option<Verdict> {
    evidence.inside(Handler::ShmemFault)?;
    let space = evidence.space?;
    if space.free >= evidence.host.page_size {
        return None;
    }
    let summary = format!(
        "the tmpfs is full: {} in use of {}",
        size(space.total.saturating_sub(space.free)),
        size(space.total),
    );
    Some(Verdict::new(Class::ShmFull, Confidence::Proven, summary, ADVICE))
}

#[cfg(test)]
mod tests {
    use super::super::{samples::*, *};

    #[test]
    fn a_full_tmpfs_proves_it() {
        let mut fault = fault(0, 8_192);
        fault.handler = Handler::ShmemFault;
        let mut evidence = evidence(&fault, &[]);
        evidence.space = Some(space(0));
        assert_eq!(judge(&evidence).class, Class::ShmFull);
        evidence.space = Some(space(1 << 20));
        let verdict = judge(&evidence);
        assert_eq!(verdict.class, Class::Unknown);
        assert!(verdict.summary.contains("memory cgroup"), "{}", verdict.summary);
    }
}
