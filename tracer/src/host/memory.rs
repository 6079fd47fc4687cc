//! This process' own memory, and the size of a page.

/// Bytes.
pub fn page_size() -> u64 {
    rustix::param::page_size() as u64
}

/// Keeps this process' memory in small pages: where huge ones are always on, khugepaged fills up again what
/// `trim` gave back (mm/khugepaged.c, max_ptes_none), some MiB within seconds. Children inherit it.
pub fn small_pages() {
    // Kernels that have no huge pages refuse it.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
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
