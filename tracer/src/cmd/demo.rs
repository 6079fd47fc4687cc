//! `whybus demo`: one harmless bus error, in a file of our own, and the answer to it.
use std::{env, ffi::OsString, fs, path::Path, ptr, slice};

use anyhow::{Context as _, Result, ensure};
use rustix::{
    mm::{MapFlags, ProtFlags, mmap},
    process::{Resource, Rlimit, setrlimit},
};

use crate::{
    cmd::exit_status::ExitStatus,
    correlate::readiness::readiness,
    model::{observe::Readiness, process::ExitScope},
    render::Format,
    select::selection::Selection,
    sink::stdout::StdoutSink,
    text::secrets::Secrets,
    watch::live::{WatchOptions, watch},
};

/// A reader of a mapped file, and a script that copies over it.
const SCRIPT: &str = r#"
echo >&2 "a process maps $1/live.db and reads it; then cp overwrites it:"
head -c 1048576 /dev/zero > "$1/live.db"
head -c 4096 /dev/zero > "$1/new.db"
"$0" demo-victim "$1/live.db" & victim=$!
until [ -e "$1/live.db.mapped" ]; do sleep 0.05; done
cp "$1/new.db" "$1/live.db"
wait $victim
[ $? -eq 135 ]
"#;

/// # Errors
/// As [`watch`], or where the temporary directory cannot be used.
pub fn run() -> Result<ExitStatus> {
    let dir = env::temp_dir().join(format!("whybus-demo-{}", std::process::id()));
    fs::create_dir(&dir).with_context(|| format!("creating {}", dir.display()))?;
    let own = env::current_exe().context("finding our own program")?;
    let command: Vec<OsString> =
        vec!["sh".into(), "-c".into(), SCRIPT.into(), own.into(), dir.clone().into()];
    let options = WatchOptions {
        selection: Selection::default(),
        deaths: ExitScope::default(),
        restarts: false,
        shared_shrinks: false,
        duration: None,
        count: None,
        required: &[],
        secrets: Secrets::default(),
        save: None,
        fail_every: 0,
        verbose: None,
        runs_commands: false,
        command: &command,
    };
    let watched = watch(&options, &mut StdoutSink::new(Format::Human, false));
    let _ = fs::remove_dir_all(&dir);
    let watched = watched?;
    Ok(match watched.command {
        _ if readiness(&watched.coverage) == Readiness::NotReady => ExitStatus::Unavailable,
        Some(end) => ExitStatus::Command(end.status()),
        None => ExitStatus::Done,
    })
}

/// Maps `file` and reads its last page until that fails.
///
/// # Errors
/// Where the file cannot be mapped.
pub fn victim(file: &Path) -> Result<ExitStatus> {
    // The bus error is the point; a core file is not.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let data = fs::File::open(file)?;
    let len = usize::try_from(data.metadata()?.len())?;
    ensure!(len > 0, "{} is empty", file.display());
    // SAFETY: a new mapping of a file we hold open.
    let map = unsafe { mmap(ptr::null_mut(), len, ProtFlags::READ, MapFlags::SHARED, &data, 0) }
        .with_context(|| format!("mapping {}", file.display()))?;
    // SAFETY: mapped above; that the file may shrink under it is what this shows.
    let bytes = unsafe { slice::from_raw_parts(map.cast::<u8>(), len) };
    fs::write(file.with_extension("db.mapped"), "")?;
    loop {
        // SAFETY: inside the mapping; volatile so that it is read every time.
        std::hint::black_box(unsafe { (&raw const bytes[len - 100]).read_volatile() });
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}
