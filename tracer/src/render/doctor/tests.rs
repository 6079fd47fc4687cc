use super::*;
use crate::{
    contract::Blind,
    model::observe::Readiness,
    probe::{
        form::Form,
        plan::Probe,
        refusal::FTRACE_OFF,
        table::{Row, TABLE},
    },
};

const PLAIN: Style = Style::plain(false, false);

/// Of a host on which `is_there` says what attaches.
fn host(is_there: impl Fn(&str) -> bool, verdict: Readiness, summary: Option<&str>) -> Doctor {
    host_in(|_| true, is_there, verdict, summary)
}

/// The same, with all forms but those that `allows` rules out.
fn host_in(
    allows: impl Fn(Form) -> bool,
    is_there: impl Fn(&str) -> bool,
    verdict: Readiness,
    summary: Option<&str>,
) -> Doctor {
    let rows = || TABLE.iter().filter(|row| !row.backup);
    let probe = |row: &'static Row| {
        let mut programs = row.programs.iter().filter(|program| allows(program.form));
        Probe { row, program: programs.next().unwrap_or(&row.programs[0]) }
    };
    let hook = |row: &'static Row| probe(row).program.form.to_string();
    let state = |row: &'static Row| match row.module {
        Some(_) => "waiting",
        None if is_there(&hook(row)) => "attached",
        None => "missing",
    };
    let of = |wanted: &'static str| rows().filter(move |row| state(row) == wanted);
    Doctor {
        verdict: Some(verdict.into()),
        summary: summary.map(Into::into),
        kernel: "6.1.0-56-cloud-amd64".into(),
        lockdown: Some("none".into()),
        hooks: of("attached").map(|row| hook(row).into()).collect(),
        blind: of("missing")
            .map(|row| Blind {
                hook: hook(row).into(),
                reason: FTRACE_OFF.why.into(),
                fix: Some(FTRACE_OFF.fix.into()),
                causes: row.blind.into(),
            })
            .collect(),
        observed: rows()
            .map(|row| Observed {
                what: row.observe.word().into(),
                hook: hook(row).into(),
                state: state(row).into(),
                module: row.module.map(Into::into),
                unknown_without: row.blind.into(),
                added_instructions: Some(probe(row).adds()),
                undetected: probe(row).undetected().map(Into::into),
            })
            .collect(),
        culprit: "typed loads".into(),
        paths: "full, across mounts".into(),
        pending: of("waiting").map(|row| hook(row).into()).collect(),
        capabilities: Vec::new(),
        explained: 8,
        total: 25,
        unexplained: Vec::new(),
    }
}

fn text(report: &Doctor, denied: Option<&Denied>) -> String {
    let text = String::from_utf8(human(report, denied, true, &PLAIN)).expect("text");
    let lines = text.lines().count();
    assert!(lines < 24, "{lines} lines:\n{text}");
    let long = text.lines().find(|line| line.chars().count() > WIDTH);
    assert_eq!(long, None);
    text
}

#[test]
fn a_host_that_is_ready_fits_one_screen() {
    let ready = host(|_| true, Readiness::Ready, None);
    let said = text(&ready, None);
    assert!(said.starts_with("READY: every hook for this kernel attaches\nkernel     6.1"));
    assert!(said.contains("\nfexit      file-fault shmem-fault "), "{said}");
    assert!(said.contains("\ntp_btf     signal-generated "), "{said}");
    assert!(said.contains("\npending    "), "{said}");
    assert!(!said.contains("missing") && !said.contains("unseen"), "{said}");
    assert!(said.contains("\ncosts      adds about "), "{said}");
    assert!(!said.contains("\nmisses     fexit"), "{said}");
}

#[test]
fn each_form_says_what_it_costs_and_what_it_cannot_detect() {
    let kprobes = |form: Form| !form.is_trampoline();
    let said = text(&host_in(kprobes, |_| true, Readiness::Ready, None), None);
    let costs = said.split("\ncosts ").nth(1).expect("costs").replace("\n           ", " ");
    assert!(
        costs.contains(" to a file fault that goes well; to other calls by kretprobe up to "),
        "{said}"
    );
    assert!(costs.contains(" instructions, by "), "{said}");
    assert!(said.contains("\nmisses     kretprobe: returns of more calls at a time"), "{said}");
    let alone = |form: Form| matches!(form, Form::TpBtf(_) | Form::RawTp(_));
    let said = "whybus cannot tell who truncated a file";
    let said = host_in(alone, |hook| hook.starts_with("tp_btf"), Readiness::NotReady, Some(said));
    let said = text(&said, None);
    assert!(said.contains("\ncosts      adds nothing to a file fault that goes well;"), "{said}");
    assert!(said.contains("\nmisses     tp_btf: faults without a signal (EFAULT), "), "{said}");
}

#[test]
fn what_a_kernel_was_built_without_is_named_and_not_missed() {
    let mut ready = host(|_| true, Readiness::Ready, None);
    ready.observed.iter_mut().for_each(|one| {
        if &*one.what == "userfault-fault" {
            one.state = "not-built".into();
        }
    });
    ready.unexplained = vec!["userfaultfd".into()];
    let said = text(&ready, None);
    assert!(said.starts_with("READY: "), "{said}");
    assert!(said.contains("\nnot built  userfault-fault\n"), "{said}");
    assert!(said.contains("causes; not: userfaultfd\n"), "{said}");
    assert!(!said.contains("missing") && !said.contains("unseen"), "{said}");
}

#[test]
fn a_host_that_lacks_most_fits_one_screen() {
    let said = "whybus cannot tell which file a bus error was in or who truncated a file, because \
                kernel.ftrace_enabled is 0";
    let mut blind = host(|hook| hook.starts_with("tp_btf"), Readiness::NotReady, Some(said));
    let every = CauseKind::ALL.iter().skip(9).map(|cause| cause.name().into());
    blind.unexplained = every.collect();
    let told = text(&blind, None);
    assert!(told.starts_with("NOT READY: whybus cannot tell which file a bus error was in"));
    assert!(told.contains(" hooks: kernel.ftrace_enabled is 0\n  fix      sysctl kernel.f"));
    assert!(told.contains("\nunseen     file-fault shmem-fault "), "{told}");
    // Whatever is not attached in one of few forms is for its own reason.
    for (i, missing) in blind.blind.iter_mut().enumerate() {
        missing.reason =
            format!("the kernel says something long about this one, number {i}").into();
    }
    blind.blind.truncate(9);
    let told = text(&blind, None);
    assert!(told.contains("\n           8 more hooks: `whybus doctor -o json`\n"), "{told}");
}

/// 5.10 with kernel.ftrace_enabled=0, and two tracepoints that it has not got.
#[test]
fn what_to_do_comes_before_what_it_costs() {
    let alone = |form: Form| matches!(form, Form::TpBtf(_) | Form::RawTp(_));
    let is_there = |hook: &str| hook.starts_with("tp_btf");
    let said = "whybus cannot tell who truncated a file, because kernel.ftrace_enabled is 0 (one of 2 reasons)";
    let mut blind = host_in(alone, is_there, Readiness::NotReady, Some(said));
    for missing in blind.blind.iter_mut().take(2) {
        missing.reason = "this kernel has no such function or tracepoint".into();
        missing.fix = Some("it takes another kernel: docs/kernels.md says which has what".into());
    }
    // All modules have come.
    for one in blind.observed.iter_mut().filter(|one| one.module.is_some()) {
        one.module = None;
        let is_there = ["xfs-refusal", "nfs-stale"].contains(&&*one.what);
        one.state = if is_there { "attached" } else { "missing" }.into();
    }
    blind.culprit = "bpf_probe_read_kernel (no bpf_get_current_task_btf before 5.11)".into();
    blind.unexplained = CauseKind::ALL.iter().skip(12).map(|cause| cause.name().into()).collect();
    let told = text(&blind, None);
    assert!(told.contains("\n  fix      sysctl kernel.ftrace_enabled=1\n"), "{told}");
}

/// Three reasons, of forms that were tried one after the other: each is named with what helps, whatever else goes.
#[test]
fn every_reason_is_named_and_what_helps() {
    let (forbidden, kprobes) = ("a security module forbids it", "this kernel has no kprobes");
    let said =
        format!("whybus cannot tell who truncated a file, because {forbidden} (one of 3 reasons)");
    let mut blind = host(|hook| hook.starts_with("tp_btf"), Readiness::NotReady, Some(&said));
    for (i, missing) in blind.blind.iter_mut().enumerate() {
        let (reason, fix) = match i {
            0 => (
                forbidden.to_owned(),
                "ask who provides the kernel, of every one of these: dmesg, the audit log",
            ),
            1 | 2 => (kprobes.to_owned(), "it takes another kernel"),
            _ => (
                format!("{forbidden}; {kprobes}"),
                "ask who provides the kernel, of every one of these: dmesg, the audit log",
            ),
        };
        (missing.reason, missing.fix) = (reason.into(), Some(fix.into()));
    }
    blind.unexplained = CauseKind::ALL.iter().skip(12).map(|cause| cause.name().into()).collect();
    let told = text(&blind, None);
    let words = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains(
            "hooks: for the reason in the first line; this kernel has no kprobes fix ask who"
        ),
        "{told}"
    );
    assert!(
        words.contains("2 hooks: this kernel has no kprobes fix it takes another kernel"),
        "{told}"
    );
    assert!(!told.contains("more hooks"), "{told}");
    assert_eq!(
        (words.matches("ask who").count(), words.matches(forbidden).count()),
        (1, 1),
        "{told}"
    );
    // A wide terminal is made use of, and has room for more.
    let wide = Style { width: Some(200), ..PLAIN };
    let wide = String::from_utf8(human(&blind, None, true, &wide)).expect("text");
    assert!(wide.lines().any(|line| line.chars().count() > 120), "{wide}");
    assert!(wide.lines().all(|line| line.chars().count() <= WIDEST), "{wide}");
    assert!(wide.contains("\nunseen ") && wide.lines().count() < 24, "{wide}");
    assert!(wide.contains(" to be loaded: "), "{wide}");
}

/// Who reads a file has all rows, who sees a screen the way to them where it has no room.
#[test]
fn what_a_screen_has_no_room_for_stands_in_a_file() {
    const MORE: &str = "\nmore       `whybus doctor | cat` has the rows that found no room here\n";
    let said = "whybus cannot tell who truncated a file, because x";
    let mut blind = host(|hook| hook.starts_with("tp_btf"), Readiness::NotReady, Some(said));
    for (i, one) in blind.blind.iter_mut().enumerate() {
        one.reason = format!("reason {i} of many for one hook not to be attached here").into();
    }
    let screen = text(&blind, None);
    assert!(screen.ends_with(MORE) && screen.contains(" more hooks: "), "{screen}");
    let whole = String::from_utf8(human(&blind, None, false, &PLAIN)).expect("text");
    assert!(!whole.contains(MORE) && !whole.contains("doctor -o json"), "{whole}");
    for row in ["\ntp_btf ", "\nunseen ", "\nlookups "] {
        assert!(whole.contains(row), "{row}: {whole}");
    }
    for i in 0..blind.blind.len() {
        assert!(whole.contains(&format!("reason {i} of many")), "{whole}");
    }
    let ready = host(|_| true, Readiness::Ready, None);
    let whole = String::from_utf8(human(&ready, None, false, &PLAIN)).expect("text");
    assert_eq!(text(&ready, None), whole, "all of it has room");
}

#[test]
fn who_may_not_try_is_told_the_plan() {
    let mut report = host(|_| true, Readiness::Ready, None);
    report.verdict = None;
    let why = "watching the kernel needs CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN), which this \
               process lacks; run it as root: sudo whybus …";
    let denied = Denied { why: why.to_owned(), limits: "perf 2".to_owned() };
    let said = text(&report, Some(&denied));
    assert!(said.starts_with("NOT TRIED: watching the kernel needs CAP_BPF"), "{said}");
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("; if the kernel allows it, nothing is missing kernel "), "{said}");
    assert!(words.contains(" 8 of 25 causes, if it attaches all of that lookups"), "{said}");
    assert!(said.contains("\nlimits     perf 2\n"), "{said}");
    assert!(!said.contains("sudo whybus …"), "{said}");
    assert!(words.contains("lacks: `sudo whybus doctor` tries it; if "), "{said}");
    let sent_here = "bus errors are explained, except 2 details (`whybus doctor`), because x";
    report.summary = Some(sent_here.into());
    let said = text(&report, Some(&denied)).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("except 2 details, because x"), "{said}");
    assert_eq!(said.matches("whybus doctor").count(), 1, "{said}");
    // What is missing is named as well.
    let function = "this kernel has no function filemap_read_folio in its BTF";
    let lacking = "which errno a failed read returned (before 5.13)";
    let mut report = host(|hook| hook != "fexit filemap_read_folio", Readiness::Degraded, None);
    report.verdict = None;
    report.summary =
        Some(format!("bus errors are explained, except {lacking}, because {function}").into());
    report.blind.iter_mut().for_each(|blind| blind.reason = function.into());
    let said = text(&report, Some(&denied));
    assert!(said.contains("\nmissing    fexit filemap_read_folio: "), "{said}");
}

#[test]
fn a_narrow_terminal_and_one_line() {
    let blind = host(
        |_| false,
        Readiness::NotReady,
        Some("whybus cannot tell who truncated a file, because x"),
    );
    let narrow = Style { width: Some(60), ..PLAIN };
    let text = String::from_utf8(human(&blind, None, true, &narrow)).expect("text");
    let long = text.lines().find(|line| line.chars().count() > 60);
    assert_eq!(long, None, "{text}");
    assert!(text.starts_with("NOT READY: whybus cannot tell"), "{text}");
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let usual = String::from_utf8(human(&blind, None, true, &PLAIN)).expect("text");
    assert_eq!(words(&text), words(&usual), "the same, in more lines");
    // Each line is as full as it may be: none is broken twice.
    let fields = text.split_once("\nkernel").expect("it is named").1;
    let mut lines = fields.lines().skip(1).peekable();
    while let Some((line, next)) = lines.next().zip(lines.peek()) {
        let word = next.trim_start().split(' ').next().unwrap_or_default();
        let goes_on = next.starts_with(&" ".repeat(LABEL));
        let room = line.chars().count() + 1 + word.chars().count() <= 60;
        assert!(!(goes_on && room), "{line:?} {next:?}");
    }
    let line = String::from_utf8(oneline(&blind, None)).expect("text");
    assert_eq!(line, "NOT READY: whybus cannot tell who truncated a file, because x\n");
}

/// A thing that two hooks look at is one thing; both are hooks.
#[test]
fn hooks_and_things_are_counted_apart() {
    let mut ready = host(|_| true, Readiness::Ready, None);
    let (hooks, things) = (ready.hooks.len(), ready.hooks.len());
    ready.hooks.push("tp_btf sched_process_exec".into());
    let said = text(&ready, None).split_whitespace().collect::<Vec<_>>().join(" ");
    let counts = format!(
        "{0} of {0} hooks attach for `record` (`trace` alone uses fewer), and see {things} of {things} things",
        hooks + 1
    );
    assert!(said.contains(&counts), "{said}");
}
