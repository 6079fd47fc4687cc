//! Functions and lines of programs in Go, by the table that Go tells its own stacks from (`.gopclntab`): a program that was
//! stripped has it, too. Of a function that was inlined the line is told, and the name is that of the function around it.
//!
//! The layout is that of Go 1.18 and later: `pcHeader` and `_func` in runtime/symtab.go and runtime/runtime2.go.
use object::{Object as _, ObjectSection as _, ReadRef as _};

use crate::{
    model::Bytes,
    parse::elf::{Bounded, Elf},
};

/// What tables of 1.18, and of 1.20 and later, begin with.
const MAGIC: [u32; 2] = [0xffff_fff0, 0xffff_fff1];
/// Longest name, and longest table of one function, in bytes.
const TEXT: u64 = 1_024;
const VALUES: u64 = 8 << 10;

/// The table of a program.
pub(super) struct Table<'a> {
    file: Bounded<'a>,
    /// Where it is in the file, and its size.
    start: u64,
    size: u64,
    /// The address that addresses are counted from.
    text: u64,
    /// Of the shortest instruction, in bytes.
    quantum: u64,
    functions: u64,
    /// Where names, units, files, values and functions are in it.
    parts: [u64; 5],
    /// Where in what is said of a function its flags are, in bytes: 1.20 put a field before them.
    flags: u64,
}

/// Where a function returns to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Return {
    /// To the address that lies so many bytes above the stack pointer.
    Above(u64),
    /// Nowhere: it is the first of its goroutine or thread.
    Nowhere,
}

/// A place in a function.
pub(super) struct Place {
    pub(super) function: Bytes,
    /// How far in it, in bytes.
    pub(super) offset: u64,
    pub(super) file: Option<Bytes>,
    pub(super) line: Option<u32>,
}

impl<'a> Table<'a> {
    pub(super) fn of(elf: &Elf<'a>, file: Bounded<'a>) -> Option<Self> {
        let names = [".gopclntab", ".data.rel.ro.gopclntab"];
        let section = names.iter().find_map(|name| elf.section_by_name(name))?;
        let (start, size) = section.file_range()?;
        let (text, quantum, functions, parts) = (0, 0, 0, [0; 5]);
        let table = Self { file, start, size, text, quantum, functions, parts, flags: 0 };
        let word = |nth: u64| table.number(8 + 8 * nth, 8);
        let magic = u32::try_from(table.number(0, 4)?).ok()?;
        let flags = if magic == MAGIC[0] { 37 } else { 41 };
        let size_of_pointer = table.number(7, 1)?;
        (MAGIC.contains(&magic) && size_of_pointer == 8).then_some(())?;
        let (functions, text) = (word(0)?, word(2)?);
        // A program that is moved as it is loaded has its address only in a relocation, and from 1.26 on none has it. Go's own
        // linker begins the section with it; another one puts code of C before it.
        let text = Some(text).filter(|text| *text != 0);
        let by_go = ![".init", ".comment"].iter().any(|name| elf.section_by_name(name).is_some());
        let first = || Some(elf.section_by_name(".text").filter(|_| by_go)?.address());
        let text = text.or_else(first)?;
        let parts = [word(3)?, word(4)?, word(5)?, word(6)?, word(7)?];
        Some(Self { text, quantum: table.number(6, 1)?, functions, parts, flags, ..table })
    }

    /// What is said of the function at an address, and how far in it the address is.
    fn function(&self, address: u64) -> Option<(u64, u64)> {
        let [_, _, _, _, functions] = self.parts;
        let at = address.checked_sub(self.text)?;
        let entry = |nth: u64| self.number(functions.checked_add(nth.checked_mul(8)?)?, 4);
        let (mut low, mut high) = (0, self.functions);
        while low < high {
            let middle = low + (high - low) / 2;
            match entry(middle)? <= at {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        // Behind the last one is where it ends.
        let nth =
            low.checked_sub(1).filter(|_| entry(self.functions).is_some_and(|end| at < end))?;
        let function = functions.checked_add(self.number(functions + 8 * nth + 4, 4)?)?;
        Some((function, at.checked_sub(self.number(function, 4)?)?))
    }

    /// Where the function at an address returns to from there. `None` where that is not known, as in code that goes to another stack.
    pub(super) fn returns(&self, address: u64) -> Option<Return> {
        /// `funcFlagTopFrame` and `funcFlagSPWrite` of internal/abi/symtab.go.
        const FIRST: u64 = 1;
        const OTHER_STACK: u64 = 2;
        let (function, offset) = self.function(address)?;
        let flags = self.number(function.checked_add(self.flags)?, 1)?;
        if flags & FIRST != 0 {
            return Some(Return::Nowhere);
        }
        let table = self.number(function.checked_add(4 * 4)?, 4)?;
        let above = self.value(table, offset).filter(|_| flags & OTHER_STACK == 0)?;
        Some(Return::Above(above))
    }

    /// Where an address is.
    pub(super) fn place(&self, address: u64) -> Option<Place> {
        let [names, units, files, _, _] = self.parts;
        let (function, offset) = self.function(address)?;
        let field = |nth: u64| self.number(function.checked_add(4 * nth)?, 4);
        let file = || {
            let unit = field(8)?.checked_add(self.value(field(5)?, offset)?)?;
            let name = self.number(units.checked_add(4 * unit)?, 4)?;
            self.text(files.checked_add(name)?)
        };
        let line = || u32::try_from(self.value(field(6)?, offset)?).ok();
        let name = self.text(names.checked_add(field(1)?)?)?;
        Some(Place { function: name, offset, file: file(), line: line() })
    }

    /// What a table says of a byte of its function: differences of the value, and how far each goes.
    fn value(&self, table: u64, offset: u64) -> Option<u64> {
        let at = self.parts[3].checked_add(table)?;
        let size = self.size.checked_sub(at)?.min(VALUES);
        let mut bytes = self.bytes(at, size)?.iter();
        let mut next = || {
            let mut number = 0_u64;
            for nth in 0..5 {
                let byte = *bytes.next()?;
                number |= u64::from(byte & 0x7f) << (7 * nth);
                if byte & 0x80 == 0 {
                    return Some(number);
                }
            }
            None
        };
        let (mut value, mut end) = (-1_i64, 0_u64);
        loop {
            let difference = next()?;
            // A zero is the table's end, but at its start.
            (difference != 0 || end == 0).then_some(())?;
            let size = (difference >> 1).cast_signed();
            value = value.checked_add(if difference & 1 == 0 { size } else { !size })?;
            end = end.checked_add(next()?.checked_mul(self.quantum)?)?;
            if offset < end {
                return u64::try_from(value).ok();
            }
        }
    }

    fn text(&self, at: u64) -> Option<Bytes> {
        let size = self.size.checked_sub(at)?.min(TEXT);
        let text = self.bytes(at, size)?.split(|byte| *byte == 0).next()?;
        Some(text.to_vec()).filter(|text| !text.is_empty())
    }

    fn number(&self, at: u64, size: u64) -> Option<u64> {
        let mut number = [0; 8];
        let bytes = self.bytes(at, size)?;
        number.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(u64::from_le_bytes(number))
    }

    fn bytes(&self, at: u64, size: u64) -> Option<&'a [u8]> {
        (at.checked_add(size)? <= self.size).then_some(())?;
        self.file.read_bytes_at(self.start.checked_add(at)?, size).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        fs,
        path::{Path, PathBuf},
        process::Command,
    };

    use object::ObjectSymbol as _;
    use tempfile::TempDir;

    use super::*;
    use crate::parse::elf::Source;

    const PROGRAM: &str = "package main

import \"os\"

//go:noinline
func lookup(row []byte, at int) byte {
	return row[at] + 1 // HERE
}

func main() {
	os.Exit(int(lookup([]byte(os.Args[0]), len(os.Args))))
}
";

    /// A program without symbols, the addresses of `lookup` in it, and that of the first function of a goroutine.
    fn built(flags: &[&str]) -> (TempDir, PathBuf, Vec<u64>, u64) {
        let directory = tempfile::tempdir().expect("a directory");
        let run = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.args(arguments).current_dir(directory.path()).env("GO111MODULE", "off");
            let out = command.env("GOFLAGS", "").env("CGO_ENABLED", "0").output().expect(program);
            assert!(out.status.success(), "{program}: {}", String::from_utf8_lossy(&out.stderr));
        };
        fs::write(directory.path().join("lookup.go"), PROGRAM).expect("room");
        run("go", &[&["build", "-o", "lookup"], flags, &["lookup.go"]].concat());
        let path = directory.path().join("lookup");
        let file = fs::read(&path).expect("the program");
        let elf = object::File::parse(&*file).expect("ELF");
        let lookup = elf.symbols().find(|symbol| symbol.name() == Ok("main.lookup"));
        let lookup = lookup.expect("main.lookup");
        let is_first = |name: &str| ["runtime.goexit", "runtime.goexit.abi0"].contains(&name);
        let first = elf.symbols().find(|symbol| symbol.name().is_ok_and(is_first));
        let first = first.expect("runtime.goexit").address();
        run("strip", &["lookup"]);
        let addresses = lookup.address()..lookup.address() + lookup.size();
        (directory, path, addresses.collect(), first)
    }

    fn told(path: &Path, addresses: &[u64]) -> Vec<Option<Place>> {
        let left = Cell::new(64 << 20);
        let source = Source::new(fs::File::open(path).expect("it"), &left);
        let elf = object::File::parse(source.bounded()).expect("ELF");
        let table = Table::of(&elf, source.bounded());
        let returns = |address: &u64| table.as_ref()?.returns(*address);
        let _: Vec<_> = addresses.iter().map(returns).collect();
        addresses.iter().map(|address| table.as_ref()?.place(*address)).collect()
    }

    #[test]
    fn a_stripped_program_has_names_and_lines() {
        for flags in [&[][..], &["-buildmode=pie"]] {
            let (_directory, path, addresses, first) = built(flags);
            let line = PROGRAM.lines().position(|line| line.ends_with("// HERE")).expect("it") + 1;
            let mut here = false;
            for (offset, place) in told(&path, &addresses).into_iter().enumerate() {
                let place = place.expect("a place");
                assert_eq!((&*place.function, place.offset), (&b"main.lookup"[..], offset as u64));
                assert!(place.file.expect("a file").ends_with(b"/lookup.go"));
                here |= place.line.map(|line| line as usize) == Some(line);
            }
            assert!(here, "{flags:?}");
            let (left, file) = (Cell::new(64 << 20), fs::File::open(&path).expect("it"));
            let source = Source::new(file, &left);
            let elf = object::File::parse(source.bounded()).expect("ELF");
            let table = Table::of(&elf, source.bounded()).expect("a table");
            assert_eq!(table.returns(first), Some(Return::Nowhere), "{flags:?}");
            // It is called, makes room, and goes back.
            let above: Vec<_> = addresses.iter().map(|address| table.returns(*address)).collect();
            assert_eq!(above[0], Some(Return::Above(0)), "{flags:?}");
            let some = |to: &Option<Return>| matches!(to, Some(Return::Above(1..)));
            assert!(above.iter().any(some), "{flags:?} {above:?}");
        }
        assert!(told(Path::new("/proc/self/exe"), &[0x1000])[0].is_none(), "no Go");
    }

    #[test]
    fn a_damaged_table_is_no_trouble() {
        let (_directory, path, addresses, first) = built(&[]);
        let whole = fs::read(&path).expect("the program");
        let elf = object::File::parse(&*whole).expect("ELF");
        let section = elf.section_by_name(".gopclntab").expect("a table");
        let (start, size) = section.file_range().expect("a table");
        for seed in 1..300_usize {
            let mut file = whole.clone();
            for nth in 0..64 {
                // The header, and all else.
                let within = if nth < 4 { 72 } else { size as usize };
                let at = start as usize + seed.wrapping_mul(7_919 + nth * 104_729) % within;
                file[at] = file[at].wrapping_mul(31).wrapping_add(seed as u8);
            }
            fs::write(&path, file).expect("room");
            told(&path, &addresses);
            told(&path, &[first]);
        }
    }
}
