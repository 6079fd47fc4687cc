//! What a newcomer saw at 60, 80 and 200 columns, each as it was typed.
mod common;
use std::fs;

use common::{Host, text};
use serde_json::{Value, json};

/// A history of nothing but incidents made of a recorded one by `change`.
fn made(how_many: usize, change: impl Fn(usize, &mut Value)) -> Host {
    let recorded = Host::new();
    let first = recorded.types(&["list", "-n", "1", "-o", "json", "--comm", "reader"]);
    let first: Value = serde_json::from_str(&text(&first.stdout)).expect("JSON");
    let line = |i: usize| {
        let mut one = first.clone();
        one["id"] = format!("{:08x}-6f31-7ab0-8def-{i:012}", 0x019a_a4d2 + i).into();
        one["boot_ns"] = (1_000_000_000 * (i + 1)).into();
        change(i, &mut one);
        format!("{one}\n")
    };
    let host = Host(tempfile::tempdir().expect("a temporary directory"));
    let file = host.0.path().join("made.json");
    fs::write(&file, (0..how_many).map(line).collect::<String>()).expect("room");
    let import = host.types(&["import", file.to_str().expect("UTF-8")]);
    assert!(import.status.success(), "{}", text(&import.stderr));
    host
}

/// What a shell splits a command into, as bash(1) does.
fn words(command: &str) -> Vec<String> {
    let mut bash = std::process::Command::new("bash");
    let out = bash.args(["-c", &format!("printf '%s\\0' {command}")]).output().expect("bash");
    text(&out.stdout).split_terminator('\0').map(str::to_owned).collect()
}

/// Containers of several hosts whose cgroups all have the path `/`.
#[test]
fn who_only_shares_the_path_of_a_cgroup_is_no_container_of_it() {
    let host = made(10, |i, one| {
        one["host"] = format!("node-{}", i % 2).into();
        one["victim"]["cgroup"] = "/".into();
        one["victim"]["pod"] = Value::Null;
        one["victim"]["container"] = match i % 5 {
            0 => Value::Null,
            n => {
                let image = format!("registry.example/app-{n}:1");
                json!({"id": format!("{n:064x}"), "runtime": "docker", "name": format!("c{n}"), "image": image})
            }
        };
    });
    let found = |args: &[&str]| text(&host.types(&[&["list", "-o", "json"], args].concat()).stdout);
    for filter in
        [["--container", "c1"], ["--image", "app-1"], ["--container", &format!("{:064x}", 1)]]
    {
        let found = found(&filter);
        assert_eq!(found.lines().count(), 2, "{filter:?}");
        for one in found.lines() {
            let one: Value = serde_json::from_str(one).expect("JSON");
            assert_eq!(one["victim"]["container"]["name"], "c1");
        }
    }
    assert_eq!(found(&["--cgroup", "/"]).lines().count(), 10);
    assert_eq!(found(&["--not-container", "c1"]).lines().count(), 8);
    let stats = text(&host.types(&["stats", "--by", "container", "-o", "json"]).stdout);
    let rows: Vec<Value> =
        stats.lines().map(|row| serde_json::from_str(row).expect("JSON")).collect();
    let mut counted: Vec<(&str, u64)> = rows
        .iter()
        .map(|row| {
            (row["name"].as_str().expect("text"), row["incidents"].as_u64().expect("so many"))
        })
        .collect();
    counted.sort_unstable();
    assert_eq!(counted, [("c1", 2), ("c2", 2), ("c3", 2), ("c4", 2)]);
}
