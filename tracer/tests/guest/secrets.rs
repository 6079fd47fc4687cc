//! What xtask/guest/history/secrets.sh has planted, and where it must not be.
use std::fs;

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::{
    Job,
    record::{incidents_of, plain},
};

/// Who has eight each.
const DEATHS: std::ops::Range<u32> = 100..125;

/// None of the 200 is in anything that was kept or printed, however it is encoded there.
///
/// # Errors
/// Where one is, or the test shows nothing.
pub fn none_is_kept(job: &Job) -> Result<()> {
    // All of them begin with these. Words of a register and of a stack have eight bytes.
    let forms: Vec<Vec<u8>> = ["Zq7pl4nt", "pl4nt3d"].into_iter().flat_map(encoded).collect();
    let mut files = Vec::new();
    for entry in fs::read_dir(&job.dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        files.extend(name.strip_prefix("secret.").map(str::to_owned));
    }
    for name in &files {
        let bytes = fs::read(job.dir.join(format!("secret.{name}")))?;
        for form in &forms {
            let found = bytes.windows(form.len()).position(|part| part == form);
            ensure!(found.is_none(), "{name} has a secret at {found:?}");
        }
        let may_be_empty = ["-wal", "-shm", ".err", ".lock"].iter().any(|end| name.ends_with(end));
        ensure!(may_be_empty || !bytes.is_empty() || name.contains("recorder"), "{name} is empty");
    }
    let kept =
        ["written.history.db", "written.history.db-wal", "closed.history.db", "trace.stream"];
    let printed = ["exec.json", "journal.export", "export.json", "show.json", "why.markdown"];
    for name in kept.into_iter().chain(printed) {
        ensure!(files.iter().any(|file| file == name), "no {name} among {files:?}");
    }
    everybody_died(job)?;
    // The same program and the same way, and nothing is hidden.
    let told = job.text("unredacted.json")?;
    ensure!(told.contains("Zq7pl4nt3d999first"), "what is planted is not found: {told}");
    Ok(())
}

/// Each with its arguments, and most with a stack of more than the innermost frame.
fn everybody_died(job: &Job) -> Result<()> {
    for file in ["secret.export.json", "secret.trace.json"] {
        let mut all = incidents_of(&job.text(file)?)?;
        all.retain(|one| plain(&one.victim.comm) == "planted");
        ensure!(all.len() == DEATHS.len(), "{file}: {} incidents", all.len());
        for one in &all {
            let args = one.victim.cmdline.as_ref().context("no arguments")?;
            let args: Vec<String> = args.iter().map(plain).collect();
            let hidden = args.iter().filter(|arg| arg.contains("***")).count();
            ensure!(hidden == 3, "{file}: {args:?}");
        }
        let deep = all.iter().filter_map(|one| one.stack.as_ref());
        let deep = deep.filter(|stack| stack.user.len() > 2).count();
        ensure!(deep >= DEATHS.len() / 2, "{file}: {deep} stacks");
    }
    Ok(())
}

/// As it is, in hex, as a number in hex, and in base64, wherever in a group of three it begins.
fn encoded(secret: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.as_bytes().to_vec()];
    forms.push(secret.bytes().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes());
    // The last byte first.
    let word: String = secret.bytes().rev().map(|byte| format!("{byte:02x}")).collect();
    forms.push(word.into_bytes());
    for before in 0..3 {
        let text = [&b"\0\0\0"[..before], secret.as_bytes()].concat();
        let whole = BASE64_STANDARD.encode(&text);
        // The digits that hold nothing of what stands before and behind.
        let (from, to) = ((before * 8).div_ceil(6), text.len() * 8 / 6);
        forms.push(whole.as_bytes()[from..to].to_vec());
    }
    forms
}
