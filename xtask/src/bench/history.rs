//! `cargo xtask bench history`: a million incidents, and what it takes to ask for some of them.
//!
//! Everything runs through the shipped binary, start included, as a user waits for it. Wall times of
//! one machine are no absolute truth; budgets are far enough from them to be one.
use std::{
    fs,
    io::{BufWriter, Write as _},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{build, say, target};

const INCIDENTS: u64 = 1_000_000;
/// Budgets, with the figures in docs/history.md.
const QUERY: Duration = Duration::from_millis(50);
const INSERTS: f64 = 5_000.0;
const BYTES: f64 = 2048.0;
const BINARY: u64 = 12 << 20;
const RSS: u64 = 20 << 10;
/// Of several runs the middle one counts.
const RUNS: usize = 7;

/// What is asked, by the words of the command line.
const QUERIES: [&[&str]; 22] = [
    &["list"],
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
    &["list", "--class", "oom-killed", "--path", "/srv/data-3"],
    &["why", "service-17"],
    &["why", "4242"],
    &["why", "/srv/data-3/table-77.db"],
    &["why", "--exit", "135", "--since", "2026-06-01", "--until", "2026-06-02"],
];

/// # Errors
/// Where a budget does not hold.
pub fn run() -> Result<()> {
    let whybus = build::whybus()?;
    let dir = target().join("bench-history");
    let _ = fs::remove_dir_all(&dir);
    say(format_args!("taking {INCIDENTS} incidents into a history"));
    let (took, rss) = fill(&whybus, &dir)?;
    let mut broken = Vec::new();
    let rate = INCIDENTS as f64 / took.as_secs_f64();
    let size = ["history.db", "history.db-wal"]
        .iter()
        .filter_map(|name| Some(fs::metadata(dir.join(name)).ok()?.len()))
        .sum::<u64>();
    let each = size as f64 / INCIDENTS as f64;
    let binary = fs::metadata(&whybus)?.len();
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
    println!("\n| query | found | ms, start included |\n|---|--:|--:|");
    for query in QUERIES {
        let (median, found) = ask(&whybus, &dir, query)?;
        let words = query.join(" ");
        println!("| `{words}` | {found} | {:.1} |", median.as_secs_f64() * 1000.0);
        if median > QUERY {
            broken.push(format!("`{words}`: {} ms", median.as_millis()));
        }
    }
    let (stats, _) = ask(&whybus, &dir, &["stats"])?;
    println!("\n`stats` over all of them: {:.1} s (no budget).", stats.as_secs_f64());
    fs::remove_dir_all(&dir)?;
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
        writeln!(out, "{}", incident(i))?;
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

/// The middle of several runs, and how many lines it printed.
fn ask(whybus: &Path, dir: &Path, query: &[&str]) -> Result<(Duration, usize)> {
    let mut times = Vec::new();
    let mut lines = 0;
    for _ in 0..RUNS {
        let started = Instant::now();
        let out =
            Command::new(whybus).args(query).arg("--state-dir").arg(dir).arg("--utc").output()?;
        times.push(started.elapsed());
        lines = out.stdout.iter().filter(|b| **b == b'\n').count();
        let status = out.status.code();
        let error = String::from_utf8_lossy(&out.stderr);
        ensure!(matches!(status, Some(0 | 1)), "{query:?} ended with {status:?}: {error}");
    }
    times.sort_unstable();
    Ok((times[RUNS / 2], lines))
}

/// An incident as a fleet has them: 50 services with 20 pods each, a year in all. Spread by a
/// multiplicative hash, so that it is the same everywhere and nothing is in step.
fn incident(i: u64) -> Value {
    let dice = |salt: u64, sides: u64| {
        let x = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(salt << 32);
        let x = (x ^ x >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (x ^ x >> 32) % sides
    };
    let service = dice(1, 50);
    let pod = service * 20 + dice(2, 20);
    let pid = 300 + dice(3, 100_000);
    let time = |ns: u64| -> String {
        // From 2026-01-01, one every 31.5 s.
        let ns = 1_767_225_600_000_000_000 + i * 31_536_000_000 + ns;
        let time = Timestamp::from_nanosecond(ns.into()).unwrap_or_default();
        format!("{time:.9}")
    };
    let comm = format!("service-{service}");
    let container = format!("{pod:08x}{:056x}", u128::from(pod) * 0x1234_5678_9abc_def1);
    // A few run on the host itself.
    let bare = service < 10;
    let cgroup = if bare {
        format!("/system.slice/{comm}.service")
    } else {
        format!(
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{pod:08}.slice/cri-containerd-{container}.scope"
        )
    };
    let kinds = [
        ("truncated", 7, 60),
        ("signal", 11, 75),
        ("oom-killed", 9, 85),
        ("exited", 0, 95),
        ("no-space", 7, 99),
        ("quota", 7, 100),
    ];
    let roll = dice(4, 100);
    let (class, signal, _) = kinds.into_iter().find(|kind| roll < kind.2).unwrap_or(kinds[0]);
    let process = |pid: u64, comm: &str, args: &[String], own: bool| {
        json!({
            "pid": pid, "ns_pid": if own { 1 } else { pid }, "ppid": 200 + service,
            "start_time": time(0), "comm": comm, "exe": format!("/app/bin/{comm}"),
            "cmdline": args, "uid": 1000 + dice(5, 10), "cgroup": own.then(|| cgroup.clone()),
            "container": (own && !bare).then(|| json!({"id": container, "runtime": "containerd"})),
            "unit": own.then(|| cgroup.rsplit('/').next().map(str::to_owned)),
            "cgroup_id": 5000 + pod,
            "ancestors": [
                {"pid": 200 + service, "comm": "containerd-shim"}, {"pid": 1, "comm": "systemd"},
            ],
        })
    };
    let args = [format!("/app/bin/{comm}"), "--config".into(), format!("/etc/{comm}/config.yaml")];
    let mut victim = process(pid, &comm, &args, true);
    victim["thread_comm"] = json!(comm);
    victim["tid"] = json!(pid);
    let bus = signal == 7;
    let (data, table) = (dice(6, 20), dice(7, 500));
    let path = format!("/srv/data-{data}/table-{table}.db");
    let by = ["cp", "rsync", "logrotate", "backup.sh"][dice(8, 4) as usize];
    let culprit = process(300 + dice(9, 10_000), by, &[by.into(), path.clone()], false);
    let offset = dice(10, 1 << 26);
    let name = match signal {
        7 => "SIGBUS",
        9 => "SIGKILL",
        _ => "SIGSEGV",
    };
    json!({
        "schema": 1, "kind": "incident",
        "id": format!(
            "{:08x}-{:04x}-7{:03x}-8{:03x}-{:012x}",
            0x019b_0000 + (i >> 16), i & 0xffff, dice(11, 1 << 12), dice(12, 1 << 12),
            dice(13, 1 << 48)
        ),
        "number": i + 1, "time": time(1_000_000_000), "last": time(1_000_000_000),
        "boot_ns": i * 31_536_000_000 % (1 << 50),
        "host": format!("node-{}", dice(14, 8)), "boot_id": format!("boot-{}", i / 100_000),
        "victim": victim,
        "fault": bus.then(|| json!({
            "access": "read", "mode": "user", "address": format!("{:#x}", 0x7f00_0000_0000 + offset),
            "address_exact": true, "ip": "0x55d0a3b14c5c", "file_offset": offset,
            "pgoff": offset / 4096, "handler": "filemap_fault", "count": 1, "threads": 1,
        })),
        "file": bus.then(|| json!({
            "path": path, "dev": "259:1", "inode": 1000 + table, "generation": 77, "fstype": "ext4",
            "size": 0, "nlink": 1, "deleted": false, "mount": {"point": "/srv", "source": "/dev/nvme1n1"},
            "mapping": {"start": "0x7f0000000000", "end": "0x7f0004000000", "file_offset": 0},
        })),
        "cause": {
            "class": class, "confidence": "proven",
            "summary": "truncated under the mapping, 130 ms earlier: 64 MiB → 0 B by open(O_TRUNC)",
            "how": bus.then_some("open(O_TRUNC)"), "old_size": bus.then_some(1 << 26),
            "new_size": bus.then_some(0), "time": bus.then(|| time(870_000_000)),
            "before_ns": bus.then_some(130_000_000), "path": bus.then(|| path.clone()),
            "mapped": bus.then_some(true), "culprit": (signal != 0 && signal != 11).then_some(culprit),
            "others": [],
        },
        "signal": (signal != 0).then(|| json!({
            "number": signal, "name": name, "code": 2, "code_name": "BUS_ADRERR",
            "address": format!("{:#x}", 0x7f00_0000_0000 + offset), "disposition": "default",
        })),
        "outcome": if signal == 0 { "exited" } else { "killed" },
        "exit": {
            "signal": (signal != 0).then_some(signal), "code": (signal == 0).then_some(1),
            "core": false, "time": time(1_010_000_000),
        },
        "restart": {
            "pid": pid + 7, "start_time": time(2_100_000_000), "time": time(2_110_000_000),
            "after_ns": 1_100_000_000 + dice(15, 100_000_000),
            "by": {"pid": 200 + service, "comm": "containerd-shim"}, "forked": false,
            "same_arguments": true,
        },
        "advice": "write the new file beside the old one and rename(2) it into place; never write over a mapped file",
        "complete": true, "lost": 0, "oom_kills": 3,
    })
}
