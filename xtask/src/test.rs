//! `cargo xtask test`: builds, boots guests, and has `cargo test` judge what they leave behind
//! (tracer/tests/guest).
use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    bench::memory,
    build::ebpf,
    guest::{
        debian::{self, Release, System},
        kernels::{self, Kernel},
        packages,
        tree::{Tree, Trees},
        vm::{self, Boot},
    },
    load::Load,
    setup,
    shell::{root, say},
};

/// What `cargo xtask test` is asked for.
#[derive(clap::Args)]
pub struct Args {
    /// Only these kernels (5.10, 6.1, 6.12, newest)
    #[arg(long = "kernel", value_name = "KERNEL")]
    kernels: Vec<String>,
    /// Only the tests on this host
    #[arg(long)]
    host: bool,
    /// Only the scenarios of these names (shell patterns), in guests
    #[arg(long, value_name = "SCENARIO", conflicts_with_all = ["host", "record"])]
    only: Vec<String>,
    /// Each of them so many times within one boot, each run judged by itself
    #[arg(long, value_name = "TIMES", requires = "only", value_parser = clap::value_parser!(u32).range(1..))]
    repeat: Option<u32>,
    /// Only the recorder, killed at so many random moments
    #[arg(long, value_name = "KILLS", conflicts_with_all = ["host", "record", "only"])]
    recorder: Option<u32>,
    /// Only the recorder as a service of systemd, in a guest with this Debian (12, 13)
    #[arg(long, value_name = "DEBIAN", conflicts_with_all = ["host", "record", "only", "recorder", "kernels"])]
    systemd: Option<Release>,
    /// Only two hosts and an NFS server, in two guests
    #[arg(long, conflicts_with_all = ["host", "record", "only", "recorder", "systemd"])]
    two_hosts: bool,
    /// Only crashes of changed code, in guests
    #[arg(long, conflicts_with_all = ["host", "record", "only", "recorder", "systemd", "two_hosts"])]
    crashes: bool,
    /// The scenarios with these forms of programs refused (`trampolines`, `trampolines,kprobes`)
    #[arg(long, value_name = "FORMS", conflicts_with_all = ["host", "recorder", "systemd", "two_hosts", "crashes"])]
    refuse: Option<String>,
    /// With two compilers running beside the guests
    #[arg(long, conflicts_with = "host")]
    load: bool,
    /// Write the normalised streams of the guests to tracer/tests/streams
    #[arg(long)]
    record: bool,
}

/// # Errors
/// Where a test failed, or could not be run though it should.
pub fn run(args: &Args) -> Result<()> {
    let started = Instant::now();
    // What is judged in the end is of this run.
    let _ = fs::remove_dir_all(vm::results());
    let mut tally = Tally::default();
    if args.only.is_empty()
        && args.recorder.is_none()
        && args.systemd.is_none()
        && args.refuse.is_none()
        && !args.two_hosts
        && !args.crashes
    {
        host(&mut tally)?;
    }
    if !args.host {
        match setup::packages(setup::GUESTS, "making and booting guests") {
            Ok(()) => {
                guests(args, &mut tally)?;
                say("judging what the guests left behind");
                let mut judge = cargo_test(&["--package", "tracer", "--test", "guest"]);
                judge.env(RESULTS, vm::results());
                tally.add(&mut judge)?;
            }
            Err(error) => tally.skip(&format!("the guest matrix: {error:#}")),
        }
    }
    tally.end(started.elapsed())
}

/// Where the judge looks; an empty directory while the host is tested, so that the results of another
/// run are not judged again.
const RESULTS: &str = "WHYBUS_GUEST_RESULTS";

fn host(tally: &mut Tally) -> Result<()> {
    match setup::packages(setup::COMPILER, "compiling the probes") {
        Ok(()) => {
            say("building the probes from source");
            ebpf::compare(&ebpf::build()?)?;
        }
        Err(error) => tally.skip(&format!("building the probes: {error:#}")),
    }
    say("tests on this host");
    tally.add(cargo_test(&["--no-fail-fast"]).env(RESULTS, "/nonexistent"))?;
    match memory::check() {
        Ok(figures) => {
            tally.passed += 1;
            say(figures);
        }
        Err(error) => tally.fail(&format!("memory: {error:#}")),
    }
    Ok(())
}

fn cargo_test(args: &[&str]) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).args(["test", "--quiet", "--locked"]).args(args);
    cargo
}

/// Boots every kernel that is asked for, for each of its jobs, two at a time. What goes wrong stands
/// among the results, too.
fn guests(args: &Args, tally: &mut Tally) -> Result<()> {
    // The gate has the older one: its kernel lacks more.
    let whole = args.only.is_empty()
        && args.recorder.is_none()
        && args.kernels.is_empty()
        && args.refuse.is_none()
        && !args.two_hosts
        && !args.crashes;
    let mut release = args.systemd;
    if release.is_none() && whole {
        match setup::privileged() {
            true => release = Some(Release::Bookworm),
            false => tally.skip(debian::ONLY_ROOT),
        }
    }
    let kernels = match args.systemd {
        Some(_) => Vec::new(),
        None => kernels::fetch(&args.kernels)?,
    };
    let own = release.map(debian::kernel).transpose()?;
    let trees = Trees::of(kernels.iter().chain(&own))?;
    let system = release.zip(own).map(|(release, kernel)| {
        let tree = trees.tree(&kernel)?;
        debian::fetch(release, kernel, tree)
    });
    let system = system.transpose()?;
    // Packed before anything boots: packing changes the tree. What takes longest boots first.
    // Each of them is of guests that run at the same time.
    let mut boots: Vec<Vec<Boot<'_>>> = system.iter().map(|system| vec![systemd(system)]).collect();
    // A socket's path must be short.
    let wires = std::env::temp_dir().join(format!("whybus-wires-{}", std::process::id()));
    fs::create_dir_all(&wires)?;
    for kernel in &kernels {
        let tree = trees.tree(kernel)?;
        if args.two_hosts || (whole && kernel.series == TWO_HOSTS) {
            boots.push(two_hosts(kernel, tree, &wires)?);
        }
        if !args.two_hosts {
            boots.extend(jobs(args, kernel, tree)?.into_iter().map(|boot| vec![boot]));
        }
    }
    let load = args.load.then(Load::start).transpose()?;
    if load.is_some() {
        boots = boots
            .into_iter()
            .map(|boots| boots.into_iter().map(|boot| boot.slower(3)).collect())
            .collect();
    }
    let (count, how) = (boots.len(), if args.load { ", under load" } else { "" });
    say(format_args!("{count} boot{}{how}", if count == 1 { "" } else { "s" }));
    let queue = Mutex::new(boots.into_iter());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().ok().and_then(|mut queue| queue.next());
                    let Some(boots) = next else { break };
                    std::thread::scope(|scope| {
                        for boot in &boots {
                            scope.spawn(|| one(boot, args));
                        }
                    });
                }
            });
        }
    });
    drop(load);
    let _ = fs::remove_dir_all(wires);
    Ok(())
}

/// The recorder as a service: xtask/guest/systemd.
fn systemd(system: &System) -> Boot<'_> {
    Boot::new(&system.kernel, system.initramfs.clone(), "systemd")
        .disk(system.overlay.clone())
        .root(system.disk.clone())
        .append("systemd.show_status=0 no_timer_check")
        .timeout(Duration::from_secs(600))
}

/// The kernel that two hosts have in a run of everything.
const TWO_HOSTS: &str = "6.1";

/// Two hosts, one of them an NFS server: xtask/guest/jobs/two-hosts.sh.
fn two_hosts<'a>(kernel: &'a Kernel, tree: &Tree, wires: &Path) -> Result<Vec<Boot<'a>>> {
    let initramfs = tree.pack(kernel)?;
    let socket = |name: &str| wires.join(format!("{name}-{}", kernel.series));
    let boot = |label: &'a str, own: &str, other: &str| {
        Boot::new(kernel, initramfs.clone(), "two-hosts")
            .label(label)
            .append(&format!("whybus.host={own}"))
            .wire(socket(own), socket(other))
            .timeout(Duration::from_secs(300))
    };
    Ok(vec![
        boot("two-hosts-updater", "updater", "reader"),
        boot("two-hosts-reader", "reader", "updater"),
    ])
}

/// What a kernel is booted for.
fn jobs<'a>(args: &Args, kernel: &'a Kernel, tree: &Tree) -> Result<Vec<Boot<'a>>> {
    let initramfs = tree.pack(kernel)?;
    let boot = |job| Boot::new(kernel, initramfs.clone(), job);
    // On one CPU programs preempt one another most.
    let history = || boot("history").cpus(1);
    if let Some(kills) = args.recorder {
        let timeout = Duration::from_secs(600 + 15 * u64::from(kills));
        return Ok(vec![history().append(&format!("whybus.kills={kills}")).timeout(timeout)]);
    }
    if args.crashes {
        return Ok(vec![boot("crashes")]);
    }
    let mut matrix = boot("matrix").disk(packages::java(kernel.machine)?);
    if let Some(forms) = &args.refuse {
        // Each program is verified in vain first.
        matrix =
            matrix.append(&format!("whybus.refuse={forms}")).timeout(Duration::from_secs(1_200));
    }
    if !args.only.is_empty() {
        let mut only = matrix.label("only").append(&format!("whybus.only={}", args.only.join("|")));
        if let Some(times) = args.repeat {
            only = only.append(&format!("whybus.repeat={times}"));
            only = only.timeout(Duration::from_secs(900 + 60 * u64::from(times)));
        }
        return Ok(vec![only]);
    }
    if args.refuse.is_some() {
        return Ok(vec![matrix]);
    }
    let lockdown = boot("lockdown").append("lockdown=confidentiality");
    Ok(vec![matrix, lockdown, boot("crashes"), boot("cgroups"), history()])
}

fn one(boot: &Boot<'_>, args: &Args) {
    let started = Instant::now();
    match boot.run() {
        Ok(left) => {
            say(format_args!("{}: {} s", boot.title(), started.elapsed().as_secs()));
            if args.crashes || !args.only.is_empty() && args.repeat.is_none() {
                println!("{}", left.text("replay.human").unwrap_or_default());
            }
            if args.recorder.is_some() {
                for name in ["why.txt", "kills"] {
                    println!("{}", left.text(name).unwrap_or_default());
                }
            }
            if args.record
                && let Err(error) = keep(&boot.kernel.series, &left.results)
            {
                say(format_args!("not recorded: {error:#}"));
            }
        }
        Err(error) => say(format_args!("{}: {error:#}", boot.title())),
    }
}

/// Keeps the recorded streams as golden files of `cargo test`; that of deaths is the newest kernel's.
fn keep(series: &str, results: &Path) -> Result<()> {
    let files = [
        ("stream", format!("{series}.stream")),
        ("out.json", format!("{series}.json")),
        ("replay.human", format!("{series}.txt")),
        ("deaths.stream", "deaths.stream".to_owned()),
        ("deaths.json", "deaths.json".to_owned()),
        ("step.stream", "step.stream".to_owned()),
        ("step.txt", "step.txt".to_owned()),
        ("deaths.txt", "deaths.txt".to_owned()),
    ];
    for (from, to) in files {
        let from = results.join(from);
        if from.is_file() && (to.starts_with(series) || series == "newest") {
            fs::copy(&from, root().join("tracer/tests/streams").join(&to)).context(to)?;
        }
    }
    Ok(())
}

/// How many tests there were, by how they ended.
#[derive(Default)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Tally {
    fn skip(&mut self, what: &str) {
        println!("skipped: {what}");
        self.ignored += 1;
    }

    fn fail(&mut self, what: &str) {
        println!("FAILED {what}");
        self.failed += 1;
    }

    /// Runs `cargo test`, shows what it prints but for what passed, and counts.
    fn add(&mut self, cargo: &mut Command) -> Result<()> {
        let mut child = cargo.stdout(Stdio::piped()).spawn().context("starting cargo test")?;
        let before = self.failed;
        let out = child.stdout.take().context("no standard output")?;
        for line in BufReader::new(out).lines() {
            let line = line?;
            if let Some(counts) = counts(&line) {
                self.passed += counts[0];
                self.failed += counts[1];
                self.ignored += counts[2];
            }
            if !line.ends_with("... ok") {
                println!("{line}");
            }
        }
        // It did not compile, or ended before it could count.
        if !child.wait()?.success() && self.failed == before {
            self.fail("cargo test");
        }
        Ok(())
    }

    /// In the form of cargo's own last line.
    fn end(self, took: Duration) -> Result<()> {
        let Self { passed, failed, ignored } = self;
        let result = if failed == 0 { "ok" } else { "FAILED" };
        println!(
            "test result: {result}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; \
             0 filtered out; finished in {:.2}s",
            took.as_secs_f64()
        );
        ensure!(failed == 0, "{failed} failed");
        Ok(())
    }
}

/// Passed, failed and ignored, of the line a test target ends with.
fn counts(line: &str) -> Option<[u64; 3]> {
    let (_, rest) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut parts = rest.split("; ");
    let mut count = |what: &str| parts.next()?.strip_suffix(what)?.trim().parse().ok();
    Some([count("passed")?, count("failed")?, count("ignored")?])
}

#[cfg(test)]
mod tests {
    use super::counts;

    #[test]
    fn what_cargo_test_says_is_counted() {
        let line =
            "test result: FAILED. 12 passed; 3 failed; 4 ignored; 0 measured; 0 filtered out";
        assert_eq!(counts(line), Some([12, 3, 4]));
        assert_eq!(counts("test result: ok. 1 passed; 0 failed; 0 ignored; 0 m"), Some([1, 0, 0]));
        assert_eq!(counts("running 5 tests"), None);
    }
}
