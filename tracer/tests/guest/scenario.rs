//! Scenarios: what a script in xtask/guest/scenarios does to a kernel, and exactly the incidents that
//! must come of it.
use std::{fs, ops::RangeInclusive, path::Path, sync::Arc};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use serde_json::{Map, Value, json};
use whybus::contract::{Incident, Record};

use crate::{
    Job,
    normal::normal,
    otherwise::Otherwise,
    record::{incidents, incidents_of, records},
    root, trial,
};

/// One script and what it must lead to.
struct Scenario {
    name: String,
    /// Normalised incidents; `$D` stands for the scenario's directory.
    expected: Vec<Map<String, Value>>,
    unless: Vec<(String, Otherwise)>,
}

/// The fact that no function is hooked (docs/decisions/0019-forms.md).
const SIGNAL_ALONE: &str = "signal-alone";

/// What the signal alone does not tell. A script that has a line for that form has none of it there, but what the line
/// itself names: the class that is left, how sure it is, and mostly no more.
const NOT_TOLD: [&str; 21] = [
    "calls",
    "lines",
    "access",
    "says",
    "complete",
    "how",
    "old",
    "new",
    "culprit",
    "culprit_exe",
    "culprit_cgroup",
    "claims",
    "cmdline",
    "parents",
    "login_uid",
    "session",
    "tty",
    "as",
    "others",
    "sized_by",
    "mapping",
];

/// Which functions refuse pages of files. The signal alone knows no more of the refusal, and that from Linux 5.17 on.
const REFUSES: [&str; 4] =
    ["filemap_fault", "shmem_fault", "xfs_filemap_fault", "hugetlb_vm_op_fault"];

/// The scenarios of a directory.
fn scenarios(dir: &Path) -> Result<Vec<Scenario>> {
    let mut scenarios = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        let path = entry?.path();
        if path.extension().and_then(|ext| ext.to_str()) != Some("sh") {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let script = fs::read_to_string(&path)?;
        scenarios.push(Scenario::parse(name, &script).with_context(|| path.display().to_string())?);
    }
    scenarios.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(scenarios)
}

/// One run of a scenario, as the job notes it: its name, the file system, and which run it is where it
/// is done more than once.
struct Ran {
    name: String,
    fs: String,
    run: Option<u32>,
    /// From when to when, ns since boot; none where a job does not say.
    time: RangeInclusive<u64>,
}

/// /proc/uptime counts in hundredths of a second. Ns.
const UPTIME: u64 = 10_000_000;

impl Ran {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (name, fs) = (words.next()?.to_owned(), words.next()?.to_owned());
        Some(Self {
            name,
            fs,
            run: words.next().and_then(|run| run.parse().ok()),
            time: RangeInclusive::new(1, 0),
        })
    }

    /// All that a job has noted, each with its time.
    fn all(job: &Job) -> Result<Vec<Self>> {
        let (lines, times) = (job.text("ran")?, job.text("times").unwrap_or_default());
        let mut ran: Vec<Self> = lines.lines().filter_map(Self::parse).collect();
        for (run, times) in ran.iter_mut().zip(times.lines()) {
            let (began, ended) = times.split_once(' ').context("a time without an end")?;
            let ns = |text: &str| text.parse::<f64>().map(|seconds| (seconds * 1e9) as u64);
            run.time = ns(began)?..=ns(ended)?.saturating_add(UPTIME);
        }
        Ok(ran)
    }

    /// As it is told.
    fn label(&self) -> String {
        match self.run {
            None => format!("{}::{}", self.name, self.fs),
            Some(run) => format!("{}::{}::run {run}", self.name, self.fs),
        }
    }

    /// Whether the victim or its file belongs to it; of who is known by neither, whether it was then.
    fn has(&self, incident: &Incident) -> bool {
        let args = incident.victim.cmdline.iter().flatten();
        let path = incident.file.iter().filter_map(|file| file.path.as_ref());
        let mut known = args.chain(path).peekable();
        if known.peek().is_none() {
            return self.time.contains(&incident.boot_ns);
        }
        let inside = format!("{}/", self.dir());
        known.any(|value| value.0.starts_with(inside.as_bytes()))
    }

    /// Where it did what it did.
    fn dir(&self) -> String {
        match self.run {
            None => format!("/mnt/{}/{}", self.fs, self.name),
            Some(run) => format!("/mnt/{}/{}.{run}", self.fs, self.name),
        }
    }
}

/// A test for each run of a scenario of `dir`, for each that did not run, and one for incidents that
/// nobody expected.
pub fn trials(job: &Arc<Job>, prefix: &str, dir: &str) -> Vec<Trial> {
    let tests = runs(job, prefix, &root().join("xtask/guest").join(dir));
    tests.unwrap_or_else(|error| {
        let error = format!("{error:#}");
        vec![trial(&job.kernel, &format!("{prefix}{dir}"), move || bail!(error))]
    })
}

/// # Errors
/// Where the job did not leave what is needed to judge it.
pub fn runs(job: &Arc<Job>, prefix: &str, dir: &Path) -> Result<Vec<Trial>> {
    let scenarios = scenarios(dir)?;
    let (skipped, facts) = (job.text("skipped")?, job.text("facts")?);
    let ran = Ran::all(job)?;
    ensure!(!ran.is_empty(), "nothing ran");
    let watched = records(&job.text("out.json")?)?;
    let unseen = unseen(&watched);
    let mut foreign = incidents(watched);
    // Of those that ask for more than bus errors, where a job has any.
    if let Ok(ends) = job.text("ends.json") {
        foreign.extend(incidents_of(&ends)?);
    }
    let mut trials = Vec::new();
    for run in &ran {
        let mine = foreign.extract_if(.., |incident| run.has(incident));
        let mine: Vec<_> = mine.map(|incident| normal(&incident)).collect();
        let expected = scenarios.iter().find(|scenario| scenario.name == run.name);
        let expected = expected.map(|scenario| scenario.expected(&run.dir(), &facts));
        let hint = format!(
            "{unseen}\nwhat each probe decided: cargo xtask test --only {} --kernel {} --verbose",
            run.name, job.kernel
        );
        trials.push(trial(&job.kernel, &format!("{prefix}{}", run.label()), move || {
            compare(&expected.context("no such scenario")?, &mine).with_context(|| hint)
        }));
    }
    // Whoever chose some does not miss the others.
    let chosen = job.text("chosen").unwrap_or_default();
    for Scenario { name, .. } in &scenarios {
        let done = ran.iter().any(|run| run.name == *name);
        let skipped = skipped.lines().any(|line| line == name);
        let label = format!("{prefix}{name}");
        if skipped {
            let why = "needs what this kernel has not (`#needs:` in its script)".to_owned();
            trials.push(trial(&job.kernel, &label, move || Err(crate::Skipped(why).into())));
        } else if !done && ["", "*"].contains(&chosen.trim()) {
            trials.push(trial(&job.kernel, &label, || bail!("did not run")));
        }
    }
    trials.push(trial(&job.kernel, &format!("{prefix}nothing_unexpected"), move || {
        let unexpected: Vec<_> = foreign.iter().map(|incident| json!(normal(incident))).collect();
        ensure!(unexpected.is_empty(), "nobody expected {}", json!(unexpected));
        Ok(())
    }));
    let statuses = job.text("statuses")?;
    trials.push(trial(&job.kernel, &format!("{prefix}every_program_did_its_part"), move || {
        parts(&statuses)
    }));
    Ok(trials)
}

/// What the watch did not see, for who asks why an answer is another.
fn unseen(watched: &[Record]) -> String {
    let said = watched.iter().filter_map(|record| match record {
        Record::Missed(missed) => Some(format!("{} ×{}", missed.hook, missed.calls)),
        Record::Loss(loss) => Some(format!("{} events of {}", loss.lost, loss.ring)),
        _ => None,
    });
    let said: Vec<String> = said.collect();
    format!("not seen in the whole watch: [{}]", said.join(", "))
}

/// 99 is how the programs under test say that something else failed than what was meant to;
/// 143 is one that was killed because it took too long.
fn parts(statuses: &str) -> Result<()> {
    let bad = |line: &&str| line.ends_with(" 99") || line.ends_with(" 143");
    let bad: Vec<&str> = statuses.lines().filter(bad).collect();
    ensure!(bad.is_empty(), "{}", bad.join("; "));
    Ok(())
}

impl Scenario {
    fn parse(name: String, script: &str) -> Result<Self> {
        let map =
            |text: &str| serde_json::from_str::<Map<_, _>>(text).with_context(|| text.to_owned());
        // `#25:` stands for as many lines.
        let lines = script.lines().filter_map(|line| line.strip_prefix('#')?.split_once(": "));
        let lines = lines.filter_map(|(times, text)| match times {
            "" => Some((1, text)),
            times => Some((times.parse().ok()?, text)),
        });
        let mut expected = Vec::new();
        for (times, text) in lines {
            expected.extend(std::iter::repeat_n(map(text)?, times));
        }
        let unless = script
            .lines()
            .filter_map(|line| line.strip_prefix("#+")?.split_once(": "))
            .map(|(fact, text)| Ok((fact.to_owned(), Otherwise::parse(text)?)))
            .collect::<Result<_>>()?;
        Ok(Self { name, expected, unless })
    }

    /// What must come of it in `dir` where `facts` hold.
    fn expected(&self, dir: &str, facts: &str) -> Vec<Map<String, Value>> {
        let mut expected = self.expected.clone();
        let holds = |fact: &str| facts.lines().any(|line| line == fact);
        // `#+ONE&OTHER:` where both hold.
        let all = |all: &str| all.split('&').all(holds);
        for (fact, other) in self.unless.iter().filter(|(fact, _)| all(fact)) {
            if matches!(other, Otherwise::Nothing) {
                expected.clear();
            }
            for (i, map) in expected.iter_mut().enumerate() {
                let Some(other) = other.of(i) else { continue };
                if fact == SIGNAL_ALONE {
                    map.retain(|key, _| !NOT_TOLD.contains(&key.as_str()));
                    if !holds("linux-5.10") && map.contains_key("offset") {
                        map.insert("driver".to_owned(), json!({"in": REFUSES}));
                        map.insert("module".to_owned(), json!({"any": true}));
                    }
                }
                map.extend(other.clone());
                map.retain(|_, value| !value.is_null());
            }
        }
        let fill = |map: Map<String, Value>| {
            let text = Value::Object(map).to_string().replace("$D", dir);
            serde_json::from_str(&text).unwrap_or_default()
        };
        expected.into_iter().map(fill).collect()
    }
}

/// What only some scenarios ask for.
const IF_ASKED: [&str; 11] = [
    "cgroup",
    "unit",
    "container",
    "exe",
    "culprit_exe",
    "culprit_cgroup",
    "claims",
    "calls",
    "lines",
    "stdout",
    "stderr",
];

fn compare(expected: &[Map<String, Value>], got: &[Map<String, Value>]) -> Result<()> {
    if expected.len() != got.len() {
        bail!("{} incidents instead of {}: {}", got.len(), expected.len(), json!(got));
    }
    let (mut faults, mut owed) = (Vec::new(), Vec::new());
    for (want, got) in expected.iter().zip(got) {
        let before = faults.len();
        let keys: std::collections::BTreeSet<&String> = want.keys().chain(got.keys()).collect();
        for key in keys {
            let (mut want, got) = (want.get(key), got.get(key));
            if let Some(what) = want.and_then(|want| want.get("owed")) {
                if got.is_none() {
                    owed.push(key.as_str());
                    continue;
                }
                want = Some(what);
            }
            if want.is_none() && IF_ASKED.contains(&key.as_str()) {
                continue;
            }
            if key == "says" {
                // Of the summary a part is enough, and nothing if nothing is asked for.
                let part = want.and_then(Value::as_str).unwrap_or_default();
                if !got.and_then(Value::as_str).is_some_and(|summary| summary.contains(part)) {
                    faults.push(format!("the summary does not say `{part}`: {got:?}"));
                }
                continue;
            }
            if !matches(want, got) {
                let show =
                    |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
                faults.push(format!("{key} is {}, expected {}", show(got), show(want)));
            }
        }
        if let (true, Some(says)) = (faults.len() > before, got.get("says")) {
            faults.push(format!("the summary is {says}"));
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    if owed.is_empty() {
        return Ok(());
    }
    let what = owed.join(" and ");
    Err(crate::Skipped(format!(
        "owed: {what} had to be looked up afterwards, and was not to be had"
    ))
    .into())
}

/// A number may be one of several, where it depends on how far another process had got; whoever comes by may be any.
fn matches(want: Option<&Value>, got: Option<&Value>) -> bool {
    let Some(Value::Object(rule)) = want else { return want == got };
    if rule.contains_key("any") {
        return true;
    }
    let Some(got) = got else { return false };
    match (rule.get("in"), rule.get("most")) {
        (Some(Value::Array(allowed)), None) => allowed.contains(got),
        (None, Some(most)) => got.as_u64().is_some_and(|got| Some(got) <= most.as_u64()),
        _ => false,
    }
}

/// What a form does not tell must not be told, and nothing else may be missing.
fn of_the_signal_alone() -> Result<()> {
    let script = "#: {\"class\": \"truncated\", \"offset\": 9, \"culprit\": \"cp\", \"complete\": true}\n\
                  #+signal-alone: {\"confidence\": \"likely\"}\n#+signal-alone&old: {\"class\": \"unknown\"}\n";
    let scenario = Scenario::parse("name".to_owned(), script)?;
    let map = |text: &str| -> Result<Map<String, Value>> { Ok(serde_json::from_str(text)?) };
    let told = |facts: &str, got: &str| -> Result<bool> {
        Ok(compare(&scenario.expected("/d", facts), &[map(got)?]).is_ok())
    };
    let right =
        r#"{"class": "truncated", "confidence": "likely", "offset": 9, "driver": "shmem_fault"}"#;
    ensure!(told("signal-alone\n", right)? && !told("", right)?);
    let whole = r#"{"class": "truncated", "offset": 9, "culprit": "cp", "complete": true}"#;
    ensure!(told("", whole)? && !told("signal-alone\n", whole)?, "it tells what it cannot know");
    for (what, other) in [
        ("\"class\": \"truncated\"", "\"class\": \"unknown\""),
        ("\"likely\"", "\"proven\""),
        ("\"offset\": 9, ", ""),
        ("shmem_fault", "ext4_fault"),
    ] {
        ensure!(!told("signal-alone\n", &right.replace(what, other))?, "{other} passes");
    }
    let old = right.replace("truncated", "unknown");
    ensure!(told("signal-alone\nold\n", &old)? && !told("signal-alone\n", &old)?);
    let nothing = Scenario::parse("name".to_owned(), "#: {}\n#+signal-alone: none")?;
    let blind = nothing.expected("/d", "signal-alone\n");
    ensure!(compare(&blind, &[]).is_ok() && compare(&blind, &[Map::new()]).is_err());
    ensure!(compare(&nothing.expected("/d", ""), &[]).is_err());
    Ok(())
}

/// Of each kind of difference one.
pub fn it_tells_what_differs() -> Result<()> {
    let script = "#: {\"class\": \"sent\", \"size\": {\"in\": [0, 4]}, \"ns_pid\": {\"most\": 9}, \
                  \"path\": \"$D/f\"}\n#+old: {\"class\": null, \"says\": \"because\"}\n";
    let scenario = Scenario::parse("name".to_owned(), script)?;
    let map = |text: &str| -> Result<Map<String, Value>> { Ok(serde_json::from_str(text)?) };
    let right = map(r#"{"class": "sent", "size": 4, "ns_pid": 9, "path": "/d/f", "says": "x"}"#)?;
    let expected = scenario.expected("/d", "new\n");
    compare(&expected, std::slice::from_ref(&right))?;
    let old = map(r#"{"size": 0, "ns_pid": 1, "path": "/d/f", "says": "x because y"}"#)?;
    compare(&scenario.expected("/d", "new\nold\n"), std::slice::from_ref(&old))?;
    let asked = Scenario::parse("name".to_owned(), "#: {\"cgroup\": \"/a\"}")?;
    let elsewhere = map(r#"{"cgroup": "/b", "unit": "b.service"}"#)?;
    ensure!(compare(&asked.expected("/d", ""), &[elsewhere]).is_err());
    let there = map(r#"{"cgroup": "/a", "unit": "b.service"}"#)?;
    compare(&asked.expected("/d", ""), &[there])?;
    for (key, value) in
        [("class", "exited".into()), ("size", 5.into()), ("ns_pid", 10.into()), ("new", 1.into())]
    {
        let mut wrong = right.clone();
        wrong.insert(key.to_owned(), value);
        let told = compare(&expected, &[wrong]).err().map(|error| error.to_string());
        ensure!(told.as_ref().is_some_and(|told| told.starts_with(key)), "{key}: {told:?}");
    }
    ensure!(compare(&expected, &[]).is_err() && compare(&expected, &[right, old]).is_err());
    let owing = [map(r#"{"cmdline": {"owed": "cp new"}}"#)?];
    compare(&owing, &[map(r#"{"cmdline": "cp new"}"#)?])?;
    let skipped = |got| -> Result<bool> {
        Ok(compare(&owing, &[map(got)?]).is_err_and(|error| error.is::<crate::Skipped>()))
    };
    ensure!(skipped("{}")?, "what is owed is ignored");
    ensure!(!skipped(r#"{"cmdline": "mv"}"#)? && !skipped(r#"{"new": 1}"#)?, "what is wrong fails");
    of_the_signal_alone()?;
    let wrong = Scenario::parse("name".to_owned(), "#: {");
    ensure!(wrong.is_err(), "an expectation that is no JSON is none");
    Ok(())
}
