//! `whybus schema`: the contract of `-o json`.
use std::process::ExitCode;

use anyhow::Result;

use crate::{contract::schema::JSON_SCHEMA, sink::stdout::put};

/// # Errors
/// Where nobody reads.
pub fn run() -> Result<ExitCode> {
    put(JSON_SCHEMA.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
