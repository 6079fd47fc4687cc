//! Whose incidents go where there is no room for all.
use std::collections::HashMap;

use rusqlite::{Result, Row, Transaction, params};

use crate::{
    model::container::subject,
    select::field::Column,
    store::sqlite::{place::path_of, tally},
};

/// Who pays for the room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Payer {
    /// One restart loop: what it fills a history with is no reason to forget what others died of.
    Story(i64),
    /// One user, who may start as many loops as he likes, outside of these cgroups of containers, whose users anybody may choose.
    /// Not root, who runs most of what is worth recording.
    User(i64, Vec<i64>),
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
            let inside = containers(&of_user(db, uid)?);
            let outside = count(db, uid)? - inside.iter().map(|(_, count)| count).sum::<i64>();
            if too_many(outside) {
                let cgroups = inside.into_iter().flat_map(|(cgroups, _)| cgroups);
                return Ok(Self::User(uid, cgroups.collect()));
            }
        }
        let most = containers(&of_all(db)?).into_iter().max_by_key(|(_, count)| *count);
        let container = most.filter(|(_, count)| too_many(*count));
        Ok(container.map_or(Self::All, |(cgroups, _)| Self::Container(cgroups)))
    }

    /// The oldest of its incidents, at most so many.
    pub fn oldest(&self, db: &Transaction<'_>, most: i64) -> Result<Oldest> {
        match self {
            Self::Story(story) => oldest_of(db, "story = ?1", *story, most),
            Self::User(uid, inside) => {
                let outside = format!("uid = ?1 AND ifnull(cgroup, 0) NOT IN ({})", list(inside));
                oldest_of(db, &outside, *uid, most)
            }
            Self::Container(cgroups) => {
                oldest_of(db, &format!("cgroup IN ({})", list(cgroups)), 0, most)
            }
            Self::All => oldest_of(db, "time <= ?1", i64::MAX, most),
        }
    }
}

fn list(numbers: &[i64]) -> String {
    numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}

/// A cgroup, its path, and how many incidents it has.
type Counted = (i64, Option<Vec<u8>>, i64);

fn counted(db: &Transaction<'_>, sql: &str) -> Result<Vec<Counted>> {
    let sql = format!("SELECT value, (SELECT text FROM name WHERE id = value), n FROM ({sql})");
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.collect()
}

fn count(db: &Transaction<'_>, uid: i64) -> Result<i64> {
    db.query_row("SELECT count(*) FROM incident WHERE uid = ?1", [uid], |row| row.get(0))
}

fn of_user(db: &Transaction<'_>, uid: i64) -> Result<Vec<Counted>> {
    let of = "FROM incident WHERE cgroup IS NOT NULL AND uid =";
    counted(db, &format!("SELECT cgroup AS value, count(*) AS n {of} {uid} GROUP BY cgroup"))
}

/// By the counts, or by the incidents themselves where these are not counted yet.
fn of_all(db: &Transaction<'_>) -> Result<Vec<Counted>> {
    match tally::of_column(Column::Cgroup).filter(|_| tally::is_kept(db).unwrap_or(false)) {
        Some(kept) => {
            let sum = "SELECT value, sum(incidents) AS n FROM tally WHERE";
            counted(db, &format!("{sum} {kept} GROUP BY value"))
        }
        None => {
            let all = "SELECT cgroup AS value, count(*) AS n FROM incident";
            counted(db, &format!("{all} WHERE cgroup IS NOT NULL GROUP BY cgroup"))
        }
    }
}

/// The cgroups of each pod or container, the outermost one, and how many incidents it has.
fn containers(cgroups: &[Counted]) -> Vec<(Vec<i64>, i64)> {
    let mut containers: HashMap<Vec<u8>, (Vec<i64>, i64)> = HashMap::new();
    for (cgroup, path, count) in cgroups {
        let inside = path.as_deref().map(path_of).and_then(subject).filter(|inside| inside.certain);
        let Some(inside) = inside else { continue };
        // Containers of a pod are made anew, with another id.
        let pod = inside.pod.map(|uid| uid.as_bytes().to_vec());
        let (cgroups, sum) =
            containers.entry(pod.unwrap_or_else(|| inside.path.to_vec())).or_default();
        cgroups.push(*cgroup);
        *sum += count;
    }
    containers.into_values().collect()
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
        pushes_out_its_own(0, "/system.slice/nginx.service");
    }

    /// Whoever makes a container chooses its user.
    #[test]
    fn a_container_with_the_user_of_another_pushes_out_its_own() {
        pushes_out_its_own(1_000, &format!("/system.slice/docker-{}.scope", "a".repeat(64)));
    }

    fn pushes_out_its_own(uid: u32, other: &str) {
        let home = tempfile::tempdir().expect("a directory");
        state_dir::prepare(home.path(), None).expect("a directory");
        let (mut store, _) = Store::open(home.path(), false).expect("a new one");
        let evil = format!("/system.slice/docker-{}.scope", "e".repeat(64));
        let inner = format!("{evil}/inner");
        let paths = [&*evil, &inner, &evil, &inner, other];
        let nth = |n: i64| {
            let mut one = incident(CauseKind::Sent, 9);
            one.id = format!("019aa4d2-6f31-7abc-8def-{n:012x}").into();
            one.time.0 += n;
            one.victim.uid = uid;
            one.victim.pid = n as u32;
            one.victim.comm = Untrusted(format!("p{n}").into_bytes());
            one.victim.cgroup = Some(Untrusted(paths[n as usize % 5].into()));
            Ok::<_, Error>(Entry::Incident(Box::new(one)))
        };
        store.put((0..300).map(nth)).expect("room");
        let count = |store: &Store, condition: &str| -> i64 {
            let sql = format!("SELECT count(*) FROM incident WHERE {condition}");
            store.db.query_row(&sql, [], |row| row.get(0)).expect("a count")
        };
        assert_eq!(count(&store, &format!("uid = {uid}")), 300);
        let stories = "story = (SELECT story FROM incident GROUP BY 1 ORDER BY count(*) DESC)";
        assert!(count(&store, stories) < 75, "none of them is a loop");
        let size = store.size().expect("a size");
        store.retain(i64::MIN, size / 2).expect("room");
        let evil = "(SELECT id FROM name WHERE CAST(text AS TEXT) LIKE '%docker-e%')";
        assert_eq!(count(&store, &format!("cgroup NOT IN {evil}")), 60, "of others none");
        let left = count(&store, &format!("cgroup IN {evil}"));
        assert!((60..120).contains(&left), "{left}");
        assert_eq!(count(&store, "time = (SELECT min(time) FROM incident)"), 1);
    }
}
