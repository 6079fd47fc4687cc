//! Counting what a history holds: from counts that are kept, from a few rows, or from all of them.
use std::collections::HashMap;

use rusqlite::{params_from_iter, types::Value};

use crate::{
    select::{
        field::{Column, Field, NameKind},
        selection::{Selection, Term},
    },
    store::{
        Result,
        sqlite::{read::Reader, search::Search, tally},
    },
};

/// Rows that are read one by one rather than all that there are, once for each table.
const FEW: i64 = 30_000;

/// One row of a table of [`Counts`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    pub name: Vec<u8>,
    pub incidents: u64,
    /// Ns since the epoch.
    pub first: i64,
    pub last: i64,
}

/// What matches a selection, counted.
pub struct Counts<'a> {
    reader: &'a Reader,
    selection: &'a Selection,
    /// All that match, where that is not many and no counts are kept of it.
    few: Option<Vec<Row>>,
}

struct Row {
    time: i64,
    class: i64,
    /// In the order of [`tally::COLUMNS`].
    values: Vec<Option<i64>>,
}

impl Counts<'_> {
    /// How often each name occurs but for incidents of some classes, the most frequent first.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn of(&self, column: Column, without: &[String]) -> Result<Vec<Counted>> {
        let kind = tally::COLUMNS.iter().position(|one| *one == column);
        let Some((rows, kind)) = self.few.as_ref().zip(kind) else {
            let mut selection = self.selection.clone();
            if !without.is_empty() {
                selection = selection.with(Term::of_names(Field::Class, without).negated());
            }
            return self.reader.count(&selection, column);
        };
        let classes = self.reader.names(NameKind::CauseKind)?;
        let left_out = |class: &i64| {
            let name = classes.get(class);
            name.is_some_and(|name| without.iter().any(|one| one.as_bytes() == name))
        };
        let mut sums: HashMap<i64, Counted> = HashMap::new();
        for row in rows.iter().filter(|row| !left_out(&row.class)) {
            if let Some(value) = row.values[kind] {
                add(sums.entry(value).or_default(), row.time);
            }
        }
        let sql = format!("SELECT {}", column.sql_text_of("?1"));
        let mut text = self.reader.db.prepare(&sql)?;
        let mut counted = Vec::new();
        for (value, sum) in sums {
            let name: Option<Vec<u8>> = text.query_row([value], |row| row.get(0))?;
            counted.push(Counted { name: name.unwrap_or_default(), ..sum });
        }
        counted.sort_by_key(|row| std::cmp::Reverse((row.incidents, row.last)));
        Ok(counted)
    }

    /// How many there were in each span of `width` ns, oldest first.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn over_time(&self, width: i64) -> Result<Vec<Counted>> {
        let Some(rows) = &self.few else { return self.reader.over_time(self.selection, width) };
        let mut sums: HashMap<i64, Counted> = HashMap::new();
        for row in rows {
            add(sums.entry(row.time / width).or_default(), row.time);
        }
        let mut counted: Vec<Counted> = sums.into_values().collect();
        counted.sort_by_key(|row| row.first);
        Ok(counted)
    }
}

fn add(sum: &mut Counted, time: i64) {
    (sum.first, sum.last) = match sum.incidents {
        0 => (time, time),
        _ => (sum.first.min(time), sum.last.max(time)),
    };
    sum.incidents += 1;
}

impl Reader {
    /// What matches, to be counted.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn counts<'a>(&'a self, selection: &'a Selection) -> Result<Counts<'a>> {
        let mut few = None;
        // Of one state: outside of a transaction each row is one, with locks to be had and files to be looked at.
        let read = self.db.unchecked_transaction()?;
        // One of an older version may lack columns.
        if tally::is_kept(&self.db)?
            && let Some(search) = Search::prepare(&self.db, selection)?
            && search.sql_of_classes().is_none()
        {
            let rows = search.newest(FEW + 1)?;
            if i64::try_from(rows.len()).is_ok_and(|rows| rows <= FEW) {
                few = Some(self.rows(&rows)?);
            }
        }
        read.finish()?;
        Ok(Counts { reader: self, selection, few })
    }

    fn rows(&self, seqs: &[i64]) -> Result<Vec<Row>> {
        let columns = tally::COLUMNS.map(Column::sql_name).join(", ");
        let sql = format!("SELECT time, class, {columns} FROM incident WHERE seq = ?1");
        let mut statement = self.db.prepare(&sql)?;
        let mut rows = Vec::with_capacity(seqs.len());
        for seq in seqs {
            rows.push(statement.query_row([seq], |row| {
                let values = (0..tally::COLUMNS.len()).map(|at| row.get(at + 2));
                let values = values.collect::<rusqlite::Result<_>>()?;
                Ok(Row { time: row.get(0)?, class: row.get(1)?, values })
            })?);
        }
        Ok(rows)
    }

    /// How often each name occurs among those that match, the most frequent first.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn count(&self, selection: &Selection, column: Column) -> Result<Vec<Counted>> {
        let Some(search) = Search::prepare(&self.db, selection)? else { return Ok(Vec::new()) };
        // A history of an older version, which only its writer may bring to this one, has none of that.
        if !self.db.column_exists(None, "incident", column.sql_name())? {
            return Ok(Vec::new());
        }
        let text = column.sql_text();
        if let Some(classes) = search.sql_of_classes()
            && let Some(kept) = tally::of_column(column)
            && tally::is_kept(&self.db)?
        {
            let sql = format!(
                "SELECT {}, sum(incidents), min(first), max(last) FROM tally
                 WHERE {kept}{classes} GROUP BY value ORDER BY 2 DESC, 4 DESC",
                column.sql_text_of("value")
            );
            return self.counted(&sql, Vec::new());
        }
        let (condition, values) = search.sql();
        let column = column.sql_name();
        let sql = format!(
            "SELECT {text}, count(*), min(time), max(time)
             FROM incident WHERE {condition} AND {column} IS NOT NULL
             GROUP BY {column} ORDER BY 2 DESC, 4 DESC"
        );
        self.counted(&sql, values)
    }

    /// How many there were in each span of `width` ns, oldest first.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn over_time(&self, selection: &Selection, width: i64) -> Result<Vec<Counted>> {
        let Some(search) = Search::prepare(&self.db, selection)? else { return Ok(Vec::new()) };
        if let Some(classes) = search.sql_of_classes()
            && let Some((kept, span)) = tally::over_time(width)
            && tally::is_kept(&self.db)?
        {
            let sql = format!(
                "SELECT NULL, sum(incidents), min(first), max(last) FROM tally
                 WHERE {kept}{classes} GROUP BY {span} ORDER BY 3"
            );
            return self.counted(&sql, Vec::new());
        }
        let (condition, values) = search.sql();
        let sql = format!(
            "SELECT NULL, count(*), min(time), max(time)
             FROM incident WHERE {condition} GROUP BY time / {width} ORDER BY 3"
        );
        self.counted(&sql, values)
    }

    fn counted(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Counted>> {
        let mut statement = self.db.prepare(sql)?;
        let rows = statement.query_map(params_from_iter(values), |row| {
            Ok(Counted {
                name: row.get::<_, Option<Vec<u8>>>(0)?.unwrap_or_default(),
                incidents: row.get(1)?,
                first: row.get(2)?,
                last: row.get(3)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
