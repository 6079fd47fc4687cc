//! Which rows match a query, the newest first. SQLite takes one index a table and query; which of
//! several conditions that should be is decided here, by counting (docs/decisions/0008-search.md).
use roaring::RoaringTreemap;
use rusqlite::{Connection, Result, params, types::Value};

use crate::{
    select::query::{Column, Condition, Query},
    store::sqlite::names,
};

/// Rows that are looked up one by one before whole indexes are read.
const LOOKED_UP: usize = 2_000;
/// Rows of a condition that are counted, one step after the other, until one condition has fewer.
const COUNTED: [u64; 3] = [1_000, 10_000, 100_000];

/// A query whose names have been looked up.
pub struct Search<'a> {
    db: &'a Connection,
    /// Ns since the epoch, both included.
    since: i64,
    until: i64,
    /// All of them must hold.
    conditions: Vec<OneOf>,
}

/// A column that must have one of these values.
struct OneOf {
    column: &'static str,
    values: Vec<i64>,
}

impl OneOf {
    /// As SQL. With a plus in front SQLite does not look for an index.
    fn sql(&self, plus: &str) -> String {
        let list: Vec<String> = self.values.iter().map(i64::to_string).collect();
        format!("{plus}{} IN ({})", self.column, list.join(", "))
    }
}

impl<'a> Search<'a> {
    /// Looks up the names that a query asks for; `None` if nothing can match.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn prepare(db: &'a Connection, query: &Query) -> Result<Option<Self>> {
        let mut conditions = Vec::new();
        for condition in &query.conditions {
            let one = match condition {
                Condition::Number(column, value) => {
                    OneOf { column: column.name(), values: vec![*value] }
                }
                Condition::Host(host) => {
                    let mut statement = db.prepare("SELECT id FROM boot WHERE host = ?1")?;
                    let rows = statement.query_map([host], |row| row.get(0))?;
                    OneOf { column: Column::Boot.name(), values: rows.collect::<Result<_>>()? }
                }
                Condition::Name(column, kind, pattern) => {
                    OneOf { column: column.name(), values: names::matching(db, *kind, pattern)? }
                }
            };
            if one.values.is_empty() {
                return Ok(None);
            }
            conditions.push(one);
        }
        let (since, until) = (query.since.unwrap_or(i64::MIN), query.until.unwrap_or(i64::MAX));
        Ok(Some(Self { db, since, until, conditions }))
    }

    /// All conditions, as SQL. The plus leaves SQLite the index of what is grouped by.
    pub fn sql(&self) -> (String, Vec<Value>) {
        let mut sql = "+time BETWEEN ? AND ?".to_owned();
        for one in &self.conditions {
            sql.push_str(&format!(" AND {}", one.sql("")));
        }
        (sql, vec![Value::Integer(self.since), Value::Integer(self.until)])
    }

    /// The `limit` newest rows that match, newest first. One condition drives, the one that fewest rows
    /// fulfil; its index gives them by time. The others are looked up row by row as long as that finds
    /// what is asked for soon, and else read from their indexes once.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn newest(&self, limit: i64) -> Result<Vec<i64>> {
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let Some(driver) = self.driver()? else {
            let mut statement = self.db.prepare_cached(
                "SELECT seq FROM incident WHERE time BETWEEN ?1 AND ?2 ORDER BY time DESC LIMIT ?3",
            )?;
            let rows = statement.query_map([self.since, self.until, limit], |row| row.get(0))?;
            return rows.collect();
        };
        let others: Vec<&OneOf> = self
            .conditions
            .iter()
            .enumerate()
            .filter(|(i, _)| *i != driver)
            .map(|(_, one)| one)
            .collect();
        let first = if others.is_empty() { limit } else { i64::MAX };
        let rows = self.by_time(&self.conditions[driver], first)?;
        if others.is_empty() {
            return Ok(rows.into_iter().take(most).collect());
        }
        let mut found = Vec::new();
        let mut rows = rows.into_iter();
        let list: String = others.iter().map(|one| format!(" AND {}", one.sql("+"))).collect();
        let mut fulfils =
            self.db.prepare(&format!("SELECT 1 FROM incident WHERE seq = ?1{list}"))?;
        for seq in rows.by_ref().take(LOOKED_UP) {
            if found.len() < most && fulfils.exists([seq])? {
                found.push(seq);
            }
        }
        if found.len() >= most || rows.len() == 0 {
            return Ok(found);
        }
        let sets = others.iter().map(|one| self.rows_of(one)).collect::<Result<Vec<_>>>()?;
        let fulfilled = |seq: &i64| sets.iter().all(|set| set.contains(seq.cast_unsigned()));
        found.extend(rows.filter(fulfilled).take(most - found.len()));
        Ok(found)
    }

    /// All rows that fulfil one condition.
    fn rows_of(&self, one: &OneOf) -> Result<RoaringTreemap> {
        let column = one.column;
        let mut rows = RoaringTreemap::new();
        let mut statement = self.db.prepare_cached(&format!(
            "SELECT seq FROM incident WHERE {column} = ?1 AND time BETWEEN ?2 AND ?3"
        ))?;
        for value in &one.values {
            let mut found = statement.query([*value, self.since, self.until])?;
            while let Some(row) = found.next()? {
                rows.insert(row.get::<_, i64>(0)?.cast_unsigned());
            }
        }
        Ok(rows)
    }

    /// The condition that fewest rows fulfil, as far as counting them is worth it.
    fn driver(&self) -> Result<Option<usize>> {
        if self.conditions.len() < 2 {
            return Ok((!self.conditions.is_empty()).then_some(0));
        }
        for most in COUNTED {
            for (i, one) in self.conditions.iter().enumerate() {
                if self.count(one, most)? < most {
                    return Ok(Some(i));
                }
            }
        }
        Ok(Some(0))
    }

    /// Rows that fulfil one condition, the newest `limit` of them, newest first.
    fn by_time(&self, one: &OneOf, limit: i64) -> Result<Vec<i64>> {
        let column = one.column;
        let values = match one.values.as_slice() {
            [_] => one.values.clone(),
            _ => self.latest(one, limit)?,
        };
        let mut statement = self.db.prepare_cached(&format!(
            "SELECT time, seq FROM incident WHERE {column} = ?1 AND time BETWEEN ?2 AND ?3
             ORDER BY time DESC LIMIT ?4"
        ))?;
        let mut rows: Vec<(i64, i64)> = Vec::new();
        for value in &values {
            let found = statement.query_map([*value, self.since, self.until, limit], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
            for row in found {
                rows.push(row?);
            }
        }
        if values.len() > 1 {
            rows.sort_unstable_by(|a, b| b.cmp(a));
        }
        Ok(rows.into_iter().map(|(_, seq)| seq).collect())
    }

    /// Values that there are any rows of, those with the newest first: only the first `limit` of them
    /// can have one of the newest `limit` rows.
    fn latest(&self, one: &OneOf, limit: i64) -> Result<Vec<i64>> {
        let column = one.column;
        let mut statement = self.db.prepare_cached(&format!(
            "SELECT max(time) FROM incident WHERE {column} = ?1 AND time BETWEEN ?2 AND ?3"
        ))?;
        let mut latest = Vec::new();
        for value in &one.values {
            let time: Option<i64> =
                statement.query_row(params![value, self.since, self.until], |row| row.get(0))?;
            latest.extend(time.map(|time| (time, *value)));
        }
        latest.sort_unstable_by(|a, b| b.cmp(a));
        latest.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(latest.into_iter().map(|(_, value)| value).collect())
    }

    /// How many rows fulfil a condition, up to `most`.
    fn count(&self, one: &OneOf, most: u64) -> Result<u64> {
        let column = one.column;
        let mut statement = self.db.prepare_cached(&format!(
            "SELECT count(*) FROM (SELECT 1 FROM incident
             WHERE {column} = ?1 AND time BETWEEN ?2 AND ?3 LIMIT ?4)"
        ))?;
        let mut count = 0_u64;
        for value in &one.values {
            let left = most.saturating_sub(count) as i64;
            if left == 0 {
                break;
            }
            count += statement.query_row(params![value, self.since, self.until, left], |row| {
                row.get::<_, u64>(0)
            })?;
        }
        Ok(count)
    }
}
