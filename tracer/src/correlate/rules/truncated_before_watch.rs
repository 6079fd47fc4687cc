//! Past the end, no shrink seen, but the inode changed after its process started and before
//! anybody watched.
use super::{Class, Confidence, Evidence, Verdict};
use crate::output::format::{duration, size};

const ADVICE: &str = "keep whybus running: it names who did it only if it watches when it happens";

pub fn judge(evidence: &Evidence<'_>) -> Option<Verdict> {
    let fault = evidence.past_end()?;
    let ctime = fault.inode.ctime;
    let started = evidence.wall(evidence.victim.start);
    let watching = evidence.wall(evidence.host.since);
    if Evidence::changed_elsewhere(fault)
        || evidence.victim.start == 0
        || ctime <= started
        || ctime >= watching
    {
        return None;
    }
    let summary = format!(
        "past the end of a file of {}, and no truncation was seen: the inode last changed {} after \
         the process started and {} before whybus was watching",
        size(fault.inode.size),
        duration(ctime.abs_diff(started)),
        duration(watching.abs_diff(ctime)),
    );
    Some(Verdict::new(Class::TruncatedBeforeWatch, Confidence::Likely, summary, ADVICE))
}
