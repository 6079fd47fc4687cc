//! `whybus trace`: live.
use std::process::ExitCode;

use anyhow::Result;

use crate::{cli::Trace, pipeline};

/// # Errors
/// As [`pipeline::watch`].
pub fn run(args: Trace) -> Result<ExitCode> {
    pipeline::watch(&args)
}
