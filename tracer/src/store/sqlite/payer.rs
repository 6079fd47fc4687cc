//! Whose incidents go where there is no room for all.
use std::collections::HashMap;

use rusqlite::{Result, Row, Transaction, params};

use crate::{model::container::subject, select::field::Column, store::sqlite::tally};

/// Who pays for the room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Payer {
    /// One restart loop: what it fills a history with is no reason to forget what others died of.
    Story(i64),
    /// One user, who may start as many loops as he likes. Not root, who runs most of what is worth recording.
    User(i64),
    /// One pod or container, where root is whoever it was given to: the numbers of its cgroups.
    Container(Vec<i64>),
    /// Everybody, the oldest first.
    All,
}

/// The numbers of rows, and the times of the first and last of them.
type Oldest = (Vec<i64>, Option<(i64, i64)>);

impl Payer {
    /// Whoever has more than a quarter of `all` incidents; if nobody has, everybody.
    pub fn of(db: &Transaction<'_>, all: i64) -> Result<Self> {
        let most = |column: &str| {
            let sql = format!(
                "SELECT {column}, count(*) FROM incident GROUP BY {column} ORDER BY 2 DESC LIMIT 2"
            );
            let mut statement = db.prepare_cached(&sql)?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<Result<Vec<(i64, i64)>>>()
        };
        let too_many = |count: i64| count.saturating_mul(4) > all;
        let first = |rows: Vec<(i64, i64)>, but: Option<i64>| {
            let mut rows = rows.into_iter().filter(|(value, _)| Some(*value) != but);
            rows.find(|(_, count)| too_many(*count)).map(|(value, _)| value)
        };
        if let Some(story) = first(most("story")?, None) {
            return Ok(Self::Story(story));
        }
        if let Some(uid) = first(most("uid")?, Some(0)) {
            return Ok(Self::User(uid));
        }
        let container = containers(db)?.into_iter().find(|(_, count)| too_many(*count));
        Ok(container.map_or(Self::All, |(cgroups, _)| Self::Container(cgroups)))
    }

    /// The oldest of its incidents, at most so many.
    pub fn oldest(&self, db: &Transaction<'_>, most: i64) -> Result<Oldest> {
        match self {
            Self::Story(story) => oldest_of(db, "story = ?1", *story, most),
            Self::User(uid) => oldest_of(db, "uid = ?1", *uid, most),
            Self::Container(cgroups) => {
                let numbers: Vec<String> = cgroups.iter().map(i64::to_string).collect();
                oldest_of(db, &format!("cgroup IN ({})", numbers.join(", ")), 0, most)
            }
            Self::All => oldest_of(db, "time <= ?1", i64::MAX, most),
        }
    }
}

/// The cgroups of each pod or container, the outermost one, and how many incidents it has: of a history that has counts.
fn containers(db: &Transaction<'_>) -> Result<Vec<(Vec<i64>, i64)>> {
    let Some(kept) = tally::of_column(Column::Cgroup) else { return Ok(Vec::new()) };
    let mut statement = db.prepare_cached(&format!(
        "SELECT value, sum(incidents), (SELECT text FROM name WHERE id = value) FROM tally
         WHERE {kept} GROUP BY value"
    ))?;
    let mut rows = statement.query([])?;
    let mut containers: HashMap<Vec<u8>, (Vec<i64>, i64)> = HashMap::new();
    while let Some(row) = rows.next()? {
        let path: Option<Vec<u8>> = row.get(2)?;
        let inside = path.as_deref().and_then(subject).filter(|inside| inside.certain);
        let Some(inside) = inside else { continue };
        // Containers of a pod are made anew, with another id.
        let pod = inside.pod.map(|uid| uid.as_bytes().to_vec());
        let (cgroups, count) =
            containers.entry(pod.unwrap_or_else(|| inside.path.to_vec())).or_default();
        cgroups.push(row.get(0)?);
        *count += row.get::<_, i64>(1)?;
    }
    Ok(containers.into_values().collect())
}

/// The oldest incidents that match, at most so many.
pub(super) fn oldest_of(
    db: &Transaction<'_>,
    condition: &str,
    value: i64,
    most: i64,
) -> Result<Oldest> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT seq, time FROM incident WHERE {condition} ORDER BY time LIMIT ?2"
    ))?;
    let pair = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let rows = statement.query_map(params![value, most], pair)?;
    let (rows, times): (Vec<i64>, Vec<i64>) = rows.collect::<Result<Vec<_>>>()?.into_iter().unzip();
    Ok((rows, times.first().copied().zip(times.last().copied())))
}

#[cfg(test)]
mod tests {
    use crate::{
        contract::{Untrusted, samples::incident},
        model::cause::CauseKind,
        store::{
            Error,
            sqlite::write::{Entry, Store},
            state_dir,
        },
    };

    /// Each death by itself, so that none of them is a loop.
    #[test]
    fn root_of_a_container_pushes_out_his_own() {
        let home = tempfile::tempdir().expect("a directory");
        state_dir::prepare(home.path(), None).expect("a directory");
        let (mut store, _) = Store::open(home.path(), false).expect("a new one");
        let evil = format!("/system.slice/docker-{}.scope", "e".repeat(64));
        let paths = [&*evil, &format!("{evil}/inner"), "/system.slice/nginx.service"];
        let nth = |n: i64| {
            let mut one = incident(CauseKind::Sent, 9);
            one.id = format!("019aa4d2-6f31-7abc-8def-{n:012x}").into();
            one.time.0 += n;
            one.victim.uid = 0;
            one.victim.pid = n as u32;
            one.victim.comm = Untrusted(format!("p{n}").into_bytes());
            one.victim.cgroup = Some(Untrusted(paths[n as usize % 3].into()));
            Ok::<_, Error>(Entry::Incident(Box::new(one)))
        };
        store.put((0..300).map(nth)).expect("room");
        let count = |store: &Store, condition: &str| -> i64 {
            let sql = format!("SELECT count(*) FROM incident WHERE {condition}");
            store.db.query_row(&sql, [], |row| row.get(0)).expect("a count")
        };
        assert_eq!(count(&store, "uid = 0"), 300);
        let stories = "story = (SELECT story FROM incident GROUP BY 1 ORDER BY count(*) DESC)";
        assert!(count(&store, stories) < 75, "none of them is a loop");
        let size = store.size().expect("a size");
        store.retain(i64::MIN, size / 2).expect("room");
        let evil = "(SELECT id FROM name WHERE CAST(text AS TEXT) LIKE '%docker-%')";
        assert_eq!(count(&store, &format!("cgroup NOT IN {evil}")), 100, "of others none");
        let left = count(&store, &format!("cgroup IN {evil}"));
        assert!((40..70).contains(&left), "{left}");
        assert_eq!(count(&store, "time = (SELECT min(time) FROM incident)"), 1);
    }
}
