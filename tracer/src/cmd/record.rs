//! `whybus record`: all the time, with a history.
use std::process::ExitCode;

use anyhow::Result;

use crate::{
    cli::Record,
    host::{memory, privilege},
    model::{
        process::{ExitFilter, ExitScope},
        signal_name::{RECORDED, mask},
    },
    sink::history::HistorySink,
    watch::{live as pipeline, live::WatchOptions},
};

/// # Errors
/// Where the state directory is not fit, or as [`pipeline::watch`].
pub fn run(args: &Record) -> Result<ExitCode> {
    privilege::check()?;
    memory::small_pages();
    let default = ExitScope { signals: mask(&RECORDED), exits: ExitFilter::Lasting };
    let wanted = WatchOptions {
        filter: &args.filter,
        deaths: args.deaths.wanted(default),
        restarts: true,
        duration: None,
        count: None,
        save: None,
        fail_every: 0,
        command: &[],
    };
    pipeline::watch(&wanted, &mut HistorySink::start(args)?)
}
