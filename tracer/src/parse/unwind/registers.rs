//! What unwinding knows of a frame: its registers as far as they can be told, and the stack.
use gimli::{AArch64, Register, X86_64};

use crate::{
    model::stack::{Cut, Registers},
    parse::protocol::Thread,
};

/// Why a frame has no caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It is the thread's first.
    First,
    Cut(Cut),
}

pub(super) const UNWIND: End = End::Cut(Cut::Unwind);
pub(super) const CAPTURED: End = End::Cut(Cut::Captured);

/// Processors whose frames are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Machine {
    X86,
    Arm,
}

impl Machine {
    /// By its number in ELF (`e_machine`).
    pub(super) fn of(machine: u32) -> Option<Self> {
        match machine {
            62 => Some(Self::X86),
            183 => Some(Self::Arm),
            _ => None,
        }
    }

    pub(super) fn sp(self) -> Register {
        match self {
            Self::X86 => X86_64::RSP,
            Self::Arm => AArch64::SP,
        }
    }

    pub(super) fn fp(self) -> Register {
        match self {
            Self::X86 => X86_64::RBP,
            Self::Arm => AArch64::X29,
        }
    }

    /// The column of the return address.
    pub(super) fn ra(self) -> Register {
        match self {
            Self::X86 => X86_64::RA,
            Self::Arm => AArch64::X30,
        }
    }

    /// Whether a function leaves the register to its caller as it was, by the calling convention.
    pub(super) fn keeps(self, register: Register) -> bool {
        match self {
            Self::X86 => matches!(register.0, 3 | 6 | 12..=15),
            Self::Arm => matches!(register.0, 19..=29),
        }
    }
}

/// Registers by their DWARF numbers: those of both processors that matter are below it.
const REGISTERS: u16 = 32;

/// The registers of a frame. What a callee may have changed is not known.
#[derive(Debug, Clone)]
pub(super) struct Regs {
    pub(super) machine: Machine,
    pub(super) ip: u64,
    /// `ip` is the instruction that was about to run, not the one behind a call.
    pub(super) exact: bool,
    known: [Option<u64>; REGISTERS as usize],
    /// Bits of a code address: on arm64 those above it may hold its authentication.
    mask: u64,
}

impl Regs {
    pub(super) fn of(thread: &Thread, registers: &Registers, machine: Machine) -> Self {
        let mask = match machine {
            Machine::X86 => u64::MAX,
            Machine::Arm => mask(thread, registers),
        };
        let ip = registers.ip & mask;
        let mut regs = Self { machine, ip, exact: true, known: [None; REGISTERS as usize], mask };
        regs.set(machine.sp(), Some(registers.sp));
        regs.set(machine.fp(), Some(registers.fp));
        if machine == Machine::Arm {
            regs.set(machine.ra(), Some(registers.lr & mask));
        }
        regs
    }

    /// Those of its caller, of which nothing but the place is known yet.
    pub(super) fn caller(&self, ip: u64, sp: u64, exact: bool) -> Self {
        let ip = ip & self.mask;
        let mut regs = Self { ip, exact, known: [None; REGISTERS as usize], ..self.clone() };
        regs.set(self.machine.sp(), Some(sp));
        regs
    }

    pub(super) fn get(&self, register: Register) -> Option<u64> {
        if self.machine == Machine::X86 && register == X86_64::RA {
            return Some(self.ip);
        }
        self.known.get(usize::from(register.0)).copied().flatten()
    }

    pub(super) fn set(&mut self, register: Register, value: Option<u64>) {
        if let Some(known) = self.known.get_mut(usize::from(register.0)) {
            *known = value;
        }
    }

    pub(super) fn sp(&self) -> Option<u64> {
        self.get(self.machine.sp())
    }

    pub(super) fn fp(&self) -> Option<u64> {
        self.get(self.machine.fp())
    }

    /// An address of the instruction: of a call that did not return, the one before it.
    pub(super) fn lookup(&self) -> u64 {
        if self.exact { self.ip } else { self.ip.wrapping_sub(1) }
    }

    /// All registers that have a number here, but the stack pointer.
    pub(super) fn others(&self) -> impl Iterator<Item = Register> + use<> {
        let sp = self.machine.sp();
        (0..REGISTERS).map(Register).filter(move |register| *register != sp)
    }
}

/// As many bits as the highest address has that is known to be in user memory.
fn mask(thread: &Thread, registers: &Registers) -> u64 {
    let mappings = thread.modules.iter().flat_map(|module| &module.mappings);
    let ends = mappings.map(|mapping| mapping.end);
    let highest = ends.chain([registers.sp]).filter(|end| *end < 1 << 52).max().unwrap_or(0);
    u64::MAX.checked_shr(highest.leading_zeros()).unwrap_or(0)
}

/// The stack as far as it was captured.
#[derive(Clone, Copy)]
pub(super) struct Memory<'a> {
    pub(super) start: u64,
    pub(super) bytes: &'a [u8],
}

impl Memory<'_> {
    pub(super) fn read(self, at: u64) -> Result<u64, End> {
        let from = at.checked_sub(self.start).ok_or(UNWIND)?;
        let from = usize::try_from(from).map_err(|_| CAPTURED)?;
        let bytes = self.bytes.get(from..).and_then(<[u8]>::first_chunk).ok_or(CAPTURED)?;
        Ok(u64::from_le_bytes(*bytes))
    }

    /// Whether it holds the address.
    pub(super) fn holds(self, at: u64) -> bool {
        at.checked_sub(self.start).is_some_and(|from| from < self.bytes.len() as u64)
    }
}
