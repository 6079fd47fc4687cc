//! From nothing to attached probes, and what that says of this host.
use anyhow::Result;

use crate::{
    enrich::view,
    error::Failure,
    host::{
        clock::{boot_time, boot_to_realtime},
        memory::{cpus, page_size},
        privilege,
    },
    model::{
        host::Host,
        observe::{AttachedHook, Coverage, Uncovered},
        process::ExitScope,
    },
    probe::{
        attach::{self, Attached},
        kernel::KernelInfo,
        plan::{self, Missing},
        table,
    },
};

/// Attaches everything this kernel can run.
///
/// # Errors
/// Where privilege is missing, or no fault and no signal could be seen.
pub fn arm(
    deaths: ExitScope,
    restarts: bool,
    shared: bool,
    fail_every: u32,
) -> Result<(KernelInfo, Attached)> {
    privilege::check()?;
    let facts = KernelInfo::gather(&table::functions(), &table::modules())
        .map_err(|error| Failure::unavailable(format!("{error:#}")))?;
    if !facts.missing_fields.is_empty() {
        return Err(Failure::unavailable(format!(
            "Linux {} has no {}: its structs are not those whybus knows (5.10 to 7.3); please \
             report this with the output of `whybus doctor`",
            facts.release,
            facts.missing_fields.join(", ")
        )));
    }
    let armed = attach::attach(&facts, plan::choose(&facts, restarts), deaths, shared, fail_every)
        .map_err(|error| Failure::unavailable(format!("{error:#}")))?;
    if armed.attached.is_empty() {
        let why: Vec<String> = armed.missing.iter().map(reason).collect();
        return Err(Failure::unavailable(format!(
            "no hook could be attached on Linux {}: {}; run `whybus doctor` for what to do",
            facts.release,
            why.join("; ")
        )));
    }
    Ok((facts, armed))
}

fn reason(missing: &Missing) -> String {
    format!("{}: {}", missing.probe.program.form, missing.reason)
}

/// Describes this host and what is attached.
pub fn host(facts: &KernelInfo, armed: &Attached, deaths: ExitScope) -> Host {
    let read = |path: &str| {
        std::fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
    };
    Host {
        name: read("/proc/sys/kernel/hostname"),
        boot_id: read("/proc/sys/kernel/random/boot_id"),
        release: facts.release.clone(),
        since: boot_time(),
        clock: boot_to_realtime(),
        page_size: page_size(),
        cpus: cpus(),
        pid: std::process::id(),
        mnt_ns: view::own(),
        deaths,
        coverage: coverage(armed),
    }
}

/// What is attached, and what is not.
pub fn coverage(armed: &Attached) -> Coverage {
    let uncovered = armed.missing.iter().map(|missing| Uncovered {
        hook: missing.probe.program.form.to_string(),
        reason: missing.reason.clone(),
        causes: missing.probe.row.blind.to_owned(),
    });
    let hooks = armed.attached.iter().map(|probe| AttachedHook {
        observe: Some(probe.row.observe),
        hook: probe.program.form.to_string(),
    });
    Coverage { hooks: hooks.collect(), uncovered: uncovered.collect() }
}
