//! `whybus completion`: what a shell completes, made from the command line itself.
use anyhow::Result;
use clap::CommandFactory as _;

use crate::{
    cli::{Cli, Completion},
    cmd::exit_status::ExitStatus,
    sink::speak::put,
};

/// # Errors
/// Where nobody reads.
pub fn run(args: &Completion) -> Result<ExitStatus> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "whybus", &mut script);
    put(&script)?;
    Ok(ExitStatus::Done)
}
