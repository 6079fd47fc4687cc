//! Builds the probes, and once more with what they say of themselves. Both objects are checked in, with the hashes of
//! what they were made from, so that users need neither this nor LLVM.
use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};

use crate::{
    setup,
    shell::{call, output, root, say},
};

/// lz4 with its size in front, as both are embedded.
const OBJECT: &str = "tracer/bpf/whybus.bpf.o.lz4";
/// What `trace -v` loads.
const LOG_OBJECT: &str = "tracer/bpf/whybus-log.bpf.o.lz4";
const MANIFEST: &str = "tracer/bpf/manifest";

const HEAD: &str = "# Made by `cargo xtask ebpf`: what the objects were built from, and by what.\n";

/// Fresh objects, as they are checked in.
pub struct Built {
    object: Vec<u8>,
    log: Vec<u8>,
}

impl Built {
    /// Each with its name.
    fn files(&self) -> [(&'static str, &[u8]); 2] {
        [(OBJECT, &self.object), (LOG_OBJECT, &self.log)]
    }
}

/// Builds, or with `check` compares.
///
/// # Errors
/// Where the build fails, or the checked-in object is not that of the sources.
pub fn run(check: bool) -> Result<()> {
    if !check {
        let built = build()?;
        install(&built)?;
        say(format_args!("{OBJECT} and {LOG_OBJECT} are up to date"));
        return Ok(());
    }
    let recorded = fs::read_to_string(root().join(MANIFEST)).unwrap_or_default();
    ensure!(
        hashes(&recorded).eq(hashes(&manifest()?)),
        "the objects in tracer/bpf were not made from these sources: run `cargo xtask ebpf` and commit the result"
    );
    if setup::packages(setup::COMPILER, "rebuilding the probes").is_err() {
        say("the objects belong to the sources by their hashes; not rebuilt, no compiler for them");
        return Ok(());
    }
    compare(&build()?)
}

/// Holds a fresh build against the objects that are checked in. Another compiler may well make other
/// bytes of the same sources; then there is nothing to compare.
///
/// # Errors
/// Where the same compiler made something else.
pub fn compare(built: &Built) -> Result<()> {
    let recorded = fs::read_to_string(root().join(MANIFEST)).unwrap_or_default();
    let compiler = compiler()?;
    if !recorded.lines().any(|line| line == compiler) {
        say(format_args!(
            "the objects were made by another compiler than {compiler}: built, not compared"
        ));
        return Ok(());
    }
    for (name, fresh) in built.files() {
        let same = fs::read(root().join(name)).is_ok_and(|checked_in| checked_in == fresh);
        ensure!(same, "{name} differs from a fresh build: run `cargo xtask ebpf` and commit it");
        say(format_args!("{name} is what the sources build"));
    }
    Ok(())
}

/// The lines of a manifest that name files.
fn hashes(manifest: &str) -> impl Iterator<Item = &str> {
    manifest.lines().filter(|line| !line.starts_with('#'))
}

/// What compiles the probes, as the manifest has it.
fn compiler() -> Result<String> {
    let rustc = output(Command::new("/usr/bin/rustc").arg("--version"))?;
    Ok(format!("# {}, bpf-linker {}", rustc.trim(), setup::LINKER))
}

/// Compiles and strips the probes, in both forms.
///
/// # Errors
/// Where something is missing or the compiler refuses.
pub fn build() -> Result<Built> {
    setup::packages(setup::COMPILER, "compiling the probes")?;
    let object = compile("whybus.bpf.o", &[])?;
    let log = compile("whybus-log.bpf.o", &["--features", "log"])?;
    let pack = lz4_flex::block::compress_prepend_size;
    Ok(Built { object: pack(&object), log: pack(&log) })
}

/// Compiles the probes with these features, and strips them; gives the object.
fn compile(name: &str, features: &[&str]) -> Result<Vec<u8>> {
    let linker = setup::bpf_linker()?;
    let target = root().join("target/ebpf");
    let mut path = vec![linker];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    // The object must not depend on where it was built.
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let registry = env::var_os("CARGO_HOME").map_or_else(
        || Path::new(&env::var_os("HOME").unwrap_or_default()).join(".cargo"),
        PathBuf::from,
    );
    let mut flags = vec![
        "--cfg=bpf_target_arch=\"x86_64\"".to_owned(),
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        remap(&root(), "/whybus"),
        remap(&registry, "/cargo"),
    ];
    // Nor on which registry the crates came from: their folder bears its name. The last match wins.
    for entry in fs::read_dir(registry.join("registry/src")).into_iter().flatten().flatten() {
        flags.push(remap(&entry.path(), "/cargo/crates"));
    }
    let mut command = Command::new("/usr/bin/cargo");
    command
        .current_dir(root())
        .args(["build", "--quiet", "--release", "--locked", "-Zbuild-std=core"])
        .args(["--target", "bpfel-unknown-none", "--package", "tracer-ebpf", "--target-dir"])
        .arg(&target)
        .args(features)
        .env("PATH", env::join_paths(path)?)
        .env("RUSTC", "/usr/bin/rustc")
        .env("RUSTC_BOOTSTRAP", "1")
        // bpf-linker links all of it as one unit anyway; these only keep the object what it is.
        .env("CARGO_PROFILE_RELEASE_LTO", "thin")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "4")
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    call(&mut command).context("compiling the probes")?;
    let made = target.join("bpfel-unknown-none/release/whybus");
    let stripped = target.join(name);
    let dumped = target.join("BTF.ext");
    let objcopy = || Command::new("/usr/lib/llvm-22/bin/llvm-objcopy");
    let section = |what: &str| format!("--{what}-section=.BTF.ext={}", dumped.display());
    call(objcopy().arg(section("dump")).arg(&made).arg(&stripped))
        .context("types of the probes")?;
    fs::write(&dumped, without_lines(fs::read(&dumped)?)?)?;
    // Its relocations nobody applies: aya takes offsets as they stand.
    let mut strip = objcopy();
    strip.args(["--strip-debug", "--remove-section=.rel.BTF.ext"]).arg(section("update"));
    call(strip.arg(&made).arg(&stripped)).context("stripping the probes")?;
    fs::read(&stripped).with_context(|| format!("reading {name}"))
}

/// `.BTF.ext` without lines of source, which kernel and tracer would keep for each program as long as it is loaded: nobody
/// reads them but who reads a log of the verifier.
fn without_lines(mut section: Vec<u8>) -> Result<Vec<u8>> {
    // `struct btf_ext_header` (tools/lib/bpf/libbpf_internal.h).
    let word = |at: usize| {
        let word = section.get(at..at + 4).and_then(|word| word.first_chunk());
        word.map(|word| u32::from_le_bytes(*word)).context(".BTF.ext is cut short")
    };
    let (header, lines, relocations) = (word(4)?, word(16)?, word(28)?);
    ensure!(relocations == 0, "the probes have relocations in .BTF.ext");
    section.truncate((header + lines) as usize);
    section[20..24].fill(0);
    // What would come next begins where this ends.
    section.copy_within(16..20, 24);
    Ok(section)
}

/// Puts built objects where the tracer includes them from.
///
/// # Errors
/// Where one cannot be written.
pub fn install(built: &Built) -> Result<()> {
    for (name, object) in built.files() {
        let target = root().join(name);
        // An untouched file keeps its time, and the tracer need not be compiled again.
        if fs::read(&target).ok().as_deref() != Some(object) {
            fs::write(&target, object).with_context(|| format!("writing {name}"))?;
        }
    }
    let manifest = format!("{}{}\n{}", HEAD, compiler()?, manifest()?);
    if fs::read_to_string(root().join(MANIFEST)).ok().as_deref() != Some(&manifest) {
        fs::write(root().join(MANIFEST), manifest)?;
    }
    Ok(())
}

/// A line a source file: its hash and name.
fn manifest() -> Result<String> {
    let mut files = BTreeMap::new();
    for dir in ["tracer-common", "tracer-ebpf"] {
        collect(&root().join(dir), &mut files)?;
    }
    let mut out = String::new();
    for (file, hash) in files {
        out.push_str(&format!("{hash}  {file}\n"));
    }
    Ok(out)
}

fn collect(dir: &Path, files: &mut BTreeMap<String, String>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
            continue;
        }
        let Ok(name) = path.strip_prefix(root()) else { bail!("{} is elsewhere", path.display()) };
        let hash = Sha256::digest(fs::read(&path)?);
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        files.insert(name.display().to_string(), hex);
    }
    Ok(())
}
