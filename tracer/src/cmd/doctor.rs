//! `whybus doctor`: what would attach here, what is missing, what to do.
use anyhow::Result;
use tracer_common::config::task;

use crate::{
    cli::Doctor,
    cmd::status::ExitStatus,
    contract::{self, Blind, Label, Record},
    model::{cause::CauseKind, observe::Observe, process::ExitScope},
    probe::{
        kernel as facts,
        plan::{Missing, Probe},
    },
    render::{Format, doctor, json},
    sink::stdout::put,
    watch::arm::arm,
};

/// How many causes can be told by what is seen, and which cannot.
pub fn causes(sees: impl Fn(Observe) -> bool) -> (usize, Vec<CauseKind>) {
    let named = CauseKind::ALL.iter().filter(|kind| **kind != CauseKind::Unknown);
    let (told, blind): (Vec<CauseKind>, Vec<CauseKind>) =
        named.partition(|kind| kind.cause().observes.iter().any(|observe| sees(*observe)));
    (told.len(), blind)
}

/// Whether it is a cause of bus errors, and not of other ends only.
pub fn of_bus_errors(cause: CauseKind) -> bool {
    use CauseKind::{Aborted, Exited, OomKilled, Overwritten, Signal};
    !matches!(cause, Overwritten | Signal | Aborted | OomKilled | Exited)
}

/// Without a hook that decides bus errors this kernel is not for us; without another, partly.
fn status(unexplained: &[CauseKind], missing: usize) -> ExitStatus {
    if unexplained.iter().any(|cause| of_bus_errors(*cause)) {
        ExitStatus::Unavailable
    } else if missing != 0 {
        ExitStatus::Partly
    } else {
        ExitStatus::Done
    }
}

/// Attaches everything for a moment and says how that went.
///
/// # Errors
/// As [`arm`].
pub fn run(args: &Doctor) -> Result<ExitStatus> {
    let (facts, armed) = arm(ExitScope::default(), true, true, 0)?;
    let sees = |observe| armed.attached.iter().any(|probe| probe.row.observe == observe);
    let (told, unexplained) = causes(sees);
    let status = status(&unexplained, armed.missing.len());
    let blind_for: Vec<&str> = unexplained.into_iter().map(CauseKind::name).collect();
    let reads = match facts.allowed.task() {
        task::TYPED => "typed loads",
        task::PROBE => "bpf_probe_read_kernel (no bpf_get_current_task_btf before 5.11)",
        _ => "helpers only: ancestors come from /proc, if the process is still there",
    };
    let paths = if facts.allowed.read_kernel {
        "whole, across mounts"
    } else {
        "names up to 31 bytes (lockdown forbids bpf_probe_read_kernel)"
    };
    let label = |probe: &Probe| Label::from(probe.program.form.to_string());
    let blind = |missing: &Missing| Blind {
        hook: label(&missing.probe),
        reason: missing.reason.as_str().into(),
        causes: missing.probe.row.blind.into(),
    };
    let report = contract::Doctor {
        kernel: facts.release.as_str().into(),
        lockdown: facts::lockdown().map(Label::from),
        hooks: armed.attached.iter().map(label).collect(),
        blind: armed.missing.iter().map(blind).collect(),
        culprit: reads.into(),
        paths: paths.into(),
        pending: armed.pending.iter().map(label).collect(),
        explained: told as u64,
        total: (told + blind_for.len()) as u64,
        unexplained: blind_for.into_iter().map(Label::from).collect(),
    };
    let module = |probe: &Probe| probe.row.module.unwrap_or_default();
    let modules: Vec<&str> = armed.pending.iter().map(module).collect();
    put(&match args.output {
        Format::Json => json(&Record::Doctor(Box::new(report))),
        Format::Human | Format::Oneline => doctor::human(&report, &modules),
    })?;
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_bus_errors_weighs_more_than_the_rest() {
        let (all, none) = causes(|_| true);
        assert_eq!((all, none.len()), (CauseKind::ALL.len() - 1, 0));
        assert_eq!(status(&none, 0), ExitStatus::Done);
        let (_, no_ends) = causes(|observe| observe != Observe::Exit);
        assert!(!no_ends.is_empty() && !no_ends.iter().any(|cause| of_bus_errors(*cause)));
        assert_eq!(status(&no_ends, 1), ExitStatus::Partly);
        assert_eq!(status(&[], 1), ExitStatus::Partly);
        let (_, no_faults) = causes(|observe| observe != Observe::FileFault);
        assert_eq!(status(&no_faults, 1), ExitStatus::Unavailable);
    }
}
