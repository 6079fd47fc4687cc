//! `whybus replay`: a saved stream through the same pipeline, without root or a kernel.
use std::{fs::File, io::BufReader};

use anyhow::Result;

use crate::{
    cli::Replay,
    cmd::{classes, exit_status::ExitStatus},
    error::Failure,
    select::selection::Selection,
    sink::{speak::say, stdout::StdoutSink},
    watch::replay::replay,
    wire::stream,
};

/// # Errors
/// Where the file cannot be read; what was readable is shown first.
pub fn run(args: &Replay) -> Result<ExitStatus> {
    let (since, until) = args.range.bounds().map_err(Failure::usage)?;
    let selection = Selection { since, until, ..args.filter.selection() };
    classes::check_live(&selection)?;
    let name = args.file.display();
    let file = File::open(&args.file)
        .map_err(|error| Failure::input(format!("cannot read {name}: {error}")))?;
    let (host, records) = stream::open(BufReader::new(file))
        .map_err(|error| Failure::input(format!("{name}: {error:#}")))?;
    let sink = StdoutSink::new(args.output.output, args.output.utc).recorded().quiet(args.quiet);
    let mut sink = sink.filtered(!selection.is_all());
    let replayed = replay(host, records, &selection, &mut sink)?;
    if replayed.unknown != 0 {
        let unknown = replayed.unknown;
        say(format_args!(
            "whybus: {unknown} records are of kinds or versions that are not known here"
        ));
    }
    match replayed.damage {
        Some(error) => {
            Err(Failure::input(format!("{name}: {error:#}; what was readable is shown above")))
        }
        None if replayed.incidents == 0 => Ok(ExitStatus::NotFound),
        None => Ok(ExitStatus::Done),
    }
}
