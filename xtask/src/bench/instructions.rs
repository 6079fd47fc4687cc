//! `cargo xtask bench`: what each probe adds to a call, in instructions. Under `-icount` one
//! instruction is one virtual nanosecond, so the figures are exact and repeatable, also on a
//! loaded machine.
use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::{
    guest::{
        kernels::{self, Kernel},
        tree::Trees,
        vm::Boot,
    },
    shell::say,
};

/// Added instructions per call of `filemap_fault` that are granted, by kernel (docs/overhead.md).
const BUDGET: [(&str, f64); 4] =
    [("5.10", 56.0), ("6.1", 182.0), ("6.12", 193.0), ("newest", 165.0)];
const SLACK: f64 = 1.1;
/// Two rounds of the same code differ by up to this much, by the state of the page allocator;
/// that no program ran at all is checked exactly.
const NOISE: f64 = 8.0;
/// Seconds that a task loops on its fault.
const STORM: f64 = 10.0;
/// Share of one CPU that may be spent on telling of it.
const SHARE: f64 = 0.05;
/// Added to the mix of kernel work, at most.
const MIX: f64 = 0.01;
/// The workload that does nothing: what it takes to start one and to write its file.
const IDLE: &str = "idle";
/// How often programs may run beside a workload that none belongs to: what else the guest does meanwhile.
const BESIDE: u64 = 64;
/// What the guest program does in one run: rounds × operations.
const CALLS: f64 = 9.0 * 2048.0;

/// # Errors
/// Where a guest fails or a budget does not hold.
pub fn run(wanted: &[String]) -> Result<()> {
    let kernels = kernels::fetch(wanted)?;
    let trees = Trees::of(kernels.iter())?;
    let mut broken = Vec::new();
    for kernel in kernels {
        let tree = trees.tree(&kernel)?;
        say(format_args!("counting instructions on Linux {}", kernel.release));
        let boot = Boot::new(&kernel, tree.pack(&kernel)?, "bench")
            .append("mitigations=off nokaslr norandmaps")
            .options(&["-icount", "shift=0,sleep=off"])
            .cpus(1);
        let left = boot.run()?;
        let text = left.text("bench")?;
        let counted = counted(&left.text("bench.json")?);
        let figures = Figures::parse(&text, counted);
        figures.print(&kernel);
        broken.extend(figures.check(&kernel));
    }
    for what in &broken {
        println!("OVER BUDGET: {what}");
    }
    ensure!(broken.is_empty(), "{} budgets do not hold", broken.len());
    Ok(())
}

/// How often the looper faulted, by the incident as it was told last.
fn counted(stream: &str) -> u64 {
    let lines = stream.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut looped = lines.filter(|line| line["victim"]["comm"] == "looper");
    looped.find_map(|incident| incident["fault"]["count"].as_u64()).unwrap_or(0)
}

/// (workload, file system)
type Work = (String, String);

#[derive(Default)]
struct Figures {
    /// Instructions per operation, by what was attached.
    per_call: BTreeMap<Work, BTreeMap<String, f64>>,
    /// How often all programs together ran in one run of the workload, [`IDLE`] among them.
    runs: BTreeMap<Work, u64>,
    order: Vec<Work>,
    armed: Option<f64>,
    verified: Vec<u64>,
    rss: Option<u64>,
    storm: Option<Storm>,
}

/// A task that looped on its fault for [`STORM`] seconds.
struct Storm {
    /// Faults, by the task's own count.
    faults: u64,
    /// Share of one CPU that whybus took meanwhile.
    share: f64,
    /// Lines told of it.
    lines: u64,
    /// Faults, by the incident.
    counted: u64,
}

impl Figures {
    fn parse(text: &str, counted: u64) -> Self {
        let mut figures = Self::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let number = |i: usize| words.get(i).and_then(|word| word.parse::<f64>().ok());
            match words.as_slice() {
                ["armed", ..] => figures.armed = number(2).zip(number(1)).map(|(b, a)| b - a),
                ["verified", count] => figures.verified.extend(count.parse::<u64>()),
                ["storm", faults, before, after, lines] => {
                    let number = |word: &str| word.parse::<u64>().unwrap_or(u64::MAX);
                    let ticks = number(after).saturating_sub(number(before)) as f64;
                    figures.storm = Some(Storm {
                        faults: number(faults),
                        share: ticks / 100.0 / STORM,
                        lines: number(lines),
                        counted,
                    });
                }
                ["rss", kib] => figures.rss = kib.parse().ok(),
                ["runs", name, fs, counts @ ..] => {
                    let halves: Vec<&[&str]> = counts.split(|word| *word == "/").collect();
                    let sum = |half: &[&str]| {
                        half.iter().filter_map(|n| n.parse::<u64>().ok()).sum::<u64>()
                    };
                    if let [before, after] = halves.as_slice() {
                        let work = ((*name).to_owned(), (*fs).to_owned());
                        figures.runs.insert(work, sum(after).saturating_sub(sum(before)));
                    }
                }
                [what, name, fs, _] => {
                    let work = ((*name).to_owned(), (*fs).to_owned());
                    if !figures.order.contains(&work) {
                        figures.order.push(work.clone());
                    }
                    if let Some(value) = number(3) {
                        figures.per_call.entry(work).or_default().insert((*what).to_owned(), value);
                    }
                }
                _ => {}
            }
        }
        figures
    }

    fn of(&self, work: &Work, what: &str) -> Option<f64> {
        self.per_call.get(work)?.get(what).copied()
    }

    /// How often programs ran in the operations of a workload.
    fn ran(&self, work: &Work) -> Option<u64> {
        let idle = self.runs.get(&(IDLE.to_owned(), "ext4".to_owned()))?;
        Some(self.runs.get(work)?.saturating_sub(*idle))
    }

    fn added(&self, work: &Work, what: &str) -> Option<f64> {
        // The lower of the rounds before and after: the guest's state drifts by some
        // instructions, and what is told must not be too little.
        let none = self.of(work, "none")?.min(self.of(work, "again")?);
        Some(self.of(work, what)? - none)
    }

    fn print(&self, kernel: &Kernel) {
        println!("\n### Linux {}\n", kernel.release);
        println!(
            "| workload | instructions | whybus adds | an empty kretprobe adds | programs run per operation |"
        );
        println!("|---|--:|--:|--:|--:|");
        for work in &self.order {
            let show =
                |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.0}"));
            let operations = match work.0.as_str() {
                "fork-exit" | "shrink-mapped" | "shrink-unmapped" => 9.0 * 64.0,
                "mix" => 9.0 * 8.0,
                _ => CALLS,
            };
            let runs = self
                .ran(work)
                .map_or("–".to_owned(), |runs| format!("{:.2}", runs as f64 / operations));
            println!(
                "| {} on {} | {} | {} | {} | {runs} |",
                work.0,
                work.1,
                show(self.of(work, "none")),
                show(self.added(work, "whybus")),
                show(self.added(work, "kretprobe")),
            );
        }
        let verified: Vec<String> = self.verified.iter().map(u64::to_string).collect();
        if !verified.is_empty() {
            println!("\nInstructions the verifier walked, by program: {}.", verified.join(", "));
        }
        if let Some(armed) = self.armed {
            println!("\nStart to armed: {armed:.2} s of one instruction a nanosecond.");
        }
        let mix = ("mix".to_owned(), "ext4".to_owned());
        if let Some((none, added)) = self.of(&mix, "none").zip(self.added(&mix, "whybus")) {
            println!("\nThe mix of kernel work takes {:.2} % more.", added / none * 100.0);
        }
        if let Some(Storm { faults, share, lines, counted }) = &self.storm {
            println!(
                "\nA task that looped on its fault for {STORM} s: {faults} faults, {counted} counted, \
                 {lines} lines told, {:.1} % of one CPU.",
                share * 100.0
            );
        }
        if let Some(rss) = self.rss {
            println!("Resident: {:.1} MiB.", rss as f64 / 1024.0);
        }
    }

    /// The budgets that do not hold.
    fn check(&self, kernel: &Kernel) -> Vec<String> {
        let mut broken = Vec::new();
        let mut over = |what: String| broken.push(format!("{what} on {}", kernel.release));
        let work = |name: &str| (name.to_owned(), "ext4".to_owned());
        let faults = work("private-write");
        let budget = BUDGET.iter().find(|(series, _)| *series == kernel.series);
        let limit = budget.map_or(f64::MAX, |(_, budget)| budget * SLACK);
        match (self.added(&faults, "whybus"), self.added(&faults, "kretprobe")) {
            (Some(added), Some(kretprobe)) => {
                if added > limit + NOISE {
                    over(format!("filemap_fault: {added:.0} instead of at most {limit:.0}"));
                }
                if added > kretprobe / 3.0 + NOISE {
                    over(format!(
                        "filemap_fault: {added:.0} is more than a third of {kretprobe:.0}"
                    ));
                }
            }
            _ => over("filemap_fault was not measured".to_owned()),
        }
        // The figures mean nothing unless the program ran exactly as often as was thought.
        let ran = self.ran(&faults).unwrap_or(0) as f64 / CALLS;
        if !(0.99..1.01).contains(&ran) {
            over(format!("filemap_fault ran {ran:.2} times a fault"));
        }
        let mix = work("mix");
        match self.of(&mix, "none").zip(self.added(&mix, "whybus")) {
            Some((none, added)) if added > none * MIX => {
                over(format!("the mix of kernel work: {:.2} % more", added / none * 100.0));
            }
            Some(_) => {}
            None => over("the mix of kernel work was not measured".to_owned()),
        }
        match &self.storm {
            Some(storm) if storm.faults != storm.counted => {
                over(format!("a storm of {} faults counted as {}", storm.faults, storm.counted));
            }
            Some(storm) if storm.share > SHARE => {
                over(format!("a storm: {:.1} % of one CPU", storm.share * 100.0));
            }
            Some(storm) if storm.lines > 10 + 2 * STORM as u64 => {
                over(format!("a storm: {} lines", storm.lines));
            }
            Some(_) => {}
            None => over("the storm was not measured".to_owned()),
        }
        for name in ["anonymous", "fault-around"] {
            let ran = self.ran(&work(name)).unwrap_or(u64::MAX);
            if ran > BESIDE {
                over(format!("{name}: programs ran {ran} times"));
            }
            match self.added(&work(name), "whybus") {
                Some(added) if added > NOISE => over(format!("{name}: {added:.1} instead of 0")),
                Some(_) => {}
                None => over(format!("{name} was not measured")),
            }
        }
        broken
    }
}
