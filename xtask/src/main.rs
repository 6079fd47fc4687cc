//! Builds, boots and measures whybus: `cargo xtask demo` and `cargo xtask test` are all a
//! newcomer needs.
use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};

mod bench;
mod boots;
mod build;
mod demo;
mod fuzz;
mod guest;
mod load;
mod machine;
mod setup;
mod shell;
mod test;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, boots and measures whybus")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Show an answer: on this host if it can trace itself, otherwise in a throw-away guest
    Demo,
    /// Run all tests: on this host, and every scenario in a guest of every kernel
    Test(boots::Args),
    /// Build the probes into tracer/bpf
    Ebpf {
        /// Only check that the object in tracer/bpf belongs to the sources
        #[arg(long)]
        check: bool,
    },
    /// Store what each kernel's types say, and the plan that gives, in tracer/tests/kernels
    Kernels {
        /// Only these kernels (5.10, 6.1, 6.12, newest)
        kernels: Vec<String>,
    },
    /// Say what has moved, since that was stored, in the newest kernels that Debian has of each series
    Drift {
        /// Only these kernels (5.10, 6.1, 6.12, newest)
        kernels: Vec<String>,
    },
    /// Give what reads files, streams and words damaged ones, guided by what they reach (libFuzzer)
    Fuzz(fuzz::Args),
    /// Boot a guest: a shell, or a command
    Vm {
        /// Kernels to boot, one after another (5.10, 6.1, 6.12, newest)
        kernels: Vec<String>,
        /// More words for the kernel's command line
        #[arg(long, default_value = "")]
        append: String,
        /// What to run in the guest
        #[arg(last = true)]
        command: Vec<OsString>,
    },
    /// Count instructions in guests: what each probe adds to a call; or measure a history
    Bench {
        /// `history`: a million incidents, and queries on them
        what: Option<What>,
        /// Only these kernels (5.10, 6.1, 6.12, newest)
        #[arg(long = "kernel", value_name = "KERNEL")]
        kernels: Vec<String>,
        /// Only faults, in each form
        #[arg(long)]
        faults: bool,
    },
}

/// What else can be measured.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    History,
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Demo => demo::run(),
        Task::Test(args) => test::run(&args),
        Task::Ebpf { check } => build::ebpf::run(check),
        Task::Kernels { kernels } => guest::facts::run(&kernels),
        Task::Drift { kernels } => guest::facts::drift(&kernels),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Vm { kernels, append, command } => guest::vm::run(&kernels, &append, &command),
        Task::Bench { what: Some(What::History), .. } => bench::history::run(),
        Task::Bench { kernels, faults, .. } => bench::instructions::run(&kernels, faults),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
