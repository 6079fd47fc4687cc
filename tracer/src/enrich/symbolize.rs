//! What the function at an instruction is called: from the symbol tables of its file.
use std::{
    fs::{self, File},
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::PathBuf,
};

use object::{Object as _, ObjectSegment as _, ObjectSymbol as _, ReadCache};

use crate::model::{
    Bytes,
    fact::Symbol,
    file::name,
    process::{Module, ProcessExit},
    task::Ancestor,
};

/// Larger files are not searched: nobody waits for them.
const LARGEST: u64 = 1 << 30;
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
    let cache = ReadCache::new(file);
    let Ok(elf) = object::File::parse(&cache) else { return (None, None) };
    let build_id = elf.build_id().ok().flatten().filter(|id| id.len() <= BUILD_ID);
    (function(&elf, offset), build_id.map(<[u8]>::to_vec))
}

fn function<'a>(elf: &object::File<'a, &'a ReadCache<File>>, offset: u64) -> Option<(Bytes, u64)> {
    let address = elf.segments().find_map(|segment| {
        let (start, size) = segment.file_range();
        let inside = (start..start.saturating_add(size)).contains(&offset);
        inside.then(|| segment.address().wrapping_add(offset - start))
    })?;
    let covers = |symbol: &object::Symbol<'_, '_, &ReadCache<File>>| {
        symbol.is_definition()
            && (symbol.address()..symbol.address().saturating_add(symbol.size())).contains(&address)
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
}
