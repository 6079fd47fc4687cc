//! `whybus record`: all the time, with a history.
use std::process::ExitCode;

use anyhow::Result;

use crate::{
    cli::Record,
    event::{
        model::{Deaths, Exits},
        signals::{RECORDED, mask},
    },
    pipeline::{self, Wanted},
    probe::{load, privilege},
    recorder::Recorder,
};

/// # Errors
/// Where the state directory is not fit, or as [`pipeline::watch`].
pub fn run(args: &Record) -> Result<ExitCode> {
    privilege::check()?;
    load::small_pages();
    let default = Deaths { signals: mask(&RECORDED), exits: Exits::Lasting };
    let wanted = Wanted {
        filter: &args.filter,
        deaths: args.deaths.wanted(default),
        restarts: true,
        duration: None,
        count: None,
        save: None,
        fail_every: 0,
        command: &[],
    };
    pipeline::watch(&wanted, &mut Recorder::start(args)?)
}
