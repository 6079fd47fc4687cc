//! `whybus trace`: live.
use std::path::Path;

use anyhow::Result;

use crate::{
    cli::{Trace, options::STATE_DIR},
    cmd::{classes, exit_status::ExitStatus},
    correlate::readiness::readiness,
    error::Failure,
    model::{
        observe::Readiness,
        process::{ExitFilter, ExitScope},
        signal_name::{self, RECORDED, SIGBUS},
    },
    sink::{
        history_writer::now,
        speak::say,
        stdout::{StdoutSink, style},
    },
    store::lock::running_recorder,
    watch::live::{WatchOptions, watch},
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
    let recorder = running_recorder(Path::new(STATE_DIR), now());
    if let Some(beat) = recorder.filter(|_| !args.quiet && args.command.is_empty()) {
        say(follow(beat.pid));
    }
    let mut sink = StdoutSink::new(args.output.output, args.output.utc).quiet(args.quiet);
    let watched = watch(&wanted, &mut sink)?;
    if let Some(what) = unasked(watched.command, deaths, watched.incidents) {
        say(what);
    }
    let blind = readiness(&watched.coverage) == Readiness::NotReady;
    Ok(status(watched.command, args.count, watched.incidents, blind))
}

/// Two watches cost twice, and the recorder tells most of what this one will.
fn follow(recorder: u32) -> String {
    format!(
        "a recorder runs here, pid {recorder}: `whybus list -f` follows what it records, and costs nothing more"
    )
}

/// A command that died of something that was not asked for.
fn unasked(command: Option<u8>, deaths: ExitScope, incidents: u64) -> Option<String> {
    let signal =
        command?.checked_sub(128).filter(|signal| RECORDED.contains(&i32::from(*signal)))?;
    let asked_for = i32::from(signal) == SIGBUS || deaths.signals & (1 << signal) != 0;
    (incidents == 0 && !asked_for).then(|| {
        let name = signal_name::name(i32::from(signal));
        format!(
            "the command ended with status {}, as after {name}, which was not asked for: `whybus trace --signals {} -- \
             CMD` tells why",
            128 + u16::from(signal),
            name.trim_start_matches("SIG").to_ascii_lowercase()
        )
    })
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
        let said = unasked(Some(128 + 11), scope(0), 0).expect("nothing told of it");
        assert!(said.contains("SIGSEGV") && said.contains("--signals segv"), "{said}");
        let quiet =
            [(139, 1 << 11, 0), (139, 0, 1), (135, 0, 0), (130, 0, 0), (255, 0, 0), (1, 0, 0)];
        for (status, signals, incidents) in quiet {
            assert_eq!(unasked(Some(status), scope(signals), incidents), None, "{status}");
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
