//! How many incidents have which value, kept as they come and go: to count a million rows takes longer than anybody waits.
//! Each class by itself, so that whoever asks for some classes only has them, too.
use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, Result, Row, Transaction, params};

use crate::select::field::Column;

/// The columns that are counted; the number of each in the table is its place here.
pub const COLUMNS: [Column; 7] = [
    Column::CauseKind,
    Column::Path,
    Column::ByComm,
    Column::Comm,
    Column::Signature,
    Column::Cgroup,
    Column::Boot,
];
/// The number of what is counted by the hour.
const BY_HOUR: i64 = 7;
/// The number of the row that is there while a history of before version 10 is counted: `incidents` is the last incident
/// (`seq`) that is.
const UNTIL: i64 = -1;
/// Incidents that are counted in one transaction.
const PIECE: i64 = 1_000;
/// Ns.
const HOUR: i64 = 3_600_000_000_000;

/// What is counted together: the number of the column, the value, and the class.
pub type Key = (i64, i64, i64);

/// Whether a history has counts, of all that it holds: one of before version 10 has none until its writer has made them.
pub fn is_kept(db: &Connection) -> Result<bool> {
    Ok(db.table_exists(None, "tally")? && counted_until(db)?.is_none())
}

/// The last incident that is counted, if not all are.
fn counted_until(db: &Connection) -> Result<Option<i64>> {
    let mut statement = db.prepare_cached("SELECT incidents FROM tally WHERE kind = ?1")?;
    statement.query_row([UNTIL], |row| row.get(0)).optional()
}

/// Whether an incident is among those that are counted.
fn is_counted(db: &Connection, seq: i64) -> Result<bool> {
    Ok(counted_until(db)?.is_none_or(|until| seq <= until))
}

/// Counts some of what a history held before it had counts; true if there may be more.
pub fn count_more(db: &mut Connection) -> Result<bool> {
    let transaction = db.transaction()?;
    let Some(until) = counted_until(&transaction)? else { return Ok(false) };
    let next: Option<i64> = transaction.query_row(
        "SELECT max(seq) FROM (SELECT seq FROM incident WHERE seq > ?1 ORDER BY seq LIMIT ?2)",
        [until, PIECE],
        |row| row.get(0),
    )?;
    match next {
        Some(next) => {
            count(&transaction, until, next)?;
            transaction
                .execute("UPDATE tally SET incidents = ?2 WHERE kind = ?1", [UNTIL, next])?;
        }
        None => drop(transaction.execute("DELETE FROM tally WHERE kind = ?1", [UNTIL])?),
    }
    transaction.commit()?;
    Ok(next.is_some())
}

/// The times of the first and the last incident that has one of these values of a column and one of these classes, as SQL has
/// both lists; `None` where there is no such incident.
pub fn extent(
    db: &Connection,
    kept: &str,
    values: &str,
    classes: &str,
) -> Result<Option<(i64, i64)>> {
    let sql = format!(
        "SELECT min(first), max(last) FROM tally WHERE {kept} AND value IN ({values}) AND class IN ({classes})"
    );
    let ends = |row: &Row<'_>| Ok((row.get::<_, Option<i64>>(0)?, row.get(1)?));
    let (first, last) = db.query_row(&sql, [], ends)?;
    Ok(first.zip(last))
}

/// SQL for the rows of one column's counts.
pub fn of_column(column: Column) -> Option<String> {
    let kind = COLUMNS.iter().position(|one| *one == column)?;
    Some(format!("kind = {kind}"))
}

/// SQL for the rows of counts by the hour, and for the span of `width` ns that one lies in; `None` where hours do not make
/// up spans.
pub fn over_time(width: i64) -> Option<(String, String)> {
    match width {
        // All in one.
        i64::MAX => Some((of_column(Column::CauseKind)?, "value * 0".to_owned())),
        _ if width % HOUR == 0 => {
            Some((format!("kind = {BY_HOUR}"), format!("value / {}", width / HOUR)))
        }
        _ => None,
    }
}

/// Counts a row that was added.
pub fn add(db: &Transaction<'_>, seq: i64) -> Result<()> {
    match is_counted(db, seq)? {
        true => count(db, seq - 1, seq),
        false => Ok(()),
    }
}

/// Counts the rows behind one, up to another.
fn count(db: &Transaction<'_>, after: i64, until: i64) -> Result<()> {
    let rows = |(kind, value): (usize, String)| {
        format!(
            "SELECT {kind}, {value}, class, count(*), min(time), max(time) FROM incident
             WHERE seq > ?1 AND seq <= ?2 AND {value} IS NOT NULL GROUP BY 2, 3"
        )
    };
    let rows: Vec<String> = values().map(rows).collect();
    let sql = format!(
        "INSERT INTO tally(kind, value, class, incidents, first, last)
         SELECT * FROM ({}) WHERE true
         ON CONFLICT(kind, value, class) DO UPDATE SET incidents = incidents + excluded.incidents,
             first = min(first, excluded.first), last = max(last, excluded.last)",
        rows.join(" UNION ALL ")
    );
    db.prepare_cached(&sql)?.execute([after, until]).map(drop)
}

/// What a row is counted as, and its time; nothing if it is not counted.
pub fn keys(db: &Transaction<'_>, seq: i64) -> Result<(Vec<Key>, i64)> {
    if !is_counted(db, seq)? {
        return Ok((Vec::new(), 0));
    }
    let values: Vec<String> = values().map(|(_, value)| value).collect();
    let sql = format!("SELECT time, class, {} FROM incident WHERE seq = ?1", values.join(", "));
    db.prepare_cached(&sql)?.query_row([seq], |row| {
        let class = row.get(1)?;
        let key = |kind: usize| {
            let value: Option<i64> = row.get(kind + 2)?;
            Ok(value.map(|value| (kind as i64, value, class)))
        };
        let keys = (0..values.len()).map(key).filter_map(Result::transpose);
        Ok((keys.collect::<Result<_>>()?, row.get(0)?))
    })
}

/// Rows of one key that go: how many, and the times of the first and last of them.
#[derive(Debug, Clone, Copy)]
pub struct Gone {
    count: i64,
    first: i64,
    last: i64,
}

impl Gone {
    /// One row.
    pub fn one(time: i64) -> Self {
        Self { count: 1, first: time, last: time }
    }
}

/// The same of many, with how often each.
pub fn keys_of(db: &Transaction<'_>, rows: &[i64]) -> Result<BTreeMap<Key, Gone>> {
    let mut gone: BTreeMap<Key, Gone> = BTreeMap::new();
    for seq in rows {
        let (keys, time) = keys(db, *seq)?;
        for key in keys {
            let sum = gone.entry(key).or_insert(Gone { count: 0, ..Gone::one(time) });
            let (first, last) = (sum.first.min(time), sum.last.max(time));
            *sum = Gone { count: sum.count + 1, first, last };
        }
    }
    Ok(gone)
}

/// Takes off what is gone: the rows are not there any more, or have other values.
pub fn remove(db: &Transaction<'_>, gone: &BTreeMap<Key, Gone>) -> Result<()> {
    const KEY: &str = "kind = ?1 AND value = ?2 AND class = ?3";
    for (&key, gone) in gone {
        let (kind, value, class) = key;
        let kept: Option<(i64, i64, i64)> = db
            .prepare_cached(&format!("SELECT incidents, first, last FROM tally WHERE {KEY}"))?
            .query_row([kind, value, class], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let Some((incidents, first, last)) = kept else { continue };
        if incidents <= gone.count {
            db.prepare_cached(&format!("DELETE FROM tally WHERE {KEY}"))?
                .execute([kind, value, class])?;
            continue;
        }
        // As a rule the oldest go: the last one stays.
        let first = if gone.first <= first { time_of(db, key, "min")? } else { Some(first) };
        let last = if gone.last >= last { time_of(db, key, "max")? } else { Some(last) };
        db.prepare_cached(&format!(
            "UPDATE tally SET incidents = incidents - ?4, first = coalesce(?5, first),
                 last = coalesce(?6, last) WHERE {KEY}"
        ))?
        .execute(params![kind, value, class, gone.count, first, last])?;
    }
    Ok(())
}

/// The time of the first (`min`) or last (`max`) incident of a key that is left and counted.
fn time_of(db: &Transaction<'_>, (kind, value, class): Key, which: &str) -> Result<Option<i64>> {
    let condition = match usize::try_from(kind).ok().and_then(|kind| COLUMNS.get(kind)) {
        // By the index that has fewer: a rare class of a common program is found by its class.
        Some(column) => match (of(db, kind, value)? < of(db, 0, class)?, column.sql_name()) {
            (true, column) => format!("{column} = ?1 AND +class = ?2"),
            (false, column) => format!("+{column} = ?1 AND class = ?2"),
        },
        None => format!("class = ?2 AND time >= ?1 * {HOUR} AND time < (?1 + 1) * {HOUR}"),
    };
    let until = counted_until(db)?.unwrap_or(i64::MAX);
    let sql = format!("SELECT {which}(time) FROM incident WHERE {condition} AND seq <= ?3");
    db.prepare_cached(&sql)?.query_row([value, class, until], |row| row.get(0))
}

/// How many incidents have a value, of whatever class.
fn of(db: &Transaction<'_>, kind: i64, value: i64) -> Result<i64> {
    let sql = "SELECT coalesce(sum(incidents), 0) FROM tally WHERE kind = ?1 AND value = ?2";
    db.prepare_cached(sql)?.query_row([kind, value], |row| row.get(0))
}

/// Number and SQL of everything that is counted.
fn values() -> impl Iterator<Item = (usize, String)> {
    let columns = COLUMNS.iter().map(|column| column.sql_name().to_owned());
    columns.chain([format!("time / {HOUR}")]).enumerate()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contract::{Incident, Untrusted, samples::incident},
        model::cause::CauseKind,
        select::{
            field::Field,
            selection::{Selection, Term},
        },
        store::{
            Error,
            sqlite::{
                read::Reader,
                write::{Entry, Store},
            },
            state_dir,
        },
    };

    /// Counts as they are kept, and as they are counted now.
    fn both(db: &Connection) -> [Vec<[i64; 6]>; 2] {
        let all = |sql: &str| {
            let mut statement = db.prepare(sql).expect("SQL");
            let rows = statement.query_map([], |row| {
                let mut numbers = [0; 6];
                for (at, number) in numbers.iter_mut().enumerate() {
                    *number = row.get(at)?;
                }
                Ok(numbers)
            });
            rows.expect("rows").collect::<Result<Vec<_>>>().expect("numbers")
        };
        let counted: Vec<String> = values()
            .map(|(kind, value)| {
                format!(
                    "SELECT {kind}, {value}, class, count(*), min(time), max(time) FROM incident
                     WHERE {value} IS NOT NULL GROUP BY 2, 3"
                )
            })
            .collect();
        [
            all("SELECT kind, value, class, incidents, first, last FROM tally ORDER BY 1, 2, 3"),
            all(&format!("{} ORDER BY 1, 2, 3", counted.join(" UNION ALL "))),
        ]
    }

    fn nth(n: u32) -> Incident {
        let causes = [CauseKind::Truncated, CauseKind::Sent, CauseKind::OomKilled];
        let mut one = incident(causes[n as usize % 3], 7);
        one.id = format!("019aa4d2-6f31-7abc-8def-{n:012x}").into();
        one.time.0 += i64::from(n * 7 % 100) * (HOUR / 3);
        one.host = format!("node-{}", n % 2).into();
        one.victim.comm.0 = format!("service-{}", n % 5).into_bytes();
        one.victim.cgroup =
            Some(Untrusted(format!("/system.slice/{}.service", n % 4).into_bytes()));
        one.signature = n.is_multiple_of(4).then(|| Untrusted(format!("f{}", n % 3).into_bytes()));
        one
    }

    #[test]
    fn counts_follow_what_comes_changes_and_goes() {
        let home = tempfile::tempdir().expect("a directory");
        state_dir::prepare(home.path(), None).expect("a directory");
        let (mut store, _) = Store::open(home.path(), false).expect("a new one");
        let put = |store: &mut Store, all: Vec<Incident>| {
            let entries = all.into_iter().map(|one| Ok::<_, Error>(Entry::Incident(Box::new(one))));
            store.put(entries).expect("room");
        };
        let same = |store: &Store, what: &str| {
            let [kept, counted] = both(&store.db);
            assert!(kept == counted && !kept.is_empty(), "{what}: {kept:?} {counted:?}");
        };
        put(&mut store, (0..200).map(nth).collect());
        same(&store, "as they come");
        let changed = |n| {
            let mut one = nth(n);
            one.victim.cgroup = Some(Untrusted(b"/user.slice".to_vec()));
            one.signature = Some(Untrusted(b"g".to_vec()));
            one
        };
        put(&mut store, (50..90).map(changed).chain((150..160).map(nth)).collect());
        same(&store, "as they change");
        store.retain(nth(0).time.0 + 5 * HOUR, u64::MAX).expect("room");
        same(&store, "the oldest went");
        let most = store.size().expect("a size") * 19 / 20;
        store.retain(i64::MIN, most).expect("room");
        same(&store, "some went for room");
        let of = Term::of_names(Field::Comm, &["service-2".to_owned()]);
        store.forget(&Selection::default().with(of)).expect("room");
        same(&store, "some were forgotten");
        // And what is read is the same with counts as without.
        let reader = Reader::open(home.path()).expect("readable");
        let sent = Term::of_names(Field::Class, &["sent".to_owned()]);
        for selection in [
            Selection::default(),
            Selection::default().with(sent.clone()),
            Selection::default().with(sent.negated()),
        ] {
            let scanned = Selection { since: Some(0), ..selection.clone() };
            for column in COLUMNS {
                let of = |selection| {
                    let mut rows = reader.count(selection, column).expect("readable");
                    rows.sort_by(|a, b| a.name.cmp(&b.name));
                    rows
                };
                assert_eq!(of(&selection), of(&scanned), "{column:?}");
                // Nor does it matter whether they are few.
                for without in [vec![], vec!["sent".to_owned()]] {
                    let of = |selection: &Selection| {
                        let counts = reader.counts(selection).expect("readable");
                        let mut rows = counts.of(column, &without).expect("readable");
                        rows.sort_by(|a, b| a.name.cmp(&b.name));
                        rows
                    };
                    assert_eq!(of(&selection), of(&scanned), "{column:?} {without:?}");
                }
            }
            for width in [i64::MAX, HOUR, 6 * HOUR, HOUR / 60] {
                let of = |selection| reader.over_time(selection, width).expect("readable");
                assert_eq!(of(&selection), of(&scanned), "{width}");
                let few = reader.counts(&scanned).expect("readable").over_time(width);
                assert_eq!(of(&selection), few.expect("readable"), "{width}");
            }
            assert_eq!(reader.number(&selection).ok(), reader.number(&scanned).ok());
        }
    }

    /// What is read of a history: from counts, where it has them.
    fn read(reader: &Reader) -> impl PartialEq + std::fmt::Debug + use<> {
        let all = Selection::default();
        let comms = reader.count(&all, Column::Comm).expect("readable");
        let hours = reader.over_time(&all, 6 * HOUR).expect("readable");
        (comms, hours, reader.number(&all).expect("readable"))
    }

    /// A recorder begins, records, forgets and is killed meanwhile.
    #[test]
    fn a_history_of_version_9_is_counted_by_and_by() {
        let home = tempfile::tempdir().expect("a directory");
        state_dir::prepare(home.path(), None).expect("a directory");
        let open = || Store::open(home.path(), false).expect("ours").0;
        let put = |store: &mut Store, all: &mut dyn Iterator<Item = Incident>| {
            let entries = all.map(|one| Ok::<_, Error>(Entry::Incident(Box::new(one))));
            store.put(entries).expect("room");
        };
        let mut store = open();
        put(&mut store, &mut (0..2_500).map(nth));
        store.db.execute_batch("DROP TABLE tally").expect("ours");
        store.db.pragma_update(None, "user_version", 9).expect("ours");
        let reader = Reader::open(home.path()).expect("readable");
        let before = read(&reader);
        drop(store);
        let mut store = open();
        assert!(counted_until(&store.db).ok() == Some(Some(0)), "none at once");
        assert_eq!(read(&reader), before);
        assert!(store.count_more().expect("room"));
        // As kill -9 leaves it: nothing is closed.
        std::mem::forget(store);
        let mut store = open();
        assert_eq!(counted_until(&store.db), Ok(Some(PIECE)));
        assert_eq!((read(&reader), store.incidents().ok()), (before, Some(2_500)));
        // Some of those that are counted, some of those that are not, and some that are new.
        let moved = |n| {
            let mut one = nth(n);
            one.victim.cgroup = Some(Untrusted(b"/user.slice".to_vec()));
            one
        };
        put(&mut store, &mut (900..1_100).map(moved).chain((2_500..2_600).map(nth)));
        store.retain(nth(0).time.0 + 5 * HOUR, u64::MAX).expect("room");
        let of = Term::of_names(Field::Comm, &["service-2".to_owned()]);
        store.forget(&Selection::default().with(of)).expect("room");
        let meanwhile = read(&reader);
        while store.count_more().expect("room") {}
        let [kept, counted] = both(&store.db);
        assert!(kept == counted && !kept.is_empty(), "{kept:?} {counted:?}");
        assert_eq!(read(&reader), meanwhile);
        put(&mut store, &mut (2_600..2_610).map(nth));
        let [kept, counted] = both(&store.db);
        assert!(kept == counted, "what comes later is counted at once");
    }
}
