//! This process' own memory, the size of a page, and how many CPUs share all of it.
use std::{
    os::unix::process::CommandExt as _,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use rustix::thread::{disable_transparent_huge_pages, transparent_huge_pages_are_disabled};

/// Who is never idle gives memory back every so often all the same: to look through the heap takes milliseconds.
const BUSY: Duration = Duration::from_secs(10);

/// Bytes.
pub fn page_size() -> u64 {
    rustix::param::page_size() as u64
}

/// Those online.
pub fn cpus() -> Option<u64> {
    // SAFETY: no preconditions.
    let online = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    u64::try_from(online).ok().filter(|online| *online != 0)
}

/// It was us who asked for small pages.
static SMALL: AtomicBool = AtomicBool::new(false);

/// Keeps this process' memory in small pages. Where huge ones are always on, khugepaged fills up again what `trim` gave back
/// (mm/khugepaged.c, max_ptes_none), some MiB within seconds. And it does so at the lowest priority with the lock of all of
/// the memory held: on a host that others keep busy each page fault of ours, and so the reading of events, waited for it
/// for up to 12 s. Children inherit it; see [`leaves_huge_pages`].
pub fn small_pages() {
    if !transparent_huge_pages_are_disabled().unwrap_or(true)
        && disable_transparent_huge_pages(true).is_ok()
    {
        SMALL.store(true, Ordering::Relaxed);
    }
}

/// Has a command begin with huge pages as we did: it is not ours. (std forks for that rather than to share our memory until the
/// command begins: of what may be called often, `--exec`, a few are at once, and then one in seconds.)
pub fn leaves_huge_pages(command: &mut Command) -> &mut Command {
    let again = || disable_transparent_huge_pages(false).or(Ok(()));
    if SMALL.load(Ordering::Relaxed) {
        // SAFETY: one system call, which a child of several threads may make.
        unsafe { command.pre_exec(again) };
    }
    command
}

/// Keeps all threads on two heaps: each of several has free room of its own between what is in use (mallopt(3)), some
/// 100 KiB a thread.
pub fn few_heaps() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no preconditions.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}

/// Lets go of the pages of our own code, which is that of starting for the most part: what is used comes back from the page
/// cache, page by page. Only code: of what was written to, as relocated tables are, there is no other copy.
pub fn forget_code() {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    for line in maps.lines().filter(|line| line.contains(" r-xp ") && line.contains(" /")) {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        let number = |text| usize::from_str_radix(text, 16).ok();
        let Some((Some(start), Some(end))) = range.map(|(a, b)| (number(a), number(b))) else {
            continue;
        };
        let Some(length) = end.checked_sub(start) else { continue };
        // SAFETY: a private mapping of a file that nobody writes to through it: its pages are read again from the file.
        let _ = unsafe {
            let start = std::ptr::without_provenance_mut(start);
            rustix::mm::madvise(start, length, rustix::mm::Advice::LinuxDontNeed)
        };
    }
}

/// Gives pages that nobody uses any more back to the system: those of the parsed types, and what a burst
/// of events leaves scattered over the heap.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no preconditions.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Memory that work has scattered over the heap.
#[derive(Default)]
pub struct Used {
    /// When work began after it was given back.
    since: Option<Instant>,
}

impl Used {
    /// There is work.
    pub fn touch(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// Gives back what is free: once there is nothing to do, or every so often where there always is; whether it did.
    pub fn give_back(&mut self, idle: bool) -> bool {
        let due = self.since.is_some_and(|since| idle || since.elapsed() >= BUSY);
        if due {
            self.since = None;
            trim();
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_never_idle_gives_memory_back_every_so_often() {
        let mut used = Used::default();
        assert!(!used.give_back(true), "nothing was used");
        used.touch();
        assert!(!used.give_back(false), "it is busy");
        assert!(used.give_back(true) && !used.give_back(true));
        used.touch();
        used.since = used.since.and_then(|since| since.checked_sub(BUSY));
        used.touch();
        assert!(used.give_back(false), "it has been busy for long");
    }
}
