//! One incident by the beginning of its id.
use anyhow::Result;

use crate::{
    contract::Incident,
    error::Failure,
    host::clock,
    render::{
        columns::Column,
        list::{self, Shown},
        style::Style,
        table::{Cell, Layout},
    },
    sink::{stdout::history_style, terminal},
    store::sqlite::read::Reader,
    text::{escape::label, format::grouped},
};

/// The incident whose id begins so.
///
/// # Errors
/// Where several do: those, each with as much of its id as tells it apart, the newest first.
pub fn of_id(reader: &Reader, id: &str) -> Result<Option<Incident>> {
    let id = without_dots(id);
    let (mut found, more) = reader.by_id(id)?;
    if found.len() < 2 {
        return Ok(found.pop());
    }
    let mut style = history_style(false, reader.hosts()?);
    style.ids = reader.long_ids(found.iter().map(|one| &*one.id))?;
    let more =
        if more == 0 { String::new() } else { format!("\nand {} more", grouped(more as u64)) };
    Err(Failure::usage(format!(
        "`{}` is the start of several ids; give more of it:\n{}{more}",
        label(id),
        table(&found, &style).trim_end()
    )))
}

/// Some end it in dots, or copy the ellipsis of an id that is cut.
pub fn without_dots(id: &str) -> &str {
    id.trim_end_matches(['.', '…'])
}

/// As `list` has it, in what tells them apart.
fn table(found: &[Incident], style: &Style) -> String {
    let (width, now) =
        (terminal::width_beside(), clock::boot_to_realtime().realtime(clock::boot_time()));
    let host = style.hosts.then_some(Shown::Host);
    let fields: Vec<Shown> = [Shown::Id, Shown::Age]
        .into_iter()
        .chain(host)
        .chain([Shown::Victim, Shown::Cause, Shown::File, Shown::By])
        .collect();
    let columns: Vec<Column> = fields.iter().map(|field| field.column()).collect();
    let rows: Vec<Vec<Cell>> =
        found.iter().map(|one| list::row(one, &fields, style, now)).collect();
    let layout = Layout::new(&columns, &[], &rows, width);
    // Standard error is no place for the colours of standard output.
    let plain = Style { colour: false, ..style.clone() };
    let lines = rows.iter().map(|row| layout.row(row, &plain));
    layout.head(&plain) + &lines.collect::<String>()
}
