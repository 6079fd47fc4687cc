//! `cargo xtask bench history`: a million incidents, and what it takes to ask for some of them.
//! WHYBUS names the binary that is measured.
//!
//! Everything runs through the shipped binary, start included, as a user waits for it. Wall times of
//! one machine are no absolute truth; budgets are far enough from them to be one.
use std::{
    env, fs,
    io::{BufRead as _, BufReader, BufWriter, Write as _},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use whybus::contract::{Record, json};

mod fleet;
use fleet::{One, warning};

const INCIDENTS: u64 = 1_000_000;
/// As many as a history keeps.
const WARNINGS: u64 = 20_000;
/// Budgets, with the figures in docs/history.md.
const QUERY: Duration = Duration::from_millis(50);
const INSERTS: f64 = 5_000.0;
const BYTES: f64 = 2048.0;
const BINARY: u64 = 12 << 20;
const RSS: u64 = 20 << 10;
/// Of several runs the fastest counts: what else runs on the machine only adds to it.
const RUNS: usize = 7;

/// What is asked, by the words of the command line.
const QUERIES: [&[&str]; 55] = [
    &["list"],
    &["list", "--host", "node-3"],
    &["list", "--not-class", "truncated"],
    &["list", "--pod", "00000405"],
    &["list", "--signature", "*"],
    &["list", "--class", "bus-errors"],
    &["list", "--sort", "victim"],
    &["list", "--sort", "by", "-r"],
    &["list", "--sort", "file", "--class", "truncated"],
    &["list", "--warnings"],
    &["list", "--since", "2026-06-01", "--until", "2026-06-02"],
    &["list", "--pid", "4242"],
    &["list", "--comm", "service-17"],
    &["list", "--comm", "service-1*"],
    &["list", "--comm", "*-nothing"],
    &["list", "--uid", "1003"],
    &["list", "--unit", "service-7"],
    &["list", "--cgroup", "pod00000405"],
    &["list", "--container", "00000195"],
    &["list", "--path", "/srv/data-3"],
    &["list", "--path", "/srv/*/table-77.db"],
    &["list", "--by-comm", "rsync"],
    &["list", "--by-pid", "777"],
    &["list", "--class", "quota"],
    &["list", "--exit", "139"],
    &["list", "--exit", "135", "--comm", "service-17", "--by-comm", "rsync"],
    &["why", "service-17"],
    &["why", "4242"],
    &["why", "/srv/data-3/table-77.db"],
    &["why", "--exit", "135", "--since", "2026-06-01", "--until", "2026-06-02"],
    &["why"],
    &["why", "nosuch"],
    &["why", "rsync"],
    &["why", "service-7.service"],
    &["why", "ID"],
    &["show", "ID"],
    &["show", "ID", "-o", "json"],
    &["stats"],
    &["stats", "--by", "cause"],
    &["stats", "--by", "file"],
    &["stats", "--by", "culprit"],
    &["stats", "--by", "victim"],
    &["stats", "--by", "signature"],
    &["stats", "--by", "unit"],
    &["stats", "--by", "container"],
    &["stats", "--by", "pod"],
    &["stats", "--by", "image"],
    &["stats", "--by", "host"],
    &["stats", "--by", "time"],
    &["stats", "--since", "2026-06-01", "--until", "2026-06-02"],
    &["status"],
    &["export"],
    &["export", "--comm", "service-17"],
    &["list", "-f"],
    &["list", "-f", "--comm", "service-17"],
];

/// What reads too much to hold the budget: docs/history.md says why.
const UNBOUNDED: [&[&str]; 4] = [
    &["list", "--warnings", "--path", "/srv/nobody"],
    &["list", "--class", "oom-killed", "--path", "/srv/data-3"],
    &["stats", "--comm", "service-17"],
    &["forget", "--comm", "service-17", "--dry-run"],
];

fn main() -> Result<()> {
    let whybus = env::var_os("WHYBUS").unwrap_or_else(|| env!("CARGO_BIN_EXE_whybus").into());
    let whybus = Path::new(&whybus);
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-history");
    let _ = fs::remove_dir_all(&dir);
    println!("taking {INCIDENTS} incidents into a history");
    let (took, rss) = fill(whybus, &dir)?;
    let mut broken = Vec::new();
    let rate = INCIDENTS as f64 / took.as_secs_f64();
    let size = ["history.db", "history.db-wal"]
        .iter()
        .filter_map(|name| Some(fs::metadata(dir.join(name)).ok()?.len()))
        .sum::<u64>();
    let each = size as f64 / INCIDENTS as f64;
    let binary = fs::metadata(whybus)?.len();
    println!("\n| what | figure | budget |\n|---|--:|--:|");
    println!("| inserts a second, batched | {rate:.0} | ≥ {INSERTS:.0} |");
    println!("| bytes an incident, indexes included | {each:.0} | ≤ {BYTES:.0} |");
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!("| size of the binary, MiB | {:.1} | ≤ {:.0} |", mib(binary), mib(BINARY));
    println!("| peak RSS of the writer, MiB | {:.1} | ≤ {} |", rss as f64 / 1024.0, RSS >> 10);
    for (ok, what) in [
        (rate >= INSERTS, "inserts a second"),
        (each <= BYTES, "bytes an incident"),
        (binary <= BINARY, "the binary"),
        (rss <= RSS, "RSS"),
    ] {
        if !ok {
            broken.push(what.to_owned());
        }
    }
    let mut newest = command(whybus, &dir, &["list", "-n", "1", "--no-header", "--columns", "id"]);
    let newest = String::from_utf8(newest.output()?.stdout)?;
    println!("\n| query | ms to the first line, start included |\n|---|--:|");
    for (query, bounded) in
        QUERIES.into_iter().map(|query| (query, true)).chain(UNBOUNDED.map(|query| (query, false)))
    {
        let typed: Vec<&str> =
            query.iter().map(|word| if *word == "ID" { newest.trim() } else { word }).collect();
        let took = ask(whybus, &dir, &typed)?;
        let words = query.join(" ");
        println!("| `{words}` | {:.1} |", took.as_secs_f64() * 1000.0);
        if bounded && took > QUERY {
            broken.push(format!("`{words}`: {} ms", took.as_millis()));
        }
    }
    if env::var_os("KEEP").is_none() {
        fs::remove_dir_all(&dir)?;
    }
    for what in &broken {
        println!("OVER BUDGET: {what}");
    }
    ensure!(broken.is_empty(), "{} budgets do not hold", broken.len());
    Ok(())
}

/// Imports the incidents; gives the time and the peak RSS in KiB. Making them is not timed.
fn fill(whybus: &Path, dir: &Path) -> Result<(Duration, u64)> {
    let file = dir.with_extension("ndjson");
    let mut out = BufWriter::new(fs::File::create(&file)?);
    for i in 0..INCIDENTS {
        out.write_all(&json::to_vec(&Record::from(One::new(i).incident())))?;
        out.write_all(b"\n")?;
    }
    for i in 0..WARNINGS {
        out.write_all(&json::to_vec(&Record::Truncation(Box::new(warning(i)))))?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    let started = Instant::now();
    let mut child = Command::new(whybus)
        .args(["import", "--state-dir"])
        .arg(dir)
        .arg(&file)
        .stderr(Stdio::null())
        .spawn()
        .context("starting whybus import")?;
    let status = format!("/proc/{}/status", child.id());
    let mut rss = 0;
    let ended = loop {
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        rss = rss.max(kib.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(50));
    };
    let took = started.elapsed();
    ensure!(ended.success(), "whybus import failed");
    fs::remove_file(&file)?;
    Ok((took, rss))
}

fn command(whybus: &Path, dir: &Path, query: &[&str]) -> Command {
    let mut command = Command::new(whybus);
    command.args(query).arg("--state-dir").arg(dir);
    if !["export", "forget"].contains(&query[0]) {
        command.arg("--utc");
    }
    command
}

/// How long it takes until the first line is there, or, where nothing is found, until that is said: of several runs the
/// fastest.
fn ask(whybus: &Path, dir: &Path, query: &[&str]) -> Result<Duration> {
    let run = || -> Result<Duration> {
        let mut command = command(whybus, dir, query);
        let started = Instant::now();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = Vec::new();
        let out = child.stdout.take().context("a pipe")?;
        BufReader::new(out).read_until(b'\n', &mut line)?;
        let took = started.elapsed();
        if line.is_empty() {
            let status = child.wait()?.code();
            ensure!(matches!(status, Some(0 | 1)), "{query:?} ended with {status:?}");
        }
        // What follows goes on for ever, and an export for long.
        let _ = child.kill();
        child.wait()?;
        Ok(took)
    };
    let times = (0..RUNS).map(|_| run()).collect::<Result<Vec<_>>>()?;
    times.into_iter().min().context("no runs")
}
