//! The one writer of a history.
use std::{borrow::Borrow, collections::HashMap, path::Path, time::Duration};

use crate::{
    contract::{Gap, Incident, Record, Run, Truncation, series::series_key},
    explain::same_file::FileKey,
    model::container::container as container_of,
    select::field::NameKind,
    store::{
        Error, Result,
        sqlite::{
            body, connect, ended,
            key::{self, key},
            names::{self, Names},
            place,
            recover::{SetAside, set_aside},
            retain::{self, WarningKind},
            schema::{self, APPLICATION, VERSION},
            tally::{self, Gone},
        },
        state_dir as dir,
    },
};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

/// Names kept in memory, so as not to ask for each again.
const NAMES: usize = 4_096;

/// Something to be kept.
#[derive(Debug, Clone)]
pub enum Entry {
    Incident(Box<Incident>),
    Warning(Box<Truncation>),
    Gap(Gap),
    /// Of a recorder elsewhere.
    Run(Run),
}

/// A history that is open for writing.
pub struct Store {
    pub(super) db: Connection,
    pub(super) names: HashMap<(i64, Vec<u8>), i64>,
    /// The row of this run.
    watch: Option<i64>,
}

impl Store {
    /// Opens the history in `dir`, making it if there is none. One that is damaged is set aside, never
    /// deleted, and a new one begun. `check` reads all of it, as is due after a recorder was killed.
    ///
    /// # Errors
    /// Where it is of a newer version, or the disk does not take it.
    pub fn open(dir: &Path, check: bool) -> Result<(Self, SetAside)> {
        let path = dir::history(dir);
        let opened =
            dir::touch(dir).map_err(Error::from).and_then(|()| Self::try_open(&path, check));
        match opened {
            Err(error) if error.is_damage() => {
                let aside = set_aside(&path)?;
                dir::touch(dir)?;
                Ok((Self::try_open(&path, false)?, Some(aside)))
            }
            opened => opened.map(|store| (store, None)),
        }
        .map_err(|error: Error| error.while_doing("opening", &path))
    }

    fn try_open(path: &Path, check: bool) -> Result<Self> {
        let mut db = Connection::open(path)?;
        connect::distrust(&db)?;
        // Shorter than a recorder may be silent.
        db.busy_timeout(Duration::from_secs(2))?;
        let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let application: i64 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
        if version > VERSION {
            return Err(Error::Newer { path: path.to_owned(), version, known: VERSION });
        }
        if version != 0 && application != APPLICATION {
            return Err(Error::OtherProgram(path.to_owned()));
        }
        if connect::has_false_tables(&db)? {
            return Err(Error::OtherProgram(path.to_owned()));
        }
        // Only a new file takes it.
        db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "foreign_keys", true)?;
        // What is deleted or written over is gone at once: a password on a command line is in earlier versions of a
        // row, too.
        db.pragma_update(None, "secure_delete", true)?;
        // What stays of the -wal file once it has been written back.
        db.pragma_update(None, "journal_size_limit", 16 << 20)?;
        // 2 MiB, in KiB: a recorder shall be small.
        db.pragma_update(None, "cache_size", -2048)?;
        connect::keep_wal(&db);
        schema::migrate(&mut db)?;
        if check {
            let verdict: String = db.pragma_query_value(None, "quick_check", |row| row.get(0))?;
            if verdict != "ok" {
                return Err(Error::Corrupt(verdict));
            }
        }
        Ok(Self { db, names: HashMap::new(), watch: None })
    }

    /// Takes 8 MiB of memory, for whoever writes much at once.
    ///
    /// # Errors
    /// Where SQLite does not take it.
    pub fn hurry(&self) -> Result<()> {
        Ok(self.db.pragma_update(None, "cache_size", -8192)?)
    }

    /// Gives back the memory that writing took.
    ///
    /// # Errors
    /// Where SQLite does not.
    pub fn rest(&self) -> Result<()> {
        Ok(self.db.execute_batch("PRAGMA shrink_memory")?)
    }

    /// A recorder begins (ns since the epoch), after a time when nobody was watching.
    ///
    /// # Errors
    /// Where SQLite cannot write.
    pub fn begin(
        &mut self,
        host: &str,
        boot_id: &str,
        pid: u32,
        since: i64,
        gap: Option<&Gap>,
    ) -> Result<()> {
        let transaction = self.db.transaction()?;
        let boot = boot(&transaction, boot_id, host)?;
        transaction.execute(
            "INSERT INTO watch(boot, pid, since) VALUES (?1, ?2, ?3)",
            params![boot, pid, since],
        )?;
        let watch = transaction.last_insert_rowid();
        if let Some(gap) = gap {
            put_gap(&transaction, gap)?;
        }
        transaction.commit()?;
        self.watch = Some(watch);
        Ok(())
    }

    /// The recorder ends as it was told to.
    ///
    /// # Errors
    /// Where SQLite cannot write.
    pub fn end(&mut self, until: i64) -> Result<()> {
        self.db.execute("UPDATE watch SET until = ?1 WHERE id = ?2", params![until, self.watch])?;
        Ok(())
    }

    /// Keeps all of them, in one transaction, or, on an error, none; gives how many there were.
    ///
    /// # Errors
    /// Where SQLite cannot write, or an entry could not be had.
    pub fn put<E, X>(
        &mut self,
        entries: impl IntoIterator<Item = std::result::Result<E, X>>,
    ) -> std::result::Result<usize, X>
    where
        E: Borrow<Entry>,
        X: From<Error>,
    {
        let Self { db, names, .. } = self;
        if names.len() > NAMES {
            names.clear();
        }
        let transaction = db.transaction().map_err(Error::from)?;
        let mut count = 0;
        let done = entries.into_iter().try_for_each(|entry| -> std::result::Result<(), X> {
            match entry?.borrow() {
                Entry::Incident(incident) => put_incident(&transaction, names, incident),
                Entry::Warning(warning) => put_warning(&transaction, warning),
                Entry::Gap(gap) => put_gap(&transaction, gap),
                Entry::Run(run) => put_run(&transaction, run),
            }
            .map_err(Error::from)?;
            count += 1;
            Ok(())
        });
        let done = done.and_then(|()| Ok(transaction.commit().map_err(Error::from)?));
        if done.is_err() {
            // Names that were taken back.
            names.clear();
        }
        done.map(|()| count)
    }

    /// How many incidents it has.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn incidents(&self) -> Result<u64> {
        let sql = match tally::is_kept(&self.db)? {
            true => "SELECT coalesce(sum(incidents), 0) FROM tally WHERE kind = 0",
            false => "SELECT count(*) FROM incident",
        };
        Ok(self.db.query_row(sql, [], |row| row.get(0))?)
    }

    /// Counts some of what an older history held; true if there may be more. Until then whoever counts looks at all rows.
    ///
    /// # Errors
    /// Where SQLite cannot write.
    pub fn count_more(&mut self) -> Result<bool> {
        Ok(tally::count_more(&mut self.db)?)
    }

    /// Bytes in use.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn size(&self) -> Result<u64> {
        let pragma =
            |name: &str| self.db.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
        let used = pragma("page_count")?.saturating_sub(pragma("freelist_count")?);
        Ok(used * pragma("page_size")?)
    }

    /// Forgets what is older than `oldest` (ns since the epoch), and the oldest while more than
    /// `largest` bytes are in use. A bounded piece at a time: true if there is more to do.
    ///
    /// # Errors
    /// Where SQLite cannot write.
    pub fn retain(&mut self, oldest: i64, largest: u64) -> Result<bool> {
        let size = self.size()?;
        let forgotten = retain::forget(&mut self.db, oldest, size, largest)?;
        if forgotten.incidents != 0 {
            self.names.clear();
        }
        Ok(forgotten.more())
    }
}

fn boot(db: &Transaction<'_>, boot_id: &str, host: &str) -> rusqlite::Result<i64> {
    db.prepare_cached("INSERT OR IGNORE INTO boot(boot_id, host) VALUES (?1, ?2)")?
        .execute([boot_id, host])?;
    db.prepare_cached("SELECT id FROM boot WHERE boot_id = ?1 AND host = ?2")?
        .query_row([boot_id, host], |row| row.get(0))
}

fn put_incident(
    db: &Transaction<'_>,
    names: &mut Names,
    incident: &Incident,
) -> rusqlite::Result<()> {
    let boot = boot(db, &incident.boot_id, &incident.host)?;
    let mut number = |kind: NameKind, text: Option<&[u8]>| {
        text.map(|text| names::number(db, names, kind, text)).transpose()
    };
    let victim = &incident.victim;
    let culprit = incident.cause.culprit.as_ref();
    let comm = number(NameKind::Comm, Some(&victim.comm.0))?;
    let cgroup = number(NameKind::Cgroup, place::of(victim).as_deref())?;
    let beside = |kind, text: Option<&[u8]>| match cgroup.zip(text) {
        Some((cgroup, text)) => names::beside(db, cgroup, kind, text),
        None => Ok(()),
    };
    if let Some(container) = &victim.container {
        // The id is in most paths, and then it is found there.
        let path = victim.cgroup.as_ref().and_then(|path| container_of(&path.0));
        let id = path.is_none().then_some(container.id.as_bytes());
        beside(NameKind::Container, id)?;
        beside(NameKind::Container, container.name.as_ref().map(|name| &name.0[..]))?;
        beside(NameKind::Image, container.image.as_ref().map(|image| &image.0[..]))?;
    }
    if let Some(pod) = &victim.pod {
        beside(NameKind::Pod, pod.name.as_ref().map(|name| &name.0[..]))?;
        beside(NameKind::Namespace, pod.namespace.as_ref().map(|name| &name.0[..]))?;
    }
    let path = number(NameKind::Path, incident.path().map(|text| &text.0[..]))?;
    let by_comm = number(NameKind::Comm, culprit.map(|culprit| &culprit.comm.0[..]))?;
    let class = number(NameKind::CauseKind, Some(incident.cause.class.name().as_bytes()))?;
    let signature =
        number(NameKind::Signature, incident.signature.as_ref().map(|text| &text.0[..]))?;
    let known: Option<i64> = db
        .prepare_cached("SELECT seq FROM incident WHERE id = ?1")?
        .query_row([key(&incident.id)], |row| row.get(0))
        .optional()?;
    let before = known.map(|seq| tally::keys(db, seq)).transpose()?;
    db.prepare_cached(
        "INSERT INTO incident(id, time, boot, boot_ns, pid, uid, comm, cgroup, path, by_pid, by_comm,
             class, status, times, restart_ns, story, body, signature)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
         ON CONFLICT(id) DO UPDATE SET
             cgroup = excluded.cgroup, status = excluded.status, times = excluded.times,
             restart_ns = excluded.restart_ns, story = excluded.story, body = excluded.body,
             signature = excluded.signature",
    )?
    .execute(params![
        key(&incident.id),
        incident.time.0,
        boot,
        incident.boot_ns as i64,
        victim.pid,
        victim.uid,
        comm,
        cgroup,
        path,
        culprit.map(|culprit| culprit.pid),
        by_comm,
        class,
        ended::column(incident),
        incident.times() as i64,
        incident.restart.as_ref().map(|restart| restart.after_ns as i64),
        series_key(incident) as i64,
        body::pack(&Record::from(incident.clone())),
        signature,
    ])?;
    let Some((seq, (before, time))) = known.zip(before) else {
        return tally::add(db, db.last_insert_rowid());
    };
    if tally::keys(db, seq)?.0 != before {
        let gone = before.into_iter().map(|key| (key, Gone::one(time)));
        tally::remove(db, &gone.collect())?;
        tally::add(db, seq)?;
    }
    Ok(())
}

/// What is known of one does not change.
fn put_warning(db: &Transaction<'_>, warning: &Truncation) -> rusqlite::Result<()> {
    let boot = boot(db, &warning.boot_id, &warning.host)?;
    let file = &warning.file;
    let remote = file.remote.as_ref();
    let file = remote.map(|remote| FileKey::new(file.inode, remote, file.path.as_ref()));
    db.prepare_cached(
        "INSERT OR IGNORE INTO warning(id, time, inode, elsewhere, body, server, address, export, name,
             old_size, new_size, boot)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?
    .execute(params![
        key(&warning.id),
        warning.time.0,
        file.as_ref().map(|file| file.inode as i64),
        WarningKind::of(warning) as i64,
        body::pack(&Record::Truncation(Box::new(warning.clone()))),
        file.as_ref().map(|file| file.server),
        file.as_ref().and_then(|file| file.address),
        file.as_ref().map(|file| file.export),
        file.as_ref().and_then(|file| file.name),
        key::size(warning.old_size),
        key::size(warning.new_size),
        boot,
    ])?;
    Ok(())
}

fn put_gap(db: &Transaction<'_>, gap: &Gap) -> rusqlite::Result<()> {
    let boot = boot(db, &gap.boot_id, &gap.host)?;
    db.prepare_cached(
        "INSERT OR IGNORE INTO gap(boot, since, until, why, lost) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        boot,
        // The clock may have been set back meanwhile.
        gap.since.min(gap.until).0,
        gap.since.max(gap.until).0,
        gap.reason.to_string(),
        gap.lost.map(|lost| lost as i64)
    ])?;
    Ok(())
}

fn put_run(db: &Transaction<'_>, run: &Run) -> rusqlite::Result<()> {
    let boot = boot(db, &run.boot_id, &run.host)?;
    db.execute(
        "INSERT INTO watch(boot, pid, since, until) SELECT ?1, ?2, ?3, ?4
         WHERE NOT EXISTS (SELECT 1 FROM watch WHERE boot = ?1 AND pid = ?2 AND since = ?3)",
        params![boot, run.pid, run.since.0, run.until.map(|until| until.0)],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::*;
    use crate::{
        contract::samples::incident, model::cause::CauseKind, select::selection::Selection,
        store::sqlite::read::Reader,
    };

    const DAY: i64 = 86_400_000_000_000;

    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("whybus-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&dir);
            dir::prepare(&dir, None).expect("a directory");
            Self(dir)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// The `n`-th death of geo-api, a second after the one before.
    fn nth(n: i64) -> Incident {
        let mut incident = incident(CauseKind::Sent, 9);
        incident.id = format!("019aa4d2-6f31-7abc-8def-{n:012x}").into();
        incident.time.0 += n * 1_000_000_000;
        incident.boot_ns += n as u64 * 1_000_000_000;
        incident.victim.pid = 100 + n as u32;
        incident
    }

    fn put(store: &mut Store, incidents: impl IntoIterator<Item = Incident>) {
        let entries = incidents.into_iter().map(|i| Ok::<_, Error>(Entry::Incident(Box::new(i))));
        store.put(entries).expect("room");
    }

    #[test]
    fn the_oldest_go_first_and_their_names_with_them() {
        let dir = Dir::new("retention");
        let (mut store, _) = Store::open(&dir.0, true).expect("a new one");
        let old = |n| {
            let mut incident = nth(n);
            incident.time.0 -= 10 * DAY;
            incident.victim.comm.0 = b"gone".to_vec();
            incident
        };
        put(&mut store, (0..1500).map(old).chain((2000..2100).map(nth)));
        let oldest = nth(0).time.0 - DAY;
        // A bounded piece at a time.
        assert!(store.retain(oldest, u64::MAX).expect("room"));
        assert!(!store.retain(oldest, u64::MAX).expect("room"));
        let reader = Reader::open(&dir.0).expect("readable");
        assert_eq!(reader.select(&Selection::default(), 0).expect("readable").len(), 100);
        let names = reader.names(NameKind::Comm).expect("readable");
        assert!(names.values().all(|name| name != b"gone"), "{names:?}");
        // By size the oldest thousand at a time.
        put(&mut store, (3000..5000).map(nth));
        assert!(store.retain(i64::MIN, 1).expect("room"));
        let left = reader.select(&Selection::default(), 0).expect("readable");
        assert_eq!(left.len(), 1100);
        assert_eq!(left[0].victim.pid, nth(4999).victim.pid);
    }

    #[test]
    fn what_is_learnt_later_replaces_what_was_known() {
        let dir = Dir::new("update");
        let (mut store, _) = Store::open(&dir.0, true).expect("a new one");
        let mut first = nth(1);
        first.exit = None;
        put(&mut store, [first, nth(1)]);
        let reader = Reader::open(&dir.0).expect("readable");
        assert_eq!(reader.select(&Selection::default(), 0).expect("readable"), [nth(1)]);
    }

    #[test]
    fn a_failed_transaction_keeps_nothing() {
        let dir = Dir::new("rollback");
        let (mut store, _) = Store::open(&dir.0, true).expect("a new one");
        let entries =
            [Ok(Entry::Incident(Box::new(nth(1)))), Err(Error::Io("no more to be had".into()))];
        assert!(store.put(entries).is_err());
        let reader = Reader::open(&dir.0).expect("readable");
        assert!(!reader.any().expect("readable"));
        // And names that were taken back are given again.
        put(&mut store, [nth(1)]);
        assert_eq!(reader.select(&Selection::default(), 0).expect("readable"), [nth(1)]);
    }

    #[test]
    fn the_kernels_clock_orders_a_story() {
        let dir = Dir::new("clock");
        let (mut store, _) = Store::open(&dir.0, true).expect("a new one");
        let mut last = nth(2);
        last.time.0 -= DAY;
        put(&mut store, [nth(1), last.clone()]);
        let reader = Reader::open(&dir.0).expect("readable");
        let key = series_key(&last);
        assert_eq!(reader.last(&Selection::default(), key).expect("readable"), Some(last.clone()));
        let (deaths, count) = reader.story(key, &Selection::default(), 10).expect("readable");
        let times: Vec<i64> = deaths.iter().map(|death| death.time).collect();
        assert_eq!((times, count), (vec![nth(1).time.0, last.time.0], 2));
    }
}
