//! `whybus show ID`: one recorded incident.
use std::{os::unix::ffi::OsStrExt as _, path::Path};

use anyhow::Result;

use crate::{
    cli::{Show, options::WhyFormat},
    cmd::{
        by_id::{of_id, without_dots},
        exit_status::ExitStatus,
        list::shown,
        nothing::counted_in_a_watch,
        why::elsewhere,
    },
    contract::Incident,
    enrich::{completion::complete, debug_files::DIRECTORY, parser::Parser},
    error::Failure,
    explain::phrase::headline,
    host::here::here,
    render::{Format, human, markdown, style::Style},
    sink::{
        speak::{put, say},
        stdout::{history_style, page},
    },
    store::sqlite::read::Reader,
    text::escape::{escape, label, typed},
};

/// # Errors
/// Where there is no history to read, or several incidents go by that id.
pub fn run(args: &Show) -> Result<ExitStatus> {
    let reader = Reader::open(&args.state.state_dir)?;
    let Some(mut incident) = of_id(&reader, &args.id)? else {
        say(absent(without_dots(&args.id), &history_style(false, 1).flags));
        return Ok(ExitStatus::NotFound);
    };
    let failed =
        if args.symbolize { symbolize(&mut incident, &args.debug_dir)? } else { Vec::new() };
    let mut style = history_style(args.utc, reader.hosts()?);
    style.ids = reader.long_ids([&*incident.id])?;
    let joined = |style: &Style| -> Result<Vec<u8>> {
        let before = reader.before(&incident, here().name == *incident.host)?;
        let elsewhere = elsewhere(&reader, &incident)?;
        Ok(human::joined(&incident, elsewhere.as_ref(), Some(&before), style))
    };
    let shown = match args.output {
        WhyFormat::Human => joined(&style)?,
        WhyFormat::Markdown => {
            let plain = Style { colour: false, width: None, ..style.clone() };
            let text = String::from_utf8_lossy(&joined(&plain)?).into_owned();
            markdown::fenced(&incident.victim.comm.0, headline(&incident), text.trim_start())
        }
        WhyFormat::Oneline => shown(&incident, Format::Oneline, &style),
        WhyFormat::Json => shown(&incident, Format::Json, &style),
    };
    page(if args.output == WhyFormat::Json { Format::Json } else { Format::Human });
    // The empty line stands between two incidents.
    put(shown.strip_prefix(b"\n").unwrap_or(&shown))?;
    for what in failed {
        say(what);
    }
    Ok(ExitStatus::Done)
}

/// Completes the stacks of an incident; gives what to say of files of which that failed.
fn symbolize(incident: &mut Incident, debug_dir: &Path) -> Result<Vec<String>> {
    if debug_dir != Path::new(DIRECTORY)
        && let Err(error) = std::fs::read_dir(debug_dir)
    {
        let directory = escape(debug_dir.as_os_str().as_bytes());
        return Err(Failure::input(format!("--debug-dir {directory}: {error}")));
    }
    // What another host calls a path is another file here.
    let of_this_host = here().is(&incident.host, &incident.boot_id);
    let mut stacks = [incident.stack.as_mut(), incident.cause.culprit_stack.as_mut()];
    let frames = || stacks.iter().flatten().flat_map(|stack| &stack.user);
    let nothing = match frames().count() {
        0 => Some("no stack was recorded of this incident"),
        _ if frames().all(|frame| frame.module.is_none()) => {
            Some("no frame of this stack lies in a file that is known")
        }
        _ => None,
    };
    if let Some(why) = nothing {
        return Ok(vec![format!("nothing to look up: {why}")]);
    }
    let parser = Parser::start();
    let stacks = stacks.iter_mut().flatten().map(|stack| &mut **stack);
    let failed = complete(stacks, debug_dir, of_this_host, &parser);
    let said = |(module, why): (Vec<u8>, _)| format!("no lines of {}: {why}", escape(&module));
    Ok(failed.into_iter().map(said).collect())
}

/// An id is not looked for by less.
const LEAST_DIGITS: usize = 4;

/// Which forms of an id are known.
fn absent(id: &str, flags: &str) -> String {
    if id.starts_with('#') {
        return counted_in_a_watch(id);
    }
    let digits = id.chars().filter(|c| *c != '-').count();
    // A pid does not begin with 0, and an id does.
    let is_pid = id.parse::<u32>().is_ok() && !id.starts_with('0');
    let hex = id.chars().all(|c| c == '-' || c.is_ascii_hexdigit()) && !is_pid;
    if hex && digits < LEAST_DIGITS {
        return format!(
            "`{}` is too short for an id: give {LEAST_DIGITS} digits or more, as many as tell it from others; `whybus list{flags}` shows them",
            label(id)
        );
    }
    let shows = match hex {
        true => format!("`whybus list{flags}` shows them"),
        // No id, but what `why` takes.
        false => format!("`whybus why {}{flags}` takes names, pids, units and paths", typed(id)),
    };
    let id = label(id);
    format!(
        "no recorded incident has an id that begins with `{id}` ({LEAST_DIGITS} digits or more): {shows}"
    )
}
