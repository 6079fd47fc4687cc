//! Where everything goes that is told.
pub mod exec;
pub mod history;
pub mod history_writer;
pub mod journal;
mod losses;
pub mod speak;
pub mod stdout;
pub mod terminal;

use anyhow::Result;

use crate::{
    correlate::update::{Counts, Update},
    model::host::Host,
};

/// Where everything goes that is told.
pub trait Sink {
    /// Watching is complete, or what is watched has changed.
    ///
    /// # Errors
    /// Where nobody takes it any more.
    fn watching(&mut self, host: &Host) -> Result<()>;

    /// # Errors
    /// Where nobody takes it any more.
    fn update(&mut self, update: &Update, host: &Host) -> Result<()>;

    /// There will be no more.
    ///
    /// # Errors
    /// Where nobody takes it any more.
    fn end(&mut self, counts: &Counts, host: &Host, now: u64, reason: &str) -> Result<()>;

    /// Called every second or so, with the time in ns since boot.
    fn tick(&mut self, _now: u64, _counts: &Counts, _host: &Host) {}
}
