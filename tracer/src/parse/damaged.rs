//! Whatever stands in an ELF file, looking for a function in it does not panic, and comes to an end.
use std::{
    fs::{self, File},
    io::{Seek as _, Write as _},
    panic::catch_unwind,
};

use fastrand::Rng;
use rustix::fs::{MemfdFlags, memfd_create};

use crate::parse::symbolize::code;

/// Copies that are damaged, each in another way.
const COPIES: u64 = 3_000;
/// A small one of each host, with dynamic symbols and a build id.
const PROGRAM: &str = "/bin/true";
/// The file header and what follows it: the program headers, and the build id.
const HEADERS: usize = 1_024;

/// Any number below `bound`.
fn below(random: &mut Rng, bound: usize) -> usize {
    random.usize(..bound.max(1))
}

/// The edges of a range are where a check is wrong.
fn value(random: &mut Rng, length: usize) -> u64 {
    match random.u8(..6) {
        0 => 0,
        1 => u64::MAX,
        2 => 1 << random.u8(..64),
        3 => length as u64,
        4 => below(random, length) as u64,
        _ => random.u64(..),
    }
}

/// Numbers of the tables changed; now and then the end is missing.
fn damage(whole: &[u8], random: &mut Rng) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    let word = |at: usize| whole.get(at..at + 8).and_then(|word| word.try_into().ok());
    // `e_shoff`: the section headers.
    let sections = usize::try_from(u64::from_le_bytes(word(40).expect("a header"))).expect("small");
    for _ in 0..=below(random, 6) {
        let at = match below(random, 3) {
            0 => below(random, HEADERS),
            1 => sections + below(random, whole.len() - sections),
            _ => below(random, whole.len()),
        };
        let width = [1, 2, 4, 8][below(random, 4)];
        let (at, value) = (at / width * width, value(random, whole.len()));
        for (byte, new) in bytes.iter_mut().skip(at).zip(&value.to_le_bytes()[..width]) {
            *byte = *new;
        }
    }
    if below(random, 8) == 0 {
        bytes.truncate(below(random, whole.len()));
    }
    bytes
}

fn file(bytes: &[u8]) -> File {
    let mut file = File::from(memfd_create("elf", MemfdFlags::CLOEXEC).expect("memory"));
    file.write_all(bytes).and_then(|()| file.rewind()).expect("memory");
    file
}

#[test]
fn no_number_of_a_file_panics() {
    let whole = fs::read(PROGRAM).expect("a program");
    assert!(code(file(&whole), 0).1.is_some(), "no build id: nothing is read of it");
    let mut as_before = 0;
    for seed in 0..COPIES {
        let found = catch_unwind(|| {
            let mut random = Rng::with_seed(seed);
            let bytes = damage(&whole, &mut random);
            code(file(&bytes), value(&mut random, whole.len())).1.is_some()
        });
        as_before += u64::from(found.unwrap_or_else(|_| panic!("panicked on seed {seed}")));
    }
    // Some are no ELF files any more, others are read to their end.
    assert!((COPIES / 10..COPIES).contains(&as_before), "{as_before} of {COPIES}");
}
