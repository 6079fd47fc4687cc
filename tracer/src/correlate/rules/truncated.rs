//! A shrink we saw removed the very page that was touched.
use super::{Class, Confidence, Evidence, Verdict};
use crate::{
    event::model::{How, Shrink},
    output::format::{duration, size},
};

const ADVICE: &str = "write the new file beside the old one and rename(2) it into place; never \
                      write over a mapped file";
const ADVICE_SELF: &str = "unmap the file, or stop every reader of the mapping, before shrinking it";

/// The latest shrink after which the page was gone and before which it was there. Whatever
/// regrew the file since has not brought the page back, or it would not have faulted.
pub fn judge(evidence: &Evidence<'_>) -> Option<Verdict> {
    let fault = evidence.past_end()?;
    let page = evidence.host.page_size;
    let removed = |shrink: &&Shrink| {
        let gone = shrink.new_size.div_ceil(page)..shrink.inode.size.div_ceil(page);
        gone.contains(&fault.pgoff)
    };
    let shrink = evidence.shrinks.iter().rev().find(removed)?;
    let by_self = shrink.actor.task.id.same(evidence.victim);
    let before = evidence.time.saturating_sub(shrink.begin);
    let mut summary = format!(
        "truncated under the mapping, {} earlier: {} → {} by {}",
        duration(before),
        size(shrink.inode.size),
        size(shrink.new_size),
        how(shrink.how),
    );
    if by_self {
        summary.push_str(if shrink.actor.task.tid == fault.actor.task.tid {
            ", by the same thread"
        } else {
            ", by another thread of the same process"
        });
    }
    if fault.inode.size > shrink.new_size {
        summary.push_str(&format!("; it has regrown to {}", size(fault.inode.size)));
    }
    let (class, advice) =
        if by_self { (Class::TruncatedBySelf, ADVICE_SELF) } else { (Class::Truncated, ADVICE) };
    let mut verdict = Verdict::new(class, Confidence::Proven, summary, advice);
    verdict.shrink = Some(shrink.clone());
    Some(verdict)
}

/// The act, as its system call is written.
pub fn how(how: How) -> &'static str {
    match how {
        How::Truncate => "truncate",
        How::Ftruncate => "ftruncate",
        How::OpenTrunc => "open(O_TRUNC)",
        How::Other(_) => "an unknown call",
    }
}
