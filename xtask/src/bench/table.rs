//! The figures of one kernel, as docs/overhead.md has them.
use crate::{
    bench::figures::{BPFTRACE, Figures, KRETPROBE, STORM, Storm, Work},
    guest::kernels::Kernel,
};

pub fn print(kernel: &Kernel, figures: &Figures) {
    println!("\n### Linux {}\n", kernel.release);
    operations(figures);
    for (what, verified) in &figures.verified {
        let verified: Vec<String> = verified.iter().map(u64::to_string).collect();
        println!(
            "\nInstructions the verifier walked, by program, {what}: {}.",
            verified.join(", ")
        );
    }
    println!();
    for (what, armed) in &figures.armed {
        let rss = figures.rss.get(what).map_or(f64::NAN, |kib| *kib as f64 / 1024.0);
        println!(
            "Start to armed, {what}: {armed:.2} s of one instruction a nanosecond; {rss:.1} MiB resident."
        );
    }
    let mix = Work::of("mix", "ext4");
    for form in figures.forms() {
        if let Some((none, added)) = figures.none(&mix).zip(figures.added(&mix, form)) {
            println!(
                "\nThe mix of kernel work takes {:.2} % more by {form}.",
                added / none * 100.0
            );
        }
    }
    if let Some(Storm { faults, share, lines, counted }) = &figures.storm {
        println!(
            "\nA task that looped on its fault for {STORM} s: {faults} faults, {counted} counted, \
             {lines} lines told, {:.1} % of one CPU.",
            share * 100.0
        );
    }
}

fn show(value: Option<f64>) -> String {
    // 0 has no sign.
    value.map_or("–".to_owned(), |value| format!("{:.0}", value.round() + 0.0))
}

/// A line a workload.
fn operations(figures: &Figures) {
    let forms: Vec<&str> = figures.forms().collect();
    let adding: Vec<&str> = forms.iter().copied().chain([BPFTRACE, KRETPROBE]).collect();
    let ran: Vec<&str> = forms.iter().copied().chain([BPFTRACE]).collect();
    let heads: Vec<String> = adding.iter().map(|what| format!("added by {what}")).collect();
    println!("| workload | instructions | {} | programs run per operation |", heads.join(" | "));
    println!("|---|{}", "--:|".repeat(adding.len() + 2));
    for work in &figures.order {
        let added: Vec<String> =
            adding.iter().map(|what| show(figures.added(work, what))).collect();
        let runs = |what: &&str| {
            let runs = figures.ran(work, what)?;
            Some(format!("{:.2}", runs as f64 / work.operations()))
        };
        let runs: Vec<String> =
            ran.iter().map(|what| runs(what).unwrap_or("–".to_owned())).collect();
        println!(
            "| {} on {} | {} | {} | {} |",
            work.name,
            work.fs,
            show(figures.none(work)),
            added.join(" | "),
            runs.join(" / ")
        );
    }
}
