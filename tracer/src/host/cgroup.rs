//! Cgroups by their id, which the kernel tells with every event: /proc forgets a process when it is reaped, its
//! cgroup stays.
use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::{self, File},
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::{
            ffi::{OsStrExt as _, OsStringExt as _},
            fs::DirEntryExt as _,
        },
    },
    path::{Path, PathBuf},
};

use crate::{host::proc::mountinfo, model::Bytes};

/// fs/kernfs/mount.c: kernfs encodes a handle as the id alone (FILEID_KERNFS, since 5.5).
const FILEID_KERNFS: i32 = 0xfe;
/// Controllers whose v1 hierarchy tells where a process was put, the best first: systemd and container
/// runtimes make a cgroup in it for every unit and container.
const CONTROLLERS: [&str; 2] = ["pids", "memory"];
/// Cgroups that are listed at most.
const LISTED: usize = 16_384;

/// `struct file_handle` with an id in it.
#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    id: u64,
}

/// The controller whose v1 hierarchy names cgroups here, and that hierarchy's number; `None` where the v2
/// hierarchy does.
pub fn v1_hierarchy() -> Option<(&'static str, u32)> {
    used_as_v1(&fs::read_to_string("/proc/cgroups").unwrap_or_default())
}

/// `#subsys_name hierarchy num_cgroups enabled`: hierarchy 0 is the v2 one (kernel/cgroup/cgroup-v1.c
/// proc_cgroupstats_show).
fn used_as_v1(text: &str) -> Option<(&'static str, u32)> {
    CONTROLLERS.into_iter().find_map(|controller| {
        let line = text.lines().find(|line| line.split_whitespace().next() == Some(controller))?;
        let hierarchy = line.split_whitespace().nth(1)?.parse().ok()?;
        (hierarchy != 0).then_some((controller, hierarchy))
    })
}

/// The hierarchy that names cgroups, where it is mounted.
#[derive(Debug)]
pub struct Hierarchy {
    point: Bytes,
    root: File,
}

impl Hierarchy {
    /// That of the `controller` of v1, or the v2 one.
    pub fn open(controller: Option<&str>) -> Option<Self> {
        let text = fs::read("/proc/self/mountinfo").ok()?;
        let point = match controller {
            Some(controller) => mountinfo::with_option(&text, b"cgroup", controller.as_bytes()),
            None => mountinfo::parse(&text)
                .into_iter()
                .find(|mount| mount.fstype == b"cgroup2" && mount.root == b"/"),
        }?
        .point;
        let root = File::open(OsStr::from_bytes(&point)).ok()?;
        Some(Self { point, root })
    }

    /// The path of cgroup `id` below the hierarchy's root; `None` if it is gone.
    pub fn path(&self, id: u64) -> Option<Bytes> {
        let directory = self.directory(id)?;
        let link = format!("/proc/self/fd/{}", directory.as_raw_fd());
        let full = fs::read_link(link).ok()?.into_os_string().into_vec();
        // Removed between the two: /proc says so behind the name, which then is not the name.
        self.directory(id)?;
        let below = full.strip_prefix(self.point.strip_suffix(b"/").unwrap_or(&self.point))?;
        Some(if below.is_empty() { b"/".to_vec() } else { below.to_vec() })
    }

    /// The directory of cgroup `id`; `None` if it is gone.
    fn directory(&self, id: u64) -> Option<OwnedFd> {
        let mut handle = Handle { bytes: 8, kind: FILEID_KERNFS, id };
        // SAFETY: an open directory, and a handle as long as it says; the descriptor is ours.
        unsafe {
            let fd = libc::open_by_handle_at(
                self.root.as_raw_fd(),
                (&raw mut handle).cast(),
                libc::O_PATH | libc::O_CLOEXEC,
            );
            (fd >= 0).then(|| OwnedFd::from_raw_fd(fd))
        }
    }

    /// All cgroups there are, by id; not more than can be kept.
    pub fn list(&self) -> HashMap<u64, Bytes> {
        let mut found = HashMap::new();
        let mut directories = vec![PathBuf::from(OsStr::from_bytes(&self.point))];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                if found.len() == LISTED {
                    return found;
                }
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    let path = entry.path();
                    if let Some(below) = self.below(&path) {
                        found.insert(entry.ino(), below);
                    }
                    directories.push(path);
                }
            }
        }
        found
    }

    fn below(&self, path: &Path) -> Option<Bytes> {
        let point = self.point.strip_suffix(b"/").unwrap_or(&self.point);
        Some(path.as_os_str().as_bytes().strip_prefix(point)?.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n";

    #[test]
    fn a_controller_that_is_mounted_as_v1_names_cgroups() {
        let cases = [
            ("cpuset\t0\t1\t1\nmemory\t0\t1\t1\npids\t0\t1\t1\n", None),
            ("cpuset\t9\t1\t1\nmemory\t4\t7\t1\npids\t2\t9\t1\n", Some(("pids", 2))),
            ("memory\t4\t7\t1\npids\t0\t9\t1\n", Some(("memory", 4))),
            ("memory\n\npids\tx\t9\t1\n", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(used_as_v1(&format!("{HEAD}{text}")), expected, "{text}");
        }
    }

    /// The hierarchy's interface is that of directories: whatever lies below is listed by its inode.
    #[test]
    fn every_directory_is_listed_under_its_inode() {
        use std::os::unix::fs::MetadataExt as _;
        let top = std::env::temp_dir().join(format!("whybus-cgroup-{}", std::process::id()));
        fs::create_dir_all(top.join("a/b\n")).expect("a directory");
        fs::write(top.join("a/file"), b"").expect("a file");
        let hierarchy = Hierarchy {
            point: top.clone().into_os_string().into_vec(),
            root: File::open(&top).expect("a directory"),
        };
        let id = |path: &str| fs::metadata(top.join(path)).expect("a directory").ino();
        let expected = [(id("a"), b"/a".to_vec()), (id("a/b\n"), b"/a/b\n".to_vec())];
        assert_eq!(hierarchy.list(), HashMap::from(expected));
        fs::remove_dir_all(&top).expect("it was ours");
    }
}
