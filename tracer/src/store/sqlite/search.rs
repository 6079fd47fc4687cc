//! Which rows match a selection, the newest first. SQLite takes one index a table and query; which of
//! several conditions that should be is decided here, by counting (docs/decisions/0006-search.md).
use roaring::RoaringTreemap;
use rusqlite::{Connection, Result, params, types::Value};

use crate::{
    select::{
        field::Column,
        selection::{Selection, Term, Values},
    },
    store::sqlite::{ended, names, reading::settled, tally},
};

/// Rows that are looked up one by one before whole indexes are read.
const LOOKED_UP: usize = 2_000;
/// Rows of a condition that are counted, one step after the other, until one condition has fewer.
const COUNTED: [u64; 3] = [1_000, 10_000, 100_000];

/// A selection whose names have been looked up.
pub struct Search<'a> {
    db: &'a Connection,
    /// Ns since the epoch, both included.
    since: i64,
    until: i64,
    /// All of them must hold.
    conditions: Vec<OneOf>,
}

/// A column that must have one of these values, or none of them.
struct OneOf {
    column: &'static str,
    values: Vec<i64>,
    not: bool,
}

impl OneOf {
    /// Each value once: rows are read for one after the other.
    fn new(column: Column, mut values: Vec<i64>) -> Self {
        values.sort_unstable();
        values.dedup();
        Self { column: column.sql_name(), values, not: false }
    }

    /// The values, as SQL.
    fn list(&self) -> String {
        self.values.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
    }

    /// As SQL. With a plus in front SQLite does not look for an index.
    fn sql(&self, plus: &str) -> String {
        let (column, list) = (self.column, self.list());
        match self.not {
            false => format!("{plus}{column} IN ({list})"),
            true => format!("(+{column} IS NULL OR +{column} NOT IN ({list}))"),
        }
    }

    /// Whether the row `?1`, of the time `?2`, has one of the values. Of a few the index tells, by value and time; its pages
    /// are many rows each, those of the table next to one row each.
    fn sql_of_one(&self) -> String {
        const FEW: usize = 8;
        let (column, list) = (self.column, self.list());
        if self.values.len() <= FEW {
            format!("SELECT 1 FROM incident WHERE {column} IN ({list}) AND time = ?2 AND +seq = ?1")
        } else {
            format!(
                "SELECT 1 FROM incident WHERE seq = ?1 AND +time = ?2 AND +{column} IN ({list})"
            )
        }
    }
}

impl<'a> Search<'a> {
    /// Looks up the names that a selection asks for; `None` if nothing can match.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn prepare(db: &'a Connection, selection: &Selection) -> Result<Option<Self>> {
        let selection = &*settled(db, selection)?;
        let mut conditions = Vec::new();
        for Term { filter, values, not } in &selection.terms {
            let column = filter.column;
            let values = match (values, column.name_kind()) {
                (Values::Numbers(statuses), _) if column == Column::Status => {
                    ended::columns(statuses).map(i64::from).collect()
                }
                (Values::Numbers(numbers), _) => {
                    numbers.iter().map(|number| i64::from(*number)).collect()
                }
                (Values::Names(patterns), Some(kind)) => {
                    let mut found = names::matching(db, kind, patterns)?;
                    if let Some(beside) = filter.field.of_cgroup() {
                        found.extend(names::cgroups_of(db, beside, patterns)?);
                    }
                    found
                }
                (Values::Names(patterns), None) => names::boots_of(db, patterns)?,
            };
            conditions.push(OneOf { not: *not, ..OneOf::new(column, values) });
        }
        let possible = conditions.iter().all(|one| one.not || !one.values.is_empty());
        let since = selection.since.unwrap_or(i64::MIN);
        let until = selection.until.unwrap_or(i64::MAX);
        let search = Self { db, since, until, conditions };
        if possible { search.narrowed() } else { Ok(None) }
    }

    /// Two conditions that many rows fulfil, but hardly any both, take long to be read. What is counted of each class by
    /// itself says when there were any, or that there were none.
    fn narrowed(mut self) -> Result<Option<Self>> {
        let class = Column::CauseKind.sql_name();
        let (classes, others): (Vec<&OneOf>, Vec<&OneOf>) =
            self.conditions.iter().filter(|one| !one.not).partition(|one| one.column == class);
        let [classes] = classes.as_slice() else { return Ok(Some(self)) };
        if others.is_empty() || !tally::is_kept(self.db)? {
            return Ok(Some(self));
        }
        let (mut since, mut until) = (self.since, self.until);
        for one in others {
            let column = tally::COLUMNS.into_iter().find(|column| column.sql_name() == one.column);
            let Some(kept) = column.and_then(tally::of_column) else { continue };
            let Some((first, last)) = tally::extent(self.db, &kept, &one.list(), &classes.list())?
            else {
                return Ok(None);
            };
            (since, until) = (since.max(first), until.min(last));
        }
        (self.since, self.until) = (since, until);
        Ok(Some(self))
    }

    /// This, of one restart loop only.
    #[must_use]
    pub fn of_story(mut self, key: u64) -> Self {
        self.conditions.push(OneOf::new(Column::Story, vec![key.cast_signed()]));
        self
    }

    /// All conditions, as SQL. The plus leaves SQLite the index of what is grouped by.
    pub fn sql(&self) -> (String, Vec<Value>) {
        self.condition("")
    }

    /// Whether nothing is asked for.
    pub fn is_all(&self) -> bool {
        self.conditions.is_empty() && (self.since, self.until) == (i64::MIN, i64::MAX)
    }

    /// All conditions as SQL for counts of each class, where they ask for nothing but that.
    pub fn sql_of_classes(&self) -> Option<String> {
        let always = (self.since, self.until) == (i64::MIN, i64::MAX);
        let class = Column::CauseKind.sql_name();
        let alone = always && self.conditions.iter().all(|one| one.column == class);
        alone.then(|| self.conditions.iter().map(|one| format!(" AND {}", one.sql("+"))).collect())
    }

    /// The same for a few rows that are known by their numbers: no index is looked for.
    pub fn sql_of_rows(&self) -> (String, Vec<Value>) {
        self.condition("+")
    }

    fn condition(&self, plus: &str) -> (String, Vec<Value>) {
        let mut sql = "+time BETWEEN ? AND ?".to_owned();
        for one in &self.conditions {
            sql.push_str(&format!(" AND {}", one.sql(plus)));
        }
        (sql, vec![Value::Integer(self.since), Value::Integer(self.until)])
    }

    /// The `limit` newest rows that match, newest first. One condition drives, the one that fewest rows
    /// fulfil; its index gives them by time. The others are looked up row by row as long as that finds
    /// what is asked for soon, and else read from their indexes.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn newest(&self, limit: i64) -> Result<Vec<i64>> {
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let Some(driver) = self.driver()? else {
            let list: String =
                self.conditions.iter().map(|one| format!(" AND {}", one.sql("+"))).collect();
            let mut statement = self.db.prepare_cached(&format!(
                "SELECT seq FROM incident WHERE time BETWEEN ?1 AND ?2{list} ORDER BY time DESC LIMIT ?3"
            ))?;
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
            return Ok(rows.into_iter().take(most).map(|(_, seq)| seq).collect());
        }
        let mut found = Vec::new();
        let mut rows = rows.into_iter();
        let mut fulfils = others
            .iter()
            .map(|one| self.db.prepare(&one.sql_of_one()))
            .collect::<Result<Vec<_>>>()?;
        for (time, seq) in rows.by_ref().take(LOOKED_UP) {
            if found.len() >= most {
                return Ok(found);
            }
            let mut all = true;
            for (one, fulfils) in others.iter().zip(&mut fulfils) {
                all = all && fulfils.exists([seq, time])? != one.not;
            }
            found.extend(all.then_some(seq));
        }
        // Then in pieces that grow: what is looked for may be among the next.
        let (mut rest, mut size) = (rows.as_slice(), LOOKED_UP);
        while found.len() < most {
            size *= 4;
            let (piece, later) = rest.split_at(size.min(rest.len()));
            let Some(((newest, _), (oldest, _))) = piece.first().zip(piece.last()) else { break };
            let set = |one: &&OneOf| Ok((self.rows_of(one, *oldest, *newest)?, one.not));
            let sets = others.iter().map(set).collect::<Result<Vec<_>>>()?;
            let fulfilled =
                |seq: &i64| sets.iter().all(|(set, not)| set.contains(seq.cast_unsigned()) != *not);
            let seqs = piece.iter().map(|(_, seq)| *seq);
            found.extend(seqs.filter(fulfilled).take(most - found.len()));
            rest = later;
        }
        Ok(found)
    }

    /// All rows of that time that have one of the values of a condition.
    fn rows_of(&self, one: &OneOf, oldest: i64, newest: i64) -> Result<RoaringTreemap> {
        let column = one.column;
        let mut rows = RoaringTreemap::new();
        let mut statement = self.db.prepare_cached(&format!(
            "SELECT seq FROM incident WHERE {column} = ?1 AND time BETWEEN ?2 AND ?3"
        ))?;
        for value in &one.values {
            let mut found = statement.query([*value, oldest, newest])?;
            while let Some(row) = found.next()? {
                rows.insert(row.get::<_, i64>(0)?.cast_unsigned());
            }
        }
        Ok(rows)
    }

    /// The condition that fewest rows fulfil, as far as counting them is worth it.
    fn driver(&self) -> Result<Option<usize>> {
        let possible = || self.conditions.iter().enumerate().filter(|(_, one)| !one.not);
        if possible().count() < 2 {
            return Ok(possible().next().map(|(i, _)| i));
        }
        for most in COUNTED {
            for (i, one) in possible() {
                if self.count(one, most)? < most {
                    return Ok(Some(i));
                }
            }
        }
        Ok(possible().next().map(|(i, _)| i))
    }

    /// Rows that fulfil one condition with their times, the newest `limit` of them, newest first.
    fn by_time(&self, one: &OneOf, limit: i64) -> Result<Vec<(i64, i64)>> {
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
        Ok(rows)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contract::{Incident, samples::incident},
        model::cause::CauseKind,
        select::{
            facets::Facets,
            field::{FILTERS, Field},
        },
        store::sqlite::{
            read::Reader,
            write::{Entry, Store},
        },
    };

    /// Of several places, causes and culprits, none of them in step with another.
    fn nth(n: u32) -> Incident {
        let causes = [CauseKind::Truncated, CauseKind::Sent, CauseKind::OomKilled];
        let mut incident = incident(causes[n as usize % 3], 7 + 2 * (n % 2));
        incident.id = format!("019aa4d2-6f31-7abc-8def-{n:012x}").into();
        incident.time.0 += i64::from(n) * 1_000;
        incident.host = format!("node-{}", n % 2).into();
        let victim = &mut incident.victim;
        victim.pid = n % 11;
        victim.uid = n % 4;
        victim.comm.0 = format!("service-{}", n % 5).into_bytes();
        victim.thread_comm = None;
        let unit = format!(
            "/kubepods.slice/kubepods-pod1234567{}_9abc.slice/docker-{:064x}.scope",
            n % 7,
            n % 7
        );
        victim.cgroup =
            (!n.is_multiple_of(6)).then(|| crate::contract::Untrusted(unit.into_bytes()));
        // As in a cgroup namespace: who is in which container is not in the path.
        if n % 5 == 1 {
            victim.cgroup = Some(crate::contract::Untrusted(b"/".to_vec()));
        }
        let named = |text: String| Some(crate::contract::Untrusted(text.into_bytes()));
        let lives = victim.cgroup.is_some() && n % 10 != 1;
        victim.container = lives.then(|| crate::contract::Container {
            id: format!("{:064x}", n % 7).into(),
            runtime: None,
            name: named(format!("name-{}", n % 7)),
            image: named(format!("registry.example/image-{}:1", n % 7 % 3)),
        });
        victim.pod = lives.then(|| crate::contract::Pod {
            uid: format!("1234567{}-9abc", n % 7).into(),
            qos: None,
            name: named(format!("pod-{}", n % 7)),
            namespace: named(format!("ns-{}", n % 7 % 2)),
        });
        incident.signature =
            Some(crate::contract::Untrusted(format!("f{} in geo-api", n % 3).into_bytes()));
        if let Some(exit) = &mut incident.exit {
            exit.signal = Some(6 + n % 3);
        }
        if let Some(path) = incident.file.as_mut().and_then(|file| file.path.as_mut()) {
            path.0 = format!("/srv/{}/x", n % 3).into_bytes();
        }
        if let Some(culprit) = &mut incident.cause.culprit {
            culprit.pid = n % 8;
            culprit.comm.0 = format!("by-{}", n % 8).into_bytes();
        }
        incident
    }

    fn term(field: Field, n: u32) -> Term {
        let text = |text: String| Term::of_names(field, &[text]);
        match field {
            Field::Pid | Field::Uid | Field::ByPid => Term::of_numbers(field, &[n % 4, 3]),
            Field::Exit => Term::of_numbers(field, &[134 + n % 3]),
            Field::Comm => text(format!("*-{}", n % 5)),
            Field::Unit => text(format!("docker-*{}", n % 7)),
            Field::Cgroup => text(format!("{}.sc", n % 7)),
            Field::Container => text(format!("{:064x}", n % 7)),
            Field::Pod => text(format!("1234567{}", n % 7)),
            Field::Namespace => text(format!("ns-{}", n % 2)),
            Field::Image => text(format!("image-{}", n % 3)),
            Field::Path => text(format!("/srv/{}", n % 3)),
            Field::ByComm => Term::of_names(field, &[format!("by-{}", n % 8), "by-3".to_owned()]),
            Field::Class => text("*e*".to_owned()),
            Field::Host => text(format!("node-{}", n % 2)),
            Field::Signature => text(format!("f{} in *", n % 3)),
        }
    }

    /// One filter, and any two, by columns and by the predicate, with more rows than are looked up one
    /// by one.
    #[test]
    fn columns_find_what_the_predicate_takes() {
        let dir = std::env::temp_dir().join(format!("whybus-search-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        crate::store::state_dir::prepare(&dir, None).expect("a directory");
        let (mut store, _) = Store::open(&dir, false).expect("a new one");
        let all: Vec<Incident> = (0..9_000).map(nth).collect();
        let entries = all
            .iter()
            .map(|one| Ok::<_, crate::store::Error>(Entry::Incident(Box::new(one.clone()))));
        store.put(entries).expect("room");
        let reader = Reader::open(&dir).expect("readable");
        // The history finds what its filter lets through; how many that are.
        let same = |selection: &Selection, what: &str| {
            let expected: Vec<&str> = all
                .iter()
                .rev()
                .filter(|one| selection.matches(&Facets::from(*one)))
                .take(50)
                .map(|one| &*one.id)
                .collect();
            let found = reader.select(selection, 50).expect("readable");
            let found: Vec<&str> = found.iter().map(|one| &*one.id).collect();
            assert_eq!(found, expected, "{what}");
            found.len()
        };
        let mut found_any = 0;
        for (i, a) in FILTERS.iter().enumerate() {
            for b in &FILTERS[i..] {
                let selection = Selection {
                    since: Some(all[10].time.0),
                    ..Selection::default().with(term(a.field, 1)).with(term(b.field, 5))
                };
                let found = same(&selection, &format!("{a:?} {b:?}"));
                found_any += usize::from(found > 0);
                // And one of them, without the other.
                let selection =
                    Selection::default().with(term(a.field, 1)).with(term(b.field, 5).negated());
                same(&selection, &format!("{a:?}, not {b:?}"));
            }
        }
        assert!(found_any > 50, "{found_any} of 120 find anything");
        std::fs::remove_dir_all(&dir).expect("ours");
    }
}
