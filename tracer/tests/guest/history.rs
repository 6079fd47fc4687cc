//! What a guest's recorder must have kept: xtask/guest/jobs/history.sh.
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use serde_json::Value;
use whybus::{
    contract::{Cause, Gap, GapReason, Incident, Memory, Record, Status},
    model::cause::Confidence,
};

use crate::{
    Check, Job, Skipped,
    cases::{self, CASES, story},
    checks,
    confined::threads,
    deployed, dialogue,
    record::{incidents_of, plain, records, same_bytes, valid},
    secrets,
};

const DIALOGUE: &str = "the_dialogue_of_the_readme";

pub const CHECKS: [(&str, Check); 26] = [
    ("why_a_crash_in_a_library_names_the_function", a_crash_names_the_function),
    ("why_an_oom_kill_names_the_limit", an_oom_kill_names_the_limit),
    ("why_tells_a_parent_from_a_stranger", a_parent_is_no_stranger),
    ("a_clock_that_is_set_does_not_reorder_a_story", a_clock_is_set),
    ("a_service_manager_is_told", a_service_manager_is_told),
    ("an_idle_recorder_costs_next_to_nothing", an_idle_recorder),
    ("a_replay_of_deaths_tells_the_same", a_replay_of_deaths),
    ("every_line_is_valid", every_line_is_valid),
    ("list_by_exit_finds_those_and_no_others", list_by_exit),
    ("a_second_recorder_names_the_first", a_second_recorder),
    ("the_recorder_ended_well", the_recorder_ended_well),
    ("a_health_check_is_told", a_health_check_is_told),
    ("a_command_is_run_for_each_incident", a_command_is_run),
    ("nobody_may_more_than_watching_takes", nobody_may_more),
    ("who_parses_may_nothing", who_parses_may_nothing),
    ("the_group_may_read_others_may_not", the_group_may_read),
    ("an_export_elsewhere_tells_the_same", an_export_elsewhere),
    ("no_planted_secret_is_kept", secrets::none_is_kept),
    ("what_changed_is_told", deployed::what_changed_is_told),
    ("the_journal_has_every_incident", the_journal_has_every_incident),
    ("nothing_committed_is_lost_by_kill_9", nothing_is_lost_by_kill_9),
    ("a_full_disk_loses_nothing_and_is_told", a_full_disk),
    ("bad_state_directories_are_refused", bad_state_directories),
    ("a_damaged_history_is_set_aside", a_damaged_history),
    ("on_a_read_only_disk_watching_goes_on", on_a_read_only_disk),
    (DIALOGUE, dialogue::the_dialogue),
];

pub fn trials(job: &Arc<Job>) -> Vec<Trial> {
    let mut trials = cases::trials(job);
    // Older kernels lack hooks, and that is said.
    let has_all = ["6.12", "newest"].contains(&job.kernel.as_str());
    let told = |(name, _): &&(&str, Check)| *name != DIALOGUE || has_all;
    let some: Vec<(&str, Check)> = CHECKS.iter().filter(told).copied().collect();
    trials.extend(checks(job, "history", &some));
    trials
}

fn a_crash_names_the_function(job: &Job) -> Result<()> {
    let incident = story("cgo", job)?.incident;
    let signal = incident.signal.as_ref().context("no signal")?;
    let code = signal.code_name.as_deref();
    ensure!(signal.name == "SIGSEGV" && code == Some("SEGV_MAPERR"), "{signal:?}");
    ensure!(signal.address.as_ref().is_some_and(|address| address.0 == 8), "{signal:?}");
    ensure!(incident.outcome.name() == "exited", "{:?}", incident.outcome);
    let frame = incident.stack.as_ref().and_then(|stack| stack.user.first()).context("no frame")?;
    let module = frame.module.as_ref().map(plain).unwrap_or_default();
    if frame.symbol.is_none() && module.ends_with("/libgeo.so") && frame.module_offset.is_some() {
        let told = "owed: the function was not to be had, because it is looked up after the crash";
        return Err(Skipped(told.to_owned()).into());
    }
    ensure!(frame.symbol.as_ref().map(plain).as_deref() == Some("geo_height"), "{frame:?}");
    ensure!(frame.module.as_ref().is_some_and(|path| plain(path).ends_with("/libgeo.so")));
    Ok(())
}

/// Of every OOM kill in the history: its limit, and who asked for memory.
fn an_oom_kill_names_the_limit(job: &Job) -> Result<()> {
    let mut all = incidents_of(&job.text("list.json")?)?;
    all.push(story("oom", job)?.incident);
    let kills = all.iter().filter(|incident| incident.cause.class.name() == "oom-killed");
    let causes: Vec<&Cause> = kills.map(|incident| &incident.cause).collect();
    ensure!(causes.len() > 1, "no OOM kill was recorded");
    for cause in causes {
        limit(cause.memory.as_ref())?;
        let proven = cause.confidence.known() == Confidence::Proven;
        ensure!(
            proven && cause.oom.as_ref().is_some_and(|oom| oom.ran_out == "cgroup"),
            "{cause:?}"
        );
    }
    Ok(())
}

fn limit(memory: Option<&Memory>) -> Result<()> {
    let memory = memory.context("no limit")?;
    let right = memory.limit == 24 << 20 && plain(&memory.cgroup) == "/small";
    ensure!(right, "the limit is said to be {memory:?}");
    let near = memory.used.is_some_and(|used| (21 << 20..25 << 20).contains(&used));
    ensure!(near, "of 24 MiB were used {:?}", memory.used);
    Ok(())
}

fn a_parent_is_no_stranger(job: &Job) -> Result<()> {
    let pids = |incident: &Incident| {
        (incident.victim.ppid, incident.cause.culprit.as_ref().map(|culprit| culprit.pid))
    };
    let (parent, by) = pids(&story("parent", job)?.incident);
    ensure!(parent.is_some() && parent == by, "child of {parent:?}, killed by {by:?}");
    let stranger = story("stranger", job)?.incident;
    let (parent, by) = pids(&stranger);
    ensure!(by.is_some() && parent != by, "child of {parent:?}, killed by {by:?}");
    let args = stranger.cause.culprit.and_then(|culprit| culprit.cmdline).unwrap_or_default();
    ensure!(args.get(1).map(plain).as_deref() == Some("/history/stranger.sh"), "{args:?}");
    Ok(())
}

/// The one that died last is the last, though the clock says otherwise.
fn a_clock_is_set(job: &Job) -> Result<()> {
    let story = story("clock", job)?;
    let pid: u32 = job.word("clock.pid")?.parse()?;
    let victim = story.incident.victim.pid;
    ensure!(victim == pid, "{victim} is the last, not {pid}");
    ensure!(story.deaths == 2 && story.first > story.last, "{story:?}");
    Ok(())
}

fn a_service_manager_is_told(job: &Job) -> Result<()> {
    let told = job.text("notify")?;
    let lines: Vec<&str> = told.lines().collect();
    // What it is ready for, first.
    let verdict =
        |line: &&str| ["STATUS=READY", "STATUS=DEGRADED: "].iter().any(|v| line.starts_with(v));
    let ready = lines.first().is_some_and(verdict) && lines.get(1) == Some(&"READY=1");
    let pings = lines.iter().filter(|line| **line == "WATCHDOG=1").count();
    ensure!(ready && pings > 3 && lines.last() == Some(&"STOPPING=1"), "{lines:?}");
    Ok(())
}

/// Each line: ticks of 10 ms before and after 5 s, KiB resident, and the ticks that a fixed piece of work took, 40,000 rounds of a
/// loop in a shell: some 0.7 s of an emulated CPU, and as much more on a host that is slower or busy as what is measured. What
/// disturbs a round only adds to it: the least counts.
fn an_idle_recorder(job: &Job) -> Result<()> {
    let told = job.text("idle")?;
    let mut costs_little = false;
    for line in told.lines() {
        let numbers: Vec<u64> =
            line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let [before, after, rss, work] = numbers.as_slice() else { bail!("measured `{line}`") };
        ensure!(*rss <= 20 << 10, "{rss} KiB, of that {:?}", resident(&job.text("smaps")?));
        let spent = after.checked_sub(*before).context("time ran back")?;
        ensure!(*work >= 20, "the work that it is measured by took {work} ticks");
        costs_little |= 6 * spent <= *work;
    }
    // Under emulation: some 2 %.
    ensure!(costs_little, "ticks in 5 s, and of the work beside: {told}");
    Ok(())
}

/// What /proc/PID/smaps has of each file, in KiB.
fn resident(smaps: &str) -> BTreeMap<&str, u64> {
    let (mut of, mut kib) = ("", BTreeMap::new());
    for line in smaps.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["Rss:", rss, _] => *kib.entry(of).or_default() += rss.parse().unwrap_or(0),
            [range, _, _, _, _, file @ ..] if range.contains('-') => {
                of = file.first().copied().unwrap_or("anonymous");
            }
            _ => {}
        }
    }
    kib
}

/// What `trace` told live, and what a replay of its events tells; deaths of every class are in it.
fn a_replay_of_deaths(job: &Job) -> Result<()> {
    let (live, replay) = (job.text("deaths.json")?, job.text("deaths-replay.json")?);
    same_bytes(&live, &replay)?;
    valid(&live)?;
    let told = incidents_of(&live)?;
    for case in &CASES {
        let found = told.iter().any(|incident| incident.cause.class.name() == case.class);
        ensure!(found, "no {} was told live", case.class);
    }
    Ok(())
}

fn every_line_is_valid(job: &Job) -> Result<()> {
    let mut whys = String::new();
    for case in &CASES {
        whys += &job.text(&format!("why-{}.json", case.name))?;
    }
    valid(&whys).context("why")?;
    for name in ["list.json", "stats.json", "export.json", "kills.json"] {
        valid(&job.text(name)?).context(name)?;
    }
    Ok(())
}

fn list_by_exit(job: &Job) -> Result<()> {
    let found = incidents_of(&job.text("list-135.json")?)?;
    let all = incidents_of(&job.text("list.json")?)?;
    let dead = CASES.iter().filter(|case| case.status == 135).map(|case| case.deaths).sum::<u64>();
    let bus = |incidents: &[Incident]| {
        incidents.iter().filter(|incident| incident.status() == Some(135)).count() as u64
    };
    ensure!(found.len() as u64 == dead && bus(&found) == dead, "{} found", found.len());
    ensure!(bus(&all) == dead, "{} in all", bus(&all));
    Ok(())
}

fn a_second_recorder(job: &Job) -> Result<()> {
    let (said, status) = (job.text("second.out")?, job.word("second.status")?);
    let first = job.word("first.pid")?;
    let named = said.contains(&format!("another recorder writes to /mnt/ext4/state, pid {first}"));
    ensure!(named && status == "66", "status {status}: {said}");
    Ok(())
}

fn the_recorder_ended_well(job: &Job) -> Result<()> {
    let status = job.word("recorder.status")?;
    ensure!(status == "0", "it ended with {status}: {}", job.text("recorder.err")?);
    Ok(())
}

fn a_health_check_is_told(job: &Job) -> Result<()> {
    let status = |when: &str| -> Result<(Status, String)> {
        let found = records(&job.text(&format!("status-{when}.json"))?)?;
        let Some(Record::Status(found)) = found.into_iter().next() else { bail!("no status") };
        Ok((*found, job.word(&format!("status-{when}.status"))?))
    };
    let (running, ended) = status("running")?;
    let recorder = running.recorder.context("it runs")?;
    let verdict = recorder.verdict.as_ref().map(|verdict| verdict.name().to_owned());
    let expected = match verdict.as_deref() {
        Some("ready") => "0",
        Some("degraded") => "75",
        _ => bail!("{verdict:?}"),
    };
    ensure!(ended == expected, "{verdict:?} and status {ended}");
    ensure!(running.time.0.abs_diff(recorder.seen.0) < 10_000_000_000, "{recorder:?}");
    let (killed, ended) = status("killed")?;
    ensure!(killed.recorder.is_none() && ended == "1", "status {ended}");
    let said = job.text("status.txt")?;
    ensure!(said.contains("NOT RECORDING: no recorder is running; the last one"), "{said}");
    Ok(())
}

fn a_command_is_run(job: &Job) -> Result<()> {
    let ids = |name: &str| -> Result<BTreeSet<String>> {
        let all = incidents_of(&job.text(name)?)?;
        Ok(all.into_iter().map(|incident| incident.id.to_string()).collect())
    };
    let (told, recorded) = (ids("exec.json")?, ids("exec.list")?);
    ensure!(!told.is_empty() && told.is_subset(&recorded), "{told:?} of {recorded:?}");
    Ok(())
}

/// The process that starts those that parse files (decision 28): nobody's user, no capability, no_new_privs, a filter of
/// system calls, and little memory.
fn who_parses_may_nothing(job: &Job) -> Result<()> {
    let found = job.text("parser")?;
    let line = found.lines().find(|line| line.trim().starts_with("whybus-parser "));
    let words: Vec<&str> = line.context("no such process")?.split_whitespace().collect();
    let [_, uid, resident, permitted, effective, no_new, filter] = words[..] else {
        bail!("{found}")
    };
    ensure!((uid, no_new, filter) == ("2147418112", "1", "2"), "{found}");
    ensure!(u64::from_str_radix(permitted, 16)? == 0, "{found}");
    ensure!(u64::from_str_radix(effective, 16)? == 0, "{found}");
    ensure!(resident.parse::<u64>()? <= 4 << 10, "{found}");
    Ok(())
}

/// Each thread of the recorder has the capabilities that decision 26 lists, where it could have all, no_new_privs, and a
/// filter of system calls, which the command of `--exec` has, too.
fn nobody_may_more(job: &Job) -> Result<()> {
    let found = job.text("confined")?;
    let names: BTreeSet<&str> = threads(&found, |_| true)?.into_iter().collect();
    let all = ["whybus", "whybus-ask", "whybus-keep", "whybus-lookout", "whybus-say"];
    ensure!(names == BTreeSet::from(all), "{found}");
    let command = job.text("exec.process")?;
    let value = |name: &str| {
        let line = command.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::trim).with_context(|| format!("no {name} in {command}"))
    };
    // It writes to terminals and spools of others (CAP_DAC_OVERRIDE, 1). It has neither CAP_BPF (39) and CAP_PERFMON (38) nor
    // CAP_SYS_ADMIN (21), which does for both, and does not look into processes: CAP_SYS_PTRACE (19).
    let permitted = u64::from_str_radix(value("CapPrm:")?, 16)?;
    ensure!(permitted & 2 != 0, "{command}");
    ensure!(permitted & (1 << 39 | 1 << 38 | 1 << 21 | 1 << 19) == 0, "{command}");
    ensure!((value("NoNewPrivs:")?, value("Seccomp:")?) == ("1", "2"), "{command}");
    Ok(())
}

fn the_group_may_read(job: &Job) -> Result<()> {
    let (said, status) = (job.text("nobody.out")?, job.word("nobody.status")?);
    ensure!(status == "77" && said.contains("its group may read it"), "{status}: {said}");
    let (said, status) = (job.text("nearest.out")?, job.word("nearest.status")?);
    ensure!(status == "1" && said.contains("nearest: bus-worker"), "{status}: {said}");
    Ok(())
}

fn an_export_elsewhere(job: &Job) -> Result<()> {
    let told = job.text("colleague.json")?;
    let told: Vec<&str> = told.lines().collect();
    ensure!(told.len() == CASES.len(), "{} stories", told.len());
    for (case, told) in CASES.iter().zip(told) {
        let mine = job.text(&format!("why-{}.json", case.name))?;
        let story = |text: &str| -> Result<Value> {
            let mut story: Value = serde_json::from_str(text)?;
            // Of how long ago the end is.
            story.as_object_mut().context("an object")?.remove("watched_after_ns");
            Ok(story)
        };
        ensure!(story(&mine)? == story(told)?, "{}: {mine}\nelsewhere {told}", case.name);
    }
    let set = |name: &str| -> Result<BTreeSet<String>> {
        Ok(job.text(name)?.lines().map(str::to_owned).collect())
    };
    ensure!(set("export.json")? == set("export-again.json")?, "an export of an import differs");
    Ok(())
}

fn the_journal_has_every_incident(job: &Job) -> Result<()> {
    let lines = job.text("journal.json")?;
    let records: Vec<Value> =
        lines.lines().map(serde_json::from_str).collect::<serde_json::Result<_>>()?;
    let incidents = incidents_of(&job.text("list.json")?)?;
    ensure!(
        records.len() == incidents.len(),
        "{} records of {} incidents: {} {}",
        records.len(),
        incidents.len(),
        job.text("journalctl.err")?,
        job.text("journald.err")?
    );
    for incident in &incidents {
        let record = records.iter().find(|record| record["WHYBUS_ID"] == *incident.id);
        let record = record.with_context(|| format!("no record of {}", incident.id))?;
        let Incident { victim, file, fault, cause, signal, .. } = incident;
        let number = |value: Option<u64>| value.map(|number| number.to_string());
        let culprit = cause.culprit.as_ref();
        let path = file.as_ref().and_then(|file| file.path.as_ref());
        for (field, value) in [
            ("WHYBUS_CLASS", Some(cause.class.name().to_owned())),
            ("WHYBUS_PID", number(Some(victim.pid.into()))),
            ("WHYBUS_COMM", Some(plain(&victim.comm))),
            ("WHYBUS_PATH", path.map(plain)),
            ("WHYBUS_FILE_OFFSET", number(fault.as_ref().and_then(|fault| fault.file_offset))),
            ("WHYBUS_CULPRIT_PID", number(culprit.map(|culprit| culprit.pid.into()))),
            ("WHYBUS_SIGNAL_NAME", signal.as_ref().map(|signal| signal.name.to_string())),
        ] {
            let same = record[field].as_str() == value.as_deref();
            ensure!(same, "{field} is {}, not {value:?}", record[field]);
        }
        let whole = record["PRIORITY"] == "3" && record["_COMM"] == "whybus";
        ensure!(whole && record["SYSLOG_IDENTIFIER"] == "whybus", "{record}");
    }
    let shown = job.text("journal.txt")?;
    ensure!(shown.contains("bus-worker") && shown.contains("by open(O_TRUNC)"), "{shown}");
    Ok(())
}

/// Each line: which kill (or all), incidents seen before and after, and how many of the former are
/// missing.
fn kept(lines: &str) -> Result<()> {
    let mut last = 0;
    for line in lines.lines() {
        let mut numbers = line.split_whitespace().rev().map(str::parse::<u64>);
        let (missing, after) =
            (numbers.next().context("no count")??, numbers.next().context("no count")??);
        ensure!(missing == 0, "{missing} committed incidents are missing: {line}");
        ensure!(after >= last, "fewer than before: {line}");
        last = after;
    }
    ensure!(last > 0, "nothing was ever recorded: {lines}");
    Ok(())
}

fn nothing_is_lost_by_kill_9(job: &Job) -> Result<()> {
    kept(&job.text("kills")?)?;
    let (mut runs, mut killed) = (Vec::new(), 0);
    for record in records(&job.text("kills.json")?)? {
        match record {
            Record::Run(run) => runs.push(run),
            Record::Gap(Gap { reason: GapReason::Killed, .. }) => killed += 1,
            _ => {}
        }
    }
    ensure!(runs.len() > 1 && killed == runs.len() - 1, "{killed} gaps in {} runs", runs.len());
    let ended = runs.iter().filter(|run| run.until.is_some()).count();
    ensure!(ended == 1, "{ended} runs ended as they were told to");
    let files = job.text("kills.ls")?;
    ensure!(files.contains("history.db") && !files.contains("damaged"), "{files}");
    Ok(())
}

fn a_full_disk(job: &Job) -> Result<()> {
    kept(&job.text("full")?)?;
    let said = job.text("full.err")?;
    ensure!(said.contains("watching goes on") && said.contains("written to again"), "{said}");
    ensure!(job.text("full.list")?.lines().count() > 1, "the history cannot be listed");
    Ok(())
}

fn bad_state_directories(job: &Job) -> Result<()> {
    let said = job.text("bad")?;
    for (name, sentence, status) in [
        ("group-writable", "is writable by others (mode 0770)", 66),
        ("not-ours", "belongs to user 65534, not to us", 66),
        ("no-directory", "is not a directory", 66),
        ("no-group", "there is no group `nobodys`", 2),
        ("newer", "is of version 99, and this whybus knows up to 11", 66),
    ] {
        let part = said.split("== ").find(|part| part.starts_with(name)).unwrap_or_default();
        let lines: Vec<&str> = part.lines().collect();
        ensure!(
            lines.len() == 3
                && lines[1].contains(sentence)
                && lines[2] == format!("status {status}"),
            "{name}: {part}"
        );
    }
    Ok(())
}

fn a_damaged_history(job: &Job) -> Result<()> {
    let said = job.text("damaged.err")?;
    ensure!(said.contains("was damaged; it is set aside as"), "{said}");
    let files = job.text("damaged.ls")?;
    let both = files.lines().any(|name| name == "history.db")
        && files.lines().any(|name| name == "history.damaged-1");
    ensure!(both, "{files}");
    Ok(())
}

fn on_a_read_only_disk(job: &Job) -> Result<()> {
    let said = job.text("readonly.err")?;
    ensure!(said.contains("watching goes on") && said.contains("Read-only file system"), "{said}");
    ensure!(said.contains("terminated after"), "{said}");
    Ok(())
}

/// Another limit, another cgroup, another use, or none.
pub fn a_wrong_limit_fails() -> Result<()> {
    let cgroup = |path: &[u8]| whybus::contract::Untrusted(path.to_vec());
    let small = Memory { cgroup: cgroup(b"/small"), limit: 24 << 20, used: Some(24 << 20) };
    limit(Some(&small))?;
    let wrong = [
        Memory { limit: 25 << 20, ..small.clone() },
        Memory { cgroup: cgroup(b"/"), ..small.clone() },
        Memory { used: Some(1 << 20), ..small.clone() },
        Memory { used: None, ..small },
    ];
    ensure!(wrong.iter().all(|wrong| limit(Some(wrong)).is_err()) && limit(None).is_err());
    Ok(())
}
