//! What `whybus scan` found, for people.
use std::collections::BTreeMap;

use crate::{
    contract::{Finding, Scan},
    text::{
        escape::{escape, process_name},
        format::{counted, size},
    },
};

/// By file, its processes below it.
pub fn human(findings: &[Finding], scan: &Scan) -> Vec<u8> {
    let mut files: BTreeMap<_, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        let Finding { what, file, .. } = finding;
        files.entry((what, &file.path, file.inode, file.size)).or_default().push(finding);
    }
    let mut out = String::new();
    for ((what, path, inode, bytes), all) in files {
        let file = &all[0].file;
        let deleted = if file.deleted { " (deleted)" } else { "" };
        out.push_str(&format!(
            "{:<9} {}{deleted}  ({}, inode {inode}, {})\n",
            &**what,
            escape(&path.0),
            file.dev,
            size(bytes)
        ));
        for Finding { process, mapping, .. } in all {
            let who = format!("{}[{}]", process_name(&process.comm.0), process.pid);
            out.push_str(&match mapping.past_end {
                Some(past) => format!(
                    "          {who} maps {} of it beyond the end, up to {:#x}\n",
                    size(past),
                    mapping.end.0
                ),
                None => format!("          {who} still runs it\n"),
            });
        }
    }
    let Scan { findings, mappings, processes, took_ns, .. } = scan;
    out.push_str(&format!(
        "{} in {} of {processes} processes, {} ms\n",
        counted(*findings, "finding"),
        counted(*mappings, "file mapping"),
        took_ns / 1_000_000
    ));
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{FoundFile, FoundMapping, FoundProcess, Hex};

    #[test]
    fn findings_stand_by_their_file() {
        let finding = |pid, path: &str, past_end: Option<u64>| Finding {
            what: if past_end.is_some() { "past-end" } else { "replaced" }.into(),
            process: FoundProcess { pid, comm: b"geo\x1b"[..].into() },
            file: FoundFile {
                path: path.as_bytes().into(),
                dev: "8:1".into(),
                inode: 12,
                size: 0,
                deleted: past_end.is_none(),
            },
            mapping: FoundMapping { start: Hex(0), end: Hex(0x2000), file_offset: 0, past_end },
        };
        let findings =
            [finding(1, "/b", Some(8192)), finding(2, "/a", None), finding(3, "/b", Some(8192))];
        let scan = Scan {
            processes: 3,
            mappings: 4,
            findings: 3,
            denied: 0,
            unknown: 0,
            took_ns: 2_900_000,
        };
        assert_eq!(
            String::from_utf8(human(&findings, &scan)).expect("text"),
            "past-end  /b  (8:1, inode 12, 0 B)\n\
            \x20         geo\\x1b[1] maps 8 KiB of it beyond the end, up to 0x2000\n\
            \x20         geo\\x1b[3] maps 8 KiB of it beyond the end, up to 0x2000\n\
             replaced  /a (deleted)  (8:1, inode 12, 0 B)\n\
            \x20         geo\\x1b[2] still runs it\n\
             3 findings in 4 file mappings of 3 processes, 2 ms\n"
        );
    }
}
