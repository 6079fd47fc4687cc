//! Which registers of a crash an answer rests on: what else a program had in them is its own, and may be a secret. Pure.
use crate::{correlate::instruction, model::crash::Crash};

/// Words of `struct pt_regs` of x86-64 that hold no data: where the thread was, in which mode, and its stack.
const PLACES: [usize; 3] = [16, 17, 19];

/// The words of its registers without which everything that is told of a crash stays as it is.
pub fn needless(crash: &Crash) -> Vec<usize> {
    let told = told(crash);
    let mut tried = crash.clone();
    let mut needless = Vec::new();
    for at in (0..crash.registers.as_ref().map_or(0, Vec::len)).filter(|at| !PLACES.contains(at)) {
        let Some(word) = tried.registers.as_mut().and_then(|words| words.get_mut(at)) else {
            break;
        };
        let before = std::mem::take(word);
        if self::told(&tried) == told {
            needless.push(at);
        } else if let Some(words) = &mut tried.registers {
            words[at] = before;
        }
    }
    needless
}

/// What its registers say, by the signal that it died of; where the stack is may be asked, too.
fn told(crash: &Crash) -> (Option<instruction::Refused>, Option<bool>) {
    let refused = match (crash.signal, crash.code) {
        (libc::SIGILL, _) => instruction::illegal(crash),
        (libc::SIGSEGV, SI_KERNEL) => instruction::refused(crash),
        _ => None,
    };
    (refused, instruction::is_64_bit(crash))
}

/// include/uapi/asm-generic/siginfo.h
const SI_KERNEL: i32 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::crash;

    const SECRET: u64 = u64::from_le_bytes(*b"s3cr3t!!");

    fn with(signal: i32, code: i32, bytes: &[u8]) -> Crash {
        let mut registers = vec![SECRET; 21];
        let crash = crash();
        (registers[16], registers[17], registers[19]) = (crash.ip, 0x33, 0x7ffe_0000);
        let (bytes, registers) = (bytes.to_vec(), Some(registers));
        Crash { signal, code, machine: 62, bytes, registers, ..crash }
    }

    #[test]
    fn of_an_address_that_is_told_no_register_is_needed_but_the_stack() {
        // mov (%rdi), %eax
        let kept = |crash: &Crash| {
            let needless = needless(crash);
            (0..21).filter(|at| !needless.contains(at)).collect::<Vec<_>>()
        };
        assert_eq!(kept(&with(11, 1, &[0x8b, 0x07])), PLACES);
        assert_eq!(kept(&with(6, 0, &[0x8b, 0x07])), PLACES);
        // Without an address it is what the instruction used that was refused: rdi is word 14.
        assert_eq!(kept(&with(11, 0x80, &[0x8b, 0x07])), [14, 16, 17, 19]);
        assert_eq!(needless(&Crash { registers: None, ..with(11, 1, &[]) }), [0; 0]);
        let short = Crash { registers: Some(vec![1; 2]), ..with(11, 1, &[]) };
        assert_eq!(needless(&short), [0, 1]);
    }
}
