//! The budgets (docs/overhead.md). Pure.
use crate::{
    bench::figures::{
        BPFTRACE, Figures, KPROBES, KRETPROBE, SIGNAL_ALONE, STORM, TRAMPOLINES, Work,
    },
    guest::kernels::Kernel,
};

/// Added instructions per call of `filemap_fault` that are granted to trampolines, by kernel. Others have the third of
/// a kretprobe only.
const FAULT: [(&str, f64); 4] =
    [("5.10", 56.0), ("6.1", 182.0), ("6.12", 193.0), ("newest", 165.0)];
const SLACK: f64 = 1.1;
/// Two rounds of the same code differ by up to this much, by the state of the page allocator;
/// that no program ran at all is checked exactly.
const NOISE: f64 = 8.0;
/// Share of one CPU that may be spent on telling of a storm.
const SHARE: f64 = 0.05;
/// Added to the mix of kernel work by trampolines, at most.
const MIX: f64 = 0.01;
/// How often programs may run beside a workload that none belongs to: what else the guest does meanwhile.
const BESIDE: u64 = 64;

/// The budgets that do not hold: all of them where the bench was `whole`, or those of faults.
pub fn broken(kernel: &Kernel, figures: &Figures, whole: bool) -> Vec<String> {
    let mut broken = Vec::new();
    for form in figures.forms() {
        broken.extend(match form {
            TRAMPOLINES => trampolines(&kernel.series, figures),
            KPROBES => kprobes(figures),
            _ => signal_alone(figures),
        });
        for name in ["anonymous", "fault-around"] {
            broken.extend(nothing(figures, &Work::of(name, "ext4"), form));
        }
    }
    if figures.forms().next().is_none() {
        broken.push("nothing was measured".to_owned());
    }
    if whole {
        broken.extend(mix(figures));
        broken.extend(storm(figures));
    }
    broken.into_iter().map(|what| format!("{what} on {}", kernel.release)).collect()
}

fn trampolines(series: &str, figures: &Figures) -> Vec<String> {
    let mut broken = Vec::new();
    let faults = Work::of("private-write", "ext4");
    let budget = FAULT.iter().find(|(known, _)| *known == series);
    let limit = budget.map_or(f64::MAX, |(_, budget)| budget * SLACK);
    match (figures.added(&faults, TRAMPOLINES), figures.added(&faults, KRETPROBE)) {
        (Some(added), _) if added > limit + NOISE => {
            broken.push(format!("filemap_fault: {added:.0} instead of at most {limit:.0}"));
        }
        (Some(added), Some(kretprobe)) if added > kretprobe / 3.0 + NOISE => {
            broken
                .push(format!("filemap_fault: {added:.0} is more than a third of {kretprobe:.0}"));
        }
        (Some(_), Some(_)) => {}
        _ => broken.push("filemap_fault was not measured".to_owned()),
    }
    broken.extend(ran(figures, &faults, TRAMPOLINES, 1.0));
    broken
}

/// Of kernel work by trampolines, where there are any.
fn mix(figures: &Figures) -> Option<String> {
    let mix = Work::of("mix", "ext4");
    figures.forms().find(|form| *form == TRAMPOLINES)?;
    match figures.none(&mix).zip(figures.added(&mix, TRAMPOLINES)) {
        Some((none, added)) => (added > none * MIX)
            .then(|| format!("the mix of kernel work: {:.2} % more", added / none * 100.0)),
        None => Some("the mix of kernel work was not measured".to_owned()),
    }
}

/// No more than a script that does the same.
fn kprobes(figures: &Figures) -> Vec<String> {
    let mut broken = Vec::new();
    for fs in ["ext4", "tmpfs"] {
        let faults = Work::of("private-write", fs);
        match (figures.added(&faults, KPROBES), figures.added(&faults, BPFTRACE)) {
            (Some(added), Some(script)) if added > script => {
                broken.push(format!(
                    "a fault on {fs} by kprobes: {added:.0}, and {script:.0} by bpftrace"
                ));
            }
            (Some(_), Some(_)) => {}
            _ => broken.push(format!("a fault on {fs} was not compared with bpftrace")),
        }
        broken.extend(ran(figures, &faults, KPROBES, 2.0));
        broken.extend(ran(figures, &faults, BPFTRACE, 2.0));
    }
    broken
}

fn signal_alone(figures: &Figures) -> Vec<String> {
    let faults = ["ext4", "tmpfs"].map(|fs| Work::of("private-write", fs));
    faults.iter().flat_map(|work| nothing(figures, work, SIGNAL_ALONE)).collect()
}

/// The figures mean nothing unless the programs ran exactly as often as was thought.
fn ran(figures: &Figures, work: &Work, what: &str, times: f64) -> Option<String> {
    let ran = figures.ran(work, what).unwrap_or(0) as f64 / work.operations();
    let off = (ran - times).abs() > 0.01 * times;
    off.then(|| format!("{} on {}: {what} ran {ran:.2} times, not {times}", work.name, work.fs))
}

/// That nothing runs in a workload.
fn nothing(figures: &Figures, work: &Work, form: &str) -> Vec<String> {
    let mut broken = Vec::new();
    let mut over = |what: String| broken.push(format!("{} by {form}: {what}", work.name));
    match figures.ran(work, form) {
        Some(ran) if ran > BESIDE => over(format!("programs ran {ran} times")),
        Some(_) => {}
        None => over("runs were not counted".to_owned()),
    }
    match figures.added(work, form) {
        Some(added) if added > NOISE => over(format!("{added:.1} instead of 0")),
        Some(_) => {}
        None => over("not measured".to_owned()),
    }
    broken
}

fn storm(figures: &Figures) -> Option<String> {
    let Some(storm) = &figures.storm else { return Some("the storm was not measured".to_owned()) };
    if storm.faults != storm.counted {
        return Some(format!("a storm of {} faults counted as {}", storm.faults, storm.counted));
    }
    if storm.share > SHARE {
        return Some(format!("a storm: {:.1} % of one CPU", storm.share * 100.0));
    }
    (storm.lines > 10 + 2 * STORM as u64).then(|| format!("a storm: {} lines", storm.lines))
}
