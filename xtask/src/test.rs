//! `cargo xtask test`: builds, boots guests, and has `cargo test` judge what they leave behind
//! (tracer/tests/guest).
use std::{
    cmp::Reverse,
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
    boots::{self, Args},
    build::{self, ebpf},
    guest::{
        debian, kernels,
        tree::Trees,
        victims,
        vm::{self, Boot},
    },
    load::Load,
    machine::Machine,
    setup,
    shell::{root, say},
};

/// # Errors
/// Where a test failed, or could not be run though it should.
pub fn run(args: &Args) -> Result<()> {
    let started = Instant::now();
    // What is judged in the end is of this run.
    let _ = fs::remove_dir_all(vm::results());
    let mut tally = Tally::default();
    if args.host || args.everything || args.names_kernels_alone() {
        std::thread::scope(|scope| {
            let probes = scope.spawn(probes);
            if !args.host {
                scope.spawn(|| prepare(args));
            }
            host(&mut tally)?;
            match probes.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tally.fail(&format!("building the probes: {error:#}")),
                Err(_) => tally.fail("building the probes: the thread panicked"),
            }
            anyhow::Ok(())
        })?;
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

/// Fetches and builds what guests are made of while this host is tested. What goes wrong is said when it
/// is needed.
fn prepare(args: &Args) {
    if setup::packages(setup::GUESTS, "making and booting guests").is_err() {
        return;
    }
    let names: Vec<String> = boots::wanted(args).into_iter().map(|(name, _)| name).collect();
    let kernels = if names.is_empty() { None } else { kernels::fetch(&names).ok() };
    let has = |machine| kernels.iter().flatten().any(|kernel| kernel.machine == machine);
    let machines = [Machine::X86_64, Machine::Aarch64].into_iter().filter(|machine| has(*machine));
    std::thread::scope(|scope| {
        for machine in machines {
            if args.whybus.is_none() && machine.set_up().and_then(|()| machine.foreign()).is_ok() {
                // One thread of the compiler each, most of the time.
                scope.spawn(move || build::whybus(machine));
            }
        }
        for release in boots::releases(args) {
            let _ = debian::prepare(release);
        }
    });
}

/// Where the judge looks; an empty directory while the host is tested, so that the results of another
/// run are not judged again.
const RESULTS: &str = "WHYBUS_GUEST_RESULTS";

/// Holds the objects that are checked in against their sources while this host is tested.
fn probes() -> Result<()> {
    say("building the probes from source");
    ebpf::run(true)
}

fn host(tally: &mut Tally) -> Result<()> {
    say("tests on this host");
    if let Err(error) = setup::packages(&["jq"], "running what the documents have for it") {
        tally.skip(&format!("commands with jq: {error:#}"));
    }
    tally.add(cargo_test(&["--no-fail-fast"]).env(RESULTS, "/nonexistent"))?;
    // Outside of what is built by default.
    tally.add(cargo_test(&["--package", "fuzz"]).env(RESULTS, "/nonexistent"))?;
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

/// Boots what is asked for, some jobs at a time. What goes wrong stands among the results, too.
fn guests(args: &Args, tally: &mut Tally) -> Result<()> {
    let mut releases = boots::releases(args);
    if args.systemd.is_none() && !releases.is_empty() && !setup::privileged() {
        tally.skip(debian::ONLY_ROOT);
        releases.clear();
    }
    let wanted = boots::wanted(args);
    let names: Vec<String> = wanted.iter().map(|(name, _)| name.clone()).collect();
    let kernels = if names.is_empty() { Vec::new() } else { kernels::fetch(&names)? };
    let own = releases.iter().map(|release| debian::kernel(*release));
    let own = own.collect::<Result<Vec<_>>>()?;
    let trees = Trees::of(kernels.iter().chain(&own), args.whybus.as_deref())?;
    let systems = releases.into_iter().zip(own).map(|(release, kernel)| {
        let tree = trees.tree(&kernel)?;
        debian::fetch(release, kernel, tree)
    });
    let systems = systems.collect::<Result<Vec<_>>>()?;
    // Packed before anything boots: packing changes the tree. Each of them is of guests that run at
    // the same time.
    let mut queue: Vec<Vec<Boot<'_>>> =
        systems.iter().map(|system| vec![boots::systemd(system)]).collect();
    // A socket's path must be short.
    let wires = std::env::temp_dir().join(format!("whybus-wires-{}", std::process::id()));
    fs::create_dir_all(&wires)?;
    for (name, jobs) in &wanted {
        let kernel = kernels.iter().find(|kernel| kernel.series == *name).context("no kernel")?;
        let tree = trees.tree(kernel)?;
        for job in jobs {
            queue.push(boots::boots(job, args, kernel, tree, &wires)?);
        }
    }
    // What takes longest boots first, so that none of it is left alone in the end.
    queue.sort_by_key(|boots| Reverse(boots.first().map(boots::seconds)));
    let load = args.load.then(Load::start).transpose()?;
    if load.is_some() {
        queue = queue
            .into_iter()
            .map(|boots| boots.into_iter().map(|boot| boot.slower(3)).collect())
            .collect();
    }
    let (count, how) = (queue.len(), if args.load { ", under load" } else { "" });
    say(format_args!("{count} boot{}{how}", if count == 1 { "" } else { "s" }));
    let queue = Mutex::new(queue.into_iter());
    std::thread::scope(|scope| {
        for _ in 0..at_a_time() {
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

/// Jobs that run at the same time. A guest has one thread, and is idle for two fifths of its time: it waits for what its
/// scenarios wait for.
fn at_a_time() -> usize {
    /// Each takes 1.5 GiB.
    const MOST: usize = 4;
    std::thread::available_parallelism().map_or(2, |cpus| (cpus.get() + 1).min(MOST))
}

fn one(boot: &Boot<'_>, args: &Args) {
    let started = Instant::now();
    match boot.run() {
        Ok(left) => {
            say(format_args!("{}: {} s", boot.title(), started.elapsed().as_secs()));
            if args.crashes || !args.only.is_empty() && args.repeat.is_none() {
                println!("{}", left.text("replay.human").unwrap_or_default());
            }
            if args.verbose {
                let heard = left.results.join("err");
                say(format_args!("what each probe decided: {}", heard.display()));
            }
            if boot.name() == "frames"
                && let Err(error) = victims::backtraces(&left.results)
            {
                say(format_args!("gdb was not asked: {error:#}"));
            }
            if args.recorder.is_some() {
                for name in ["why.txt", "kills"] {
                    println!("{}", left.text(name).unwrap_or_default());
                }
            }
            if args.record
                && boot.name() == "matrix"
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
