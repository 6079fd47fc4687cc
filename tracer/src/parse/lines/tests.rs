//! Debug information of a compiler, and what nobody in good faith has written.
use std::{fs, path::Path, time::Instant};

use super::{
    testing::{compiled, line, outer},
    *,
};
use crate::parse::elf::Source;

fn sites(file: &Path, addresses: &[Option<u64>]) -> Option<Vec<Vec<Site>>> {
    let left = Cell::new(64 << 20);
    let source = Source::new(fs::File::open(file).expect("the file"), &left);
    of(source.bounded(), addresses, &Cell::new(LIVE), &live())
}

fn site(function: &str, directory: &Path, mark: &str) -> Site {
    let file = directory.join("program.c");
    let file = Some(file.as_os_str().as_encoded_bytes().to_vec());
    Site { function: Some(function.into()), file, line: Some(line(mark)) }
}

#[test]
fn lines_are_those_of_the_source_and_inlined_functions_are_there() {
    for flags in [&["-gdwarf-5"][..], &["-gdwarf-4"], &["-gz=zlib"], &["-flto"]] {
        let (directory, program) = compiled(flags);
        let addresses = outer(&fs::read(&program).expect("the file"));
        let sites = sites(&program, &addresses).expect("debug information");
        let place = |function, mark| site(function, directory.path(), mark);
        let nested =
            [place("inlined", "INLINED"), place("between", "BETWEEN"), place("outer", "OUTER")];
        assert!(sites.iter().any(|sites| *sites == nested), "{flags:?}: {sites:#?}");
        let all_in_outer = sites.iter().all(|sites| {
            sites.last().is_some_and(|site| site.function.as_deref() == Some(b"outer"))
        });
        assert!(all_in_outer, "{flags:?}: {sites:#?}");
    }
}

#[test]
fn what_says_no_lines_has_none() {
    let (_directory, program) = compiled(&["-g0"]);
    let addresses = outer(&fs::read(&program).expect("the file"));
    assert_eq!(sites(&program, &addresses), None);
    let (_directory, program) = compiled(&[]);
    let nowhere = sites(&program, &[None, Some(0), Some(u64::MAX)]).expect("debug information");
    assert_eq!(nowhere, [[], [], []]);
    let left = Cell::new(64 << 20);
    let source = Source::new(fs::File::open(&program).expect("the file"), &left);
    let most = Cell::new(300);
    assert_eq!(of(source.bounded(), &addresses, &most, &live()), None, "too much");
    assert_eq!(most.get(), 300, "nothing was read");
}

/// Bytes of a file's debug information changed at random, in the same way each time.
#[test]
fn damaged_debug_information_is_no_trouble() {
    for flags in [&["-gdwarf-5"][..], &["-gdwarf-4"]] {
        let (directory, program) = compiled(flags);
        let whole = fs::read(&program).expect("the file");
        let addresses = outer(&whole);
        let elf = object::File::parse(&*whole).expect("ELF");
        let names = SECTIONS.iter().filter_map(|id| elf.section_by_name(id.name())?.file_range());
        let bytes: Vec<u64> = names.flat_map(|(start, size)| start..start + size).collect();
        let damaged = directory.path().join("damaged");
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        let begin = Instant::now();
        for _ in 0..400 {
            let mut file = whole.clone();
            for _ in 0..1 + next() % 4 {
                let at = bytes[next() as usize % bytes.len()] as usize;
                file[at] = [0, 1, 0x7f, 0x80, 0xff, next() as u8][next() as usize % 6];
            }
            fs::write(&damaged, &file).expect("room");
            sites(&damaged, &addresses);
        }
        let took = begin.elapsed();
        assert!(took < Duration::from_secs(60), "{took:?}");
    }
}

/// Kinds of entries: a unit, a function, one inlined, each with a range; one with 40,000 attributes that have no bytes.
fn kinds() -> Vec<u8> {
    let range = [0x11, 0x01, 0x12, 0x07, 0, 0];
    let mut kinds = Vec::new();
    for (code, tag) in [(1, 0x11), (2, 0x2e), (3, 0x1d)] {
        kinds.extend([code, tag, 1]);
        kinds.extend(range);
    }
    kinds.extend([4, 0x2e, 0]);
    kinds.extend([0x3c, 0x19].repeat(40_000));
    kinds.extend([0, 0, 0]);
    kinds
}

/// A unit of DWARF 4 that holds these bytes behind its own range.
fn unit(entries: &[u8]) -> Vec<u8> {
    let mut body = vec![4, 0, 0, 0, 0, 0, 8];
    body.extend(covering(1));
    body.extend(entries);
    [&u32::try_from(body.len()).expect("room").to_le_bytes()[..], &body].concat()
}

/// An entry that covers the addresses from 2 on, 1,000 of them.
fn covering(kind: u8) -> Vec<u8> {
    [&[kind][..], &2_u64.to_le_bytes(), &1_000_u64.to_le_bytes()].concat()
}

/// What is said of an address by these units, and how long it took without a look at the clock.
fn said(units: &[u8]) -> (Vec<Site>, Duration) {
    let kinds = kinds();
    let bytes = |id| match id {
        SectionId::DebugInfo => units,
        SectionId::DebugAbbrev => &kinds,
        _ => &[],
    };
    let sections = DwarfSections::load(|id| Ok::<_, ()>(bytes(id))).expect("bytes");
    let fuel = Fuel::new(2_000_000, Duration::from_secs(3_600));
    let dwarf = sections.borrow(|section| Metered::new(section, &fuel));
    let begin = Instant::now();
    let mut sites = units::sites(&dwarf, &fuel, &[7]);
    (sites.pop().expect("one"), begin.elapsed())
}

#[test]
fn functions_inlined_without_end_are_no_trouble() {
    let inlined = [covering(2), covering(3).repeat(100_000)].concat();
    let (sites, took) = said(&unit(&inlined));
    assert!(sites.len() > 8 && sites.len() < 20, "{}", sites.len());
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn what_takes_no_bytes_takes_fuel() {
    // Entries of one byte each, and units that all read the same table.
    let many = [unit(&[4; 1 << 20]), unit(&[]).repeat(50_000)];
    for units in many {
        let (_, took) = said(&units);
        assert!(took < Duration::from_secs(20), "{took:?}");
    }
}
