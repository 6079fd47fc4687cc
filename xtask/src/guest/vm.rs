//! Boots a kernel under QEMU's emulator and brings back what the guest wrote.
use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    guest::{
        kernels::{self, Kernel},
        tree::Trees,
    },
    shell::{call, say, target},
};

/// Where boots leave their results, a directory each: `<kernel>/<label>`.
pub fn results() -> PathBuf {
    target().join("guest/results")
}

/// One boot.
#[derive(Clone)]
pub struct Boot<'a> {
    pub kernel: &'a Kernel,
    initramfs: PathBuf,
    job: &'a str,
    label: &'a str,
    append: String,
    options: &'a [&'a str],
    cpus: u32,
    disk: Option<PathBuf>,
    root: Option<PathBuf>,
    /// Sockets of this guest and of the one it is wired to.
    wire: Option<[PathBuf; 2]>,
    timeout: Duration,
}

/// What a boot left behind.
pub struct Left {
    /// The directory with what the job wrote to /results.
    pub results: PathBuf,
    pub console: String,
}

impl Left {
    /// What the job wrote to /results/`name`.
    ///
    /// # Errors
    /// Where it did not.
    pub fn text(&self, name: &str) -> Result<String> {
        let bytes = fs::read(self.results.join(name));
        let bytes = bytes.with_context(|| format!("the guest left no `{name}`"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl<'a> Boot<'a> {
    /// A boot of `kernel` for a script of xtask/guest/jobs, on two CPUs, for at most 25 minutes.
    pub fn new(kernel: &'a Kernel, initramfs: PathBuf, job: &'a str) -> Self {
        Self {
            kernel,
            initramfs,
            job,
            label: job,
            append: String::new(),
            options: &[],
            cpus: 2,
            disk: None,
            root: None,
            wire: None,
            timeout: Duration::from_secs(1_500),
        }
    }

    /// What it is called among the boots of its kernel, if not as its job.
    pub fn label(self, label: &'a str) -> Self {
        Self { label, ..self }
    }

    /// More words for the kernel's command line.
    pub fn append(mut self, words: &str) -> Self {
        self.append.push(' ');
        self.append.push_str(words);
        self
    }

    /// More options for QEMU.
    pub fn options(self, options: &'a [&'a str]) -> Self {
        Self { options, ..self }
    }

    pub fn cpus(self, cpus: u32) -> Self {
        Self { cpus, ..self }
    }

    /// A disk that is only read, as the guest's /dev/vde.
    pub fn disk(self, disk: PathBuf) -> Self {
        Self { disk: Some(disk), ..self }
    }

    /// One that is written to, as /dev/vdf; nothing of that is kept.
    pub fn root(self, disk: PathBuf) -> Self {
        Self { root: Some(disk), ..self }
    }

    /// A network card with a wire to another guest, which has the same two sockets the other way round.
    pub fn wire(self, own: PathBuf, other: PathBuf) -> Self {
        Self { wire: Some([own, other]), ..self }
    }

    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The same on a machine that is so many times busier than a boot's timeout expects.
    pub fn slower(self, times: u32) -> Self {
        Self { timeout: self.timeout * times, ..self }
    }

    /// What it is called among the boots of its kernel.
    pub fn name(&self) -> &str {
        self.label
    }

    /// As it is told: the release, and what for.
    pub fn title(&self) -> String {
        format!("Linux {}, {}", self.kernel.release, self.label)
    }

    /// Runs the guest to its end. In its directory of results there is then a file `DONE`, or `FAILED`
    /// and why.
    ///
    /// # Errors
    /// Where it does not come up, panics, or does not finish in time.
    pub fn run(&self) -> Result<Left> {
        let results = results().join(&self.kernel.series).join(self.label);
        let _ = fs::remove_dir_all(&results);
        fs::create_dir_all(&results)?;
        let ended = self.attempts(&results);
        let (name, text) = match &ended {
            Ok(_) => ("DONE", self.kernel.release.clone()),
            Err(error) => ("FAILED", format!("{error:#}")),
        };
        fs::write(results.join(name), text)?;
        Ok(Left { results, console: ended? })
    }

    /// Gives the console.
    fn attempts(&self, results: &Path) -> Result<String> {
        // An emulated boot dies now and then before our init runs (an emulator fault); only
        // then is booting again the right answer.
        for attempt in 1..=3 {
            let console = self.once(results)?;
            if console.contains("WHYBUS-DONE") {
                return Ok(console);
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

    fn once(&self, results: &Path) -> Result<String> {
        let dir = target().join("guest/disks").join(&self.kernel.series).join(self.label);
        fs::create_dir_all(&dir)?;
        // Sparse, and new each time.
        let file = |name: &str, mib: u64| -> Result<PathBuf> {
            let path = dir.join(name);
            let _ = fs::remove_file(&path);
            fs::File::create(&path)?.set_len(mib << 20)?;
            Ok(path)
        };
        let ext4 = file("ext4", 256)?;
        call(Command::new("mke2fs").args(["-q", "-t", "ext4", "-F"]).arg(&ext4))?;
        let archive = file("results", 512)?;
        // For scenarios that fill or break a file system of their own; and the same for file systems
        // that are never small.
        let (spare, large) = (file("spare", 8)?, file("large", 512)?);
        let console = dir.join("console");
        let started = Instant::now();
        let mut child = self.qemu(&[&ext4, &archive, &spare, &large], &console)?;
        let late = loop {
            if child.try_wait()?.is_some() {
                break false;
            }
            if started.elapsed() > self.timeout {
                child.kill()?;
                child.wait()?;
                break true;
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        let text = String::from_utf8_lossy(&fs::read(&console)?).into_owned();
        unpack(&archive, results)?;
        ensure!(
            !late || !text.contains("WHYBUS-INIT"),
            "the {} guest took longer than {} s; see {}",
            self.kernel.series,
            self.timeout.as_secs(),
            console.display()
        );
        Ok(text)
    }

    /// Starts the emulator with these disks, /dev/vda and so on.
    fn qemu(&self, disks: &[&PathBuf], console: &Path) -> Result<std::process::Child> {
        let append = format!(
            "{} quiet panic=-1 printk.devkmsg=off cryptomgr.notests whybus.job={}{}",
            self.kernel.machine.command_line(),
            self.job,
            self.append
        );
        let drive = |path: &Path, more: &str| {
            ["-drive".to_owned(), format!("file={},if=virtio,format=raw{more}", path.display())]
        };
        let mut qemu = self.kernel.machine.emulator();
        qemu.args([
            // All virtual CPUs on one thread: on threads of their own, one may run into a breakpoint of
            // text patching that another has taken away already (arch/x86/kernel/alternative.c
            // text_poke_bp), and the guest oopses. Several guests run at a time anyway.
            "-accel",
            "tcg,thread=single",
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
        .args(disks.iter().flat_map(|path| drive(path, ",cache=unsafe")))
        .args(self.disk.iter().flat_map(|path| drive(path, ",cache=unsafe,readonly=on")))
        .args(self.root.iter().flat_map(|path| drive(path, ",cache=unsafe,snapshot=on")))
        .args(self.wire.iter().flat_map(|[own, other]| {
            let _ = fs::remove_file(own);
            // The addresses of the two cards must differ.
            let mac = u8::from(own < other);
            let (own, other) = (own.display(), other.display());
            [
                "-netdev".to_owned(),
                format!(
                    "dgram,id=wire,local.type=unix,local.path={own},remote.type=unix,remote.path={other}"
                ),
                "-device".to_owned(),
                format!("virtio-net-pci,netdev=wire,mac=52:54:00:00:00:0{mac}"),
            ]
        }))
        .args(["-append", &append])
        .args(self.options)
        .stdin(Stdio::null())
        .stdout(fs::File::create(console)?)
        .stderr(Stdio::inherit());
        qemu.spawn().context("starting the emulator")
    }
}

/// Unpacks the archive at the start of the results disk; what is damaged is left out.
fn unpack(disk: &Path, results: &Path) -> Result<()> {
    let mut archive = tar::Archive::new(fs::File::open(disk)?);
    for mut entry in archive.entries()?.map_while(io::Result::ok) {
        let path = entry.path()?.into_owned();
        // A job writes files, and no directories.
        if let Ok(name) = path.strip_prefix("results")
            && entry.header().entry_type().is_file()
            && name.components().count() == 1
        {
            io::copy(&mut entry, &mut fs::File::create(results.join(name))?)?;
        }
    }
    Ok(())
}

/// `cargo xtask vm`.
///
/// # Errors
/// Where a guest cannot be made or does not finish.
pub fn run(wanted: &[String], append: &str, command: &[OsString]) -> Result<()> {
    let mut wanted = wanted.to_vec();
    if wanted.is_empty() {
        wanted.push("newest".to_owned());
    }
    let words: Vec<String> =
        command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let kernels = kernels::fetch(&wanted)?;
    let trees = Trees::of(kernels.iter(), None)?;
    for tree in trees.all() {
        tree.add("command", format!("{}\n", words.join(" ")).as_bytes())?;
    }
    for kernel in kernels {
        let tree = trees.tree(&kernel)?;
        let initramfs = tree.pack(&kernel)?;
        if command.is_empty() {
            return interactive(&kernel, &initramfs, append);
        }
        let boot = Boot::new(&kernel, initramfs, "command").label("vm").append(append);
        let console = boot.timeout(Duration::from_secs(600)).run()?.console;
        let shown = console.split("WHYBUS-INIT").nth(1).unwrap_or(&console);
        println!("Linux{}", shown.split("WHYBUS-DONE").next().unwrap_or(shown));
    }
    Ok(())
}

fn interactive(kernel: &Kernel, initramfs: &PathBuf, append: &str) -> Result<()> {
    say(format_args!("Linux {}; `exit` or Ctrl-A X ends it", kernel.release));
    let append =
        format!("{} quiet panic=-1 whybus.job=shell {append}", kernel.machine.command_line());
    let mut qemu = kernel.machine.emulator();
    qemu.args(["-accel", "tcg", "-m", "1536", "-smp", "2", "-no-reboot"])
        .args(["-nographic", "-nic", "none", "-append", &append])
        .arg("-kernel")
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(initramfs);
    call(&mut qemu)
}
