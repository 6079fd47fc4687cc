//! `whybus scan`: bus errors waiting to happen, without eBPF.
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::{
    cli::Scan as Args,
    cmd::status::ExitStatus,
    contract::{self, FoundFile, FoundMapping, FoundProcess, Hex, Record},
    host::memory::page_size,
    render::{Format, json},
    scan::{
        finding::Finding,
        walk::{Found, Scan, scan},
    },
    sink::stdout::put,
    text::{escape::escape, format::size},
};

/// # Errors
/// Where nobody reads.
pub fn run(args: &Args) -> Result<ExitStatus> {
    let started = Instant::now();
    let seen = scan(page_size());
    let took = started.elapsed();
    let bytes = match args.output {
        Format::Json => as_json(&seen, took),
        Format::Human | Format::Oneline => as_text(&seen, took.as_millis()).into_bytes(),
    };
    put(&bytes)?;
    if seen.denied != 0 {
        eprintln!("whybus: {} processes do not show their mappings: run it as root", seen.denied);
    }
    Ok(status(seen.found.len(), seen.denied))
}

/// What was found is sure; that nothing was found only if all was looked at.
fn status(findings: usize, denied: u64) -> ExitStatus {
    match (findings, denied) {
        (0, 0) => ExitStatus::Done,
        (0, _) => ExitStatus::Partly,
        _ => ExitStatus::Findings,
    }
}

fn as_json(seen: &Scan, took: Duration) -> Vec<u8> {
    let mut out = Vec::new();
    for found in &seen.found {
        out.extend(json(&Record::Finding(Box::new(finding(found)))));
    }
    out.extend(json(&Record::Scan(contract::Scan {
        processes: seen.processes,
        mappings: seen.mappings,
        findings: seen.found.len() as u64,
        denied: seen.denied,
        unknown: seen.unknown,
        took_ns: u64::try_from(took.as_nanos()).unwrap_or(u64::MAX),
    })));
    out
}

fn finding(found: &Found) -> contract::Finding {
    let Found { pid, comm, mapping, size, finding } = found;
    contract::Finding {
        what: finding.name().into(),
        process: FoundProcess { pid: *pid, comm: comm[..].into() },
        file: FoundFile {
            path: mapping.path[..].into(),
            dev: mapping.dev.to_string().into(),
            inode: mapping.inode,
            size: *size,
            deleted: mapping.deleted,
        },
        mapping: FoundMapping {
            start: Hex(mapping.start),
            end: Hex(mapping.end),
            file_offset: mapping.file_offset,
            past_end: match finding {
                Finding::PastEnd(bytes) => Some(*bytes),
                Finding::Deleted | Finding::Replaced => None,
            },
        },
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_only_sure_where_all_was_looked_at() {
        assert_eq!(status(0, 0), ExitStatus::Done);
        assert_eq!(status(0, 1), ExitStatus::Partly);
        assert_eq!(status(2, 0), ExitStatus::Findings);
        assert_eq!(status(2, 1), ExitStatus::Findings);
    }
}
