//! Boots a kernel under QEMU's emulator and brings back what the guest wrote.
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    io::Read as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    call,
    guest::Tree,
    kernels::{self, Kernel},
    root, say,
};

/// What a guest left behind, by file name below /results.
pub type Results = BTreeMap<String, Vec<u8>>;

/// One boot.
pub struct Boot<'a> {
    pub kernel: &'a Kernel,
    pub initramfs: PathBuf,
    /// Name of a script in xtask/guest/jobs.
    pub job: &'a str,
    /// More words for the kernel's command line.
    pub append: &'a str,
    /// More options for QEMU.
    pub options: &'a [&'a str],
    pub cpus: u32,
    /// A disk that is only read, as the guest's /dev/vde.
    pub disk: Option<PathBuf>,
    pub patience: Duration,
    /// Tells boots of one kernel apart.
    pub label: &'a str,
}

impl Boot<'_> {
    /// Runs the guest to its end; gives its results and its console.
    ///
    /// # Errors
    /// Where it does not come up, panics, or does not finish in time.
    pub fn run(&self) -> Result<(Results, String)> {
        // An emulated boot dies now and then before our init runs (an emulator fault); only
        // then is booting again the right answer.
        for attempt in 1..=3 {
            let (results, console) = self.once()?;
            if console.contains("WHYBUS-DONE") {
                return Ok((results, console));
            }
            let tail: Vec<&str> = console.lines().rev().take(25).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            if console.contains("WHYBUS-INIT") || attempt == 3 {
                bail!(
                    "the {} guest did not finish; its console ends:\n{}",
                    self.kernel.series,
                    tail.join("\n")
                );
            }
            say(format_args!("the {} guest died while booting; once more", self.kernel.series));
        }
        unreachable!("the loop returns or fails")
    }

    fn once(&self) -> Result<(Results, String)> {
        let dir = root().join("target/guest");
        let label = format!("{}-{}", self.kernel.series, self.label);
        let disk = dir.join(format!("ext4-{label}"));
        let results = dir.join(format!("results-{label}"));
        let console = dir.join(format!("console-{label}"));
        let _ = fs::remove_file(&disk);
        fs::File::create(&disk)?.set_len(256 << 20)?;
        call(Command::new("mke2fs").args(["-q", "-t", "ext4", "-F"]).arg(&disk))?;
        // For scenarios that fill or break a file system of their own.
        let spare = dir.join(format!("spare-{label}"));
        fs::File::create(&spare)?.set_len(8 << 20)?;
        // The same, for file systems that are never small. Sparse.
        let large = dir.join(format!("large-{label}"));
        let _ = fs::remove_file(&large);
        fs::File::create(&large)?.set_len(512 << 20)?;
        let _ = fs::remove_file(&results);
        fs::File::create(&results)?.set_len(64 << 20)?;
        let append = format!(
            // 32 MiB of the memory play a module of persistent memory.
            "console=ttyS0 quiet panic=-1 printk.devkmsg=off memmap=32M!1024M whybus.job={} {}",
            self.job, self.append
        );
        let drive =
            |path: &PathBuf| format!("file={},if=virtio,format=raw,cache=unsafe", path.display());
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args([
            // All virtual CPUs on one thread: on threads of their own, one may run into a breakpoint of
            // text patching that another has taken away already (arch/x86/kernel/alternative.c
            // text_poke_bp), and the guest oopses. Two guests run at a time anyway.
            "-accel",
            "tcg,thread=single",
            "-cpu",
            "max,-cx16",
            "-m",
            "1536",
            "-no-reboot",
            "-display",
            "none",
        ])
        .args(["-smp", &self.cpus.to_string(), "-serial", "stdio", "-nic", "none"])
        .arg("-kernel")
        .arg(&self.kernel.image)
        .arg("-initrd")
        .arg(&self.initramfs)
        .args(["-drive", &drive(&disk), "-drive", &drive(&results)])
        .args(["-drive", &drive(&spare), "-drive", &drive(&large)])
        .args(
            self.disk
                .iter()
                .flat_map(|path| ["-drive".to_owned(), format!("{},readonly=on", drive(path))]),
        )
        .args(["-append", &append])
        .args(self.options)
        .stdin(Stdio::null())
        .stdout(fs::File::create(&console)?)
        .stderr(Stdio::inherit());
        let mut child = qemu.spawn().context("starting qemu-system-x86_64")?;
        let started = Instant::now();
        let late = loop {
            if child.try_wait()?.is_some() {
                break false;
            }
            if started.elapsed() > self.patience {
                child.kill()?;
                child.wait()?;
                break true;
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        let text = String::from_utf8_lossy(&fs::read(&console)?).into_owned();
        ensure!(
            !late || !text.contains("WHYBUS-INIT"),
            "the {} guest took longer than {} s; see {}",
            self.kernel.series,
            self.patience.as_secs(),
            console.display()
        );
        Ok((unpack(&fs::read(&results)?), text))
    }
}

/// Reads the archive at the start of the second disk; what is damaged is left out.
fn unpack(disk: &[u8]) -> Results {
    let mut results = Results::new();
    let mut archive = tar::Archive::new(disk);
    let Ok(entries) = archive.entries() else { return results };
    for mut entry in entries.flatten() {
        let Ok(path) = entry.path().map(|path| path.into_owned()) else { continue };
        let mut content = Vec::new();
        if entry.read_to_end(&mut content).is_ok()
            && let Ok(name) = path.strip_prefix("results")
        {
            results.insert(name.display().to_string(), content);
        }
    }
    results
}

/// `cargo xtask vm`.
///
/// # Errors
/// Where a guest cannot be made or does not finish.
pub fn run(wanted: &[String], append: &str, command: &[OsString]) -> Result<()> {
    let tree = Tree::build()?;
    let mut wanted = wanted.to_vec();
    if wanted.is_empty() {
        wanted.push("newest".to_owned());
    }
    let words: Vec<String> =
        command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    tree.add("command", format!("{}\n", words.join(" ")).as_bytes())?;
    for kernel in kernels::fetch(&wanted)? {
        let initramfs = tree.pack(&kernel)?;
        if command.is_empty() {
            return interactive(&kernel, &initramfs, append);
        }
        let boot = Boot {
            kernel: &kernel,
            initramfs,
            job: "command",
            append,
            options: &[],
            cpus: 2,
            disk: None,
            patience: Duration::from_secs(600),
            label: "vm",
        };
        let (_, console) = boot.run()?;
        let shown = console.split("WHYBUS-INIT").nth(1).unwrap_or(&console);
        println!("Linux{}", shown.split("WHYBUS-DONE").next().unwrap_or(shown));
    }
    Ok(())
}

fn interactive(kernel: &Kernel, initramfs: &PathBuf, append: &str) -> Result<()> {
    say(format_args!("Linux {}; `exit` or Ctrl-A X ends it", kernel.release));
    let append = format!("console=ttyS0 quiet panic=-1 whybus.job=shell {append}");
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-accel", "tcg", "-cpu", "max,-cx16", "-m", "1536", "-smp", "2", "-no-reboot"])
        .args(["-nographic", "-nic", "none", "-append", &append])
        .arg("-kernel")
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(initramfs);
    call(&mut qemu)
}
