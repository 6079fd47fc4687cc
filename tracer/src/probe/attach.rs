//! Loads the object with this kernel's globals filled in and attaches what the plan names.
use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use anyhow::{Context as _, Result, anyhow};
use aya::{
    Btf, Ebpf, EbpfLoader, Pod, VerifierLogLevel,
    programs::{BtfTracePoint, FEntry, FExit, KProbe, Program, ProgramError, RawTracePoint},
    sys::SyscallError,
};
use rustix::process::{Resource, Rlimit, setrlimit};
use tracer_common::config::Config;

use crate::{
    host::{
        memory::{page_size, trim},
        restrictions::Restrictions,
        symbols,
    },
    model::{observe::Observe, process::ExitScope},
    probe::{
        config::config,
        forced_refusal::Refused,
        form::Form,
        kernel::{self, BTF, KernelInfo},
        kretprobes::Kretprobe,
        object::{check_layout, lru_maps},
        plan::{Missing, Plan, Probe, take_lone, take_silent, tell_switched_on},
        refusal::{self, ENOTSUPP, NO_TRAMPOLINES, Step},
        switches::Switches,
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
    /// What is attached, and sees nothing as long as something is switched off.
    pub silent: Vec<Missing>,
    /// What this kernel was built without.
    pub not_built: Vec<Probe>,
    pub kretprobes: Vec<Kretprobe>,
    /// Whether the kernel refused to load any program.
    pub refused: bool,
    kernel: KernelInfo,
    gate: Gate,
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
        self.attach_in_rounds(due, btf.as_ref());
        self.kretprobes = Kretprobe::all();
        drop(btf);
        trim();
        self.silent.extend(take_silent(&mut self.attached, self.kernel.switches));
        Ok(true)
    }

    /// Looks whether hooks of functions were switched on or off since.
    pub fn is_switched(&mut self) -> bool {
        let now = Switches::now();
        if std::mem::replace(&mut self.kernel.switches, now) == now {
            return false;
        }
        self.attached.extend(self.silent.drain(..).map(|silent| silent.probe));
        self.attached.sort_by_key(|probe| probe.row.place());
        self.silent = take_silent(&mut self.attached, now);
        tell_switched_on(&mut self.missing, now);
        true
    }

    /// Attaches what is wanted, each in the first form that the kernel lets it have: what failed is tried again in
    /// its next form, together with all else that failed.
    fn attach_in_rounds(&mut self, wanted: Vec<Probe>, btf: Option<&Btf>) {
        // What was wanted first, and why it is not to be had in the forms that were tried.
        let mut tried: Vec<(Probe, String)> =
            wanted.iter().map(|probe| (*probe, String::new())).collect();
        let mut round: Vec<(usize, Probe)> = wanted.into_iter().enumerate().collect();
        while !round.is_empty() {
            let probes: Vec<Probe> = round.iter().map(|(_, probe)| *probe).collect();
            let results = attach_all(&mut self.ebpf, btf, &self.gate, &probes);
            let mut next = Vec::new();
            for ((i, probe), result) in round.into_iter().zip(results) {
                let Err(error) = result else {
                    self.attached.push(probe);
                    continue;
                };
                self.refused |= is_refused(&error);
                note(&mut tried[i].1, probe, &reason(&error, probe.program.form.function()));
                match probe.next(&self.kernel) {
                    Some(other) => next.push((i, other)),
                    None => {
                        let (probe, reason) = tried[i].clone();
                        self.missing.push(Missing { probe, reason });
                    }
                }
            }
            // A second program may be the next form of the first: it is now.
            for attached in &mut self.attached {
                if let Some(at) = next.iter().position(|(_, probe)| probe.is_same(*attached)) {
                    attached.row = next.remove(at).1.row;
                }
            }
            round = next;
        }
        // As they are listed, in whichever round they came.
        self.attached.sort_by_key(|probe| probe.row.place());
    }

    /// Where a fault is taken from its signal, the signal must be told after it: of two programs on one tracepoint the
    /// one that was attached last runs last (kernel/tracepoint.c func_add).
    fn attach_signals_last(&mut self, btf: &Btf) {
        let from_signal = |probe: &Probe| {
            probe.row.observe == Observe::ForcedSignal
                && matches!(probe.program.form, Form::TpBtf(_))
        };
        if !self.attached.iter().any(from_signal) {
            return;
        }
        let signals = |probe: &mut Probe| probe.row.observe == Observe::SignalGenerated;
        let again: Vec<Probe> = self.attached.extract_if(.., signals).collect();
        for probe in &again {
            if let Some(program) = self.ebpf.program_mut(probe.program.name) {
                unload(program);
            }
        }
        self.attach_in_rounds(again, Some(btf));
    }
}

/// Adds to why something cannot be seen that one more of its forms is refused.
fn note(reasons: &mut String, probe: Probe, reason: &str) {
    if reasons.is_empty() {
        reasons.push_str(reason);
    } else if !reasons.ends_with(reason) {
        reasons.push_str(&format!("; {}: {reason}", probe.program.form));
    }
}

/// What this kernel is known to refuse.
struct Gate {
    /// On purpose.
    refused: Refused,
    /// Trampolines of any function.
    no_trampolines: AtomicBool,
}

impl Gate {
    /// Asked before a program is loaded, so that none is verified in vain.
    fn before(&self, form: Form) -> Result<()> {
        if form.is_trampoline() && self.no_trampolines.load(Ordering::Relaxed) {
            return Err(anyhow!(NO_TRAMPOLINES.why));
        }
        Ok(())
    }

    /// Asked before a program that is loaded is attached.
    fn refuse(&self, form: Form) -> Result<()> {
        match self.refused.answer(form) {
            Some(io_error) => {
                let call = if form.is_trampoline() { "bpf_link_create" } else { "perf_event_open" };
                Err(ProgramError::from(SyscallError { call, io_error }).into())
            }
            None => Ok(()),
        }
    }

    fn after(&self, form: Form, error: &anyhow::Error) {
        let attaching = answer(error).0 == Step::Attach;
        if form.is_trampoline() && attaching && errno(error) == Some(ENOTSUPP) {
            self.no_trampolines.store(true, Ordering::Relaxed);
        }
    }
}

fn errno(error: &anyhow::Error) -> Option<i32> {
    error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()?.raw_os_error())
}

fn types() -> Result<Btf> {
    Btf::from_sys_fs().with_context(|| format!("reading {BTF}"))
}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct Globals(#[allow(dead_code, reason = "read as bytes")] Config);
// SAFETY: `repr(C)`, made of u32 only, no padding.
unsafe impl Pod for Globals {}

/// Loads `object` and attaches what `plan` names, for the `exits` asked for, and for shrinks that only other hosts may
/// suffer from if those are (`shared`). Every n-th event is dropped on purpose
/// if `fail_every` is not 0.
///
/// # Errors
/// Where the object is refused as a whole. A probe that will not load or attach ends in
/// [`Attached::missing`] instead.
pub fn attach(
    object: &[u8],
    kernel: &KernelInfo,
    plan: Plan,
    exits: ExitScope,
    shared: bool,
    fail_every: u32,
) -> Result<Attached> {
    check_layout(object)?;
    unlock_memory();
    let config = Globals(config(kernel, page_size(), exits, shared, fail_every));
    let maps = lru_maps(object);
    let mut loader = EbpfLoader::new();
    for (map, entries) in &maps {
        loader.map_max_entries(map, (*entries).max(LRU_PER_CPU * cpus().min(LRU_CPUS)));
    }
    let ebpf = loader
        // No CO-RE relocations in the object: do not let aya parse the kernel's types for it.
        .btf(None)
        .override_global("CONFIG", &config, true)
        // Not DISABLE: what is refused aya loads again with a buffer for the verifier's log, and a buffer without a
        // level is refused before 6.4 for that alone (kernel/bpf/verifier.c bpf_check: EINVAL), whatever it was.
        .verifier_log_level(VerifierLogLevel::STATS)
        .load(object)
        .context("loading the probes' maps into the kernel")?;
    let btf = types()?;
    let Plan { attach: wanted, pending, missing, not_built } = plan;
    let gate = Gate { refused: Refused::by_environment(), no_trampolines: AtomicBool::new(false) };
    let mut armed = Attached {
        ebpf,
        attached: Vec::new(),
        pending,
        missing,
        silent: Vec::new(),
        not_built,
        refused: false,
        kretprobes: Vec::new(),
        kernel: kernel.clone(),
        gate,
    };
    let (first, wanted) = wanted.into_iter().partition(|probe| probe.row.goes_first());
    armed.attach_in_rounds(first, Some(&btf));
    armed.attach_in_rounds(wanted, Some(&btf));
    armed.attach_signals_last(&btf);
    for lone in take_lone(&mut armed.attached) {
        if let Some(program) = armed.ebpf.program_mut(lone.probe.program.name) {
            unload(program);
        }
        armed.missing.push(lone);
    }
    armed.missing.retain(|missing| !is_needless(missing.probe, &armed.attached));
    armed.kretprobes = Kretprobe::all();
    drop(btf);
    trim();
    Ok(armed)
}

/// Whether it stands in for a program that needs nobody to: no task is preempted in a kprobe. Ends are seen twice all the same: a
/// kprobe is not run either while a task was preempted as it read a map (`bpf_prog_active`).
fn is_needless(probe: Probe, attached: &[Probe]) -> bool {
    attached.iter().any(|first| {
        probe.row.stands_in_for(first.row)
            && first.row.observe != Observe::Exit
            && matches!(first.program.form, Form::Kprobe(_) | Form::Kretprobe(_))
    })
}

/// A program to attach, with what keeps the arguments for it.
struct Job<'a> {
    probe: Probe,
    program: &'a mut Program,
    entry: Option<&'a mut Program>,
}

/// Loads and attaches on every CPU there is: verifying takes most of the time, and is done for each
/// program on its own. The results in the order of `wanted`.
fn attach_all(
    ebpf: &mut Ebpf,
    btf: Option<&Btf>,
    gate: &Gate,
    wanted: &[Probe],
) -> Vec<Result<()>> {
    let mut programs: HashMap<String, &mut Program> =
        ebpf.programs_mut().map(|(name, program)| (name.to_owned(), program)).collect();
    // One program may serve several hooks: whoever comes second waits for the first.
    let mut later = Vec::new();
    let mut work = VecDeque::new();
    for (i, probe) in wanted.iter().enumerate() {
        match Job::take(&mut programs, *probe) {
            Some(job) => work.push_back((i, job)),
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
                    let Some((i, job)) = next else { break };
                    let result = job.attach(btf, gate);
                    if let Ok(mut done) = done.lock() {
                        done.push((i, result));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    for (i, probe) in later {
        let mut programs =
            ebpf.programs_mut().map(|(name, program)| (name.to_owned(), program)).collect();
        let job = Job::take(&mut programs, probe);
        let missing = || anyhow!("the object has no program {}", probe.program.name);
        done.push((i, job.ok_or_else(missing).and_then(|job| job.attach(btf, gate))));
    }
    done.sort_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, result)| result).collect()
}

impl<'a> Job<'a> {
    fn take(programs: &mut HashMap<String, &'a mut Program>, probe: Probe) -> Option<Self> {
        let program = programs.remove(probe.program.name)?;
        let entry = match probe.program.kept {
            Some(kept) => Some(programs.remove(kept.by)?),
            None => None,
        };
        Some(Self { probe, program, entry })
    }

    /// Attaches it whole or not at all.
    fn attach(self, btf: Option<&Btf>, gate: &Gate) -> Result<()> {
        let Self { probe, program, entry } = self;
        let form = probe.program.form;
        gate.before(form)?;
        // What a call was entered with is kept only once its return is seen, too.
        let mut result = attach_program(program, btf, form, gate);
        if let (Ok(()), Some(entry), Some(function)) = (&result, entry, form.function()) {
            result = attach_program(entry, btf, Form::Kprobe(function), gate);
            if result.is_err() {
                unload(entry);
            }
        }
        if let Err(error) = &result {
            // Where a program serves several hooks the others keep it.
            if !matches!(form, Form::RawTp(_)) {
                unload(program);
            }
            gate.after(form, error);
        }
        result
    }
}

fn attach_program(program: &mut Program, btf: Option<&Btf>, form: Form, gate: &Gate) -> Result<()> {
    let btf = || btf.context("no types were read");
    match form {
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
            gate.refuse(form)?;
            program.attach(function, 0)?;
        }
        Form::Fentry(function) => {
            let program: &mut FEntry = program.try_into()?;
            program.load(function, btf()?)?;
            gate.refuse(form)?;
            program.attach()?;
        }
        Form::Fexit(function) => {
            let program: &mut FExit = program.try_into()?;
            program.load(function, btf()?)?;
            gate.refuse(form)?;
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

/// Detaches a program, and lets it go.
fn unload(program: &mut Program) {
    let _ = match program {
        Program::FEntry(program) => program.unload(),
        Program::FExit(program) => program.unload(),
        Program::KProbe(program) => program.unload(),
        Program::BtfTracePoint(program) => program.unload(),
        _ => Ok(()),
    };
}

/// Why the kernel refused, as far as that is found out; else what it answered, without the program's listing.
pub fn reason(error: &anyhow::Error, function: Option<&str>) -> String {
    let (step, said) = answer(error);
    let is_listed = || function.is_some_and(symbols::is_listed);
    let why = |errno| refusal::why(step, errno, &Restrictions::gather(), is_listed);
    match errno(error).and_then(why) {
        Some(row) => row.why.to_owned(),
        None => said,
    }
}

/// Whether a program was not even loaded.
fn is_refused(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(ProgramError::LoadError { .. }))
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
