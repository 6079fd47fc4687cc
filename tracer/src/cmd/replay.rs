//! `whybus replay`: a saved stream through the same pipeline, without root or a kernel.
use std::{fs::File, io::BufReader, process::ExitCode};

use anyhow::Result;

use crate::{
    cli::Replay,
    correlate::{engine::Engine, update::Update},
    error::Failure,
    model::input::Event,
    sink::{Sink as _, stdout::StdoutSink},
    wire::stream,
};

/// How much older than a record those behind it may be: a busy host reads its rings late, one after the
/// other. Ns.
const LATE: u64 = 1_000_000_000;

/// # Errors
/// Where the file cannot be read; what was readable is shown first.
pub fn run(args: &Replay) -> Result<ExitCode> {
    let name = args.file.display();
    let file = File::open(&args.file)
        .map_err(|error| Failure::usage(format!("cannot read {name}: {error}")))?;
    let (host, records) = stream::open(BufReader::new(file))
        .map_err(|error| Failure::usage(format!("{name}: {error:#}")))?;
    let mut writer = StdoutSink::new(args.output.output, args.output.utc);
    writer.watching(&host)?;
    let selection = args.filter.selection();
    let mut engine = Engine::new(host.clone());
    let tell = |writer: &mut StdoutSink, updates: Vec<Update>| -> Result<()> {
        for update in updates {
            if selection.passes(&update) {
                writer.update(&update, &host)?;
            }
        }
        Ok(())
    };
    let mut now = host.since;
    let mut torn = None;
    for record in records {
        match record {
            Ok((stamp, event)) => {
                // What was learnt of an event stands behind it: never judged without.
                if event.as_ref().is_none_or(Event::of_kernel) {
                    tell(&mut writer, engine.advance(now.saturating_sub(LATE)))?;
                }
                // Times of a foreign file may be anything: they only ever move us forward.
                now = now.max(stamp.time);
                if let Some(event) = event {
                    engine.push(stamp, event);
                }
            }
            Err(error) => torn = Some(error),
        }
    }
    tell(&mut writer, engine.finish())?;
    writer.end(&engine.counts(), &host, now, "the stream ended")?;
    match torn {
        Some(error) => {
            Err(Failure::usage(format!("{name}: {error:#}; what was readable is shown above")))
        }
        None => Ok(ExitCode::SUCCESS),
    }
}
