//! What the probes say of themselves: which of them ran for whom, what it decided, and why it left. With the feature
//! `log` only, in an object of its own for `trace -v`; without it nothing is left of a statement.
//!
//! There is one log record, in a function that is verified once a program and takes numbers only
//! (`docs/decisions/0020-probe-log.md`). aya-log ends a reader that meets a string which is not UTF-8, and anybody may call
//! a process what they like: its name goes as bytes.
use tracer_common::log::Message;

/// Whether somebody listens.
pub const LOGS: bool = cfg!(feature = "log");

/// `log!(HOOK, MESSAGE, VALUE, …)`: a hook of [`tracer_common::log::Hook`] by number, and up to four values. No
/// address: what the verifier knows to be a pointer is no argument of a function that is verified by itself.
macro_rules! log {
    ($hook:expr, $message:ident $(, $value:expr)*) => {
        if $crate::log::LOGS {
            $crate::log::write(
                $hook as u64,
                tracer_common::log::Message::$message,
                &[$($value as u64),*],
            );
        }
    };
}

pub(crate) use log;

#[inline(always)]
pub fn write(hook: u64, message: Message, values: &[u64]) {
    #[cfg(feature = "log")]
    {
        let value = |i: usize| values.get(i).copied().unwrap_or(0);
        record::whybus_log(hook << 32 | message as u64, value(0), value(1), value(2), value(3));
    }
    #[cfg(not(feature = "log"))]
    let _ = (hook, message, values);
}

#[cfg(feature = "log")]
mod record {
    use core::mem::MaybeUninit;

    use aya_ebpf::{
        helpers::{bpf_get_current_pid_tgid, generated::bpf_get_current_comm},
        macros::map,
        maps::PerCpuArray,
    };
    use aya_log_ebpf::info;
    use tracer_common::log::{LOG_FIRST, LOG_WITHIN, LogCount, Message};

    use crate::emit::now;

    /// By text.
    #[map]
    static LOG_COUNTS: PerCpuArray<LogCount> =
        PerCpuArray::with_max_entries(Message::ALL.len() as u32, 0);

    /// `what` is a number of [`Message`], and above it one of a hook.
    #[unsafe(no_mangle)]
    #[inline(never)]
    pub extern "C" fn whybus_log(what: u64, a: u64, b: u64, c: u64, d: u64) -> u64 {
        let (message, hook) = (what as u32, (what >> 32) as u32);
        let now = now();
        if admits(message, now) {
            let ids = bpf_get_current_pid_tgid();
            let (tgid, tid) = ((ids >> 32) as u32, ids as u32);
            let comm = comm();
            info!(
                (),
                target: "",
                "{} {} {} {} {} {:x} {} {} {} {}",
                message, hook, now, tgid, tid, &comm[..], a, b, c, d
            );
        }
        0
    }

    /// The name of the current thread. Not by aya-ebpf's function, which clears its array first: LLVM makes a call of
    /// memset of that, and 5.10 takes no pointer for the argument of a global function (kernel/bpf/btf.c
    /// btf_prepare_func_args).
    #[inline(always)]
    fn comm() -> [u8; 16] {
        let mut comm = MaybeUninit::<[u8; 16]>::uninit();
        // SAFETY: the helper fills all of it, with zeros where it fails.
        unsafe {
            bpf_get_current_comm(comm.as_mut_ptr().cast(), 16);
            comm.assume_init()
        }
    }

    /// Whether a message may be logged once more on this CPU. A program that preempts another counts in between: what
    /// that may cost is a line of the count.
    #[inline(always)]
    fn admits(message: u32, now: u64) -> bool {
        let Some(counted) = LOG_COUNTS.get_ptr_mut(message) else { return false };
        // SAFETY: a map value of this CPU.
        unsafe {
            if now.wrapping_sub((*counted).since) >= LOG_WITHIN {
                (*counted).since = now;
                (*counted).count = 0;
            }
            if (*counted).count >= LOG_FIRST {
                (*counted).dropped += 1;
                return false;
            }
            (*counted).count += 1;
            (*counted).sent += 1;
        }
        true
    }
}
