//! Rows and columns, fitted to a width. Pure.
use std::ops::Range;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::render::style::Style;

/// Between two columns.
const GAP: usize = 2;

/// What is left of a text that is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    Start,
    /// Of a path the end tells more than the beginning.
    End,
    /// The beginning, and all from the last such letter on: the pid of `geo-api[1234]`, the doubt of `no-space?`.
    From(char),
    /// Of a list with commas as many as there is room for, each whole; of the first at least what [`Self::From`] a bracket
    /// keeps.
    Items,
}

/// A column: its head, and what may be done to it where a line is too narrow.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub head: &'static str,
    /// Numbers stand on the right.
    pub right: bool,
    /// How far it may be cut; `None`: never.
    pub least: Option<usize>,
    pub keeps: Keeps,
    /// Those with the highest go first where cutting is not enough; 0 never goes.
    pub rank: u8,
}

impl Column {
    /// One that is never cut.
    pub const fn fixed(head: &'static str) -> Self {
        Self { head, right: false, least: None, keeps: Keeps::Start, rank: 0 }
    }

    /// One that may be cut down to `least`.
    pub const fn flexible(head: &'static str, least: usize) -> Self {
        Self { least: Some(least), ..Self::fixed(head) }
    }

    pub const fn right(self) -> Self {
        Self { right: true, ..self }
    }

    pub const fn keep(self, keeps: Keeps) -> Self {
        Self { keeps, ..self }
    }

    pub const fn rank(self, rank: u8) -> Self {
        Self { rank, ..self }
    }
}

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

/// How wide each column is; `None` where there is no room for it.
pub struct Layout {
    columns: Vec<Column>,
    heads: Vec<String>,
    widths: Vec<Option<usize>>,
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
        let natural = |i: usize| {
            let cells = rows.iter().filter_map(|row| row.get(i)).map(|cell| cell.text.width());
            cells.max().unwrap_or(0).max(heads[i].width())
        };
        let mut widths: Vec<Option<usize>> = (0..columns.len()).map(natural).map(Some).collect();
        if let Some(width) = width {
            drop_columns(columns, &mut widths, width);
            cut_columns(columns, &mut widths, width);
        }
        Self { columns: columns.to_vec(), heads, widths }
    }

    /// The heads, in one line.
    pub fn head(&self, style: &Style) -> String {
        let cells: Vec<Cell> =
            self.heads.iter().map(|head| Cell::painted("1", head.clone())).collect();
        self.row(&cells, style)
    }

    /// One row, in one line.
    pub fn row(&self, cells: &[Cell], style: &Style) -> String {
        let mut out = String::new();
        let mut space = 0;
        for ((column, width), cell) in self.columns.iter().zip(&self.widths).zip(cells) {
            let Some(width) = *width else { continue };
            let text = cut(&cell.text, width, column.keeps);
            let pad = width.saturating_sub(text.width());
            let (before, after) = if column.right { (pad, 0) } else { (0, pad) };
            out.push_str(&" ".repeat(space + before));
            let painted = if cell.sgr.is_empty() { text } else { style.paint(cell.sgr, &text) };
            out.push_str(&painted);
            space = after + GAP;
        }
        out.push('\n');
        out
    }
}

fn total(widths: &[Option<usize>]) -> usize {
    let shown = widths.iter().flatten();
    shown.clone().sum::<usize>() + GAP * shown.count().saturating_sub(1)
}

/// Leaves columns out until the rest fits as far as it may be cut.
fn drop_columns(columns: &[Column], widths: &mut [Option<usize>], width: usize) {
    loop {
        let least: Vec<Option<usize>> = columns
            .iter()
            .zip(widths.iter())
            .map(|(column, width)| width.map(|width| width.min(column.least.unwrap_or(width))))
            .collect();
        if total(&least) <= width {
            return;
        }
        let shown = |i: &usize| widths[*i].is_some() && columns[*i].rank != 0;
        let Some(first) = (0..columns.len()).filter(shown).max_by_key(|i| columns[*i].rank) else {
            return;
        };
        widths[first] = None;
    }
}

/// Takes from the widest that may be cut until all fit.
fn cut_columns(columns: &[Column], widths: &mut [Option<usize>], width: usize) {
    while total(widths) > width {
        let longer = |i: &usize| match (columns[*i].least, widths[*i]) {
            (Some(least), Some(now)) if now > least => Some(now),
            _ => None,
        };
        let widest = (0..columns.len()).filter(|i| longer(i).is_some()).max_by_key(longer);
        let Some(widest) = widest else { return };
        widths[widest] = widths[widest].map(|now| now - 1);
    }
}

/// At most `width` columns of a terminal, an ellipsis where something is missing.
pub fn cut(text: &str, width: usize, keeps: Keeps) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    if let Keeps::From(mark) = keeps
        && let Some((name, tail)) = text.rfind(mark).map(|at| text.split_at(at))
        && tail.width() + 1 < width
    {
        return cut(name, width - tail.width(), Keeps::Start) + tail;
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
                cut(first, width.saturating_sub(1), Keeps::From('[')) + "…"
            }
        };
    }
    let room = width.saturating_sub(1);
    let mut used = 0;
    let mut fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= room
    };
    if keeps == Keeps::End {
        let kept: usize = text.chars().rev().take_while(&mut fits).map(char::len_utf8).sum();
        let at = escaped_at(text, text.len() - kept).map_or(text.len() - kept, |part| part.end);
        return format!("…{}", &text[at..]);
    }
    let kept = text.chars().take_while(&mut fits).map(char::len_utf8).sum();
    let at = escaped_at(text, kept).map_or(kept, |part| part.start);
    format!("{}…", &text[..at])
}

/// The letters that stand for one that is escaped (`\n`, `\x1b`, `\u{202e}`), if `at` lies within them.
fn escaped_at(text: &str, at: usize) -> Option<Range<usize>> {
    /// Of a backslash, four letters in braces and more.
    const LONGEST: usize = 10;
    let mut from = 0;
    while let Some(start) = text[from..at].find('\\').map(|found| from + found) {
        let rest = &text[start + 1..];
        let long = match rest.as_bytes().first() {
            Some(b'x') => 4,
            Some(b'u') if rest.starts_with("u{") => rest.find('}').map_or(2, |end| end + 2),
            _ => 2,
        };
        let end = (start + long.min(LONGEST)).min(text.len());
        if end > at {
            return text.is_char_boundary(end).then_some(start..end);
        }
        from = end.max(start + 1);
        if !text.is_char_boundary(from) {
            return None;
        }
    }
    None
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
        assert_eq!(cut("日本語", 5, Keeps::End), "…本語");
        assert_eq!(cut("abc", 3, Keeps::Start), "abc");
        assert_eq!(cut("abc", 0, Keeps::Start), "…");
        assert_eq!(cut("bus-worker[610]", 12, Keeps::From('[')), "bus-wo…[610]");
        let direction = r"a\u{202e}gnp.exe";
        for width in 3..10 {
            assert_eq!(cut(direction, width, Keeps::Start), "a…", "{width}");
        }
        assert_eq!(cut(direction, 11, Keeps::Start), r"a\u{202e}g…");
        assert_eq!(cut(direction, 10, Keeps::End), "…gnp.exe");
        assert_eq!(cut(r"a\nb\x1bc", 3, Keeps::Start), "a…");
        assert_eq!(cut(r"a\nb\x1bc", 4, Keeps::Start), r"a\n…");
        assert_eq!(cut(r"\\\\", 3, Keeps::Start), r"\\…");
        let list = "reader[12], writer[345], and 7 more";
        assert_eq!(cut(list, 30, Keeps::Items), "reader[12], writer[345], …");
        assert_eq!(cut(list, 25, Keeps::Items), "reader[12], …");
        assert_eq!(cut(list, 9, Keeps::Items), "rea…[12]…", "not the only one");
        assert_eq!(cut(list, 10, Keeps::Items), "read…[12]…");
        assert_eq!(cut("worker[1234567]", 12, Keeps::Items), "wo…[1234567]", "the only one");
        assert_eq!(cut("sent (SIGKILL)", 9, Keeps::Items), "sent (SI…");
        assert_eq!(cut("worker[1234567]", 8, Keeps::From('[')), "worker[…");
        assert_eq!(cut("mapped-past-end?", 10, Keeps::From('?')), "mapped-p…?");
        assert_eq!(cut("mapped-past-end", 10, Keeps::From('?')), "mapped-pa…");
    }
}
