//! `whybus show ID`: one recorded incident.
use anyhow::Result;

use crate::{
    cli::Show,
    cmd::{exit_status::ExitStatus, list::shown, why::elsewhere},
    error::Failure,
    render::{Format, human, oneline},
    sink::{
        speak::{put, say},
        stdout::{history_style, page},
    },
    store::sqlite::read::Reader,
    text::escape::escape,
};

/// # Errors
/// Where there is no history to read, or several incidents go by that id.
pub fn run(args: &Show) -> Result<ExitStatus> {
    let reader = Reader::open(&args.state.state_dir)?;
    let found = reader.by_id(&args.id)?;
    let style = history_style(args.output.utc, reader.hosts()?);
    match found.as_slice() {
        [] => {
            say(absent(&args.id));
            Ok(ExitStatus::NotFound)
        }
        [incident] => {
            let shown = match args.output.output {
                Format::Human => {
                    human::joined(incident, elsewhere(&reader, incident)?.as_ref(), &style)
                }
                format => shown(incident, format, &style),
            };
            page(args.output.output);
            put(&shown)?;
            Ok(ExitStatus::Done)
        }
        several => {
            let lines = several.iter().map(|incident| oneline::incident(incident, &style));
            let lines = String::from_utf8_lossy(&lines.collect::<Vec<_>>().concat()).into_owned();
            Err(Failure::usage(format!(
                "`{}` is the start of several ids; give more of it:\n{}",
                args.id,
                lines.trim_end()
            )))
        }
    }
}

/// Which forms of an id are known.
fn absent(id: &str) -> String {
    let id = escape(id.as_bytes());
    if id.starts_with('#') {
        return format!(
            "`{id}` counts within one watch; a history knows incidents by the beginning of their id: `whybus list`"
        );
    }
    format!(
        "no recorded incident has an id that begins with `{id}` (4 digits or more): `whybus list` shows them"
    )
}
