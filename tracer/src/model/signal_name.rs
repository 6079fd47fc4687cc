//! Signals by name. Pure.

/// Those that end a process unless it handles them, as far as they can be recorded.
const NAMES: [(&str, i32); 23] = [
    ("SIGHUP", 1),
    ("SIGINT", 2),
    ("SIGQUIT", 3),
    ("SIGILL", 4),
    ("SIGTRAP", 5),
    ("SIGABRT", 6),
    ("SIGBUS", 7),
    ("SIGFPE", 8),
    ("SIGKILL", 9),
    ("SIGUSR1", 10),
    ("SIGSEGV", 11),
    ("SIGUSR2", 12),
    ("SIGPIPE", 13),
    ("SIGALRM", 14),
    ("SIGTERM", 15),
    ("SIGSTKFLT", 16),
    ("SIGXCPU", 24),
    ("SIGXFSZ", 25),
    ("SIGVTALRM", 26),
    ("SIGPROF", 27),
    ("SIGIO", 29),
    ("SIGPWR", 30),
    ("SIGSYS", 31),
];

pub const SIGABRT: i32 = 6;
pub const SIGALRM: i32 = 14;
pub const SIGBUS: i32 = 7;
pub const SIGCHLD: i32 = 17;
pub const SIGFPE: i32 = 8;
pub const SIGHUP: i32 = 1;
pub const SIGILL: i32 = 4;
pub const SIGINT: i32 = 2;
pub const SIGKILL: i32 = 9;
pub const SIGPIPE: i32 = 13;
pub const SIGPROF: i32 = 27;
pub const SIGPWR: i32 = 30;
pub const SIGQUIT: i32 = 3;
pub const SIGSEGV: i32 = 11;
pub const SIGSTKFLT: i32 = 16;
pub const SIGSYS: i32 = 31;
pub const SIGTERM: i32 = 15;
pub const SIGTRAP: i32 = 5;
pub const SIGUSR1: i32 = 10;
pub const SIGUSR2: i32 = 12;
pub const SIGVTALRM: i32 = 26;
pub const SIGXCPU: i32 = 24;
pub const SIGXFSZ: i32 = 25;
/// Of a signal that the kernel sends on its own (include/uapi/asm-generic/siginfo.h).
pub const SI_KERNEL: i32 = 0x80;
/// A timer ran out, asynchronous I/O is done, a file is ready.
pub const SI_TIMER: i32 = -2;
pub const SI_ASYNCIO: i32 = -4;
pub const SI_SIGIO: i32 = -5;
/// The first and the last of what fcntl(2) F_SETSIG tells.
pub const POLL_IN: i32 = 1;
pub const POLL_HUP: i32 = 6;

/// What a recorder watches unless told otherwise: faults and traps, abort(3), limits that were reached, who kills whom,
/// and what is sent to programs that are thought to handle it. Not those that end healthy programs (SIGHUP, SIGINT,
/// SIGPIPE), nor those that interrupt them by the hundred a second (SIGVTALRM, SIGPROF, SIGIO).
pub const RECORDED: [i32; 17] = [
    SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGUSR1, SIGSEGV, SIGUSR2, SIGALRM,
    SIGTERM, SIGSTKFLT, SIGXCPU, SIGXFSZ, SIGPWR, SIGSYS,
];

/// What the kernel raises for what a program executed, beside SIGBUS.
pub const CRASHES: [i32; 5] = [SIGILL, SIGTRAP, SIGFPE, SIGSEGV, SIGSYS];

/// What a program may exit for: it handled that, or was asked to end by it.
pub const HANDLED: [i32; 16] = [
    SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGFPE, SIGUSR1, SIGSEGV, SIGUSR2, SIGALRM,
    SIGTERM, SIGXCPU, SIGXFSZ, SIGPWR, SIGSYS,
];

/// `SIGSEGV` for 11; real-time signals and the like by number.
pub fn name(number: i32) -> String {
    match NAMES.iter().find(|(_, known)| *known == number) {
        Some((name, _)) => (*name).to_owned(),
        None => format!("signal {number}"),
    }
}

/// `SIGSEGV`, `segv` or `11`.
///
/// # Errors
/// Where it names none that can be recorded.
pub fn parse(text: &str) -> Result<i32, String> {
    let upper = text.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    let known = NAMES.iter().find(|(name, number)| {
        name.strip_prefix("SIG") == Some(bare) || text.parse() == Ok(*number)
    });
    known.map(|(_, number)| *number).ok_or_else(|| {
        let names: Vec<String> =
            NAMES.iter().map(|(name, _)| name[3..].to_ascii_lowercase()).collect();
        format!("no signal that can be recorded; there are {}", names.join(", "))
    })
}

/// As a mask, `1 << number`.
pub fn mask(signals: &[i32]) -> u32 {
    signals.iter().fold(0, |mask, number| mask | 1 << (number & 31))
}

/// What `si_code` means with this signal (include/uapi/asm-generic/siginfo.h).
pub fn code_name(signal: i32, code: i32) -> Option<&'static str> {
    Some(match (signal, code) {
        (_, 0) => "SI_USER",
        (_, -1) => "SI_QUEUE",
        (_, -6) => "SI_TKILL",
        (_, 0x80) => "SI_KERNEL",
        (SIGBUS, 1) => "BUS_ADRALN",
        (SIGBUS, 2) => "BUS_ADRERR",
        (SIGBUS, 3) => "BUS_OBJERR",
        (SIGBUS, 4) => "BUS_MCEERR_AR",
        (SIGBUS, 5) => "BUS_MCEERR_AO",
        (11, 1) => "SEGV_MAPERR",
        (11, 2) => "SEGV_ACCERR",
        (11, 3) => "SEGV_BNDERR",
        (11, 4) => "SEGV_PKUERR",
        (11, 8) => "SEGV_MTEAERR",
        (11, 9) => "SEGV_MTESERR",
        (11, 10) => "SEGV_CPERR",
        (4, 1) => "ILL_ILLOPC",
        (4, 2) => "ILL_ILLOPN",
        (4, 4) => "ILL_ILLTRP",
        (4, 5) => "ILL_PRVOPC",
        (8, 1) => "FPE_INTDIV",
        (8, 2) => "FPE_INTOVF",
        (8, 3) => "FPE_FLTDIV",
        (8, 7) => "FPE_FLTINV",
        (5, 1) => "TRAP_BRKPT",
        (5, 2) => "TRAP_TRACE",
        (5, 4) => "TRAP_HWBKPT",
        (5, 6) => "TRAP_PERF",
        (31, 1) => "SYS_SECCOMP",
        (31, 2) => "SYS_USER_DISPATCH",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for text in ["SIGSEGV", "segv", "11"] {
            assert_eq!(parse(text), Ok(11));
        }
        for text in ["", "0", "SIG", "chld", "99", "-7"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!((name(7), name(34)), ("SIGBUS".to_owned(), "signal 34".to_owned()));
        assert_eq!(mask(&[7, 11]), 0x880);
    }
}
