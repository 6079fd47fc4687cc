//! What the function at an instruction is called: from the symbol tables of its file.
use std::{cell::Cell, fs::File};

use object::{Object as _, ObjectSegment as _, ObjectSymbol as _, SegmentFlags, elf::PF_X};

use crate::{
    model::Bytes,
    parse::{
        elf::{Bounded, Elf, READ, Source},
        go,
    },
};

/// Longest build id, in bytes: linkers write 20 at most.
const BUILD_ID: usize = 64;

/// A function, and how far in it an instruction is, in bytes.
pub(super) type Function = (Bytes, u64);

/// The symbol that covers the byte at `offset` of an ELF file with how far in it that is, the file's build id, and the byte's
/// address.
pub(super) fn code(file: File, offset: u64) -> (Option<Function>, Option<Bytes>, Option<u64>) {
    let all = Cell::new(READ);
    let Told { addresses, functions, build_id, .. } =
        tell(Source::new(file, &all).bounded(), &[offset]);
    let function = functions.into_iter().next().flatten();
    (function, build_id, addresses.first().copied().flatten())
}

/// What an ELF file says of some of its bytes, and of itself.
#[derive(Default)]
pub(super) struct Told {
    /// Where each is for the file's tables.
    pub(super) addresses: Vec<Option<u64>>,
    pub(super) functions: Vec<Option<Function>>,
    pub(super) build_id: Option<Bytes>,
    /// What the file with its debug information is called (`.gnu_debuglink`).
    pub(super) debug_link: Option<Bytes>,
}

/// The same of many bytes, in one pass over the tables.
pub(super) fn tell(file: Bounded<'_>, offsets: &[u64]) -> Told {
    let Ok(elf) = object::File::parse(file) else { return Told::default() };
    let addresses: Vec<_> = offsets.iter().map(|offset| address(&elf, *offset)).collect();
    let mut functions = search(&elf, &addresses);
    if functions.iter().any(Option::is_none)
        && let Some(table) = go::Table::of(&elf, file)
    {
        for (function, address) in functions.iter_mut().zip(&addresses) {
            let place = || table.place((*address)?).map(|place| (place.function, place.offset));
            *function = function.take().or_else(place);
        }
    }
    // A note too long to be read costs the build id alone.
    let build_id = build_id(&elf);
    let link = elf.gnu_debuglink().ok().flatten();
    Told { addresses, functions, build_id, debug_link: link.map(|(name, _)| name.to_vec()) }
}

/// The functions at addresses of a file's tables.
pub(super) fn functions(file: Bounded<'_>, addresses: &[Option<u64>]) -> Vec<Option<Function>> {
    object::File::parse(file).map(|elf| search(&elf, addresses)).unwrap_or_default()
}

/// The build id of a file.
pub(super) fn build_id_of(file: Bounded<'_>) -> Option<Bytes> {
    build_id(&object::File::parse(file).ok()?)
}

fn build_id(elf: &Elf<'_>) -> Option<Bytes> {
    elf.build_id().ok().flatten().filter(|id| id.len() <= BUILD_ID).map(<[u8]>::to_vec)
}

fn search(elf: &Elf<'_>, addresses: &[Option<u64>]) -> Vec<Option<Function>> {
    let mut found = vec![None; addresses.len()];
    let addresses = addresses.iter().enumerate();
    let mut wanted: Vec<(u64, usize)> =
        addresses.filter_map(|(at, address)| Some(((*address)?, at))).collect();
    wanted.sort_unstable();
    for symbol in elf.symbols().chain(elf.dynamic_symbols()) {
        if wanted.is_empty() {
            break;
        }
        let start = symbol.address();
        let end = start.saturating_add(symbol.size());
        let first = wanted.partition_point(|(address, _)| *address < start);
        let behind = wanted.partition_point(|(address, _)| *address < end).max(first);
        // Its name may be read to know whether it is a definition: of few.
        if first == behind || !symbol.is_definition() {
            continue;
        }
        let name = symbol.name_bytes().unwrap_or_default();
        for (address, at) in wanted.drain(first..behind) {
            found[at] = (!name.is_empty()).then(|| (name.to_vec(), address - start));
        }
    }
    found
}

/// Where the byte at `offset` of the file is, for the file's tables. A page may hold the end of one segment and the
/// start of the next: that of code counts.
fn address(elf: &Elf<'_>, offset: u64) -> Option<u64> {
    let place = |code: bool| {
        elf.segments().find_map(|segment| {
            let runs =
                matches!(segment.flags(), SegmentFlags::Elf { p_flags } if p_flags & PF_X != 0);
            let (start, size) = segment.file_range();
            let inside = (start..start.saturating_add(size)).contains(&offset);
            (inside && (runs || !code)).then(|| segment.address().wrapping_add(offset - start))
        })
    };
    place(true).or_else(|| place(false))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn our_own_functions_have_names() {
        let exe = std::env::current_exe().expect("a path");
        let data = fs::read(&exe).expect("our own file");
        let elf = object::File::parse(&*data).expect("ELF");
        let main = elf.symbols().find(|symbol| symbol.name() == Ok("main")).expect("main");
        let segment = elf
            .segments()
            .find(|s| (s.address()..s.address() + s.size()).contains(&main.address()))
            .expect("a segment");
        let offset = main.address() - segment.address() + segment.file_range().0 + 1;
        let found = code(File::open(&exe).expect("our own file"), offset);
        assert_eq!(found.0, Some((b"main".to_vec(), 1)));
        assert_eq!(found.2, Some(main.address() + 1));
    }

    #[test]
    fn what_is_no_elf_has_no_functions() {
        let file = File::open("/proc/self/cmdline").expect("proc");
        assert_eq!(code(file, 0), (None, None, None));
    }

    /// An ELF file of a few KiB on disk: `headers` are (type, offset, size), linked to the last of them.
    fn sparse(name: &str, headers: &[(u32, u64, u64)]) -> File {
        let path = std::env::temp_dir().join(format!("whybus-{name}-{}", std::process::id()));
        let mut elf = vec![0; 64];
        elf[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        elf[16..18].copy_from_slice(&2_u16.to_le_bytes());
        elf[18..20].copy_from_slice(&62_u16.to_le_bytes());
        elf[20] = 1;
        elf[40..48].copy_from_slice(&64_u64.to_le_bytes());
        elf[52..54].copy_from_slice(&64_u16.to_le_bytes());
        elf[58..60].copy_from_slice(&64_u16.to_le_bytes());
        let count = u16::try_from(headers.len() + 1).expect("few");
        elf[60..62].copy_from_slice(&count.to_le_bytes());
        elf.resize(128, 0);
        for (kind, offset, size) in headers {
            let mut header = [0; 64];
            header[4..8].copy_from_slice(&kind.to_le_bytes());
            header[24..32].copy_from_slice(&offset.to_le_bytes());
            header[32..40].copy_from_slice(&size.to_le_bytes());
            header[40..44].copy_from_slice(&u32::from(count - 1).to_le_bytes());
            header[48] = 1;
            header[56] = 24;
            elf.extend_from_slice(&header);
        }
        fs::write(&path, &elf).expect("a file");
        let file = fs::OpenOptions::new().read(true).write(true).open(&path).expect("that file");
        file.set_len(901 << 20).expect("a hole");
        fs::remove_file(&path).expect("ours");
        file
    }

    #[test]
    fn tables_that_have_no_end_cost_no_memory() {
        let peak = || {
            let text = fs::read_to_string("/proc/self/status").expect("proc");
            let line = text.lines().find(|line| line.starts_with("VmHWM")).expect("a peak");
            line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("KiB")
        };
        let before = peak();
        // SHT_SYMTAB and SHT_STRTAB, and SHT_NOTE of many sections that overlap.
        assert_eq!(
            code(sparse("symtab", &[(2, 8_192, 900 << 20), (3, 4_096, 8)]), 0),
            (None, None, None)
        );
        let notes: Vec<_> = (0..64).map(|at| (7, 8_192 + at * 4, 20 << 20)).collect();
        assert_eq!(code(sparse("notes", &notes), 0), (None, None, None));
        assert!(peak() - before < 200 << 10, "{} KiB", peak() - before);
    }
}
