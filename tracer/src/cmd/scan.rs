//! `whybus scan`: bus errors waiting to happen, without eBPF.
use std::time::Instant;

use anyhow::Result;
use rustix::process::geteuid;

use crate::{
    cli::Scan as Args,
    cmd::exit_status::ExitStatus,
    contract::{self, FoundFile, FoundMapping, FoundProcess, Hex, Record},
    host::memory::page_size,
    model::Bytes,
    render::{Format, json, scan as render},
    scan::{
        finding::Finding,
        walk::{Found, scan},
    },
    sink::speak::{put, say},
    text::escape::escape,
};

/// # Errors
/// Where nobody reads.
pub fn run(args: &Args) -> Result<ExitStatus> {
    let started = Instant::now();
    let seen = scan(page_size());
    let findings: Vec<_> = seen.found.iter().map(finding).collect();
    let summary = contract::Scan {
        processes: seen.processes,
        mappings: seen.mappings,
        findings: findings.len() as u64,
        denied: seen.denied,
        unknown: seen.unknown,
        took_ns: u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX),
    };
    let bytes = match args.output {
        Format::Json => {
            let lines = findings.into_iter().map(|finding| Record::Finding(Box::new(finding)));
            lines.chain([Record::Scan(summary)]).flat_map(|record| json(&record)).collect()
        }
        Format::Human | Format::Oneline => render::human(&findings, &summary),
    };
    put(&bytes)?;
    if seen.denied != 0 {
        say(format_args!("whybus: {}", denied(seen.denied, &seen.closed, geteuid().is_root())));
    }
    Ok(status(seen.found.len(), seen.denied))
}

/// Whoever is root already is not told to be.
fn denied(processes: u64, closed: &[(u32, Bytes)], root: bool) -> String {
    let whose = match processes {
        1 => "1 process".to_owned(),
        processes => format!("{processes} processes"),
    };
    let named: Vec<String> =
        closed.iter().map(|(pid, comm)| format!("{}[{pid}]", escape(comm))).collect();
    let more = if processes > named.len() as u64 { ", ..." } else { "" };
    let why = match root {
        true => "CAP_SYS_PTRACE is missing, or a security module forbids it",
        false => "run it as root",
    };
    format!("the mappings of {whose} ({}{more}) could not be read: {why}", named.join(", "))
}

/// What was found is sure; that nothing was found only if all was looked at.
fn status(findings: usize, denied: u64) -> ExitStatus {
    match (findings, denied) {
        (0, 0) => ExitStatus::Done,
        (0, _) => ExitStatus::Partly,
        _ => ExitStatus::Findings,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_show_its_mappings_is_named() {
        let closed = [(7, b"a\x1bb".to_vec()), (8, b"geo".to_vec())];
        let said = denied(2, &closed, true);
        assert!(
            said.starts_with("the mappings of 2 processes (a\\x1bb[7], geo[8]) could"),
            "{said}"
        );
        assert!(
            denied(9, &closed, false).contains("geo[8], ...) could not be read: run it as root")
        );
    }

    #[test]
    fn nothing_is_only_sure_where_all_was_looked_at() {
        assert_eq!(status(0, 0), ExitStatus::Done);
        assert_eq!(status(0, 1), ExitStatus::Partly);
        assert_eq!(status(2, 0), ExitStatus::Findings);
        assert_eq!(status(2, 1), ExitStatus::Findings);
    }
}
