//! Why the CPU refused an instruction of x86-64, as far as its bytes and registers tell. Pure; no disassembler: the
//! prefixes, the handful of opcodes that decide, and the address that any other one used.
use crate::model::crash::Crash;

/// What an instruction was refused for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// ud2, ud1, ud0: what compilers and runtimes put where a program must not get to.
    Trap,
    /// It is of an extension that this CPU, or its hypervisor, does not offer.
    Extension(&'static str),
    /// Only the kernel may execute it.
    Privileged(&'static str),
    /// Its address is none that can be: bits 47 to 63 differ.
    NonCanonical(u64),
    /// It called or jumped to such an address, or returned to it.
    JumpNonCanonical(u64),
    /// It returned to an address that it took from the stack.
    Return,
    /// Its operand must lie at a multiple of 16.
    Misaligned(u64),
    /// It used its stack where that has no page.
    Stack(u64),
    /// It was no instruction: execve(2) failed with this errno where it could no longer go back to the old program.
    Exec(i32),
}

impl Refused {
    /// Whether the bytes leave no doubt. Data that is executed looks like any extension; and a thread that has no
    /// room for a signal's frame is killed the same way (kernel/signal.c force_sigsegv) wherever it is, as at the
    /// `ret` behind a system call.
    pub fn certain(self) -> bool {
        !matches!(self, Self::Extension(_) | Self::Return)
    }
}

/// ELF's e_machine.
const EM_X86_64: u32 = 62;

/// Words of `struct pt_regs` (arch/x86/include/asm/ptrace.h).
const AX: usize = 10;
const ORIG_AX: usize = 15;
const IP: usize = 16;
const CS: usize = 17;
/// By the number that instructions have for it.
const SP: usize = 4;
/// How far from the stack pointer an access is still one to the stack, in bytes: as far as Linux let a stack grow below
/// it until 4.20 (arch/x86/mm/fault.c, `enter` and a large frame).
const STACK: u64 = 65_536 + 32 * 8;

/// What `cs` holds in 64-bit mode: __USER_CS (arch/x86/include/asm/segment.h), and FLAT_USER_CS64 of a guest of Xen
/// (arch/x86/include/asm/xen/interface_64.h).
const USER_CS: [u64; 2] = [0x33, 0xe033];

/// The registers, if they are those of the fault: after a handler of it, they are those of what the thread did next,
/// as raise(3).
fn registers(crash: &Crash) -> Option<&[u64]> {
    let registers = crash.registers.as_deref()?;
    (registers.get(IP) == Some(&crash.ip)).then_some(registers)
}

/// What execve(2) or execveat(2) returned to nobody (fs/exec.c bprm_execve: behind `point_of_no_return` it raises
/// SIGSEGV). An exception has no number of a system call. Where the old program is still there, whose instruction can be
/// read, the kernel had no room for a signal's frame after a call that failed early.
fn failed_exec(crash: &Crash) -> Option<i32> {
    const EXECVE: [u64; 2] = [59, 322];
    let registers = registers(crash).filter(|_| crash.bytes.is_empty())?;
    let returned = *registers.get(AX)? as i64;
    let call = EXECVE.contains(registers.get(ORIG_AX)?);
    (call && (-4095..0).contains(&returned)).then_some(returned as i32)
}

/// SIGSEGV at an address that was used: whether that is one of its stack, which has no page there. A stack grows by what is
/// written to it: whoever takes something from it where nothing is has a stack pointer that is damaged.
pub fn overflowed(crash: &Crash, address: u64) -> Option<Refused> {
    let registers = registers(crash).filter(|_| crash.machine == EM_X86_64)?;
    if Decoded::of(crash).is_some_and(|code| code.takes_from_stack()) {
        return None;
    }
    let near = register(registers, SP).abs_diff(address) <= STACK;
    near.then_some(Refused::Stack(address))
}

/// Whether it was 64-bit code, whose bytes mean what is read from them here; `None` if that is not known.
pub fn is_64_bit(crash: &Crash) -> Option<bool> {
    if crash.machine != EM_X86_64 {
        return None;
    }
    // No other code lies there.
    if crash.ip > u64::from(u32::MAX) {
        return Some(true);
    }
    let cs = registers(crash)?.get(CS)?;
    Some(USER_CS.contains(&(cs & 0xffff)))
}

/// SIGILL: why `crash` was none that the CPU executes.
pub fn illegal(crash: &Crash) -> Option<Refused> {
    let code = Decoded::of(crash)?;
    match (code.map, code.opcode) {
        (Map::TwoByte, 0x0b | 0xb9 | 0xff) => Some(Refused::Trap),
        (Map::Evex, _) => Some(Refused::Extension("AVX-512")),
        (Map::Vex | Map::VexThreeByte, _) => Some(Refused::Extension("AVX, AVX2, FMA or BMI")),
        _ => None,
    }
}

/// SIGSEGV without an address: why `crash` was refused (#GP).
pub fn refused(crash: &Crash) -> Option<Refused> {
    // Some CPUs refuse the jump, others what they find there.
    if crash.machine == EM_X86_64 && !canonical(crash.ip) {
        return Some(Refused::JumpNonCanonical(crash.ip));
    }
    if is_64_bit(crash)?
        && let Some(returned) = failed_exec(crash)
    {
        return Some(Refused::Exec(returned));
    }
    let code = Decoded::of(crash)?;
    if let Some(name) = code.privileged() {
        return Some(Refused::Privileged(name));
    }
    if code.map == Map::OneByte && matches!(code.opcode, 0xc2 | 0xc3) {
        return Some(Refused::Return);
    }
    let registers = registers(crash)?;
    let near = code.map == Map::OneByte && code.opcode == 0xff;
    if near
        && let Some(modrm) = code.modrm
        && matches!(modrm >> 3 & 7, 2 | 4)
        && modrm >> 6 == 3
    {
        let to = register(registers, code.rm(modrm));
        return (!canonical(to)).then_some(Refused::JumpNonCanonical(to));
    }
    let address = code.addresses(registers).into_iter().flatten();
    let mut unaligned = None;
    for address in address {
        if !canonical(address) {
            return Some(Refused::NonCanonical(address));
        }
        unaligned = unaligned.or((address % 16 != 0).then_some(address));
    }
    unaligned.filter(|_| code.aligned()).map(Refused::Misaligned)
}

/// Whether an address may be one. With 5-level page tables more may, but a process must ask for those.
fn canonical(address: u64) -> bool {
    matches!(address as i64 >> 47, 0 | -1)
}

/// Which table of opcodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Map {
    OneByte,
    /// Behind 0f.
    TwoByte,
    /// Behind 0f 38 and 0f 3a.
    ThreeByte,
    /// What VEX makes of those behind 0f.
    Vex,
    /// What it makes of those behind 0f 38 and 0f 3a.
    VexThreeByte,
    Evex,
}

/// An instruction as far as it is looked at.
struct Decoded<'a> {
    map: Map,
    opcode: u8,
    modrm: Option<u8>,
    /// What follows ModRM: SIB, displacement.
    rest: &'a [u8],
    /// Bits R, X and B of REX or VEX in their places of REX.
    rex: u8,
    /// 66.
    operand_size: bool,
    /// 67, or fs or gs: the address is not to be told.
    addressed_otherwise: bool,
}

impl<'a> Decoded<'a> {
    fn of(crash: &'a Crash) -> Option<Self> {
        is_64_bit(crash)?.then(|| Self::parse(&crash.bytes))?
    }

    fn parse(mut bytes: &'a [u8]) -> Option<Self> {
        let (mut operand_size, mut addressed_otherwise, mut rex) = (false, false, 0);
        let mut next = || {
            let (first, rest) = bytes.split_first()?;
            bytes = rest;
            Some(*first)
        };
        let mut opcode = next()?;
        loop {
            match opcode {
                0x66 => operand_size = true,
                0x64 | 0x65 | 0x67 => addressed_otherwise = true,
                0x26 | 0x2e | 0x36 | 0x3e | 0xf0 | 0xf2 | 0xf3 => {}
                _ => break,
            }
            opcode = next()?;
        }
        if opcode >> 4 == 4 {
            rex = opcode & 0xf;
            opcode = next()?;
        }
        let map = match opcode {
            0x0f => {
                opcode = next()?;
                match opcode {
                    0x38 | 0x3a => {
                        opcode = next()?;
                        Map::ThreeByte
                    }
                    _ => Map::TwoByte,
                }
            }
            // In 64-bit mode these are nothing else. Bits are kept inverted.
            0xc5 => {
                let payload = next()?;
                (rex, operand_size) = ((!payload >> 5) & 4, payload & 3 == 1);
                opcode = next()?;
                Map::Vex
            }
            0xc4 => {
                let (first, second) = (next()?, next()?);
                (rex, operand_size) = ((!first >> 5) & 7, second & 3 == 1);
                opcode = next()?;
                if first & 0x1f == 1 { Map::Vex } else { Map::VexThreeByte }
            }
            0x62 => Map::Evex,
            _ => Map::OneByte,
        };
        let modrm = if map == Map::Evex { None } else { next() };
        Some(Self { map, opcode, modrm, rest: bytes, rex, operand_size, addressed_otherwise })
    }

    /// The name of one that only the kernel may execute.
    fn privileged(&self) -> Option<&'static str> {
        match (self.map, self.opcode) {
            (Map::OneByte, 0xf4) => Some("hlt"),
            (Map::OneByte, 0xfa) => Some("cli"),
            (Map::OneByte, 0xfb) => Some("sti"),
            (Map::OneByte, 0x6c | 0x6d | 0xe4 | 0xe5 | 0xec | 0xed) => Some("in"),
            (Map::OneByte, 0x6e | 0x6f | 0xe6 | 0xe7 | 0xee | 0xef) => Some("out"),
            (Map::OneByte, 0xcd) => Some("int"),
            (Map::TwoByte, 0x06) => Some("clts"),
            (Map::TwoByte, 0x08 | 0x09) => Some("invd"),
            (Map::TwoByte, 0x20..=0x23) => Some("mov of a control register"),
            (Map::TwoByte, 0x30) => Some("wrmsr"),
            (Map::TwoByte, 0x31) => Some("rdtsc, which prctl(PR_SET_TSC) forbids"),
            (Map::TwoByte, 0x32) => Some("rdmsr"),
            (Map::TwoByte, 0x33) => Some("rdpmc"),
            _ => None,
        }
    }

    /// Whether it is ret, iret, leave, pop or popf.
    fn takes_from_stack(&self) -> bool {
        let opcodes = matches!(
            self.opcode,
            0x58..=0x5f | 0x8f | 0x9d | 0xc2 | 0xc3 | 0xc9..=0xcb | 0xcf
        );
        self.map == Map::OneByte && opcodes
    }

    /// Whether it is one whose operand must be aligned: movaps, movapd, movdqa, movntps, movntdq. Others of SSE
    /// must, too; a compiler seldom gives them memory that is not.
    fn aligned(&self) -> bool {
        let moves = match self.opcode {
            0x28 | 0x29 | 0x2b => true,
            0x6f | 0x7f | 0xe7 => self.operand_size,
            _ => false,
        };
        moves && matches!(self.map, Map::TwoByte | Map::Vex)
    }

    fn rm(&self, modrm: u8) -> usize {
        usize::from(modrm & 7 | (self.rex & 1) << 3)
    }

    /// The addresses in memory that it uses.
    fn addresses(&self, registers: &[u64]) -> [Option<u64>; 2] {
        const RSI: usize = 6;
        const RDI: usize = 7;
        if self.addressed_otherwise {
            return [None, None];
        }
        let of = |number| Some(register(registers, number));
        match (self.map, self.opcode) {
            (Map::OneByte, 0xa4..=0xa7) => return [of(RSI), of(RDI)],
            (Map::OneByte, 0xaa | 0xab | 0xae | 0xaf) => return [None, of(RDI)],
            (Map::OneByte, 0xac | 0xad) => return [of(RSI), None],
            (Map::OneByte, opcode) if !one_byte_has_modrm(opcode) => return [None, None],
            (Map::TwoByte | Map::Vex, opcode) if !two_byte_has_modrm(opcode) => {
                return [None, None];
            }
            // Gathers: the index is a vector.
            (Map::VexThreeByte, 0x90..=0x93) => return [None, None],
            _ => {}
        }
        [self.modrm.and_then(|modrm| self.effective(modrm, registers)), None]
    }

    /// The address of a ModRM byte; `None` if it names a register, or lies beside the instruction.
    fn effective(&self, modrm: u8, registers: &[u64]) -> Option<u64> {
        let (mode, mut rest) = (modrm >> 6, self.rest);
        if mode == 3 {
            return None;
        }
        let mut base = Some(self.rm(modrm));
        let mut index = 0;
        if modrm & 7 == 4 {
            let (sib, after) = rest.split_first()?;
            rest = after;
            let number = usize::from(sib >> 3 & 7 | (self.rex & 2) << 2);
            if number != 4 {
                index = register(registers, number) << (sib >> 6);
            }
            base = (sib & 7 != 5 || mode != 0).then(|| self.rm(*sib));
        } else if modrm & 7 == 5 && mode == 0 {
            return None;
        }
        let displacement = match (mode, base) {
            (1, _) => i64::from(*rest.first()? as i8),
            (2, _) | (0, None) => i64::from(i32::from_le_bytes(*rest.first_chunk()?)),
            _ => 0,
        };
        let base = base.map_or(0, |number| register(registers, number));
        Some(base.wrapping_add(index).wrapping_add_signed(displacement))
    }
}

fn one_byte_has_modrm(opcode: u8) -> bool {
    match opcode {
        0x00..=0x3f => opcode & 7 < 4,
        0x63 | 0x69 | 0x6b | 0x80..=0x8f | 0xc0 | 0xc1 | 0xc6 | 0xc7 | 0xd0..=0xd3 => {
            opcode != 0x8d
        }
        0xd8..=0xdf | 0xf6 | 0xf7 | 0xfe | 0xff => true,
        _ => false,
    }
}

fn two_byte_has_modrm(opcode: u8) -> bool {
    !matches!(opcode, 0x05..=0x0b | 0x0e | 0x30..=0x37 | 0x77 | 0x80..=0x8f | 0xa0..=0xa2 | 0xa8..=0xaa | 0xc8..=0xcf)
}

/// A register by the number that instructions give it, of `struct pt_regs` (arch/x86/include/asm/ptrace.h).
fn register(registers: &[u64], number: usize) -> u64 {
    const PLACES: [usize; 16] = [10, 11, 12, 5, 19, 4, 13, 14, 9, 8, 7, 6, 3, 2, 1, 0];
    PLACES.get(number).and_then(|place| registers.get(*place)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests;
