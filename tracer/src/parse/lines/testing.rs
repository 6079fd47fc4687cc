//! A program of the compiler that is there.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use object::{Object as _, ObjectSymbol as _};
use tempfile::TempDir;

/// `// INLINED` and `// OUTER` mark lines.
const PROGRAM: &str = "
static inline __attribute__((always_inline)) int inlined(volatile int *p) {
    return p[0] / p[1]; // INLINED
}
static inline __attribute__((always_inline)) int between(volatile int *p) {
    return inlined(p) + 1; // BETWEEN
}
__attribute__((noinline)) int outer(volatile int *p) {
    int sum = 7;
    sum += between(p); // OUTER
    return sum;
}
int main(int argc, char **argv) { return outer((volatile int *)argv); }
";

/// Where a mark is.
pub(crate) fn line(mark: &str) -> u32 {
    let at = PROGRAM.lines().position(|line| line.ends_with(&format!("// {mark}")));
    u32::try_from(at.expect("a mark") + 1).expect("few")
}

pub(crate) fn run(program: &str, arguments: &[&str], directory: &Path) {
    let status = Command::new(program).args(arguments).current_dir(directory).status();
    assert!(status.is_ok_and(|status| status.success()), "{program} {arguments:?}");
}

/// The program, compiled.
pub(crate) fn compiled(flags: &[&str]) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("program.c"), PROGRAM).expect("room");
    let arguments = [&["-O2", "-g", "program.c", "-o", "program"], flags].concat();
    run("cc", &arguments, directory.path());
    let program = directory.path().join("program");
    (directory, program)
}

/// The addresses of `outer`.
pub(crate) fn outer(file: &[u8]) -> Vec<Option<u64>> {
    symbol("outer", file).map(Some).collect()
}

/// The addresses of a function.
pub(crate) fn symbol(name: &str, file: &[u8]) -> std::ops::Range<u64> {
    let elf = object::File::parse(file).expect("ELF");
    let symbol = elf.symbols().find(|symbol| symbol.name() == Ok(name)).expect("it");
    symbol.address()..symbol.address() + symbol.size()
}
