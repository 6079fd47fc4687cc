//! What a guest's recorder must have kept: xtask/guest/jobs/history.sh.
use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    scenario::Run,
    test::{same, text, valid, values},
    vm::Results,
};

/// One way to die under a supervisor, and what must be told of it.
struct Way {
    name: &'static str,
    deaths: u64,
    class: &'static str,
    /// How a shell has it.
    status: u64,
    culprit: Option<&'static str>,
    /// Theories that are ruled out, and those that must not be.
    out: &'static [&'static str],
    open: &'static [&'static str],
}

const OOM: &str = "the OOM killer";
const PARENT: &str = "killed by its parent";
const OTHERS: &str = "killed by anybody else";
const EXIT: &str = "a call of exit(3), by itself or a library";
const CRASH: &str = "a crash (SIGSEGV, SIGBUS, SIGILL, SIGFPE)";

const WAYS: [Way; 9] = [
    Way {
        name: "bus",
        deaths: 3,
        class: "truncated",
        status: 135,
        culprit: Some("cp"),
        out: &[OOM, PARENT, OTHERS, EXIT],
        open: &[CRASH],
    },
    Way {
        name: "cgo",
        deaths: 3,
        class: "signal",
        status: 2,
        culprit: None,
        out: &[OOM, PARENT, OTHERS, "a plain exit(3)"],
        open: &[CRASH, EXIT],
    },
    Way {
        name: "oom",
        deaths: 3,
        class: "oom-killed",
        status: 137,
        culprit: Some("oom-worker"),
        out: &[PARENT, OTHERS, EXIT, CRASH],
        open: &[OOM],
    },
    Way {
        name: "parent",
        deaths: 3,
        class: "sent",
        status: 137,
        culprit: Some("sh"),
        out: &[OOM, EXIT, CRASH],
        open: &[PARENT, OTHERS],
    },
    Way {
        name: "stranger",
        deaths: 3,
        class: "sent",
        status: 137,
        culprit: Some("sh"),
        out: &[OOM, PARENT, EXIT, CRASH],
        open: &[OTHERS],
    },
    Way {
        name: "exit",
        deaths: 4,
        class: "exited",
        status: 1,
        culprit: None,
        out: &[OOM, PARENT, OTHERS, CRASH],
        open: &[EXIT],
    },
    Way {
        name: "abort",
        deaths: 3,
        class: "aborted",
        status: 134,
        culprit: None,
        out: &[OOM, PARENT, OTHERS, CRASH],
        open: &[EXIT],
    },
    // Each time in another container, of another parent.
    Way {
        name: "pod",
        deaths: 3,
        class: "aborted",
        status: 134,
        culprit: None,
        out: &[OOM, PARENT, OTHERS, CRASH],
        open: &[EXIT],
    },
    // It dumps core for seven seconds.
    Way {
        name: "dump",
        deaths: 2,
        class: "truncated",
        status: 135,
        culprit: Some("cp"),
        out: &[OOM, PARENT, OTHERS, EXIT],
        open: &[CRASH],
    },
];

/// Holds what a guest left behind against what must be there.
pub fn judge(results: &Results, newest: bool) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut check = |name: &str, result: Result<()>| {
        let faults = result.err().map(|error| vec![format!("{error:#}")]).unwrap_or_default();
        runs.push(Run { name: name.to_owned(), faults });
    };
    for way in &WAYS {
        check(&format!("why {}-worker", way.name), died(way, results));
    }
    check("why a crash in a library names the function", crashed(results));
    check("why an OOM kill names the limit", limited(results));
    check("why tells a parent from a stranger", told_apart(results));
    check("a clock that is set does not reorder a story", clock(results));
    check("a service manager is told", managed(results));
    check("an idle recorder costs next to nothing", idle(results));
    check("a replay of deaths tells the same", replayed(results));
    check("every line of a history is valid", lines(results));
    check("list --exit finds those, and no others", by_status(results));
    check("a second recorder names the first", second(results));
    check("the group may read, others may not", readers(results));
    check("an export elsewhere tells the same", colleague(results));
    check("the journal has every incident with its fields", journal(results));
    check("nothing committed is lost by kill -9", killed(results));
    check("a full disk loses nothing and is told", full(results));
    check("bad state directories are refused, a sentence each", refused(results));
    check("a damaged history is set aside", damaged(results));
    check("on a read-only disk watching goes on", readonly(results));
    // Elsewhere some hooks are missing, and that is said.
    if newest {
        check("the README's dialogue is what a terminal shows", dialogue(results));
    }
    runs
}

fn story(name: &str, results: &Results) -> Result<Value> {
    let told = text(results, &format!("why-{name}.json"));
    let error = text(results, &format!("why-{name}.err"));
    ensure!(error.is_empty(), "{error}");
    let mut lines = values(&told);
    ensure!(lines.len() == 1, "{} stories: {told}", lines.len());
    lines.pop().context("no story")
}

fn died(way: &Way, results: &Results) -> Result<()> {
    let story = story(way.name, results)?;
    ensure!(story["deaths"] == way.deaths, "{} deaths", story["deaths"]);
    let incident = &story["incident"];
    ensure!(incident["cause"]["class"] == way.class, "the cause is {}", incident["cause"]);
    ensure!(incident["cause"]["confidence"] == "proven", "{}", incident["cause"]);
    let exit = &incident["exit"];
    let signal = exit["signal"].as_u64().map(|signal| 128 + signal);
    ensure!(signal.or(exit["code"].as_u64()) == Some(way.status), "it ended by {exit}");
    let causes = story["causes"].as_array().context("no causes")?;
    ensure!(causes.len() == 1 && causes[0]["count"] == way.deaths, "causes {causes:?}");
    let culprit = &incident["cause"]["culprit"]["comm"];
    ensure!(culprit.as_str() == way.culprit, "by {culprit}");
    // The last one was not started again. Execs that a kernel which preempts did not show us may be
    // restarts; then that is said.
    let spread = &story["restarts"];
    let gaps = story["gaps"].as_array().map(Vec::as_slice).unwrap_or_default();
    let missed =
        |gap: &&Value| gap["why"].as_str().is_some_and(|why| why.contains("sched_process_"));
    let missed: u64 = gaps.iter().filter(missed).filter_map(|gap| gap["lost"].as_u64()).sum();
    let count = spread["count"].as_u64().unwrap_or(0);
    ensure!(
        count < way.deaths && count + missed >= way.deaths - 1,
        "restarts {spread}, {missed} calls missed"
    );
    let ns = |key: &str| spread[key].as_u64().unwrap_or(0);
    let ordered = ns("min_ns") <= ns("median_ns") && ns("median_ns") <= ns("max_ns");
    // The supervisor waits 0.4 s.
    ensure!(ordered && ns("min_ns") >= 400_000_000, "restarts {spread}");
    ensure!(ns("max_ns") < 60_000_000_000, "restarts {spread}");
    let out = story["ruled_out"].as_array().context("nothing is ruled out")?;
    let theories: Vec<&str> = out.iter().filter_map(|one| one["theory"].as_str()).collect();
    for theory in way.out {
        ensure!(theories.contains(theory), "{theory} is not ruled out: {theories:?}");
    }
    for theory in way.open {
        ensure!(!theories.contains(theory), "{theory} is ruled out: {theories:?}");
    }
    let kinds: Vec<&str> = story["timeline"]
        .as_array()
        .context("no timeline")?
        .iter()
        .filter_map(|step| step["what"].as_str())
        .collect();
    ensure!(kinds.first() == Some(&"start") && kinds.contains(&"exit"), "the timeline {kinds:?}");
    Ok(())
}

fn crashed(results: &Results) -> Result<()> {
    let story = story("cgo", results)?;
    let incident = &story["incident"];
    let signal = &incident["signal"];
    ensure!(signal["name"] == "SIGSEGV" && signal["code_name"] == "SEGV_MAPERR", "{signal}");
    ensure!(signal["address"] == "0x8" && incident["outcome"] == "exited", "{signal}");
    let frame = &incident["stack"]["user"][0];
    ensure!(frame["symbol"] == "geo_height", "{frame}");
    let module = frame["module"].as_str().unwrap_or_default();
    ensure!(module.ends_with("/libgeo.so"), "{frame}");
    Ok(())
}

fn limited(results: &Results) -> Result<()> {
    let story = story("oom", results)?;
    let cause = &story["incident"]["cause"];
    ensure!(cause["memory"]["limit"] == 24 << 20, "{cause}");
    ensure!(cause["memory"]["cgroup"] == "/small", "{cause}");
    Ok(())
}

fn told_apart(results: &Results) -> Result<()> {
    let pids = |story: &Value| {
        let incident = &story["incident"];
        (incident["victim"]["ppid"].clone(), incident["cause"]["culprit"]["pid"].clone())
    };
    let (parent, by) = pids(&story("parent", results)?);
    ensure!(parent == by, "child of {parent}, killed by {by}");
    let stranger = story("stranger", results)?;
    let (parent, by) = pids(&stranger);
    ensure!(parent != by, "child of {parent}, killed by {by}");
    let args = &stranger["incident"]["cause"]["culprit"]["cmdline"];
    ensure!(args[1] == "/history/stranger.sh", "{args}");
    Ok(())
}

/// The one that died last is the last, though the clock says otherwise.
fn clock(results: &Results) -> Result<()> {
    let story = story("clock", results)?;
    let pid: u64 = text(results, "clock.pid").trim().parse()?;
    let victim = &story["incident"]["victim"]["pid"];
    ensure!(*victim == pid, "{victim} is the last, not {pid}");
    let time = |key: &str| story[key].as_str().unwrap_or_default().to_owned();
    ensure!(story["deaths"] == 2 && time("first") > time("last"), "{story}");
    Ok(())
}

fn managed(results: &Results) -> Result<()> {
    let told = text(results, "notify");
    let lines: Vec<&str> = told.lines().collect();
    let ready = lines.first() == Some(&"READY=1");
    let pings = lines.iter().filter(|line| **line == "WATCHDOG=1").count();
    ensure!(ready && pings > 3 && lines.last() == Some(&"STOPPING=1"), "{lines:?}");
    Ok(())
}

fn idle(results: &Results) -> Result<()> {
    let line = text(results, "idle");
    let numbers: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [before, after, rss] = numbers.as_slice() else { anyhow::bail!("measured `{line}`") };
    // Ticks of 10 ms in 5 s, under emulation: 2 %.
    ensure!(after - before <= 10, "{} ticks in 5 s", after - before);
    ensure!(*rss <= 20 << 10, "{rss} KiB, of that {:?}", resident(&text(results, "smaps")));
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
fn replayed(results: &Results) -> Result<()> {
    let (live, replay) = (text(results, "deaths.json"), text(results, "deaths-replay.json"));
    same(&live, &replay)?;
    valid(&live)?;
    for way in &WAYS {
        let told = |line: &&Value| line["cause"]["class"] == way.class;
        let found = values(&live).iter().filter(told).count();
        ensure!(found > 0, "no {} was told live", way.class);
    }
    Ok(())
}

fn lines(results: &Results) -> Result<()> {
    let whys: String =
        WAYS.iter().map(|way| text(results, &format!("why-{}.json", way.name))).collect();
    valid(&whys).context("why")?;
    for name in ["list.json", "stats.json", "export.json", "kills.json"] {
        valid(&text(results, name)).context(name)?;
    }
    Ok(())
}

fn by_status(results: &Results) -> Result<()> {
    let found = values(&text(results, "list-135.json"));
    let all = values(&text(results, "list.json"));
    let bus = |value: &&Value| value["exit"]["signal"] == 7;
    let dead = WAYS.iter().filter(|way| way.status == 135).map(|way| way.deaths).sum::<u64>();
    let count = |values: &[Value]| values.iter().filter(bus).count() as u64;
    ensure!(found.len() as u64 == dead && count(&found) == dead, "{} found", found.len());
    ensure!(count(&all) == dead, "{} in all", all.len());
    Ok(())
}

fn second(results: &Results) -> Result<()> {
    let (said, status) = (text(results, "second.out"), text(results, "second.status"));
    let first = text(results, "first.pid");
    let named =
        said.contains(&format!("another recorder writes to /mnt/ext4/state, pid {}", first.trim()));
    ensure!(named && status.trim() == "66", "status {status}: {said}");
    let ended = text(results, "recorder.status");
    ensure!(ended.trim() == "0", "the first ended with {ended}: {}", text(results, "recorder.err"));
    Ok(())
}

fn readers(results: &Results) -> Result<()> {
    let (said, status) = (text(results, "nobody.out"), text(results, "nobody.status"));
    ensure!(status.trim() == "77" && said.contains("its group may read it"), "{status}: {said}");
    let (said, status) = (text(results, "nearest.out"), text(results, "nearest.status"));
    ensure!(status.trim() == "1" && said.contains("nearest: bus-worker"), "{status}: {said}");
    Ok(())
}

fn colleague(results: &Results) -> Result<()> {
    let told = values(&text(results, "colleague.json"));
    ensure!(told.len() == WAYS.len(), "{} stories", told.len());
    for (way, told) in WAYS.iter().zip(told) {
        let mine = story(way.name, results)?;
        ensure!(mine == told, "{}: {mine}\nelsewhere {told}", way.name);
    }
    let set = |name: &str| -> BTreeSet<String> {
        text(results, name).lines().map(str::to_owned).collect()
    };
    ensure!(set("export.json") == set("export-again.json"), "an export of an import differs");
    Ok(())
}

fn journal(results: &Results) -> Result<()> {
    let records = values(&text(results, "journal.json"));
    let incidents = values(&text(results, "list.json"));
    ensure!(
        records.len() == incidents.len() && !records.is_empty(),
        "{} records of {} incidents: {} {}",
        records.len(),
        incidents.len(),
        text(results, "journalctl.err"),
        text(results, "journald.err")
    );
    for incident in &incidents {
        let record = records.iter().find(|record| record["WHYBUS_ID"] == incident["id"]);
        let record = record.with_context(|| format!("no record of {incident}"))?;
        let same = |field: &str, value: &Value| {
            let told = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            record[field] == told || value.is_null() && record[field].is_null()
        };
        let culprit = &incident["cause"]["culprit"];
        for (field, value) in [
            ("WHYBUS_CLASS", &incident["cause"]["class"]),
            ("WHYBUS_PID", &incident["victim"]["pid"]),
            ("WHYBUS_COMM", &incident["victim"]["comm"]),
            ("WHYBUS_PATH", &incident["file"]["path"]),
            ("WHYBUS_FILE_OFFSET", &incident["fault"]["file_offset"]),
            ("WHYBUS_CULPRIT_PID", &culprit["pid"]),
            ("WHYBUS_SIGNAL_NAME", &incident["signal"]["name"]),
        ] {
            ensure!(same(field, value), "{field} is {}, not {value}", record[field]);
        }
        let whole = record["PRIORITY"] == "3" && record["_COMM"] == "whybus";
        ensure!(whole && record["SYSLOG_IDENTIFIER"] == "whybus", "{record}");
    }
    let shown = text(results, "journal.txt");
    ensure!(shown.contains("bus-worker") && shown.contains("by open(O_TRUNC)"), "{shown}");
    Ok(())
}

/// Each line: which kill (or all), incidents seen before and after, and how many of the former are missing.
fn kept(lines: &str) -> Result<u64> {
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
    Ok(last)
}

fn killed(results: &Results) -> Result<()> {
    kept(&text(results, "kills"))?;
    let lines = values(&text(results, "kills.json"));
    let of = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).collect::<Vec<_>>();
    let (runs, gaps) = (of("run"), of("gap"));
    let why = |gap: &&&Value| gap["why"] == "the recorder was killed";
    let told = gaps.iter().filter(why).count();
    ensure!(runs.len() > 1 && told == runs.len() - 1, "{told} gaps between {} runs", runs.len());
    ensure!(runs.iter().all(|run| run["since"].is_string()), "{runs:?}");
    let ended = runs.iter().filter(|run| !run["until"].is_null()).count();
    ensure!(ended == 1, "{ended} runs ended as they were told to");
    let files = text(results, "kills.ls");
    ensure!(!files.contains("damaged"), "{files}");
    Ok(())
}

fn full(results: &Results) -> Result<()> {
    kept(&text(results, "full"))?;
    let said = text(results, "full.err");
    ensure!(said.contains("watching goes on") && said.contains("written to again"), "{said}");
    ensure!(text(results, "full.list").lines().count() > 1, "the history cannot be listed");
    Ok(())
}

fn refused(results: &Results) -> Result<()> {
    let said = text(results, "bad");
    for (name, sentence, status) in [
        ("group-writable", "may be written to by others (mode 0770)", 66),
        ("not-ours", "belongs to user 65534, not to us", 66),
        ("no-directory", "is no directory", 66),
        ("no-group", "there is no group `nobodys`", 2),
        ("newer", "is of version 99, and this whybus knows up to 1", 66),
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

fn damaged(results: &Results) -> Result<()> {
    let said = text(results, "damaged.err");
    ensure!(said.contains("was damaged; it is set aside as"), "{said}");
    let files = text(results, "damaged.ls");
    let both = files.lines().any(|name| name == "history.db")
        && files.lines().any(|name| name == "history.damaged-1");
    ensure!(both, "{files}");
    Ok(())
}

fn readonly(results: &Results) -> Result<()> {
    let said = text(results, "readonly.err");
    ensure!(said.contains("watching goes on") && said.contains("Read-only file system"), "{said}");
    ensure!(said.contains("terminated after"), "{said}");
    Ok(())
}

/// The README shows a terminal; numbers, times and ids differ from run to run.
fn dialogue(results: &Results) -> Result<()> {
    let readme = std::fs::read_to_string(crate::root().join("README.md"))?;
    let section = readme.split("## Ask afterwards").nth(1).context("no section")?;
    let shown = section.split("```\n").nth(1).context("no terminal")?;
    let seen = text(results, "dialogue");
    let (shown, seen) = (numberless(shown), numberless(&seen));
    for (shown, seen) in shown.iter().zip(&seen) {
        ensure!(shown == seen, "the README has\n{shown}\nand a terminal\n{seen}");
    }
    ensure!(shown.len() == seen.len(), "{} lines, and {} in a terminal", shown.len(), seen.len());
    Ok(())
}

/// The lines of a text, words apart by one space, without what differs from run to run.
fn numberless(text: &str) -> Vec<String> {
    let plain = |word: &str| -> String {
        let hex = |c: char| c.is_ascii_hexdigit();
        if word.len() == 12 && word.chars().all(hex) && word.contains(|c: char| c.is_ascii_digit())
        {
            return "ID".to_owned();
        }
        if matches!(word, "ns" | "µs" | "ms" | "s" | "ms," | "s," | "µs,") {
            return "TIME".to_owned();
        }
        let mut out = String::new();
        for c in word.chars() {
            match c {
                '0'..='9' if out.ends_with('N') => {}
                '0'..='9' => out.push('N'),
                '.' if out.ends_with('N') => {}
                c => out.push(c),
            }
        }
        out
    };
    let line = |line: &str| line.split_whitespace().map(plain).collect::<Vec<_>>().join(" ");
    text.lines().map(line).filter(|line| !line.is_empty()).collect()
}
