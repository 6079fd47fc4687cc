//! What is built for and booted on, and what that is called by whom.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    guest::packages::Apt,
    setup,
    shell::{output, say},
};

/// A processor's architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    X86_64,
    Aarch64,
}

impl Machine {
    /// Debian's name of it, and Go's.
    pub fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// What is kept of it under a name.
    pub fn of(self, name: &str) -> String {
        match self {
            Self::X86_64 => name.to_owned(),
            Self::Aarch64 => format!("{name}-arm64"),
        }
    }

    /// GNU's name of it, which Debian's directories of libraries bear.
    pub fn triplet(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-linux-gnu",
            Self::Aarch64 => "aarch64-linux-gnu",
        }
    }

    /// Rust's.
    pub fn target(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-gnu",
            Self::Aarch64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// The C compiler that makes programs for it on an amd64 Debian.
    pub fn gcc(self) -> &'static str {
        match self {
            Self::X86_64 => "gcc",
            Self::Aarch64 => "aarch64-linux-gnu-gcc",
        }
    }

    /// The emulator, as a machine that Debian's cloud kernels know.
    pub fn emulator(self) -> Command {
        let (program, args): (_, &[&str]) = match self {
            Self::X86_64 => ("qemu-system-x86_64", &["-cpu", "max,-cx16"]),
            Self::Aarch64 => {
                ("qemu-system-aarch64", &["-M", "virt", "-cpu", "max,pauth-impdef=on"])
            }
        };
        let mut qemu = Command::new(program);
        qemu.args(args);
        qemu
    }

    /// The kernel's console, and what else its command line needs.
    pub fn command_line(self) -> &'static str {
        match self {
            // 32 MiB of the memory play a module of persistent memory.
            Self::X86_64 => "console=ttyS0 memmap=32M!1024M",
            Self::Aarch64 => "console=ttyAMA0",
        }
    }

    /// Installs what is needed to build for it.
    ///
    /// # Errors
    /// Where that cannot be had.
    pub fn set_up(self) -> Result<()> {
        setup::packages(setup::GUESTS, "making and booting guests")?;
        if self == Self::Aarch64 {
            setup::packages(setup::COMPILER, "compiling for arm64")?;
            setup::packages(setup::ARM64, "making and booting arm64 guests")?;
        }
        Ok(())
    }

    /// Where the headers, libraries and busybox of another architecture than this machine's stand.
    ///
    /// # Errors
    /// Where they cannot be had.
    pub fn foreign(self) -> Result<Option<PathBuf>> {
        if self == Self::X86_64 {
            return Ok(None);
        }
        let dir = setup::cache()?.join(self.of("foreign"));
        let (done, compiler) = (dir.join(".done"), compiler()?);
        if fs::read_to_string(&done).is_ok_and(|made| made == compiler) {
            return Ok(Some(dir));
        }
        say(format_args!("fetching Rust's standard library for {} from Debian", self.debian()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir)?;
        // The library and the compiler belong together.
        let version =
            output(Command::new("dpkg-query").args(["-W", "-f", "${Version}", "rustc-web"]))?;
        let names = [
            format!("libstd-rust-web-dev={version}"),
            "libfuse3-dev/bookworm".to_owned(),
            "busybox-static/bookworm".to_owned(),
        ];
        Apt::new(self)?.unpack(&names, &dir)?;
        fs::write(&done, compiler)?;
        Ok(Some(dir))
    }

    /// A busybox that needs no libraries.
    ///
    /// # Errors
    /// Where it cannot be had.
    pub fn busybox(self) -> Result<PathBuf> {
        let foreign = self.foreign()?;
        Ok(foreign.unwrap_or_else(|| PathBuf::from("/")).join("bin/busybox"))
    }

    /// A cargo that compiles for it, with static libraries.
    ///
    /// # Errors
    /// Where its standard library cannot be had.
    pub fn cargo(self) -> Result<Command> {
        let mut flags = "-C target-feature=+crt-static".to_owned();
        let mut cargo = Command::new("cargo");
        if let Some(foreign) = self.foreign()? {
            let sysroot = sysroot(&foreign, self.target())?;
            flags.push_str(&format!(" --sysroot={}", sysroot.display()));
            cargo = Command::new("/usr/bin/cargo");
            cargo.env("RUSTC", "/usr/bin/rustc");
            cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", self.gcc());
        }
        cargo.env("RUSTFLAGS", flags);
        Ok(cargo)
    }
}

/// What compiles for another architecture.
fn compiler() -> Result<String> {
    output(Command::new("/usr/bin/rustc").arg("--version"))
}

/// A directory that looks to the compiler as if the library for `target` had been installed.
fn sysroot(foreign: &Path, target: &str) -> Result<PathBuf> {
    let (from, root) = (foreign.join("usr/lib/rustlib").join(target), foreign.join("sysroot"));
    let lib = root.join("lib/rustlib");
    fs::create_dir_all(&lib)?;
    let to = lib.join(target);
    if !to.exists() {
        std::os::unix::fs::symlink(&from, &to)
            .with_context(|| format!("linking {}", to.display()))?;
    }
    Ok(root)
}
