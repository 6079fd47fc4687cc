//! Walks /proc. Every file is asked for its size once, and never a server: a dead NFS or FUSE
//! mount does not hold us up.
use std::{collections::HashMap, fs, io::Read as _};

use rustix::{
    fs::{AtFlags, CWD, FileType, Statx, StatxFlags, statx},
    io::Errno,
};

use crate::{
    host::proc::maps::{Mapping, parse},
    model::{Bytes, file::Dev},
    scan::finding::{File, Finding, judge},
};

/// Longest maps file that is read: beyond 65,530 mappings (vm.max_map_count) and some.
const MAPS: u64 = 64 << 20;

/// Processes that are named of those that do not show theirs.
const CLOSED: usize = 5;

/// A mapping with something wrong, and whose it is.
#[derive(Debug, Clone)]
pub struct Found {
    pub pid: u32,
    pub comm: Bytes,
    pub mapping: Mapping,
    pub size: u64,
    pub finding: Finding,
}

/// What a scan saw.
#[derive(Debug, Default)]
pub struct Scan {
    pub found: Vec<Found>,
    pub processes: u64,
    /// Mappings of files.
    pub mappings: u64,
    /// Processes that would not show their mappings, and some of them.
    pub denied: u64,
    pub closed: Vec<(u32, Bytes)>,
    /// Files whose size could not be had.
    pub unknown: u64,
}

/// Scans every process.
pub fn scan(page_size: u64) -> Scan {
    let mut scan = Scan::default();
    let mut files: HashMap<(Dev, u64, bool), Option<File>> = HashMap::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    for pid in pids {
        let mut text = Vec::new();
        let maps = fs::File::open(format!("/proc/{pid}/maps"));
        match maps.and_then(|maps| maps.take(MAPS).read_to_end(&mut text)) {
            Ok(0) if is_kernel_thread(pid) => continue,
            Ok(_) => scan.processes += 1,
            // Gone in the meantime.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::SRCH) => continue,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            // It has no memory of its own.
            Err(_) if is_kernel_thread(pid) => continue,
            Err(_) => {
                scan.denied += 1;
                if scan.closed.len() < CLOSED {
                    scan.closed.push((pid, name(pid)));
                }
                continue;
            }
        }
        let mut comm = None;
        for mapping in parse(&text) {
            scan.mappings += 1;
            let key = (mapping.dev, mapping.inode, mapping.deleted);
            let known = *files.entry(key).or_insert_with(|| {
                let file = look(pid, &mapping);
                scan.unknown += u64::from(file.is_none());
                file
            });
            let Some(file) = known else { continue };
            if let Some(finding) = judge(&mapping, file, page_size) {
                let comm = comm.get_or_insert_with(|| name(pid)).clone();
                scan.found.push(Found { pid, comm, mapping, size: file.size, finding });
            }
        }
    }
    scan
}

fn is_kernel_thread(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/stat")).is_ok_and(|stat| has_kernel_flag(&stat))
}

/// Whether the flags of a /proc/PID/stat have PF_KTHREAD (include/linux/sched.h); a name may have any bytes.
fn has_kernel_flag(stat: &[u8]) -> bool {
    const PF_KTHREAD: u64 = 0x0020_0000;
    let behind = stat.iter().rposition(|b| *b == b')').and_then(|end| stat.get(end + 1..));
    let fields = behind.and_then(|rest| std::str::from_utf8(rest).ok()).unwrap_or_default();
    let flags = fields.split_whitespace().nth(6).and_then(|flags| flags.parse::<u64>().ok());
    flags.is_some_and(|flags| flags & PF_KTHREAD != 0)
}

fn name(pid: u32) -> Bytes {
    let mut name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.truncate(name.trim_ascii_end().len());
    name
}

/// Asks for the file behind a mapping; by the mapping itself, which also reaches deleted ones, or
/// where that is not allowed by its name.
fn look(pid: u32, mapping: &Mapping) -> Option<File> {
    let root = |path: &[u8]| {
        let mut full = format!("/proc/{pid}/root").into_bytes();
        full.extend_from_slice(path);
        full
    };
    let link = format!("/proc/{pid}/map_files/{:x}-{:x}", mapping.start, mapping.end);
    let by_name = || if mapping.deleted { None } else { stat(&root(&mapping.path)) };
    let status = stat(link.as_bytes()).or_else(by_name)?;
    // Overlay and btrfs show another device in maps than stat(2) does: the inode must do.
    if status.stx_ino != mapping.inode {
        return None;
    }
    let regular = FileType::from_raw_mode(status.stx_mode.into()).is_file();
    let in_place = mapping.deleted && stat(&root(&mapping.path)).is_some();
    Some(File { regular, size: status.stx_size, in_place })
}

/// What the kernel knows of a file, without asking a server: that may be dead.
fn stat(path: &[u8]) -> Option<Statx> {
    statx(CWD, path, AtFlags::STATX_DONT_SYNC, StatxFlags::BASIC_STATS).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_thread_is_known_by_its_flags() {
        assert!(has_kernel_flag(b"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 1 0 0 20 0 1 0"));
        assert!(!has_kernel_flag(b"7 (a) S 0 0 0 0 -1 2129984) S 1 7 7 0 -1 4194560 1 2 3"));
        assert!(!has_kernel_flag(b"7 (a") && !has_kernel_flag(b""));
    }
}
