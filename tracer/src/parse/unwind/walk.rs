//! From the innermost frame to the outermost.
use crate::{
    model::stack::Cut,
    parse::{
        go::Return,
        protocol::{FRAMES, Thread},
        unwind::{
            cfi::{Work, by_frame_pointer, interrupted},
            modules::{Code, Module},
            registers::{End, Machine, Memory, Regs, UNWIND},
        },
    },
};

/// Nothing is mapped below it (vm.mmap_min_addr): to be there means to have called a function that is none.
const LOWEST: u64 = 0x1_0000;

/// A frame that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) ip: u64,
    /// `ip` is the instruction itself, not the one behind a call.
    pub(super) exact: bool,
}

pub(super) struct Walk<'a> {
    pub(super) thread: &'a Thread,
    pub(super) machine: Machine,
    pub(super) modules: &'a [Module<'a>],
    pub(super) work: Work,
}

impl<'a> Walk<'a> {
    /// The frames, innermost first, and why there are no more; `None` if the last is the thread's first.
    ///
    /// What compilers wrote down is believed before frame pointers: most programs have none, and a chain of them
    /// leaves out functions, or ends. The kernel's chain goes on where unwinding ended in a frame that the chain
    /// has, too: behind what was captured, and in code of which nothing is said. Not from the innermost frame: a function
    /// that calls nobody, as memcpy(3), mostly has no frame pointer of its own, and the chain leaves its caller out.
    pub(super) fn frames(&self) -> (Vec<Found>, Option<Cut>) {
        let (mut found, cut) = match &self.thread.registers {
            Some(registers) => self.by_registers(Regs::of(self.thread, registers, self.machine)),
            None => (Vec::new(), Some(Cut::Unwind)),
        };
        let Some(cut) = cut.filter(|cut| *cut != Cut::Many) else { return (found, cut) };
        if found.len() == 1 {
            return (found, Some(cut));
        }
        let before = found.len();
        for ip in self.chain_behind(&found) {
            if found.len() == FRAMES {
                return (found, Some(Cut::Many));
            }
            let frame = Found { ip, exact: found.is_empty() };
            if !frame.exact && !self.is_return(ip) {
                break;
            }
            found.push(frame);
            if frame.exact {
                break;
            }
        }
        let first = found.len() > before && found.last().is_some_and(|last| self.is_first(*last));
        (found, Some(cut).filter(|_| !first))
    }

    fn by_registers(&self, mut regs: Regs) -> (Vec<Found>, Option<Cut>) {
        let start = self.thread.registers.map_or(0, |registers| registers.sp);
        let memory = Memory { start, bytes: &self.thread.bytes };
        let mut found = vec![Found { ip: regs.ip, exact: true }];
        loop {
            match self.caller(&regs, memory, found.len() == 1) {
                Err(End::First) => return (found, None),
                Err(End::Cut(cut)) => return (found, Some(cut)),
                Ok(_) if found.len() == FRAMES => return (found, Some(Cut::Many)),
                Ok(caller) => {
                    found.push(Found { ip: caller.ip, exact: caller.exact });
                    regs = caller;
                }
            }
        }
    }

    /// The registers of the caller of a frame.
    fn caller(&self, regs: &Regs, memory: Memory<'_>, innermost: bool) -> Result<Regs, End> {
        // A signal that has a stack of its own may have come upon any other one.
        if !innermost && regs.exact && regs.sp().is_none_or(|sp| !memory.holds(sp)) {
            return Err(End::Cut(Cut::Captured));
        }
        let caller = self.step(regs, memory)?;
        if caller.exact {
            return Ok(caller);
        }
        // 0 is where the first function of a thread would return to.
        match caller.ip {
            0 => Err(End::First),
            ip if self.is_return(ip) => Ok(caller),
            _ => Err(UNWIND),
        }
    }

    fn step(&self, regs: &Regs, memory: Memory<'_>) -> Result<Regs, End> {
        let Some((module, offset)) = self.at(regs.lookup()) else {
            if regs.exact && regs.ip < LOWEST {
                return self.called(regs, memory);
            }
            // Code that was made in memory says nothing of its frames.
            return without_tables(regs, memory);
        };
        let code = module.code(self.machine);
        let address = code.and_then(|code| code.address(offset));
        if let Some((code, address)) = code.zip(address) {
            let by_tables =
                code.tables.as_ref().map(|tables| tables.caller(address, regs, memory, &self.work));
            if let Some(caller) = by_tables.transpose()?.flatten() {
                return Ok(caller);
            }
            if let Some(caller) = self.by_go(code, address, regs, memory) {
                return caller;
            }
            if !regs.exact && code.is_entry(address) {
                return Err(End::First);
            }
        }
        if module.returns_from_signal(offset.saturating_add(1), self.machine) {
            return interrupted(regs, memory);
        }
        // The first function of a thread has none, by the ABI: one whose file says nothing of it, as those of musl.
        if !regs.exact && code.is_some() && regs.fp() == Some(0) {
            return Err(End::First);
        }
        // A file that cannot be read may have tables, and functions that keep no frame pointer.
        if code.is_none() {
            return Err(UNWIND);
        }
        let begun = |address| module.has_frame_pointer(offset, address) == Some(true);
        if regs.exact && self.machine == Machine::X86 && address.is_some_and(begun) {
            return by_frame_pointer(regs, memory);
        }
        without_tables(regs, memory)
    }

    /// The caller of a function of Go's, which keeps nothing but the stack pointer for it. Go writes no `.eh_frame`.
    fn by_go(
        &self,
        code: &Code<'_>,
        address: u64,
        regs: &Regs,
        memory: Memory<'_>,
    ) -> Option<Result<Regs, End>> {
        let returns = code.go_returns(address).filter(|_| self.machine == Machine::X86)?;
        let Return::Above(above) = returns else { return Some(Err(End::First)) };
        let caller = || {
            let at = regs.sp().and_then(|sp| sp.checked_add(above)).ok_or(UNWIND)?;
            let sp = at.checked_add(8).ok_or(UNWIND)?;
            Ok(regs.caller(memory.read(at)?, sp, false))
        };
        Some(caller())
    }

    /// The caller of what is no function: nothing has run there, so that the return address is where the call put it.
    fn called(&self, regs: &Regs, memory: Memory<'_>) -> Result<Regs, End> {
        let sp = regs.sp().ok_or(UNWIND)?;
        let (ip, above) = match self.machine {
            Machine::X86 => (memory.read(sp)?, sp.checked_add(8).ok_or(UNWIND)?),
            Machine::Arm => (regs.get(self.machine.ra()).ok_or(UNWIND)?, sp),
        };
        let mut caller = regs.caller(ip, above, false);
        for register in regs.others().filter(|register| self.machine.keeps(*register)) {
            caller.set(register, regs.get(register));
        }
        Ok(caller)
    }

    /// The module that `address` lies in, and where in its file.
    fn at(&self, address: u64) -> Option<(&'a Module<'a>, u64)> {
        self.modules.iter().find_map(|module| Some((module, module.offset(address)?)))
    }

    /// Whether `ip` may be a return address: a call stands before it, as far as its file can be read. Outside of all
    /// files it is one only if the kernel's chain has it, and goes on behind it in a file.
    fn is_return(&self, ip: u64) -> bool {
        match self.at(ip.wrapping_sub(1)) {
            Some((module, before)) => {
                let offset = before.saturating_add(1);
                let first = |code: &Code<'_>| {
                    code.go_returns(code.address(before)?).filter(|to| *to == Return::Nowhere)
                };
                module.follows_call(offset, self.machine).unwrap_or(true)
                    || module.returns_from_signal(offset, self.machine)
                    // A goroutine's first function is made to look called: nobody calls it.
                    || module.code(self.machine).and_then(first).is_some()
            }
            None => {
                let mut rest = self.thread.chain.iter().skip_while(|at| **at != ip).skip(1);
                rest.any(|at| self.at(at.wrapping_sub(1)).is_some())
            }
        }
    }

    /// What the chain has behind the last frame; a function that called itself is there several times.
    fn chain_behind(&self, found: &[Found]) -> Vec<u64> {
        let chain = &self.thread.chain;
        let Some(last) = found.last() else { return chain.clone() };
        let times = found.iter().filter(|frame| frame.ip == last.ip).count();
        let same = chain.iter().enumerate().filter(|(_, ip)| **ip == last.ip);
        let at = same.map(|(at, _)| at).nth(times - 1);
        at.map(|at| chain[at + 1..].to_vec()).unwrap_or_default()
    }

    /// Whether a frame is the first of its thread.
    fn is_first(&self, frame: Found) -> bool {
        let lookup = if frame.exact { frame.ip } else { frame.ip.wrapping_sub(1) };
        let Some((module, offset)) = self.at(lookup) else { return false };
        let Some(code) = module.code(self.machine) else { return false };
        code.address(offset).is_some_and(|address| {
            let tables = code.tables.as_ref();
            let said = tables.and_then(|tables| tables.is_first(address, self.machine, &self.work));
            said.unwrap_or_else(|| code.is_entry(address))
        })
    }
}

/// The caller by the frame pointer, unless the instruction itself is known: it may be one of a function that has none.
fn without_tables(regs: &Regs, memory: Memory<'_>) -> Result<Regs, End> {
    if regs.exact {
        return Err(UNWIND);
    }
    by_frame_pointer(regs, memory)
}
