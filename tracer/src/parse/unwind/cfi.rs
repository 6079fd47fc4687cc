//! The caller of a frame by what the compiler wrote down (`.eh_frame`).
use std::{
    cell::{Cell, OnceCell},
    collections::VecDeque,
    ops::Range,
};

use gimli::{
    BaseAddresses, CfaRule, CieOrFde, EhFrame, EhFrameHdr, EhHdrTable, EndianSlice,
    EvaluationResult, FrameDescriptionEntry, LittleEndian, Location, ParsedEhFrameHdr,
    RegisterRule, UnwindContext, UnwindExpression, UnwindSection as _, UnwindTableRow, Value,
    Vendor,
};

use crate::parse::unwind::registers::{CAPTURED, End, Machine, Memory, Regs, UNWIND};

pub(super) type Slice<'a> = EndianSlice<'a, LittleEndian>;
type Fde<'a> = FrameDescriptionEntry<Slice<'a>>;

/// So many bytes of a CIE count for an entry.
const CIE: u64 = 64;
/// CIEs of a file that are kept: linkers leave one of a kind.
const CIES: usize = 8;
/// Steps of one expression: a loop in it has no end of its own.
const STEPS: u32 = 1_000;

/// What may be spent on one stack, whatever its files hold.
pub(super) struct Work {
    /// Bytes of the programs that describe frames.
    program: Cell<u64>,
    /// Descriptions that are looked at where there is no index of them.
    entries: Cell<u64>,
}

impl Work {
    pub(super) fn new() -> Self {
        Self { program: Cell::new(512 << 10), entries: Cell::new(200_000) }
    }
}

fn take(left: &Cell<u64>, count: u64) -> Option<()> {
    left.set(left.get().checked_sub(count)?);
    Some(())
}

/// The unwinding tables of a file.
pub(super) struct Tables<'a> {
    frames: EhFrame<Slice<'a>>,
    index: Option<ParsedEhFrameHdr<Slice<'a>>>,
    /// Made where the file has none, as static programs of many linkers.
    own_index: OnceCell<Index>,
    bases: BaseAddresses,
}

/// Where each FDE is by the addresses it covers, in their order.
struct Index {
    fdes: Vec<(Range<u64>, usize)>,
    /// Whether all are there.
    whole: bool,
}

impl<'a> Tables<'a> {
    /// By `.eh_frame` and its index, `.eh_frame_hdr`, if there is one.
    pub(super) fn new(
        frames: &'a [u8],
        index: Option<&'a [u8]>,
        bases: BaseAddresses,
        machine: Machine,
    ) -> Self {
        let mut frames = EhFrame::from(EndianSlice::new(frames, LittleEndian));
        frames.set_address_size(8);
        if machine == Machine::Arm {
            frames.set_vendor(Vendor::AArch64);
        }
        let index = index.and_then(|index| {
            EhFrameHdr::from(EndianSlice::new(index, LittleEndian)).parse(&bases, 8).ok()
        });
        Self { frames, index, own_index: OnceCell::new(), bases }
    }

    /// Whether the function at `address` is the first of its thread: it has nowhere to return to. `None` if nothing is said
    /// of it.
    pub(super) fn is_first(&self, address: u64, machine: Machine, work: &Work) -> Option<bool> {
        let fde = self.find(address, work).ok()??;
        let mut context = UnwindContext::new();
        let row = fde.unwind_info_for_address(&self.frames, &self.bases, &mut context, address);
        Some(row.is_ok_and(|row| row.register(machine.ra()) == Some(RegisterRule::Undefined)))
    }

    /// The caller of the frame whose instruction is at `address` in the file; `None` if nothing is said of it.
    pub(super) fn caller(
        &self,
        address: u64,
        regs: &Regs,
        memory: Memory<'_>,
        work: &Work,
    ) -> Result<Option<Regs>, End> {
        let Some(fde) = self.find(address, work)? else { return Ok(None) };
        let mut context = UnwindContext::new();
        let row = fde
            .unwind_info_for_address(&self.frames, &self.bases, &mut context, address)
            .map_err(|_| UNWIND)?;
        Frame { tables: self, fde: &fde, regs, memory }.caller(row).map(Some)
    }

    /// The FDE that covers `address`; an error if as much was done already as is done for one stack.
    fn find(&self, address: u64, work: &Work) -> Result<Option<Fde<'a>>, End> {
        let found = match self.index.as_ref().and_then(ParsedEhFrameHdr::table) {
            Some(table) => self.look_up(&table, address),
            None => self.search(address, work)?,
        };
        let Some(fde) = found else { return Ok(None) };
        let size = (fde.entry_len() as u64).saturating_add(fde.cie().entry_len() as u64);
        take(&work.program, size).ok_or(UNWIND)?;
        Ok(fde.contains(address).then_some(fde))
    }

    fn look_up(&self, table: &EhHdrTable<'_, Slice<'a>>, address: u64) -> Option<Fde<'a>> {
        let found = table.lookup(address, &self.bases).ok()?.direct().ok()?;
        let start = self.index.as_ref()?.eh_frame_ptr().direct().ok()?;
        let offset = usize::try_from(found.checked_sub(start)?).ok()?;
        self.frames.fde_from_offset(&self.bases, offset.into(), EhFrame::cie_from_offset).ok()
    }

    fn search(&self, address: u64, work: &Work) -> Result<Option<Fde<'a>>, End> {
        let index = self.own_index.get_or_init(|| self.all(work));
        let behind = index.fdes.partition_point(|(range, _)| range.start <= address);
        let found = behind.checked_sub(1).and_then(|at| index.fdes.get(at));
        let Some((_, offset)) = found.filter(|(range, _)| range.contains(&address)) else {
            return if index.whole { Ok(None) } else { Err(UNWIND) };
        };
        let offset = (*offset).into();
        Ok(self.frames.fde_from_offset(&self.bases, offset, EhFrame::cie_from_offset).ok())
    }

    /// Each FDE names its CIE, which may be as long as the file: what is read of them is counted.
    fn all(&self, work: &Work) -> Index {
        let mut entries = self.frames.entries(&self.bases);
        let (mut cies, mut fdes) = (VecDeque::new(), Vec::new());
        let whole = loop {
            if take(&work.entries, 1).is_none() {
                break false;
            }
            let partial = match entries.next() {
                Ok(Some(CieOrFde::Fde(partial))) => partial,
                Ok(Some(CieOrFde::Cie(_))) => continue,
                Ok(None) | Err(_) => break true,
            };
            let fde = partial.parse(|frames, bases, offset| {
                let known = cies.iter().find(|(at, _)| *at == offset);
                if let Some((_, cie)) = known {
                    return Ok(Clone::clone(cie));
                }
                let cie = frames.cie_from_offset(bases, offset)?;
                let left = work.entries.get().saturating_sub(cie.entry_len() as u64 / CIE);
                work.entries.set(left);
                cies.truncate(CIES - 1);
                cies.push_front((offset, cie.clone()));
                Ok(cie)
            });
            if let Ok(fde) = fde {
                fdes.push((fde.initial_address()..fde.end_address(), fde.offset()));
            }
        };
        fdes.sort_unstable_by_key(|(range, offset)| (range.start, *offset));
        Index { fdes, whole }
    }
}

/// One frame and what is said of it.
struct Frame<'f, 'a> {
    tables: &'f Tables<'a>,
    fde: &'f Fde<'a>,
    regs: &'f Regs,
    memory: Memory<'f>,
}

impl Frame<'_, '_> {
    fn caller(&self, row: &UnwindTableRow<usize>) -> Result<Regs, End> {
        let regs = self.regs;
        let (machine, sp) = (regs.machine, regs.sp().ok_or(UNWIND)?);
        let cfa = match row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } => {
                let base = regs.get(*register).ok_or(UNWIND)?;
                base.checked_add_signed(*offset).ok_or(UNWIND)?
            }
            CfaRule::Expression(expression) => self.evaluate(expression, None)?,
        };
        let signal = self.fde.is_signal_trampoline();
        // Frames lie in order: only a leaf of arm64 may have none of its own. A signal may have another stack.
        let leaf = machine == Machine::Arm && regs.exact;
        if !signal && (cfa < sp || cfa == sp && !leaf) {
            return Err(UNWIND);
        }
        let ip = match row.register(machine.ra()) {
            Some(RegisterRule::Undefined) => return Err(End::First),
            None | Some(RegisterRule::SameValue) if machine == Machine::Arm => {
                // Whoever has called something has lost its own.
                regs.get(machine.ra()).filter(|_| regs.exact).ok_or(UNWIND)?
            }
            None => return Err(End::First),
            Some(rule) => self.value(&rule, cfa)?.ok_or(UNWIND)?,
        };
        let above = match row.register(machine.sp()) {
            Some(rule) => self.value(&rule, cfa)?.ok_or(UNWIND)?,
            None => cfa,
        };
        let mut caller = regs.caller(ip, above, signal);
        for register in regs.others() {
            let value = match row.register(register) {
                None if machine.keeps(register) => regs.get(register),
                None => None,
                Some(RegisterRule::SameValue) => regs.get(register),
                // An epilogue has loaded it again from below the stack pointer, which was not captured.
                Some(RegisterRule::Offset(offset))
                    if regs.exact && cfa.checked_add_signed(offset).is_some_and(|at| at < sp) =>
                {
                    regs.get(register)
                }
                Some(rule) => self.value(&rule, cfa).ok().flatten(),
            };
            caller.set(register, value);
        }
        Ok(caller)
    }

    /// What a register held in the caller; `None` if that is not known.
    fn value(&self, rule: &RegisterRule<usize>, cfa: u64) -> Result<Option<u64>, End> {
        let at = |offset: &i64| cfa.checked_add_signed(*offset).ok_or(UNWIND);
        Ok(match rule {
            RegisterRule::Offset(offset) => Some(self.memory.read(at(offset)?)?),
            RegisterRule::ValOffset(offset) => Some(at(offset)?),
            RegisterRule::Register(register) => self.regs.get(*register),
            RegisterRule::Expression(expression) => {
                Some(self.memory.read(self.evaluate(expression, Some(cfa))?)?)
            }
            RegisterRule::ValExpression(expression) => Some(self.evaluate(expression, Some(cfa))?),
            _ => None,
        })
    }

    /// An expression; those of registers begin with the frame's address.
    fn evaluate(
        &self,
        expression: &UnwindExpression<usize>,
        initial: Option<u64>,
    ) -> Result<u64, End> {
        let expression = expression.get(&self.tables.frames).map_err(|_| UNWIND)?;
        let mut evaluation = expression.evaluation(self.fde.cie().encoding());
        evaluation.set_max_iterations(STEPS);
        if let Some(initial) = initial {
            evaluation.set_initial_value(initial);
        }
        let mut result = evaluation.evaluate();
        loop {
            result = match result.map_err(|_| UNWIND)? {
                EvaluationResult::Complete => break,
                EvaluationResult::RequiresRegister { register, .. } => {
                    let value = self.regs.get(register).ok_or(UNWIND)?;
                    evaluation.resume_with_register(Value::Generic(value))
                }
                EvaluationResult::RequiresMemory { address, size, .. } => {
                    let value = self.memory.read(address)?;
                    let unused = 64 - 8 * u32::from(size.clamp(1, 8));
                    evaluation.resume_with_memory(Value::Generic(value << unused >> unused))
                }
                _ => return Err(UNWIND),
            }
        }
        match evaluation.as_result() {
            [piece] => match piece.location {
                Location::Address { address } => Ok(address),
                _ => Err(UNWIND),
            },
            _ => Err(UNWIND),
        }
    }
}

/// The caller of a frame by its frame pointer, which points to the caller's and, above it, the return address. Of a
/// function that has not set its own up yet it is the caller's caller: a frame is left out then, and none is wrong.
pub(super) fn by_frame_pointer(regs: &Regs, memory: Memory<'_>) -> Result<Regs, End> {
    let (sp, fp) = (regs.sp().ok_or(UNWIND)?, regs.fp().ok_or(UNWIND)?);
    if fp < sp || !fp.is_multiple_of(8) {
        return Err(UNWIND);
    }
    let behind = fp.checked_add(16).ok_or(UNWIND)?;
    // What is no address of this stack says nothing of how much of it was captured.
    if !memory.holds(fp) && fp - sp > STACK {
        return Err(UNWIND);
    }
    let (above, ip) = (memory.read(fp)?, memory.read(fp + 8)?);
    // Whatever else the register may have been used for: a 0 there is no proof of an end.
    if ip == 0 {
        return Err(UNWIND);
    }
    let mut caller = regs.caller(ip, behind, false);
    caller.set(regs.machine.fp(), Some(above));
    Ok(caller)
}

/// Nearly all stacks are as small: of the first thread ulimit(1) says so, of others the C library.
const STACK: u64 = 8 << 20;

/// Registers of x86-64 as a signal found them: whoever handles one returns to code that has the kernel load them from
/// the stack (`struct rt_sigframe`, arch/x86/include/asm/sigframe.h).
pub(super) fn interrupted(regs: &Regs, memory: Memory<'_>) -> Result<Regs, End> {
    /// `uc_mcontext` in `struct ucontext`.
    const CONTEXT: u64 = 40;
    /// DWARF's number of each register in its order in `struct sigcontext`, up to `sp`.
    const ORDER: [u16; 16] = [8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, 7];
    let start = regs.sp().and_then(|sp| sp.checked_add(CONTEXT)).ok_or(UNWIND)?;
    let read = |at: u64| memory.read(start.checked_add(8 * at).ok_or(CAPTURED)?);
    let mut caller = regs.caller(read(16)?, read(15)?, true);
    for (at, register) in (0_u64..).zip(ORDER) {
        caller.set(gimli::Register(register), Some(read(at)?));
    }
    Ok(caller)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A CIE with an augmentation string of `long` bytes.
    fn cie(out: &mut Vec<u8>, long: usize) -> usize {
        let start = out.len();
        let mut body = vec![0, 0, 0, 0, 1, b'z'];
        body.resize(6 + long, b'S');
        // The end of the string, alignments, the register of the return address, no data.
        body.extend([0, 1, 0x78, 16, 0]);
        body.resize(body.len().next_multiple_of(8) + 4, 0);
        out.extend((body.len() as u32).to_le_bytes());
        out.extend(body);
        start
    }

    /// An FDE of that CIE for a function at 1.
    fn fde(out: &mut Vec<u8>, cie: usize) {
        let mut body = Vec::new();
        body.extend(((out.len() + 4 - cie) as u32).to_le_bytes());
        body.extend(1_u64.to_le_bytes());
        body.extend(1_u64.to_le_bytes());
        body.resize(28, 0);
        out.extend((body.len() as u32).to_le_bytes());
        out.extend(body);
    }

    /// Each FDE names its CIE: to read that again for each takes minutes here.
    #[test]
    fn a_long_cie_is_not_read_for_each_fde() {
        let tables = |cies: usize| {
            let mut frames = Vec::new();
            let cies: Vec<usize> = (0..cies).map(|_| cie(&mut frames, 1 << 20)).collect();
            for nth in 0..100_000 {
                fde(&mut frames, cies[nth % cies.len()]);
            }
            frames
        };
        // A few are kept; so many changes of others are more than is done for one stack.
        for (count, enough) in [(2, true), (2 * CIES, false)] {
            let (frames, work) = (tables(count), Work::new());
            let tables = Tables::new(&frames, None, BaseAddresses::default(), Machine::X86);
            assert!(!matches!(tables.find(1, &work), Ok(None)), "they are FDEs");
            assert_eq!((tables.find(9, &work).is_ok(), work.entries.get() > 0), (enough, enough));
        }
    }

    /// Static programs of many linkers have no index.
    #[test]
    fn without_an_index_the_same_is_found() {
        use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
        let file = std::fs::read(std::env::current_exe().expect("a path")).expect("our own file");
        let elf = object::File::parse(&*file).expect("ELF");
        let section = |name: &str| elf.section_by_name(name).expect(name);
        let data = |name: &str| section(name).data().expect("it is there");
        let bases = BaseAddresses::default()
            .set_eh_frame(section(".eh_frame").address())
            .set_eh_frame_hdr(section(".eh_frame_hdr").address())
            .set_text(section(".text").address());
        let tables = |index| Tables::new(data(".eh_frame"), index, bases.clone(), Machine::X86);
        let (with, without) = (tables(Some(data(".eh_frame_hdr"))), tables(None));
        let work = Work::new();
        let find = |tables: &Tables<'_>, address| {
            let work = if tables.index.is_some() { &Work::new() } else { &work };
            tables.find(address, work).expect("little to do").map(|fde| fde.offset())
        };
        let symbols = elf.symbols().filter(|symbol| symbol.size() > 1).step_by(97);
        let inside = symbols.map(|symbol| symbol.address() + symbol.size() / 2);
        let found: Vec<_> = inside.map(|at| (find(&with, at), find(&without, at))).collect();
        assert!(found.iter().all(|(with, without)| with == without), "{found:?}");
        assert!(found.iter().filter(|(with, _)| with.is_some()).count() > 100, "{}", found.len());
    }
}
