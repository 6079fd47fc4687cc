//! The victims of xtask/guest/frames, and what gdb says of the core dumps that they leave.
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    guest::{packages, tree},
    machine::Machine,
    setup,
    shell::{call, output, root, target},
};

/// What it takes to build them.
const COMPILERS: [&str; 1] = ["g++"];

/// What their core dumps are called.
const CORE: &str = "core.";

/// Where the guest has the libraries of C++ and Rust.
const LIBRARIES: &str = "/victims/lib";

/// What is asked of gdb: the frames to the thread's first, and where each is.
const QUESTIONS: [&str; 9] = [
    "set width 0",
    "set pagination off",
    "set backtrace past-main on",
    "set filename-display absolute",
    "set print frame-arguments presence",
    "set print entry-values no",
    "set print address on",
    "bt",
    "frame apply all -q info frame",
];

/// One program: `//: NAME HOW FLAG…` in its source, of which `HOW` is told to it.
struct Build {
    source: PathBuf,
    name: String,
    how: String,
    flags: Vec<String>,
}

/// What becomes of a program's symbols and debug information.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Symbols {
    Kept,
    Stripped,
    /// In a file of its own, which the guest has.
    Separate,
    /// In a file that the guest has not.
    Elsewhere,
}

impl Build {
    fn parse(source: &Path, line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("//: ")?.split(' ').map(str::to_owned);
        let (name, how) = (words.next()?, words.next()?);
        Some(Self { source: source.to_owned(), name, how, flags: words.collect() })
    }

    fn symbols(&self) -> Symbols {
        match self.flags.first().map(String::as_str) {
            Some("stripped") => Symbols::Stripped,
            Some("separate") => Symbols::Separate,
            Some("elsewhere") => Symbols::Elsewhere,
            _ => Symbols::Kept,
        }
    }

    /// What leads to its debug file: not every compiler has the linker write one.
    fn build_id(&self) -> String {
        self.name.bytes().map(|byte| format!("{byte:02x}")).collect()
    }

    fn compile(&self, dir: &Path) -> Result<()> {
        let (program, build_id) = (dir.join("bin").join(&self.name), self.build_id());
        let mut linker = format!("-Wl,--build-id=0x{build_id}");
        // A static program that is moved as it is loaded dies of one.
        if !self.flags.iter().any(|flag| flag.ends_with("static")) {
            linker.push_str(&format!(",-rpath,{LIBRARIES}"));
        }
        let extension = self.source.extension().and_then(|extension| extension.to_str());
        let mut compiler = match extension {
            Some("c") => Command::new("gcc"),
            Some("cc") => Command::new("g++"),
            Some("rs") => Command::new("rustc"),
            Some("go") => Command::new("go"),
            _ => bail!("{}: who compiles that?", self.source.display()),
        };
        match extension {
            Some("rs") => {
                compiler.args(["--edition", "2024", "-C"]).arg(format!("link-arg={linker}"))
            }
            Some("go") => compiler.args(["build", "-trimpath"]),
            _ => compiler.args(["-Wall", "-Wextra", "-Werror", &linker]),
        };
        if extension == Some("go") {
            let cache = setup::cache()?.join("go");
            compiler.env("GO111MODULE", "off").env("GOFLAGS", "").env("GOTOOLCHAIN", "local");
            compiler.env("CGO_ENABLED", "0").env("GOCACHE", cache).stdin(Stdio::null());
        }
        let own = usize::from(self.symbols() != Symbols::Kept);
        compiler.args(&self.flags[own..]).arg("-o").arg(&program).arg(&self.source);
        output(&mut compiler).with_context(|| self.name.clone())?;
        self.strip(&program, dir)
    }

    fn strip(&self, program: &Path, dir: &Path) -> Result<()> {
        let by_build_id = |below: &str, extension: &str| -> Result<PathBuf> {
            let build_id = self.build_id();
            let (first, rest) = build_id.split_at(2);
            let dir = dir.join(below).join(".build-id").join(first);
            fs::create_dir_all(&dir)?;
            Ok(dir.join(format!("{rest}{extension}")))
        };
        fs::copy(program, dir.join("whole").join(&self.name))?;
        let keep = |debug: &Path| {
            call(Command::new("objcopy").arg("--only-keep-debug").arg(program).arg(debug))
        };
        match self.symbols() {
            Symbols::Kept => {
                fs::copy(program, by_build_id("all", "")?)?;
                return Ok(());
            }
            Symbols::Stripped => {}
            Symbols::Separate => {
                keep(&by_build_id("all", ".debug")?)?;
                keep(&by_build_id("debug", ".debug")?)?;
            }
            Symbols::Elsewhere => keep(&by_build_id("all", ".debug")?)?,
        }
        call(Command::new("objcopy").arg("--strip-all").arg(program))
    }
}

/// Where they are built. `bin` and `debug` are the guest's; of this host alone are `all`, which has whatever is known of each by its
/// build id, and `whole`, the programs before they were stripped.
fn directory() -> PathBuf {
    target().join("guest/victims")
}

/// A disk with the victims, and a list of them.
///
/// # Errors
/// Where one does not compile.
pub fn disk() -> Result<PathBuf> {
    setup::packages(&COMPILERS, "compiling victims")?;
    if !setup::tool("gdb") {
        setup::packages(&["gdb-minimal"], "asking gdb for the victims' stacks")?;
    }
    let (mut builds, mut key) = (Vec::new(), include_str!("victims.rs").to_owned());
    let mut sources: Vec<PathBuf> = fs::read_dir(root().join("xtask/guest/frames"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    sources.sort();
    for source in sources {
        let text = fs::read_to_string(&source)?;
        builds.extend(text.lines().filter_map(|line| Build::parse(&source, line)));
        key.push_str(&text);
    }
    for (compiler, version) in
        [("gcc", "--version"), ("g++", "--version"), ("rustc", "-V"), ("go", "version")]
    {
        key.push_str(&output(Command::new(compiler).arg(version))?);
    }
    let dir = directory();
    let (disk, made) = (dir.with_extension("disk"), dir.join(".made"));
    if fs::read_to_string(&made).is_ok_and(|of| of == key) {
        return Ok(disk);
    }
    let _ = fs::remove_dir_all(&dir);
    for sub in ["bin", "debug", "lib", "all", "whole"] {
        fs::create_dir_all(dir.join(sub))?;
    }
    let line = |build: &Build| {
        let symbols = if build.symbols() == Symbols::Stripped { " stripped" } else { "" };
        format!("{} {}{symbols}\n", build.name, build.how)
    };
    fs::write(dir.join("list"), builds.iter().map(line).collect::<String>())?;
    for build in &builds {
        build.compile(&dir)?;
    }
    let guest = dir.with_extension("guest");
    let _ = fs::remove_dir_all(&guest);
    fs::create_dir_all(&guest)?;
    for name in ["libgcc_s.so.1", "libstdc++.so.6"] {
        let machine = Machine::X86_64;
        let packages = packages::libraries(machine)?;
        let places = ["usr/lib", "lib"].map(|lib| packages.join(lib).join(machine.triplet()));
        let found = places.iter().map(|place| place.join(name)).find(|path| path.exists());
        let found = found.with_context(|| format!("no {name} in its package"))?;
        fs::copy(found, dir.join("lib").join(name))?;
    }
    let parts = ["bin", "debug", "lib", "list"].map(|part| dir.join(part));
    call(Command::new("cp").arg("-a").args(parts).arg(&guest))?;
    fs::File::create(&disk)?.set_len(128 << 20)?;
    call(Command::new("mke2fs").args(["-q", "-t", "ext4", "-d"]).arg(&guest).arg(&disk))?;
    fs::write(&made, key)?;
    Ok(disk)
}

/// Asks gdb for the stack of each core dump among the results, and leaves what it says, `NAME.bt`, in its place.
///
/// # Errors
/// Where gdb cannot be asked.
pub fn backtraces(results: &Path) -> Result<()> {
    let (dir, sysroot) = (directory(), tree::directory(Machine::X86_64));
    for entry in fs::read_dir(results)? {
        let core = entry?.path();
        let name = core.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(name) = name.strip_prefix(CORE) else { continue };
        let mut gdb = Command::new("gdb");
        gdb.args(["-batch", "-nx", "-iex"]).arg(format!("set sysroot {}", sysroot.display()));
        gdb.arg("-iex").arg(format!("set solib-search-path {}", dir.join("lib").display()));
        gdb.args(["-iex", "set debug-file-directory /nonexistent"]);
        gdb.args(["-iex", "set debuginfod enabled off"]);
        gdb.args(QUESTIONS.iter().flat_map(|question| ["-ex", question]));
        gdb.arg(dir.join("whole").join(name)).arg(&core).stdin(Stdio::null());
        fs::write(results.join(name).with_extension("bt"), output(&mut gdb)?)?;
        fs::remove_file(&core)?;
    }
    Ok(())
}
