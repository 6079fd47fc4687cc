//! Which mappings are a bus error, or a surprise, waiting to happen. Pure.
use crate::host::proc::maps::Mapping;

/// What is wrong with a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// It reaches this many bytes past the last page of its file: touching them is a SIGBUS.
    PastEnd(u64),
    /// An executable or library that is no longer in any directory.
    Deleted,
    /// The same, and another file stands in its place.
    Replaced,
}

impl Finding {
    pub fn name(self) -> &'static str {
        match self {
            Self::PastEnd(_) => "past-end",
            Self::Deleted => "deleted",
            Self::Replaced => "replaced",
        }
    }
}

/// What is known of the file behind a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    pub regular: bool,
    /// Bytes.
    pub size: u64,
    /// A file of that name exists.
    pub in_place: bool,
}

/// Judges one mapping.
pub fn judge(mapping: &Mapping, file: File, page_size: u64) -> Option<Finding> {
    if !file.regular {
        // Devices have no size, and no end to reach past.
        return None;
    }
    let reach = mapping.file_offset.saturating_add(mapping.end - mapping.start);
    let last = file.size.div_ceil(page_size).saturating_mul(page_size);
    if reach > last {
        return Some(Finding::PastEnd(reach - last.max(mapping.file_offset)));
    }
    // A memory file is in no directory from the start.
    let memory = mapping.path.starts_with(b"/memfd:");
    if mapping.executable && mapping.deleted && !memory {
        return Some(if file.in_place { Finding::Replaced } else { Finding::Deleted });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::file::Dev;

    fn mapping(pages: u64, first: u64) -> Mapping {
        Mapping {
            start: 0,
            end: pages * 4096,
            executable: false,
            file_offset: first * 4096,
            dev: Dev { major: 8, minor: 1 },
            inode: 1,
            path: b"/x".to_vec(),
            deleted: false,
        }
    }

    fn file(size: u64) -> File {
        File { regular: true, size, in_place: true }
    }

    #[test]
    fn the_tail_of_the_last_page_is_safe() {
        assert_eq!(judge(&mapping(2, 0), file(4097), 4096), None);
        assert_eq!(judge(&mapping(2, 0), file(4096), 4096), Some(Finding::PastEnd(4096)));
        assert_eq!(judge(&mapping(2, 0), file(0), 4096), Some(Finding::PastEnd(8192)));
        assert_eq!(judge(&mapping(1, 9), file(4096), 4096), Some(Finding::PastEnd(4096)));
    }

    #[test]
    fn devices_have_no_end() {
        let device = File { regular: false, size: 0, in_place: true };
        assert_eq!(judge(&mapping(2, 0), device, 4096), None);
    }

    #[test]
    fn only_code_that_was_replaced_is_told() {
        let mut code = mapping(1, 0);
        code.deleted = true;
        assert_eq!(judge(&code, file(4096), 4096), None);
        code.executable = true;
        assert_eq!(judge(&code, file(4096), 4096), Some(Finding::Replaced));
        let gone = File { in_place: false, ..file(4096) };
        assert_eq!(judge(&code, gone, 4096), Some(Finding::Deleted));
    }
}
