//! The kernels of the matrix, as Debian builds them.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    guest::packages::Apt,
    machine::Machine,
    setup,
    shell::{output, say},
};

/// The kernels there are, by the name the command line takes.
const SERIES: [Series; 11] = [
    Series::of("5.10", Machine::X86_64, "linux-image-5.10.0-", "cloud-amd64"),
    Series::of("6.1", Machine::X86_64, "linux-image-6.1.0-", "cloud-amd64"),
    Series::of("6.12", Machine::X86_64, "linux-image-6.12.", "cloud-amd64"),
    Series::of("newest", Machine::X86_64, "linux-binary-", "cloud-amd64"),
    Series::of("6.1-full", Machine::X86_64, "linux-image-6.1.0-", "amd64"),
    Series::of("6.1-rt", Machine::X86_64, "linux-image-6.1.0-", "rt-amd64"),
    Series::of("6.12-rt", Machine::X86_64, "linux-image-6.12.", "rt-amd64"),
    Series::of("arm64-6.1", Machine::Aarch64, "linux-image-6.1.0-", "cloud-arm64"),
    Series::of("arm64-6.12", Machine::Aarch64, "linux-image-6.12.", "cloud-arm64"),
    Series::of("arm64-newest", Machine::Aarch64, "linux-binary-", "cloud-arm64"),
    Series::of("arm64-6.12-16k", Machine::Aarch64, "linux-image-6.12.", "arm64-16k"),
];
/// Those of a command that names none.
pub const ALWAYS: [&str; 4] = ["5.10", "6.1", "6.12", "newest"];

/// A kernel as Debian names it.
struct Series {
    name: &'static str,
    machine: Machine,
    /// How its package's name begins, before the version, and how it ends.
    package: &'static str,
    flavour: &'static str,
}

impl Series {
    const fn of(
        name: &'static str,
        machine: Machine,
        package: &'static str,
        flavour: &'static str,
    ) -> Self {
        Self { name, machine, package, flavour }
    }
}

/// Modules a guest loads, with what they depend on.
const MODULES: [&str; 5] = ["virtio_pci", "virtio_blk", "ext4", "overlay", "dm_mod"];
/// Modules a scenario loads when it needs them (`load NAME` in lib.sh).
const ON_DEMAND: [&str; 11] = [
    "btrfs",
    "fuse",
    "loop",
    "nd_e820",
    "nd_pmem",
    "nfsd",
    "nfsv3",
    "nfsv4",
    "quota_v2",
    "virtio_net",
    "xfs",
];
/// A kernel that can be booted.
pub struct Kernel {
    /// `5.10` … `arm64-newest`.
    pub series: String,
    pub machine: Machine,
    /// `uname -r`.
    pub release: String,
    pub image: PathBuf,
    /// All its modules, as they stand under /usr/lib/modules.
    pub directory: PathBuf,
    /// Decompressed modules, in the order they are to be loaded.
    pub modules: Vec<PathBuf>,
    /// The same for each of `ON_DEMAND`, by name; empty where it is built in.
    pub on_demand: Vec<(&'static str, Vec<PathBuf>)>,
}

/// The names of all kernels there are.
pub fn names() -> impl Iterator<Item = &'static str> {
    SERIES.iter().map(|series| series.name)
}

/// The kernels asked for, those of every run if none is named.
///
/// # Errors
/// Where a name is unknown, or a package cannot be had.
pub fn fetch(wanted: &[String]) -> Result<Vec<Kernel>> {
    chosen(wanted)?.map(|series| kernel(series, "kernels", false)).collect()
}

/// The same as the archive has them today, beside those that are booted.
///
/// # Errors
/// As [`fetch`], and where the archive cannot be asked.
pub fn fetch_newest(wanted: &[String]) -> Result<Vec<Kernel>> {
    let series: Vec<&Series> = chosen(wanted)?.collect();
    for machine in [Machine::X86_64, Machine::Aarch64] {
        if series.iter().any(|series| series.machine == machine) {
            Apt::new(machine)?.update()?;
        }
    }
    let newest = |series: &Series| {
        let booted = setup::cache()?.join("kernels").join(series.name).join(".packages");
        let today = kernel_packages(&Apt::new(series.machine)?, series)?.join(" ");
        match fs::read_to_string(booted) {
            Ok(booted) if booted == today => kernel(series, "kernels", false),
            _ => kernel(series, "kernels-newest", true),
        }
    };
    series.into_iter().map(newest).collect()
}

fn chosen(wanted: &[String]) -> Result<impl Iterator<Item = &'static Series>> {
    for name in wanted {
        let names: Vec<&str> = names().collect();
        ensure!(names.contains(&&**name), "no kernel `{name}`; there are {}", names.join(", "));
    }
    Ok(SERIES.iter().filter(move |series| match wanted {
        [] => ALWAYS.contains(&series.name),
        some => some.iter().any(|name| name == series.name),
    }))
}

/// Kept in this directory of the cache, as it is unless the `newest` is asked for.
fn kernel(series: &Series, cache: &str, newest: bool) -> Result<Kernel> {
    let apt = &Apt::new(series.machine)?;
    let dir = setup::cache()?.join(cache).join(series.name);
    let packages = dir.join(".packages");
    let kept = fs::read_to_string(&packages).ok();
    let names = match kept {
        Some(_) if !newest => None,
        kept => Some(kernel_packages(apt, series)?).filter(|names| kept != Some(names.join(" "))),
    };
    if let Some(names) = names {
        say(format_args!("fetching {} from Debian", names.join(" and ")));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir)?;
        apt.unpack(&names, &dir)?;
        fs::write(&packages, names.join(" "))?;
    }
    let modules = ["lib/modules", "usr/lib/modules"].map(|sub| dir.join(sub));
    let modules = modules.iter().find(|path| path.is_dir()).context("a kernel without modules")?;
    let entry = fs::read_dir(modules)?.next().context("an empty module directory")??;
    let release = entry.file_name().to_string_lossy().into_owned();
    let image = [dir.join(format!("boot/vmlinuz-{release}")), entry.path().join("vmlinuz")];
    let image =
        image.into_iter().find(|path| path.is_file()).context("a kernel without an image")?;
    let base = modules.ancestors().nth(2).context("modules in a strange place")?;
    let out = dir.join("modules");
    let modules = load_order(base, &release, &out, &MODULES)?;
    let on_demand = ON_DEMAND
        .iter()
        .map(|name| Ok((*name, load_order(base, &release, &out, &[*name])?)))
        .collect::<Result<_>>()?;
    let directory = entry.path();
    let (series, machine) = (series.name.to_owned(), series.machine);
    Ok(Kernel { series, machine, release, image, directory, modules, on_demand })
}

/// The newest packages that hold a kernel of the series and its modules.
fn kernel_packages(apt: &Apt, series: &Series) -> Result<Vec<String>> {
    let Series { package, flavour, .. } = series;
    // A version has digits, dots, and Debian's suffix; other flavours have words.
    let pattern = format!("^{package}[0-9.]*([+]deb[0-9.]+)?-?{flavour}$");
    let found = output(apt.command("apt-cache").args(["search", "--names-only", &pattern]))?;
    let names: Vec<&str> = found.lines().filter_map(|line| line.split(' ').next()).collect();
    let newest = names
        .iter()
        // 6.1.0-0.deb11 is a backport to bullseye.
        .filter(|name| !name.contains("-0.deb") && !name.contains("+deb14"))
        .max_by_key(|name| numbers(name))
        .with_context(|| format!("Debian offers no {package}*-{flavour}"))?;
    let mut packages = vec![(*newest).to_owned()];
    if let Some(rest) = newest.strip_prefix("linux-binary-") {
        packages.push(format!("linux-modules-{rest}"));
    }
    Ok(packages)
}

/// Decompresses modules, dependencies first.
fn load_order(base: &Path, release: &str, out: &Path, names: &[&str]) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(out)?;
    let base = if base.join("lib/modules").is_dir() { base.to_owned() } else { base.join("usr") };
    if !base.join("lib/modules").join(release).join("modules.dep").is_file() {
        output(Command::new("depmod").arg("-b").arg(&base).arg(release))?;
    }
    let mut order = Vec::new();
    for module in names {
        let mut show = Command::new("modprobe");
        show.arg("--show-depends").arg("-d").arg(&base).args(["-S", release, module]);
        // What modprobe does not find is built in; newer packages do not list that.
        for line in output(&mut show).unwrap_or_default().lines() {
            let Some(path) = line.strip_prefix("insmod ") else { continue };
            let path = Path::new(path.trim());
            let name = path.file_name().context("a module without a name")?.to_string_lossy();
            let plain = out.join(name.split(".ko").next().unwrap_or_default()).with_extension("ko");
            if !plain.is_file() {
                decompress(path, &plain)?;
            }
            if !order.contains(&plain) {
                order.push(plain);
            }
        }
    }
    Ok(order)
}

fn decompress(from: &Path, to: &Path) -> Result<()> {
    let tool = match from.extension().and_then(|ext| ext.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => {
            fs::copy(from, to)?;
            return Ok(());
        }
    };
    let out = Command::new(tool).arg("-dcq").arg(from).output()?;
    ensure!(out.status.success(), "{tool} could not read {}", from.display());
    fs::write(to, out.stdout)?;
    Ok(())
}

/// The numbers in a name, so that 6.1.0-9 comes before 6.1.0-10.
fn numbers(name: &str) -> Vec<u64> {
    let words = name.split(|c: char| !c.is_ascii_digit());
    words.filter_map(|word| word.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(numbers("linux-image-6.1.0-10-cloud") > numbers("linux-image-6.1.0-9-cloud"));
        assert!(numbers("linux-binary-7.3.4+deb13") > numbers("linux-binary-7.2.12+deb13"));
    }
}
