//! What it takes to build for another architecture than this machine's.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    guest::packages::Apt,
    machine::Machine,
    setup,
    shell::{output, say},
};

impl Machine {
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
