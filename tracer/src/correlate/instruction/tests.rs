use super::*;
use crate::testing::crash;

const BAD: u64 = 0x4141_4141_4141_4141;

/// rax to r15 as instructions number them.
fn with(bytes: &[u8], values: &[(usize, u64)]) -> Crash {
    const PLACES: [usize; 16] = [10, 11, 12, 5, 19, 4, 13, 14, 9, 8, 7, 6, 3, 2, 1, 0];
    let mut registers = vec![0x1000; 21];
    for (number, value) in values {
        registers[PLACES[*number]] = *value;
    }
    let crash = crash();
    (registers[IP], registers[CS]) = (crash.ip, 0x33);
    Crash { bytes: bytes.to_vec(), registers: Some(registers), ..crash }
}

#[test]
fn traps_and_what_the_cpu_has_not() {
    for (bytes, why) in [
        (&[0x0f, 0x0b][..], Some(Refused::Trap)),
        (&[0x67, 0x0f, 0xb9, 0x40, 0x02], Some(Refused::Trap)),
        (&[0x62, 0xf1, 0x7c, 0x48, 0x28, 0x00], Some(Refused::Extension("AVX-512"))),
        (&[0xc5, 0xfc, 0x28, 0x00], Some(Refused::Extension("AVX, AVX2, FMA or BMI"))),
        // andn %rcx,%rbx,%rax
        (&[0xc4, 0xe2, 0xe0, 0xf2, 0xc1], Some(Refused::Extension("AVX, AVX2, FMA or BMI"))),
        (&[0x06], None),
        (&[], None),
    ] {
        assert_eq!(illegal(&with(bytes, &[])), why, "{bytes:x?}");
    }
}

#[test]
fn what_a_general_protection_fault_was_for() {
    for (bytes, values, why) in [
        (&[0xf4][..], &[][..], Some(Refused::Privileged("hlt"))),
        (&[0xfa], &[], Some(Refused::Privileged("cli"))),
        (&[0xee], &[], Some(Refused::Privileged("out"))),
        (&[0x0f, 0x32], &[], Some(Refused::Privileged("rdmsr"))),
        // mov (%rax),%rdx
        (&[0x48, 0x8b, 0x10], &[(0, BAD)], Some(Refused::NonCanonical(BAD))),
        (&[0x48, 0x8b, 0x10], &[(0, 0x1000)], None),
        // mov 8(%r12,%rcx,4),%eax
        (
            &[0x41, 0x8b, 0x44, 0x8c, 0x08],
            &[(12, 0x8000_0000_0000_0000), (1, 2)],
            Some(Refused::NonCanonical(0x8000_0000_0000_0010)),
        ),
        // movaps %xmm0,0x8(%rsp)
        (
            &[0x0f, 0x29, 0x44, 0x24, 0x08],
            &[(4, 0x7ffc_0000)],
            Some(Refused::Misaligned(0x7ffc_0008)),
        ),
        (&[0x0f, 0x29, 0x44, 0x24, 0x08], &[(4, 0x7ffc_0008)], None),
        // vmovdqa (%rdi),%xmm0, and vmovdqu
        (&[0xc5, 0xf9, 0x6f, 0x07], &[(7, 0x1001)], Some(Refused::Misaligned(0x1001))),
        (&[0xc5, 0xfa, 0x6f, 0x07], &[(7, 0x1001)], None),
        // vpackusdw (%rdi),%xmm0,%xmm0: its opcode is that of vmovntps in another map
        (&[0xc4, 0xe2, 0x79, 0x2b, 0x07], &[(7, 0x1001)], None),
        // vpgatherdd %xmm2,(%rdi,%xmm1,1),%xmm0
        (&[0xc4, 0xe2, 0x69, 0x90, 0x04, 0x0f], &[(1, BAD)], None),
        // vzeroupper, and what follows it
        (&[0xc5, 0xf8, 0x77, 0x10], &[(0, BAD)], None),
        // call *%rax, jmp *%r11, ret
        (&[0xff, 0xd0], &[(0, BAD)], Some(Refused::JumpNonCanonical(BAD))),
        (&[0x41, 0xff, 0xe3], &[(11, BAD)], Some(Refused::JumpNonCanonical(BAD))),
        (&[0xc3], &[], Some(Refused::Return)),
        // rep movsb
        (&[0xf3, 0xa4], &[(6, 0x1000), (7, BAD)], Some(Refused::NonCanonical(BAD))),
        // lea is no access, and fs: has a base that nobody knows.
        (&[0x48, 0x8d, 0x10], &[(0, BAD)], None),
        (&[0x64, 0x48, 0x8b, 0x10], &[(0, BAD)], None),
        // Beside the instruction.
        (&[0x48, 0x8b, 0x05, 0, 0, 0, 0], &[], None),
    ] {
        assert_eq!(refused(&with(bytes, values)), why, "{bytes:x?}");
    }
}

#[test]
fn other_machines_and_missing_registers_tell_nothing() {
    let other = Crash { machine: 183, ..with(&[0xf4], &[]) };
    assert_eq!(refused(&other), None);
    let there = Crash { ip: BAD, ..with(&[], &[]) };
    assert_eq!(refused(&there), Some(Refused::JumpNonCanonical(BAD)));
    assert_eq!(refused(&Crash { machine: 183, ..there }), None);
    let blind = Crash { registers: None, ..with(&[0x48, 0x8b, 0x10], &[]) };
    assert_eq!(refused(&blind), None);
    assert_eq!(
        refused(&Crash { registers: None, ..with(&[0xf4], &[]) }),
        Some(Refused::Privileged("hlt"))
    );
}

#[test]
fn a_program_that_could_not_be_set_up() {
    let exec = |number: u64, returned: i64, bytes: &[u8]| {
        let mut crash = with(bytes, &[(0, returned as u64)]);
        crash.registers.as_mut().expect("registers")[ORIG_AX] = number;
        refused(&crash)
    };
    assert_eq!(exec(59, -12, &[]), Some(Refused::Exec(-12)));
    assert_eq!(exec(322, -14, &[]), Some(Refused::Exec(-14)));
    assert_eq!(exec(59, 0, &[]), None, "it went well");
    assert_eq!(exec(59, -2, &[0x48, 0x3d]), None, "the old program is still there");
    assert_eq!(exec(1, -12, &[]), None, "another system call");
    assert_eq!(exec(u64::MAX, -12, &[]), None, "an exception");
}

/// A handler of the fault has raised the signal again.
#[test]
fn registers_of_another_place_tell_nothing() {
    let mut crash = with(&[0x48, 0x8b, 0x10], &[(0, BAD)]);
    assert_eq!(refused(&crash), Some(Refused::NonCanonical(BAD)));
    crash.ip += 2;
    assert_eq!(refused(&crash), None);
    // The bytes are still those of the fault.
    let raised = Crash { ip: crash.ip, ..with(&[0xf4], &[]) };
    assert_eq!(refused(&raised), Some(Refused::Privileged("hlt")));
}

#[test]
fn code_of_32_bits_is_not_read_as_if_it_had_64() {
    let at = |ip: u64, cs: Option<u64>| {
        // dec %eax; mov (%eax),%edx: with 64 bits mov (%rax),%rdx
        let mut crash = Crash { ip, ..with(&[0x48, 0x8b, 0x10], &[(0, BAD)]) };
        if let Some(registers) = &mut crash.registers {
            (registers[IP], registers[CS]) = (ip, cs.unwrap_or(0));
        }
        crash.registers = crash.registers.filter(|_| cs.is_some());
        (is_64_bit(&crash), refused(&crash).is_some())
    };
    assert_eq!(at(0x0804_8000, Some(0x23)), (Some(false), false));
    assert_eq!(at(0x0040_1000, Some(0x33)), (Some(true), true));
    assert_eq!(at(0x0040_1000, Some(0xe033)), (Some(true), true), "a guest of Xen");
    // FRED keeps more in the bits above (struct fred_cs).
    assert_eq!(at(0x0040_1000, Some(0x1_0033)), (Some(true), true));
    assert_eq!(at(0x0040_1000, None), (None, false), "older kernels give no registers");
    assert_eq!(at(0x7f00_0000_1000, None), (Some(true), false));
}

#[test]
fn no_bytes_panic() {
    for first in 0..=255_u8 {
        for second in 0..=255_u8 {
            for len in 0..=4 {
                let bytes = &[first, second, 0x84, 0xff][..len];
                let crash = with(bytes, &[(0, u64::MAX)]);
                let _ = (illegal(&crash), refused(&crash));
            }
        }
    }
}
