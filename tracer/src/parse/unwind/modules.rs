//! The files that a stack's code lies in.
use std::cell::OnceCell;

use gimli::BaseAddresses;
use object::{
    Endianness, ReadRef as _,
    elf::{FileHeader64, PF_X},
    read::elf::{FileHeader as _, ProgramHeader as _, SectionHeader as _, SectionTable},
};

use crate::parse::{
    elf::{Bounded, Source},
    go,
    protocol::Range,
    symbolize,
    unwind::{cfi::Tables, registers::Machine},
};

/// A file that is mapped, once or several times.
pub(super) struct Module<'a> {
    mappings: &'a [Range],
    pub(super) file: Option<Bounded<'a>>,
    code: OnceCell<Option<Code<'a>>>,
}

impl<'a> Module<'a> {
    pub(super) fn new(mappings: &'a [Range], source: Option<&'a Source<'a>>) -> Self {
        let file = source.map(Source::bounded);
        Self { mappings, file, code: OnceCell::new() }
    }

    /// Where in the file `address` is.
    pub(super) fn offset(&self, address: u64) -> Option<u64> {
        let holds = |mapping: &&Range| (mapping.start..mapping.end).contains(&address);
        let mapping = self.mappings.iter().find(holds)?;
        (address - mapping.start).checked_add(mapping.offset)
    }

    /// What the file says of its code, read when it is first asked for.
    pub(super) fn code(&self, machine: Machine) -> Option<&Code<'a>> {
        self.code.get_or_init(|| Code::read(self.file?, machine)).as_ref()
    }

    /// Whether a call may return to `offset`; `None` if the file cannot be read.
    pub(super) fn follows_call(&self, offset: u64, machine: Machine) -> Option<bool> {
        let file = self.file?;
        Some(match machine {
            Machine::X86 => follows_call(file.read_bytes_at(offset.checked_sub(8)?, 8).ok()?),
            Machine::Arm => {
                let before = file.read_bytes_at(offset.checked_sub(4)?, 4).ok()?;
                calls(u32::from_le_bytes(before.try_into().ok()?))
            }
        })
    }

    /// Whether the function at `offset`, `address` for its tables, has begun by setting up its frame pointer: of x86-64, and if
    /// its symbol says where it begins.
    pub(super) fn has_frame_pointer(&self, offset: u64, address: u64) -> Option<bool> {
        // endbr64; push %rbp; mov %rsp, %rbp
        const MARK: &[u8] = &[0xf3, 0x0f, 0x1e, 0xfa];
        const SETS_UP: &[u8] = &[0x55, 0x48, 0x89, 0xe5];
        let file = self.file?;
        let (_, behind) = symbolize::functions(file, &[Some(address)]).pop()??;
        let start = file.read_bytes_at(offset.checked_sub(behind)?, 8).ok()?;
        let marked = start.starts_with(MARK);
        let (code, size) = if marked { (&start[4..], 8) } else { (start, 4) };
        Some(code.starts_with(SETS_UP) && behind >= size)
    }

    /// Whether the code at `offset` returns from a signal's handler, in a way that all C libraries of x86-64 and Go have.
    pub(super) fn returns_from_signal(&self, offset: u64, machine: Machine) -> bool {
        // mov $__NR_rt_sigreturn, %rax (or %eax); syscall
        const LONG: [u8; 9] = [0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05];
        const SHORT: [u8; 7] = [0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05];
        let Some(file) = self.file.filter(|_| machine == Machine::X86) else { return false };
        let is = |code: &[u8]| file.read_bytes_at(offset, code.len() as u64) == Ok(code);
        is(&LONG) || is(&SHORT)
    }
}

/// Whether these eight bytes of x86-64 end with a call: CALL rel32 (E8), or CALL r/m64 (FF /2) of any length.
fn follows_call(before: &[u8]) -> bool {
    if before.len() >= 5 && before[before.len() - 5] == 0xe8 {
        return true;
    }
    (2..=7).any(|length| {
        let Some(at) = before.len().checked_sub(length) else { return false };
        let (opcode, operand) = (before[at], before[at + 1]);
        let (mode, kind, base) = (operand >> 6, operand >> 3 & 7, operand & 7);
        let sib = usize::from(mode != 3 && base == 4);
        let no_base = sib == 1 && before.get(at + 2).is_some_and(|sib| sib & 7 == 5);
        let displacement = match mode {
            0 if base == 5 || no_base => 4,
            1 => 1,
            2 => 4,
            _ => 0,
        };
        opcode == 0xff && kind == 2 && length == 2 + sib + displacement
    })
}

/// Whether an instruction of arm64 is BL, BLR, or BLRAA and its kin.
fn calls(instruction: u32) -> bool {
    instruction & 0xfc00_0000 == 0x9400_0000
        || instruction & 0xffff_fc1f == 0xd63f_0000
        || instruction & 0xfeff_f800 == 0xd63f_0800
}

/// What an ELF file says of its code.
pub(super) struct Code<'a> {
    file: Bounded<'a>,
    /// Of a program in Go; read when it is first asked for.
    go: OnceCell<Option<go::Table<'a>>>,
    entry: u64,
    /// Of each segment that may run: its place in the file, its size, its address.
    segments: Vec<(u64, u64, u64)>,
    pub(super) tables: Option<Tables<'a>>,
}

type Sections<'a> = SectionTable<'a, FileHeader64<Endianness>, Bounded<'a>>;

impl<'a> Code<'a> {
    fn read(file: Bounded<'a>, machine: Machine) -> Option<Self> {
        let header = FileHeader64::<Endianness>::parse(file).ok()?;
        let endian = header.endian().ok().filter(|endian| *endian == Endianness::Little)?;
        if Machine::of(header.e_machine(endian).into()) != Some(machine) {
            return None;
        }
        let segments = header.program_headers(endian, file).ok()?.iter();
        let segments = segments.filter(|segment| segment.p_flags(endian) & PF_X != 0);
        let segments = segments.map(|segment| {
            let (offset, size) = segment.file_range(endian);
            (offset, size, segment.p_vaddr(endian))
        });
        let sections = header.sections(endian, file).ok();
        let tables = sections.and_then(|sections| tables(&sections, endian, file, machine));
        let (entry, segments) = (header.e_entry(endian), segments.collect());
        Some(Self { file, go: OnceCell::new(), entry, segments, tables })
    }

    /// Where a function of Go's returns to from `address`.
    pub(super) fn go_returns(&self, address: u64) -> Option<go::Return> {
        let read = || go::Table::of(&object::File::parse(self.file).ok()?, self.file);
        self.go.get_or_init(read).as_ref()?.returns(address)
    }

    /// Where the byte at `offset` of the file is, for its tables.
    pub(super) fn address(&self, offset: u64) -> Option<u64> {
        self.segments.iter().find_map(|(start, size, address)| {
            let inside = offset.checked_sub(*start).filter(|inside| inside < size)?;
            address.checked_add(inside)
        })
    }

    /// Whether it is where the program starts. Of musl nothing else says so.
    pub(super) fn is_entry(&self, address: u64) -> bool {
        const START: u64 = 64;
        address.checked_sub(self.entry).is_some_and(|behind| behind < START)
    }
}

fn tables<'a>(
    sections: &Sections<'a>,
    endian: Endianness,
    file: Bounded<'a>,
    machine: Machine,
) -> Option<Tables<'a>> {
    let section =
        |name: &str| sections.section_by_name(endian, name.as_bytes()).map(|(_, section)| section);
    let data = |name: &str| section(name)?.data(endian, file).ok();
    let address = |name: &str| section(name).map_or(0, |section| section.sh_addr(endian));
    let bases = BaseAddresses::default()
        .set_eh_frame(address(".eh_frame"))
        .set_eh_frame_hdr(address(".eh_frame_hdr"))
        .set_text(address(".text"))
        .set_got(address(".got"));
    Some(Tables::new(data(".eh_frame")?, data(".eh_frame_hdr"), bases, machine))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_every_form_are_known() {
        let calls: [&[u8]; 9] = [
            &[0xe8, 1, 2, 3, 4],
            &[0xff, 0xd0],
            &[0x41, 0xff, 0xd4],
            &[0xff, 0x10],
            &[0xff, 0x50, 8],
            &[0xff, 0x15, 1, 2, 3, 4],
            &[0xff, 0x54, 0x24, 8],
            &[0xff, 0x94, 0x24, 0, 1, 0, 0],
            &[0xff, 0x14, 0xc5, 0, 1, 0, 0],
        ];
        let padded = |code: &[u8]| [&[0x90; 8][code.len()..], code].concat();
        for call in calls {
            assert!(follows_call(&padded(call)), "{call:x?}");
        }
        // JMP *%rax, PUSH, CALL *%rax with something behind it, LCALL, nothing.
        let others: [&[u8]; 5] =
            [&[0xff, 0xe0], &[0xff, 0x30], &[0xff, 0xd0, 0x90], &[0xff, 0x18], &[]];
        for other in others {
            assert!(!follows_call(&padded(other)), "{other:x?}");
        }
        // BL, BLR X3, BLRAAZ X3; RET, B.
        for (instruction, expected) in [
            (0x9400_0010, true),
            (0xd63f_0060, true),
            (0xd63f_087f, true),
            (0xd65f_03c0, false),
            (0x1400_0010, false),
        ] {
            assert_eq!(super::calls(instruction), expected, "{instruction:x}");
        }
    }
}
