//! `whybus doctor`: what would attach here, what is missing, what to do.
use std::process::ExitCode;

use anyhow::Result;
use tracer_common::globals::task;

use crate::{
    cli::Doctor,
    contract::{self, Blind, Label, Record},
    model::{cause::CauseKind, observe::Observe, process::ExitScope},
    probe::{
        kernel as facts,
        plan::{Missing, Probe},
    },
    render::{Format, json},
    sink::stdout::put,
    text::escape::escape,
    watch::arm::arm,
};

/// How many causes can be told with these hooks, and which cannot.
fn causes(attached: &[Probe]) -> (usize, Vec<&'static str>) {
    let seen = |observe: &Observe| attached.iter().any(|probe| probe.row.observe == *observe);
    let named = CauseKind::ALL.iter().filter(|class| **class != CauseKind::Unknown);
    let (told, blind): (Vec<CauseKind>, Vec<CauseKind>) =
        named.partition(|class| class.cause().observes.iter().any(seen));
    (told.len(), blind.into_iter().map(CauseKind::name).collect())
}

/// Attaches everything for a moment and says how that went.
///
/// # Errors
/// As [`arm`].
pub fn run(args: &Doctor) -> Result<ExitCode> {
    let (facts, armed) = arm(ExitScope::default(), true, 0)?;
    let lockdown = facts::lockdown();
    let hooks: Vec<String> =
        armed.attached.iter().map(|probe| probe.program.form.to_string()).collect();
    let (told, blind_for) = causes(&armed.attached);
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
    if args.output == Format::Json {
        let label = |probe: &Probe| Label::from(probe.program.form.to_string());
        let blind = |missing: &Missing| Blind {
            hook: label(&missing.probe),
            reason: missing.reason.as_str().into(),
            causes: missing.probe.row.blind.into(),
        };
        put(&json(&Record::Doctor(Box::new(contract::Doctor {
            kernel: facts.release.as_str().into(),
            lockdown: lockdown.map(Label::from),
            hooks: hooks.into_iter().map(Label::from).collect(),
            blind: armed.missing.iter().map(blind).collect(),
            culprit: reads.into(),
            paths: paths.into(),
            pending: armed.pending.iter().map(label).collect(),
            explained: told as u64,
            total: (told + blind_for.len()) as u64,
            unexplained: blind_for.into_iter().map(Label::from).collect(),
        }))))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = format!("kernel    {}\n", escape(facts.release.as_bytes()));
    out.push_str(&format!(
        "lockdown  {}\n",
        lockdown.as_deref().unwrap_or("unknown (no securityfs)")
    ));
    for hook in &hooks {
        out.push_str(&format!("attached  {hook}\n"));
    }
    for missing in &armed.missing {
        out.push_str(&format!(
            "missing   {}: {}\n          blind for: {}\n",
            missing.probe.program.form,
            escape(missing.reason.as_bytes()),
            missing.probe.row.blind,
        ));
    }
    for probe in &armed.pending {
        let module = probe.row.module.unwrap_or_default();
        out.push_str(&format!(
            "waiting   {}: attached once module {module} is there\n",
            probe.program.form
        ));
    }
    out.push_str(&format!("explains  {told} of {} causes", told + blind_for.len()));
    out.push_str(&match blind_for.as_slice() {
        [] => "\n".to_owned(),
        blind => format!("; not: {}\n", blind.join(", ")),
    });
    out.push_str(&format!("culprits  by {reads}\npaths     {paths}\n"));
    out.push_str(if armed.missing.is_empty() {
        "ready     run `whybus trace`, or `whybus demo` to see an answer\n"
    } else {
        "partly    `whybus trace` works, but blind as said above\n"
    });
    put(out.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
