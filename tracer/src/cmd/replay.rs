//! `whybus replay`: a saved stream through the same pipeline, without root or a kernel.
use std::{fs::File, io::BufReader, process::ExitCode};

use anyhow::Result;

use crate::{
    cli::Replay, error::Failure, sink::stdout::StdoutSink, watch::replay::replay, wire::stream,
};

/// # Errors
/// Where the file cannot be read; what was readable is shown first.
pub fn run(args: &Replay) -> Result<ExitCode> {
    let name = args.file.display();
    let file = File::open(&args.file)
        .map_err(|error| Failure::usage(format!("cannot read {name}: {error}")))?;
    let (host, records) = stream::open(BufReader::new(file))
        .map_err(|error| Failure::usage(format!("{name}: {error:#}")))?;
    let mut sink = StdoutSink::new(args.output.output, args.output.utc);
    let torn = replay(host, records, &args.filter.selection(), &mut sink)?;
    match torn {
        Some(error) => {
            Err(Failure::usage(format!("{name}: {error:#}; what was readable is shown above")))
        }
        None => Ok(ExitCode::SUCCESS),
    }
}
