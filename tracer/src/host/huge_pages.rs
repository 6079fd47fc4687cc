//! Huge pages: of which size a file has them, and what is left of those.
use std::{fs, os::fd::OwnedFd, path::Path};

use rustix::fs::{MemfdFlags, Stat, fstat, major, memfd_create, minor, stat};

use crate::model::{
    Bytes,
    fact::{HugeLimit, HugePages},
    file::{Dev, Mount, on},
    task::ProcessId,
};

/// A directory for each size, `hugepages-2048kB`.
const POOLS: &str = "/sys/kernel/mm/hugepages";

/// Reads the pool that the huge pages of files on `dev` are taken from.
pub fn pool(dev: Dev, mounts: &[Mount]) -> Option<HugePages> {
    let pools = Path::new(POOLS);
    read(pools, page_size(dev, mounts, &sizes(pools))?)
}

fn read(pools: &Path, size: u64) -> Option<HugePages> {
    let dir = pools.join(format!("hugepages-{}kB", size >> 10));
    let number = |file| fs::read_to_string(dir.join(file)).ok()?.trim().parse().ok();
    Some(HugePages {
        victim: None,
        total: number("nr_hugepages")?,
        free: number("free_hugepages")?,
        reserved: number("resv_hugepages")?,
        size,
    })
}

/// The sizes there are, in bytes.
fn sizes(pools: &Path) -> Vec<u64> {
    let size = |name: String| {
        let kib: u64 = name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
        kib.checked_mul(1024).filter(|size| size.is_power_of_two())
    };
    let entries = fs::read_dir(pools).into_iter().flatten().flatten();
    entries.filter_map(|entry| size(entry.file_name().into_string().ok()?)).collect()
}

/// A hugetlbfs has pages of one size: one that is mounted, or the kernel's own for each size, of anonymous memory, of
/// shared memory and of memory files (fs/hugetlbfs/inode.c hugetlb_file_setup).
fn page_size(dev: Dev, mounts: &[Mount], sizes: &[u64]) -> Option<u64> {
    let of = |stat: Stat| {
        let found = Dev { major: major(stat.st_dev), minor: minor(stat.st_dev) };
        (found == dev).then_some(stat.st_blksize as u64)
    };
    let mounted = on(dev, mounts).into_iter().find_map(|mount| of(stat(&mount.point[..]).ok()?));
    mounted.or_else(|| sizes.iter().find_map(|size| of(fstat(memory(*size)?).ok()?)))
}

/// A memory file that is empty: no page is taken for it.
fn memory(size: u64) -> Option<OwnedFd> {
    // include/uapi/linux/memfd.h MFD_HUGE_SHIFT
    let size = MemfdFlags::from_bits_retain(size.trailing_zeros() << 26);
    let flags = MemfdFlags::HUGETLB | MemfdFlags::CLOEXEC | size;
    // vm.memfd_noexec may demand the first, and kernels before 6.3 refuse it.
    let kinds = [MemfdFlags::NOEXEC_SEAL, MemfdFlags::empty()];
    kinds.into_iter().find_map(|kind| memfd_create("whybus", flags | kind).ok())
}

/// The nearest cgroup of `path` whose limit on huge pages of `size` bytes leaves no room for one.
pub fn limit(victim: ProcessId, mounts: &[Mount], path: &[u8], size: u64) -> Option<HugeLimit> {
    let size_name = name(size);
    let v2 = mounts.iter().find(|mount| mount.fstype == b"cgroup2");
    let v1 = mounts.iter().find(|m| m.fstype == b"cgroup" && m.point.ends_with(b"/hugetlb"));
    [(v2, "max", "current"), (v1, "limit_in_bytes", "usage_in_bytes")].into_iter().find_map(
        |(mount, limit, used)| {
            let point = String::from_utf8(mount?.point.clone()).ok()?;
            let path = std::str::from_utf8(path).ok()?;
            let mut cgroup = path.trim_end_matches('/');
            while !cgroup.is_empty() {
                let number = |what: &str| -> Option<u64> {
                    let file = format!("{point}{cgroup}/hugetlb.{size_name}.{what}");
                    fs::read_to_string(file).ok()?.trim().parse().ok()
                };
                if let (Some(limit), Some(used)) = (number(limit), number(used))
                    && used.saturating_add(size) > limit
                {
                    return Some(HugeLimit { victim, cgroup: Bytes::from(cgroup), used, limit });
                }
                cgroup = &cgroup[..cgroup.rfind('/')?];
            }
            None
        },
    )
}

/// What a cgroup calls huge pages of a size (mm/hugetlb_cgroup.c mem_fmt).
fn name(size: u64) -> String {
    match size {
        1_073_741_824.. => format!("{}GB", size >> 30),
        1_048_576.. => format!("{}MB", size >> 20),
        _ => format!("{}KB", size >> 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As an arm64 kernel with pages of 16 KiB has it, whose default are those of 32 MiB.
    #[test]
    fn a_pool_is_read_by_its_size() {
        let dir = tempfile::tempdir().expect("a directory");
        for (size, free) in [("2048", "3\n"), ("32768", "0\n"), ("1048576", "x\n")] {
            let pool = dir.path().join(format!("hugepages-{size}kB"));
            fs::create_dir(&pool).expect("a directory");
            for (file, text) in
                [("nr_hugepages", "4\n"), ("free_hugepages", free), ("resv_hugepages", "1\n")]
            {
                fs::write(pool.join(file), text).expect("a file");
            }
        }
        fs::create_dir(dir.path().join("hugepages-17kB")).expect("a directory");
        let mut sizes = sizes(dir.path());
        sizes.sort_unstable();
        assert_eq!(sizes, [2 << 20, 32 << 20, 1 << 30]);
        let pool = HugePages { victim: None, total: 4, free: 3, reserved: 1, size: 2 << 20 };
        assert_eq!(read(dir.path(), 2 << 20), Some(pool));
        assert_eq!((read(dir.path(), 1 << 30), read(dir.path(), 1 << 16)), (None, None));
    }

    #[test]
    fn a_file_of_another_kind_has_no_huge_pages() {
        let stat = stat("/proc").expect("/proc");
        let dev = Dev { major: major(stat.st_dev), minor: minor(stat.st_dev) };
        assert_eq!(page_size(dev, &[], &[2 << 20, 1 << 30]), None);
    }

    #[test]
    fn a_cgroup_names_sizes_by_the_largest_unit() {
        assert_eq!([1 << 16, 2 << 20, 32 << 20, 1 << 30].map(name), ["64KB", "2MB", "32MB", "1GB"]);
    }
}
