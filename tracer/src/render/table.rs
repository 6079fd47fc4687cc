//! Rows and columns, fitted to a width. Pure.
use std::collections::{BTreeMap, BTreeSet};

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::{
    render::{
        columns::{Cells, Column, Fit, Keeps},
        style::Style,
    },
    text::{
        apart::{shared_affixes, shared_ends},
        escape::{escape_at, escaped_at},
    },
};

/// What stands in one column of one row, with its colour.
#[derive(Debug, Clone)]
pub struct Cell {
    /// Escaped.
    pub text: String,
    pub sgr: &'static str,
}

impl Cell {
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), sgr: "" }
    }

    pub fn painted(sgr: &'static str, text: impl Into<String>) -> Self {
        Self { text: text.into(), sgr }
    }
}

/// How a path ends.
#[derive(Clone, Copy)]
struct End {
    /// So many bytes tell it from none of those that end alike.
    shared: usize,
    /// Whether it is told from all others by the name before them and its last one.
    elides: bool,
}

/// How wide each column is; `None` where there is no room for it.
pub struct Layout {
    columns: Vec<Column>,
    heads: Vec<String>,
    widths: Vec<Option<usize>>,
    gap: usize,
    /// How wide it would have to be to be read, where it is not.
    pub wanted: Option<usize>,
    /// By the text of a cell that others end like.
    ends: Vec<BTreeMap<String, End>>,
    /// What all long cells begin and end with alike, where what differs is kept.
    alike: Vec<(String, String)>,
}

impl Layout {
    /// Fits `rows` into lines of `width`, or as wide as they are. `heads` stand in for those of the columns where they are
    /// not empty.
    pub fn new(
        columns: &[Column],
        heads: &[String],
        rows: &[Vec<Cell>],
        width: Option<usize>,
    ) -> Self {
        let heads: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(i, column)| {
                let own = heads.get(i).filter(|head| !head.is_empty());
                own.cloned().unwrap_or_else(|| column.head.to_owned())
            })
            .collect();
        let of = |i: usize| {
            let cells = rows.iter().filter_map(|row| row.get(i)).map(|cell| cell.text.width());
            Cells::new(cells.collect(), heads[i].width())
        };
        let cells: Vec<Cells> = (0..columns.len()).map(of).collect();
        let Fit { widths, gap, wanted, .. } = Fit::new(columns, cells, width);
        let ends = |i: usize| match widths[i] {
            Some(width) if columns[i].keeps == Keeps::End => {
                let cells = rows.iter().filter_map(|row| row.get(i)).map(|cell| &*cell.text);
                ends_apart(cells.filter(|text| text.width() > width).collect(), width)
            }
            _ => BTreeMap::new(),
        };
        let ends = (0..columns.len()).map(ends).collect();
        let alike = |i: usize| match widths[i] {
            Some(width) if columns[i].keeps == Keeps::Difference => {
                let cells = rows.iter().filter_map(|row| row.get(i)).map(|cell| &*cell.text);
                let mut long = cells.filter(|text| text.width() > width);
                let (start, end) = shared_affixes(long.clone());
                let first = long.next().unwrap_or_default();
                (first[..start].to_owned(), first[first.len() - end..].to_owned())
            }
            _ => (String::new(), String::new()),
        };
        let alike = (0..columns.len()).map(alike).collect();
        Self { columns: columns.to_vec(), heads, widths, gap, wanted, ends, alike }
    }

    /// The heads, in one line.
    pub fn head(&self, style: &Style) -> String {
        let cells: Vec<Cell> =
            self.heads.iter().map(|head| Cell::painted("1", head.clone())).collect();
        self.line(&cells, style, |_| Keeps::Start)
    }

    /// One row, in one line.
    pub fn row(&self, cells: &[Cell], style: &Style) -> String {
        self.line(cells, style, |column| column.keeps)
    }

    fn line(&self, cells: &[Cell], style: &Style, keeps: impl Fn(&Column) -> Keeps) -> String {
        /// A cell is not cut further than that for another of its line.
        const SPARED: usize = 4;
        let spared = |column: &Column, long: usize| match column.least {
            Some(_) if !column.whole => SPARED.min(long),
            _ => long,
        };
        // What cells from one on can give.
        let rest = |from: usize| -> usize {
            let cells = self.columns.iter().zip(&self.widths).zip(cells).skip(from);
            let given = cells.filter_map(|((column, width), cell)| {
                Some((*width)?.saturating_sub(spared(column, cell.text.width())))
            });
            given.sum()
        };
        // What words of a few among them want.
        let wanted = |from: usize| -> usize {
            let cells = self.columns.iter().zip(&self.widths).zip(cells).skip(from);
            let wanted = cells
                .filter(|((column, _), _)| column.whole)
                .filter_map(|((_, width), cell)| Some(cell.text.width().saturating_sub((*width)?)));
            wanted.sum()
        };
        let mut out = String::new();
        let mut space = 0;
        // What cells that spilled took, and others have not given yet.
        let mut owed = 0;
        for (i, (column, cell)) in self.columns.iter().zip(cells).enumerate() {
            let Some(mut width) = self.widths[i] else { continue };
            let long = cell.text.width();
            if column.spills && long > width {
                let more = long - width;
                if !column.whole || owed + more + wanted(i + 1) <= rest(i + 1) {
                    (owed, width) = (owed + more, long);
                }
            } else {
                let given = owed.min(width.saturating_sub(spared(column, long)));
                (owed, width) = (owed - given, width - given);
            }
            let text = match self.ends[i].get(&cell.text) {
                Some(end) if long > width => from_within(&cell.text, end, width),
                _ if keeps(column) == Keeps::Difference && long > width => {
                    difference(&cell.text, &self.alike[i], width)
                }
                _ => cut(&cell.text, width, keeps(column)),
            };
            let pad = width.saturating_sub(text.width());
            let (before, after) = if column.right { (pad, 0) } else { (0, pad) };
            out.push_str(&" ".repeat(space + before));
            let painted = if cell.sgr.is_empty() { text } else { style.paint(cell.sgr, &text) };
            out.push_str(&painted);
            space = after + self.gap;
        }
        out.push('\n');
        out
    }
}

/// At most `width` columns of a terminal, an ellipsis where something is missing.
pub fn cut(text: &str, width: usize, keeps: Keeps) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    if let Keeps::From(mark) = keeps
        && let Some((name, tail)) = text.rfind(mark).map(|at| text.split_at(at))
    {
        // A piece of the tail says nothing.
        return match tail.width() + 1 < width {
            true => cut(name, width - tail.width(), Keeps::Start) + tail,
            false if name.width() < width => format!("{name}…"),
            false => start_of(name, width),
        };
    }
    if keeps == Keeps::Items && !text.contains(", ") {
        return cut(text, width, Keeps::From('['));
    }
    if keeps == Keeps::Items {
        let ends = text.match_indices(", ").map(|(at, _)| &text[..at]);
        return match ends.filter(|whole| whole.width() + 3 <= width).last() {
            Some(whole) => format!("{whole}, …"),
            // One that stands alone is not all there is.
            None => {
                let first = text.split(", ").next().unwrap_or(text);
                let first = cut(first, width.saturating_sub(1), Keeps::From('['));
                // One ellipsis says that there is more, of whatever.
                if first.ends_with('…') { start_of(text, width) } else { first + "…" }
            }
        };
    }
    match keeps {
        Keeps::End | Keeps::Difference => return end_of(text, width),
        Keeps::Clock => {
            let parts = [text.get(5..), text.get(5..16), text.get(5..10)].into_iter().flatten();
            if let Some(part) = parts.into_iter().find(|part| part.width() <= width) {
                return part.to_owned();
            }
        }
        _ => {}
    }
    start_of(text, width)
}

/// The beginning, and an ellipsis; of a name that begins with nothing but what is escaped rather what can be read.
fn start_of(text: &str, width: usize) -> String {
    let start = beginning(text, width);
    let Some(at) = first_letter(text).filter(|at| *at + '…'.len_utf8() >= start.len()) else {
        return start;
    };
    match text[at..].width() < width {
        true => format!("…{}", &text[at..]),
        false if width > 2 => format!("…{}", beginning(&text[at..], width - 1)),
        false => start,
    }
}

/// Where the first letter or digit stands that stands for itself.
fn first_letter(text: &str) -> Option<usize> {
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        match escape_at(&text[at..]) {
            Some((_, long)) => at += long,
            None if c.is_alphanumeric() => return Some(at),
            None => at += c.len_utf8(),
        }
    }
    None
}

fn beginning(text: &str, width: usize) -> String {
    let room = width.saturating_sub(1);
    let mut used = 0;
    let mut fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= room
    };
    let kept = text.chars().take_while(&mut fits).map(char::len_utf8).sum();
    let at = escaped_at(text, kept).map_or(kept, |part| part.start);
    format!("{}…", &text[..at])
}

/// The last names of a path that fit; of a name that does not fit alone its beginning and its end.
fn end_of(text: &str, width: usize) -> String {
    let room = width.saturating_sub(1);
    let mut slashes = text.match_indices('/').map(|(at, _)| at);
    if let Some(at) = slashes.find(|at| *at != 0 && text[*at..].width() <= room) {
        return format!("…{}", &text[at..]);
    }
    let name = text.rfind('/').map_or(text, |at| &text[at + 1..]);
    if name.width() <= room {
        return format!("…{name}");
    }
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= room / 2
    };
    let kept: usize = name.chars().rev().take_while(fits).map(char::len_utf8).sum();
    let at = escaped_at(name, name.len() - kept).map_or(name.len() - kept, |part| part.end);
    let end = &name[at..];
    start_of(name, width.saturating_sub(end.width())) + end
}

/// Of paths that are wider than `width`, those that end alike.
fn ends_apart(long: BTreeSet<&str>, width: usize) -> BTreeMap<String, End> {
    let of = |shared: usize| End { shared, elides: false };
    let ends = shared_ends(long.iter().copied(), &|text, shared| match shared {
        0 => cut(text, width, Keeps::End),
        _ => from_within(text, &of(shared), width),
    });
    let mut ends: BTreeMap<String, End> =
        ends.into_iter().map(|(text, shared)| (text, End { elides: true, ..of(shared) })).collect();
    let shown = |text: &str, ends: &BTreeMap<String, End>| match ends.get(text) {
        Some(end) => from_within(text, end, width),
        None => cut(text, width, Keeps::End),
    };
    // What is left out in the middle may be all that tells two apart.
    let mut alike: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for text in long {
        alike.entry(shown(text, &ends)).or_default().push(text);
    }
    for text in alike.into_values().filter(|texts| texts.len() > 1).flatten() {
        if let Some(end) = ends.get_mut(text) {
            end.elides = false;
        }
    }
    ends
}

/// What is left of a path that others end like: the name before that, and its last one if there is room for both.
fn from_within(text: &str, end: &End, width: usize) -> String {
    /// What is cut to less than that has no room to say that it is of a path.
    const LEAST: usize = 8;
    let at = text.get(..text.len() - end.shared).and_then(|rest| rest.rfind('/')).unwrap_or(0);
    if at == 0 {
        return start_of(text, width);
    }
    let whole = format!("…{}", &text[at..]);
    if whole.width() <= width {
        return whole;
    }
    let last = text.rfind('/').filter(|last| *last > at && end.elides);
    if let Some(last) = last
        && let Some((name, rest)) = text[at + 1..].split_once('/')
    {
        let (rest, last) = (if rest.contains('/') { "/…" } else { "" }, &text[last..]);
        let before = ["…/", ""].into_iter();
        let mut fits = before.map(|before| format!("{before}{name}{rest}{last}"));
        if let Some(shown) = fits.find(|shown| shown.width() <= width) {
            return shown;
        }
    }
    match width < LEAST {
        true => start_of(&text[at + 1..], width),
        false => cut(&whole, width, Keeps::Start),
    }
}

/// What is left of a name without what others begin and end with, too.
fn difference(text: &str, (start, end): &(String, String), width: usize) -> String {
    // One that came later may begin or end otherwise: without that it would look like another.
    let own = text.strip_prefix(&**start).and_then(|rest| rest.strip_suffix(&**end));
    let Some(own) = own.filter(|own| !own.is_empty()) else {
        return cut(text, width, Keeps::Start);
    };
    let mark = |left_out: &str| if left_out.is_empty() { "" } else { "…" };
    let (before, after) = (mark(start), mark(end));
    match format!("{before}{own}{after}") {
        whole if whole.width() <= width => whole,
        _ => cut(own, width, Keeps::End),
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    fn style(colour: bool) -> Style {
        Style { colour, ..Style::plain(true, false) }
    }

    const COLUMNS: [Column; 3] = [
        Column::fixed("N").right(),
        Column::flexible("FILE", 8).keep(Keeps::End),
        Column::flexible("BY", 4).rank(1),
    ];

    fn shown(width: Option<usize>, colour: bool) -> Vec<String> {
        let cells = |n: &str, file: &str, by: &str| {
            vec![Cell::plain(n), Cell::plain(file), Cell::painted("31", by)]
        };
        let rows =
            vec![cells("7", "/efs/geo/GeoIP2.mmdb", "cp[5678]"), cells("12", "/x", "日本語")];
        let layout = Layout::new(&COLUMNS, &[], &rows, width);
        let style = style(colour);
        let rows = rows.iter().map(|row| layout.row(row, &style));
        [layout.head(&style)].into_iter().chain(rows).collect()
    }

    #[test]
    fn a_line_is_as_wide_as_it_needs_to_be_or_may_be() {
        assert_eq!(
            shown(None, false),
            [
                "N   FILE                  BY\n",
                " 7  /efs/geo/GeoIP2.mmdb  cp[5678]\n",
                "12  /x                    日本語\n"
            ]
            .map(|line| line.replace("N   FILE", " N  FILE"))
        );
        for width in [14, 16, 20, 24, 28, 33, 34, 80] {
            let lines = shown(Some(width), false);
            assert!(
                lines.iter().all(|line| line.trim_end().width() <= width),
                "{width}: {lines:#?}"
            );
        }
        // The end of a path, and the whole of what is short.
        assert_eq!(shown(Some(26), false)[1], " 7  …GeoIP2.mmdb  cp[5678]\n");
        assert_eq!(shown(Some(27), false)[1], " 7  …/GeoIP2.mmdb  cp[5678]\n");
        assert!(!shown(Some(14), false)[0].contains("BY"), "no room for it");
    }

    #[test]
    fn colour_takes_no_room() {
        let painted: Vec<String> = shown(Some(30), true)
            .iter()
            .map(|line| line.replace("\x1b[31m", "").replace("\x1b[1m", "").replace("\x1b[0m", ""))
            .collect();
        assert_eq!(painted, shown(Some(30), false));
    }

    #[test]
    fn what_is_wide_is_cut_between_its_letters() {
        assert_eq!(cut("日本語", 4, Keeps::Start), "日…");
        assert_eq!(cut("/a/日本語", 7, Keeps::End), "…日本語");
        assert_eq!(cut("abc", 3, Keeps::Start), "abc");
        assert_eq!(cut("abc", 0, Keeps::Start), "…");
        assert_eq!(cut("bus-worker[610]", 12, Keeps::From('[')), "bus-wo…[610]");
        let direction = r"a\u{202e}gnp.exe";
        for width in 3..10 {
            assert_eq!(cut(direction, width, Keeps::Start), "a…", "{width}");
        }
        assert_eq!(cut(direction, 11, Keeps::Start), r"a\u{202e}g…");
        assert_eq!(cut(direction, 10, Keeps::End), "a….exe", "no half of a letter");
        assert_eq!(cut(r"a\nb\x1bc", 3, Keeps::Start), "a…");
        assert_eq!(cut(r"a\nb\x1bc", 4, Keeps::Start), r"a\n…");
        assert_eq!(cut(r"\\\\", 3, Keeps::Start), r"\\…");
        let list = "reader[12], writer[345], and 7 more";
        assert_eq!(cut(list, 30, Keeps::Items), "reader[12], writer[345], …");
        assert_eq!(cut(list, 25, Keeps::Items), "reader[12], …");
        assert_eq!(cut(list, 9, Keeps::Items), "rea…[12]…", "not the only one");
        assert_eq!(cut(list, 10, Keeps::Items), "read…[12]…");
        assert_eq!(cut("SIGSEGV, exit 2", 4, Keeps::Items), "SIG…");
        assert_eq!(cut("worker[1234567]", 12, Keeps::Items), "wo…[1234567]", "the only one");
        assert_eq!(cut("sent (SIGKILL)", 9, Keeps::Items), "sent (SI…");
        assert_eq!(cut("worker[1234567]", 8, Keeps::From('[')), "worker…", "no half of a pid");
        assert_eq!(cut("worker[1234567]", 5, Keeps::From('[')), "work…");
        assert_eq!(cut("mapped-past-end?", 10, Keeps::From('?')), "mapped-p…?");
        assert_eq!(cut("mapped-past-end", 10, Keeps::From('?')), "mapped-pa…");
        let path = "/srv/geo/data/GeoIP2-City.mmdb";
        assert_eq!(cut(path, 24, Keeps::End), "…/data/GeoIP2-City.mmdb");
        assert_eq!(cut(path, 22, Keeps::End), "…/GeoIP2-City.mmdb", "whole names");
        assert_eq!(cut(path, 17, Keeps::End), "…GeoIP2-City.mmdb");
        assert_eq!(cut(path, 10, Keeps::End), "GeoIP…mmdb", "its middle goes");
        let time = "2026-11-28 00:06:40";
        assert_eq!(cut(time, 18, Keeps::Clock), "11-28 00:06:40");
        assert_eq!(cut(time, 11, Keeps::Clock), "11-28 00:06");
    }

    /// One id that is longer than the others moves only its own line; one long file takes nothing from what all have.
    #[test]
    fn what_is_wider_than_most_widens_no_column() {
        const COLUMNS: [Column; 3] = [
            Column::fixed("ID").spills(),
            Column::flexible("VICTIM", 8).keep(Keeps::From('[')),
            Column::flexible("FILE", 6).keep(Keeps::End),
        ];
        let row = |id: &str, file: &str| {
            vec![Cell::plain(id), Cell::plain("geo-worker[1234]"), Cell::plain(file)]
        };
        let mut rows: Vec<Vec<Cell>> = (0..9).map(|_| row("01a21f79-b732", "/srv/a.db")).collect();
        rows.push(row("01a21f79-b732-7f00", &format!("/srv/{}/a.db", "x".repeat(60))));
        let layout = Layout::new(&COLUMNS, &[], &rows, Some(42));
        let style = style(false);
        assert_eq!(layout.row(&rows[0], &style), "01a21f79-b732  geo-worker[1234]  /srv/a.db\n");
        assert_eq!(layout.row(&rows[9], &style), "01a21f79-b732-7f00  geo-…[1234]  …/a.db\n");
        // Where there is room for all, all are in line.
        let layout = Layout::new(&COLUMNS, &[], &rows, Some(200));
        let at = |row: &[Cell]| layout.row(row, &style).find("geo-worker");
        assert_eq!(at(&rows[0]), at(&rows[9]));
    }

    /// What comes later is shortened only by what it has.
    #[test]
    fn another_host_is_not_shown_as_one_of_these() {
        const COLUMNS: [Column; 1] = [Column::flexible("HOST", 8).keep(Keeps::Difference)];
        let row = |host: &str| vec![Cell::plain(host)];
        let rows = vec![row("prod-db-07.example.com"), row("prod-db-08.example.com")];
        let layout = Layout::new(&COLUMNS, &[], &rows, Some(10));
        let shown = |host: &str| layout.row(&row(host), &style(false)).trim_end().to_owned();
        assert_eq!(shown("prod-db-07.example.com"), "…07…");
        assert_eq!(shown("prod-db-09.example.com"), "…09…");
        assert_eq!(shown("test-db-07.attackr.com"), "test-db-0…");
        assert_eq!(shown("prod-db-07.attackr.com"), "prod-db-0…");
        assert_eq!(shown("prod-db-.example.com"), "prod-db-.…");
        assert_eq!(shown("日本-db-07.example.com"), "日本-db-0…");
    }

    /// Of a name that begins with what acts on a terminal something can be read.
    #[test]
    fn what_can_be_read_stays() {
        let hostile = r"\x1b[2J\x1b]0;geo\x07";
        assert_eq!(cut(hostile, 8, Keeps::Start), r"\x1b[2J…", "as much as there is room for");
        assert_eq!(cut(hostile, 5, Keeps::Start), "…2J…");
        assert_eq!(cut(r"\n\n\n\n\ngeo[12]", 9, Keeps::From('[')), "…geo[12]");
        assert_eq!(cut(r"\n\n\n\n\n", 5, Keeps::Start), r"\n\n…", "there is nothing else");
        assert_eq!(cut(r"\x1b\x1b\x1b", 3, Keeps::Start), "…");
    }

    /// Words of a few are whole before a path has more than it needs, and paths that end alike are shown by what differs.
    #[test]
    fn few_words_are_whole_and_paths_are_told_apart() {
        const COLUMNS: [Column; 4] = [
            Column::flexible("VICTIM", 8).keep(Keeps::From('[')),
            Column::flexible("CAUSE", 5).keep(Keeps::From('?')).whole(),
            Column::flexible("UNIT", 8).keep(Keeps::End).rank(6),
            Column::flexible("FILE", 12).keep(Keeps::End),
        ];
        let row = |cause: &str, dir: &str| {
            let file = format!("/srv/data/{dir}/live");
            vec![
                Cell::plain("geo-worker[1234]"),
                Cell::plain(cause),
                Cell::plain("geo-worker.service"),
                Cell::plain(file),
            ]
        };
        let mut rows = vec![row("mapped-past-end", "europe-maps"), row("sent", "asia-maps")];
        rows.resize(20, row("truncated", "asia-maps"));
        let style = style(false);
        let shown = |width| {
            let layout = Layout::new(&COLUMNS, &[], &rows, Some(width));
            [layout.row(&rows[0], &style), layout.row(&rows[1], &style)]
        };
        for width in [36, 40, 50, 60, 70] {
            let [first, second] = shown(width);
            assert!(first.contains(" mapped-past-end  "), "{width}: {first}");
            assert!(first.trim_end().width() <= width, "{width}: {first}");
            if width > 40 {
                assert!(first.contains("eur") && second.contains("asi"), "{first}{second}");
            }
        }
        assert!(!shown(40)[0].contains(".service"), "no room for it");
    }

    #[test]
    fn of_a_path_what_tells_it_apart_is_shown_with_its_last_name() {
        let within = |text: &str, shared, width| {
            let [elided, whole] =
                [true, false].map(|elides| from_within(text, &End { shared, elides }, width));
            (elided, whole)
        };
        let shown = |width| within("/mnt/ext4/a/live", 7, width).0;
        assert_eq!(
            [shown(13), shown(12), shown(11)],
            ["…/ext4/a/live", "ext4/…/live", "ext4/…/live"]
        );
        assert_eq!([shown(10), shown(7)], ["…/ext4/a/…", "ext4/a…"]);
        assert_eq!(within("/mnt/ext4/live", 5, 10).0, "ext4/live");
        let europe = within("/srv/europe/a/b/c/live.mmdb", 16, 20);
        assert_eq!(europe, ("…/europe/…/live.mmdb".to_owned(), "…/europe/a/b/c/live…".to_owned()));
    }

    #[test]
    fn what_is_told_apart_by_the_middle_keeps_it() {
        let paths = [
            "/exports/alpha/shared/conf/live.db",
            "/exports/beta/shared/conf/live.db",
            "/mnt/x/alpha/kept/conf/live.db",
            "/mnt/x/gamma/kept/conf/live.db",
        ];
        let ends = ends_apart(BTreeSet::from(paths), 20);
        let shown = paths.map(|path| from_within(path, &ends[path], 20));
        assert_eq!(BTreeSet::from(shown.clone()).len(), paths.len(), "{shown:?}");
        assert_eq!(shown[1], "…/beta/…/live.db");
    }

    /// What must not be left out is cut below what it should have, and at last the gap.
    #[test]
    fn no_line_is_wider_than_it_may_be() {
        let columns = [Column::flexible("SOMETHING", 9); 12];
        let row = vec![Cell::plain("something"); 12];
        for width in [40, 60, 80] {
            let layout = Layout::new(&columns, &[], std::slice::from_ref(&row), Some(width));
            let style = style(false);
            for line in [layout.head(&style), layout.row(&row, &style)] {
                assert!(line.trim_end().width() <= width, "{width}: {line}");
            }
        }
    }
}
