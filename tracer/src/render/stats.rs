//! What `whybus stats` counted, for people.
use std::collections::BTreeMap;

use crate::{
    contract::{Count, Time},
    model::{
        container::{SHORT, is_id},
        pod::is_whole,
    },
    render::{
        columns::{Column, Keeps},
        csv,
        human::Style,
        list::POD,
        table::{Cell, Layout},
    },
    text::{
        apart::apart,
        escape::{escape, host_word, label, process_name},
        format::{counted, rfc3339, zone_name},
    },
};

/// Width of the longest bar.
const BAR: u64 = 40;

/// How many there are in all, and when.
pub fn total(incidents: u64, first: Time, last: Time, style: &Style) -> String {
    let incidents = counted(incidents, "incident");
    let text = format!("{incidents}, {} to {}", style.time(first), style.stamp(last));
    style.wrap(&text, 0) + "\n"
}

/// One table: what its rows are counted by is the same in each, and so many more are left out.
pub fn table(
    rows: &[Count],
    more: usize,
    header: bool,
    width: Option<usize>,
    style: &Style,
) -> String {
    let Some(first) = rows.first() else { return String::new() };
    // What is shown of an id is what tells it apart.
    let id = rows.iter().filter(|row| style.ids.contains_key(&name(row)));
    let least = id.map(|row| called(row, style).len()).max().unwrap_or(0).max(12);
    let columns = [
        Column::fixed("COUNT").right(),
        match &*first.by {
            "file" | "container" | "pod" => Column::flexible("", least).keep(Keeps::End),
            _ => Column::flexible("", least),
        },
        Column::fixed("LAST").rank(1),
    ];
    let by = escape(first.by.as_bytes()).to_uppercase();
    let heads = [String::new(), by, format!("LAST ({})", zone_name(first.last.0, &style.zone))];
    let cells: Vec<Vec<Cell>> = rows
        .iter()
        .map(|row| {
            let last = style.time(row.last);
            vec![
                Cell::plain(row.incidents.to_string()),
                Cell::painted("1", called(row, style)),
                Cell::plain(last.get(..19).unwrap_or(&last)),
            ]
        })
        .collect();
    let layout = Layout::new(&columns, &heads, &cells, width);
    let head = if header { layout.head(style) } else { String::new() };
    let mut out = cells.iter().fold(head, |out, row| out + &layout.row(row, style));
    if header && more != 0 {
        out.push_str(&format!("{:>7}and {}\n", "", left_out(more)));
    }
    out
}

/// How many rows are left out of a table, and how to see them.
pub fn left_out(more: usize) -> String {
    format!("{more} more: -n 0 for all")
}

/// What stands over the lines of [`csv`].
pub const CSV: &str = "by,name,incidents,first,last\r\n";

/// One row for a spreadsheet.
pub fn csv(row: &Count) -> Vec<u8> {
    let (by, name) = (escape(row.by.as_bytes()), name(row));
    let (first, last) = (rfc3339(row.first.0), rfc3339(row.last.0));
    csv::line([&*by, &name, &row.incidents.to_string(), &first, &last]).into_bytes()
}

/// `cause truncated: 54 incidents, the last 2026-11-28 00:06:52.599 UTC`
pub fn oneline(row: &Count, style: &Style) -> Vec<u8> {
    let (by, incidents) = (escape(row.by.as_bytes()), counted(row.incidents, "incident"));
    let last = style.stamp(row.last);
    format!("{by} {}: {incidents}, the last {last}\n", called(row, style)).into_bytes()
}

/// A host is named by a label, which is escaped as it is read.
fn name(row: &Count) -> String {
    match &*row.by {
        "host" => label(&String::from_utf8_lossy(&row.name.0)),
        _ => escape(&row.name.0),
    }
}

/// A container and a pod without a name by the beginning of its id, as `list` has it; of a host without one that.
fn called(row: &Count, style: &Style) -> String {
    let name = name(row);
    let short = |usual| name.chars().take(style.ids.get(&name).copied().unwrap_or(usual)).collect();
    match &*row.by {
        "container" if is_id(&name) => short(SHORT),
        "pod" if is_whole(&name) => short(POD),
        "host" => host_word(&name),
        "victim" | "culprit" => process_name(&row.name.0),
        _ => name,
    }
}

/// How much of ids tells the rows of a table apart, where the usual is not enough: for [`Style::ids`].
pub fn ids_apart(rows: &[Count]) -> BTreeMap<String, usize> {
    let of = |by: &str, is: fn(&str) -> bool| -> Vec<String> {
        rows.iter().filter(|row| &*row.by == by).map(name).filter(|name| is(name)).collect()
    };
    let (containers, pods) = (of("container", is_id), of("pod", is_whole));
    let mut long = apart(containers.iter().map(String::as_str), SHORT);
    long.extend(apart(pods.iter().map(String::as_str), POD));
    long
}

/// A bar for each span of time, which is called `span`.
pub fn over_time(
    rows: &[Count],
    span: &str,
    header: bool,
    width: Option<usize>,
    style: &Style,
) -> String {
    /// Of what stands before the bar.
    const BEFORE: u64 = 29;
    let bar = width.map_or(BAR, |width| (width as u64).saturating_sub(BEFORE).clamp(8, BAR));
    let most = rows.iter().map(|row| row.incidents).max().unwrap_or(1);
    let zone = rows.first().map_or_else(String::new, |row| zone_name(row.first.0, &style.zone));
    let mut out = String::new();
    if header {
        let heads = format!("{:>9}  TIME ({zone}), by {span}", "COUNT");
        out.push_str(&format!("{}\n", style.paint("1", &heads)));
    }
    for row in rows {
        let bar = "#".repeat(usize::try_from((row.incidents * bar).div_ceil(most)).unwrap_or(1));
        // Where its span begins.
        let span = row.span_ns.and_then(|ns| i64::try_from(ns).ok()).unwrap_or(1).max(1);
        let time = style.time(Time(row.first.0.saturating_sub(row.first.0.rem_euclid(span))));
        let time = time.get(..16).unwrap_or(&time).to_owned();
        out.push_str(&format!("{:>9}  {time}  {bar}\n", row.incidents));
    }
    out
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn the_longest_bar_is_of_the_most() {
        let style = Style::plain(true, false);
        let row = |name: &str, incidents, at| Count {
            by: "victim".into(),
            name: name.as_bytes().into(),
            incidents,
            first: Time(at),
            last: Time(at),
            span_ns: None,
        };
        let rows = [row("geo-api", 4, 0), row("\x1b", 1, 60_000_000_000)];
        assert_eq!(
            table(&rows, 0, true, None, &style),
            "COUNT  VICTIM   LAST (UTC)\n    4  geo-api  1970-01-01 00:00:00\n    \
             1  \\x1b     1970-01-01 00:01:00\n"
        );
        assert_eq!(
            over_time(&rows, "minute", true, None, &style),
            format!(
                "    COUNT  TIME (UTC), by minute\n        4  1970-01-01 00:00  {}\n        \
                 1  1970-01-01 00:01  {}\n",
                "#".repeat(40),
                "#".repeat(10)
            )
        );
        let narrow = over_time(&rows, "minute", false, Some(60), &style);
        assert!(narrow.lines().all(|line| line.len() <= 60) && narrow.lines().count() == 2);
        assert_eq!(table(&[], 0, true, None, &style), "");
        let container =
            Count { by: "container".into(), ..row(&"0123456789abcdef".repeat(4), 1, 0) };
        let shown = table(&[container], 0, false, None, &style);
        assert!(shown.starts_with("    1  0123456789ab  1970-"), "{shown}");
        let zeros = |last: char| row(&format!("{}{last}", "0".repeat(63)), 1, 0);
        let alike = ['1', '2'].map(|last| Count { by: "container".into(), ..zeros(last) });
        let style = Style { ids: ids_apart(&alike), ..style };
        let shown = table(&alike, 0, false, Some(70), &style);
        assert!(shown.contains("01\n") && shown.contains("02\n"), "{shown}");
        let nameless = Count { by: "host".into(), ..row("(none)", 1, 0) };
        assert!(table(&[nameless], 0, false, None, &style).starts_with("    1  -  "));
        assert!(total(1, Time(0), Time(0), &style).starts_with("1 incident, 1970-"));
    }
}
