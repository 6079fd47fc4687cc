//! Cgroups as they are made.
use crate::event::Header;

/// Longest path that the kernel tells of a cgroup, its NUL included (include/linux/cgroup.h
/// TRACE_CGROUP_PATH_LEN). A longer one is cut.
pub const CGROUP_PATH: usize = 1024;

/// A cgroup was made, or renamed (`cgroup:cgroup_mkdir`, `cgroup:cgroup_rename`).
///
/// Followed by `path_len` bytes: its path from the root of its hierarchy. There are none where it could not be
/// read (lockdown).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Cgroup {
    pub header: Header,
    /// As [`crate::event::Task::cgroup`].
    pub id: u64,
    pub path_len: u32,
    pub pad: u32,
}
