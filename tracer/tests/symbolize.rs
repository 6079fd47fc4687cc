//! `show --symbolize`: an incident of another host, whose program is here only as a debug file.
use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

mod common;
use common::{text, values, whybus};

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/streams/newest.json");
const PROGRAM: &str = "
int geo_lookup(volatile int *row) {
    return row[7]; // HERE
}
int main(int argc, char **argv) {
    return geo_lookup((volatile int *)argv) + argc;
}
";
const BUILD_ID: &str = "8a3f00c2d1e4";

fn run(directory: &Path, program: &str, arguments: &[&str]) -> String {
    let out = Command::new(program).args(arguments).current_dir(directory).output();
    let out = out.expect("a program");
    assert!(out.status.success(), "{program}: {}", text(&out.stderr));
    text(&out.stdout)
}

/// An incident whose only frame is at the start of `geo_lookup`, at that address of a program that is not here.
fn incident(address: u64) -> Value {
    let lines = fs::read_to_string(RECORDED).expect("recorded");
    let mut values = lines.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    let mut incident: Value =
        values.find(|value: &Value| value["kind"] == "incident").expect("one");
    incident["stack"] = json!({"cut": null, "user": [{
        "ip": "0x7f0000001000", "symbol": null, "symbol_offset": null,
        "module": "/nonexistent/geo-api", "module_offset": 4096,
        "module_address": format!("{address:#x}"), "build_id": BUILD_ID,
    }]});
    incident
}

#[test]
fn lines_are_looked_up_by_build_id_on_any_host() {
    let around = tempfile::tempdir().expect("a directory");
    let run = |program, arguments: &[&str]| run(around.path(), program, arguments);
    fs::write(around.path().join("lookup.c"), PROGRAM).expect("room");
    let id = format!("-Wl,--build-id=0x{BUILD_ID}");
    run("cc", &["-O1", "-g", "-fno-inline", &id, "lookup.c", "-o", "geo-api"]);
    let symbols = run("nm", &["geo-api"]);
    let symbol = symbols.lines().find(|line| line.ends_with(" geo_lookup")).expect("geo_lookup");
    let address = u64::from_str_radix(symbol.split(' ').next().expect("it"), 16).expect("hex");
    let incident = incident(address);
    fs::write(around.path().join("other-host.json"), incident.to_string()).expect("room");
    let state = around.path().join("state");
    let whybus = |arguments: &[&str]| {
        let mut command = whybus(arguments);
        command.arg("--state-dir").arg(&state).current_dir(around.path());
        command.output().expect("whybus runs")
    };
    assert!(whybus(&["import", "other-host.json"]).status.success());
    let show =
        ["show", incident["id"].as_str().expect("an id"), "--symbolize", "--debug-dir", "debug"];

    let out = whybus(&show);
    let missing = "whybus: --debug-dir debug: No such file or directory";
    assert!(text(&out.stderr).starts_with(missing), "{}", text(&out.stderr));
    assert_eq!(out.status.code(), Some(66));
    fs::create_dir(around.path().join("debug")).expect("room");
    let out = whybus(&show);
    let said = text(&out.stderr);
    let missing = "no lines of /nonexistent/geo-api: no debug file of its build; looked for /";
    let place = format!("/debug/.build-id/{}/{}.debug\n", &BUILD_ID[..2], &BUILD_ID[2..]);
    assert!(said.starts_with(missing) && said.ends_with(&place), "{said}");
    assert!(out.status.success());
    assert!(text(&out.stdout).contains("in /nonexistent/geo-api+0x1000"), "{}", text(&out.stdout));

    let place = format!("debug/.build-id/{}/{}.debug", &BUILD_ID[..2], &BUILD_ID[2..]);
    fs::create_dir_all(around.path().join(&place).parent().expect("a directory")).expect("room");
    run("objcopy", &["--only-keep-debug", "geo-api", &place]);
    let out = whybus(&show);
    let shown = text(&out.stdout);
    assert_eq!(text(&out.stderr), "");
    assert!(shown.contains("geo_lookup in /nonexistent/geo-api, lookup.c:"), "{shown}");
    let shown = values(&whybus(&[&show[..], &["-o", "json"]].concat()));
    let frame = &shown[0]["stack"]["user"][0];
    assert_eq!((&frame["symbol"], &frame["symbol_offset"]), (&json!("geo_lookup"), &json!(0)));
    let source = around.path().join("lookup.c");
    assert_eq!(frame["source"], json!(source.to_str().expect("text")));
    let line = PROGRAM.lines().position(|line| line.ends_with("// HERE")).expect("it") as u64;
    // The compiler may count the start of a function as its first line.
    assert!([line, line + 1].map(Value::from).contains(&frame["line"]), "{frame}");

    let other = run("cc", &["-g", "-Wl,--build-id=0x11", "lookup.c", "-o", &place]);
    let out = whybus(&show);
    assert!(text(&out.stderr).contains("of another build"), "{other}{}", text(&out.stderr));
}
