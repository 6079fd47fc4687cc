//! How large the program is, and that memory stays where it was while 100,000 incidents are replayed.
use std::{
    fs,
    io::{BufWriter, Write as _},
    mem::offset_of,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use tracer_common::event::{Header, Shrink, ShrinkEnd, kind};

use crate::{build, machine::Machine, shell::root};

const INCIDENTS: usize = 100_000;
/// Bytes of the static program, at most.
const PROGRAM: u64 = 12 << 20;
/// Between two rounds of the recorded stream: long enough for every incident to be over.
const ROUND: u64 = 600_000_000_000;

/// Gives the figures in a sentence.
///
/// # Errors
/// Where memory grew, the program did, or the replay failed.
pub fn check() -> Result<String> {
    let whybus = build::whybus(Machine::X86_64)?;
    let size = fs::metadata(&whybus)?.len();
    ensure!(size <= PROGRAM, "the static program has {size} bytes, {PROGRAM} are allowed");
    // Of version 1: a later one says that it ends, and when time moves on, which rounds of it cannot.
    let stream = fs::read(root().join("tracer/tests/streams/v1.stream"))?;
    let golden = fs::read_to_string(root().join("tracer/tests/streams/v1.json"))?;
    let each = golden.lines().filter(|line| line.contains(r#""kind":"incident""#)).count();
    let rounds = INCIDENTS.div_ceil(each.max(1));
    let lines = stream.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let head = lines.map(|(at, _)| at + 1).nth(1).context("a stream without a head")?;
    let mut child = Command::new(whybus)
        .args(["replay", "-o", "oneline", "/dev/stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut input = BufWriter::new(child.stdin.take().context("no standard input")?);
    input.write_all(&stream[..head])?;
    let mut early = 0;
    for round in 0..rounds {
        input.write_all(&shifted(&stream[head..], round as u64 * ROUND)?)?;
        if round == rounds / 10 {
            early = resident(child.id())?;
        }
    }
    input.flush()?;
    let late = resident(child.id())?;
    drop(input);
    let out = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.success(), "the replay ended with {}: {text}", out.status);
    let counted = format!("{} incidents", rounds * each);
    ensure!(text.contains(&counted), "not {counted}: {text}");
    ensure!(late <= early + early / 20, "{early} KiB after a tenth, {late} KiB in the end");
    Ok(format!(
        "{size} bytes of program; replayed {counted}: {early} KiB resident after a tenth, {late} KiB in the end"
    ))
}

/// The records with their times moved on, unnumbered, without the accounts of numbers.
fn shifted(mut records: &[u8], by: u64) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(records.len());
    while let Some((length, rest)) = records.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let (record, rest) = rest.split_at_checked(length).context("a torn stream")?;
        records = rest;
        let mut record = record.to_vec();
        let what = u16::from_le_bytes([record[0], record[1]]);
        if what == kind::USER + 2 {
            continue;
        }
        record[offset_of!(Header, seq)..][..8].fill(0);
        let mut times = vec![offset_of!(Header, time)];
        match what {
            kind::SHRINK => times.extend([offset_of!(Shrink, begin), offset_of!(Shrink, end)]),
            kind::SHRINK_END => times.push(offset_of!(ShrinkEnd, begin)),
            _ => {}
        }
        for at in times {
            let field: &mut [u8; 8] = record[at..].first_chunk_mut().context("a short record")?;
            let time = u64::from_le_bytes(*field);
            *field = if time == 0 { 0 } else { time + by }.to_le_bytes();
        }
        out.extend_from_slice(&(record.len() as u32).to_le_bytes());
        out.extend_from_slice(&record);
    }
    Ok(out)
}

fn resident(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).context("no VmRSS")?;
    Ok(kib.parse()?)
}
