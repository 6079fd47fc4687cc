//! Ways to die under a supervisor, and what `whybus why` must tell of each.
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use libtest_mimic::Trial;
use whybus::contract::{Record, Story};

use crate::{
    Job,
    record::{plain, records},
    trial,
};

/// One way to die under a supervisor, and what must be told of it.
pub struct Case {
    pub name: &'static str,
    pub deaths: u64,
    pub class: &'static str,
    /// How a shell has it.
    pub status: u32,
    culprit: Option<&'static str>,
    /// Theories that are ruled out, and those that must not be.
    out: &'static [&'static str],
    open: &'static [&'static str],
}

const OOM: &str = "the OOM killer";
const PARENT: &str = "killed by its parent";
const OTHERS: &str = "killed by another process";
const PLAIN_EXIT: &str = "a plain exit(3)";
const EXIT: &str = "a call of exit(3), by itself or a library";
const CRASH: &str = "a crash (SIGSEGV, SIGBUS, SIGILL, SIGFPE)";

pub const CASES: [Case; 9] = [
    Case {
        name: "bus",
        deaths: 3,
        class: "truncated",
        status: 135,
        culprit: Some("cp"),
        out: &[OOM, PARENT, OTHERS, EXIT],
        open: &[CRASH],
    },
    Case {
        name: "cgo",
        deaths: 3,
        class: "signal",
        status: 2,
        culprit: None,
        out: &[OOM, PARENT, OTHERS],
        open: &[CRASH, EXIT, PLAIN_EXIT],
    },
    Case {
        name: "oom",
        deaths: 3,
        class: "oom-killed",
        status: 137,
        culprit: Some("oom-worker"),
        out: &[PARENT, OTHERS, EXIT, CRASH],
        open: &[OOM],
    },
    Case {
        name: "parent",
        deaths: 3,
        class: "sent",
        status: 137,
        culprit: Some("sh"),
        out: &[OOM, EXIT, CRASH],
        open: &[PARENT, OTHERS],
    },
    Case {
        name: "stranger",
        deaths: 3,
        class: "sent",
        status: 137,
        culprit: Some("sh"),
        out: &[OOM, PARENT, EXIT, CRASH],
        open: &[OTHERS],
    },
    Case {
        name: "exit",
        deaths: 4,
        class: "exited",
        status: 1,
        culprit: None,
        out: &[OOM, PARENT, OTHERS, CRASH],
        open: &[EXIT],
    },
    Case {
        name: "abort",
        deaths: 3,
        class: "aborted",
        status: 134,
        culprit: None,
        out: &[OOM, PARENT, OTHERS, CRASH],
        open: &[EXIT],
    },
    // Each time in another container, of another parent.
    Case {
        name: "pod",
        deaths: 3,
        class: "aborted",
        status: 134,
        culprit: None,
        out: &[OOM, PARENT, OTHERS, CRASH],
        open: &[EXIT],
    },
    // It dumps core for seven seconds.
    Case {
        name: "dump",
        deaths: 2,
        class: "truncated",
        status: 135,
        culprit: Some("cp"),
        out: &[OOM, PARENT, OTHERS, EXIT],
        open: &[CRASH],
    },
];

/// A test for each of them.
pub fn trials(job: &Arc<Job>) -> Vec<Trial> {
    let one = |case: &'static Case| {
        let (job, name) = (job.clone(), format!("history::why_{}", case.name));
        trial(&job.kernel.clone(), &name, move || died(case, &job))
    };
    CASES.iter().map(one).collect()
}

/// What `whybus why NAME-worker` told.
/// # Errors
/// Where it told another thing, or more.
pub fn story(name: &str, job: &Job) -> Result<Box<Story>> {
    let error = job.text(&format!("why-{name}.err"))?;
    ensure!(error.is_empty(), "{error}");
    let mut lines = records(&job.text(&format!("why-{name}.json"))?)?;
    match (lines.pop(), lines.len()) {
        (Some(Record::Story(story)), 0) => Ok(story),
        (last, others) => bail!("{} lines, the last of them {last:?}", others + 1),
    }
}

/// # Errors
/// Where it was told otherwise.
pub fn died(case: &Case, job: &Job) -> Result<()> {
    let story = story(case.name, job)?;
    ensure!(story.deaths == case.deaths, "{} deaths", story.deaths);
    let incident = &story.incident;
    let cause = &incident.cause;
    ensure!(cause.class.name() == case.class, "the cause is {cause:?}");
    // Who exits after a fault that a handler took may have had another reason.
    let sure = if case.open.contains(&PLAIN_EXIT) { "likely" } else { "proven" };
    ensure!(cause.confidence.name() == sure, "{cause:?}");
    ensure!(incident.status() == Some(case.status), "it ended by {:?}", incident.exit);
    let one = matches!(story.causes.as_slice(), [only] if only.count == case.deaths);
    ensure!(one, "causes {:?}", story.causes);
    let culprit = cause.culprit.as_ref().map(|culprit| plain(&culprit.comm));
    ensure!(culprit.as_deref() == case.culprit, "by {culprit:?}");
    restarted(case, &story)?;
    let theories: Vec<&str> = story.ruled_out.iter().map(|one| &*one.theory).collect();
    for theory in case.out {
        ensure!(theories.contains(theory), "{theory} is not ruled out: {theories:?}");
    }
    for theory in case.open {
        ensure!(!theories.contains(theory), "{theory} is ruled out: {theories:?}");
    }
    let steps: Vec<&str> = story.timeline.iter().map(|step| &*step.what).collect();
    ensure!(steps.first() == Some(&"start") && steps.contains(&"exit"), "the timeline {steps:?}");
    Ok(())
}

/// The last one was not started again. Execs that a kernel which preempts did not show us may be
/// restarts; then that is said.
fn restarted(case: &Case, story: &Story) -> Result<()> {
    let missed = story.gaps.iter().filter(|gap| gap.reason.to_string().contains("sched_process_"));
    let missed: u64 = missed.filter_map(|gap| gap.lost).sum();
    let Some(spread) = story.restarts else {
        bail!("no restart of {} deaths was seen, {missed} calls missed", case.deaths);
    };
    ensure!(
        spread.count < case.deaths && spread.count + missed >= case.deaths - 1,
        "restarts {spread:?}, {missed} calls missed"
    );
    let ordered = spread.min_ns <= spread.median_ns && spread.median_ns <= spread.max_ns;
    // The supervisor waits 0.4 s.
    ensure!(ordered && spread.min_ns >= 400_000_000, "restarts {spread:?}");
    ensure!(spread.max_ns < 60_000_000_000, "restarts {spread:?}");
    Ok(())
}
