//! `cargo xtask fuzz`: libFuzzer on the targets of `fuzz/`, one after another, from the corpora in the tree.
//!
//! The compiler of a stable Rust writes down what was run as well as a nightly does: the pass of LLVM that libFuzzer is fed
//! by is called by name. What nightlies have beside that, AddressSanitizer, finds little in Rust that is safe.
use std::{fs, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};

use crate::{
    machine::Machine,
    setup,
    shell::{call, root, say, target},
};

/// What is asked for.
#[derive(clap::Args)]
pub struct Args {
    /// Only these targets (`event`, `stream` …; those of fuzz/corpus)
    targets: Vec<String>,
    /// So long for each, of the time of one CPU
    #[arg(long, value_name = "MINUTES", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: u64,
    /// Write what is left of each corpus once all that reaches nothing of its own is taken out to fuzz/corpus
    #[arg(long)]
    keep: bool,
}

/// More of a corpus is not kept in the tree, a file, in bytes.
const LARGEST: u64 = 32 << 10;

/// # Errors
/// Where a target fails on something: its file is named.
pub fn run(args: &Args) -> Result<()> {
    setup::packages(&["g++", "libc6-dev"], "building libFuzzer")?;
    let corpora = root().join("fuzz/corpus");
    let mut targets = args.targets.clone();
    if targets.is_empty() {
        let entries = fs::read_dir(&corpora)?.collect::<Result<Vec<_>, _>>()?;
        targets =
            entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        targets.sort();
    }
    let program = build()?;
    let mut failed = Vec::new();
    for name in &targets {
        let (known, found) = (corpora.join(name), target().join("fuzz/corpus").join(name));
        ensure!(known.is_dir(), "there is no {}", known.display());
        fs::create_dir_all(&found)?;
        say(format_args!("{name}: {} min", args.minutes));
        let artifacts = target().join("fuzz").join(format!("{name}-"));
        let fuzz = || {
            let mut fuzz = Command::new(&program);
            fuzz.env("WHYBUS_FUZZ", name).current_dir(target().join("fuzz"));
            // What takes 10 s, or 1 GiB, is a failure.
            fuzz.args(["-timeout=10", "-rss_limit_mb=1024", "-max_len=65536", "-verbosity=0"]);
            fuzz.arg("-print_final_stats=1")
                .arg(format!("-artifact_prefix={}", artifacts.display()));
            fuzz
        };
        // On a busy host a minute of a CPU takes longer than one.
        let (begun, wanted) = (children(), Duration::from_secs(60 * args.minutes));
        while let Some(left) =
            wanted.checked_sub(children() - begun).filter(|left| left.as_secs() > 0)
        {
            let seconds = format!("-max_total_time={}", left.as_secs());
            if let Err(error) = call(fuzz().arg(seconds).arg(&found).arg(&known)) {
                say(format_args!("{name}: {error:#}"));
                failed.push(name.as_str());
                break;
            }
        }
        if args.keep {
            keep(&mut fuzz(), &[&found, &known], &known)?;
        }
    }
    ensure!(failed.is_empty(), "these failed: {}", failed.join(", "));
    Ok(())
}

/// Every sum is checked, and what branches and compares is counted.
fn build() -> Result<PathBuf> {
    say("building the targets");
    let coverage = [
        "-Cpasses=sancov-module",
        "-Cllvm-args=-sanitizer-coverage-level=4",
        "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
        "-Cllvm-args=-sanitizer-coverage-pc-table",
        "-Cllvm-args=-sanitizer-coverage-trace-compares",
    ];
    let directory = target().join("fuzz");
    // With a target named, what runs in the build itself has none of it.
    let triple = Machine::X86_64.target();
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(root())
        .args(["build", "--quiet", "--locked", "--profile", "fuzz", "--package", "fuzz"])
        .args(["--features", "libfuzzer", "--target", triple])
        .env("CARGO_TARGET_DIR", &directory)
        .env("RUSTFLAGS", coverage.join(" "));
    call(&mut cargo).context("building the targets")?;
    Ok(directory.join(triple).join("fuzz/fuzz"))
}

/// The time of a CPU that what was called by now has taken.
fn children() -> Duration {
    // SAFETY: numbers, of which 0 is one.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: room for the answer.
    unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) };
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1_000);
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// Merges corpora into one, which replaces `to`; the largest stay out of the tree.
fn keep(fuzz: &mut Command, from: &[&PathBuf], to: &PathBuf) -> Result<()> {
    let merged = target().join("fuzz/merged");
    let _ = fs::remove_dir_all(&merged);
    fs::create_dir_all(&merged)?;
    call(fuzz.arg("-merge=1").arg(&merged).args(from))?;
    for file in fs::read_dir(to)? {
        fs::remove_file(file?.path())?;
    }
    for file in fs::read_dir(&merged)? {
        let file = file?;
        if file.metadata()?.len() <= LARGEST {
            fs::copy(file.path(), to.join(file.file_name()))?;
        }
    }
    Ok(())
}
