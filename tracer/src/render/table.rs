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
    /// Lines are as long as they need: no cell is cut.
    endless: bool,
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
            let to_come = Some(columns[i].to_come).filter(|wide| *wide != 0);
            Cells::new(cells.chain(to_come).collect(), heads[i].width())
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
        let endless = width.is_none();
        Self { columns: columns.to_vec(), heads, widths, gap, endless, wanted, ends, alike }
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
            if self.endless {
                width = width.max(long);
            } else if column.spills && long > width {
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
mod tests;
