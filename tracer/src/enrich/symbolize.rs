//! What the function at an instruction is called: from the symbol tables of its file.
use std::{
    cell::Cell,
    fs::{self, File},
    ops::Range,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::PathBuf,
};

use object::{Object as _, ObjectSegment as _, ObjectSymbol as _, ReadCache, ReadRef};

use crate::model::{
    Bytes,
    fact::Symbol,
    file::name,
    process::{Module, ProcessExit},
    task::Ancestor,
};

/// Larger files are not searched: nobody waits for them.
const LARGEST: u64 = 1 << 30;
/// Of a file no more is read: the symbols of 1,400,000 functions. `ReadCache` keeps all that it ever read, so this
/// bounds the memory, too, of a file whose tables overlap or have no end.
const READ: u64 = 32 << 20;
/// Longest name of a function, in bytes.
const NAME: u64 = 4_096;
/// What the cache takes beside each, in bytes.
const BESIDE: u64 = 64;
/// Longest build id, in bytes: linkers write 20 at most.
const BUILD_ID: usize = 64;

/// The function that the last fault of a process happened in. Its file is looked for as we see it
/// and as the ancestors do, one of which may share the victim's mount namespace; it is the file only
/// if its inode number is the one the kernel told.
pub fn of_death(death: &ProcessExit) -> Option<Symbol> {
    let module = death.module.as_ref()?;
    let (path, _) = name(&module.path, &[]);
    let file = open(&path?, module, &death.actor.ancestors)?;
    let (name, offset) = code(file, module.offset).0?;
    Some(Symbol { victim: death.exit.id, name, offset })
}

fn open(path: &[u8], module: &Module, ancestors: &[Ancestor]) -> Option<File> {
    let roots = ancestors.iter().map(|ancestor| format!("/proc/{}/root", ancestor.id.tgid));
    let mut candidates = std::iter::once(String::new()).chain(roots).map(|root| {
        let mut full = root.into_bytes();
        full.extend_from_slice(path);
        PathBuf::from(std::ffi::OsStr::from_bytes(&full))
    });
    let is_it = |path: &PathBuf| {
        let meta = fs::metadata(path).ok();
        meta.is_some_and(|m| m.is_file() && m.ino() == module.id.ino && m.len() <= LARGEST)
    };
    File::open(candidates.find(is_it)?).ok()
}

/// The symbol that covers the byte at `offset` of an ELF file with how far in it that is, and the file's build id.
pub(super) fn code(file: File, offset: u64) -> (Option<(Bytes, u64)>, Option<Bytes>) {
    let (cache, left) = (ReadCache::new(file), Cell::new(READ));
    let bounded = Bounded { cache: &cache, left: &left };
    let Ok(elf) = object::File::parse(bounded) else { return (None, None) };
    let function = function(&elf, offset);
    // A note too long to be read costs the build id alone.
    let build_id = elf.build_id().ok().flatten().filter(|id| id.len() <= BUILD_ID);
    (function, build_id.map(<[u8]>::to_vec))
}

/// A file of which only so many bytes are read.
#[derive(Clone, Copy)]
struct Bounded<'a> {
    cache: &'a ReadCache<File>,
    left: &'a Cell<u64>,
}

impl Bounded<'_> {
    /// Takes `size` bytes of what may be read, before room is made for them.
    fn take(self, size: u64) -> Result<(), ()> {
        self.left.set(self.left.get().checked_sub(size).ok_or(())?);
        Ok(())
    }
}

impl<'a> ReadRef<'a> for Bounded<'a> {
    fn len(self) -> Result<u64, ()> {
        self.cache.len()
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        self.take(size)?;
        self.cache.read_bytes_at(offset, size)
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        // No name is longer.
        let end = range.end.min(range.start.saturating_add(NAME));
        let found = self.cache.read_bytes_at_until(range.start..end, delimiter)?;
        self.take(found.len() as u64 + BESIDE).map(|()| found)
    }
}

fn function<'a>(elf: &object::File<'a, Bounded<'a>>, offset: u64) -> Option<(Bytes, u64)> {
    let address = elf.segments().find_map(|segment| {
        let (start, size) = segment.file_range();
        let inside = (start..start.saturating_add(size)).contains(&offset);
        inside.then(|| segment.address().wrapping_add(offset - start))
    })?;
    let covers = |symbol: &object::Symbol<'_, '_, Bounded<'a>>| {
        // Its name may be read to know whether it is a definition: of few.
        (symbol.address()..symbol.address().saturating_add(symbol.size())).contains(&address)
            && symbol.is_definition()
    };
    let symbol = elf.symbols().find(covers).or_else(|| elf.dynamic_symbols().find(covers))?;
    let name = symbol.name_bytes().ok()?.to_vec();
    (!name.is_empty()).then(|| (name, address - symbol.address()))
}

#[cfg(test)]
mod tests {
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
    }

    #[test]
    fn what_is_no_elf_has_no_functions() {
        let file = File::open("/proc/self/cmdline").expect("proc");
        assert_eq!(code(file, 0), (None, None));
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
            (None, None)
        );
        let notes: Vec<_> = (0..64).map(|at| (7, 8_192 + at * 4, 20 << 20)).collect();
        assert_eq!(code(sparse("notes", &notes), 0), (None, None));
        assert!(peak() - before < 200 << 10, "{} KiB", peak() - before);
    }
}
