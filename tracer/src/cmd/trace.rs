//! `whybus trace`: live.
use std::process::ExitCode;

use anyhow::Result;

use crate::{
    cli::Trace,
    model::process::{Deaths, Exits},
    sink::stdout::Writer,
    watch::{live as pipeline, live::Wanted},
};

/// # Errors
/// As [`pipeline::watch`].
pub fn run(args: &Trace) -> Result<ExitCode> {
    let deaths = args.deaths.wanted(Deaths::default());
    let wanted = Wanted {
        filter: &args.filter,
        restarts: deaths.signals != 0 || deaths.exits != Exits::None,
        deaths,
        duration: args.duration,
        count: args.count,
        save: args.save.as_deref(),
        fail_every: args.fail_every,
        command: &args.command,
    };
    pipeline::watch(&wanted, &mut Writer::new(&args.output))
}
