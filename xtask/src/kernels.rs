//! Fetches kernels and the guest's programs from Debian, through the machine's own mirror and a
//! private apt state, so that the system's sources stay as they are.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{call, output, say, setup};

/// The kernels of the matrix, by the name the command line takes.
pub const SERIES: [&str; 4] = ["5.10", "6.1", "6.12", "newest"];
/// Modules a guest loads, with what they depend on.
const MODULES: [&str; 4] = ["virtio_pci", "virtio_blk", "overlay", "dm_mod"];
/// Modules a scenario loads when it needs them (`load NAME` in lib.sh).
const ON_DEMAND: [&str; 9] =
    ["btrfs", "fuse", "nd_e820", "nd_pmem", "nfsd", "nfsv3", "nfsv4", "quota_v2", "xfs"];
/// What a guest runs: real programs, as a production host has them.
const PROGRAMS: [&str; 66] = [
    "bash",
    "bsdutils",
    "btrfs-progs",
    "coreutils",
    "dash",
    "dmsetup",
    "e2fsprogs",
    "grep",
    "libacl1",
    "libapparmor1",
    "libattr1",
    "libaudit1",
    "libblkid1",
    "libc6",
    "libcap-ng0",
    "libcap2",
    "libcom-err2",
    "libcrypt1",
    "libdevmapper1.02.1",
    "libexpat1",
    "libext2fs2",
    "libgcrypt20",
    "libgmp10",
    "libgpg-error0",
    "libgssapi-krb5-2",
    "libinih1",
    "libip4tc2",
    "libk5crypto3",
    "libkeyutils1",
    "libkmod2",
    "libkrb5-3",
    "libkrb5support0",
    "liblz4-1",
    "liblzma5",
    "liblzo2-2",
    "libmount1",
    "libnsl2",
    "libpam0g",
    "libpcre2-8-0",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "libseccomp2",
    "libselinux1",
    "libsmartcols1",
    "libss2",
    "libssl3",
    "libsystemd-shared",
    "libsystemd0",
    "libtinfo6",
    "libtirpc3",
    "libudev1",
    "liburcu8",
    "libuuid1",
    "libwrap0",
    "libzstd1",
    "mount",
    "nfs-kernel-server",
    "passwd",
    "python3.11-minimal",
    "rpcbind",
    "sed",
    "systemd",
    "util-linux",
    "util-linux-extra",
    "xfsprogs",
    "zlib1g",
];

/// A Java runtime, and a compiler that needs no more than it.
const JAVA: [&str; 4] = ["libecj-java", "libgcc-s1", "libstdc++6", "openjdk-17-jre-headless"];

/// A kernel that can be booted.
pub struct Kernel {
    /// `5.10` … `newest`.
    pub series: String,
    /// `uname -r`.
    pub release: String,
    pub image: PathBuf,
    /// Decompressed modules, in the order they are to be loaded.
    pub modules: Vec<PathBuf>,
    /// The same for each of `ON_DEMAND`, by name; empty where it is built in.
    pub on_demand: Vec<(&'static str, Vec<PathBuf>)>,
}

/// The kernels asked for, all of them if none is named.
///
/// # Errors
/// Where a name is unknown, or a package cannot be had.
pub fn fetch(wanted: &[String]) -> Result<Vec<Kernel>> {
    for name in wanted {
        let known = SERIES.contains(&name.as_str());
        ensure!(known, "no kernel `{name}`; there are {}", SERIES.join(", "));
    }
    let chosen =
        SERIES.iter().filter(|name| wanted.is_empty() || wanted.iter().any(|w| w == **name));
    let apt = Apt::new()?;
    chosen.map(|series| kernel(&apt, series)).collect()
}

/// A directory with the guest's programs and their libraries.
///
/// # Errors
/// Where a package cannot be had.
pub fn programs() -> Result<PathBuf> {
    let root = setup::cache()?.join("programs");
    let done = root.join(".done");
    if fs::read_to_string(&done).is_ok_and(|list| list == PROGRAMS.join(" ")) {
        return Ok(root);
    }
    say("fetching the guests' programs from Debian");
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(&root)?;
    let apt = Apt::new()?;
    let wanted: Vec<String> = PROGRAMS.iter().map(|name| format!("{name}/bookworm")).collect();
    apt.unpack(&wanted, &root)?;
    fs::write(&done, PROGRAMS.join(" "))?;
    Ok(root)
}

/// A disk with a Java runtime and the compiled programs of xtask/guest/java: too large for an
/// initramfs.
///
/// # Errors
/// Where a package cannot be had, or the programs do not compile.
pub fn java() -> Result<PathBuf> {
    let source = crate::root().join("xtask/guest/java/Mapped.java");
    let dir = setup::cache()?.join("java");
    let (tree, disk, done) = (dir.join("tree"), dir.join("disk"), dir.join(".done"));
    let wanted = format!("{} {}", JAVA.join(" "), fs::read_to_string(&source)?);
    if fs::read_to_string(&done).is_ok_and(|made| made == wanted) {
        return Ok(disk);
    }
    say("fetching a Java runtime from Debian");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&tree)?;
    let packages: Vec<String> = JAVA.iter().map(|name| format!("{name}/bookworm")).collect();
    Apt::new()?.unpack(&packages, &tree)?;
    let home = tree.join("usr/lib/jvm/java-17-openjdk-amd64");
    // Debian keeps the configuration in /etc and links to it.
    let fix = "find . -type l -lname '/etc/java*' -exec sh -c \
               'for link; do cp -r --remove-destination \"$0$(readlink \"$link\")\" \"$link\"; done' \
               \"$1\" {} +";
    call(Command::new("sh").args(["-c", fix, "sh"]).arg(&tree).current_dir(&home))?;
    let mut compiler = Command::new(home.join("bin/java"));
    compiler.arg("-cp").arg(tree.join("usr/share/java/ecj.jar"));
    compiler.arg("org.eclipse.jdt.internal.compiler.batch.Main");
    call(compiler.args(["-source", "11", "-target", "11", "-d"]).arg(&tree).arg(&source))?;
    fs::File::create(&disk)?.set_len(400 << 20)?;
    call(Command::new("mke2fs").args(["-q", "-t", "ext4", "-d"]).arg(&tree).arg(&disk))?;
    fs::remove_dir_all(&tree)?;
    fs::write(&done, wanted)?;
    Ok(disk)
}

fn kernel(apt: &Apt, series: &str) -> Result<Kernel> {
    let dir = setup::cache()?.join("kernels").join(series);
    let packages = dir.join(".packages");
    if !packages.is_file() {
        let names = apt.kernel_packages(series)?;
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
    Ok(Kernel { series: series.to_owned(), release, image, modules, on_demand })
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

/// apt with sources and state of its own.
struct Apt {
    dir: PathBuf,
}

impl Apt {
    fn new() -> Result<Self> {
        let dir = setup::cache()?.join("apt");
        let apt = Self { dir };
        if apt.dir.join("ready").is_file() {
            return Ok(apt);
        }
        for sub in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(apt.dir.join(sub))?;
        }
        let (main, security) = mirrors()?;
        let key = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]";
        let mut sources = String::new();
        for suite in ["bullseye", "bookworm", "trixie", "trixie-backports", "forky"] {
            sources.push_str(&format!("deb {key} {main} {suite} main\n"));
        }
        for suite in ["bullseye-security", "bookworm-security", "trixie-security"] {
            sources.push_str(&format!("deb {key} {security} {suite} main\n"));
        }
        fs::write(apt.dir.join("sources.list"), sources)?;
        fs::write(apt.dir.join("status"), "")?;
        say("reading Debian's package lists");
        // A suite that has been archived is missed only if a package is.
        let _ = apt.command("apt-get").args(["-qq", "update"]).output();
        fs::write(apt.dir.join("ready"), "")?;
        Ok(apt)
    }

    fn command(&self, tool: &str) -> Command {
        let mut command = Command::new(tool);
        let option = |name: &str, path: &str| format!("{name}={}", self.dir.join(path).display());
        for option in [
            option("Dir::State", "state"),
            option("Dir::State::status", "status"),
            option("Dir::Cache", "cache"),
            option("Dir::Etc::sourcelist", "sources.list"),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command
    }

    /// The newest packages that hold a kernel of the series and its modules.
    fn kernel_packages(&self, series: &str) -> Result<Vec<String>> {
        let search =
            ["search", "--names-only", "^linux-(image|binary|modules)-[0-9].*-cloud-amd64$"];
        let found = output(self.command("apt-cache").args(search))?;
        let names: Vec<&str> = found.lines().filter_map(|line| line.split(' ').next()).collect();
        let prefix = match series {
            "5.10" => "linux-image-5.10.0-",
            "6.1" => "linux-image-6.1.0-",
            "6.12" => "linux-image-6.12.",
            _ => "linux-binary-",
        };
        let newest = names
            .iter()
            // 6.1.0-0.deb11 is a backport to bullseye.
            .filter(|name| {
                name.starts_with(prefix) && !name.contains("-0.deb") && !name.contains("+deb14")
            })
            .max_by_key(|name| numbers(name))
            .with_context(|| format!("Debian offers no {prefix}*-cloud-amd64"))?;
        let mut packages = vec![(*newest).to_owned()];
        if let Some(rest) = newest.strip_prefix("linux-binary-") {
            packages.push(format!("linux-modules-{rest}"));
        }
        Ok(packages)
    }

    fn unpack(&self, packages: &[String], into: &Path) -> Result<()> {
        let downloads = self.dir.join("downloads");
        let _ = fs::remove_dir_all(&downloads);
        fs::create_dir_all(&downloads)?;
        let mut download = self.command("apt-get");
        download.args(["-qq", "download"]).args(packages).current_dir(&downloads);
        output(&mut download).context("downloading Debian packages")?;
        for entry in fs::read_dir(&downloads)? {
            call(Command::new("dpkg").arg("-x").arg(entry?.path()).arg(into))?;
        }
        fs::remove_dir_all(&downloads)?;
        Ok(())
    }
}

/// The machine's own Debian mirror, and the one for security updates.
fn mirrors() -> Result<(String, String)> {
    let mut words = Vec::new();
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(dir) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(dir.flatten().map(|entry| entry.path()));
    }
    for file in files {
        let text = fs::read_to_string(file).unwrap_or_default();
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        let found = lines.flat_map(str::split_whitespace).filter(|word| word.starts_with("http"));
        words.extend(found.map(|word| word.trim_end_matches('/').to_owned()));
    }
    let Some(main) = words.iter().find(|word| word.ends_with("/debian")) else {
        bail!("no Debian mirror in /etc/apt/sources.list or sources.list.d: guests need one");
    };
    let security = words.iter().find(|word| word.ends_with("debian-security"));
    Ok((main.clone(), security.cloned().unwrap_or_else(|| format!("{main}-security"))))
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
