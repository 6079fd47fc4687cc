//! The causes, one file each: what is to be known of it, and a rule that looks at the evidence and either
//! claims it or passes.
mod aborted;
mod crashed;
mod device_mapping;
mod exited;
mod hardware;
mod huge_pages;
mod mapped_past_end;
mod no_space;
mod oom_killed;
mod overwritten;
mod quota;
mod read_error;
mod sent;
mod shm_full;
mod shrunk_elsewhere;
mod special_mapping;
mod truncated;
mod truncated_before_watch;
mod unknown;
mod userfaultfd;
mod write_error;

pub use crashed::by_pointer;

use crate::{
    correlate::{
        cause::{Cause, Rule},
        evidence::{Evidence, Verdict},
    },
    model::{
        cause::CauseKind,
        remote::is_shared,
        shrink::{Shrink, ShrinkKind},
    },
};

/// Every rule, most specific first; the last one claims everything.
pub const TABLE: &[Rule] = &[
    oom_killed::RULE,
    overwritten::RULE,
    crashed::RULE,
    aborted::RULE,
    exited::RULE,
    special_mapping::RULE,
    userfaultfd::RULE,
    sent::RULE,
    hardware::RULE,
    device_mapping::RULE,
    truncated::RULE,
    shrunk_elsewhere::RULE,
    truncated_before_watch::RULE,
    mapped_past_end::RULE,
    quota::RULE,
    no_space::RULE,
    shm_full::RULE,
    huge_pages::RULE,
    read_error::RULE,
    write_error::RULE,
    unknown::RULE,
];

/// Other shrinks listed with a cause: all that are remembered of one inode.
const OTHERS: usize = 8;

/// Names the cause.
pub fn evaluate(evidence: &Evidence<'_>) -> Verdict {
    let mut verdict = TABLE
        .iter()
        .find_map(|rule| (rule.evaluate)(evidence))
        .unwrap_or_else(|| unknown::because("no rule claimed it"));
    // Of who only opened the file nothing follows beside a shrink.
    let chosen = verdict.shrink.as_ref().map(|shrink| shrink.begin);
    let overwrites = evidence.overwrites.iter().filter(|_| verdict.class == CauseKind::Overwritten);
    let known = evidence.shrinks.iter().chain(overwrites).rev();
    let others = known.filter(|shrink| {
        Some(shrink.begin) != chosen
            && shrink.how != ShrinkKind::OpenWrite
            && is_same_file(shrink, evidence.victim.start)
    });
    verdict.others = others.take(OTHERS).cloned().collect();
    verdict
}

/// Whether it was that very file that was shrunk: an inode without a generation may be another file's of before, if its
/// file system was mounted anew under the same device number.
fn is_same_file(shrink: &Shrink, start: u64) -> bool {
    shrink.inode.id.generation != 0 || !is_shared(shrink.inode.magic) || shrink.begin >= start
}

fn causes() -> impl Iterator<Item = &'static Cause> {
    TABLE.iter().flat_map(|rule| rule.causes)
}

impl CauseKind {
    /// What is to be known of it without any evidence.
    pub fn cause(self) -> &'static Cause {
        causes().find(|cause| cause.kind == self).unwrap_or(&unknown::CAUSE)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::magic::FUSE_SUPER_MAGIC;

    const README: &str = include_str!("../../../../README.md");
    const CAUSES: &str = include_str!("../../../../docs/causes.md");
    const SCHEMA: &str = include_str!("../../contract/schema.json");

    fn names() -> BTreeSet<&'static str> {
        causes().map(|cause| cause.kind.name()).collect()
    }

    /// The names in the first column of the table that begins with `head`.
    fn table<'a>(text: &'a str, head: &str) -> BTreeSet<&'a str> {
        let rows = text.lines().skip_while(|line| !line.starts_with(head)).skip(2);
        rows.take_while(|line| line.starts_with('|'))
            .filter_map(|line| line.split('|').nth(1))
            .flat_map(|cell| cell.split('`').skip(1).step_by(2))
            .collect()
    }

    #[test]
    fn an_inode_without_a_generation_may_have_been_another_file() {
        let mut shrink = crate::testing::shrink(2, 5, 8_192, 0);
        assert!(is_same_file(&shrink, 6), "ext4");
        (shrink.inode.magic, shrink.inode.id.generation) = (FUSE_SUPER_MAGIC, 0);
        assert!(is_same_file(&shrink, 5) && !is_same_file(&shrink, 6));
    }

    #[test]
    fn each_cause_has_one_row() {
        let rows: Vec<_> = causes().map(|cause| cause.kind).collect();
        for &kind in CauseKind::ALL {
            assert_eq!(rows.iter().filter(|row| **row == kind).count(), 1, "{kind:?}");
            assert_eq!(kind.cause().kind, kind);
            assert!(!kind.cause().advice.is_empty(), "{kind:?}");
            assert_eq!(kind.cause().observes.is_empty(), kind == CauseKind::Unknown, "{kind:?}");
        }
    }

    #[test]
    fn the_readme_names_every_cause() {
        assert_eq!(table(README, "| class | means |"), names());
    }

    #[test]
    fn the_docs_have_the_evidence_of_every_cause() {
        let mut names = names();
        names.remove("unknown");
        assert_eq!(table(CAUSES, "| class | evidence |"), names);
    }

    #[test]
    fn the_schema_has_every_cause() {
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).expect("JSON");
        assert_eq!(enums(&schema), names());
    }

    /// The names of the schema's enum that has `truncated` in it.
    fn enums(schema: &serde_json::Value) -> BTreeSet<&str> {
        match schema {
            serde_json::Value::Object(map) => {
                let list = map.get("enum").and_then(|list| list.as_array());
                let of_cause = |list: &&Vec<_>| list.iter().any(|name| name == "truncated");
                match list.filter(of_cause) {
                    Some(list) => list.iter().filter_map(|name| name.as_str()).collect(),
                    None => map.values().flat_map(enums).collect(),
                }
            }
            serde_json::Value::Array(list) => list.iter().flat_map(enums).collect(),
            _ => BTreeSet::new(),
        }
    }
}
