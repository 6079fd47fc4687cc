//! Installs what a fresh Debian lacks, and says so.
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result, bail};

use crate::shell::{call, say};

/// Needed to compile the probes: a compiler, its core sources and LLVM that belong together.
pub const COMPILER: &[&str] = &[
    "rustc-web",
    "cargo-web",
    "rust-web-src",
    "llvm-22-dev",
    "libpolly-22-dev",
    "libzstd-dev",
    "zlib1g-dev",
];
/// Needed to make and boot guests.
pub const GUESTS: &[&str] = &[
    "qemu-system-x86",
    "golang-go",
    "gcc",
    "libc6-dev",
    "libfuse3-dev",
    "cpio",
    "kmod",
    "e2fsprogs",
    "busybox-static",
    "xz-utils",
    "zstd",
];
/// Needed beside these where guests are of arm64.
pub const ARM64: &[&str] = &["qemu-system-arm", "gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"];
/// Version of bpf-linker.
pub const LINKER: &str = "0.13.0";

/// Where downloads and tools are kept between runs: WHYBUS_CACHE, or below the user's cache.
pub fn cache() -> Result<PathBuf> {
    let dir =
        match (env::var_os("WHYBUS_CACHE"), env::var_os("XDG_CACHE_HOME"), env::var_os("HOME")) {
            (Some(dir), _, _) => PathBuf::from(dir),
            (None, Some(dir), _) => Path::new(&dir).join("whybus"),
            (None, None, Some(home)) => Path::new(&home).join(".cache/whybus"),
            (None, None, None) => bail!("none of WHYBUS_CACHE, XDG_CACHE_HOME and HOME is set"),
        };
    fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    Ok(dir)
}

/// Installs the Debian packages that are missing.
///
/// # Errors
/// Where this is no Debian, or we may not install; names what is missing.
pub fn packages(wanted: &[&str], what_for: &str) -> Result<()> {
    // A second apt-get does not wait for the first.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let missing: Vec<&str> = wanted.iter().copied().filter(|name| !installed(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !privileged() || !tool("apt-get") {
        bail!("{what_for} needs the Debian packages {list}: apt-get install {list}");
    }
    say(format_args!("installing {list} ({what_for})"));
    let quiet = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(["-q", "-y"]).args(args);
        command.stdout(Stdio::null());
        command
    };
    // A list that is out of date is noticed by the install.
    let _ = quiet(&["update"]).stderr(Stdio::null()).status();
    call(quiet(&["install", "--no-install-recommends"]).args(&missing))
        .with_context(|| format!("installing {list}"))
}

/// Whether we are root.
pub fn privileged() -> bool {
    // SAFETY: no preconditions.
    unsafe { libc::geteuid() == 0 }
}

fn installed(package: &str) -> bool {
    let query = ["-W", "-f", "${Status}", package];
    let out = Command::new("dpkg-query").args(query).output();
    out.is_ok_and(|out| out.stdout.ends_with(b"ok installed"))
}

/// Whether a program is on the PATH.
pub fn tool(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|dir| dir.join(name).is_file())
}

/// The directory bpf-linker stands in, built if need be.
///
/// # Errors
/// Where it cannot be built.
pub fn bpf_linker() -> Result<PathBuf> {
    let root = cache()?.join(format!("bpf-linker-{LINKER}"));
    let bin = root.join("bin");
    if !bin.join("bpf-linker").is_file() {
        say(format_args!("building bpf-linker {LINKER} (a minute)"));
        let mut command = Command::new("cargo");
        command
            .args(["install", "--quiet", "--locked", "bpf-linker", "--version", LINKER])
            .args(["--no-default-features", "--features", "llvm-22", "--root"])
            .arg(&root)
            .env("LLVM_PREFIX", "/usr/lib/llvm-22")
            .current_dir("/");
        call(&mut command).context("building bpf-linker")?;
    }
    Ok(bin)
}
