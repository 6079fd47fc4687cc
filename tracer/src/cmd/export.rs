//! `whybus export`: recorded incidents, warnings and gaps as JSON, one a line, oldest first.
use anyhow::Result;

use crate::{
    cli::Export,
    cmd::{classes, exit_status::ExitStatus, nothing::nothing},
    contract::Record,
    error::Failure,
    render::json,
    sink::speak::put,
    store::sqlite::read::Reader,
};

/// # Errors
/// Where there is no history to read, or nobody reads.
pub fn run(args: &Export) -> Result<ExitStatus> {
    let selection = args.select.selection().map_err(Failure::usage)?;
    let reader = Reader::open(&args.state.state_dir)?;
    classes::check(&reader, &selection)?;
    let (since, until) = (selection.since.unwrap_or(i64::MIN), selection.until.unwrap_or(i64::MAX));
    for run in reader.runs()? {
        put(&json(&Record::Run(run)))?;
    }
    for gap in reader.gaps(since, until, 0)? {
        put(&json(&Record::Gap(gap)))?;
    }
    let mut any = false;
    reader.each_warning(&selection, |warning| {
        any = true;
        put(&json(&Record::Truncation(Box::new(warning))))
    })?;
    reader.each(&selection, |incident| {
        any = true;
        put(&json(&incident.into()))
    })?;
    if !any {
        nothing(&reader, &selection)?;
    }
    Ok(if any { ExitStatus::Done } else { ExitStatus::NotFound })
}
