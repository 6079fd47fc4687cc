//! The OOM killer killed it (mm/oom_kill.c oom_kill_process).
use crate::{
    correlate::{
        cause::{Cause, Rule, SignalFrom},
        evidence::{Evidence, Verdict},
    },
    model::{
        cause::{CauseKind, Confidence},
        observe::Observe,
        oom::{MemoryCgroup, OomKill, RanOut},
        process::ProcessExit,
        signal_name::{SI_KERNEL, SIGKILL},
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

const ADVICE_CGROUP: &str = "raise the limit of that memory cgroup, or make what runs in it use less; `dmesg` \
                             lists who used how much";
const ADVICE_HOST: &str = "run less on this host, or give it more memory; a limit of its own (MemoryMax=, \
                           docker run --memory) keeps what grows from taking others along; `dmesg` lists who \
                           used how much";
const ADVICE_NODES: &str = "allow it more memory nodes (cpuset.mems, numactl), or make what runs on them use \
                            less; `dmesg` lists who used how much";
const ADVICE_ASKED: &str = "ask who pressed SysRq f, or wrote f to /proc/sysrq-trigger";

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    let death = evidence.death.filter(|death| (death.exit.code & 0x7f) as i32 == SIGKILL)?;
    // Somebody else killed it first, and it was chosen, or marked as one that will free its memory, as it died
    // (mm/oom_kill.c task_will_free_mem).
    if evidence.signal.is_some_and(|signal| signal.code != SI_KERNEL) {
        return None;
    }
    match evidence.oom {
        Some(kill) => Some(told(kill, death, evidence.host.page_size)),
        None if death.oom => looked_up(evidence),
        None => None,
    }
}

/// The decision was seen.
fn told(kill: &OomKill, death: &ProcessExit, page: u64) -> Verdict {
    let chosen = kill.chosen.id;
    let whom = if chosen.same(kill.victim) {
        "killed by the OOM killer".to_owned()
    } else if death.oom {
        format!(
            "the OOM killer chose process {} and killed all of a memory cgroup with it (memory.oom.group)",
            chosen.tgid
        )
    } else {
        format!(
            "the OOM killer chose process {}, and this one shares its memory with one that was killed for that",
            chosen.tgid
        )
    };
    let (why, advice) = match &kill.ran_out {
        RanOut::Cgroup(memory) => (cgroup(memory, death.actor.task.cgroup, page), ADVICE_CGROUP),
        RanOut::Host => {
            let total = size(kill.total.saturating_mul(page));
            (format!("the host ran out of memory ({total}, swap included)"), ADVICE_HOST)
        }
        RanOut::Cpuset => ("the memory nodes of a cpuset ran out".to_owned(), ADVICE_NODES),
        RanOut::MemoryPolicy => {
            ("the memory nodes of a memory policy ran out".to_owned(), ADVICE_NODES)
        }
        RanOut::Nothing => ("somebody asked it to choose (SysRq f)".to_owned(), ADVICE_ASKED),
    };
    Verdict { advice, ..CAUSE.verdict(Confidence::Proven, format!("{whom}: {why}")) }
}

/// What is said of the memory cgroup that ran out; `own` is that of the victim.
fn cgroup(memory: &MemoryCgroup, own: Option<u64>, page: u64) -> String {
    let (counter, with_swap) = memory.reached();
    let which = match memory.id.zip(own) {
        Some((id, own)) if id == own => "its memory cgroup",
        Some(_) => "a memory cgroup above its own",
        None => "a memory cgroup it is in",
    };
    let of = if with_swap { " of memory and swap" } else { "" };
    let bytes = |pages: u64| size(pages.saturating_mul(page));
    let (limit, used) = (bytes(counter.limit), bytes(counter.used));
    // Whoever frees memory meanwhile makes it less.
    if counter.used >= counter.limit - counter.limit / 8 {
        format!("{which} was at its limit of {limit}{of} ({used} used)")
    } else {
        format!("{which} ran out, which has a limit of {limit}{of} ({used} used as it chose)")
    }
}

/// Only the mark is known that the OOM killer leaves (`signal_struct.oom_mm`).
fn looked_up(evidence: &Evidence<'_>) -> Option<Verdict> {
    let watched = evidence.host.coverage.sees(Observe::OomKill) && !evidence.lossy();
    if watched && evidence.signal.is_some() {
        return None;
    }
    let Some(memory) = evidence.memory else {
        return Some(CAUSE.verdict(Confidence::Likely, "killed by the OOM killer"));
    };
    let summary = format!(
        "killed by the OOM killer; by then a memory cgroup it was in had run into its limit of {}",
        size(memory.limit)
    );
    Some(Verdict { advice: ADVICE_CGROUP, ..CAUSE.verdict(Confidence::Likely, summary) })
}

#[cfg(test)]
mod tests {
    use super::{evaluate, *};
    use crate::{
        model::{
            fact::MemoryLimit,
            observe::{AttachedHook, Coverage},
            oom::Counter,
            process::ProcessExit,
        },
        testing::*,
    };

    const OWN: u64 = 7;

    fn killed() -> ProcessExit {
        let mut death = ProcessExit { oom: true, ..exit(9, 9) };
        death.actor.task.cgroup = Some(OWN);
        death
    }

    fn sent(code: i32) -> Signal {
        Signal { number: SIGKILL, ..signal(code) }
    }

    fn kill(ran_out: RanOut) -> OomKill {
        let chosen = actor(VICTIM).task;
        OomKill { victim: chosen.id, chosen, ran_out, total: 524_288 }
    }

    fn memcg(id: Option<u64>, used: u64) -> RanOut {
        let memory = Counter { limit: 6_144, used };
        RanOut::Cgroup(MemoryCgroup { id, memory, memsw: None })
    }

    fn judged(kill: &OomKill, death: &ProcessExit) -> String {
        let verdict = evaluate(&Evidence { oom: Some(kill), ..of_death(death, None) }).expect("it");
        assert_eq!(verdict.confidence, Confidence::Proven);
        verdict.summary
    }

    #[test]
    fn only_who_died_of_it_was_killed_by_it() {
        let class = |death: &ProcessExit, signal| {
            crate::correlate::rules::evaluate(&of_death(death, signal)).class
        };
        assert_ne!(class(&exit(9, 9), None), CauseKind::OomKilled);
        assert_eq!(class(&killed(), None), CauseKind::OomKilled);
        assert_ne!(class(&ProcessExit { oom: true, ..exit(9, 11) }, None), CauseKind::OomKilled);
        assert_eq!(class(&killed(), Some(&sent(SI_KERNEL))), CauseKind::OomKilled);
    }

    /// kill -9, and its memory cgroup is at its limit meanwhile.
    #[test]
    fn who_was_killed_before_it_was_chosen_was_not_killed_by_it() {
        let (death, signal) = (killed(), sent(0));
        let mut evidence = of_death(&death, Some(&signal));
        assert_eq!(evaluate(&evidence), None);
        let kill = kill(RanOut::Host);
        evidence.oom = Some(&kill);
        assert_eq!(evaluate(&evidence), None);
    }

    /// The init of a PID namespace ended, and who went with it was marked on its way out.
    #[test]
    fn a_mark_alone_proves_nothing() {
        let (death, signal) = (killed(), sent(SI_KERNEL));
        let mut evidence = of_death(&death, Some(&signal));
        let confidence = evaluate(&evidence).expect("a verdict").confidence;
        assert_eq!(confidence, Confidence::Likely);
        let hook = AttachedHook { observe: Some(Observe::OomKill), hook: "oom".to_owned() };
        let coverage = Coverage { hooks: vec![hook], ..Coverage::default() };
        let host = Host { coverage, ..evidence.host.clone() };
        evidence.host = &host;
        assert_eq!(evaluate(&evidence), None, "its decision would have been told");
        evidence.lost = evidence.time;
        assert!(evaluate(&evidence).is_some(), "unless that was lost");
    }

    #[test]
    fn the_memory_cgroup_that_ran_out() {
        let told = |id, used| judged(&kill(memcg(id, used)), &killed());
        assert_eq!(
            told(Some(OWN), 6_144),
            "killed by the OOM killer: its memory cgroup was at its limit of 24 MiB (24 MiB used)"
        );
        assert!(told(Some(3), 6_144).contains("a memory cgroup above its own was at its limit"));
        assert!(told(None, 6_144).contains("a memory cgroup it is in was at its limit"));
        let freed = told(Some(OWN), 1_024);
        assert!(freed.ends_with("a limit of 24 MiB (4 MiB used as it chose)"), "{freed}");
    }

    #[test]
    fn memory_and_swap_may_have_a_limit_together() {
        let memory = Counter { limit: 6_144, used: 4_096 };
        let memsw = Some(Counter { limit: 8_192, used: 8_192 });
        let ran_out = RanOut::Cgroup(MemoryCgroup { id: None, memory, memsw });
        let told = judged(&kill(ran_out), &killed());
        assert!(
            told.ends_with("at its limit of 32 MiB of memory and swap (32 MiB used)"),
            "{told}"
        );
    }

    #[test]
    fn what_else_may_run_out() {
        let told = |ran_out| judged(&kill(ran_out), &killed());
        assert_eq!(
            told(RanOut::Host),
            "killed by the OOM killer: the host ran out of memory (2 GiB, swap included)"
        );
        assert!(told(RanOut::Cpuset).ends_with("of a cpuset ran out"));
        assert!(told(RanOut::MemoryPolicy).ends_with("of a memory policy ran out"));
        assert!(told(RanOut::Nothing).contains("SysRq"));
    }

    #[test]
    fn who_is_taken_along_was_not_chosen() {
        let mut kill = kill(RanOut::Host);
        kill.chosen = actor(5).task;
        let group = judged(&kill, &killed());
        assert!(group.contains("chose process 5") && group.contains("oom.group"), "{group}");
        // Only who is chosen is marked (mm/oom_kill.c __oom_kill_process).
        let shares = judged(&kill, &exit(9, 9));
        assert!(shares.contains("shares its memory"), "{shares}");
    }

    #[test]
    fn the_limit_can_be_named_in_the_advice() {
        assert!(super::ADVICE_CGROUP.contains(crate::correlate::cause::MEMORY_LIMIT));
    }

    #[test]
    fn a_limit_that_was_looked_up_says_so() {
        let death = killed();
        let limit = MemoryLimit { victim: death.exit.id, cgroup: b"/a".to_vec(), limit: 1 << 20 };
        let verdict = evaluate(&Evidence { memory: Some(&limit), ..of_death(&death, None) });
        let verdict = verdict.expect("a verdict");
        assert_eq!(verdict.confidence, Confidence::Likely);
        assert!(verdict.summary.contains("by then"), "{}", verdict.summary);
    }
}
