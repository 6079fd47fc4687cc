//! `whybus forget`: what is named goes from a history, for good.
use anyhow::{Result, anyhow};

use crate::{
    cli::Forget,
    cmd::{classes, exit_status::ExitStatus, nothing::nothing},
    error::Failure,
    sink::speak::say,
    store::{
        lock::RecorderLock,
        sqlite::{forget::Forgotten, read::Reader, write::Store},
        state_dir as dir,
    },
    text::format::{counted, size},
};

/// # Errors
/// Where nothing is named, there is no history, or a recorder writes to it.
pub fn run(args: &Forget) -> Result<ExitStatus> {
    let selection = args.select.selection().map_err(Failure::usage)?;
    let named = !selection.terms.is_empty() || selection.since.or(selection.until).is_some();
    if named && args.all {
        return Err(Failure::usage(
            "--all forgets everything: leave out the filters and times, or --all",
        ));
    }
    if !named && !args.all {
        return Err(Failure::usage(
            "nothing says what to forget: name it by filters or times (--comm NAME, --since TIME, …), or by --all; \
             --dry-run says how much that is",
        ));
    }
    let state = &args.state.state_dir;
    // Opening it to write would make one.
    let reader = Reader::open(state)?;
    classes::check(&reader, &selection)?;
    if args.dry_run {
        let incidents = reader.number(&selection)?;
        let warnings = reader.warnings(&selection, 0)?.len() as u64;
        say(format_args!(
            "{} and {} would be forgotten",
            counted(incidents, "incident"),
            counted(warnings, "warning")
        ));
        return Ok(match incidents + warnings {
            0 => ExitStatus::NotFound,
            _ => ExitStatus::Done,
        });
    }
    let lock = RecorderLock::acquire(state)?;
    let (mut store, aside) = Store::open(state, false)?;
    if let Some(aside) = aside {
        let history = dir::history(state);
        let (history, aside) = (history.display(), aside.display());
        return Err(anyhow!(
            "{history} is damaged, so that nothing could be forgotten: all of it is in {aside} now"
        ));
    }
    let Forgotten { incidents, warnings, is_read } = store.forget(&selection)?;
    drop(lock);
    let unread = || match is_read {
        false => Ok(()),
        true => Err(anyhow!(
            "somebody reads {}, so what was forgotten still stands in it and in its -wal file; remove neither, and \
             run the same again once nobody reads",
            dir::history(state).display()
        )),
    };
    if incidents + warnings == 0 {
        unread()?;
        nothing(&reader, &selection)?;
        return Ok(ExitStatus::NotFound);
    }
    say(format_args!(
        "{} and {} forgotten; {} takes {} now",
        counted(incidents as u64, "incident"),
        counted(warnings as u64, "warning"),
        dir::history(state).display(),
        size(dir::size(state))
    ));
    unread().map(|()| ExitStatus::Done)
}
