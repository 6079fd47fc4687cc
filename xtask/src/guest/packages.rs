//! Packages from Debian, through the machine's own mirror and a private apt state, so that the
//! system's sources stay as they are.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    machine::Machine,
    setup,
    shell::{call, output, say},
};

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

/// What programs in C++ and Rust are linked to.
const LIBRARIES: [&str; 2] = ["libgcc-s1/bookworm", "libstdc++6/bookworm"];

/// bpftrace, and the libraries of it that no other program has.
const BPFTRACE: [&str; 18] = [
    "bpftrace",
    "libbpf1",
    "libbpfcc",
    "libbsd0",
    "libbz2-1.0",
    "libclang-cpp14",
    "libclang1-14",
    "libdw1",
    "libedit2",
    "libelf1",
    "libffi8",
    "libgcc-s1",
    "libicu72",
    "libllvm14",
    "libmd0",
    "libstdc++6",
    "libxml2",
    "libz3-4",
];

/// A directory with the guest's programs and their libraries.
///
/// # Errors
/// Where a package cannot be had.
pub fn programs(machine: Machine) -> Result<PathBuf> {
    let root = setup::cache()?.join(machine.of("programs"));
    let done = root.join(".done");
    if fs::read_to_string(&done).is_ok_and(|list| list == PROGRAMS.join(" ")) {
        return Ok(root);
    }
    say("fetching the guests' programs from Debian");
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(&root)?;
    let apt = Apt::new(machine)?;
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
pub fn java(machine: Machine) -> Result<PathBuf> {
    let source = crate::shell::root().join("xtask/guest/java/Mapped.java");
    let dir = setup::cache()?.join(machine.of("java"));
    let (tree, disk, done) = (dir.join("tree"), dir.join("disk"), dir.join(".done"));
    let wanted = format!("{} {}", JAVA.join(" "), fs::read_to_string(&source)?);
    if fs::read_to_string(&done).is_ok_and(|made| made == wanted) {
        return Ok(disk);
    }
    say("fetching a Java runtime from Debian");
    let _ = fs::remove_dir_all(&dir);
    let home = jre(machine, &tree)?;
    // What compiles runs on this machine.
    let own = dir.join("own");
    let (own, home) = match machine {
        Machine::X86_64 => (&tree, home),
        Machine::Aarch64 => (&own, jre(Machine::X86_64, &own)?),
    };
    let mut compiler = Command::new(home.join("bin/java"));
    compiler.arg("-cp").arg(own.join("usr/share/java/ecj.jar"));
    compiler.arg("org.eclipse.jdt.internal.compiler.batch.Main");
    call(compiler.args(["-source", "11", "-target", "11", "-d"]).arg(&tree).arg(&source))?;
    disk_of(&tree, &disk)?;
    let _ = fs::remove_dir_all(own);
    fs::write(&done, wanted)?;
    Ok(disk)
}

/// A directory with the libraries of programs in C++ and Rust.
///
/// # Errors
/// Where a package cannot be had.
pub fn libraries(machine: Machine) -> Result<PathBuf> {
    let dir = setup::cache()?.join(machine.of("libraries"));
    let tree = dir.join("tree");
    if !tree.is_dir() {
        let new = dir.join("new");
        let _ = fs::remove_dir_all(&new);
        fs::create_dir_all(&new)?;
        Apt::new(machine)?.unpack(&LIBRARIES.map(str::to_owned), &new)?;
        fs::rename(&new, &tree)?;
    }
    Ok(tree)
}

/// A disk with bpftrace, which a benchmark compares with.
///
/// # Errors
/// Where a package cannot be had.
pub fn bpftrace(machine: Machine) -> Result<PathBuf> {
    let dir = setup::cache()?.join(machine.of("bpftrace"));
    let (tree, disk, done) = (dir.join("tree"), dir.join("disk"), dir.join(".done"));
    if fs::read_to_string(&done).is_ok_and(|list| list == BPFTRACE.join(" ")) {
        return Ok(disk);
    }
    say("fetching bpftrace from Debian");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&tree)?;
    let packages: Vec<String> = BPFTRACE.iter().map(|name| format!("{name}/bookworm")).collect();
    Apt::new(machine)?.unpack(&packages, &tree)?;
    disk_of(&tree, &disk)?;
    fs::write(&done, BPFTRACE.join(" "))?;
    Ok(disk)
}

/// Makes a file system of a directory, which goes.
fn disk_of(tree: &Path, disk: &Path) -> Result<()> {
    fs::File::create(disk)?.set_len(400 << 20)?;
    call(Command::new("mke2fs").args(["-q", "-t", "ext4", "-d"]).arg(tree).arg(disk))?;
    fs::remove_dir_all(tree)?;
    Ok(())
}

/// Unpacks a Java runtime into a directory; gives its home there.
fn jre(machine: Machine, tree: &Path) -> Result<PathBuf> {
    fs::create_dir_all(tree)?;
    let packages: Vec<String> = JAVA.iter().map(|name| format!("{name}/bookworm")).collect();
    Apt::new(machine)?.unpack(&packages, tree)?;
    let home = tree.join(format!("usr/lib/jvm/java-17-openjdk-{}", machine.debian()));
    // Debian keeps the configuration in /etc and links to it.
    let fix = "find . -type l -lname '/etc/java*' -exec sh -c \
               'for link; do cp -r --remove-destination \"$0$(readlink \"$link\")\" \"$link\"; done' \
               \"$1\" {} +";
    call(Command::new("sh").args(["-c", fix, "sh"]).arg(tree).current_dir(&home))?;
    Ok(home)
}

/// apt with sources and state of its own.
pub struct Apt {
    dir: PathBuf,
    machine: Machine,
}

impl Apt {
    /// # Errors
    /// Where this machine has no Debian mirror.
    pub fn new(machine: Machine) -> Result<Self> {
        let apt = Self { dir: setup::cache()?.join(machine.of("apt")), machine };
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
        apt.update()?;
        fs::write(apt.dir.join("ready"), "")?;
        Ok(apt)
    }

    /// Reads the package lists of today. One that cannot be had is said: a suite that has been archived is missed only
    /// if a package is.
    ///
    /// # Errors
    /// Where there is no `apt-get`.
    pub fn update(&self) -> Result<()> {
        say("reading Debian's package lists");
        let strict = ["-qq", "-o", "APT::Update::Error-Mode=any", "update"];
        let done = self.command("apt-get").args(strict).output().context("running apt-get")?;
        if !done.status.success() {
            let why = String::from_utf8_lossy(&done.stderr).trim().to_owned();
            say(format_args!("not all of them, and the older ones are taken for the rest: {why}"));
        }
        Ok(())
    }

    /// `apt-get` or `apt-cache` with them.
    pub fn command(&self, tool: &str) -> Command {
        let mut command = Command::new(tool);
        let option = |name: &str, path: &str| format!("{name}={}", self.dir.join(path).display());
        for option in [
            option("Dir::State", "state"),
            option("Dir::State::status", "status"),
            option("Dir::Cache", "cache"),
            option("Dir::Etc::sourcelist", "sources.list"),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("APT::Architecture={}", self.machine.debian()),
            format!("APT::Architectures={}", self.machine.debian()),
            "APT::Sandbox::User=root".to_owned(),
            // A mirror that hangs is asked again.
            "Acquire::http::Timeout=30".to_owned(),
            "Acquire::Retries=3".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command
    }

    /// The lines of its sources for a suite and its security updates.
    ///
    /// # Errors
    /// Where they cannot be read, or there are none.
    pub fn sources(&self, suite: &str) -> Result<Vec<String>> {
        let text = fs::read_to_string(self.dir.join("sources.list"))?;
        let security = format!("{suite}-security");
        let of = |line: &&str| line.split(' ').any(|word| word == suite || word == security);
        let lines: Vec<String> = text.lines().filter(of).map(str::to_owned).collect();
        ensure!(!lines.is_empty(), "no sources for {suite}");
        Ok(lines)
    }

    /// Unpacks packages into a directory; their scripts do not run.
    ///
    /// # Errors
    /// Where one cannot be had.
    pub fn unpack(&self, packages: &[String], into: &Path) -> Result<()> {
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
