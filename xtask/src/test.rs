//! `cargo xtask test`: everything, on this host and in a guest of every kernel.
use std::{
    fs,
    process::Command,
    sync::mpsc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::{
    ebpf,
    guest::Tree,
    history,
    kernels::{self, Kernel, SERIES},
    memory, root, say,
    scenario::{self, Run, Scenario},
    setup,
    vm::{Boot, Results},
};

/// # Errors
/// Where a test failed, or could not be run though it should.
pub fn run(wanted: &[String], host_only: bool, record: bool) -> Result<()> {
    let started = Instant::now();
    let mut skipped = Vec::new();
    match setup::packages(setup::COMPILER, "compiling the probes") {
        Ok(()) => {
            say("building the probes from source");
            ebpf::compare(&ebpf::build()?)?;
        }
        Err(error) => skipped.push(format!("building the probes: {error:#}")),
    }
    say("tests on this host");
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).args(["test", "--quiet", "--locked"]);
    let host = cargo.status()?.success();
    let (mut passed, mut failed) = (u32::from(host), u32::from(!host));
    let mut table = Vec::new();
    match memory::check() {
        Ok(figures) => {
            passed += 1;
            say(figures);
        }
        Err(error) => {
            failed += 1;
            println!("FAILED memory: {error:#}");
        }
    }
    if !host_only {
        match setup::packages(setup::GUESTS, "making and booting guests") {
            Ok(()) => {
                let reports = guests(wanted, record)?;
                for report in reports {
                    passed += report.passed;
                    failed += report.failed;
                    table.push(report);
                }
            }
            Err(error) => skipped.push(format!("the guest matrix: {error:#}")),
        }
    }
    println!("\nhost: cargo test {}", if host { "passed" } else { "failed" });
    for Report { kernel, scenarios, passed, failed, seconds, .. } in &table {
        println!(
            "Linux {kernel}: {scenarios} scenario runs and checks, {passed} passed, {failed} failed, {seconds} s"
        );
    }
    for what in &skipped {
        println!("skipped: {what}");
    }
    println!("in {} s", started.elapsed().as_secs());
    let skipped = match skipped.len() {
        0 => String::new(),
        count => format!(", {count} skipped"),
    };
    println!("{passed} passed, {failed} failed{skipped}");
    ensure!(failed == 0, "{failed} failed");
    Ok(())
}

/// Runs some scenarios only, and shows what people would read.
///
/// # Errors
/// Where one failed.
pub fn only(wanted: &[String], names: &[String]) -> Result<()> {
    let scenarios = scenario::read(&root().join("xtask/guest/scenarios"))?;
    let tree = Tree::build()?;
    let mut failed = 0;
    for kernel in kernels::fetch(wanted)? {
        let boot = Boot {
            kernel: &kernel,
            initramfs: tree.pack(&kernel)?,
            job: "matrix",
            append: &format!("whybus.only={}", names.join("|")),
            options: &[],
            cpus: 2,
            disk: Some(kernels::java()?),
            patience: Duration::from_secs(900),
            label: "only",
        };
        let started = Instant::now();
        let runs = boot.run().map(|(results, _)| {
            println!("{}", text(&results, "replay.human"));
            let mut runs = judged(&scenarios, &results, &text(&results, "out.json"));
            runs.retain(|run| !run.faults.iter().any(|fault| fault == scenario::NOT_RUN));
            let faults = parts(&text(&results, "statuses")).err().map(|e| vec![format!("{e:#}")]);
            runs.extend(faults.map(|faults| Run { name: "parts".to_owned(), faults }));
            runs
        });
        failed += report(&boot, runs, started.elapsed()).failed;
    }
    ensure!(failed == 0, "{failed} failed");
    Ok(())
}

/// What each kernel is booted for.
const JOBS: [&str; 3] = ["matrix", "lockdown", "history"];

/// Only what the recorder keeps; `kills` times it is killed at a random moment.
///
/// # Errors
/// Where a check failed.
pub fn recorder(wanted: &[String], kills: u32) -> Result<()> {
    let tree = Tree::build()?;
    let mut failed = 0;
    for kernel in kernels::fetch(wanted)? {
        let boot = Boot {
            kernel: &kernel,
            initramfs: tree.pack(&kernel)?,
            job: "history",
            append: &format!("whybus.kills={kills}"),
            options: &[],
            cpus: 1,
            disk: None,
            patience: Duration::from_secs(600 + 15 * u64::from(kills)),
            label: "only",
        };
        let started = Instant::now();
        let runs = boot.run().map(|(results, _)| {
            println!("{}\nkills: {}", text(&results, "why.txt"), text(&results, "kills"));
            history::judge(&results, kernel.series == "newest")
        });
        failed += report(&boot, runs, started.elapsed()).failed;
    }
    ensure!(failed == 0, "{failed} failed");
    Ok(())
}

/// How one boot went.
struct Report {
    kernel: String,
    scenarios: usize,
    passed: u32,
    failed: u32,
    seconds: u64,
}

/// Boots every kernel for each of [`JOBS`], two at a time.
fn guests(wanted: &[String], record: bool) -> Result<Vec<Report>> {
    let scenarios = scenario::read(&root().join("xtask/guest/scenarios"))?;
    let lockdown = scenario::read(&root().join("xtask/guest/lockdown"))?;
    let tree = Tree::build()?;
    let kernels = kernels::fetch(wanted)?;
    let java = kernels::java()?;
    // Packed before anything boots: packing changes the tree.
    let mut boots = Vec::new();
    for kernel in &kernels {
        let initramfs = tree.pack(kernel)?;
        for job in JOBS {
            boots.push(Boot {
                kernel,
                initramfs: initramfs.clone(),
                job,
                append: if job == "lockdown" { "lockdown=confidentiality" } else { "" },
                options: &[],
                // On one CPU programs preempt one another most.
                cpus: if job == "history" { 1 } else { 2 },
                disk: (job == "matrix").then(|| java.clone()),
                patience: Duration::from_secs(900),
                label: job,
            });
        }
    }
    say(format_args!("{} scenarios on {} kernels", scenarios.len(), kernels.len()));
    let queue = std::sync::Mutex::new(boots.into_iter().enumerate());
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (queue, sender) = (&queue, sender.clone());
            let (scenarios, lockdown) = (&scenarios, &lockdown);
            scope.spawn(move || {
                loop {
                    let next = queue.lock().ok().and_then(|mut queue| queue.next());
                    let Some((i, boot)) = next else { break };
                    let started = Instant::now();
                    let runs = boot.run().map(|(results, _)| {
                        if boot.job == "history" {
                            if record && let Err(error) = keep_deaths(boot.kernel, &results) {
                                say(format_args!("not recorded: {error:#}"));
                            }
                            history::judge(&results, boot.kernel.series == "newest")
                        } else if boot.job == "matrix" {
                            if record && let Err(error) = keep(boot.kernel, &results) {
                                say(format_args!("not recorded: {error:#}"));
                            }
                            matrix(scenarios, &results)
                        } else {
                            locked(lockdown, &results)
                        }
                    });
                    let report = report(&boot, runs, started.elapsed());
                    let _ = sender.send((i, report));
                }
            });
        }
    });
    drop(sender);
    let mut reports: Vec<(usize, Report)> = receiver.into_iter().collect();
    reports.sort_by_key(|(i, _)| *i);
    Ok(reports.into_iter().map(|(_, report)| report).collect())
}

fn report(boot: &Boot<'_>, runs: Result<Vec<Run>>, took: Duration) -> Report {
    let mut name = boot.kernel.release.clone();
    match boot.job {
        "lockdown" => name.push_str(", locked down"),
        "history" => name.push_str(", history"),
        _ => {}
    }
    let runs = runs.unwrap_or_else(|error| {
        vec![Run { name: "the guest".to_owned(), faults: vec![format!("{error:#}")] }]
    });
    let mut failed = 0;
    for run in &runs {
        if !run.faults.is_empty() {
            failed += 1;
            println!("FAILED {} on Linux {name}", run.name);
            for fault in &run.faults {
                println!("    {fault}");
            }
        }
    }
    say(format_args!("Linux {name}: {} of {} passed", runs.len() - failed, runs.len()));
    Report {
        kernel: name,
        scenarios: runs.len(),
        passed: (runs.len() - failed) as u32,
        failed: failed as u32,
        seconds: took.as_secs(),
    }
}

fn matrix(scenarios: &[Scenario], results: &Results) -> Vec<Run> {
    let out = text(results, "out.json");
    let mut runs = judged(scenarios, results, &out);
    let mut check = |name: &str, result: Result<()>| {
        let faults = result.err().map(|error| vec![format!("{error:#}")]).unwrap_or_default();
        runs.push(Run { name: name.to_owned(), faults });
    };
    check(
        "every JSON line is valid",
        ["out.json", "replay.json", "loss.json", "command.json", "scan.json", "warn.json"]
            .iter()
            .try_for_each(|name| valid(&text(results, name)).with_context(|| (*name).to_owned())),
    );
    check("SIGTERM ends with the counts", ended(&out, &text(results, "trace.status")));
    check("every program under test did its part", parts(&text(results, "statuses")));
    check("nothing is lost", nothing_lost(&out));
    check("a replay tells the same", same(&out, &text(results, "replay.json")));
    check("what people read is inert", inert(&text(results, "replay.human")));
    check("losses are told, and mark what they touch", losses(&text(results, "loss.json")));
    check("a command's status is passed on", command(results));
    check("a closed pipe is success", silent(&text(results, "pipe.err")));
    check("no privilege is 77", unprivileged(results));
    check("no BTF is 69", without_btf(results));
    check("a missing hook is named", partly(results));
    check("a fault that loops is counted, not told", storm(results));
    check("who maps a file that is shrunk is warned of", warned(results));
    check("a scan finds what is planted, and nothing else", scanned(results));
    check(
        "doctor finds everything",
        doctor(&text(results, "doctor.json"), &text(results, "facts"), true),
    );
    runs
}

fn judged(scenarios: &[Scenario], results: &Results, out: &str) -> Vec<Run> {
    let (ran, skipped) = (text(results, "ran"), text(results, "skipped"));
    scenario::judge(scenarios, &ran, &skipped, &text(results, "facts"), &scenario::incidents(out))
}

fn locked(scenarios: &[Scenario], results: &Results) -> Vec<Run> {
    let out = text(results, "out.json");
    let mut runs = judged(scenarios, results, &out);
    let watching = out.lines().next().unwrap_or_default();
    let facts = text(results, "facts");
    let faults = doctor(watching, &facts, false).err().map(|error| vec![format!("{error:#}")]);
    runs.push(Run { name: "everything attaches".to_owned(), faults: faults.unwrap_or_default() });
    let on = text(results, "lockdown").contains("[confidentiality]");
    let faults = if on { Vec::new() } else { vec!["lockdown was not on".to_owned()] };
    runs.push(Run { name: "lockdown is on".to_owned(), faults });
    runs
}

pub fn text(results: &Results, name: &str) -> String {
    results.get(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
}

pub fn values(stream: &str) -> Vec<Value> {
    stream.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Holds every line against the schema the tool itself prints.
pub fn valid(stream: &str) -> Result<()> {
    let schema = serde_json::from_str(include_str!("../../tracer/src/contract/schema.json"))?;
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.enable_format_assertions();
    compiler.add_resource("whybus.json", schema).map_err(|error| anyhow::anyhow!("{error}"))?;
    let index = compiler
        .compile("whybus.json", &mut schemas)
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    let mut lines = 0;
    for line in stream.lines() {
        let value: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        if let Err(error) = schemas.validate(&value, index) {
            bail!("{error:#}\n{line}");
        }
        lines += 1;
    }
    ensure!(lines >= 2, "only {lines} lines");
    Ok(())
}

fn ended(out: &str, status: &str) -> Result<()> {
    ensure!(status.trim() == "0", "status {status}");
    let values = values(out);
    let last = values.last().context("no output")?;
    ensure!(last["kind"] == "end" && last["reason"] == "terminated", "the last line is {last}");
    let told = scenario::incidents(out).len() as u64;
    ensure!(last["incidents"] == told, "{told} incidents were told, {last} counts otherwise");
    ensure!(last["explained"] == told, "not all were explained: {last}");
    Ok(())
}

/// 99 is how the programs under test say that something else failed than what was meant to;
/// 143 is one that was killed because it took too long.
fn parts(statuses: &str) -> Result<()> {
    let bad = |line: &&str| line.ends_with(" 99") || line.ends_with(" 143");
    let bad: Vec<&str> = statuses.lines().filter(bad).collect();
    ensure!(bad.is_empty(), "{}", bad.join("; "));
    Ok(())
}

fn nothing_lost(out: &str) -> Result<()> {
    let lost: Vec<Value> =
        values(out).into_iter().filter(|value| value["kind"] == "loss").collect();
    ensure!(lost.is_empty(), "{lost:?}");
    Ok(())
}

/// A replay has the same incidents with the same ids, and says the same of them.
pub fn same(live: &str, replay: &str) -> Result<()> {
    let (live, replay) = (scenario::incidents(live), scenario::incidents(replay));
    ensure!(live.len() == replay.len(), "{} live, {} replayed", live.len(), replay.len());
    for live in &live {
        let same = replay.iter().find(|other| other["id"] == live["id"]);
        let same = same.with_context(|| format!("the replay lacks {live}"))?;
        for key in ["cause", "file", "outcome", "signal", "exit", "fault", "restart", "stack"] {
            ensure!(
                live[key] == same[key],
                "{key} of {}: {} live, {} replayed",
                live["id"],
                live[key],
                same[key]
            );
        }
    }
    Ok(())
}

fn inert(text: &str) -> Result<()> {
    ensure!(
        text.contains("\\x1b[2J\\nb\\xff\\u{202e}x\"'"),
        "the hostile name is missing or not escaped"
    );
    let bad = text.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
    ensure!(bad.is_none(), "a control character got through: {bad:?}");
    Ok(())
}

fn losses(stream: &str) -> Result<()> {
    let values = values(stream);
    let lost: u64 =
        values.iter().filter(|v| v["kind"] == "loss").filter_map(|v| v["lost"].as_u64()).sum();
    let end = values.last().context("no output")?;
    ensure!(lost > 0 && end["lost"] == lost, "{lost} told as lost, {} counted", end["lost"]);
    let incidents = scenario::incidents(stream);
    ensure!(!incidents.is_empty(), "no incident at all");
    let marked = incidents.iter().filter(|incident| incident["complete"] == false).count();
    ensure!(marked > 0, "no incident is marked incomplete");
    for incident in &incidents {
        let lost = incident["lost"].as_u64().unwrap_or(0);
        ensure!(
            (incident["complete"] == false) == (lost > 0),
            "complete contradicts lost: {incident}"
        );
        let shaky =
            incident["cause"]["class"] == "mapped-past-end" && incident["complete"] == false;
        ensure!(
            !shaky || incident["cause"]["confidence"] != "proven",
            "proven in spite of losses: {incident}"
        );
    }
    Ok(())
}

fn command(results: &Results) -> Result<()> {
    let status = text(results, "command.status");
    ensure!(status.trim() == "42", "status {status}");
    let out = text(results, "command.json");
    ensure!(scenario::incidents(&out).len() == 1, "not one incident: {out}");
    Ok(())
}

fn silent(errors: &str) -> Result<()> {
    ensure!(!errors.contains("whybus:") && !errors.contains("panicked"), "{errors}");
    Ok(())
}

fn unprivileged(results: &Results) -> Result<()> {
    let (status, text) = (text(results, "unprivileged.status"), text(results, "unprivileged"));
    ensure!(status.trim() == "77", "status {status}: {text}");
    ensure!(text.contains("CAP_BPF") && text.contains("CAP_PERFMON"), "{text}");
    Ok(())
}

fn without_btf(results: &Results) -> Result<()> {
    let (status, text) = (text(results, "nobtf.status"), text(results, "nobtf"));
    ensure!(status.trim() == "69", "status {status}: {text}");
    ensure!(text.contains("CONFIG_DEBUG_INFO_BTF") && text.lines().count() == 1, "{text}");
    Ok(())
}

fn partly(results: &Results) -> Result<()> {
    let (status, out) = (text(results, "partly.status"), text(results, "partly.json"));
    ensure!(status.trim() == "0", "status {status}: {}", text(results, "partly"));
    let watching = values(&out).into_iter().next().context("no output")?;
    let blind = watching["blind"].as_array().context("no list of what is missing")?;
    if text(results, "ftrace").trim() == "1" {
        ensure!(blind.is_empty(), "everything attaches, and yet {watching}");
        return Ok(());
    }
    let named =
        |hook: &str| blind.iter().any(|blind| blind["hook"] == hook && blind["causes"] != "");
    ensure!(named("fexit filemap_fault") && named("fentry notify_change"), "{watching}");
    ensure!(watching["hooks"].as_array().is_some_and(|hooks| !hooks.is_empty()), "{watching}");
    Ok(())
}

/// Three files cut short under their readers, and a program replaced under its process.
fn scanned(results: &Results) -> Result<()> {
    let all = values(&text(results, "scan.json"));
    let (last, found) = all.split_last().context("no output")?;
    ensure!(last["processes"].as_u64() > Some(2_000) && last["denied"] == 0, "{last}");
    let mut told: Vec<(String, String, u64)> = found
        .iter()
        .map(|found| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let past = found["mapping"]["past_end"].as_u64().unwrap_or(0);
            (text(&found["what"]), text(&found["file"]["path"]), past)
        })
        .collect();
    told.sort();
    told.dedup();
    let expected: Vec<(String, String, u64)> = [
        ("past-end", "short1", 98_304),
        ("past-end", "short2", 94_208),
        ("past-end", "short3", 90_112),
        ("replaced", "code", 0),
    ]
    .map(|(what, name, past)| (what.to_owned(), format!("/mnt/tmpfs/scan/{name}"), past))
    .into();
    ensure!(told == expected, "found {told:?}");
    Ok(())
}

/// Exact count, few records, and the neighbour's incident is there.
fn storm(results: &Results) -> Result<()> {
    let count: u64 = text(results, "storm.count").trim().parse().context("no count")?;
    ensure!(count > 1_000, "only {count} faults");
    let out = text(results, "storm.json");
    let incidents = scenario::incidents(&out);
    let of = |comm: &str| incidents.iter().find(|incident| incident["victim"]["comm"] == comm);
    let looper = of("looper").context("no incident of the looper")?;
    ensure!(looper["fault"]["count"] == count, "{} instead of {count}", looper["fault"]["count"]);
    ensure!(looper["outcome"] == "exited" && looper["exit"]["code"] == 3, "{looper}");
    let neighbour = of("reader").context("no incident of the neighbour")?;
    ensure!(neighbour["cause"]["class"] == "truncated", "{neighbour}");
    ensure!(incidents.len() == 2, "{} incidents", incidents.len());
    let end = values(&out).pop().context("no output")?;
    // 10 faults, then two a second for 10 s, each with its signal and its delivery; the neighbour.
    ensure!(end["lost"] == 0 && end["events"].as_u64() < Some(120), "{end}");
    Ok(())
}

/// Nothing is missing, but what 5.10 does not have.
fn doctor(report: &str, facts: &str, modules: bool) -> Result<()> {
    let report: Value = serde_json::from_str(report)?;
    let old = report["kernel"].as_str().is_some_and(|kernel| kernel.starts_with("5.10."));
    let blind = report["blind"].as_array().context("no list of what is missing")?;
    if modules {
        ensure!(report["explained"] == report["total"], "{report}");
    }
    // On 5.10 there is no errno of reads, and no tracepoint of NFS sizes; where FUSE is a module its
    // functions are not hooked.
    let mut known = Vec::new();
    if old {
        known.extend(["fexit filemap_read_folio", "raw_tp nfs_size_update", "raw_tp nfs_size_wcc"]);
    }
    if !facts.lines().any(|fact| fact == "fuse-builtin") {
        known.extend(["fentry fuse_change_attributes", "fexit fuse_change_attributes"]);
        known.extend(["fentry fuse_open", "fexit fuse_open"]);
    }
    let missing: Vec<&str> = blind.iter().filter_map(|blind| blind["hook"].as_str()).collect();
    let foreign: Vec<&&str> = missing.iter().filter(|hook| !known.contains(hook)).collect();
    ensure!(foreign.is_empty(), "missing: {foreign:?}");
    // What is known to be missing is said, once its module is there.
    ensure!(!modules || known.iter().all(|hook| missing.contains(hook)), "only {missing:?}");
    Ok(())
}

/// Ten processes are named before the first of them faults, and none after a rename over their
/// file; the fault that follows belongs to the warning.
fn warned(results: &Results) -> Result<()> {
    let values = values(&text(results, "warn.json"));
    let warnings: Vec<&Value> =
        values.iter().filter(|value| value["kind"] == "truncation").collect();
    let [warning] = warnings.as_slice() else { bail!("{} warnings: {warnings:?}", warnings.len()) };
    ensure!(warning["file"]["path"] == "/mnt/ext4/warn/shrunk", "{warning}");
    let pids = |value: &Value| -> Vec<u64> {
        let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let mut pids: Vec<u64> = list.iter().filter_map(|task| task["pid"].as_u64()).collect();
        pids.sort_unstable();
        pids
    };
    let mapped = text(results, "warn.shrunk");
    let mut expected: Vec<u64> = mapped.lines().filter_map(|pid| pid.parse().ok()).collect();
    expected.sort_unstable();
    ensure!(expected.len() == 10, "the guest started {expected:?}");
    ensure!(pids(&warning["at_risk"]) == expected, "at risk {}", warning["at_risk"]);
    ensure!(warning["culprit"]["comm"] == "truncate", "{warning}");
    let told = |kind: &str| values.iter().position(|value| value["kind"] == kind);
    ensure!(told("truncation") < told("incident"), "the warning came after an incident");
    let incidents: Vec<&Value> =
        values.iter().filter(|value| value["kind"] == "incident").collect();
    let [incident] = incidents.as_slice() else { bail!("{} incidents", incidents.len()) };
    ensure!(incident["cause"]["truncation"] == warning["id"], "{incident}");
    ensure!(pids(&incident["cause"]["at_risk"]).len() == 9, "{incident}");
    Ok(())
}

/// Keeps the stream of deaths, of the newest kernel.
fn keep_deaths(kernel: &Kernel, results: &Results) -> Result<()> {
    if kernel.series != "newest" {
        return Ok(());
    }
    let dir = root().join("tracer/tests/streams");
    let stream = results.get("deaths.stream").context("no stream of deaths")?;
    fs::write(dir.join("deaths.stream"), stream)?;
    fs::write(dir.join("deaths.json"), text(results, "deaths-replay.json"))?;
    fs::write(dir.join("deaths.txt"), text(results, "deaths.txt"))?;
    Ok(())
}

/// Keeps the recorded stream as a golden file of `cargo test`.
fn keep(kernel: &Kernel, results: &Results) -> Result<()> {
    ensure!(SERIES.contains(&kernel.series.as_str()), "not a kernel of the matrix");
    let dir = root().join("tracer/tests/streams");
    fs::create_dir_all(&dir)?;
    let stream = results.get("stream").context("no stream")?;
    fs::write(dir.join(format!("{}.stream", kernel.series)), stream)?;
    fs::write(dir.join(format!("{}.json", kernel.series)), text(results, "replay.json"))?;
    fs::write(dir.join(format!("{}.txt", kernel.series)), text(results, "replay.human"))?;
    Ok(())
}
