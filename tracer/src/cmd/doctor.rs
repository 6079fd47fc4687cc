//! `whybus doctor`: what would attach here, what is missing, what to do.
use anyhow::Result;
use tracer_common::config::task;

use crate::{
    cli::Doctor,
    cmd::exit_status::ExitStatus,
    contract::{self, Label, Observed, Record, convert::blind},
    correlate::readiness::{causes, readiness, summary},
    error::Failure,
    host::{
        privilege,
        restrictions::{Restrictions, lockdown},
    },
    model::{cause::CauseKind, observe::Readiness, process::ExitScope},
    probe::{
        kernel::KernelInfo,
        plan::{Missing, Plan, Probe},
    },
    render::{Format, doctor, json},
    sink::{speak::put, stdout::style, terminal},
    watch::arm::{arm, covered, plan},
};

/// What is there to be attached, or was.
struct Found {
    kernel: KernelInfo,
    attached: Vec<Probe>,
    pending: Vec<Probe>,
    missing: Vec<Missing>,
    not_built: Vec<Probe>,
}

/// Attaches everything for a moment and says how that went. Who may not attach anything is told what would be.
///
/// # Errors
/// As [`arm`].
pub fn run(args: &Doctor) -> Result<ExitStatus> {
    let (found, denied) = match tried() {
        Ok(found) => (found, None),
        // Without a capability, or in a container that forbids bpf(2).
        Err(error) => match error.downcast_ref() {
            Some(Failure::Privilege(why)) => (planned()?, Some(why.clone())),
            _ => return Err(error),
        },
    };
    let report = report(&found, denied.is_none());
    put(&match args.output {
        Format::Json => json(&Record::Doctor(Box::new(report.clone()))),
        format => {
            let limits = limits(&Restrictions::gather());
            let denied = denied.map(|why| doctor::Denied { why, limits });
            match format {
                Format::Oneline => doctor::oneline(&report, denied.as_ref()),
                _ => doctor::human(&report, denied.as_ref(), terminal::is_one(), &style(false)),
            }
        }
    })?;
    Ok(match report.verdict.map(|verdict| verdict.known()) {
        None => ExitStatus::Privilege,
        Some(Readiness::Ready) => ExitStatus::Done,
        Some(Readiness::Degraded) => ExitStatus::Partly,
        Some(Readiness::NotReady) => ExitStatus::Unavailable,
    })
}

fn tried() -> Result<Found> {
    let (kernel, armed) = arm(ExitScope::default(), true, true, 0, false)?;
    let (attached, pending) = (armed.attached.clone(), armed.pending.clone());
    let (missing, not_built) = (armed.missing.clone(), armed.not_built.clone());
    Ok(Found { kernel, attached, pending, missing, not_built })
}

fn planned() -> Result<Found> {
    let (kernel, plan) = plan(true)?;
    let Plan { attach: attached, pending, missing, not_built } = plan;
    Ok(Found { kernel, attached, pending, missing, not_built })
}

/// What else may stand in the way of who has no privilege.
fn limits(host: &Restrictions) -> String {
    let sysctl = |name: &str, value: Option<i64>| {
        let value = value.map_or_else(|| "unknown".to_owned(), |value| value.to_string());
        format!("{name} {value}")
    };
    let mut said = vec![
        sysctl("unprivileged_bpf_disabled", host.unprivileged_bpf_disabled),
        sysctl("perf_event_paranoid", host.perf_event_paranoid),
    ];
    let others = [
        (host.seccomp, "a seccomp filter"),
        (host.user_namespace, "a user namespace"),
        (host.selinux, "SELinux"),
    ];
    said.extend(others.iter().filter(|(there, _)| *there).map(|(_, what)| (*what).to_owned()));
    said.join(", ")
}

fn report(found: &Found, tried: bool) -> contract::Doctor {
    let Found { kernel, attached, pending, missing, not_built } = found;
    let coverage = covered(attached, missing);
    let (told, unexplained) = causes(&coverage);
    let reads = match kernel.allowed.task() {
        task::TYPED => "typed loads",
        task::PROBE => "bpf_probe_read_kernel (no bpf_get_current_task_btf before 5.11)",
        _ => "helpers only: ancestors come from /proc, if the process is still there",
    };
    let paths = if kernel.allowed.read_kernel {
        "full, across mounts"
    } else {
        "names up to 31 bytes (lockdown forbids bpf_probe_read_kernel)"
    };
    let state = if tried { "attached" } else { "planned" };
    let unseen: Vec<Probe> = missing.iter().map(|missing| missing.probe).collect();
    let states =
        [(state, attached), ("waiting", pending), ("missing", &unseen), ("not-built", not_built)];
    let mut things: Vec<Observed> = Vec::new();
    for (state, probes) in states {
        for probe in probes {
            let one = observed(probe, state);
            // A second program of a thing sees nothing else.
            if !things.iter().any(|known| known.what == one.what) {
                things.push(one);
            }
        }
    }
    contract::Doctor {
        verdict: tried.then(|| readiness(&coverage).into()),
        summary: summary(&coverage).map(Label::from),
        kernel: kernel.release.as_str().into(),
        lockdown: lockdown().map(Label::from),
        hooks: attached.iter().map(label).collect(),
        blind: coverage.uncovered.iter().map(blind).collect(),
        observed: things,
        culprit: reads.into(),
        paths: paths.into(),
        pending: pending.iter().map(label).collect(),
        capabilities: capabilities(privilege::own()),
        explained: told as u64,
        total: (told + unexplained.len()) as u64,
        unexplained: unexplained.into_iter().map(CauseKind::name).map(Label::from).collect(),
    }
}

fn capabilities(effective: u64) -> Vec<contract::Capability> {
    let of = |one: &privilege::Capability| contract::Capability {
        name: one.name.into(),
        held: one.is_in(effective),
        without: one.without.into(),
    };
    privilege::CAPABILITIES.iter().map(of).collect()
}

fn label(probe: &Probe) -> Label {
    Label::from(probe.program.form.to_string())
}

fn observed(probe: &Probe, state: &str) -> Observed {
    let is_there = matches!(state, "attached" | "planned" | "waiting");
    Observed {
        what: probe.row.observe.word().into(),
        hook: label(probe),
        state: state.into(),
        module: probe.row.module.filter(|_| state == "waiting").map(Label::from),
        unknown_without: probe.row.blind.into(),
        added_instructions: is_there.then(|| probe.adds()),
        undetected: probe.undetected().filter(|_| is_there).map(Label::from),
    }
}
