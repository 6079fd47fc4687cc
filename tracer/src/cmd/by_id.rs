//! One incident by the beginning of its id.
use anyhow::Result;

use crate::{
    contract::Incident,
    error::Failure,
    render::oneline,
    sink::stdout::history_style,
    store::sqlite::read::Reader,
    text::{escape::label, format::grouped},
};

/// The incident whose id begins so.
///
/// # Errors
/// Where several do: those, each with as much of its id as tells it apart.
pub fn of_id(reader: &Reader, id: &str) -> Result<Option<Incident>> {
    let (mut found, more) = reader.by_id(id)?;
    if found.len() < 2 {
        return Ok(found.pop());
    }
    let mut style = history_style(false, reader.hosts()?);
    style.ids = reader.long_ids(found.iter().map(|one| &*one.id))?;
    let lines = found.iter().map(|one| oneline::incident(one, &style));
    let lines = String::from_utf8_lossy(&lines.collect::<Vec<_>>().concat()).into_owned();
    let more =
        if more == 0 { String::new() } else { format!("\nand {} more", grouped(more as u64)) };
    Err(Failure::usage(format!(
        "`{}` is the start of several ids; give more of it:\n{}{more}",
        label(id),
        lines.trim_end()
    )))
}
