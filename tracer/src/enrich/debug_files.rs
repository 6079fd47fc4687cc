//! Files that hold the debug information of others, as distributions ship it.
use std::{
    ffi::OsStr,
    fs::File,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use crate::enrich::open;

/// Where distributions have them.
pub const DIRECTORY: &str = "/usr/lib/debug";

/// Where the debug information of a build may be: by its build id, and as its file says (`.gnu_debuglink`), given as the
/// path of that file and what it says.
pub fn paths(build_id: &[u8], beside: Option<(&[u8], &[u8])>) -> Vec<PathBuf> {
    let mut paths = vec![by_build_id(DIRECTORY.as_ref(), build_id, ".debug")];
    if let Some((file, link)) = beside
        && !link.contains(&b'/')
        && let Some(directory) = Path::new(OsStr::from_bytes(file)).parent()
    {
        let link = OsStr::from_bytes(link);
        let below = directory.strip_prefix("/").unwrap_or(directory);
        paths.extend([
            directory.join(link),
            directory.join(".debug").join(link),
            Path::new(DIRECTORY).join(below).join(link),
        ]);
    }
    paths
}

/// `DIRECTORY/.build-id/ab/cdef.debug`
pub fn by_build_id(directory: &Path, build_id: &[u8], suffix: &str) -> PathBuf {
    let hex: String = build_id.iter().map(|byte| format!("{byte:02x}")).collect();
    let (first, rest) = hex.split_at(hex.len().min(2));
    directory.join(".build-id").join(first).join(format!("{rest}{suffix}"))
}

/// The regular file at a path, as we see it, or as one of the processes does. Who parses one that it asked for by what it
/// read gets it only if another one finds its build id in it.
pub fn open(path: &Path, roots: &[u32]) -> Option<File> {
    open::regular(path.as_os_str().as_bytes(), roots.iter().copied(), |_| true)
}
