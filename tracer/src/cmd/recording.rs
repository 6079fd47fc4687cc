//! Whether what happens now comes into a history.
use std::path::Path;

use anyhow::Result;

use crate::{
    host::clock,
    sink::stdout::history_style,
    store::{lock::running_recorder, sqlite::read::Reader},
};

/// Why it does not, if so.
///
/// # Errors
/// Where the history cannot be read.
pub fn not_recording(reader: &Reader, state_dir: &Path) -> Result<Option<String>> {
    let now = clock::boot_to_realtime().realtime(clock::boot_time());
    if running_recorder(state_dir, now).is_some() {
        return Ok(None);
    }
    let here = history_style(false, reader.hosts()?).here;
    Ok(Some(match here.as_ref().map_or(Ok(None), |here| reader.elsewhere(here))? {
        Some(of) => {
            format!("this is a copy of the history of {of}: what happens there now is not in it")
        }
        None => "recorder not running: new incidents are not being recorded (`whybus status`)"
            .to_owned(),
    }))
}
