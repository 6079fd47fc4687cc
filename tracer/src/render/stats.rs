//! What `whybus stats` counted, for people.
use crate::{
    contract::{Count, Time},
    render::human::Style,
    text::{escape::escape, format::counted},
};

/// Width of the longest bar.
const BAR: u64 = 40;

/// How many there are in all, and when.
pub fn total(incidents: u64, first: Time, last: Time, style: &Style) -> String {
    let incidents = counted(incidents, "incident");
    format!("{incidents}, {} to {}\n", style.time(first), style.stamp(last))
}

/// One table: what its rows are counted by is the same in each.
pub fn table(rows: &[Count], style: &Style) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let mut out = format!("\n{}\n", style.paint("1", &format!("by {}", first.by)));
    let names: Vec<String> = rows.iter().map(|row| escape(&row.name.0)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    for (row, name) in rows.iter().zip(names) {
        let last = style.time(row.last);
        out.push_str(&format!("{:>9}  {name:<width$}  last {last}\n", row.incidents));
    }
    out
}

/// A bar for each span of time, which is called `span`.
pub fn over_time(rows: &[Count], span: &str, style: &Style) -> String {
    let most = rows.iter().map(|row| row.incidents).max().unwrap_or(1);
    let mut out = format!("\n{}\n", style.paint("1", &format!("over time, by {span}")));
    for row in rows {
        let bar = "#".repeat(usize::try_from((row.incidents * BAR).div_ceil(most)).unwrap_or(1));
        let time = style.time(row.first);
        let time = time.get(..16).unwrap_or(&time).to_owned();
        out.push_str(&format!("{:>9}  {time}  {bar}\n", row.incidents));
    }
    out
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn the_longest_bar_is_of_the_most() {
        let style = Style { colour: false, zone: TimeZone::UTC, history: true, hosts: false };
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
            table(&rows, &style),
            "\nby victim\n        4  geo-api  last 1970-01-01 00:00:00.000\n        \
             1  \\x1b     last 1970-01-01 00:01:00.000\n"
        );
        assert_eq!(
            over_time(&rows, "minute", &style),
            format!(
                "\nover time, by minute\n        4  1970-01-01 00:00  {}\n        \
                 1  1970-01-01 00:01  {}\n",
                "#".repeat(40),
                "#".repeat(10)
            )
        );
        assert_eq!(table(&[], &style), "");
        assert!(total(1, Time(0), Time(0), &style).starts_with("1 incident, 1970-"));
    }
}
