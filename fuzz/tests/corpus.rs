//! Each target with its corpus, and with copies of it that are damaged, by numbers that are the same in every run.
use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use fuzz::{TARGETS, Target};
use libtest_mimic::{Arguments, Failed, Trial};

/// Damaged copies of a target's corpus, all together.
const COPIES: u64 = 1_500;
/// One run takes no longer: where it does, something does not come to an end.
const LONGEST: Duration = Duration::from_secs(10);

/// splitmix64: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// Bytes changed, taken out, doubled, cut off, or put in from another input.
fn damaged(whole: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let end = (at + random.below(32)).min(bytes.len());
        match random.below(6) {
            0 => drop(bytes.drain(at..end)),
            1 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            2 => bytes.truncate(at),
            3 => {
                let from = random.below(other.len() + 1);
                let to = (from + random.below(32)).min(other.len());
                drop(bytes.splice(at..end, other[from..to].to_vec()));
            }
            4 => {
                // The edges of a range are where a check is wrong.
                let number =
                    [0, u64::MAX, 1 << random.below(64), whole.len() as u64, random.next()]
                        [random.below(5)];
                let width = [1, 2, 4, 8][random.below(4)];
                for (byte, new) in
                    bytes.iter_mut().skip(at / width * width).zip(&number.to_le_bytes()[..width])
                {
                    *byte = *new;
                }
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = random.next() as u8;
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
        let mut random = Random(seed);
        let (one, other) = (random.below(corpus.len()), random.below(corpus.len()));
        run(name, target, &damaged(&corpus[one], &corpus[other], &mut random))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let one =
        |(name, target): (&'static str, Target)| Trial::test(name, move || judge(name, target));
    libtest_mimic::run(&Arguments::from_args(), TARGETS.map(one).into()).exit_code()
}
