//! Every scenario on a kernel, and how whybus behaves on it.
use std::{fs, sync::Arc};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use whybus::{
    contract::{Blind, Finding, Incident, Mapper, Record, Truncation, Watching},
    model::observe::Readiness,
};

use crate::{
    Check, Job, checks,
    record::{self, end, incidents, incidents_of, plain, records},
    scenario,
};

pub const CHECKS: [(&str, Check); 25] = [
    ("every_line_is_valid", every_line_is_valid),
    ("sigterm_ends_with_the_counts", sigterm_ends_with_the_counts),
    ("nothing_is_lost", nothing_is_lost),
    ("a_replay_tells_the_same", a_replay_tells_the_same),
    (
        "a_replay_shows_a_clock_step_and_a_module_the_same",
        a_replay_shows_a_clock_step_and_a_module_the_same,
    ),
    ("who_hangs_delays_nobody_else", who_hangs_delays_nobody_else),
    ("what_people_read_is_inert", what_people_read_is_inert),
    ("no_secret_of_a_command_line_is_kept", no_secret_is_kept),
    ("losses_are_told_and_mark_what_they_touch", losses_are_told),
    ("the_probes_say_what_they_decide", the_probes_say_what_they_decide),
    ("the_status_of_a_command_is_passed_on", the_status_of_a_command),
    ("who_was_adopted_is_of_the_command", who_was_adopted),
    ("a_closed_pipe_is_success", a_closed_pipe_is_success),
    ("a_stalled_reader_stops_nothing", a_stalled_reader_stops_nothing),
    ("no_privilege_is_77", no_privilege_is_77),
    ("no_btf_is_69", no_btf_is_69),
    ("who_may_not_attach_is_told_the_plan", who_may_not_attach_is_told_the_plan),
    ("a_missing_hook_is_named", a_missing_hook_is_named),
    ("a_degraded_host_reads_as_one", a_degraded_host_reads_as_one),
    ("kprobes_that_are_switched_off_are_missed", kprobes_switched_off),
    ("a_fault_that_loops_is_counted", a_fault_that_loops_is_counted),
    ("victims_that_preempt_one_another_are_not_mixed_up", victims_that_preempt_one_another),
    ("who_maps_a_shrunk_file_is_warned_of", who_maps_a_shrunk_file),
    ("a_scan_finds_what_is_planted", a_scan_finds_what_is_planted),
    ("doctor_finds_everything", doctor_finds_everything),
];

pub fn trials(job: &Arc<Job>) -> Vec<Trial> {
    let mut trials = scenario::trials(job, "", "scenarios");
    trials.extend(checks(job, "matrix", &CHECKS));
    trials
}

fn every_line_is_valid(job: &Job) -> Result<()> {
    let all = ["out.json", "replay.json", "loss.json", "command.json", "scan.json", "warn.json"];
    all.iter()
        .try_for_each(|name| record::valid(&job.text(name)?).with_context(|| (*name).to_owned()))?;
    // Of what is unknown nothing is likely, and of what is known something is.
    for Incident { cause, .. } in incidents_of(&job.text("out.json")?)? {
        let unknown = [cause.class.name(), cause.confidence.name()].map(|word| word == "unknown");
        ensure!(unknown[0] == unknown[1], "{cause:?}");
    }
    Ok(())
}

fn sigterm_ends_with_the_counts(job: &Job) -> Result<()> {
    let status = job.word("trace.status")?;
    ensure!(status == "0", "status {status}");
    let lines = records(&job.text("out.json")?)?;
    let last = end(&lines)?;
    ensure!(last.reason == "terminated", "{last:?}");
    let counts = (last.incidents, last.explained);
    let told = incidents(lines);
    let explained = told.iter().filter(|told| told.cause.class.name() != "unknown").count() as u64;
    let expected = (told.len() as u64, explained);
    ensure!(counts == expected, "told were (all, explained) {expected:?}, the end has {counts:?}");
    Ok(())
}

fn nothing_is_lost(job: &Job) -> Result<()> {
    let lines = records(&job.text("out.json")?)?;
    let lost: Vec<&Record> =
        lines.iter().filter(|record| matches!(record, Record::Loss(_))).collect();
    ensure!(lost.is_empty() && end(&lines)?.lost == 0, "{lost:?}");
    Ok(())
}

fn a_replay_tells_the_same(job: &Job) -> Result<()> {
    record::same_bytes(&job.text("out.json")?, &job.text("replay.json")?)
}

/// Incidents, updates, warnings, losses, twice what is watched, and the end: as people saw them live.
fn a_replay_shows_a_clock_step_and_a_module_the_same(job: &Job) -> Result<()> {
    let live = job.text("step.txt")?;
    for part in ["watching ", "warning", "killed", "lost ", "terminated after"] {
        ensure!(live.contains(part), "nothing live says {part:?}: {live}");
    }
    let watching: Vec<&str> = live.lines().filter(|line| line.contains("watching ")).collect();
    ensure!(watching.len() > 1, "no module came: {watching:?}");
    let hour = |line: &str| line.get(..3)?.strip_suffix(':')?.parse::<u32>().ok();
    let hours: Vec<u32> = live.lines().filter_map(hour).collect();
    // The clock was set two hours on; an hour may have ended of itself meanwhile.
    let passed = hours.first().zip(hours.last()).map(|(first, last)| (24 + last - first) % 24);
    ensure!(matches!(passed, Some(2 | 3)), "{hours:?}");
    // Of a recording the day is named, in each line that says since when.
    let replay = job.text("step-replay.txt")?;
    let mut days = 0;
    let without_day = |line: &str| {
        let day = line.split_once("since ").and_then(|(before, since)| {
            let (day, rest) = since.split_once(' ')?;
            (day.len() == 10 && day.matches('-').count() == 2)
                .then(|| format!("{before}since {rest}"))
        });
        days += usize::from(day.is_some());
        day.unwrap_or_else(|| line.to_owned()) + "\n"
    };
    let told: String = replay.lines().map(without_day).collect();
    ensure!(days == watching.len(), "{days} days instead of {}: {replay}", watching.len());
    record::same_bytes(&live, &told)
}

/// Victims whose /proc hangs delay no other's incident, and take nothing of what is told of other users' victims. Six held
/// up everybody by 100 ms each, once, and of eight on nobody was asked any more.
fn who_hangs_delays_nobody_else(job: &Job) -> Result<()> {
    let mut delays = [Vec::new(), Vec::new(), Vec::new()];
    let (mut not_asked, mut unknown) = (0, Vec::new());
    for line in job.text("hang.lines")?.lines() {
        let (uptime, line) = line.split_once(' ').context("a line without a time")?;
        let [Record::Incident(incident)] = &records(line)?[..] else { continue };
        let victim = &incident.victim;
        let name = incident.file.as_ref().and_then(|file| file.path.as_ref()).map(plain);
        let named = |part: &str| name.as_ref().is_some_and(|name| name.contains(part));
        let group = match victim.uid {
            1_000 => 2,
            // The twelve that answer: no more than the load that those that hang are, too.
            1_001 => continue,
            _ => ["/answering.", "/hanging."]
                .iter()
                .position(|part| named(part))
                .with_context(|| format!("{name:?}"))?,
        };
        // Twelve at once: of one of them a program may not have been run, which is told, and names no file.
        if group == 2 {
            let why = victim.cmdline_why.as_deref().unwrap_or_default();
            not_asked += usize::from(why.contains("other processes of uid 1000 do not answer"));
        }
        let last = victim.cmdline.as_ref().and_then(|args| args.last()).map(plain);
        let mount = incident.file.as_ref().and_then(|file| file.mount.as_ref());
        if group != 2 && (last.as_deref() != Some("200") || mount.is_none()) {
            unknown.push(format!("{name:?}: {last:?}, {mount:?}"));
        }
        let at = (uptime.parse::<f64>()? * 1e3) as i64;
        delays[group].push(at - (incident.boot_ns / 1_000_000) as i64);
    }
    // None are where the kernel reads no arguments on FUSE (FOLL_ANON, since Linux 4.17): enrich/deadline/tests.rs has threads hang.
    delays.iter_mut().for_each(|delays| delays.sort_unstable());
    let [answering, hanging, they] = delays;
    println!(
        "ms from fault to line: beside twelve that answer {answering:?}, beside twelve that hang {hanging:?}, \
         of those {they:?}; {not_asked} not asked"
    );
    let counts = (answering.len(), hanging.len(), they.len());
    ensure!(counts == (5, 5, 12), "{counts:?}");
    // The middle of five: one line may be late because the guest was not run, and all are where somebody is waited for.
    let (answering, hanging) = (answering[2], hanging[2]);
    // A host that is so starved looks nothing up in time, whoever hangs.
    if answering > 1_000 {
        let why = format!("a line took {answering} ms where nobody hung");
        return Err(crate::Skipped(why).into());
    }
    ensure!(unknown.is_empty(), "not looked up beside who hangs: {unknown:?}");
    ensure!(hanging < answering + 200, "{hanging} ms, and {answering} where nobody hung");
    Ok(())
}

fn what_people_read_is_inert(job: &Job) -> Result<()> {
    let text = job.text("replay.human")?;
    ensure!(
        text.contains("\\x1b[2J\\nb\\xff\\u{202e}x\"'"),
        "the hostile name is missing or not escaped"
    );
    let bad = text.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
    ensure!(bad.is_none(), "a control character got through: {bad:?}");
    Ok(())
}

/// What the scenario `secrets` types: in no stream, line or message, however it is encoded there.
fn no_secret_is_kept(job: &Job) -> Result<()> {
    let told = job.text("replay.human")?;
    ensure!(told.contains("--db-password '***'"), "the command line with the secret is missing");
    let planted = ["whybus-s3cr3t", "d2h5YnVzLXMzY3IzdA"].map(str::as_bytes);
    for entry in fs::read_dir(&job.dir)? {
        let path = entry?.path();
        let bytes = fs::read(&path)?;
        let found = planted
            .iter()
            .any(|secret| bytes.windows(secret.len()).any(|window| window == *secret));
        ensure!(!found, "{} has the secret", path.display());
    }
    Ok(())
}

fn losses_are_told(job: &Job) -> Result<()> {
    let lines = records(&job.text("loss.json")?)?;
    let losses = lines.iter().filter_map(|record| match record {
        Record::Loss(loss) => Some(loss.lost),
        _ => None,
    });
    let (lost, counted) = (losses.sum::<u64>(), end(&lines)?.lost);
    ensure!(lost > 0 && lost == counted, "{lost} told as lost, {counted} counted");
    let incidents = incidents(lines);
    ensure!(!incidents.is_empty(), "no incident at all");
    ensure!(incidents.iter().any(|one| !one.complete), "no incident is marked incomplete");
    for Incident { id, complete, lost, blind, cause, .. } in &incidents {
        let whole = *lost == 0 && blind.is_empty();
        ensure!(*complete == whole, "complete contradicts lost and blind: {id}");
        let shaky = cause.class.name() == "mapped-past-end" && !complete;
        ensure!(!shaky || cause.confidence.name() != "proven", "proven in spite of losses: {id}");
    }
    Ok(())
}

/// Which ran for whom, and what it decided; only where that is asked for.
fn the_probes_say_what_they_decide(job: &Job) -> Result<()> {
    let (told, log) = (job.text("log.txt")?, job.text("log.err")?);
    ensure!(told.contains("truncated under the mapping"), "{told}");
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("  log  ")).collect();
    for part in [
        "  log  notify_change  cp[",
        "sent: inode ",
        "  log  filemap_fault  reader[",
        "sent: failure 1 of the process on inode ",
        "  log  signal_generate  reader[",
        "  log  do_exit  reader[",
    ] {
        ensure!(lines.iter().any(|line| line.contains(part)), "nobody says `{part}`: {log}");
    }
    ensure!(!job.text("err")?.contains("  log  "), "said to who did not ask");
    Ok(())
}

fn the_status_of_a_command(job: &Job) -> Result<()> {
    let status = job.word("command.status")?;
    ensure!(status == "42", "status {status}");
    let out = job.text("command.json")?;
    ensure!(incidents_of(&out)?.len() == 1, "not one incident: {out}");
    Ok(())
}

fn who_was_adopted(job: &Job) -> Result<()> {
    let out = job.text("adopted.json")?;
    let victims = incidents_of(&out)?.len();
    ensure!(victims == 1, "{victims} instead of the one whose parent had ended: {out}");
    let stats = job.text("adopted.stat")?;
    let zombie = stats.lines().find(|line| line.contains("(sleep) Z "));
    ensure!(zombie.is_none() && !stats.is_empty(), "nobody waited for {zombie:?}");
    Ok(())
}

fn a_closed_pipe_is_success(job: &Job) -> Result<()> {
    let errors = job.text("pipe.err")?;
    ensure!(!errors.contains("whybus:") && !errors.contains("panicked"), "{errors}");
    // The shell that ran it went on.
    job.word("unprivileged.status").map(drop)
}

/// What nobody read is left out, and what was seen is saved all the same; SIGTERM is heard.
fn a_stalled_reader_stops_nothing(job: &Job) -> Result<()> {
    let (status, errors) = (job.word("stalled.status")?, job.text("stalled.err")?);
    ensure!(status == "0", "status {status}: {errors}");
    ensure!(errors.contains("the last messages were dropped"), "{errors}");
    let times = job.word("stalled.times")?;
    let times = times.split(' ').map(str::parse).collect::<Result<Vec<f64>, _>>()?;
    let [began, ended] = times[..] else { bail!("{times:?}") };
    ensure!(ended - began < 10.0, "it took {:.1} s", ended - began);
    let lines = records(&job.text("stalled.json")?)?;
    ensure!(end(&lines)?.reason == "terminated", "{:?}", end(&lines)?);
    let told = incidents(lines).len();
    ensure!(told >= 100, "{told} incidents");
    Ok(())
}

fn no_privilege_is_77(job: &Job) -> Result<()> {
    let (status, text) = (job.word("unprivileged.status")?, job.text("unprivileged")?);
    ensure!(status == "77", "status {status}: {text}");
    ensure!(text.contains("CAP_BPF") && text.contains("CAP_PERFMON"), "{text}");
    Ok(())
}

fn no_btf_is_69(job: &Job) -> Result<()> {
    let (status, text) = (job.word("nobtf.status")?, job.text("nobtf")?);
    ensure!(status == "69", "status {status}: {text}");
    ensure!(text.contains("CONFIG_DEBUG_INFO_BTF") && text.lines().count() == 1, "{text}");
    Ok(())
}

fn who_may_not_attach_is_told_the_plan(job: &Job) -> Result<()> {
    let (status, text) = (job.word("untried.status")?, job.text("untried")?);
    ensure!(status == "77", "status {status}: {text}");
    ensure!(text.starts_with("NOT TRIED: ") && text.contains("\nkernel "), "{text}");
    // What lockdown and types say of helpers is what the verifier says to who may ask it.
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    ensure!(words.contains("paths: full, across mounts") && text.lines().count() < 24, "{text}");
    Ok(())
}

/// What is watched where kernel.ftrace_enabled is 0.
fn partly(job: &Job) -> Result<Watching> {
    let lines = records(&job.text("partly.json")?)?;
    match lines.into_iter().next() {
        Some(Record::Watching(watching)) => Ok(watching),
        first => bail!("the first line is {first:?}"),
    }
}

/// In the first line, in the exit status and on one screen.
fn a_degraded_host_reads_as_one(job: &Job) -> Result<()> {
    let watching = partly(job)?;
    let verdict = watching.verdict.as_ref().map(|verdict| verdict.known());
    let (word, statuses) = match verdict {
        Some(Readiness::NotReady) => ("NOT READY: ", ["75", "69", "69"]),
        Some(Readiness::Degraded) => ("DEGRADED: ", ["0", "69", "75"]),
        Some(Readiness::Ready) => ("READY: ", ["0", "0", "0"]),
        None => bail!("no verdict: {watching:?}"),
    };
    let told = ["partly.status", "partly.required.status", "partly.doctor.status"];
    for (name, expected) in told.into_iter().zip(statuses) {
        let status = job.word(name)?;
        ensure!(status == expected, "{name} is {status}, {word}: {}", job.text("partly")?);
    }
    let doctor = job.text("partly.doctor")?;
    ensure!(doctor.starts_with(word), "{doctor}");
    let required = job.text("partly.required")?;
    ensure!(required.contains(word), "{required}");
    let lines = records(&job.text("partly.json")?)?;
    let not_told = end(&lines)?.not_told.is_some();
    ensure!(not_told != watching.blind.is_empty(), "the end says nothing of it: {lines:?}");
    if verdict != Some(Readiness::Ready) {
        let fix = "sysctl kernel.ftrace_enabled=1";
        ensure!(doctor.contains(fix) && required.contains(fix), "{doctor}\n{required}");
        // 18 hooks are missing for one reason.
        ensure!(doctor.matches("\nmissing ").count() <= 3, "{doctor}");
    }
    Ok(())
}

fn a_missing_hook_is_named(job: &Job) -> Result<()> {
    let watching = partly(job)?;
    if job.word("ftrace")? == "1" {
        // Newer kernels do not let trampolines be switched off.
        ensure!(watching.blind.is_empty(), "everything attaches, and yet {watching:?}");
        return Ok(());
    }
    let blind = |hook: &str| watching.blind.iter().find(|blind| blind.hook == hook);
    for hook in ["fexit filemap_fault", "fentry notify_change"] {
        let named = blind(hook).is_some_and(|blind| !blind.causes.is_empty());
        ensure!(named, "{hook} is not named: {watching:?}");
    }
    ensure!(!watching.hooks.is_empty(), "{watching:?}");
    Ok(())
}

/// Switched off, and on again, while whybus watches by kprobes.
fn kprobes_switched_off(job: &Job) -> Result<()> {
    let lines = records(&job.text("switched.json")?)?;
    let watching = lines.iter().filter_map(|record| match record {
        Record::Watching(watching) => Some(watching),
        _ => None,
    });
    let [first, off, on] = watching.collect::<Vec<_>>()[..] else { bail!("{lines:?}") };
    let hook = "kretprobe filemap_fault";
    let has = |watching: &Watching| watching.hooks.iter().any(|attached| attached == hook);
    ensure!(has(first) && !has(off) && has(on), "{first:?}\n{off:?}\n{on:?}");
    let blind = off.blind.iter().find(|blind| blind.hook == hook).context("it is not told")?;
    ensure!(blind.reason.starts_with("kprobes are switched off"), "{blind:?}");
    ensure!(off.verdict != first.verdict && on.verdict == first.verdict, "{off:?}");
    Ok(())
}

/// Three files cut short under their readers, and a program replaced under its process.
fn a_scan_finds_what_is_planted(job: &Job) -> Result<()> {
    let all = records(&job.text("scan.json")?)?;
    let Some(Record::Scan(scan)) = all.last() else { bail!("the last line is {:?}", all.last()) };
    ensure!(scan.processes > 2_000 && scan.denied == 0, "{scan:?}");
    let findings = all.iter().filter_map(|record| match record {
        Record::Finding(finding) => Some(finding),
        _ => None,
    });
    let mut told: Vec<(String, String, u64)> = findings
        .map(|finding| {
            let Finding { what, file, mapping, .. } = &**finding;
            (what.to_string(), plain(&file.path), mapping.past_end.unwrap_or(0))
        })
        .collect();
    told.sort();
    told.dedup();
    let expected: Vec<(String, String, u64)> = [
        ("past-end", "short1", 196_608),
        ("past-end", "short2", 131_072),
        ("past-end", "short3", 65_536),
        ("replaced", "code", 0),
    ]
    .map(|(what, name, past)| (what.to_owned(), format!("/mnt/tmpfs/scan/{name}"), past))
    .into();
    ensure!(told == expected, "found {told:?}");
    Ok(())
}

/// Exact count, few records, and the neighbour's incident is there.
fn a_fault_that_loops_is_counted(job: &Job) -> Result<()> {
    let count: u64 = job.word("storm.count")?.parse()?;
    ensure!(count > 1_000, "only {count} faults");
    let lines = records(&job.text("storm.json")?)?;
    let (lost, events) = (end(&lines)?.lost, end(&lines)?.events);
    // 10 faults, then two a second for 10 s, each with its signal and its delivery; the neighbour.
    ensure!(lost == 0 && events < 120, "{events} events, {lost} lost");
    // Where tasks are preempted in the kernel a program may not be run for one of them, which is told.
    let missed = lines.iter().map(|line| match line {
        Record::Missed(missed) if missed.hook.ends_with(" filemap_fault") => missed.calls,
        _ => 0,
    });
    let missed: u64 = missed.sum();
    let incidents = incidents(lines);
    let of = |comm: &str| {
        let found = incidents.iter().find(|incident| plain(&incident.victim.comm) == comm);
        found.with_context(|| format!("no incident of {comm}"))
    };
    let looper = of("looper")?;
    let counted = looper.fault.as_ref().context("no fault")?.count;
    ensure!(
        counted <= count && count <= counted + missed,
        "{counted} and {missed} missed instead of {count}"
    );
    let code = looper.exit.as_ref().and_then(|exit| exit.code);
    ensure!(looper.outcome.name() == "exited" && code == Some(3), "{looper:?}");
    let neighbour = of("reader")?;
    ensure!(neighbour.cause.class.name() == "truncated", "{neighbour:?}");
    ensure!(incidents.len() == 2, "{} incidents", incidents.len());
    Ok(())
}

/// Each victim read past the end of a file that is named by it.
fn victims_that_preempt_one_another(job: &Job) -> Result<()> {
    let lines = records(&job.text("preempt.json")?)?;
    let lost = end(&lines)?.lost;
    let incidents = incidents(lines);
    ensure!(incidents.len() == 600, "{} incidents", incidents.len());
    let mut unnamed = 0;
    for incident in &incidents {
        let path = incident.file.as_ref().and_then(|file| file.path.as_ref()).map(plain);
        let Some(path) = path else {
            unnamed += 1;
            continue;
        };
        let own = format!("/mnt/tmpfs/preempt/{}", incident.victim.pid);
        ensure!(path == own, "{path} instead of {own}");
    }
    // A program is not run for one who preempts it, and of two hooks that may name the file one is usually free.
    // A number may be taken just before its program is preempted, and its event then comes after its successor's.
    ensure!(unnamed <= 6 && lost <= 6, "{unnamed} without a file, {lost} events lost");
    Ok(())
}

/// Hooks that a kernel of ours does not have.
pub fn known_to_be_missing(kernel: &str) -> Vec<&'static str> {
    let mut known = Vec::new();
    // On 5.10 there is no errno of reads, and no tracepoint of NFS sizes or of what btrfs refuses.
    if kernel.starts_with("5.10.") {
        known.extend(["fexit filemap_read_folio", "raw_tp nfs_size_update", "raw_tp nfs_size_wcc"]);
        known.push("raw_tp btrfs_reserve_ticket");
    }
    known
}

/// # Errors
/// Where a hook is missing that is not known to.
pub fn nothing_else_is_missing(blind: &[Blind], known: &[&str]) -> Result<()> {
    let missing = blind.iter().map(|blind| &*blind.hook);
    let foreign: Vec<&str> = missing.filter(|hook| !known.contains(hook)).collect();
    ensure!(foreign.is_empty(), "missing: {foreign:?}");
    Ok(())
}

fn doctor_finds_everything(job: &Job) -> Result<()> {
    let lines = records(&job.text("doctor.json")?)?;
    let [Record::Doctor(doctor)] = lines.as_slice() else { bail!("doctor said {lines:?}") };
    let known = known_to_be_missing(&doctor.kernel);
    nothing_else_is_missing(&doctor.blind, &known)?;
    ensure!(doctor.explained == doctor.total, "{doctor:?}");
    // What is known to be missing is said, as its module is there.
    let said = |hook: &&str| doctor.blind.iter().any(|blind| blind.hook == **hook);
    ensure!(known.iter().all(said), "{known:?} are missing, {doctor:?}");
    // A form that tells less would be taken without a word where the kernel refuses the others: see Row::programs of probe/table.rs.
    let ends =
        if job.kernel == "newest" { "kprobe taskstats_exit" } else { "fentry taskstats_exit" };
    let hook = doctor.observed.iter().find(|one| &*one.what == "exit").map(|one| &*one.hook);
    ensure!(hook == Some(ends), "{hook:?} instead of {ends}");
    Ok(())
}

/// Ten processes are named before the first of them faults, and none after a rename over their
/// file; the fault that follows belongs to the warning.
fn who_maps_a_shrunk_file(job: &Job) -> Result<()> {
    let mut told = Vec::new();
    for record in records(&job.text("warn.json")?)? {
        match record {
            Record::Truncation(warning) => told.push(Told::Warning(warning)),
            Record::Incident(incident) => told.push(Told::Incident(incident)),
            _ => {}
        }
    }
    let [Told::Warning(warning), Told::Incident(incident)] = told.as_slice() else {
        bail!("not one warning and after it one incident: {told:?}");
    };
    let path = warning.file.path.as_ref().map(plain);
    ensure!(path.as_deref() == Some("/mnt/ext4/warn/shrunk"), "{warning:?}");
    let mapped = job.text("warn.shrunk")?;
    let mut expected: Vec<u32> = mapped.lines().filter_map(|pid| pid.parse().ok()).collect();
    expected.sort_unstable();
    ensure!(expected.len() == 10, "the guest started {expected:?}");
    ensure!(pids(&warning.at_risk) == expected, "at risk {:?}", warning.at_risk);
    let culprit = warning.culprit.as_ref().map(|culprit| plain(&culprit.comm));
    ensure!(culprit.as_deref() == Some("truncate"), "{warning:?}");
    ensure!(incident.cause.truncation.as_ref() == Some(&warning.id), "{incident:?}");
    let others = pids(incident.cause.at_risk.as_deref().unwrap_or_default());
    ensure!(others.len() == 9, "beside the victim {others:?}");
    Ok(())
}

#[derive(Debug)]
enum Told {
    Warning(Box<Truncation>),
    Incident(Box<Incident>),
}

fn pids(mappers: &[Mapper]) -> Vec<u32> {
    let mut pids: Vec<u32> = mappers.iter().map(|mapper| mapper.pid).collect();
    pids.sort_unstable();
    pids
}
