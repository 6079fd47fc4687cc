//! What a history forgets: what is old, and the oldest of what is too much. A bounded piece at a time.
use rusqlite::{Connection, Result, Transaction, params};

use crate::{
    contract::{GapReason, LOSSES, Truncation},
    store::sqlite::{
        names,
        payer::{Payer, oldest_of},
        tally,
    },
};

/// Incidents forgotten in one transaction, and warnings.
const BATCH: i64 = 1_000;
/// How many are kept of each [`WarningKind`], some 700 bytes each.
const WARNINGS: [i64; 3] = [20_000, 20_000, 5_000];
/// Gaps that are kept, those of losses last.
const GAPS: i64 = 10_000;
/// Pages given back to the file system at once.
const PAGES: i64 = 2_000;
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
    gaps: usize,
    /// It is more than there is to be, or was.
    crowded: bool,
    /// Pages are left to be given back.
    pages: bool,
}

impl Forgotten {
    /// Whether there is more to do.
    pub fn more(&self) -> bool {
        let most = self.incidents.max(self.warnings).max(self.gaps) as i64;
        most == BATCH || self.crowded || self.pages
    }
}

/// What one payer had to forget is a gap: else his history would look whole.
fn note_cut(db: &Transaction<'_>, since: i64, until: i64, incidents: usize) -> Result<()> {
    let (why, incidents) = (GapReason::Room.to_string(), incidents as i64);
    let known = db.execute(
        "UPDATE gap SET since = min(since, ?1), until = max(until, ?2), lost = lost + ?3 WHERE why = ?4",
        params![since, until, incidents, why],
    )?;
    if known == 0 {
        // Of the recorder that runs; a history that was only imported to forgets nothing.
        db.execute(
            "INSERT INTO gap(boot, since, until, why, lost)
             SELECT boot, ?1, ?2, ?4, ?3 FROM watch ORDER BY id DESC LIMIT 1",
            params![since, until, incidents, why],
        )?;
    }
    Ok(())
}

/// Forgets what is older than `oldest` (ns since the epoch), and the oldest of whoever has most while more than `largest`
/// bytes of `size` are in use.
///
/// # Errors
/// Where SQLite cannot write.
pub fn forget(db: &mut Connection, oldest: i64, size: u64, largest: u64) -> Result<Forgotten> {
    let transaction = db.transaction()?;
    let (mut before, mut all_pay) = (oldest, true);
    let (mut rows, _) = oldest_of(&transaction, "time < ?1", oldest, BATCH)?;
    let crowded = rows.is_empty() && size > largest;
    if crowded {
        let all = transaction.query_row("SELECT count(*) FROM incident", [], |row| row.get(0))?;
        let payer = Payer::of(&transaction, all)?;
        let (chosen, times) = payer.oldest(&transaction, needed(size, largest, all))?;
        rows = chosen;
        match (payer, times) {
            // Nothing older is left.
            (Payer::All, Some((_, until))) => before = until.saturating_add(1).max(oldest),
            (_, Some((since, until))) => {
                all_pay = false;
                note_cut(&transaction, since, until, rows.len())?;
            }
            (_, None) => {}
        }
    }
    let used = names::of_incidents(&transaction, &rows)?;
    let counted = tally::keys_of(&transaction, &rows)?;
    let mut delete = transaction.prepare_cached("DELETE FROM incident WHERE seq = ?1")?;
    rows.iter().try_for_each(|seq| delete.execute([seq]).map(drop))?;
    drop(delete);
    tally::remove(&transaction, &counted)?;
    let incidents = rows.len();
    let mut warnings = 0;
    for (kind, (most, part)) in WARNINGS.into_iter().zip(PARTS).enumerate() {
        let bounds = (before, most, largest / part);
        warnings = forget_warnings(&transaction, kind as i64, bounds)?.max(warnings);
    }
    if incidents != 0 {
        if all_pay {
            note_forgotten(&transaction, before)?;
        }
        names::drop_unused(&transaction, &used)?;
    }
    let gaps = forget_gaps(&transaction, before)?;
    if incidents + warnings + gaps != 0 {
        forget_boots(&transaction)?;
    }
    transaction.commit()?;
    let pages = give_back(db)?;
    Ok(Forgotten { incidents, warnings, gaps, crowded: crowded && incidents != 0, pages })
}

/// Notes that incidents from before a time may be missing.
fn note_forgotten(db: &Transaction<'_>, before: i64) -> Result<()> {
    db.execute(
        "INSERT INTO forgotten(id, until) VALUES (1, ?1)
         ON CONFLICT(id) DO UPDATE SET until = max(until, excluded.until)",
        [before],
    )?;
    Ok(())
}

/// How many incidents of `all` are to go so that as much room is left as there is to be, if each takes as much.
fn needed(size: u64, largest: u64, all: i64) -> i64 {
    let over = u128::from(size.saturating_sub(largest));
    let share = (over * u128::from(all.unsigned_abs())).div_ceil(u128::from(size.max(1)));
    i64::try_from(share).unwrap_or(BATCH).clamp(1, BATCH)
}

/// Forgets gaps from before a time, and the oldest of too many.
fn forget_gaps(db: &Transaction<'_>, before: i64) -> Result<usize> {
    let old = db.execute(
        "DELETE FROM gap WHERE id IN (SELECT id FROM gap WHERE until < ?1 ORDER BY until LIMIT ?2)",
        [before, BATCH],
    )?;
    let all: i64 = db.query_row("SELECT count(*) FROM gap", [], |row| row.get(0))?;
    let [events, calls, shrinks] = LOSSES;
    let more = db.execute(
        // Those of losses first: they are many, and that nobody watched weighs more.
        "DELETE FROM gap WHERE id IN (
             SELECT id FROM gap
             ORDER BY why LIKE ?2 || '%' OR why LIKE ?3 || '%' OR why LIKE ?4 || '%' DESC, until LIMIT ?1)",
        params![all.saturating_sub(GAPS).clamp(0, BATCH), events, calls, shrinks],
    )?;
    Ok(old.max(more))
}

/// Gives pages that are not used any more back to the file system; whether there are more of them.
///
/// # Errors
/// Where SQLite cannot write.
pub fn give_back(db: &Connection) -> Result<bool> {
    let free = || db.pragma_query_value(None, "freelist_count", |row| row.get::<_, i64>(0));
    let before = free()?;
    if before == 0 {
        return Ok(false);
    }
    // Each step gives one page back.
    let mut statement = db.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok((1..before).contains(&free()?))
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

    /// A history of so many incidents, each of that user and story, the first named the oldest.
    fn incidents(rows: &[(i64, i64, i64)]) -> Connection {
        let mut db = history([0; 3], 0);
        db.execute_batch(
            "INSERT INTO boot(id, boot_id, host) VALUES (1, 'a', 'host');
             INSERT INTO watch(boot, pid, since) VALUES (1, 1, 1);
             INSERT INTO name(id, kind, text) VALUES (1, 0, 'comm');",
        )
        .expect("memory");
        let mut time = 0;
        let transaction = db.transaction().expect("memory");
        for (count, uid, story) in rows {
            for i in 0..*count {
                time += 1;
                transaction
                    .execute(
                        "INSERT INTO incident(id, time, boot, boot_ns, pid, uid, comm, class, times, story, body)
                         VALUES (randomblob(16), ?1, 1, ?1, 1, ?2, 1, 1, 1, ?3, x'')",
                        params![time, uid, if *story == 0 { 1_000 + i } else { *story }],
                    )
                    .expect("memory");
            }
        }
        transaction.commit().expect("memory");
        db
    }

    fn of_user(db: &Connection, uid: i64) -> i64 {
        let count = "SELECT count(*) FROM incident WHERE uid = ?1";
        db.query_row(count, [uid], |row| row.get(0)).expect("a count")
    }

    fn cut(db: &Connection) -> Option<(i64, i64, i64)> {
        let gap = "SELECT since, until, lost FROM gap";
        db.query_row(gap, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).ok()
    }

    #[test]
    fn a_loop_pushes_out_itself_and_says_so() {
        let mut db = incidents(&[(1_500, 0, 0), (3_000, 0, 7)]);
        assert!(forget(&mut db, i64::MIN, 2, 1).expect("memory").more());
        assert!(forget(&mut db, i64::MIN, 2, 1).expect("memory").more());
        let left = "SELECT count(*) FROM incident WHERE story <> 7";
        let others: i64 = db.query_row(left, [], |row| row.get(0)).expect("a count");
        assert_eq!(others, 1_500);
        assert_eq!(cut(&db), Some((1_501, 3_500, 2_000)));
    }

    #[test]
    fn a_user_with_many_loops_pushes_out_himself() {
        let mut db = incidents(&[(1_500, 0, 0), (3_000, 65_534, 0)]);
        assert!(forget(&mut db, i64::MIN, 2, 1).expect("memory").more());
        assert_eq!((of_user(&db, 0), of_user(&db, 65_534)), (1_500, 2_000));
        assert_eq!(cut(&db), Some((1_501, 2_500, 1_000)));
    }

    #[test]
    fn where_nobody_has_most_the_oldest_go() {
        let mut db = incidents(&[(3_000, 0, 0), (500, 1, 0)]);
        assert!(forget(&mut db, i64::MIN, 2, 1).expect("memory").more());
        assert_eq!((of_user(&db, 0), of_user(&db, 1)), (2_000, 500));
        assert_eq!(cut(&db), None);
        // What is too old goes before.
        assert!(!forget(&mut db, 1_101, 2, 1).expect("memory").more());
        assert_eq!(of_user(&db, 0), 1_900);
    }

    /// Losses alone must not fill a history, nor wait for an incident to be forgotten.
    #[test]
    fn gaps_are_bounded() {
        let mut db = history([0; 3], 0);
        db.execute_batch(
            "INSERT INTO boot(id, boot_id, host) VALUES (1, 'a', 'host');
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12500)
             INSERT INTO gap(boot, since, until, why, lost) SELECT 1, i, i, 'lost', 1 FROM n;",
        )
        .expect("memory");
        while forget(&mut db, i64::MIN, 0, u64::MAX).expect("memory").more() {}
        let left = |db: &Connection| -> (i64, i64) {
            let sql = "SELECT count(*), min(until) FROM gap";
            db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("a count")
        };
        assert_eq!(left(&db), (GAPS, 2_501));
        while forget(&mut db, 12_001, 0, u64::MAX).expect("memory").more() {}
        assert_eq!(left(&db), (500, 12_001), "by age, too");
    }

    #[test]
    fn no_more_goes_than_has_to() {
        let mut db = incidents(&[(800, 0, 0)]);
        assert!(forget(&mut db, i64::MIN, 1_000, 900).expect("memory").more());
        assert_eq!(of_user(&db, 0), 720);
        assert!(!forget(&mut db, i64::MIN, 900, 900).expect("memory").more());
        assert_eq!([needed(1_000, 1, 800), needed(1_001, 1_000, 800)], [800, 1]);
        assert_eq!(needed(u64::MAX, 1, i64::MAX), BATCH);
    }

    /// Of what a batch freed nothing is kept from the file system.
    #[test]
    fn what_is_forgotten_is_given_back() {
        let file = tempfile::NamedTempFile::new().expect("room");
        let mut db = Connection::open(file.path()).expect("a new one");
        db.pragma_update(None, "auto_vacuum", "INCREMENTAL").expect("a new one");
        schema::migrate(&mut db).expect("room");
        db.execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)
             INSERT INTO warning(id, time, body) SELECT randomblob(16), i, zeroblob(4000) FROM n;",
        )
        .expect("room");
        let pages = |db: &Connection, name: &str| -> i64 {
            db.pragma_query_value(None, name, |row| row.get(0)).expect("a number")
        };
        let before = pages(&db, "page_count");
        assert!(!forget(&mut db, i64::MAX, 0, u64::MAX).expect("room").more());
        assert_eq!(pages(&db, "freelist_count"), 0);
        assert!(pages(&db, "page_count") < before - 800);
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
