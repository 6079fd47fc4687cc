//! `whybus show ID`: one recorded incident.
use std::path::Path;

use anyhow::Result;

use crate::{
    cli::Show,
    cmd::{
        by_id::of_id, exit_status::ExitStatus, list::shown, nothing::counted_in_a_watch,
        why::elsewhere,
    },
    contract::Incident,
    enrich::lines::complete,
    render::{Format, human},
    sink::{
        speak::{put, say},
        stdout::{history_style, page},
    },
    store::sqlite::read::Reader,
    text::escape::{escape, word},
};

/// # Errors
/// Where there is no history to read, or several incidents go by that id.
pub fn run(args: &Show) -> Result<ExitStatus> {
    let reader = Reader::open(&args.state.state_dir)?;
    let Some(mut incident) = of_id(&reader, &args.id)? else {
        say(absent(&args.id, &history_style(false, 1).flags));
        return Ok(ExitStatus::NotFound);
    };
    if args.symbolize {
        symbolize(&mut incident, &args.debug_dir);
    }
    let mut style = history_style(args.output.utc, reader.hosts()?);
    style.ids = reader.long_ids([&*incident.id])?;
    let shown = match args.output.output {
        Format::Human => human::joined(&incident, elsewhere(&reader, &incident)?.as_ref(), &style),
        format => shown(&incident, format, &style),
    };
    page(args.output.output);
    put(&shown)?;
    Ok(ExitStatus::Done)
}

/// Completes the stacks of an incident, and says of which files that failed.
fn symbolize(incident: &mut Incident, debug_dir: &Path) {
    let stacks = [incident.stack.as_mut(), incident.cause.culprit_stack.as_mut()];
    let failed = complete(stacks.into_iter().flatten(), debug_dir);
    for (module, why) in failed {
        say(format_args!("no lines of {}: {why}", escape(&module)));
    }
}

/// Which forms of an id are known.
fn absent(id: &str, flags: &str) -> String {
    if id.starts_with('#') {
        return counted_in_a_watch(id);
    }
    let shows = match id.chars().all(|c| c == '-' || c.is_ascii_hexdigit()) {
        true => "`whybus list` shows them".to_owned(),
        // No id, but what `why` takes.
        false => format!(
            "`whybus why {}{flags}` takes names, pids, units and paths",
            word(id.as_bytes())
        ),
    };
    let id = escape(id.as_bytes());
    format!("no recorded incident has an id that begins with `{id}` (4 digits or more): {shows}")
}
