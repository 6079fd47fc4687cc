//! Attacks that won against an early tree, and their figures (xtask/guest/jobs/attacks.sh; docs/threat-model.md). What is read
//! is read as any whybus has written it.
use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{Check, Job};

pub const CHECKS: [(&str, Check); 13] = [
    ("shrinks_of_others_erase_no_evidence", shrinks_erase_nothing),
    ("a_sparse_program_costs_no_memory", a_sparse_program),
    ("a_crash_loop_pushes_out_nobody_else", a_crash_loop),
    ("a_clock_a_year_ahead_erases_nothing", a_clock_ahead),
    ("a_clock_that_is_set_back_hides_no_gap", a_clock_set_back),
    ("a_clock_that_was_wrong_proves_nothing", a_wrong_clock),
    ("a_lock_of_a_reader_stops_no_recorder", a_lock),
    ("no_line_is_forged_in_the_journal", a_forged_line),
    ("a_reader_that_stalls_stops_no_recorder", a_stalled_reader),
    ("what_is_saved_is_nobody_elses_to_read", what_is_saved),
    ("no_link_leads_out_of_a_root", a_link_out_of_a_root),
    ("no_pid_is_taken_for_another", a_pid_used_again),
    ("each_ends_well", each_ends_well),
];

/// Lines of JSON; one that was cut off in the end is none.
fn lines(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Those that a history has.
fn incidents(job: &Job, name: &str) -> Result<Vec<Value>> {
    let mut all = lines(&job.text(name)?);
    all.retain(|line| line["kind"] == "incident" || line["kind"] == "update");
    Ok(all)
}

/// What the tracer told of a file last, by a part of its path.
fn last_of(job: &Job, part: &str) -> Result<Value> {
    let mut all = lines(&job.text("lines")?);
    all.retain(|line| line["file"]["path"].as_str().is_some_and(|path| path.contains(part)));
    all.pop().with_context(|| format!("nothing was told of {part}"))
}

/// Class and confidence.
fn verdict(incident: &Value) -> (&str, &str) {
    let word = |name: &str| incident["cause"][name].as_str().unwrap_or_default();
    (word("class"), word("confidence"))
}

fn shrinks_erase_nothing(job: &Job) -> Result<()> {
    let incident = last_of(job, "/erased")?;
    let (class, confidence) = verdict(&incident);
    println!("1,100 other files were shrunk since: {class}, {confidence}");
    let named = incident["cause"]["culprit"]["comm"] == "truncate";
    let proven = confidence == "proven";
    ensure!(class == "truncated" && named && proven, "{class}, {confidence}: {incident}");
    Ok(())
}

fn a_sparse_program(job: &Job) -> Result<()> {
    const MOST: u64 = 96 << 10;
    let resident: u64 = job.word("resident")?.parse()?;
    println!("a symbol table of 900 MiB: {} MiB resident", resident >> 10);
    let crashed = incidents(job, "before.json")?;
    ensure!(crashed.iter().any(|one| one["victim"]["comm"] == "sparse"), "it was not told");
    ensure!(resident <= MOST, "{resident} KiB were resident");
    Ok(())
}

/// Twenty had died before it.
fn a_crash_loop(job: &Job) -> Result<()> {
    let crashes: u64 = job.word("crashes")?.parse()?;
    let before = incidents(job, "planted.before")?.len();
    let after = incidents(job, "planted.after")?.len();
    let kept: usize = job.word("more")?.parse()?;
    let left = incidents(job, "after.json")?.len();
    println!(
        "{crashes} crashes, {kept} incidents, {left} left: of 20 others {before}, then {after}"
    );
    ensure!(before == 20, "{before} of 20 were told before there was no room");
    ensure!(left < kept, "there was room for all {kept}");
    ensure!(after == 20, "{after} of 20 are left of {left} incidents");
    let cut = lines(&job.text("after.json")?);
    let cut = cut.iter().any(|line| line["kind"] == "gap" && line.to_string().contains("room"));
    ensure!(cut, "nothing says that the history was cut");
    Ok(())
}

fn a_clock_ahead(job: &Job) -> Result<()> {
    let left = incidents(job, "ahead.json")?;
    let left = left.iter().filter(|one| one["victim"]["uid"] == 1000).count();
    println!("a clock that was a year ahead: {left} of 20 are left");
    ensure!(left == 20, "{left} of 20 are left");
    Ok(())
}

/// Of three runs there are two gaps: before the one whose clock was ahead, and after it.
fn a_clock_set_back(job: &Job) -> Result<()> {
    let gaps = lines(&job.text("ahead.json")?);
    let gaps = gaps.iter().filter(|line| line["kind"] == "gap" && line["lost"].is_null()).count();
    println!("{gaps} of 2 gaps between three runs");
    ensure!(gaps == 2, "{gaps} of 2 gaps are there");
    Ok(())
}

fn a_wrong_clock(job: &Job) -> Result<()> {
    let incident = last_of(job, "/clock")?;
    let (class, confidence) = verdict(&incident);
    println!("a clock that was two hours behind: {class}, {confidence}");
    ensure!(confidence == "likely", "{class}, {confidence}: {incident}");
    Ok(())
}

fn a_lock(job: &Job) -> Result<()> {
    let started = job.word("locked")?;
    ensure!(started == "yes", "no recorder started: {}", job.text("locked.err")?);
    Ok(())
}

fn a_forged_line(job: &Job) -> Result<()> {
    let journal = job.text("journal")?;
    let ours = |line: &str| line == "WHYBUS_COMM=worker";
    ensure!(journal.lines().any(ours), "the journal was not told of it");
    let forged = journal.lines().filter(|line| *line == "OBJECT_SYSTEMD_UNIT=nginx.service");
    let forged = forged.count();
    println!("{forged} lines of the host's nginx.service");
    ensure!(forged == 0, "{forged} lines of a unit of the host that has none");
    Ok(())
}

fn a_stalled_reader(job: &Job) -> Result<()> {
    let ended = ended(job, "printed")?;
    let late = incidents(job, "late.json")?.len();
    println!("nobody read: ended with {} after {:.1} s, {late} of 1 recorded", ended.0, ended.1);
    ensure!(late == 1, "what came after was not recorded");
    ensure!(ended.0 == "0" && ended.1 < 15.0, "it ended with {} after {} s", ended.0, ended.1);
    Ok(())
}

/// The status of a recorder, and how many seconds it took to end.
fn ended(job: &Job, name: &str) -> Result<(String, f64)> {
    let text = job.text("statuses")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let line = line.with_context(|| format!("{name} has not ended: {text}"))?;
    let mut words = line.split(' ');
    let mut word = || words.next().context("a word is missing");
    let (status, began, ended) = (word()?, word()?, word()?);
    Ok((status.to_owned(), ended.parse::<f64>()? - began.parse::<f64>()?))
}

fn what_is_saved(job: &Job) -> Result<()> {
    let mode = job.word("saved")?;
    ensure!(mode == "600", "a saved stream has mode {mode}");
    Ok(())
}

/// The newest word on each victim of a name that begins so, as it stands in the history: name and line.
fn called(job: &Job, name: &str) -> Result<BTreeMap<String, String>> {
    let named = |one: Value| {
        let comm = one["victim"]["comm"].as_str().filter(|comm| comm.starts_with(name))?.to_owned();
        Some((comm, one.to_string()))
    };
    Ok(incidents(job, "names.json")?.into_iter().filter_map(named).collect())
}

/// That functions are named at all is seen by one whose file is where it was.
fn a_link_out_of_a_root(job: &Job) -> Result<()> {
    const SECRET: &str = "a_secret_of_a_host";
    let told = called(job, "jail-")?;
    let linked = told.get("jail-link").context("the one of the link was not told")?;
    let before = told.get("jail-before").context("the one before was not told")?;
    let number = |name: &&String| name["jail-".len()..].parse::<u32>().is_ok();
    let swapped = told.keys().filter(number).count();
    let read = told.values().filter(|line| line.contains(SECRET)).count();
    let of_link = usize::from(linked.contains(SECRET));
    println!(
        "a link out of a root: {of_link} of 1 and, of {swapped} that were swapped, {}",
        read - of_link
    );
    ensure!(before.contains("inside_of_the_root"), "no function was named: {before}");
    ensure!(swapped == 20, "{swapped} of 20 were told: {}", job.text("jail.err")?);
    ensure!(read == 0, "{read} have a function of a file of the host");
    Ok(())
}

fn a_pid_used_again(job: &Job) -> Result<()> {
    const USURPER: &str = "of-a-usurper";
    let figures = job.word("reused")?;
    let (taken, soon) = figures.split_once(' ').context("two figures")?;
    let taken: usize = taken.parse()?;
    let told = called(job, "reused-")?;
    let wrong = told.values().filter(|line| line.contains(USURPER)).count();
    println!(
        "{taken} pids were taken, {soon} of them within 10 ms: {wrong} of {} are told with another's facts",
        told.len()
    );
    // What the check is about has happened.
    ensure!(taken == 80, "{taken} of 80 pids were taken: {}", job.text("reused.err")?);
    ensure!(told.len() == 80, "{} of 80 were told", told.len());
    ensure!(wrong == 0, "{wrong} of 80 are told with another's facts");
    Ok(())
}

fn each_ends_well(job: &Job) -> Result<()> {
    for name in ["history", "clock1", "clock-1", "locked", "printed", "names"] {
        let (status, took) = ended(job, name)?;
        ensure!(status == "0", "{name} ended with {status} after {took} s");
    }
    Ok(())
}
