//! Every hostile load at once: who dies among it is told rightly, or as incomplete (xtask/guest/jobs/soak.sh).
use anyhow::{Context as _, Result, bail, ensure};
use whybus::contract::{Gap, Incident, Record};

use crate::{
    Check, Job,
    record::{incidents_of, plain, records},
};

pub const CHECKS: [(&str, Check); 5] = [
    ("it_is_hostile", it_is_hostile),
    ("every_planted_victim_is_told_rightly_or_as_incomplete", every_victim_is_told),
    ("memory_is_bounded", memory_is_bounded),
    ("nothing_is_said_but_that_the_disk_was_full", nothing_else_is_said),
    ("it_ends_well", it_ends_well),
];

/// KiB that may ever be resident, and how many more in the second half than in the first, of a run that is long and of one that is not.
const RESIDENT: u64 = 64 << 10;
const GROWTH: u64 = 8 << 10;
const FILLING: u64 = 16 << 10;
/// Samples of ten minutes.
const LONG: usize = 120;
/// Bytes of maps and programs.
const LOCKED: u64 = 64 << 20;

fn number(job: &Job, name: &str) -> Result<u64> {
    job.word(name)?.parse().with_context(|| name.to_owned())
}

/// No load ended early, and each did what it is there for.
fn it_is_hostile(job: &Job) -> Result<()> {
    let said = job.text("loads")?;
    ensure!(said.is_empty(), "a load failed: {said}");
    for (what, least) in
        [("mounts", 1_000), ("cgroups", 1_000), ("sent", 5_000), ("incidents", 200)]
    {
        let seen = number(job, what)?;
        ensure!(seen >= least, "only {seen} {what}");
    }
    let full = job.text("full")?.lines().count();
    ensure!(full >= 2, "the disk was full {full} times");
    Ok(())
}

/// Whom the guest let die, how, and by whom.
struct Planted {
    comm: String,
    how: String,
    pid: u32,
    culprit: Option<u32>,
}

fn planted(job: &Job) -> Result<Vec<Planted>> {
    let lines = job.text("planted")?;
    let one = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [comm, how, pid, culprit] = words.as_slice() else { bail!("planted {line}") };
        let culprit = Some(culprit.parse()?).filter(|pid| *pid != 0);
        Ok(Planted { comm: (*comm).to_owned(), how: (*how).to_owned(), pid: pid.parse()?, culprit })
    };
    lines.lines().map(one).collect()
}

impl Planted {
    fn is(&self, incident: &Incident) -> bool {
        incident.victim.pid == self.pid && plain(&incident.victim.comm) == self.comm
    }

    /// Whether what is told is what happened.
    fn right(&self, incident: &Incident) -> Result<bool> {
        let class = match &*self.how {
            "truncated" => "truncated",
            "sent" => "sent",
            "abort" => "aborted",
            "segv" => "signal",
            "past-end" => "mapped-past-end",
            other => bail!("planted {other}"),
        };
        let culprit = incident.cause.culprit.as_ref().map(|culprit| culprit.pid);
        let uid = incident.victim.uid == 1_000;
        Ok(uid && incident.cause.class.name() == class && culprit == self.culprit)
    }
}

fn gaps(job: &Job) -> Result<Vec<Gap>> {
    let lines = job.text("gaps.json")?;
    let found = if lines.is_empty() { Vec::new() } else { records(&lines)? };
    Ok(found
        .into_iter()
        .filter_map(|r| if let Record::Gap(gap) = r { Some(gap) } else { None })
        .collect())
}

/// Told wrong is only what says that something may be missing, and then the history has the loss.
fn every_victim_is_told(job: &Job) -> Result<()> {
    let (planted, gaps) = (planted(job)?, gaps(job)?);
    ensure!(planted.len() == 20, "{} of 20 were planted", planted.len());
    let told = incidents_of(&job.text("victims.json")?)?;
    let (mut wrong, mut excused) = (Vec::new(), 0);
    for victim in &planted {
        let found: Vec<&Incident> = told.iter().filter(|incident| victim.is(incident)).collect();
        let [one] = found.as_slice() else {
            wrong.push(format!("{} ({}): {} incidents", victim.comm, victim.how, found.len()));
            continue;
        };
        if victim.right(one)? {
            continue;
        }
        let touched =
            |gap: &&Gap| gap.since.0 <= one.last.0 && one.time.0 <= gap.until.0 + 2_000_000_000;
        if !one.complete
            && gaps.iter().any(|gap| touched(&gap))
            && one.cause.confidence.name() != "proven"
        {
            excused += 1;
        } else {
            wrong.push(format!("{} ({}): {one:?}", victim.comm, victim.how));
        }
    }
    ensure!(
        wrong.is_empty(),
        "{} of 20 are wrong, {excused} incomplete:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    Ok(())
}

/// Each line: resident and most resident KiB, threads, descriptors, mappings, and seconds since it has said that it is there.
fn memory_is_bounded(job: &Job) -> Result<()> {
    let text = job.text("resident")?;
    let lines: Vec<Vec<u64>> = text
        .lines()
        .map(|line| line.split_whitespace().map(str::parse).collect())
        .collect::<Result<_, _>>()?;
    let lines: Vec<Vec<u64>> = lines.into_iter().filter(|line| line.len() == 6).collect();
    ensure!(lines.len() >= 8, "{} samples", lines.len());
    let most = lines.iter().map(|line| line[1]).max().unwrap_or_default();
    ensure!(most <= RESIDENT, "{most} KiB were resident");
    // Its tables are full by the middle of half an hour; in two minutes they fill.
    let of = |part: &[Vec<u64>], what: usize| {
        part.iter().map(|line| line[what]).max().unwrap_or_default()
    };
    let (first, last) = lines.split_at(lines.len() / 2);
    let grows = if lines.len() < LONG { FILLING } else { GROWTH };
    for (what, name, more) in
        [(0, "KiB", grows), (2, "threads", 4), (3, "descriptors", 64), (4, "mappings", 64)]
    {
        let (before, after) = (of(first, what), of(last, what));
        ensure!(after <= before + more, "{before} {name}, and then {after}: {text}");
    }
    // Whoever is silent for ten counts as gone.
    let silent = of(&lines, 5);
    ensure!(silent <= 10, "it said nothing of itself for {silent} s: {text}");
    let locked = job.text("locked")?;
    let locked: Vec<u64> = locked.lines().map(str::parse).collect::<Result<_, _>>()?;
    let [before, after] = locked.as_slice() else { bail!("{locked:?}") };
    ensure!(*before > 0 && *after <= LOCKED && *after <= before + (1 << 20), "locked {locked:?}");
    Ok(())
}

fn nothing_else_is_said(job: &Job) -> Result<()> {
    let said = job.text("err")?;
    // What it says of the kernel as it starts is up to that.
    let (_, said) = said.split_once("\nrecording to ").context("it has not begun")?;
    let expected = |line: &&str| {
        line.is_empty()
            || line.starts_with("/mnt/large/state/")
            || line.contains("watching goes on")
            // A starved host's parser had its time.
            || line.contains("the process that read it took more than")
            || line.contains("is written to again; meanwhile nothing was lost")
            || line.starts_with("the watch was terminated after")
    };
    let other: Vec<&str> = said.lines().filter(|line| !expected(line)).collect();
    ensure!(other.is_empty(), "{other:?}\nin {said}");
    ensure!(
        job.text("out")?.is_empty() && job.text("kernel")?.is_empty(),
        "{}",
        job.text("kernel")?
    );
    Ok(())
}

fn it_ends_well(job: &Job) -> Result<()> {
    let status = job.word("status")?;
    ensure!(status == "0", "it ended with {status}: {}", job.text("err")?);
    Ok(())
}
