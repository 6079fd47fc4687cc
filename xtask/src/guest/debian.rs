//! A Debian with systemd as its first process, on a disk: made once, and again when what goes into it
//! changes.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    guest::{
        kernels::{self, Kernel},
        packages::Apt,
        tree::{Tree, archive},
    },
    setup,
    shell::{call, output, root, say, target},
};

/// A Debian that is booted with systemd.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Release {
    /// bookworm, Linux 6.1
    #[value(name = "12")]
    Bookworm,
    /// trixie, Linux 6.12
    #[value(name = "13")]
    Trixie,
}

impl Release {
    fn suite(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }

    fn kernel(self) -> &'static str {
        match self {
            Self::Bookworm => "6.1",
            Self::Trixie => "6.12",
        }
    }
}

/// What the cases need beside Debian's minimum.
const PACKAGES: &str =
    "systemd-sysv,dbus,libpam-systemd,login,passwd,bsdutils,kmod,cron,podman,crun,containerd,runc";
/// Needed to make it, beside what other guests need.
const TOOLS: &[&str] = &["mmdebstrap"];
/// Documentation and translations: the disk is made faster without.
const LEFT_OUT: [&str; 3] = ["doc", "man", "locale"];
/// Why there may be none.
pub const ONLY_ROOT: &str = "only root can make the Debian of the guest with systemd";
/// Without one systemd takes the boot for the first.
const MACHINE_ID: &str = "d1b5ff0a7a0c4f5f9d8e2c3b4a596877\n";

/// A system that can be booted.
pub struct System {
    pub kernel: Kernel,
    pub initramfs: PathBuf,
    /// The root file system; a boot writes beside it.
    pub disk: PathBuf,
    /// What of this checkout is put over it: whybus, the programs under test, units.
    pub overlay: PathBuf,
}

/// The kernel it is booted with.
///
/// # Errors
/// Where that cannot be had.
pub fn kernel(release: Release) -> Result<Kernel> {
    let kernel = kernels::fetch(&[release.kernel().to_owned()])?;
    kernel.into_iter().next().context("no kernel")
}

/// Makes its disk, which takes a minute or two.
///
/// # Errors
/// As [`fetch`].
pub fn prepare(release: Release) -> Result<()> {
    setup::packages(TOOLS, "making a guest with systemd")?;
    disk(release, &kernel(release)?).map(drop)
}

/// # Errors
/// Where a package cannot be had, or this user may not make a Debian.
pub fn fetch(release: Release, kernel: Kernel, tree: &Tree) -> Result<System> {
    setup::packages(TOOLS, "making a guest with systemd")?;
    let disk = disk(release, &kernel)?;
    let dir = target().join("guest").join(format!("systemd-{}", release.suite()));
    let _ = fs::remove_dir_all(&dir);
    Ok(System { initramfs: initramfs(&kernel, &dir)?, overlay: overlay(tree, &dir)?, disk, kernel })
}

/// The root file system, made where it is not there yet or what it is made of has changed.
fn disk(release: Release, kernel: &Kernel) -> Result<PathBuf> {
    let suite = release.suite();
    let dir = setup::cache()?.join("debian").join(suite);
    let (disk, made) = (dir.join("disk"), dir.join(".made"));
    let key = format!("{PACKAGES} {} {} {MACHINE_ID}", LEFT_OUT.join(","), kernel.release);
    fs::create_dir_all(&dir)?;
    // Somebody else may be making it; whoever waited finds it made.
    let lock = fs::File::create(dir.join(".lock"))?;
    lock.lock()?;
    if fs::read_to_string(&made).is_ok_and(|made| made == key) {
        return Ok(disk);
    }
    ensure!(setup::privileged(), "{ONLY_ROOT}");
    say(format_args!("making a Debian ({suite}) with systemd: a minute or two"));
    let tree = dir.join("root");
    let _ = fs::remove_file(&made);
    let _ = fs::remove_dir_all(&tree);
    let mut make = Command::new("mmdebstrap");
    make.args(["--quiet", "--mode=root", "--variant=minbase", "--include", PACKAGES]);
    for what in LEFT_OUT {
        make.arg(format!("--dpkgopt=path-exclude=/usr/share/{what}/*"));
    }
    make.arg(suite).arg(&tree).args(Apt::new(kernel.machine)?.sources(suite)?);
    // Warnings of maintainers' scripts are many; failures are shown whole.
    output(&mut make).context("making a Debian")?;
    let modules = tree.join("usr/lib/modules");
    fs::create_dir_all(&modules)?;
    call(Command::new("cp").args(["-a", "--"]).arg(&kernel.directory).arg(&modules))?;
    fs::write(tree.join("etc/machine-id"), MACHINE_ID)?;
    fs::create_dir_all(tree.join("var/log/journal"))?;
    // A guest that runs keeps the one it has.
    let _ = fs::remove_file(&disk);
    fs::File::create(&disk)?.set_len(2 << 30)?;
    call(Command::new("mke2fs").args(["-q", "-t", "ext4", "-d"]).arg(&tree).arg(&disk))?;
    fs::remove_dir_all(&tree)?;
    fs::write(&made, key)?;
    Ok(disk)
}

/// What mounts the root file system, puts the overlay over it and starts systemd.
fn initramfs(kernel: &Kernel, dir: &Path) -> Result<PathBuf> {
    let tree = dir.join("initramfs");
    for sub in ["bin", "modules", "proc", "dev", "root", "overlay"] {
        fs::create_dir_all(tree.join(sub))?;
    }
    fs::copy("/bin/busybox", tree.join("bin/busybox")).context("copying busybox-static")?;
    // Loaded in the order of their names.
    for (i, module) in kernel.modules.iter().enumerate() {
        fs::copy(module, tree.join(format!("modules/{i:02}.ko")))?;
    }
    fs::copy(root().join("xtask/guest/systemd/init.sh"), tree.join("init"))?;
    call(Command::new("chmod").arg("755").arg(tree.join("init")))?;
    archive(&tree, dir.join("initramfs.cpio"))
}

fn overlay(tree: &Tree, dir: &Path) -> Result<PathBuf> {
    let over = dir.join("overlay");
    let local = over.join("usr/local/bin");
    fs::create_dir_all(&local)?;
    for name in ["victim", "reader", "spoke"] {
        fs::copy(tree.program(name), local.join(name))?;
    }
    // As a download: it is installed in the guest.
    fs::create_dir_all(over.join("root"))?;
    fs::copy(tree.program("whybus"), over.join("root/whybus"))?;
    fs::copy(root().join("packaging/whybus.service"), over.join("root/whybus.service"))?;
    fs::copy("/bin/busybox", over.join("root/busybox"))?;
    let files = root().join("xtask/guest/systemd");
    for sub in ["etc", "cases"] {
        call(Command::new("cp").arg("-r").arg(files.join(sub)).arg(over.join(sub)))?;
    }
    let disk = dir.join("overlay.disk");
    fs::File::create(&disk)?.set_len(128 << 20)?;
    call(Command::new("mke2fs").args(["-q", "-t", "ext4", "-d"]).arg(&over).arg(&disk))?;
    Ok(disk)
}
