//! From nothing to attached probes, and what that says of this host.
use anyhow::Result;

use crate::{
    correlate::readiness::{Requirement, sees_anything, summary, unmet},
    enrich::view,
    error::Failure,
    host::{
        clock::{boot_time, boot_to_realtime},
        here::here,
        memory::{cpus, page_size},
        privilege,
        restrictions::Restrictions,
    },
    model::{
        host::{Here, Host},
        observe::{AttachedHook, Coverage, Uncovered},
        process::ExitScope,
    },
    probe::{
        attach::{self, Attached},
        kernel::KernelInfo,
        object::{log_object, object},
        plan::{self, Missing, Plan, Probe},
        refusal::{fix, is_privilege},
        table,
    },
    sink::speak::say,
};

/// Attaches everything this kernel can run; if `verbose`, with probes that say what they decide.
///
/// # Errors
/// Where privilege is missing, or nothing could be told of anybody.
pub fn arm(
    deaths: ExitScope,
    restarts: bool,
    shared: bool,
    fail_every: u32,
    verbose: bool,
) -> Result<(KernelInfo, Attached)> {
    privilege::check()?;
    let facts = facts(true)?;
    let attach = |object: &[u8]| {
        let plan = plan::choose(&facts, restarts);
        attach::attach(object, &facts, plan, deaths, shared, fail_every)
    };
    let armed = if verbose { attach_verbose(attach) } else { attach(&object()?) };
    let armed = armed.map_err(|error| refused(&attach::reason(&error, None)))?;
    let coverage = coverage(&armed);
    if !sees_anything(&coverage) {
        let why = summary(&coverage).unwrap_or_else(|| "no hook could be attached".to_owned());
        return Err(not_ready(format!(
            "{} (Linux {}); `whybus doctor` lists them",
            with_fix(&why),
            facts.release
        )));
    }
    Ok((facts, armed))
}

/// Attaches the probes that say what they decide; where the kernel takes fewer of these than of those that do not,
/// the latter, and says so.
fn attach_verbose(attach: impl Fn(&[u8]) -> Result<Attached>) -> Result<Attached> {
    let log = log_object()?;
    let verbose = attach(&log);
    if verbose.as_ref().is_ok_and(|verbose| !verbose.refused) {
        return verbose;
    }
    let (count, refused) = match &verbose {
        Ok(verbose) => (verbose.attached.len(), verbose.missing.clone()),
        Err(_) => (0, Vec::new()),
    };
    let error = verbose.err();
    let silent = attach(&object()?)?;
    if silent.attached.len() <= count {
        drop(silent);
        return attach(&log);
    }
    let only_here = |missing: &&Missing| {
        silent.attached.iter().any(|probe| probe.row.observe == missing.probe.row.observe)
    };
    let why = match error {
        Some(error) => attach::reason(&error, None),
        None => {
            let told = |one: &Missing| format!("{}: {}", one.probe.program.form, one.reason);
            refused.iter().find(only_here).map_or_else(String::new, told)
        }
    };
    say(format_args!(
        "whybus: no -v on this kernel, which does not take the probes that say what they decide: {why}"
    ));
    Ok(silent)
}

/// What would be attached, as far as that can be said without trying.
///
/// # Errors
/// Where this kernel is none for us.
pub fn plan(restarts: bool) -> Result<(KernelInfo, Plan)> {
    let facts = facts(false)?;
    let plan = plan::choose(&facts, restarts).where_it_may(&facts, &Restrictions::gather());
    Ok((facts, plan))
}

fn facts(may_try: bool) -> Result<KernelInfo> {
    let facts = KernelInfo::gather(&table::functions(), &table::modules(), may_try)
        .map_err(|error| not_ready(format!("{error:#}")))?;
    match facts.unusable() {
        Some(why) => Err(not_ready(why)),
        None => Ok(facts),
    }
}

/// This kernel is none for us.
fn not_ready(why: String) -> anyhow::Error {
    Failure::unavailable(format!("NOT READY: {why}"))
}

/// Nothing at all can be loaded.
fn refused(why: &str) -> anyhow::Error {
    match is_privilege(why) {
        true => Failure::Privilege(with_fix(why)).into(),
        false => not_ready(with_fix(why)),
    }
}

fn with_fix(why: &str) -> String {
    fix(why).map_or_else(|| why.to_owned(), |fix| format!("{why}; to do: {fix}"))
}

/// # Errors
/// Where not all that is required can be told here.
pub fn require(required: &[Requirement], coverage: &Coverage) -> Result<()> {
    unmet(required, coverage).map_or(Ok(()), |why| Err(not_ready(why)))
}

/// Describes this host and what is attached.
pub fn host(facts: &KernelInfo, armed: &Attached, deaths: ExitScope) -> Host {
    let Here { name, boot_id } = here();
    Host {
        name,
        boot_id,
        release: facts.release.clone(),
        since: boot_time(),
        clock: boot_to_realtime(),
        page_size: page_size(),
        cpus: cpus(),
        pid: std::process::id(),
        mnt_ns: view::own(),
        init_mnt_ns: view::of_init(),
        deaths,
        coverage: coverage(armed),
    }
}

/// What is attached, and what is not.
pub fn coverage(armed: &Attached) -> Coverage {
    covered(&armed.attached, &[armed.missing.as_slice(), &armed.silent].concat())
}

/// The same of probes that are attached, or would be, and of those that are missing.
pub fn covered(attached: &[Probe], missing: &[Missing]) -> Coverage {
    let uncovered = missing.iter().map(|missing| Uncovered {
        observe: Some(missing.probe.row.observe),
        hook: missing.probe.program.form.to_string(),
        reason: missing.reason.clone(),
        causes: missing.probe.row.blind.to_owned(),
    });
    let hooks = attached.iter().map(|probe| AttachedHook {
        observe: Some(probe.row.observe),
        hook: probe.program.form.to_string(),
    });
    Coverage { hooks: hooks.collect(), uncovered: uncovered.collect() }
}
