//! Scenarios: what a script in xtask/guest/scenarios does to a kernel, and exactly the incidents
//! that must come of it.
use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};

/// One script and what it must lead to.
pub struct Scenario {
    pub name: String,
    /// Normalised incidents; `$D` stands for the scenario's directory.
    expected: Vec<Map<String, Value>>,
    /// What is otherwise where a fact holds (`#+FACT: {…}`): merged into every incident, null
    /// taking a key away.
    unless: Vec<(String, Map<String, Value>)>,
}

/// Reads the scenarios of a directory.
///
/// # Errors
/// Where an expectation is no JSON.
pub fn read(dir: &Path) -> Result<Vec<Scenario>> {
    let mut scenarios = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        let path = entry?.path();
        if path.extension().and_then(|ext| ext.to_str()) != Some("sh") {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path)?;
        let expected = text
            .lines()
            .filter_map(|line| line.strip_prefix("#: "))
            .map(|line| {
                serde_json::from_str(line).with_context(|| format!("{}: {line}", path.display()))
            })
            .collect::<Result<_>>()?;
        let unless = text
            .lines()
            .filter_map(|line| line.strip_prefix("#+")?.split_once(": "))
            .map(|(fact, map)| {
                let map = serde_json::from_str(map);
                Ok((fact.to_owned(), map.with_context(|| path.display().to_string())?))
            })
            .collect::<Result<_>>()?;
        scenarios.push(Scenario { name, expected, unless });
    }
    scenarios.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(scenarios)
}

/// The incidents of a JSON stream, each as it was told last, in the order they happened.
pub fn incidents(stream: &str) -> Vec<Value> {
    let mut last = BTreeMap::new();
    for line in stream.lines() {
        let Ok(value) = serde_json::from_str::<Value>(line) else { continue };
        if matches!(value["kind"].as_str(), Some("incident" | "update")) {
            last.insert((value["time"].to_string(), value["id"].to_string()), value);
        }
    }
    last.into_values().collect()
}

/// The fault of a scenario nobody ran.
pub const NOT_RUN: &str = "did not run";

/// How one run of one scenario ended.
pub struct Run {
    pub name: String,
    /// What differs; empty if it passed.
    pub faults: Vec<String>,
}

/// Holds the incidents of a guest against what its scenarios expect. `ran` has a line a run:
/// name and file system; `skipped` a name a line, of those that need what the kernel has not;
/// `facts` a fact of this guest a line.
pub fn judge(
    scenarios: &[Scenario],
    ran: &str,
    skipped: &str,
    facts: &str,
    incidents: &[Value],
) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut claimed = vec![false; incidents.len()];
    for line in ran.lines() {
        let Some((name, fs)) = line.split_once(' ') else { continue };
        let dir = format!("/mnt/{fs}/{name}");
        let mut faults = Vec::new();
        let mine: Vec<Map<String, Value>> = incidents
            .iter()
            .enumerate()
            .filter(|(_, incident)| concerns(incident, &format!("{dir}/")))
            .map(|(i, incident)| {
                claimed[i] = true;
                normal(incident)
            })
            .collect();
        match scenarios.iter().find(|scenario| scenario.name == name) {
            None => faults.push("no such scenario".to_owned()),
            Some(scenario) => compare(&scenario.expected(&dir, facts), &mine, &mut faults),
        }
        runs.push(Run { name: format!("{name} on {fs}"), faults });
    }
    let missing = |scenario: &&Scenario| {
        let name = Some(scenario.name.as_str());
        let ran = ran.lines().any(|line| line.split(' ').next() == name);
        !ran && !skipped.lines().any(|line| Some(line) == name)
    };
    for scenario in scenarios.iter().filter(missing) {
        runs.push(Run { name: scenario.name.clone(), faults: vec![NOT_RUN.to_owned()] });
    }
    for (incident, claimed) in incidents.iter().zip(claimed) {
        if !claimed {
            let faults = vec![format!("nobody expected {}", Value::Object(normal(incident)))];
            runs.push(Run { name: "unexpected incident".to_owned(), faults });
        }
    }
    runs
}

fn concerns(incident: &Value, dir: &str) -> bool {
    let args = incident["victim"]["cmdline"].as_array().map(Vec::as_slice).unwrap_or_default();
    let path = &incident["file"]["path"];
    args.iter()
        .chain([path])
        .any(|value| plain(value).as_str().is_some_and(|text| text.starts_with(dir)))
}

impl Scenario {
    /// What must come of it in `dir` where `facts` hold.
    fn expected(&self, dir: &str, facts: &str) -> Vec<Map<String, Value>> {
        let mut expected = self.expected.clone();
        let holds = |fact: &str| facts.lines().any(|line| line == fact);
        for (_, other) in self.unless.iter().filter(|(fact, _)| holds(fact)) {
            for map in &mut expected {
                map.extend(other.clone());
                map.retain(|_, value| !value.is_null());
            }
        }
        expected.iter().map(|map| fill(map, dir)).collect()
    }
}

fn compare(expected: &[Map<String, Value>], got: &[Map<String, Value>], faults: &mut Vec<String>) {
    if expected.len() != got.len() {
        let got: Vec<Value> = got.iter().cloned().map(Value::Object).collect();
        faults.push(format!(
            "{} incidents instead of {}: {}",
            got.len(),
            expected.len(),
            json!(got)
        ));
        return;
    }
    for (want, got) in expected.iter().zip(got) {
        let keys: std::collections::BTreeSet<&String> = want.keys().chain(got.keys()).collect();
        for key in keys {
            let (want, got) = (want.get(key), got.get(key));
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
    }
}

/// A number may be one of several, where it depends on how far another process had got.
fn matches(want: Option<&Value>, got: Option<&Value>) -> bool {
    let Some(Value::Object(rule)) = want else { return want == got };
    let Some(got) = got else { return false };
    match (rule.get("in"), rule.get("most")) {
        (Some(Value::Array(allowed)), None) => allowed.contains(got),
        (None, Some(most)) => got.as_u64().is_some_and(|got| Some(got) <= most.as_u64()),
        _ => false,
    }
}

fn fill(map: &Map<String, Value>, dir: &str) -> Map<String, Value> {
    let text = Value::Object(map.clone()).to_string().replace("$D", dir);
    serde_json::from_str(&text).unwrap_or_default()
}

/// What an incident says, without what differs from run to run: pids, times, addresses.
fn normal(incident: &Value) -> Map<String, Value> {
    let cause = &incident["cause"];
    let culprit = &cause["culprit"];
    let fault = &incident["fault"];
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| {
        let empty =
            value.is_null() || value.as_array().is_some_and(Vec::is_empty) || value == false;
        if !empty {
            out.insert(key.to_owned(), value);
        }
    };
    put("says", cause["summary"].clone());
    put("class", cause["class"].clone());
    put("confidence", cause["confidence"].clone());
    put("victim", plain(&incident["victim"]["comm"]));
    put("access", fault["access"].clone());
    put("mode", fault["mode"].clone());
    // Without a signal 5.10 tells only the page.
    put("offset", fault["file_offset"].clone());
    put("size", incident["file"]["size"].clone());
    put("path", plain(&incident["file"]["path"]));
    // Only where the culprit knew it by another name.
    let (own, other) = (plain(&incident["file"]["path"]), plain(&cause["path"]));
    put("as", if own == other { Value::Null } else { other });
    let mapping = plain(&fault["mapping"]);
    put("mapping", if mapping.is_null() { plain(&cause["mapping"]) } else { mapping });
    put("deleted", incident["file"]["deleted"].clone());
    put("how", cause["how"].clone());
    put("old", cause["old_size"].clone());
    put("new", cause["new_size"].clone());
    put("culprit", plain(&culprit["comm"]));
    let args = culprit["cmdline"].as_array();
    let words = args.map(|args| {
        args.iter().filter_map(|arg| Some(plain(arg).as_str()?.to_owned())).collect::<Vec<_>>()
    });
    put("cmdline", words.map(|words| words.join(" ")).into());
    let parents = culprit["ancestors"].as_array().map(Vec::as_slice).unwrap_or_default();
    put("parents", parents.iter().map(|parent| plain(&parent["comm"])).collect());
    let others = cause["others"].as_array().map(Vec::as_slice).unwrap_or_default();
    let other =
        |other: &Value| json!([plain(&other["comm"]), other["old_size"], other["new_size"]]);
    put("others", others.iter().map(other).collect());
    // Only of a victim in other namespaces.
    let host_path = plain(&incident["file"]["host_path"]);
    if let Some(path) = host_path.as_str() {
        let words = path.split('/').map(|word| match word.parse::<u32>() {
            Ok(_) => "N",
            Err(_) => word,
        });
        put("host_path", words.collect::<Vec<_>>().join("/").into());
        let mount = &incident["file"]["mount"];
        let (point, source) = (plain(&mount["point"]), plain(&mount["source"]));
        let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
        put("mount", format!("{} on {}", text(&source), text(&point)).into());
    }
    let victim = &incident["victim"];
    if victim["ns_pid"] != victim["pid"] {
        put("ns_pid", victim["ns_pid"].clone());
    }
    put("signal", incident["signal"]["code_name"].clone());
    put("disposition", incident["signal"]["disposition"].clone());
    put("outcome", incident["outcome"].clone());
    let exit = &incident["exit"];
    put(
        "exit",
        match (exit["signal"].as_u64(), exit["code"].as_u64()) {
            (Some(signal), _) => format!("signal {signal}").into(),
            (None, Some(code)) => format!("status {code}").into(),
            (None, None) => Value::Null,
        },
    );
    let count = fault["count"].as_u64().or(Some(1));
    put("count", count.into());
    put("complete", incident["complete"].clone());
    out
}

/// A text of the contract as one string: bytes that are no UTF-8 as `\xNN`.
fn plain(value: &Value) -> Value {
    let Some(encoded) = value["bytes"].as_str() else { return value.clone() };
    let Ok(bytes) = BASE64_STANDARD.decode(encoded) else { return Value::Null };
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out.into()
}
