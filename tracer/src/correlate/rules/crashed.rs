//! A signal that the process brought upon itself by what it executed: SIGSEGV and its kin.
use crate::{
    correlate::{
        cause::{Cause, Rule, SignalFrom},
        ending::raised_late,
        errno,
        evidence::{Evidence, Verdict},
        instruction::{self, Refused},
    },
    model::{
        cause::{CauseKind, Confidence},
        crash::Crash,
        observe::Observe,
        process::{JAVA, ProcessExit},
        shrink::{Shrink, ShrinkKind},
        signal::Signal,
        signal_name::{SIGABRT, SIGILL, SIGSEGV, SIGSYS},
        stack::{Cut, Stack},
    },
    text::format::duration,
};

const CAUSE: Cause = Cause {
    kind: CauseKind::Signal,
    observes: &[Observe::Exit],
    rests_on: None,
    shows_mount: false,
    signal_from: SignalFrom::Fault,
    advice: "the function and library named are where it failed; a core dump (coredumpctl, or \
             ulimit -c unlimited) has variables, memory and all \
             threads",
};

pub const RULE: Rule = Rule { causes: &[CAUSE], evaluate };

const EXEC_ADVICE: &str = "look at the limits that it was started with (ulimit -v, -s, -d; LimitAS=, LimitSTACK=, LimitDATA=), \
                           and whether the file of the program is whole (dpkg -V, rpm -V, or install it again)";

const STACK_ADVICE: &str = "look for a recursion without end through the function named (coredumpctl gdb, then bt); if it \
                            only goes deep, give it a larger stack (ulimit -s, LimitSTACK=; of a thread \
                            pthread_attr_setstacksize(3))";

const SECCOMP_ADVICE: &str = "allow the call in the filter (SystemCallFilter= of its unit, the seccomp profile of its container, or its own \
                              code), or do without it: the audit log has its number (`ausearch -m SECCOMP`, `dmesg | grep type=1326`)";

/// The HotSpot JVM reads memory that may not be there as it reports a crash (SafeFetch), and takes what that raises.
const JVM: &str =
    "; its report of the crash (hs_err_pidPID.log) may have raised that itself, and has the first";

const UNSURE: &str =
    "; or it made that up in a signal to itself, which this kernel does not tell from a fault";

/// Bytes from address 0 on that a null pointer's members lie in.
const NULL: u64 = 4096;

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    let death = evidence.death?;
    let signal = evidence.signal.filter(|signal| signal.is_of_execution())?;
    // A general protection fault has many reasons, and force_sigsegv() tells none.
    let why = why(signal, death);
    let recursion =
        evidence.stack.and_then(recursion).filter(|_| matches!(why, Some(Refused::Stack(_))));
    let certain = match why {
        // A damaged stack pointer leads to where no page is, too.
        Some(Refused::Stack(_)) => recursion.is_some(),
        Some(why) => why.certain(),
        None => (signal.number, signal.code) != (11, 0x80),
    };
    // Runtimes have uses for such faults (null checks of .NET, a recover() of Go), and may exit for another reason.
    let exited = death.exit.code & 0x7f == 0;
    let late = raised_late(death, evidence.time);
    let unsure =
        death.fault.is_some_and(|fault| fault.signal == signal.number && fault.may_be_sent);
    let reported = death.actor.task.comm == JAVA
        && signal.number == SIGSEGV
        && death.exit.code & 0x7f == SIGABRT.unsigned_abs();
    let certain = certain && !exited && !unsure && late.is_none() && !reported;
    let confidence = if certain { Confidence::Proven } else { Confidence::Likely };
    let mut summary = what(signal, death);
    if let Some((calls, frames)) = recursion {
        summary.push_str(&format!("; {calls} of its last {frames} frames are the same call"));
    }
    summary.push_str(&late.map(again).unwrap_or_default());
    if exited {
        let before = duration(death.exit.time.saturating_sub(evidence.time));
        summary.push_str(&format!(
            "; a handler took that, and it exited {before} later, most likely for it"
        ));
    }
    if unsure {
        summary.push_str(UNSURE);
    }
    if reported {
        summary.push_str(&JVM.replace("PID", &death.exit.id.tgid.to_string()));
    }
    if let Some(lost) = evidence.code_lost {
        summary.push_str(&format!(
            "; a library that it has loaded was written over {} earlier, by pid {}",
            duration(evidence.time.saturating_sub(lost.begin)),
            lost.actor.task.id.tgid
        ));
    } else if let Some(opened) = opened(evidence, death) {
        summary.push_str(&format!(
            "; its code lies in a file that pid {} opened for writing {} earlier, and which has changed since, in \
             content or attributes",
            opened.actor.task.id.tgid,
            duration(evidence.time.saturating_sub(opened.begin)),
        ));
    }
    let mut verdict = CAUSE.verdict(confidence, summary);
    verdict.advice = match why {
        Some(Refused::Exec(_)) => EXEC_ADVICE,
        Some(Refused::Stack(_)) => STACK_ADVICE,
        _ if (signal.number, signal.code) == (SIGSYS, 1) => SECCOMP_ADVICE,
        _ => verdict.advice,
    };
    Some(verdict)
}

/// How often the call that stands most often among the frames of a stack does, and how many those are; nothing where it is no
/// recursion without end.
fn recursion(stack: &Stack) -> Option<(usize, usize)> {
    const LEAST: usize = 4;
    // One that leads back to where its thread began has not used up its stack.
    stack.cut.filter(|cut| matches!(cut, Cut::Many | Cut::Captured))?;
    let mut calls: Vec<u64> = stack.frames.iter().skip(1).map(|frame| frame.ip).collect();
    calls.sort_unstable();
    let most = calls.chunk_by(|one, next| one == next).map(<[u64]>::len).max()?;
    (most >= LEAST).then_some((most, stack.frames.len()))
}

/// Whether it failed by a pointer that was bad whatever code used it: programs do so without anybody's doing.
pub fn by_pointer(signal: &Signal, death: &ProcessExit) -> bool {
    (signal.number, signal.code) == (SIGSEGV, 1) && signal.address < NULL
        || why(signal, death).is_some_and(|why| {
            matches!(
                why,
                Refused::NonCanonical(_) | Refused::JumpNonCanonical(_) | Refused::Misaligned(_)
            )
        })
}

/// The latest who opened the file of the instruction for writing, while the process mapped it, if that file has
/// changed since. By its ctime, which any change of an attribute moves, too: chmod(2), utimes(2), link(2), rename(2).
pub fn opened<'a>(evidence: &Evidence<'a>, death: &ProcessExit) -> Option<&'a Shrink> {
    let file = death.crash.as_ref()?.module.as_ref()?;
    // Not by the time: the clock of ctime may lag behind.
    let opened = |act: &&Shrink| act.how == ShrinkKind::OpenWrite && act.inode.ctime != file.ctime;
    evidence.overwrites.iter().rev().find(opened)
}

/// The instruction that `signal` was for.
fn instruction<'a>(signal: &Signal, death: &'a ProcessExit) -> Option<&'a Crash> {
    death.crash.as_ref().filter(|crash| {
        (crash.signal, crash.code) == (signal.number, signal.code)
            && death.fault.is_some_and(|fault| fault.tid == crash.tid)
    })
}

/// Whether it went on at the address that was not to be had, and read nothing there.
fn jumped(signal: &Signal, death: &ProcessExit) -> bool {
    let Signal { number, code, address, .. } = *signal;
    let at = instruction(signal, death).map(|crash| crash.ip);
    let fault = death.fault.filter(|fault| (fault.signal, fault.code) == (number, code));
    let at = at.or_else(|| fault.filter(|fault| fault.address == address)?.ip);
    (number, at) == (SIGSEGV, Some(address)) && matches!(code, 1 | 2)
}

/// The same as a sentence.
fn jump(signal: &Signal) -> String {
    let is = if signal.code == 2 { "which may not be executed" } else { "where nothing is mapped" };
    let likely = match signal.address {
        ..NULL => "a null pointer to a function",
        _ => "a damaged pointer to a function or stack, or code that was unloaded",
    };
    format!("it called, or went on at, address {:#x}, {is}: most likely {likely}", signal.address)
}

/// Why the CPU refused its instruction, where the bytes of that tell.
fn why(signal: &Signal, death: &ProcessExit) -> Option<Refused> {
    let crash = instruction(signal, death).filter(|_| !jumped(signal, death))?;
    match (signal.number, signal.code) {
        (4, _) => instruction::illegal(crash),
        (11, 0x80) => instruction::refused(crash),
        (11, 1 | 2) if signal.address >= NULL => instruction::overflowed(crash, signal.address),
        _ => None,
    }
}

/// The same as a sentence.
fn refusal(why: Refused) -> String {
    match why {
        Refused::Trap => "it trapped on purpose: ud2, by which compilers and runtimes abort (__builtin_trap, a Rust \
                          or Swift panic that aborts, Chromium)"
            .to_owned(),
        Refused::Extension(name) => format!(
            "the CPU does not know the instruction, which looks like one of {name}: the program was built for \
             another CPU, or the hypervisor hides it; or it is damaged code"
        ),
        Refused::Privileged(name) => format!(
            "it executed {name}, which only the kernel may: a jump into data, or an abort of a C library (musl's is \
             hlt)"
        ),
        Refused::NonCanonical(address) => {
            format!("it used address {address:#x}, which no process can have: a damaged pointer")
        }
        Refused::JumpNonCanonical(address) => format!(
            "it called, or went on at, address {address:#x}, which no process can have: a damaged pointer to a \
             function, or stack"
        ),
        Refused::Return => {
            "it returned to an address that no process can have, most likely: its stack was written over".to_owned()
        }
        Refused::Exec(returned) => format!(
            "its program had just been replaced (execve) and the kernel could not set up the new one: {}",
            errno::named(returned)
        ),
        Refused::Stack(address) => format!(
            "its stack overflowed, most likely by a recursion without end: it used address {address:#x}, beside its \
             stack pointer, where nothing is mapped or a guard page is"
        ),
        Refused::Misaligned(address) => format!(
            "a vector instruction wants its operand at a multiple of 16, and it was at {address:#x}: a stack or a \
             pointer that is not aligned"
        ),
    }
}

/// What it did that brought it the signal, where its code is known to be other than it was: that is why.
pub fn what_of_damaged(signal: &Signal, death: &ProcessExit) -> String {
    match (signal.number, why(signal, death)) {
        (SIGILL, None | Some(Refused::Extension(_))) => illegal(signal),
        _ => what(signal, death),
    }
}

/// Of a signal that its own handler raised so many ns later.
pub fn again(late: u64) -> String {
    format!("; it raised that again {} later, most likely for it", duration(late))
}

fn illegal(signal: &Signal) -> String {
    format!("the CPU refused the instruction at {:#x}", signal.address)
}

/// What it did that brought it the signal.
pub fn what(signal: &Signal, death: &ProcessExit) -> String {
    if let Some(why) = why(signal, death) {
        return refusal(why);
    }
    if jumped(signal, death) {
        return jump(signal);
    }
    let address = signal.address;
    let other = instruction(signal, death).and_then(instruction::is_64_bit) == Some(false);
    let unread = if other { "; 32-bit instructions are not decoded" } else { "" };
    match (signal.number, signal.code) {
        // The kernel side has no instruction pointer of what was called at address 0.
        (11, 1) if address == 0 && death.fault.is_none_or(|fault| fault.ip.is_none()) => {
            "accessed or called address 0x0, probably a null pointer".to_owned()
        }
        (11, 1) if address < NULL => {
            format!("accessed address {address:#x}, probably a null pointer")
        }
        (11, 1) => format!("it used address {address:#x}, where nothing is mapped"),
        (11, 2) => format!(
            "it used address {address:#x} in a way its mapping forbids: read-only, not executable, \
             or a guard page (a stack that overflowed)"
        ),
        (11, 0x80) => format!(
            "the CPU does not say at which address: most likely a damaged pointer (an address that cannot be); or \
             a misaligned vector instruction, a privileged instruction, a stack without room for a signal's \
             frame, or a program that could not be set up (execve){unread}"
        ),
        (11, 4) => format!("it used address {address:#x}, which its protection key forbids (pkey_mprotect(2))"),
        (11, 10) => "it returned to another address than it was called from: its shadow stack (CET, GCS) says \
                     so"
            .to_owned(),
        (11, 8 | 9) => "a memory tag does not match its pointer's (MTE): most likely a use after free, or past the end of an \
                        allocation"
            .to_owned(),
        (11, code) if address == 0 => format!("a memory access failed, si_code {code}"),
        (11, code) => format!("a memory access failed at address {address:#x}, si_code {code}"),
        (4, _) => format!(
            "{}: a trap on purpose, most likely (by which compilers and runtimes abort), or code that is damaged or \
             for another CPU{unread}",
            illegal(signal)
        ),
        (8, 1) => "it divided an integer by zero, or the quotient has no room (the least number by -1)".to_owned(),
        (8, code) => format!("an arithmetic operation failed, si_code {code}"),
        (31, 1) => "its seccomp filter forbids the system call it made".to_owned(),
        (31, 2) => "its own dispatch of system calls (prctl PR_SET_SYSCALL_USER_DISPATCH, as Wine does) stopped a system call, \
                    and no handler took it"
            .to_owned(),
        (31, code) => format!("a system call was refused, si_code {code}"),
        (5, 0x80) => "it executed int3, a breakpoint, and nobody debugs it: an abort (__debugbreak, Go, .NET), or \
                      what a debugger left behind"
            .to_owned(),
        (5, 6) => "a perf event of its own (sigtrap of perf_event_open) raised it".to_owned(),
        (5, _) => "it hit a breakpoint or trap instruction with no debugger attached".to_owned(),
        (number, code) => {
            format!("signal {number} with si_code {code}, raised by what it executed")
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        model::{
            process::SelfSignal,
            stack::{Cut, Frame, Stack},
        },
        testing::*,
    };

    #[test]
    fn a_fault_of_its_own_is_no_kill() {
        let death = exit(9, 11);
        let signal = Signal { number: 11, forced: true, ..signal(1) };
        let verdict = evaluate(&of_death(&death, Some(&signal)));
        assert_eq!((verdict.class, verdict.confidence), (CauseKind::Signal, Confidence::Proven));
        assert!(verdict.summary.contains("null pointer"), "{}", verdict.summary);
    }

    #[test]
    fn what_may_be_made_up_is_not_proven() {
        let fault = Some(SelfSignal { may_be_sent: true, ..raised(8, 11, 1) });
        let death = ProcessExit { fault, ..exit(9, 11) };
        let signal = Signal { number: 11, forced: true, ..signal(1) };
        let verdict = evaluate(&of_death(&death, Some(&signal)));
        assert_eq!((verdict.class, verdict.confidence), (CauseKind::Signal, Confidence::Likely));
        assert!(verdict.summary.contains("made that up"), "{}", verdict.summary);
    }

    /// Go exits with 2 of what nobody recovers, and with anything of what somebody does.
    #[test]
    fn whoever_exits_after_a_fault_may_do_so_for_another_reason() {
        let death = exit(9, 2 << 8);
        let signal = Signal { number: 11, forced: true, ..signal(1) };
        let verdict = evaluate(&of_death(&death, Some(&signal)));
        assert_eq!((verdict.class, verdict.confidence), (CauseKind::Signal, Confidence::Likely));
        assert!(verdict.summary.contains("a handler took that"), "{}", verdict.summary);
    }

    #[test]
    fn the_bytes_of_the_instruction_tell_which_it_was() {
        let judged = |number: i32, code: i32, bytes: &[u8], tid: u32| {
            let crash = Crash { bytes: bytes.to_vec(), signal: number, code, tid, ..crash() };
            let fault = Some(raised(8, number, code));
            let death = ProcessExit { crash: Some(crash), fault, ..exit(9, number as u32) };
            let signal = Signal { number, code, forced: true, ..signal(1) };
            let verdict = evaluate(&of_death(&death, Some(&signal)));
            assert_eq!(verdict.class, CauseKind::Signal);
            (verdict.confidence, verdict.summary)
        };
        let (proven, said) = judged(4, 2, &[0x0f, 0x0b], VICTIM);
        assert!(proven == Confidence::Proven && said.contains("ud2"), "{said}");
        let (proven, said) = judged(11, 0x80, &[0xf4], VICTIM);
        assert!(proven == Confidence::Proven && said.contains("it executed hlt"), "{said}");
        let (likely, said) = judged(11, 0x80, &[0x90], VICTIM);
        assert!(likely == Confidence::Likely && said.contains("does not say"), "{said}");
        let (likely, _) = judged(11, 0x80, &[0xf4], VICTIM + 1);
        assert_eq!(likely, Confidence::Likely, "another thread's");
        let (likely, said) = judged(4, 2, &[0xc5, 0xfc, 0x28, 0x00], VICTIM);
        assert!(likely == Confidence::Likely && said.contains("or it is damaged code"), "{said}");
        let (likely, said) = judged(11, 0x80, &[0xc3], VICTIM);
        assert!(likely == Confidence::Likely && said.contains("it returned to"), "{said}");
    }

    #[test]
    fn whoever_goes_on_where_no_code_is_has_not_read_there() {
        let judged = |address: u64, ip: u64, code: i32| {
            let crash = Crash { signal: 11, code, ip, ..crash() };
            let death =
                ProcessExit { crash: Some(crash), fault: Some(raised(8, 11, code)), ..exit(9, 11) };
            let signal = Signal { number: 11, address, forced: true, ..signal(code) };
            let verdict = evaluate(&of_death(&death, Some(&signal)));
            assert_eq!(verdict.confidence, Confidence::Proven);
            verdict.summary
        };
        let null = judged(0, 0, 1);
        assert!(null.starts_with("it called") && null.contains("null pointer to a func"), "{null}");
        let data = judged(0x5000, 0x5000, 2);
        assert!(data.contains("address 0x5000, which may not be executed"), "{data}");
        let fault = Some(SelfSignal { ip: Some(0x5000), address: 0x5000, ..raised(8, 11, 2) });
        let death = ProcessExit { fault, ..exit(9, 11) };
        let signal = Signal { number: 11, address: 0x5000, forced: true, ..signal(2) };
        let uncaptured = evaluate(&of_death(&death, Some(&signal))).summary;
        assert_eq!(uncaptured, data, "where no instruction is captured");
        let read = judged(8, 0x5000, 1);
        assert!(read.starts_with("accessed address 0x8"), "{read}");
    }

    #[test]
    fn a_stack_without_a_page_has_overflowed() {
        let sp = 0x7ffd_2000_0000;
        let judged = |address: u64, ip: u64, code: i32| {
            let mut registers = vec![0; 21];
            (registers[16], registers[19]) = (crash().ip, sp);
            let crash = Crash { registers: Some(registers), signal: 11, code, ip, ..crash() };
            let death =
                ProcessExit { crash: Some(crash), fault: Some(raised(8, 11, code)), ..exit(9, 11) };
            let signal = Signal { number: 11, address, forced: true, ..signal(code) };
            let stack = |calls: &[u64], cut: Option<Cut>| Stack {
                process: death.exit.id,
                tid: VICTIM,
                act: None,
                frames: calls.iter().map(|ip| Frame { ip: *ip, ..Frame::default() }).collect(),
                modules: Vec::new(),
                cut,
            };
            let judged = |calls: &[u64], cut| {
                let stack = stack(calls, cut);
                let evidence = Evidence { stack: Some(&stack), ..of_death(&death, Some(&signal)) };
                let verdict = evaluate(&evidence);
                (verdict.confidence, verdict.summary.contains("its stack overflowed"))
            };
            // By its stack pointer alone it may be damaged.
            for (calls, cut) in
                [(&[ip, 1, 2, 3, 4, 5][..], Some(Cut::Many)), (&[ip, 7, 7, 8, 7, 7, 9], None)]
            {
                let (confidence, overflowed) = judged(calls, cut);
                assert!(!overflowed || confidence == Confidence::Likely);
            }
            judged(&[ip, 7, 7, 8, 7, 7, 9], Some(Cut::Captured))
        };
        // A call pushes where it returns to; a large frame is entered with one step.
        assert_eq!(judged(sp - 8, crash().ip, 1), (Confidence::Proven, true));
        assert_eq!(judged(sp + 4096, crash().ip, 2), (Confidence::Proven, true), "a guard page");
        assert_eq!(judged(sp - (1 << 20), crash().ip, 1), (Confidence::Proven, false));
        assert_eq!(
            judged(sp - 8, crash().ip + 1, 1),
            (Confidence::Proven, false),
            "registers of later"
        );
    }

    /// `mov $0x414141410,%rsp; ret`
    #[test]
    fn whoever_takes_from_a_stack_that_is_not_there_has_not_overflowed_it() {
        let sp = 0x4141_4140;
        let judged = |bytes: &[u8]| {
            let mut registers = vec![0; 21];
            (registers[16], registers[17], registers[19]) = (crash().ip, 0x33, sp);
            let bytes = bytes.to_vec();
            let crash = Crash { registers: Some(registers), bytes, signal: 11, code: 1, ..crash() };
            let death =
                ProcessExit { crash: Some(crash), fault: Some(raised(8, 11, 1)), ..exit(9, 11) };
            let signal = Signal { number: 11, address: sp, forced: true, ..signal(1) };
            evaluate(&of_death(&death, Some(&signal))).summary
        };
        for bytes in [&[0xc3][..], &[0xc9], &[0x41, 0x5f], &[0x5d]] {
            let said = judged(bytes);
            assert_eq!(said, format!("it used address {sp:#x}, where nothing is mapped"));
        }
        assert!(judged(&[0x50]).contains("its stack overflowed"));
    }

    #[test]
    fn a_jvms_last_fault_may_be_of_its_report() {
        let mut death = ProcessExit {
            fault: Some(raised(8, 11, 1)),
            own: Some(raised(9, 6, -6)),
            ..exit(10, 6)
        };
        let signal = Signal { number: 11, forced: true, ..signal(1) };
        let judged = |death: &ProcessExit| {
            let verdict = evaluate(&of_death(death, Some(&signal)));
            (verdict.confidence, verdict.summary.contains("hs_err_pid1.log"))
        };
        assert_eq!(judged(&death), (Confidence::Proven, false));
        death.actor.task.comm = b"java".to_vec();
        assert_eq!(judged(&death), (Confidence::Likely, true));
    }

    /// The kernel forces neither of them on who runs: whatever its si_code, a process wrote it.
    #[test]
    fn a_code_of_a_fault_in_another_signal_is_no_crash() {
        for (number, code) in [(6, 100), (15, 0x80), (3, 7)] {
            let (death, fault) = (exit(9, number as u32), raised(8, number, code));
            let death = ProcessExit { fault: Some(fault), ..death };
            let mut own = Signal { number, forced: true, ..signal(code) };
            own.sender.task.id = own.target.id;
            let verdict = evaluate(&of_death(&death, Some(&own)));
            assert_ne!(verdict.class, CauseKind::Signal, "{number}");
            let sure = verdict.confidence == Confidence::Proven;
            assert_eq!(sure, code != 0x80, "{number}: {}", verdict.summary);
        }
    }
}
