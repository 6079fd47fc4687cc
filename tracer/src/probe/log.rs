//! The log of probes that say what they decide (tracer-ebpf/src/log.rs).
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use aya::{
    Ebpf, Pod,
    maps::{MapData, PerCpuArray},
};
use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};
use tracer_common::log::{LogCount, Message};

use crate::{model::log::LogLine, wire::log::decode};

/// Lines that are kept of one look into the log; of the rest nothing is known but their number.
const LINES: usize = 200;

#[derive(Clone, Copy)]
#[repr(transparent)]
struct Count(LogCount);
// SAFETY: `repr(C)`, four u64, no padding.
unsafe impl Pod for Count {}

/// Where aya-log puts what it has read.
#[derive(Default)]
struct Lines(Mutex<Vec<LogLine>>);

impl Lines {
    fn held(&self) -> MutexGuard<'_, Vec<LogLine>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for &'static Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let mut lines = self.held();
        if lines.len() < LINES
            && let Some(logged) = decode(&record.args().to_string())
        {
            lines.push(logged);
        }
    }

    fn flush(&self) {}
}

/// The log, and what the kernel counts of it.
pub struct ProbeLog {
    logger: EbpfLogger<&'static Lines>,
    lines: &'static Lines,
    counts: PerCpuArray<MapData, Count>,
}

impl ProbeLog {
    /// Takes the log out of a loaded object; none where its probes say nothing.
    ///
    /// # Errors
    /// Where half of it is missing.
    pub fn take(ebpf: &mut Ebpf) -> Result<Option<Self>> {
        let Some(counts) = ebpf.take_map("LOG_COUNTS") else { return Ok(None) };
        // One a process: it lives as long as that.
        let lines: &'static Lines = Box::leak(Box::default());
        let logger = EbpfLogger::init_with_logger(ebpf, lines).context("the probes' log")?;
        Ok(Some(Self { logger, lines, counts: PerCpuArray::try_from(counts)? }))
    }

    /// What has been said since the last look.
    pub fn read(&mut self) -> Vec<LogLine> {
        self.logger.flush();
        std::mem::take(&mut *self.lines.held())
    }

    /// Lines that the probes had to say until now, also those that were too many.
    pub fn sent(&self) -> u64 {
        let of = |message: u32| match self.counts.get(&message, 0) {
            Ok(cpus) => cpus.iter().map(|Count(cpu)| cpu.sent.wrapping_add(cpu.dropped)).sum(),
            Err(_) => 0_u64,
        };
        (0..Message::ALL.len() as u32).map(of).sum()
    }
}
