//! `whybus trace`: live.
use std::process::ExitCode;

use anyhow::Result;

use crate::{
    cli::Trace,
    model::process::{ExitFilter, ExitScope},
    sink::stdout::StdoutSink,
    watch::live::{WatchOptions, watch},
};

/// # Errors
/// As [`watch`].
pub fn run(args: &Trace) -> Result<ExitCode> {
    let deaths = args.deaths.exit_scope(ExitScope::default());
    let wanted = WatchOptions {
        selection: args.filter.selection(),
        restarts: deaths.signals != 0 || deaths.exits != ExitFilter::None,
        deaths,
        duration: args.duration,
        count: args.count,
        save: args.save.as_deref(),
        fail_every: args.fail_every,
        command: &args.command,
    };
    watch(&wanted, &mut StdoutSink::new(args.output.output, args.output.utc))
}
