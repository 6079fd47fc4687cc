//! Which host and boot this is.
use std::fs;

use crate::model::host::Here;

/// By its name and the number of its boot, as they are now.
pub fn here() -> Here {
    let read = |path: &str| {
        fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
    };
    Here {
        name: read("/proc/sys/kernel/hostname"),
        boot_id: read("/proc/sys/kernel/random/boot_id"),
    }
}
