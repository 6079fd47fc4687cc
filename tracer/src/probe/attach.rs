//! Loads the object with this kernel's globals filled in and attaches what the plan names.
use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::Mutex,
    thread,
};

use anyhow::{Context as _, Result, anyhow};
use aya::{
    Btf, Ebpf, EbpfLoader, Pod, VerifierLogLevel,
    programs::{BtfTracePoint, FEntry, FExit, KProbe, Program, ProgramError, RawTracePoint},
};
use rustix::process::{Resource, Rlimit, setrlimit};
use tracer_common::config::Config;

use crate::{
    host::{
        memory::{page_size, trim},
        restrictions::Restrictions,
    },
    model::process::ExitScope,
    probe::{
        config::config,
        form::Form,
        kernel::{self, BTF, KernelInfo},
        object::{OBJECT, check_layout, lru_maps},
        plan::{Missing, Plan, Probe, take_lone},
        refusal::{self, Step},
    },
};

/// Entries that an LRU map has for each CPU, at least. Before 6.16 every CPU keeps 128 free nodes to itself
/// (kernel/bpf/bpf_lru_list.c LOCAL_FREE_TARGET): a map that has fewer throws its newest entry out at each
/// insert.
const LRU_PER_CPU: u32 = 256;
/// CPUs that are counted for that, at most: the maps are allocated whole, SHRINKS with 0.2 MiB a CPU.
const LRU_CPUS: u32 = 64;

/// CPUs there may be; 1 if that cannot be read.
fn cpus() -> u32 {
    aya::util::nr_cpus().ok().and_then(|cpus| u32::try_from(cpus).ok()).unwrap_or(1)
}

/// Programs that are loaded at the same time, at most.
const WORKERS: usize = 4;

/// Probes in the kernel; they go when this is dropped.
pub struct Attached {
    pub ebpf: Ebpf,
    pub attached: Vec<Probe>,
    /// Of modules that are not there yet.
    pub pending: Vec<Probe>,
    pub missing: Vec<Missing>,
}

impl Attached {
    /// Attaches the probes of modules that have come; true if there were any.
    ///
    /// # Errors
    /// Where the kernel's types cannot be read any more.
    pub fn attach_new_modules(&mut self) -> Result<bool> {
        let here = |probe: &Probe| probe.row.module.is_none_or(kernel::module);
        let (due, pending): (Vec<_>, Vec<_>) = self.pending.drain(..).partition(here);
        self.pending = pending;
        if due.is_empty() {
            return Ok(false);
        }
        let typed = due.iter().any(|probe| probe.program.form.is_typed());
        let btf = if typed { Some(types()?) } else { None };
        for probe in due {
            match attach_named(&mut self.ebpf, btf.as_ref(), probe) {
                Ok(()) => self.attached.push(probe),
                Err(error) => self.missing.push(Missing { probe, reason: reason(&error) }),
            }
        }
        drop(btf);
        trim();
        Ok(true)
    }
}

fn types() -> Result<Btf> {
    Btf::from_sys_fs().with_context(|| format!("reading {BTF}"))
}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct Globals(#[allow(dead_code, reason = "read as bytes")] Config);
// SAFETY: `repr(C)`, made of u32 only, no padding.
unsafe impl Pod for Globals {}

/// Loads and attaches what `plan` names, for the `exits` asked for, and for shrinks that only other hosts may
/// suffer from if those are (`shared`). Every n-th event is dropped on purpose
/// if `fail_every` is not 0.
///
/// # Errors
/// Where the object is refused as a whole. A probe that will not load or attach ends in
/// [`Attached::missing`] instead.
pub fn attach(
    kernel: &KernelInfo,
    plan: Plan,
    exits: ExitScope,
    shared: bool,
    fail_every: u32,
) -> Result<Attached> {
    check_layout(OBJECT)?;
    unlock_memory();
    let config = Globals(config(kernel, page_size(), exits, shared, fail_every));
    let maps = lru_maps(OBJECT);
    let mut loader = EbpfLoader::new();
    for (map, entries) in &maps {
        loader.map_max_entries(map, (*entries).max(LRU_PER_CPU * cpus().min(LRU_CPUS)));
    }
    let mut ebpf = loader
        // No CO-RE relocations in the object: do not let aya parse the kernel's types for it.
        .btf(None)
        .override_global("CONFIG", &config, true)
        .verifier_log_level(VerifierLogLevel::DISABLE)
        .load(OBJECT)
        .context("loading the probes' maps into the kernel")?;
    let btf = types()?;
    let Plan { attach: wanted, pending, mut missing } = plan;
    let mut attached = Vec::new();
    let (first, wanted): (Vec<_>, Vec<_>) =
        wanted.into_iter().partition(|probe| probe.row.goes_first());
    let mut results: Vec<_> = first
        .into_iter()
        .map(|probe| (probe, attach_named(&mut ebpf, Some(&btf), probe)))
        .collect();
    results.extend(attach_all(&mut ebpf, &btf, &wanted));
    for (probe, result) in results {
        match result {
            Ok(()) => attached.push(probe),
            Err(error) => missing.push(Missing { probe, reason: reason(&error) }),
        }
    }
    for lone in take_lone(&mut attached) {
        if let Some(program) = ebpf.program_mut(lone.probe.program.name) {
            unload(program);
        }
        missing.push(lone);
    }
    drop(btf);
    trim();
    Ok(Attached { ebpf, attached, pending, missing })
}

/// Loads and attaches on every CPU there is: verifying takes most of the time, and is done for each
/// program on its own. The results in the order of `wanted`.
fn attach_all(ebpf: &mut Ebpf, btf: &Btf, wanted: &[Probe]) -> Vec<(Probe, Result<()>)> {
    let mut programs: HashMap<String, &mut Program> =
        ebpf.programs_mut().map(|(name, program)| (name.to_owned(), program)).collect();
    // One program may serve several hooks: whoever comes second waits for the first.
    let mut later = Vec::new();
    let mut work = VecDeque::new();
    for (i, probe) in wanted.iter().enumerate() {
        match programs.remove(probe.program.name) {
            Some(program) => work.push_back((i, *probe, program)),
            None => later.push((i, *probe)),
        }
    }
    let work = Mutex::new(work);
    let done = Mutex::new(Vec::new());
    let workers = thread::available_parallelism().map_or(1, usize::from).min(WORKERS);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let next = work.lock().ok().and_then(|mut work| work.pop_front());
                    let Some((i, probe, program)) = next else { break };
                    let result = attach_program(program, Some(btf), probe);
                    if let Ok(mut done) = done.lock() {
                        done.push((i, probe, result));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    for (i, probe) in later {
        done.push((i, probe, attach_named(ebpf, Some(btf), probe)));
    }
    done.sort_by_key(|(i, ..)| *i);
    done.into_iter().map(|(_, probe, result)| (probe, result)).collect()
}

fn attach_named(ebpf: &mut Ebpf, btf: Option<&Btf>, probe: Probe) -> Result<()> {
    let program = ebpf
        .program_mut(probe.program.name)
        .ok_or_else(|| anyhow!("the object has no program {}", probe.program.name))?;
    attach_program(program, btf, probe)
}

fn attach_program(program: &mut Program, btf: Option<&Btf>, probe: Probe) -> Result<()> {
    let btf = || btf.context("no types were read");
    match probe.program.form {
        Form::RawTp(name) => {
            let program: &mut RawTracePoint = program.try_into()?;
            // One program may serve several.
            if program.fd().is_err() {
                program.load()?;
            }
            program.attach(name)?;
        }
        Form::Kprobe(function) | Form::Kretprobe(function) => {
            let program: &mut KProbe = program.try_into()?;
            program.load()?;
            program.attach(function, 0)?;
        }
        Form::Fentry(function) => {
            let program: &mut FEntry = program.try_into()?;
            program.load(function, btf()?)?;
            program.attach()?;
        }
        Form::Fexit(function) => {
            let program: &mut FExit = program.try_into()?;
            program.load(function, btf()?)?;
            program.attach()?;
        }
        Form::TpBtf(name) => {
            let program: &mut BtfTracePoint = program.try_into()?;
            program.load(name, btf()?)?;
            program.attach()?;
        }
    }
    Ok(())
}

/// Detaches a program of a function, and lets it go.
fn unload(program: &mut Program) {
    let _ = match program {
        Program::FEntry(program) => program.unload(),
        Program::FExit(program) => program.unload(),
        _ => Ok(()),
    };
}

/// Why the kernel refused, as far as that is found out; else what it answered, without the program's listing.
pub fn reason(error: &anyhow::Error) -> String {
    let (step, said) = answer(error);
    let errno = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()?.raw_os_error());
    match errno.and_then(|errno| refusal::why(step, errno, &Restrictions::gather())) {
        Some(row) => row.why.to_owned(),
        None => said,
    }
}

/// What was asked of the kernel, and its answer.
fn answer(error: &anyhow::Error) -> (Step, String) {
    match error.downcast_ref::<ProgramError>() {
        Some(ProgramError::LoadError { io_error, verifier_log }) => {
            let log = verifier_log.to_string();
            // The verifier ends with its statistics; what it minds stands before them.
            let objection = log.lines().rfind(|line| {
                !line.is_empty() && !line.starts_with("processed") && !line.contains("stack depth")
            });
            let said = match objection {
                Some(line) => format!("the verifier refused it: {line} ({io_error})"),
                None => format!("the kernel refused to load it: {io_error}"),
            };
            (Step::Load, said)
        }
        Some(ProgramError::SyscallError(error)) => {
            let step = if error.call == "perf_event_open" { Step::Kprobe } else { Step::Attach };
            (step, format!("the kernel refused to attach it: {}", error.io_error))
        }
        Some(ProgramError::KProbeError(_)) => (Step::Kprobe, format!("{error:#}")),
        _ => (Step::Load, format!("{error:#}")),
    }
}

/// Before 5.11 maps and programs count against RLIMIT_MEMLOCK. Where it cannot be raised, loading
/// says so.
fn unlock_memory() {
    let _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
}
