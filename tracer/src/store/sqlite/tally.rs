//! How many incidents have which value, kept as they come and go: to count a million rows takes longer than anybody waits.
//! Each class by itself, so that whoever asks for some classes only has them, too.
use std::collections::BTreeMap;

use rusqlite::{Connection, Result, Transaction, params};

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
/// Ns.
const HOUR: i64 = 3_600_000_000_000;

/// What is counted together: the number of the column, the value, and the class.
pub type Key = (i64, i64, i64);

/// Whether a history has counts: one of before version 10 that nobody has written to since has none.
pub fn is_kept(db: &Connection) -> Result<bool> {
    db.table_exists(None, "tally")
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
    let row = |(kind, value): (usize, String)| {
        format!(
            "SELECT {kind}, {value}, class, 1, time, time FROM incident WHERE seq = ?1 AND {value} IS NOT NULL"
        )
    };
    let rows: Vec<String> = values().map(row).collect();
    let sql = format!(
        "INSERT INTO tally(kind, value, class, incidents, first, last) {}
         ON CONFLICT(kind, value, class) DO UPDATE SET incidents = incidents + 1,
             first = min(first, excluded.first), last = max(last, excluded.last)",
        rows.join(" UNION ALL ")
    );
    db.prepare_cached(&sql)?.execute([seq]).map(drop)
}

/// What a row is counted as.
pub fn keys(db: &Transaction<'_>, seq: i64) -> Result<Vec<Key>> {
    let values: Vec<String> = values().map(|(_, value)| value).collect();
    let sql = format!("SELECT class, {} FROM incident WHERE seq = ?1", values.join(", "));
    db.prepare_cached(&sql)?.query_row([seq], |row| {
        let class = row.get(0)?;
        let key = |kind: usize| {
            let value: Option<i64> = row.get(kind + 1)?;
            Ok(value.map(|value| (kind as i64, value, class)))
        };
        (0..values.len()).map(key).filter_map(Result::transpose).collect()
    })
}

/// The same of many, with how often each.
pub fn keys_of(db: &Transaction<'_>, rows: &[i64]) -> Result<BTreeMap<Key, i64>> {
    let mut counts = BTreeMap::new();
    for seq in rows {
        for key in keys(db, *seq)? {
            *counts.entry(key).or_default() += 1;
        }
    }
    Ok(counts)
}

/// Takes off what is gone: the rows are not there any more, or have other values.
pub fn remove(db: &Transaction<'_>, gone: &BTreeMap<Key, i64>) -> Result<()> {
    for ((kind, value, class), count) in gone {
        let key = params![kind, value, class];
        db.prepare_cached(
            "DELETE FROM tally WHERE kind = ?1 AND value = ?2 AND class = ?3 AND incidents <= ?4",
        )?
        .execute(params![kind, value, class, count])?;
        let has = match usize::try_from(*kind).ok().and_then(|kind| COLUMNS.get(kind)) {
            Some(column) => format!("{} = ?2", column.sql_name()),
            None => format!("time >= ?2 * {HOUR} AND time < (?2 + 1) * {HOUR}"),
        };
        let time = |which: &str| {
            format!("(SELECT {which}(time) FROM incident WHERE {has} AND +class = ?3)")
        };
        db.prepare_cached(&format!(
            "UPDATE tally SET first = coalesce({}, first), last = coalesce({}, last)
             WHERE kind = ?1 AND value = ?2 AND class = ?3",
            time("min"),
            time("max")
        ))?
        .execute(key)?;
        db.prepare_cached(
            "UPDATE tally SET incidents = incidents - ?4 WHERE kind = ?1 AND value = ?2 AND class = ?3",
        )?
        .execute(params![kind, value, class, count])?;
    }
    Ok(())
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

    #[test]
    fn a_history_of_version_9_is_counted_once() {
        let home = tempfile::tempdir().expect("a directory");
        state_dir::prepare(home.path(), None).expect("a directory");
        let (mut store, _) = Store::open(home.path(), false).expect("a new one");
        let entries = (0..50).map(|n| Ok::<_, Error>(Entry::Incident(Box::new(nth(n)))));
        store.put(entries).expect("room");
        store.db.execute_batch("DROP TABLE tally").expect("ours");
        store.db.pragma_update(None, "user_version", 9).expect("ours");
        let reader = Reader::open(home.path()).expect("readable");
        let comms = |reader: &Reader| reader.count(&Selection::default(), Column::Comm);
        let scanned = comms(&reader).expect("readable");
        assert_eq!(scanned.len(), 5);
        drop((store, reader));
        let (store, _) = Store::open(home.path(), false).expect("an old one");
        let [kept, counted] = both(&store.db);
        assert!(kept == counted && !kept.is_empty());
        let reader = Reader::open(home.path()).expect("readable");
        assert_eq!(comms(&reader).expect("readable"), scanned);
    }
}
