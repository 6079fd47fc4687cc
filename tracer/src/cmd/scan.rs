//! `whybus scan`: bus errors waiting to happen, without eBPF.
use std::{collections::BTreeMap, process::ExitCode, time::Instant};

use anyhow::Result;
use serde_json::json;

use crate::{
    cli::{Format, Scan as Args},
    host::memory::page_size,
    render::json::text,
    scan::{
        finding::Finding,
        walk::{Found, Scan, scan},
    },
    sink::stdout::put,
    text::{escape::escape, format::size},
};

/// # Errors
/// Where nobody reads.
pub fn run(args: &Args) -> Result<ExitCode> {
    let started = Instant::now();
    let seen = scan(page_size());
    let took = started.elapsed();
    let bytes = match args.output {
        Format::Json => as_json(&seen, took.as_nanos()),
        Format::Human | Format::Oneline => as_text(&seen, took.as_millis()),
    };
    put(bytes.as_bytes())?;
    if seen.denied != 0 {
        eprintln!("whybus: {} processes do not show their mappings: run it as root", seen.denied);
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(seen: &Scan, took_ns: u128) -> String {
    let mut out = String::new();
    for found in &seen.found {
        let Found { pid, comm, mapping, size, finding } = found;
        let past_end = match finding {
            Finding::PastEnd(bytes) => Some(bytes),
            Finding::Deleted | Finding::Replaced => None,
        };
        let line = json!({
            "schema": 1, "kind": "finding", "what": finding.name(),
            "process": {"pid": pid, "comm": text(comm)},
            "file": {
                "path": text(&mapping.path), "dev": mapping.dev.to_string(),
                "inode": mapping.inode, "size": size, "deleted": mapping.deleted,
            },
            "mapping": {
                "start": format!("{:#x}", mapping.start), "end": format!("{:#x}", mapping.end),
                "file_offset": mapping.file_offset, "past_end": past_end,
            },
        });
        out.push_str(&format!("{line}\n"));
    }
    let line = json!({
        "schema": 1, "kind": "scan", "processes": seen.processes, "mappings": seen.mappings,
        "findings": seen.found.len(), "denied": seen.denied, "unknown": seen.unknown,
        "took_ns": took_ns as u64,
    });
    out + &format!("{line}\n")
}

/// By file, its processes below it.
fn as_text(seen: &Scan, took_ms: u128) -> String {
    let mut files: BTreeMap<_, Vec<&Found>> = BTreeMap::new();
    for found in &seen.found {
        let mapping = &found.mapping;
        let key = (found.finding.name(), &mapping.path, mapping.inode, found.size);
        files.entry(key).or_default().push(found);
    }
    let mut out = String::new();
    for ((what, path, inode, bytes), all) in files {
        let mapping = &all[0].mapping;
        let deleted = if mapping.deleted { " (deleted)" } else { "" };
        let path = escape(path);
        let dev = mapping.dev;
        out.push_str(&format!(
            "{what:<9} {path}{deleted}  ({dev}, inode {inode}, {})\n",
            size(bytes)
        ));
        for found in all {
            let who = format!("{}[{}]", escape(&found.comm), found.pid);
            out.push_str(&match found.finding {
                Finding::PastEnd(past) => format!(
                    "          {who} maps {} of it beyond the end, up to {:#x}\n",
                    size(past),
                    found.mapping.end
                ),
                Finding::Deleted | Finding::Replaced => format!("          {who} still runs it\n"),
            });
        }
    }
    out + &format!(
        "{} findings in {} file mappings of {} processes, {took_ms} ms\n",
        seen.found.len(),
        seen.mappings,
        seen.processes
    )
}
