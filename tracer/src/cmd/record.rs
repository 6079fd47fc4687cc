//! `whybus record`: all the time, with a history.
use anyhow::Result;

use crate::{
    cli::Record,
    cmd::{classes, exit_status::ExitStatus},
    host::{
        memory,
        privilege::{self, Need},
    },
    model::{
        process::{ExitFilter, ExitScope},
        signal_name::{RECORDED, mask},
    },
    sink::{
        history::{Beside, HistorySink},
        history_writer::HistoryOptions,
        speak::{Failing, say, speak_in_background},
        stdout::StdoutSink,
    },
    watch::live::{WatchOptions, watch},
};

/// # Errors
/// Where the state directory is not fit, or as [`watch`].
pub fn run(args: &Record) -> Result<ExitStatus> {
    let selection = args.filter.selection();
    classes::check_live(&selection)?;
    privilege::check()?;
    memory::small_pages();
    memory::few_heaps();
    speak_in_background(Failing::Ignored)?;
    for one in privilege::lacking(privilege::own(), Need::History) {
        say(format_args!("whybus: without {} {}", one.name, one.without));
    }
    let default = ExitScope { signals: mask(&RECORDED), exits: ExitFilter::Lasting };
    let wanted = WatchOptions {
        shared_shrinks: !selection.without_warnings,
        selection,
        deaths: args.deaths.exit_scope(default),
        restarts: true,
        duration: None,
        count: None,
        required: &args.require.require,
        secrets: args.secrets.policy(),
        save: None,
        fail_every: 0,
        verbose: None,
        runs_commands: args.exec.is_some(),
        command: &[],
    };
    let history = HistoryOptions {
        state_dir: args.state.state_dir.clone(),
        group: args.group.clone(),
        keep: args.keep,
        keep_size: args.keep_size,
    };
    let beside = Beside {
        print: args.print.map(|format| StdoutSink::new(format, false)),
        journal: args.journal,
        exec: args.exec.clone(),
    };
    watch(&wanted, &mut HistorySink::start(history, beside)?)?;
    Ok(ExitStatus::Done)
}
