//! Packs what a guest boots with: programs, whybus, the programs under test, the jobs.
use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};

use crate::{
    build,
    guest::{kernels, packages},
    machine::Machine,
    setup,
    shell::{call, output, root, target},
};

/// A directory tree for the initramfs, common to all kernels of a machine.
pub struct Tree {
    dir: PathBuf,
}

impl Tree {
    /// Builds everything that runs in a guest, but for a whybus that is given.
    ///
    /// # Errors
    /// Where something does not compile, or a package cannot be had.
    pub fn build(machine: Machine, whybus: Option<&Path>) -> Result<Self> {
        machine.set_up()?;
        let whybus = whybus.map_or_else(|| build::whybus(machine), |given| Ok(given.to_owned()))?;
        let programs = packages::programs(machine)?;
        let dir = directory(machine);
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir)?;
        for sub in ["dev", "proc", "sys", "tmp", "mnt", "etc", "usr"] {
            fs::create_dir_all(dir.join(sub))?;
        }
        // As Debian's usrmerge has it; the packages of bookworm still ship both.
        for sub in ["bin", "sbin", "lib", "lib64"] {
            fs::create_dir_all(dir.join("usr").join(sub))?;
            symlink(format!("usr/{sub}"), dir.join(sub))?;
        }
        for sub in ["bin", "sbin", "lib", "lib64", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64"] {
            let from = programs.join(sub);
            if from.is_dir() {
                let to = dir.join("usr").join(sub.trim_start_matches("usr/"));
                call(Command::new("cp").args(["-a", "--"]).arg(from.join(".")).arg(to))?;
            }
        }
        prune(&dir.join("usr/lib"), machine);
        let bin = dir.join("usr/bin");
        symlink("dash", bin.join("sh")).or_else(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => Ok(()),
            _ => Err(error),
        })?;
        fs::copy(machine.busybox()?, bin.join("busybox")).context("copying busybox-static")?;
        fs::copy(&whybus, bin.join("whybus")).context("copying whybus")?;
        fs::write(
            dir.join("etc/passwd"),
            "root:x:0:0::/tmp:/bin/sh\nnobody:x:65534:65534::/tmp:/bin/sh\n\
             sre:x:1000:1000::/tmp:/bin/sh\n_rpc:x:106:65534::/run/rpcbind:/bin/sh\n",
        )?;
        fs::write(
            dir.join("etc/group"),
            "root:x:0:\nnogroup:x:65534:\nadm:x:4:sre\nsre:x:1000:\nsystemd-journal:x:999:\n",
        )?;
        compile(&dir.join("usr"), machine)?;
        let guest = root().join("xtask/guest");
        for sub in ["jobs", "scenarios", "crashes", "lockdown", "python", "history"] {
            call(Command::new("cp").arg("-r").arg(guest.join(sub)).arg(dir.join(sub)))?;
        }
        for script in ["lib.sh", "facts.sh", "nfs.sh", "fuse.sh", "geo.sh"] {
            fs::copy(guest.join(script), dir.join(script))?;
        }
        fs::copy(guest.join("init.sh"), dir.join("init"))?;
        fs::set_permissions(dir.join("init"), fs::Permissions::from_mode(0o755))?;
        Ok(Self { dir })
    }

    /// Puts a file into the tree.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn add(&self, name: &str, content: &[u8]) -> Result<()> {
        fs::write(self.dir.join(name), content)?;
        Ok(())
    }

    /// The initramfs for one kernel.
    ///
    /// # Errors
    /// Where it cannot be packed.
    pub fn pack(&self, kernel: &kernels::Kernel) -> Result<PathBuf> {
        let _ = fs::remove_dir_all(self.dir.join("modules.d"));
        fs::create_dir_all(self.dir.join("modules.d"))?;
        let boot = [("boot", kernel.modules.clone())];
        for (name, modules) in boot.iter().chain(&kernel.on_demand) {
            let mut list = String::new();
            for module in modules {
                let file = module.file_name().unwrap_or_default().to_string_lossy();
                fs::copy(module, self.dir.join("modules.d").join(&*file))?;
                list.push_str(&format!("/modules.d/{file}\n"));
            }
            fs::write(self.dir.join("modules.d").join(name), list)?;
        }
        archive(&self.dir, target().join("guest").join(format!("initramfs-{}", kernel.series)))
    }

    /// Where a program of the guests stands.
    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join("usr/bin").join(name)
    }
}

/// Where the guests' root is on this host.
pub fn directory(machine: Machine) -> PathBuf {
    target().join("guest").join(machine.of("tree"))
}

/// The trees that some kernels boot with.
pub struct Trees {
    of: Vec<(Machine, Tree)>,
}

impl Trees {
    /// One for each machine among the kernels, with a whybus of our own unless one is given.
    ///
    /// # Errors
    /// As [`Tree::build`].
    pub fn of<'a>(
        kernels: impl Iterator<Item = &'a kernels::Kernel> + Clone,
        whybus: Option<&Path>,
    ) -> Result<Self> {
        let machines = [Machine::X86_64, Machine::Aarch64];
        let wanted = |machine: &Machine| kernels.clone().any(|kernel| kernel.machine == *machine);
        let build = |machine| Ok((machine, Tree::build(machine, whybus)?));
        Ok(Self { of: machines.into_iter().filter(wanted).map(build).collect::<Result<_>>()? })
    }

    /// That of a kernel.
    ///
    /// # Errors
    /// Where there is none.
    pub fn tree(&self, kernel: &kernels::Kernel) -> Result<&Tree> {
        let tree = self.of.iter().find(|(machine, _)| *machine == kernel.machine);
        tree.map(|(_, tree)| tree).with_context(|| format!("no tree for {}", kernel.series))
    }

    pub fn all(&self) -> impl Iterator<Item = &Tree> {
        self.of.iter().map(|(_, tree)| tree)
    }
}

/// Packs a directory as a kernel unpacks it.
///
/// # Errors
/// Where it cannot be packed.
pub fn archive(dir: &Path, out: PathBuf) -> Result<PathBuf> {
    let shell = "find . -print0 | cpio --null --create --format=newc --quiet --reproducible";
    let mut cpio = Command::new("sh");
    cpio.args(["-c", shell]).current_dir(dir).stdout(fs::File::create(&out)?);
    call(&mut cpio).context("packing an initramfs")?;
    Ok(out)
}

/// Documentation, locale data and the larger libraries no scenario needs: they cost boot time.
fn prune(lib: &Path, machine: Machine) {
    let triplet = machine.triplet();
    for sub in [
        format!("{triplet}/gconv"),
        format!("{triplet}/security"),
        format!("python3.11/config-3.11-{triplet}"),
    ] {
        let _ = fs::remove_dir_all(lib.join(sub));
    }
}

/// The programs under test: C, and Go.
fn compile(usr: &Path, machine: Machine) -> Result<()> {
    let (bin, lib) = (usr.join("bin"), usr.join("lib").join(machine.triplet()));
    let dir = root().join("xtask/guest");
    let foreign = machine.foreign()?;
    let gcc = || {
        let mut gcc = Command::new(machine.gcc());
        if let Some(foreign) = &foreign {
            gcc.arg("-I").arg(foreign.join("usr/include/fuse3"));
            gcc.arg("-L").arg(foreign.join("usr/lib").join(machine.triplet()));
        }
        gcc
    };
    // Libraries first: programs are linked to them.
    let mut sources: Vec<PathBuf> =
        fs::read_dir(&dir)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    sources.sort_by_key(|path| {
        !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"lib"))
    });
    for path in sources {
        let name = path.file_stem().unwrap_or_default().to_owned();
        match path.extension().and_then(|ext| ext.to_str()) {
            Some("c") if first(&path)?.starts_with("// so:") => {
                let out = lib.join(name).with_extension("so");
                let mut gcc = gcc();
                gcc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(out).arg(&path);
                output(&mut gcc)?;
            }
            Some("c") => {
                let mut gcc = gcc();
                if !first(&path)?.starts_with("// dynamic:") {
                    gcc.arg("-static");
                }
                gcc.args(["-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-o"]);
                gcc.arg(bin.join(&name)).arg(&path);
                // A program that needs a library says so in its first line.
                if let Some(flags) = first(&path)?.strip_prefix("// gcc: ") {
                    gcc.args(flags.split(' '));
                }
                let separate = first(&path)?.strip_prefix("// separate: ").map(str::to_owned);
                if let Some(flags) = &separate {
                    gcc.args(flags.split(' ')).arg(format!("-Wl,--build-id=0x{BUILD_ID}"));
                }
                // Static libfuse warns of dlopen; failures are shown whole.
                output(&mut gcc)?;
                if separate.is_some() {
                    strip(&bin.join(name), &usr.join("lib/debug/.build-id"), machine)?;
                }
            }
            Some("go") => {
                let cache = setup::cache()?.join("go");
                let mut go = Command::new("go");
                go.args(["build", "-trimpath", "-o"]).arg(bin.join(name)).arg(&path);
                let cgo = first(&path)?.starts_with("// cgo:");
                go.env("CGO_LDFLAGS", format!("-L{}", lib.display()));
                go.env("GOARCH", machine.debian()).env("CC", machine.gcc());
                go.env("CGO_ENABLED", if cgo { "1" } else { "0" })
                    .env("GO111MODULE", "off")
                    .env("GOFLAGS", "");
                go.env("GOCACHE", cache).env("GOTOOLCHAIN", "local").stdin(Stdio::null());
                call(&mut go)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Of programs whose debug information is in a file of its own.
const BUILD_ID: &str = "6c6f6f6b7570";

/// Leaves a program's symbols and debug information in a file that its build id leads to.
fn strip(program: &Path, directory: &Path, machine: Machine) -> Result<()> {
    let (first, rest) = BUILD_ID.split_at(2);
    fs::create_dir_all(directory.join(first))?;
    let debug = directory.join(first).join(rest).with_extension("debug");
    let objcopy = || Command::new(machine.gcc().replace("gcc", "objcopy"));
    call(objcopy().arg("--only-keep-debug").arg(program).arg(debug))?;
    call(objcopy().arg("--strip-all").arg(program))
}

/// The first line of a source, which may say how it is compiled.
fn first(path: &Path) -> Result<String> {
    Ok(fs::read_to_string(path)?.lines().next().unwrap_or_default().to_owned())
}
