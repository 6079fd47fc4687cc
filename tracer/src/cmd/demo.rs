//! `whybus demo`: one harmless bus error, in a file of our own, and the answer to it.
use std::{env, fs, path::Path, process::ExitCode, ptr, slice};

use anyhow::{Context as _, Result, ensure};
use clap::Parser as _;

use crate::cli::{Cli, Verb};

/// A reader of a mapped file, and a script that copies over it.
const SCRIPT: &str = r#"
head -c 1048576 /dev/zero > "$1/live.db"
head -c 4096 /dev/zero > "$1/new.db"
"$0" demo-victim "$1/live.db" & victim=$!
until [ -e "$1/live.db.mapped" ]; do sleep 0.05; done
cp "$1/new.db" "$1/live.db"
wait $victim
[ $? -eq 135 ]
"#;

/// # Errors
/// As [`super::trace::run`], or where the temporary directory cannot be used.
pub fn run() -> Result<ExitCode> {
    let dir = env::temp_dir().join(format!("whybus-demo-{}", std::process::id()));
    fs::create_dir(&dir).with_context(|| format!("creating {}", dir.display()))?;
    let own = env::current_exe().context("finding our own program")?;
    let command = ["whybus", "trace", "--", "sh", "-c", SCRIPT].map(Into::into);
    let words = command.into_iter().chain([own.into_os_string(), dir.clone().into_os_string()]);
    eprintln!("a process maps {0}/live.db and reads it; then cp overwrites it:\n", dir.display());
    let watched = match Cli::try_parse_from(words)?.verb {
        Verb::Trace(args) => super::trace::run(&args),
        _ => unreachable!("the words above are `trace`"),
    };
    let _ = fs::remove_dir_all(&dir);
    watched
}

/// Maps `file` and reads its last page until that fails.
///
/// # Errors
/// Where the file cannot be mapped.
pub fn victim(file: &Path) -> Result<ExitCode> {
    // The bus error is the point; a core file is not.
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid resource and limit.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) };
    let data = fs::File::open(file)?;
    let len = usize::try_from(data.metadata()?.len())?;
    ensure!(len > 0, "{} is empty", file.display());
    // SAFETY: a new mapping of a file we hold open.
    let map = unsafe {
        let fd = std::os::fd::AsRawFd::as_raw_fd(&data);
        libc::mmap(ptr::null_mut(), len, libc::PROT_READ, libc::MAP_SHARED, fd, 0)
    };
    ensure!(
        map != libc::MAP_FAILED,
        "mapping {}: {}",
        file.display(),
        std::io::Error::last_os_error()
    );
    // SAFETY: mapped above; that the file may shrink under it is what this shows.
    let bytes = unsafe { slice::from_raw_parts(map.cast::<u8>(), len) };
    fs::write(file.with_extension("db.mapped"), "")?;
    loop {
        // SAFETY: inside the mapping; volatile so that it is read every time.
        std::hint::black_box(unsafe { (&raw const bytes[len - 100]).read_volatile() });
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}
