//! What guests left behind, judged: one test a scenario and kernel, one a check and kernel.
//!
//! `cargo xtask test` boots them, and leaves `target/guest/results/<kernel>/<job>/`, a file for each
//! thing that a job wrote. Whatever stands there is judged, whenever it was made; where nothing stands,
//! one test says so and is counted as ignored.
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

mod attacks;
mod cases;
mod cgroups;
mod classes;
mod confined;
mod deployed;
mod dialogue;
mod flood;
mod frames;
mod history;
mod lockdown;
mod matrix;
mod normal;
mod otherwise;
mod record;
mod recovery;
mod scenario;
mod secrets;
mod soak;
mod support;
mod systemd;
mod two_hosts;

/// What one boot left behind.
pub struct Job {
    /// Name of the kernel in the matrix: `5.10` … `newest`.
    kernel: String,
    dir: PathBuf,
}

impl Job {
    /// What the guest wrote to /results/`name`.
    ///
    /// # Errors
    /// Where it did not: a check of nothing would pass.
    pub fn text(&self, name: &str) -> Result<String> {
        let bytes = fs::read(self.dir.join(name));
        let bytes = bytes.with_context(|| format!("the guest left no `{name}`"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The same without white space around it: a number, a status.
    ///
    /// # Errors
    /// Where the guest did not write it, or nothing into it.
    pub fn word(&self, name: &str) -> Result<String> {
        let word = self.text(name)?.trim().to_owned();
        if word.is_empty() {
            bail!("the guest left `{name}` empty");
        }
        Ok(word)
    }
}

/// A check that cannot be made, and why not: counted as ignored.
#[derive(Debug)]
pub struct Skipped(pub String);

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skipped {}

/// Holds what a job left against one thing that must be so.
pub type Check = fn(&Job) -> Result<()>;

/// A test of the name `kernel::name`.
pub fn trial(
    kernel: &str,
    name: &str,
    judge: impl FnOnce() -> Result<()> + Send + 'static,
) -> Trial {
    Trial::ignorable_test(format!("{kernel}::{name}"), move || match judge() {
        Ok(()) => Ok(Completion::Completed),
        Err(error) => match error.downcast_ref::<Skipped>() {
            Some(skipped) => Ok(Completion::ignored_with(skipped)),
            None => Err(Failed::from(format!("{error:#}"))),
        },
    })
}

/// A test for each of these checks.
fn checks(job: &Arc<Job>, name: &str, checks: &[(&str, Check)]) -> Vec<Trial> {
    let one = |(what, check): &(&str, Check)| {
        let (job, check) = (job.clone(), *check);
        trial(&job.kernel.clone(), &format!("{name}::{what}"), move || check(&job))
    };
    checks.iter().map(one).collect()
}

/// The checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let results = env::var_os("WHYBUS_GUEST_RESULTS").map_or_else(
        || Path::new(env!("CARGO_TARGET_TMPDIR")).join("../guest/results"),
        PathBuf::from,
    );
    let mut trials = Vec::new();
    for kernel in entries(&results) {
        for job in entries(&results.join(&kernel)) {
            let dir = results.join(&kernel).join(&job);
            trials.extend(judged(Job { kernel: kernel.clone(), dir }, &job));
        }
    }
    if trials.is_empty() {
        let none = || {
            let told = "there are no results of guests: `cargo xtask test` makes them";
            Ok(Completion::ignored_with(told))
        };
        trials.push(Trial::ignorable_test("guests", none));
    }
    trials.push(trial("judging", "every_class_is_told", move || {
        classes::every_class_is_told(&results)
    }));
    trials.push(trial("judging", "bold_is_what_is_booted", support::bold_is_what_is_booted));
    trials.push(trial("judging", "no_check_passes_on_nothing", no_check_passes_on_nothing));
    trials.push(trial("judging", "a_wrong_limit_fails", history::a_wrong_limit_fails));
    trials.push(trial("judging", "frames_are_compared", frames::it_tells_what_differs));
    trials.push(trial("judging", "a_scenario_tells_what_differs", scenario::it_tells_what_differs));
    libtest_mimic::run(&args, trials).exit_code()
}

/// The names in a directory, in order; none where there is no such.
fn entries(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// What is to be said of one job.
fn judged(job: Job, name: &str) -> Vec<Trial> {
    let job = Arc::new(job);
    let mut trials = checks(&job, name, &[("finished", finished)]);
    if job.text("DONE").is_err() {
        return trials;
    }
    if ["matrix", "only", "lockdown"].contains(&name) {
        trials.extend(support::trials(&job, name == "lockdown"));
    }
    trials.extend(match name {
        "matrix" => matrix::trials(&job),
        "only" => scenario::trials(&job, "", "scenarios"),
        // With forms of programs refused.
        "kprobes" => scenario::trials(&job, "kprobes::", "scenarios"),
        "signal-alone" => scenario::trials(&job, "signal-alone::", "scenarios"),
        "ftrace-off" => scenario::trials(&job, "ftrace-off::", "scenarios"),
        "crashes" => scenario::trials(&job, "crashes::", "crashes"),
        "frames" => frames::trials(&job),
        "lockdown" => lockdown::trials(&job),
        "cgroups" => checks(&job, "cgroups", &cgroups::CHECKS),
        "flood" => checks(&job, "flood", &flood::CHECKS),
        "attacks" => checks(&job, "attacks", &attacks::CHECKS),
        "history" => history::trials(&job),
        "recovery" => checks(&job, "recovery", &recovery::CHECKS),
        "soak" => checks(&job, "soak", &soak::CHECKS),
        "two-hosts-updater" => checks(&job, name, &two_hosts::UPDATER),
        "two-hosts-reader" => checks(&job, name, &two_hosts::READER),
        "systemd" => systemd::trials(&job),
        // Benchmarks and the like.
        _ => return Vec::new(),
    });
    trials
}

/// xtask makes the directory before it boots, and says in it what went wrong.
fn finished(job: &Job) -> Result<()> {
    if let Ok(error) = job.text("FAILED") {
        bail!("{error}");
    }
    job.word("DONE").map(drop)
}

/// Where a guest left nothing, nothing passes, and nothing is ignored either.
fn no_check_passes_on_nothing() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let job = Arc::new(Job { kernel: "none".to_owned(), dir: dir.path().to_owned() });
    let mut checks = vec![("finished", finished as Check)];
    checks.extend(matrix::CHECKS);
    checks.extend(lockdown::CHECKS);
    checks.extend(cgroups::CHECKS);
    checks.extend(flood::CHECKS);
    checks.extend(attacks::CHECKS);
    checks.extend(history::CHECKS);
    checks.extend(recovery::CHECKS);
    checks.extend(soak::CHECKS);
    checks.extend(systemd::CHECKS);
    checks.extend(two_hosts::UPDATER);
    checks.extend(two_hosts::READER);
    for (name, check) in checks {
        match check(&job) {
            Ok(()) => bail!("{name} passes"),
            Err(error) => ensure!(!error.is::<Skipped>(), "{name} is ignored"),
        }
    }
    for case in &cases::CASES {
        ensure!(cases::died(case, &job).is_err(), "{} passes", case.name);
    }
    systemd::passes_on_nothing(&job)?;
    frames::passes_on_nothing(&job)?;
    ensure!(scenario::runs(&job, "", &root().join("xtask/guest/scenarios")).is_err());
    Ok(())
}
