//! What a run of the tests is asked for, and what it boots for that: which kernels, and each of them for
//! which jobs.
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Result, bail};

use crate::{
    guest::{
        debian::{Release, System},
        kernels::{self, Kernel},
        packages,
        tree::Tree,
        victims,
        vm::Boot,
    },
    machine::Machine,
};

/// What `cargo xtask test` is asked for.
#[derive(clap::Args)]
pub struct Args {
    /// Only these kernels, with all their jobs (5.10, 6.1, arm64-6.1 …; a wrong name lists them)
    #[arg(long = "kernel", value_name = "KERNEL")]
    pub kernels: Vec<String>,
    /// Only the tests on this host
    #[arg(long)]
    pub host: bool,
    /// Only the scenarios of these names (shell patterns), in guests
    #[arg(long, value_name = "SCENARIO", conflicts_with_all = ["host", "record"])]
    pub only: Vec<String>,
    /// Each of them so many times within one boot, each run judged by itself
    #[arg(long, value_name = "TIMES", requires = "only", value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: Option<u32>,
    /// Only the recorder, killed at so many random moments
    #[arg(long, value_name = "KILLS", conflicts_with_all = ["host", "record", "only"])]
    pub recorder: Option<u32>,
    /// Only the recorder as a service of systemd, in a guest with this Debian (12, 13)
    #[arg(long, value_name = "DEBIAN", conflicts_with_all = ["host", "record", "only", "recorder", "kernels"])]
    pub systemd: Option<Release>,
    /// Only two hosts and an NFS server, in two guests
    #[arg(long, conflicts_with_all = ["host", "record", "only", "recorder", "systemd"])]
    pub two_hosts: bool,
    /// Only crashes of changed code, in guests
    #[arg(long, conflicts_with_all = ["host", "record", "only", "recorder", "systemd", "two_hosts"])]
    pub crashes: bool,
    /// Only these jobs of the kernels: matrix, lockdown, crashes, frames, cgroups, flood, attacks, history, soak, recovery
    #[arg(long = "job", value_name = "JOB", value_parser = job, conflicts_with_all = [
        "host", "only", "recorder", "systemd", "two_hosts", "crashes",
    ])]
    pub jobs: Vec<&'static str>,
    /// The job `soak` for so long [default: 2]
    #[arg(long, value_name = "MINUTES", requires = "jobs", value_parser = clap::value_parser!(u32).range(1..))]
    pub minutes: Option<u32>,
    /// The scenarios with these forms of programs refused (`trampolines`, `trampolines,kprobes`), or with
    /// kernel.ftrace_enabled=0 (`ftrace`)
    #[arg(long, value_name = "FORMS", value_parser = ["trampolines", "trampolines,kprobes", "ftrace"], conflicts_with_all = ["host", "recorder", "systemd", "two_hosts", "crashes", "jobs"])]
    pub refuse: Option<String>,
    /// With tracers that say what each probe decided, in `err` and `ends.err` of the results
    #[arg(short, long, requires = "only")]
    pub verbose: bool,
    /// Every kernel with every job and form of programs, also what the gate leaves out: some hours
    #[arg(long, conflicts_with_all = [
        "host", "only", "recorder", "systemd", "two_hosts", "crashes", "jobs", "refuse", "kernels",
    ])]
    pub everything: bool,
    /// Another static whybus of this machine in the guests, as one of an earlier commit: what holds today may fail with it
    #[arg(long, value_name = "PROGRAM", conflicts_with_all = ["host", "record", "everything"])]
    pub whybus: Option<PathBuf>,
    /// With two compilers running beside the guests
    #[arg(long, conflicts_with = "host")]
    pub load: bool,
    /// Write the normalised streams of the guests to tracer/tests/streams
    #[arg(long)]
    pub record: bool,
}

impl Args {
    /// The gate.
    pub fn names_nothing(&self) -> bool {
        self.names_kernels_alone() && self.kernels.is_empty()
    }

    /// Whether all jobs of some kernels are asked for, or of those of the gate.
    pub fn names_kernels_alone(&self) -> bool {
        self.only.is_empty()
            && self.recorder.is_none()
            && self.systemd.is_none()
            && self.refuse.is_none()
            && !self.two_hosts
            && !self.crashes
            && self.jobs.is_empty()
            && !self.host
            && !self.everything
    }
}

/// What a kernel is booted for when it is named (`--kernel 6.1`).
const JOBS: [&str; 10] = [
    "matrix", "lockdown", "crashes", "frames", "cgroups", "flood", "attacks", "history", "soak",
    "recovery",
];
/// The matrix of scenarios again, with forms of programs refused (docs/decisions/0019-forms.md).
const KPROBES: &str = "kprobes";
const SIGNAL_ALONE: &str = "signal-alone";
const FTRACE_OFF: &str = "ftrace-off";
/// Two guests with a wire between them.
const TWO_HOSTS: &str = "two-hosts";

/// What a run that names nothing boots, so that it stays below forty minutes. 6.1 has its scenarios by kprobes,
/// and its trampolines in the guest with systemd. 6.12 has the scenarios (`only`), the history and stacks: what else the
/// matrix looks at, and floods, are left to the oldest and the newest kernel; crashes and cgroups to the oldest, other attacks
/// and all hostile loads at once to the newest.
const GATE: [(&str, &[&str]); 5] = [
    ("5.10", &["matrix", "lockdown", "crashes", "cgroups", "flood"]),
    ("6.1", &[KPROBES, "lockdown", TWO_HOSTS]),
    ("6.12", &["only", "history", "frames", "recovery"]),
    ("newest", &["matrix", "flood", "attacks", "soak"]),
    ("arm64-6.1", &["only"]),
];
/// What `--everything` has beside all jobs of every kernel there is.
const BESIDE: [(&str, &[&str]); 2] = [
    ("5.10", &[KPROBES, SIGNAL_ALONE, FTRACE_OFF]),
    ("6.1", &[KPROBES, SIGNAL_ALONE, FTRACE_OFF, TWO_HOSTS]),
];

/// One of a kernel's jobs by its name, as the command line takes it.
fn job(name: &str) -> Result<&'static str, String> {
    let known = JOBS.into_iter().find(|job| *job == name);
    known.ok_or_else(|| format!("there are {}", JOBS.join(", ")))
}

/// A kernel's name, and the jobs that it is booted for.
pub type Wanted = (String, Vec<&'static str>);

/// What a run is to boot, but for systemd.
pub fn wanted(args: &Args) -> Vec<Wanted> {
    let of = |name: &str, jobs: &[&'static str]| (name.to_owned(), jobs.to_vec());
    if args.systemd.is_some() {
        return Vec::new();
    }
    if args.everything {
        let all = |name: &str| {
            let more = BESIDE.into_iter().find(|(kernel, _)| *kernel == name);
            of(name, &[&JOBS[..], more.map_or(&[], |(_, jobs)| jobs)].concat())
        };
        return kernels::names().map(all).collect();
    }
    let jobs: &[&str] = match () {
        () if args.two_hosts => &[TWO_HOSTS],
        () if args.recorder.is_some() => &["history"],
        () if args.crashes => &["crashes"],
        () if !args.jobs.is_empty() => &args.jobs,
        () if args.refuse.as_deref() == Some("trampolines") => &[KPROBES],
        () if args.refuse.as_deref() == Some("ftrace") => &[FTRACE_OFF],
        () if args.refuse.is_some() => &[SIGNAL_ALONE],
        () if !args.only.is_empty() => &["only"],
        () if args.kernels.is_empty() => {
            return GATE.iter().map(|(name, jobs)| of(name, jobs)).collect();
        }
        () => &JOBS,
    };
    match args.kernels.as_slice() {
        [] => kernels::ALWAYS.iter().map(|name| of(name, jobs)).collect(),
        named => named.iter().map(|name| of(name, jobs)).collect(),
    }
}

/// The Debians that are booted with systemd. The gate has the older one: its kernel lacks more.
pub fn releases(args: &Args) -> Vec<Release> {
    match args.systemd {
        Some(release) => vec![release],
        None if args.everything => vec![Release::Bookworm, Release::Trixie],
        None if args.names_nothing() => vec![Release::Bookworm],
        None => Vec::new(),
    }
}

/// About how long a boot takes, in seconds.
pub fn seconds(boot: &Boot<'_>) -> u32 {
    let seconds = match boot.name() {
        "matrix" | "history" => 600,
        "only" | KPROBES | SIGNAL_ALONE | FTRACE_OFF => 300,
        "systemd" => 350,
        "soak" | "recovery" | "attacks" => 200,
        _ => 100,
    };
    match boot.kernel.machine {
        Machine::X86_64 => seconds,
        Machine::Aarch64 => 2 * seconds,
    }
}

/// The guests of one job, which run at the same time.
///
/// # Errors
/// Where what it needs cannot be had.
pub fn boots<'a>(
    job: &'static str,
    args: &Args,
    kernel: &'a Kernel,
    tree: &Tree,
    wires: &Path,
) -> Result<Vec<Boot<'a>>> {
    let initramfs = tree.pack(kernel)?;
    let random = |job| Boot::new(kernel, initramfs.clone(), job);
    // The emulator translates code for the address it runs at: where every program has new addresses, each
    // start of one costs seven times as much. And each indirect call of a kernel with retpolines is a return to
    // where the emulator did not expect it. Jobs that look at code, and the guest with systemd, keep both.
    let boot = |job| random(job).append("norandmaps mitigations=off");
    let matrix = || anyhow::Ok(boot("matrix").disk(packages::java(kernel.machine)?));
    let one = match job {
        TWO_HOSTS => return Ok(two_hosts(&boot(TWO_HOSTS), wires)),
        "matrix" => matrix()?,
        "lockdown" => random("lockdown").append("lockdown=confidentiality"),
        "crashes" => random("crashes"),
        "frames" if kernel.machine == Machine::Aarch64 => return Ok(Vec::new()),
        "frames" => random("frames").disk(victims::disk()?),
        "cgroups" | "recovery" | "attacks" => boot(job),
        "flood" if args.verbose => boot(job).append("whybus.verbose=yes"),
        // Which capability it lacks another one need not say.
        "flood" if args.whybus.is_some() => boot(job).append("whybus.other=yes"),
        "flood" => boot(job),
        "soak" => {
            let seconds = 60 * u64::from(args.minutes.unwrap_or(2));
            let timeout = Duration::from_secs(900 + 2 * seconds);
            boot(job).append(&format!("whybus.soak={seconds}")).timeout(timeout)
        }
        // On one CPU programs preempt one another most.
        "history" => match args.recorder {
            None => boot("history").cpus(1),
            Some(kills) => {
                let timeout = Duration::from_secs(600 + 15 * u64::from(kills));
                boot("history").cpus(1).append(&format!("whybus.kills={kills}")).timeout(timeout)
            }
        },
        "only" => scenarios(matrix()?.label(job), args),
        KPROBES | SIGNAL_ALONE | FTRACE_OFF => {
            let forms = match (&args.refuse, job) {
                (Some(forms), _) => forms,
                (None, KPROBES) => "trampolines",
                (None, FTRACE_OFF) => "ftrace",
                (None, _) => "trampolines,kprobes",
            };
            let refused = matrix()?.label(job).append(&format!("whybus.refuse={forms}"));
            scenarios(refused, args)
        }
        _ => bail!("no job `{job}`"),
    };
    Ok(vec![one])
}

/// The scenarios that are chosen, all of them if none is, and nothing else of the matrix.
fn scenarios<'a>(boot: Boot<'a>, args: &Args) -> Boot<'a> {
    let chosen = if args.only.is_empty() { "*".to_owned() } else { args.only.join("|") };
    let mut boot = boot.append(&format!("whybus.only={chosen}"));
    if args.verbose {
        boot = boot.append("whybus.verbose=yes");
    }
    match args.repeat {
        None => boot,
        Some(times) => boot
            .append(&format!("whybus.repeat={times}"))
            .timeout(Duration::from_secs(900 + 60 * u64::from(times))),
    }
}

/// The recorder as a service: xtask/guest/systemd.
pub fn systemd(system: &System) -> Boot<'_> {
    Boot::new(&system.kernel, system.initramfs.clone(), "systemd")
        .disk(system.overlay.clone())
        .root(system.disk.clone())
        .append("systemd.show_status=0 no_timer_check")
        .timeout(Duration::from_secs(600))
}

/// Two hosts, one of them an NFS server: xtask/guest/jobs/two-hosts.sh.
fn two_hosts<'a>(boot: &Boot<'a>, wires: &Path) -> Vec<Boot<'a>> {
    let socket = |name: &str| wires.join(format!("{name}-{}", boot.kernel.series));
    let host = |label: &'a str, own: &str, other: &str| {
        boot.clone()
            .label(label)
            .append(&format!("whybus.host={own}"))
            .wire(socket(own), socket(other))
    };
    vec![
        host("two-hosts-updater", "updater", "reader"),
        host("two-hosts-reader", "reader", "updater"),
    ]
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{Args, GATE, releases, wanted};
    use crate::guest::kernels;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn args(line: &[&str]) -> Args {
        Line::parse_from([&["test"], line].concat()).args
    }

    /// The name of each kernel, and how many jobs it has.
    fn told(line: &[&str]) -> Vec<(String, usize)> {
        wanted(&args(line)).into_iter().map(|(kernel, jobs)| (kernel, jobs.len())).collect()
    }

    #[test]
    fn the_gate_holds_arm64_a_refused_form_and_systemd() {
        let gate = wanted(&args(&[]));
        assert_eq!(gate.len(), GATE.len());
        let has = |kernel: &str, job: &str| {
            gate.iter().any(|(name, jobs)| name == kernel && jobs.contains(&job))
        };
        assert!(has("6.1", "kprobes") && has("arm64-6.1", "only"));
        assert!(has("5.10", "matrix") && has("newest", "matrix") && has("6.12", "history"));
        assert!(has("5.10", "crashes") && has("5.10", "cgroups") && has("6.1", "lockdown"));
        assert!(has("6.12", "frames") && has("6.12", "recovery"));
        assert!(has("newest", "attacks") && has("newest", "soak"));
        assert_eq!(releases(&args(&[])).len(), 1);
    }

    #[test]
    fn everything_has_every_kernel() {
        let everything = told(&["--everything"]);
        assert_eq!(everything.len(), kernels::names().count());
        assert!(everything.contains(&("5.10".to_owned(), 13)));
        assert!(everything.contains(&("arm64-newest".to_owned(), 10)));
        assert_eq!(releases(&args(&["--everything"])).len(), 2);
    }

    #[test]
    fn what_is_named_is_booted_and_nothing_else() {
        assert_eq!(told(&["--kernel", "6.12"]), [("6.12".to_owned(), 10)]);
        let some = wanted(&args(&["--job", "lockdown", "--job", "cgroups", "--kernel", "6.12"]));
        assert_eq!(some, [("6.12".to_owned(), vec!["lockdown", "cgroups"])]);
        assert_eq!(told(&["--only", "cp-sh", "--kernel", "6.1-rt"]), [("6.1-rt".to_owned(), 1)]);
        assert_eq!(told(&["--only", "cp-sh"]).len(), kernels::ALWAYS.len());
        assert_eq!(told(&["--systemd", "12"]), []);
        assert!(releases(&args(&["--kernel", "6.1"])).is_empty());
        let refused = wanted(&args(&["--refuse", "trampolines,kprobes", "--kernel", "6.1"]));
        assert_eq!(refused, [("6.1".to_owned(), vec!["signal-alone"])]);
        let off = wanted(&args(&["--refuse", "ftrace", "--kernel", "6.1"]));
        assert_eq!(off, [("6.1".to_owned(), vec!["ftrace-off"])]);
        // It would be judged as the signal alone.
        assert!(Line::try_parse_from(["test", "--refuse", "kprobes"]).is_err());
    }
}
