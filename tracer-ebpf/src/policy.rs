//! What is traced beside bus errors: which signals, and which ends of processes.
use crate::globals::config;

/// Whether a signal other than SIGBUS is traced.
#[inline(always)]
pub fn is_traced(signal: u32) -> bool {
    signal < 32 && config!(signals) >> signal & 1 != 0
}

/// Whether processes that exit with a status other than 0 are.
#[inline(always)]
pub fn exits_traced() -> bool {
    config!(exits) != 0
}

/// Whether any end of a process is, beside those of victims of bus errors.
#[inline(always)]
pub fn ends_traced() -> bool {
    config!(signals) != 0 || config!(exits) != 0
}
