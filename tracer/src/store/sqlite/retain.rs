//! What a history forgets: what is old, and the oldest of what is too much. A bounded piece at a time.
use rusqlite::{Connection, OptionalExtension as _, Result, Transaction, params};

use crate::{contract::Truncation, store::sqlite::names};

/// Incidents forgotten in one transaction, and warnings.
const BATCH: i64 = 1_000;
/// How many are kept of each [`WarningKind`], some 700 bytes each.
const WARNINGS: [i64; 3] = [20_000, 20_000, 5_000];
/// The part of the history's largest size that each of them may take.
const PARTS: [u64; 3] = [8, 16, 64];

/// What pushes out nothing of another kind: the column `elsewhere` of a warning.
#[derive(Clone, Copy)]
pub enum WarningKind {
    /// Somebody here is at risk.
    Here = 0,
    /// Shrinks that only other hosts may suffer from.
    Elsewhere = 1,
    /// The same on FUSE, which anybody can mount and be the server of.
    Fuse = 2,
}

impl WarningKind {
    pub fn of(warning: &Truncation) -> Self {
        let fstype = warning.file.fstype.as_ref();
        match fstype.is_some_and(|fstype| fstype.0.starts_with(b"fuse")) {
            _ if warning.is_warning() => Self::Here,
            true => Self::Fuse,
            false => Self::Elsewhere,
        }
    }
}

/// How much was forgotten.
pub struct Forgotten {
    pub incidents: usize,
    /// Of the kind of which there were most.
    warnings: usize,
}

impl Forgotten {
    /// Whether there is more to do.
    pub fn more(&self) -> bool {
        self.incidents.max(self.warnings) as i64 == BATCH
    }
}

/// Forgets what is older than `oldest` (ns since the epoch), and the oldest while more than `largest` bytes of `size`
/// are in use.
///
/// # Errors
/// Where SQLite cannot write.
pub fn forget(db: &mut Connection, oldest: i64, size: u64, largest: u64) -> Result<Forgotten> {
    let until: Option<i64> = if size > largest {
        db.query_row(
            "SELECT time FROM incident ORDER BY time LIMIT 1 OFFSET ?1",
            [BATCH - 1],
            |row| row.get(0),
        )
        .optional()?
    } else {
        None
    };
    let before = until.map_or(oldest, |until| until.saturating_add(1).max(oldest));
    let transaction = db.transaction()?;
    let used = names::of_oldest(&transaction, before, BATCH)?;
    let incidents = transaction.execute(
        "DELETE FROM incident WHERE seq IN
             (SELECT seq FROM incident WHERE time < ?1 ORDER BY time LIMIT ?2)",
        params![before, BATCH],
    )?;
    let mut warnings = 0;
    for (kind, (most, part)) in WARNINGS.into_iter().zip(PARTS).enumerate() {
        let bounds = (before, most, largest / part);
        warnings = forget_warnings(&transaction, kind as i64, bounds)?.max(warnings);
    }
    if incidents != 0 {
        transaction.execute("DELETE FROM gap WHERE until < ?1", [before])?;
        names::drop_unused(&transaction, &used)?;
    }
    if incidents + warnings != 0 {
        forget_boots(&transaction)?;
    }
    transaction.commit()?;
    if incidents + warnings != 0 {
        db.execute_batch("PRAGMA incremental_vacuum")?;
    }
    Ok(Forgotten { incidents, warnings })
}

/// Forgets warnings of one kind: those from before the first bound, and the oldest where there are more than the
/// second, or more bytes than the third: so many that they must not push anything else out.
fn forget_warnings(
    db: &Transaction<'_>,
    kind: i64,
    (before, most, largest): (i64, i64, u64),
) -> Result<usize> {
    let (count, bytes): (i64, i64) = db.query_row(
        "SELECT count(*), coalesce(sum(length(body)), 0) FROM warning WHERE elsewhere = ?1",
        [kind],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let crowded = count > most || bytes.unsigned_abs() > largest;
    db.execute(
        "DELETE FROM warning WHERE id IN
             (SELECT id FROM warning WHERE elsewhere = ?1 AND time < ?2 ORDER BY time LIMIT ?3)",
        params![kind, if crowded { i64::MAX } else { before }, BATCH],
    )
}

/// Forgets boots, and with them hosts, of which nothing is left: those of imported rows. This host's own have runs.
fn forget_boots(db: &Transaction<'_>) -> Result<usize> {
    db.execute(
        "DELETE FROM boot WHERE id IN (SELECT id FROM boot WHERE
             NOT EXISTS (SELECT 1 FROM warning WHERE boot IS NULL)
             AND NOT EXISTS (SELECT 1 FROM warning WHERE warning.boot = boot.id)
             AND NOT EXISTS (SELECT 1 FROM incident WHERE incident.boot = boot.id)
             AND NOT EXISTS (SELECT 1 FROM watch WHERE watch.boot = boot.id)
             AND NOT EXISTS (SELECT 1 FROM gap WHERE gap.boot = boot.id)
             LIMIT ?1)",
        [BATCH],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{contract::Untrusted, store::sqlite::schema};

    /// A history with so many warnings of each kind, of so many bytes each.
    fn history(counts: [i64; 3], bytes: i64) -> Connection {
        let mut db = Connection::open_in_memory().expect("memory");
        schema::migrate(&mut db).expect("memory");
        for (kind, count) in counts.into_iter().enumerate() {
            db.execute(
                "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1)
                 INSERT INTO warning(id, time, inode, elsewhere, body)
                 SELECT randomblob(16), i, i, ?2, zeroblob(?3) FROM n",
                params![count, kind as i64, bytes],
            )
            .expect("memory");
        }
        db
    }

    fn left(db: &Connection) -> [i64; 3] {
        let count = "SELECT count(*) FROM warning WHERE elsewhere = ?1";
        [0, 1, 2].map(|kind| db.query_row(count, [kind], |row| row.get(0)).expect("a count"))
    }

    #[test]
    fn each_kind_pushes_out_only_itself() {
        let mut db = history([10, WARNINGS[1] + 1_500, WARNINGS[2] + 500], 1);
        while forget(&mut db, i64::MIN, 0, u64::MAX).expect("memory").more() {}
        let few = WARNINGS[2] + 500 - BATCH;
        assert_eq!(left(&db), [10, WARNINGS[1] - 500, few], "the oldest, a batch at a time");
        let first = "SELECT min(time) FROM warning WHERE elsewhere = 1";
        assert_eq!(db.query_row(first, [], |row| row.get::<_, i64>(0)).expect("one"), 2_000);
        // By size, too, of which they may take less.
        let mut db = history([1_200, 1_200, 1], 1_000);
        assert!(forget(&mut db, i64::MIN, 0, 16_000_000).expect("memory").more());
        assert_eq!(left(&db), [1_200, 200, 1]);
    }

    #[test]
    fn all_kinds_go_with_age() {
        let mut db = history([10, 20, 30], 1);
        assert!(!forget(&mut db, 5, 0, u64::MAX).expect("memory").more());
        assert_eq!(left(&db), [5, 15, 25]);
    }

    #[test]
    fn boots_of_which_nothing_is_left_are_forgotten() {
        let mut db = history([0; 3], 0);
        db.execute_batch(
            "INSERT INTO boot(id, boot_id, host) VALUES (1, 'a', 'old'), (2, 'b', 'new'), (3, 'c', 'own');
             INSERT INTO watch(boot, pid, since) VALUES (3, 1, 1);
             INSERT INTO warning(id, time, body, boot) VALUES (x'01', 1, x'', 1), (x'02', 9, x'', 2);",
        )
        .expect("memory");
        let hosts = |db: &Connection| -> String {
            let hosts = "SELECT group_concat(host) FROM (SELECT host FROM boot ORDER BY id)";
            db.query_row(hosts, [], |row| row.get(0)).expect("some")
        };
        forget(&mut db, 1, 0, u64::MAX).expect("memory");
        assert_eq!(hosts(&db), "old,new,own");
        forget(&mut db, 5, 0, u64::MAX).expect("memory");
        assert_eq!(hosts(&db), "new,own");
    }

    #[test]
    fn what_anybody_can_serve_is_of_a_kind_of_its_own() {
        let mut shrink = crate::contract::samples::truncation();
        shrink.at_risk.clear();
        shrink.at_risk_why = None;
        let mut kind = |fstype: &str| {
            shrink.file.fstype = Some(Untrusted(fstype.into()));
            WarningKind::of(&shrink) as i64
        };
        assert_eq!(["nfs4", "fuse", "fuse.sshfs"].map(&mut kind), [1, 2, 2]);
        shrink.at_risk_why = Some("cut short".into());
        assert_eq!(WarningKind::of(&shrink) as i64, 0);
    }
}
