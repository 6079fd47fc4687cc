//! `whybus trace`: live.
use std::path::Path;

use anyhow::Result;

use crate::{
    cli::{Trace, options::STATE_DIR},
    cmd::{classes, exit_status::ExitStatus},
    correlate::readiness::readiness,
    error::Failure,
    host::memory,
    model::{
        observe::Readiness,
        process::{ExitFilter, ExitScope},
        signal_name::{self, RECORDED, SIGBUS},
    },
    sink::{
        history_writer::now,
        speak::{Failing, all_taken, say, speak_in_background},
        stdout::{StdoutSink, style},
    },
    store::lock::running_recorder,
    watch::{
        child::CommandEnd,
        live::{WatchOptions, watch},
        stop::stop_at_once,
    },
};

/// # Errors
/// As [`watch`].
pub fn run(args: &Trace) -> Result<ExitStatus> {
    let pids = &args.filter.common.pid;
    let there = |pid: &u32| Path::new(&format!("/proc/{pid}")).exists();
    if args.command.is_empty() && !pids.is_empty() && !pids.iter().any(there) {
        let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
        return Err(Failure::usage(format!("--pid {}: no such process", pids.join(", "))));
    }
    let deaths = args.deaths.exit_scope(ExitScope::default());
    let selection = args.filter.selection();
    classes::check_live(&selection)?;
    classes::check_scope(&selection, deaths)?;
    let wanted = WatchOptions {
        selection,
        restarts: deaths.signals != 0 || deaths.exits != ExitFilter::None,
        deaths,
        shared_shrinks: false,
        duration: args.duration,
        count: args.count,
        required: &args.require.require,
        secrets: args.secrets.policy(),
        save: args.save.as_deref(),
        fail_every: args.fail_every,
        verbose: args.verbose.then(|| style(args.output.utc)),
        runs_commands: false,
        command: &args.command,
    };
    memory::small_pages();
    speak_in_background(Failing::Ends)?;
    let recorder = running_recorder(Path::new(STATE_DIR), now());
    if let Some(beat) = recorder.filter(|_| !args.quiet && args.command.is_empty()) {
        say(follow(beat.pid));
    }
    let sink = StdoutSink::new(args.output.output, args.output.utc).quiet(args.quiet);
    let mut sink = sink.filtered(!wanted.selection.is_all() || !wanted.command.is_empty());
    let watched = watch(&wanted, &mut sink)?;
    if let Some(what) = unasked(watched.command, deaths, watched.incidents) {
        say(what);
    }
    if !watched.stopped {
        // Whoever reads slowly gets everything, as of any other command.
        stop_at_once();
        all_taken()?;
    }
    let blind = readiness(&watched.coverage) == Readiness::NotReady;
    Ok(status(watched.command.map(CommandEnd::status), args.count, watched.incidents, blind))
}

/// Two watches cost twice, and the recorder tells most of what this one will.
fn follow(recorder: u32) -> String {
    format!(
        "a recorder runs here, pid {recorder}: `whybus list -f` follows what it records, and costs nothing more"
    )
}

/// A command that died of something that was not asked for. By a status over 128 a shell says which signal ended what it
/// ran; 129, 130 and 141 are statuses that programs have of their own.
fn unasked(command: Option<CommandEnd>, deaths: ExitScope, incidents: u64) -> Option<String> {
    let end = command?;
    let signal = i32::from(end.status().checked_sub(128)?);
    let name = signal_name::name(signal);
    let ended = match end {
        CommandEnd::Signal(_) => format!("{name} ended the command"),
        CommandEnd::Status(status) if RECORDED.contains(&signal) => {
            format!(
                "the command exited with status {status}, as a shell does when {name} ended what it ran"
            )
        }
        CommandEnd::Status(_) => return None,
    };
    let asked_for = signal == SIGBUS || deaths.signals & signal_name::mask(&[signal]) != 0;
    let short = name.trim_start_matches("SIG").to_ascii_lowercase();
    (incidents == 0 && !asked_for && signal_name::parse(&short).is_ok())
        .then(|| format!("{ended}; to find out why: `whybus trace --signals {short} -- CMD`"))
}

/// A command passes its own on; else fewer incidents than were asked for are too few. Who was `blind` for what decides
/// bus errors has not looked at everything.
fn status(command: Option<u8>, asked_for: Option<u64>, incidents: u64, blind: bool) -> ExitStatus {
    match command {
        Some(status) => ExitStatus::Command(status),
        None if asked_for.is_some_and(|count| incidents < count) => ExitStatus::NotFound,
        None if blind => ExitStatus::Partly,
        None => ExitStatus::Done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_died_of_and_nobody_asked_for_is_said() {
        let scope = |signals| ExitScope { signals, ..ExitScope::default() };
        use CommandEnd::{Signal, Status};
        for (end, says, asks) in [
            (Signal(11), "SIGSEGV ended the command;", "--signals segv "),
            (Signal(13), "SIGPIPE ended the command;", "--signals pipe "),
            (Signal(10), "SIGUSR1 ended the command;", "--signals usr1 "),
            (Signal(2), "SIGINT ended the command;", "--signals int "),
            (Signal(1), "SIGHUP ended the command;", "--signals hup "),
            (Signal(10), "SIGUSR1 ended the command;", "--signals usr1 "),
            (Status(139), "status 139, as a shell does when SIGSEGV ended", "--signals segv "),
        ] {
            let said = unasked(Some(end), scope(0), 0).expect("nothing said of it");
            assert!(said.contains(says) && said.contains(asks), "{said}");
        }
        for (end, signals, incidents) in [
            (Signal(11), 1 << 11, 0),
            (Signal(11), 0, 1),
            (Signal(7), 0, 0),
            (Signal(64), 0, 0),
            (Status(139), 1 << 11, 0),
            (Status(135), 0, 0),
            (Status(130), 0, 0),
            (Status(129), 0, 0),
            (Status(141), 0, 0),
            (Status(255), 0, 0),
            (Status(1), 0, 0),
        ] {
            assert_eq!(unasked(Some(end), scope(signals), incidents), None, "{end:?}");
        }
        assert_eq!(unasked(None, scope(0), 0), None);
    }

    #[test]
    fn a_command_speaks_for_itself_and_too_few_are_told() {
        assert_eq!(status(Some(42), Some(3), 0, true), ExitStatus::Command(42));
        assert_eq!(status(None, Some(3), 2, true), ExitStatus::NotFound);
        assert_eq!(status(None, Some(3), 3, false), ExitStatus::Done);
        assert_eq!(status(None, None, 0, false), ExitStatus::Done);
        assert_eq!(status(None, None, 0, true), ExitStatus::Partly);
    }
}
