//! `whybus schema`: the contract of `-o json`.
use anyhow::Result;

use crate::{cmd::exit_status::ExitStatus, contract::schema::JSON_SCHEMA, sink::speak::put};

/// # Errors
/// Where nobody reads.
pub fn run() -> Result<ExitStatus> {
    put(JSON_SCHEMA.as_bytes())?;
    Ok(ExitStatus::Done)
}
