//! Each target with its corpus, and with copies of it that are damaged, by numbers that are the same in every run.
use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use fastrand::Rng;
use fuzz::{TARGETS, Target};
use libtest_mimic::{Arguments, Failed, Trial};

/// Damaged copies of a target's corpus, all together.
const COPIES: u64 = 1_500;
/// One run takes no longer: where it does, something does not come to an end.
const LONGEST: Duration = Duration::from_secs(10);

/// Any number below `bound`.
fn below(random: &mut Rng, bound: usize) -> usize {
    random.usize(..bound.max(1))
}

/// Bytes changed, taken out, doubled, cut off, or put in from another input.
fn damaged(whole: &[u8], other: &[u8], random: &mut Rng) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for _ in 0..=below(random, 4) {
        let at = below(random, bytes.len() + 1);
        let end = (at + below(random, 32)).min(bytes.len());
        match below(random, 6) {
            0 => drop(bytes.drain(at..end)),
            1 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            2 => bytes.truncate(at),
            3 => {
                let from = below(random, other.len() + 1);
                let to = (from + below(random, 32)).min(other.len());
                drop(bytes.splice(at..end, other[from..to].to_vec()));
            }
            4 => {
                // The edges of a range are where a check is wrong.
                let number =
                    [0, u64::MAX, 1 << below(random, 64), whole.len() as u64, random.u64(..)]
                        [below(random, 5)];
                let width = [1, 2, 4, 8][below(random, 4)];
                for (byte, new) in
                    bytes.iter_mut().skip(at / width * width).zip(&number.to_le_bytes()[..width])
                {
                    *byte = *new;
                }
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = random.u64(..) as u8;
                }
            }
        }
    }
    bytes
}

/// Runs a target, and keeps what it fails on.
fn run(name: &str, target: Target, bytes: &[u8]) -> Result<(), Failed> {
    let started = Instant::now();
    let survived = catch_unwind(AssertUnwindSafe(|| target(bytes)));
    if survived.is_ok() && started.elapsed() < LONGEST {
        return Ok(());
    }
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}"));
    fs::write(&kept, bytes)?;
    Err(format!("{name} failed, or took {:?}, on {}", started.elapsed(), kept.display()).into())
}

fn corpus(name: &str) -> Result<Vec<Vec<u8>>, Failed> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let mut files: Vec<_> = fs::read_dir(directory)?.collect::<Result<_, _>>()?;
    files.sort_by_key(fs::DirEntry::file_name);
    let all: Vec<Vec<u8>> =
        files.iter().map(|file| fs::read(file.path())).collect::<Result<_, _>>()?;
    if all.is_empty() { Err(format!("{name} has no corpus").into()) } else { Ok(all) }
}

fn judge(name: &str, target: Target) -> Result<(), Failed> {
    let corpus = corpus(name)?;
    for bytes in &corpus {
        run(name, target, bytes)?;
    }
    for seed in 0..COPIES {
        let mut random = Rng::with_seed(seed);
        let (one, other) = (below(&mut random, corpus.len()), below(&mut random, corpus.len()));
        run(name, target, &damaged(&corpus[one], &corpus[other], &mut random))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let one =
        |(name, target): (&'static str, Target)| Trial::test(name, move || judge(name, target));
    libtest_mimic::run(&Arguments::from_args(), TARGETS.map(one).into()).exit_code()
}
