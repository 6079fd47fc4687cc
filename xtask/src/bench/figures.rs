//! What a guest measured. Pure.
use std::collections::BTreeMap;

use serde_json::Value;

/// Seconds that a task loops on its fault.
pub const STORM: f64 = 10.0;
/// The workload that does nothing: what it takes to start one and to write its file.
const IDLE: &str = "idle";

/// Without anything, at first and in the end.
pub const NONE: [&str; 2] = ["none", "again"];
/// The forms of whybus, by what sees faults of files.
pub const TRAMPOLINES: &str = "trampolines";
pub const KPROBES: &str = "kprobes";
pub const SIGNAL_ALONE: &str = "signal-alone";
pub const FORMS: [&str; 3] = [TRAMPOLINES, KPROBES, SIGNAL_ALONE];
/// What it is compared with.
pub const BPFTRACE: &str = "bpftrace";
pub const KRETPROBE: &str = "kretprobe";

/// A workload, on a file system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Work {
    pub name: String,
    pub fs: String,
}

impl Work {
    pub fn of(name: &str, fs: &str) -> Self {
        Self { name: name.to_owned(), fs: fs.to_owned() }
    }

    /// What the guest program does in one run: rounds × operations.
    pub fn operations(&self) -> f64 {
        9.0 * match self.name.as_str() {
            "fork-exit" | "shrink-mapped" | "shrink-unmapped" => 64.0,
            "mix" => 8.0,
            _ => 2048.0,
        }
    }
}

/// By what was attached.
type By<T> = BTreeMap<String, T>;

#[derive(Default)]
pub struct Figures {
    /// Instructions per operation.
    per_call: BTreeMap<Work, By<f64>>,
    /// How often all programs together ran in one run of the workload, [`IDLE`] among them.
    runs: By<BTreeMap<Work, u64>>,
    pub order: Vec<Work>,
    /// Seconds from the start until it watched.
    pub armed: By<f64>,
    /// Instructions the verifier walked, by program.
    pub verified: By<Vec<u64>>,
    /// KiB.
    pub rss: By<u64>,
    pub storm: Option<Storm>,
}

/// A task that looped on its fault for [`STORM`] seconds.
pub struct Storm {
    /// Faults, by the task's own count.
    pub faults: u64,
    /// Share of one CPU that whybus took meanwhile.
    pub share: f64,
    /// Lines told of it.
    pub lines: u64,
    /// Faults, by the incident.
    pub counted: u64,
}

impl Figures {
    /// By what the job wrote, and by what whybus told meanwhile.
    pub fn parse(text: &str, stream: &str) -> Self {
        let mut figures = Self::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            figures.take(&words, stream);
        }
        figures
    }

    fn take(&mut self, words: &[&str], stream: &str) {
        let float = |word: &str| word.parse::<f64>().ok();
        match *words {
            ["armed", what, before, after] => {
                let took = float(after).zip(float(before)).map(|(after, before)| after - before);
                self.armed.extend(took.map(|took| (what.to_owned(), took)));
            }
            ["verified", what, count] => {
                self.verified.entry(what.to_owned()).or_default().extend(count.parse::<u64>());
            }
            ["rss", what, kib] => {
                self.rss.extend(kib.parse().ok().map(|kib| (what.to_owned(), kib)));
            }
            ["storm", faults, before, after, lines] => {
                let number = |word: &str| word.parse::<u64>().unwrap_or(u64::MAX);
                let ticks = number(after).saturating_sub(number(before)) as f64;
                self.storm = Some(Storm {
                    faults: number(faults),
                    share: ticks / 100.0 / STORM,
                    lines: number(lines),
                    counted: counted(stream),
                });
            }
            ["runs", what, name, fs, ref counts @ ..] => {
                let halves: Vec<&[&str]> = counts.split(|word| *word == "/").collect();
                let sum = |half: &[&str]| half.iter().filter_map(|n| n.parse::<u64>().ok()).sum();
                if let [before, after] = halves.as_slice() {
                    let (before, after): (u64, u64) = (sum(before), sum(after));
                    let runs = self.runs.entry(what.to_owned()).or_default();
                    runs.insert(Work::of(name, fs), after.saturating_sub(before));
                }
            }
            [what, name, fs, value] => {
                let work = Work::of(name, fs);
                if !self.order.contains(&work) {
                    self.order.push(work.clone());
                }
                if let Some(value) = float(value) {
                    self.per_call.entry(work).or_default().insert(what.to_owned(), value);
                }
            }
            _ => {}
        }
    }

    /// Those of [`FORMS`] that the kernel has.
    pub fn forms(&self) -> impl Iterator<Item = &'static str> {
        FORMS.into_iter().filter(|form| self.armed.contains_key(*form))
    }

    /// Instructions per operation.
    pub fn of(&self, work: &Work, what: &str) -> Option<f64> {
        self.per_call.get(work)?.get(what).copied()
    }

    /// How often programs ran in the operations of a workload.
    pub fn ran(&self, work: &Work, what: &str) -> Option<u64> {
        let runs = self.runs.get(what)?;
        Some(runs.get(work)?.saturating_sub(*runs.get(&Work::of(IDLE, "ext4"))?))
    }

    /// Instructions without anything: the lower of the rounds before and after, since the guest's state drifts by
    /// some, and what is told to be added must not be too little.
    pub fn none(&self, work: &Work) -> Option<f64> {
        let [before, after] = NONE.map(|what| self.of(work, what));
        before.zip(after).map(|(before, after)| before.min(after))
    }

    pub fn added(&self, work: &Work, what: &str) -> Option<f64> {
        Some(self.of(work, what)? - self.none(work)?)
    }
}

/// How often the looper faulted, by the incident as it was told last.
fn counted(stream: &str) -> u64 {
    let lines = stream.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut looped = lines.filter(|line| line["victim"]["comm"] == "looper");
    looped.find_map(|incident| incident["fault"]["count"].as_u64()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_form_adds_is_read_from_what_the_job_wrote() {
        let text = "none private-write ext4 7700.00\n\
                    armed kprobes 30.10 33.20\n\
                    verified kprobes 12\nverified kprobes 30\n\
                    rss kprobes 7500\n\
                    kprobes private-write ext4 9000.50\n\
                    runs kprobes idle ext4 10 5 / 12 5 \n\
                    runs kprobes private-write ext4 12 5 / 50 24 \n\
                    storm 400 1 6 2\n\
                    again private-write ext4 7690.00\n";
        let stream = "{\"victim\":{\"comm\":\"looper\"},\"fault\":{\"count\":10}}\n\
                      {\"victim\":{\"comm\":\"looper\"},\"fault\":{\"count\":400}}\n\
                      {\"kind\":\"end\"}\n";
        let figures = Figures::parse(text, stream);
        let work = Work::of("private-write", "ext4");
        assert_eq!(figures.order, std::slice::from_ref(&work));
        assert_eq!(figures.forms().collect::<Vec<_>>(), [KPROBES]);
        assert_eq!(figures.added(&work, KPROBES), Some(1310.5));
        assert_eq!(figures.added(&work, TRAMPOLINES), None);
        assert_eq!(figures.ran(&work, KPROBES), Some(55));
        assert_eq!(figures.verified[KPROBES], [12, 30]);
        assert!((figures.armed[KPROBES] - 3.1).abs() < 1e-9);
        let storm = figures.storm.expect("a storm");
        assert_eq!((storm.faults, storm.counted, storm.lines), (400, 400, 2));
    }
}
