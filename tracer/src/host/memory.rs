//! This process' own memory, and the size of a page.

/// Bytes.
pub fn page_size() -> u64 {
    // SAFETY: no preconditions.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// Keeps this process' memory in small pages: where huge ones are always on, khugepaged fills up again what
/// `trim` gave back (mm/khugepaged.c, max_ptes_none), some MiB within seconds. Children inherit it.
pub fn small_pages() {
    // SAFETY: no preconditions; without effect on kernels that have no huge pages.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
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
