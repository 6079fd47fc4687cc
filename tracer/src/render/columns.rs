//! Columns of a table: which have room in a width, and how wide each may be. Pure.
/// What is left of a text that is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    Start,
    /// Of a path the end tells more than the beginning: as many of its last names as there is room for, each whole; of a name
    /// that is longer than that its beginning and its end.
    End,
    /// Of names that begin and end alike what differs, of hosts of one domain say; of a longer one its beginning and its end.
    Difference,
    /// Of a date and a time of day rather the year goes, and then the seconds, than what tells two apart.
    Clock,
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
    /// What is wider than most takes its room from the rest of its line, not from all lines.
    pub spills: bool,
    /// Words of a few: they are whole before any other has more than it needs, and before those that tell least are there.
    pub whole: bool,
    /// How wide cells usually are that come later, when the width stands; 0 where none do.
    pub to_come: usize,
}

impl Column {
    /// One that is never cut.
    pub const fn fixed(head: &'static str) -> Self {
        Self {
            head,
            right: false,
            least: None,
            keeps: Keeps::Start,
            rank: 0,
            spills: false,
            whole: false,
            to_come: 0,
        }
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

    pub const fn spills(self) -> Self {
        Self { spills: true, ..self }
    }

    pub const fn to_come(self, to_come: usize) -> Self {
        Self { to_come, ..self }
    }

    pub const fn whole(self) -> Self {
        Self { spills: true, whole: true, ..self }
    }
}

/// How wide the cells of a column are, and its head.
pub struct Cells {
    sorted: Vec<usize>,
    head: usize,
}

impl Cells {
    pub fn new(mut widths: Vec<usize>, head: usize) -> Self {
        widths.sort_unstable();
        Self { sorted: widths, head }
    }

    fn widest(&self) -> usize {
        self.sorted.last().copied().unwrap_or(0).max(self.head)
    }

    /// As wide as the widest of those that are no wider than `most`.
    fn widest_up_to(&self, most: usize) -> usize {
        let short = self.sorted.partition_point(|wide| *wide <= most);
        self.sorted[..short].last().copied().unwrap_or(0).max(self.head)
    }

    /// As wide as three of four are.
    fn usual(&self) -> usize {
        self.sorted.get(self.sorted.len() * 3 / 4).copied().unwrap_or(0).max(self.head)
    }

    /// As wide as nine of ten are.
    fn nearly_all(&self) -> usize {
        self.sorted.get(self.sorted.len() * 9 / 10).copied().unwrap_or(0).max(self.head)
    }

    /// What is lost where a column of `width` loses one more: each cell that is cut counts, the more the more of it is gone
    /// already. Of one that is far longer than others hardly more can be lost, of a path only the beginning, and of a
    /// host what others have as well.
    fn loss(&self, width: usize, keeps: Keeps) -> usize {
        // Of a short one the ellipsis takes a letter, too.
        let (gone, ellipsis) = match keeps {
            Keeps::End | Keeps::Difference => (1, 0),
            _ => (4, 1),
        };
        let from = self.sorted.partition_point(|long| *long < width);
        self.sorted[from..].iter().map(|long| (long + 1 + ellipsis - width).min(gone)).sum()
    }
}

/// Between two columns.
const GAP: usize = 2;

/// Where a line has no end, cells that are wider than that stand out of their column.
const PADDED: usize = 120;

/// Columns on their way into a width.
pub struct Fit<'a> {
    columns: &'a [Column],
    cells: Vec<Cells>,
    /// `None` where there is no room for it.
    pub widths: Vec<Option<usize>>,
    pub gap: usize,
    /// How wide it would have to be for all columns that are shown to have the least that they need, where it is not.
    pub wanted: Option<usize>,
}

impl<'a> Fit<'a> {
    /// As wide as their cells, or as `width` has room for.
    pub fn new(columns: &'a [Column], cells: Vec<Cells>, width: Option<usize>) -> Self {
        // What is wider than the whole has nothing to be taken away letter by letter; where nothing is cut, one cell that is far
        // longer than others does not pad all rows.
        let widest = |cells: &Cells| match width {
            Some(width) => cells.widest().min(width.max(cells.head)),
            None => cells.widest_up_to(PADDED),
        };
        let widths = cells.iter().map(|cells| Some(widest(cells))).collect();
        let mut fit = Self { columns, cells, widths, gap: GAP, wanted: None };
        if let Some(width) = width {
            fit.narrow(width);
        }
        fit
    }

    fn narrow(&mut self, width: usize) {
        /// Those of this rank and above tell least.
        const LEAST: u8 = 6;
        for i in (0..self.columns.len()).filter(|i| self.columns[*i].spills) {
            if total(&self.widths, self.gap) > width {
                self.widths[i] = Some(match self.columns[i].rank {
                    0 if self.columns[i].whole => self.cells[i].nearly_all(),
                    _ => self.cells[i].usual(),
                });
            }
        }
        self.drop(width, LEAST, |column| column.least.filter(|_| !column.whole));
        self.drop(width, 1, |column| column.least);
        self.cut(width, |column| column.least.filter(|_| !column.whole));
        self.cut(width, |column| column.least);
        self.snap(width);
        // What may not be left out is rather cut short than broken by the terminal: at last also what never should be.
        self.cut(width, |column| column.least.map(|least| least.min(4)));
        self.cut(width, |column| column.least.map(|_| 1));
        if total(&self.widths, self.gap) > width {
            self.gap = 1;
            self.cut(width, |_| Some(1));
        }
        let least = |i: usize| {
            let widest = self.cells[i].widest();
            self.columns[i].least.map_or(widest, |least| least.min(widest))
        };
        let shown = |i: &usize| self.widths[*i].is_some();
        let wanted: Vec<Option<usize>> =
            (0..self.columns.len()).filter(shown).map(|i| Some(least(i))).collect();
        let cramped = |i: usize| self.widths[i].is_some_and(|width| width < least(i));
        self.wanted = (0..self.columns.len()).any(cramped).then(|| total(&wanted, GAP));
    }

    /// A time that is cut within its seconds has none of them left: what it lacks for them others give, if they can.
    fn snap(&mut self, width: usize) {
        /// Those of `11-28 00:06` and `11-28 00:06:40`.
        const MINUTES: usize = 11;
        const SECONDS: usize = 14;
        let clock = |column: &Column| column.keeps == Keeps::Clock;
        let Some(i) = self.columns.iter().position(clock) else { return };
        let Some(now) = self.widths[i].filter(|now| (MINUTES + 1..SECONDS).contains(now)) else {
            return;
        };
        let before = self.widths.clone();
        self.widths[i] = Some(SECONDS);
        self.cut(width, |column| column.least.filter(|_| !clock(column)));
        if total(&self.widths, self.gap) <= width {
            return;
        }
        self.widths = before;
        self.widths[i] = Some(MINUTES);
        let narrow = |i: &usize| self.widths[*i].is_some_and(|now| now < self.cells[*i].widest());
        let others = (0..self.widths.len()).filter(|other| *other != i).filter(narrow);
        let most = |i: &usize| self.cells[*i].loss(self.widths[*i].unwrap_or(0), Keeps::End);
        if let Some(other) = others.max_by_key(most) {
            self.widths[other] = self.widths[other].map(|wide| wide + now - MINUTES);
        }
    }

    /// Leaves columns of a rank and above out until the rest fits as far as it may be cut.
    fn drop(&mut self, width: usize, rank: u8, least_of: impl Fn(&Column) -> Option<usize>) {
        loop {
            let least: Vec<Option<usize>> = self
                .columns
                .iter()
                .zip(&self.widths)
                .map(|(column, width)| {
                    width.map(|width| width.min(least_of(column).unwrap_or(width)))
                })
                .collect();
            if total(&least, self.gap) <= width {
                return;
            }
            let shown = |i: &usize| self.widths[*i].is_some() && self.columns[*i].rank >= rank;
            let columns = 0..self.columns.len();
            let Some(first) = columns.filter(shown).max_by_key(|i| self.columns[*i].rank) else {
                return;
            };
            self.widths[first] = None;
        }
    }

    /// Takes from where least is lost, and there from the widest, until all fit or nothing may be cut further.
    fn cut(&mut self, width: usize, least: impl Fn(&Column) -> Option<usize>) {
        while total(&self.widths, self.gap) > width {
            let longer = |i: usize| match (least(&self.columns[i]), self.widths[i]) {
                (Some(least), Some(now)) if now > least => Some((i, now)),
                _ => None,
            };
            let loss = |(i, now): &(usize, usize)| {
                (self.cells[*i].loss(*now, self.columns[*i].keeps), usize::MAX - now)
            };
            let may = (0..self.columns.len()).filter_map(longer);
            let Some((cheapest, now)) = may.min_by_key(loss) else { return };
            self.widths[cheapest] = Some(now - 1);
        }
    }
}

fn total(widths: &[Option<usize>], gap: usize) -> usize {
    let shown = widths.iter().flatten();
    shown.clone().sum::<usize>() + gap * shown.count().saturating_sub(1)
}
