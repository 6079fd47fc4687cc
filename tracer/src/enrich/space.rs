//! How much room there is, where a fault says that there was none.
use std::{ffi::CString, fs, mem::MaybeUninit};

use crate::event::model::{HugePages, Mount, Space};

/// Asks a local file system for its room. Network and FUSE file systems are not asked: a dead
/// server would hold us up.
pub fn read(mount: &Mount) -> Option<Space> {
    const LOCAL: [&[u8]; 8] =
        [b"ext2", b"ext3", b"ext4", b"xfs", b"btrfs", b"tmpfs", b"f2fs", b"zfs"];
    if !LOCAL.contains(&mount.fstype.as_slice()) {
        return None;
    }
    let point = CString::new(mount.point.clone()).ok()?;
    let mut answer = MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: a string that ends with NUL, and a place to write to.
    if unsafe { libc::statvfs(point.as_ptr(), answer.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: filled in, all zeroes before.
    let answer = unsafe { answer.assume_init() };
    Some(Space {
        dev: mount.dev,
        total: answer.f_blocks.saturating_mul(answer.f_frsize),
        free: answer.f_bavail.saturating_mul(answer.f_frsize),
        free_inodes: answer.f_favail,
    })
}

/// Reads the pool of huge pages of the default size.
pub fn huge_pages() -> Option<HugePages> {
    parse(&fs::read_to_string("/proc/meminfo").ok()?)
}

fn parse(meminfo: &str) -> Option<HugePages> {
    let field = |name: &str| -> Option<u64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_ascii_whitespace().next()?.parse().ok()
    };
    Some(HugePages {
        total: field("HugePages_Total")?,
        free: field("HugePages_Free")?,
        reserved: field("HugePages_Rsvd")?,
        size: field("Hugepagesize")? * 1024,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_tells_the_pool() {
        let text = "MemTotal: 1 kB\nHugePages_Total:       4\nHugePages_Free:        1\n\
                    HugePages_Rsvd:        1\nHugepagesize:       2048 kB\n";
        let pool = HugePages { total: 4, free: 1, reserved: 1, size: 2 << 20 };
        assert_eq!(parse(text), Some(pool));
        assert_eq!(parse("HugePages_Total: x"), None);
    }
}
