//! What a probe says of itself.
use tracer_common::log::{Hook, Message};

/// One line of a probe: which one, for whom, and what it decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Ns since boot.
    pub time: u64,
    pub hook: Hook,
    pub message: Message,
    /// Of the thread that the probe ran in.
    pub tgid: u32,
    pub tid: u32,
    pub comm: Vec<u8>,
    /// What the text has room for.
    pub values: [u64; 4],
}
