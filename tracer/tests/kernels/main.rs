//! What the probes make of each supported kernel, without booting it: facts of its types stored as
//! text (`NAME.txt`, made by `cargo xtask kernels`) go through the same functions as a running
//! kernel's BTF, and must give the offsets and the plan in `NAME.plan`. Those under `read/` were made from a
//! distribution's source: their offsets stand for nothing.
//!
//! Where a change of the plan is meant: `WHYBUS_BLESS=1 cargo test --test kernels` writes it anew.
#![allow(clippy::unwrap_used, reason = "a test, all of it")]
mod dump;
mod stored;

use std::{collections::BTreeSet, fmt::Write as _, fs, io::BufReader, path::PathBuf};

use stored::Stored;
use tracer_common::{
    config::Config,
    observe::Observe,
    offsets::{ABSENT, Offsets},
};
use whybus::{
    host::restrictions::Restrictions,
    model::process::ExitScope,
    probe::{
        btf::Types as _,
        config::config,
        form::Form,
        kernel::{Allowed, KernelInfo, Setting, preempts},
        options,
        plan::{Plan, Probe, choose},
        refusal::{NO_KPROBES, NO_TRAMPOLINES},
        switches::Switches,
        table::{TABLE, functions, modules},
    },
    wire::stream,
};

const KERNELS: [&str; 4] = ["5.10", "6.1", "6.12", "newest"];
/// Of no image: written by hand from source, in the same form.
const READ: [&str; 2] = ["read/rhel-8.10", "read/5.15"];

fn all() -> impl Iterator<Item = &'static str> {
    KERNELS.into_iter().chain(READ)
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

fn stored(kernel: &str) -> Stored {
    let path = file(&format!("kernels/{kernel}.txt"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    Stored::parse(&text)
}

/// In what state a kernel is met.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    ends: bool,
    /// Modules that could be loaded are.
    loaded: bool,
    lockdown: bool,
    ftrace: bool,
    /// The controller whose v1 hierarchy names cgroups.
    cgroup_v1: Option<(&'static str, u32)>,
}

const TRACE: Case = Case {
    name: "trace",
    ends: false,
    loaded: false,
    lockdown: false,
    ftrace: true,
    cgroup_v1: None,
};
const RECORD: Case = Case { name: "record", ends: true, ..TRACE };
const CASES: [Case; 5] = [
    TRACE,
    Case { name: "record, all modules loaded", loaded: true, ..RECORD },
    Case { name: "record, locked down", lockdown: true, ..RECORD },
    Case { name: "trace, kernel.ftrace_enabled 0", ftrace: false, ..TRACE },
    Case { name: "trace, cgroup v1", cgroup_v1: Some(("pids", 3)), ..TRACE },
];

fn info(stored: &Stored, case: Case) -> KernelInfo {
    let present = |name: &&'static str| match stored.module(name) {
        "built-in" => true,
        "module" => case.loaded,
        _ => false,
    };
    let setting = Setting {
        release: stored.release.clone(),
        modules: modules().into_iter().filter(present).collect(),
        allowed: Allowed {
            read_kernel: stored.helper("bpf_probe_read_kernel") && !case.lockdown,
            task_btf: stored.helper("bpf_get_current_task_btf"),
            snprintf: stored.helper("bpf_snprintf"),
            find_vma: stored.helper("bpf_find_vma"),
            task_regs: stored.helper("bpf_task_pt_regs"),
        },
        preempts: preempts(&stored.version),
        trusts_kprobes: ["6.12.", "7."].iter().any(|since| stored.release.starts_with(since)),
        switches: Switches { ftrace: case.ftrace, ..Switches::ON },
        cgroup_v1: case.cgroup_v1,
    };
    KernelInfo::of(stored, &functions(), setting)
}

/// By which programs the same is seen where that one is refused.
fn other_forms(kernel: &KernelInfo, probe: Probe) -> String {
    let others = std::iter::successors(probe.next(kernel), |other| other.next(kernel));
    others.map(|other| format!(", or {} by {}", other.program.form, other.program.name)).collect()
}

fn show_plan(kernel: &KernelInfo, plan: &Plan) -> String {
    let mut out = String::new();
    let mut line = |probe: &Probe, rest: &str| {
        let backup = if probe.row.backup { " (backup)" } else { "" };
        writeln!(out, "  {}{backup}: {rest}", probe.row.observe.word()).unwrap();
    };
    for probe in &plan.attach {
        let others = other_forms(kernel, *probe);
        line(probe, &format!("{} by {}{others}", probe.program.form, probe.program.name));
    }
    for probe in &plan.pending {
        let module = probe.row.module.unwrap_or_default();
        line(probe, &format!("{} waits for {module}", probe.program.form));
    }
    for missing in &plan.missing {
        line(&missing.probe, &format!("missing, {}", missing.reason));
    }
    for probe in &plan.not_built {
        line(probe, "not built");
    }
    out
}

/// The golden of one kernel: every line starts with what it is about.
fn show(stored: &Stored) -> String {
    let mut out = format!("release {}\n\noffsets\n", stored.release);
    let kernel = info(stored, TRACE);
    // In the order of the table, as `Offsets` is laid out.
    let offsets = format!("{:?}", kernel.offsets);
    let offsets = offsets.trim_start_matches("Offsets { ").trim_end_matches(" }");
    for (field, shown) in Offsets::FIELDS.iter().zip(offsets.split(", ")) {
        let (name, value) = shown.split_once(": ").unwrap();
        assert_eq!(name, field.name);
        // By which path, so that one which does not matter here can come and go.
        let path = field.paths.iter().find(|path| stored.offset(field.root, path).is_some());
        match path {
            Some(path) => writeln!(out, "  {name}: {value} ({}.{path})", field.root).unwrap(),
            None => {
                assert_eq!(value, ABSENT.to_string());
                writeln!(out, "  {name}: absent").unwrap();
            }
        }
    }
    for case in CASES {
        let kernel = info(stored, case);
        let Config { task, read_kernel, read_user, cgroup_controller, cgroup_hierarchy, .. } =
            config(&kernel, 4096, ExitScope::default(), true, 0);
        writeln!(out, "\n{}", case.name).unwrap();
        writeln!(out, "  config: task {task}, read_kernel {read_kernel}, read_user {read_user}")
            .unwrap();
        if cgroup_hierarchy != 0 {
            writeln!(
                out,
                "  cgroups: controller {cgroup_controller} of hierarchy {cgroup_hierarchy}"
            )
            .unwrap();
        }
        out.push_str(&show_plan(&kernel, &choose(&kernel, case.ends)));
    }
    out
}

/// The lines of a golden, each under its heading.
fn rows(golden: &str) -> Vec<String> {
    let mut heading = "";
    let mut rows = Vec::new();
    for line in golden.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("  ") {
            Some(row) => rows.push(format!("{heading}: {row}")),
            None => heading = line,
        }
    }
    rows
}

/// What differs, a line a row that is not as it was.
fn differences(kernel: &str, golden: &str, now: &str) -> Vec<String> {
    let (old, new) = (rows(golden), rows(now));
    let gone = old.iter().filter(|row| !new.contains(row));
    let come = new.iter().filter(|row| !old.contains(row));
    let mut out: Vec<String> = gone.map(|row| format!("Linux {kernel}: was  {row}")).collect();
    out.extend(come.map(|row| format!("Linux {kernel}: is   {row}")));
    if out.is_empty() && golden != now {
        out.push(format!("Linux {kernel}: the same rows in another order, or another release"));
    }
    out
}

#[test]
fn every_kernel_gives_the_plan_it_gave() {
    let mut wrong = Vec::new();
    for kernel in all() {
        let path = file(&format!("kernels/{kernel}.plan"));
        let now = show(&stored(kernel));
        if std::env::var_os("WHYBUS_BLESS").is_some() {
            fs::write(&path, &now).unwrap();
        }
        wrong.extend(differences(kernel, &fs::read_to_string(&path).unwrap_or_default(), &now));
    }
    assert!(
        wrong.is_empty(),
        "\n{}\nif that is meant: WHYBUS_BLESS=1 cargo test --test kernels\n",
        wrong.join("\n")
    );
}

/// Whatever the golden says: no kernel may lack a field that nothing works without, and none may
/// see nothing of what decides a bus error.
#[test]
fn every_kernel_has_what_nothing_works_without() {
    let mut wrong = Vec::new();
    for kernel in all() {
        let info = info(&stored(kernel), TRACE);
        wrong.extend(info.unusable());
        let plan = choose(&info, false);
        for observe in [
            Observe::FileFault,
            Observe::ShmemFault,
            Observe::Shrink,
            Observe::ShrinkResult,
            Observe::ForcedSignal,
            Observe::SignalGenerated,
            Observe::SignalDelivered,
            Observe::Exit,
        ] {
            if !plan.attach.iter().any(|probe| probe.row.observe == observe) {
                let reason = plan.missing.iter().find(|m| m.probe.row.observe == observe);
                let reason = reason.map_or("", |missing| missing.reason.as_str());
                wrong.push(format!("Linux {kernel} does not see {}: {reason}", observe.word()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// By which form and program something is seen.
fn seen_by(kernel: &str, observe: Observe) -> Option<String> {
    let plan = choose(&info(&stored(kernel), TRACE), false);
    let probe = plan.attach.iter().find(|probe| probe.row.observe == observe)?;
    Some(format!("{} by {}", probe.program.form, probe.program.name))
}

#[test]
fn from_5_13_to_5_15_the_errno_of_a_read_is_taken_where_a_page_is_read() {
    let seen = seen_by("read/5.15", Observe::ReadError);
    assert_eq!(seen.as_deref(), Some("fexit filemap_read_page by filemap_read_folio"));
}

/// Its force_sig_fault takes the task, too, and a process's start has the name of before 5.5.
#[test]
fn a_fault_no_handler_saw_and_a_start_are_seen_on_rhel_8() {
    let seen = seen_by("read/rhel-8.10", Observe::ForcedSignal);
    assert_eq!(seen.as_deref(), Some("fentry force_sig_fault by force_sig_fault_cached"));
    assert_ne!(info(&stored("read/rhel-8.10"), TRACE).offsets.task_start, ABSENT);
    assert_eq!(seen_by("read/rhel-8.10", Observe::ReadError), None);
}

/// Who may not try is not told that what this host is known to lack would attach.
#[test]
fn what_a_host_lacks_is_not_planned() {
    let host = Restrictions { ftrace: Some(1), sysfs: true, kprobes: true, ..Default::default() };
    let kernel = info(&stored("6.12"), RECORD);
    let planned = |host: &Restrictions| choose(&kernel, true).where_it_may(&kernel, host);
    let all = show_plan(&kernel, &choose(&kernel, true));
    assert_eq!(show_plan(&kernel, &planned(&host)), all);
    let form = |plan: &Plan, is: fn(Form) -> bool| {
        plan.attach.iter().filter(|probe| is(probe.program.form)).count()
    };
    let bare = planned(&Restrictions { kprobes: false, ..host.clone() });
    assert_eq!(form(&bare, Form::is_kprobe), 0);
    let preferred = |plan: &Plan| {
        let other =
            |probe: &&Probe| probe.program.form.is_kprobe() && probe.next(&kernel).is_some();
        plan.attach.iter().filter(other).count()
    };
    let trampolines = form(&planned(&host), Form::is_trampoline) + preferred(&planned(&host));
    assert_eq!(form(&bare, Form::is_trampoline), trampolines);
    assert_eq!(preferred(&planned(&host)), 2, "those of ends and of signals of faults");
    let lost = bare.missing.iter().find(|one| one.probe.row.observe == Observe::QuotaLimit);
    assert_eq!(lost.map(|one| one.reason.as_str()), Some(NO_KPROBES.why));
    // What is seen by a trampoline elsewhere is seen by a kprobe.
    let kprobes = planned(&Restrictions { ftrace: None, ..host.clone() });
    assert_eq!(form(&kprobes, Form::is_trampoline), 0);
    assert!(form(&kprobes, Form::is_kprobe) > form(&planned(&host), Form::is_kprobe));
    let neither = planned(&Restrictions { ftrace: None, kprobes: false, ..host });
    assert!(neither.missing.iter().any(|one| one.reason == NO_TRAMPOLINES.why));
    assert_eq!(form(&neither, |form| form.function().is_some()), 0);
}

/// The facts of a stored kernel, with some lines written anew.
fn changed(kernel: &str, anew: impl Fn(&str) -> Option<&'static str>) -> KernelInfo {
    let text = fs::read_to_string(file(&format!("kernels/{kernel}.txt"))).unwrap();
    let lines: Vec<&str> = text.lines().map(|line| anew(line).unwrap_or(line)).collect();
    info(&Stored::parse(&lines.join("\n")), TRACE)
}

/// RHEL 8.2 and 8.3, Ubuntu 20.04's 5.4 and Amazon Linux 2's have BTF, but the kernel would refuse the maps.
#[test]
fn a_kernel_without_ring_buffers_is_told_so() {
    for kernel in all() {
        let older = changed(kernel, |line| {
            line.starts_with("enum bpf_map_type").then_some("enum bpf_map_type BPF_MAP_TYPE_HASH=1")
        });
        let why = older.unusable().unwrap_or_default();
        assert!(why.ends_with("has no BPF ring buffer, which whybus needs (Linux 5.8, RHEL 8.4)"));
    }
}

/// COS and Flatcar are built without CONFIG_USERFAULTFD (include/linux/mm_types.h: the struct is empty then).
#[test]
fn what_a_kernel_was_built_without_is_not_missing() {
    let gone = |line: &str| {
        line.starts_with("function handle_userfault").then_some("function handle_userfault absent")
    };
    let hollow = |line: &str| match line {
        "struct vm_userfaultfd_ctx 8" => Some("struct vm_userfaultfd_ctx 0"),
        "  ctx 0 8" => Some(""),
        _ => None,
    };
    let seen = |plan: &Plan| {
        let is = |probe: &Probe| probe.row.observe == Observe::UserfaultFault;
        [
            plan.attach.iter().any(is),
            plan.missing.iter().any(|missing| is(&missing.probe)),
            plan.not_built.iter().any(is),
        ]
    };
    for kernel in KERNELS {
        let without = choose(&changed(kernel, |line| gone(line).or(hollow(line))), false);
        assert_eq!(seen(&without), [false, false, true], "Linux {kernel}");
        // A function that is merely gone is missing.
        assert_eq!(seen(&choose(&changed(kernel, gone), false)), [false, true, false]);
        // One that is there is hooked, whatever became of the struct.
        assert_eq!(seen(&choose(&changed(kernel, hollow), false)), [true, false, false]);
    }
}

/// Otherwise "absent" would mean nobody looked.
#[test]
fn the_stored_facts_know_everything_that_is_asked() {
    let mut unknown = Vec::new();
    for kernel in all() {
        let stored = stored(kernel);
        for field in Offsets::FIELDS {
            if !stored.knows_struct(field.root) {
                unknown.push(format!("Linux {kernel}: struct {}", field.root));
            }
            for path in field.paths {
                if !stored.knows_inside(field.root, path) {
                    unknown.push(format!("Linux {kernel}: inside of {}.{path}", field.root));
                }
            }
        }
        let structs = options::wanted().filter(|name| !stored.knows_struct(name));
        unknown.extend(structs.map(|name| format!("Linux {kernel}: struct {name}")));
        let asked = functions().into_iter().filter(|name| !stored.knows_function(name));
        unknown.extend(asked.map(|name| format!("Linux {kernel}: function {name}")));
    }
    assert!(
        unknown.is_empty(),
        "\n{}\nnot in the stored facts: run `cargo xtask kernels`\n",
        unknown.join("\n")
    );
}

/// The streams were recorded in guests: what was attached there is what the plan says. What comes with a module
/// depends on what had been loaded there, and is left aside; so are second programs, which may be younger
/// than a stream.
#[test]
fn the_plan_is_what_was_attached_when_the_streams_were_recorded() {
    let streams = KERNELS.map(|kernel| (kernel, kernel, TRACE));
    for (kernel, name, case) in streams.into_iter().chain([("newest", "deaths", RECORD)]) {
        let saved = fs::File::open(file(&format!("streams/{name}.stream"))).unwrap();
        let (host, _) = stream::open(BufReader::new(saved)).unwrap();
        // Before kprobes were preferred to trampolines in which tasks are preempted.
        let kernel_info = KernelInfo { trusts_kprobes: false, ..info(&stored(kernel), case) };
        let plan = choose(&kernel_info, case.ends);
        let (backups, planned): (Vec<&Probe>, Vec<&Probe>) =
            plan.attach.iter().partition(|probe| probe.row.backup);
        let forms = |probes: &[&Probe]| -> BTreeSet<String> {
            probes.iter().map(|probe| probe.program.form.to_string()).collect()
        };
        let (backups, mut planned) = (forms(&backups), forms(&planned));
        // What was tried is among what was attached or among what was not. The rest is younger than the recording.
        let tried = |hook: &String| {
            host.coverage.hooks.iter().any(|attached| attached.hook == *hook)
                || host.coverage.uncovered.iter().any(|missing| missing.hook == *hook)
        };
        planned.retain(tried);
        let rows = TABLE.iter().filter(|row| row.module.is_some());
        let of_modules: BTreeSet<String> =
            rows.flat_map(|row| row.programs).map(|program| program.form.to_string()).collect();
        let mut attached: BTreeSet<String> =
            host.coverage.hooks.iter().map(|hook| hook.hook.clone()).collect();
        attached.retain(|hook| {
            planned.contains(hook) || !backups.contains(hook) && !of_modules.contains(hook)
        });
        assert_eq!(attached, planned, "Linux {kernel}, {name}.stream");
        let uncovered = host.coverage.uncovered.iter();
        let missing: Vec<&String> = uncovered
            .filter(|uncovered| !of_modules.contains(&uncovered.hook))
            .map(|uncovered| &uncovered.reason)
            .collect();
        let planned: Vec<&String> = plan
            .missing
            .iter()
            .filter(|missing| missing.probe.row.module.is_none())
            .map(|missing| &missing.reason)
            .collect();
        assert_eq!(missing, planned, "Linux {kernel}, {name}.stream");
    }
}

/// The kernels listed in `WHYBUS_KERNELS`, and what their types say.
fn listed() -> Vec<(String, String)> {
    let list = std::env::var("WHYBUS_KERNELS").expect("a list: `cargo xtask kernels`, `drift`");
    let list = fs::read_to_string(list).unwrap();
    let facts = |source: &dump::Source| dump::facts(source, &functions(), &modules());
    dump::Source::all(&list).iter().map(|source| (source.name.clone(), facts(source))).collect()
}

/// `cargo xtask kernels` runs it.
#[test]
#[ignore = "makes the stored facts: cargo xtask kernels"]
fn write_the_facts() {
    for (name, text) in listed() {
        fs::write(file(&format!("kernels/{name}.txt")), text).unwrap();
    }
}

/// `cargo xtask drift` runs it. Facts that move, offsets among them, are no fault where the plan holds.
#[test]
#[ignore = "needs newer kernels: cargo xtask drift"]
fn say_what_moved() {
    let mut moved = false;
    for (name, text) in listed() {
        let (old, new) = (stored(&name), Stored::parse(&text));
        let golden = fs::read_to_string(file(&format!("kernels/{name}.txt"))).unwrap();
        println!("\nLinux {name}: stored is {}, Debian has {}", old.release, new.release);
        let facts = moved_lines(&golden, &text, |line| {
            !line.starts_with("release ") && !line.starts_with("version ")
        });
        let plan = moved_rows(&show(&old), &show(&new));
        println!("{} facts moved, {} rows of plans", facts.len(), plan.len());
        facts.iter().chain(&plan).for_each(|line| println!("{line}"));
        moved |= !plan.is_empty();
    }
    assert!(!moved, "a plan has moved");
}

/// The same of plans, each row in its state.
fn moved_rows(old: &str, new: &str) -> Vec<String> {
    let of = |plan: &str| rows(&without_values(plan)).join("\n");
    moved_lines(&of(old), &of(new), |_| true)
}

/// `-` a line that is gone, `+` one that has come.
fn moved_lines(old: &str, new: &str, of: impl Fn(&str) -> bool) -> Vec<String> {
    let lines = |text: &str| -> Vec<String> {
        text.lines().filter(|line| of(line)).map(str::to_owned).collect()
    };
    let (old, new) = (lines(old), lines(new));
    let gone = old.iter().filter(|line| !new.contains(line)).map(|line| format!("  - {line}"));
    let come = new.iter().filter(|line| !old.contains(line)).map(|line| format!("  + {line}"));
    gone.chain(come).collect()
}

/// A plan without its release and the numbers of its offsets, which every build may change: whether a field is there, and
/// by which path, stays.
fn without_values(plan: &str) -> String {
    let mut out = String::new();
    let mut offsets = false;
    for line in plan.lines().filter(|line| !line.starts_with("release ")) {
        if !line.starts_with("  ") {
            offsets = line == "offsets";
        }
        let field = offsets.then(|| line.split_once(": ")).flatten();
        let path = field.and_then(|(name, value)| Some((name, value.split_once(" (")?.1)));
        let _ = match path {
            Some((name, path)) => writeln!(out, "{name} ({path}"),
            None => writeln!(out, "{line}"),
        };
    }
    out
}

#[test]
fn a_field_that_moves_is_no_drift_and_one_that_goes_is() {
    let plan = "release 6.1\n\noffsets\n  vmf_vma: 0 (vm_fault.vma)\n  vmf_pgoff: 16 (vm_fault.pgoff)\n\ntrace\n  exits: fentry by x\n";
    let drift = |new: &str| moved_rows(plan, new);
    assert!(drift(&plan.replace("16", "24").replace("6.1", "6.2")).is_empty());
    assert_eq!(drift(&plan.replace("0 (vm_fault.vma)", "absent")).len(), 2);
    assert_eq!(drift(&plan.replace("fentry", "kprobe"))[0], "  - trace: exits: fentry by x");
    let two = format!("{plan}\nrecord\n  exits: kprobe by x\n\nlocked\n  exits: fentry by x\n");
    let moved = two.replace("trace\n  exits: fentry", "trace\n  exits: kprobe");
    assert_eq!(moved_rows(&two, &moved).len(), 2, "another state has that row");
}
