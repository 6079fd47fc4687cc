//! `whybus completion`: what a shell completes, made from the command line itself.
use anyhow::Result;
use clap::{Command, CommandFactory as _};

use crate::{
    cli::{Cli, Completion},
    cmd::exit_status::ExitStatus,
    sink::speak::put,
};

/// # Errors
/// Where nobody reads.
pub fn run(args: &Completion) -> Result<ExitStatus> {
    let whole = Cli::command();
    // The script for bash lists hidden verbs, too.
    let shown = whole.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned();
    let arguments = whole.get_arguments().cloned();
    let mut shown = Command::new("whybus").args(arguments).subcommands(shown);
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut shown, "whybus", &mut script);
    put(&script)?;
    Ok(ExitStatus::Done)
}
