//! The OOM killer chose it (mm/oom_kill.c mark_oom_victim).
use crate::{
    correlate::rules::{Evidence, Verdict},
    model::{
        cause::{CauseKind, Confidence},
        signal_name::SIGKILL,
    },
    text::format::size,
};

const HOST: &str = "the host was out of memory: look for what grew (memory.current of the cgroups), or \
                    protect this one by memory.min or oom_score_adj";
const CGROUP: &str = "raise the limit of its memory cgroup, or make it use less; `dmesg` lists who used \
                      how much";

pub fn judge(evidence: &Evidence<'_>) -> Option<Verdict> {
    let death = evidence.death.filter(|death| death.oom)?;
    // It may have been chosen while it was dying of something else.
    if (death.exit.code & 0x7f) as i32 != SIGKILL {
        return None;
    }
    let (summary, advice) = match evidence.memory {
        Some(memory) => (
            format!(
                "the OOM killer chose it: its memory cgroup is at its limit of {}",
                size(memory.limit)
            ),
            CGROUP,
        ),
        None => ("the OOM killer chose it".to_owned(), HOST),
    };
    Some(Verdict::new(CauseKind::OomKilled, Confidence::Proven, summary, advice))
}

#[cfg(test)]
mod tests {
    use crate::{correlate::rules::*, testing::*};

    #[test]
    fn only_who_died_of_it_was_killed_by_it() {
        let mut death = exit(9, 9);
        assert_ne!(judge(&of_death(&death, None)).class, CauseKind::OomKilled);
        death.oom = true;
        assert_eq!(judge(&of_death(&death, None)).class, CauseKind::OomKilled);
        death.exit.code = 11;
        assert_ne!(judge(&of_death(&death, None)).class, CauseKind::OomKilled);
    }
}
