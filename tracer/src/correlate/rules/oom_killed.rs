//! The OOM killer chose it (mm/oom_kill.c mark_oom_victim).
use crate::{
    correlate::{
        cause::{Cause, Rule, SignalFrom},
        evidence::{Evidence, Verdict},
    },
    model::{
        cause::{CauseKind, Confidence},
        observe::Observe,
        signal_name::SIGKILL,
    },
    text::format::size,
};

const CAUSE: Cause = Cause {
    kind: CauseKind::OomKilled,
    observes: &[Observe::Exit],
    rests_on: None,
    shows_mount: false,
    signal_from: SignalFrom::OomKiller,
    advice: "no memory cgroup of it was seen at its limit: `dmesg` says whether a cgroup \
             (constraint=CONSTRAINT_MEMCG) or the host ran out of memory, and who used how much",
};

pub const RULE: Rule = Rule { causes: &[CAUSE], evaluate };

const ADVICE_CGROUP: &str = "raise the limit of its memory cgroup, or make it use less; `dmesg` lists who used \
                      how much";

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    let death = evidence.death.filter(|death| death.oom)?;
    // It may have been chosen while it was dying of something else.
    if (death.exit.code & 0x7f) as i32 != SIGKILL {
        return None;
    }
    let Some(memory) = evidence.memory else {
        return Some(CAUSE.verdict(Confidence::Proven, "the OOM killer chose it"));
    };
    let summary = format!(
        "the OOM killer chose it: its memory cgroup is at its limit of {}",
        size(memory.limit)
    );
    Some(Verdict { advice: ADVICE_CGROUP, ..CAUSE.verdict(Confidence::Proven, summary) })
}

#[cfg(test)]
mod tests {
    use crate::testing::*;

    #[test]
    fn only_who_died_of_it_was_killed_by_it() {
        let mut death = exit(9, 9);
        assert_ne!(evaluate(&of_death(&death, None)).class, CauseKind::OomKilled);
        death.oom = true;
        assert_eq!(evaluate(&of_death(&death, None)).class, CauseKind::OomKilled);
        death.exit.code = 11;
        assert_ne!(evaluate(&of_death(&death, None)).class, CauseKind::OomKilled);
    }
}
