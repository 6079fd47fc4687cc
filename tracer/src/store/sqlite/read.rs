//! Reading a history: without privilege beyond the group's, whether a recorder runs or not.
use std::{
    collections::{BTreeSet, HashMap},
    fs::OpenOptions,
    io::ErrorKind,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rusqlite::{Connection, ErrorCode, Row, params};
use rustix::fs::OFlags;
use serde::de::DeserializeOwned;

use crate::{
    contract::{Gap, GapReason, Incident, Label, Run, Time, Truncation, series::SeriesExit},
    explain::same_file::FileKey,
    model::host::Here,
    select::{facets::Facets, field::NameKind, selection::Selection},
    store::{
        Error, Result,
        sqlite::{
            body, connect, ended, key,
            mention::Mentions,
            names,
            reading::settled,
            schema::{APPLICATION, VERSION},
            search::Search,
        },
        state_dir as dir,
    },
    text::escape::named,
};

/// A history that is open for reading.
pub struct Reader {
    pub(super) db: Connection,
}

impl Reader {
    /// # Errors
    /// Where there is no history, it may not be read, or it cannot be.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir::history(dir);
        // A FIFO is opened without waiting for who writes to it.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(&path);
        if let Ok(file) = &opened
            && !file.metadata()?.is_file()
        {
            return Err(Error::NoFile(path));
        }
        if let Err(error) = opened {
            let hint = format!(
                "; its group may read it (ls -ld {}): join that group, or run this as root",
                dir.display()
            );
            return Err(match error.kind() {
                ErrorKind::NotFound => Error::NotFound(dir.to_owned()),
                kind => {
                    let hint = if kind == ErrorKind::PermissionDenied { &hint } else { "" };
                    Error::of_io(kind, format!("reading {}: {error}{hint}", path.display()))
                }
            });
        }
        let reading = |error: rusqlite::Error| Error::from(error).while_doing("reading", &path);
        let opening = |error: rusqlite::Error| match (error.sqlite_error_code(), reading(error)) {
            // Readers share memory, in a file beside it.
            (Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen), error) => Error::Denied(format!(
                "{error}: reading it takes a directory that can be written to; copy its directory with all files and name the copy by \
                 --state-dir, or run this as root"
            )),
            (_, error) => error,
        };
        let db = connect::read_only(&path).map_err(opening)?;
        let pragma = |name: &str| {
            db.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(reading)
        };
        let (version, application) = (pragma("user_version")?, pragma("application_id")?);
        match (version, application) {
            (0, _) => return Err(Error::NotWritten(path)),
            (_, APPLICATION) if version <= VERSION => {}
            (_, APPLICATION) => return Err(Error::Newer { path, version, known: VERSION }),
            _ => return Err(Error::OtherProgram(path)),
        }
        if connect::has_false_tables(&db).map_err(reading)? {
            return Err(Error::OtherProgram(path));
        }
        Ok(Self { db })
    }

    /// The newest `limit` incidents that match, newest first; all of them if it is 0.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn select(&self, selection: &Selection, limit: usize) -> Result<Vec<Incident>> {
        let Some(search) = Search::prepare(&self.db, selection)? else { return Ok(Vec::new()) };
        let limit = if limit == 0 { i64::MAX } else { limit as i64 };
        let rows = search.newest(limit)?;
        rows.iter().map(|seq| self.body(*seq)).filter_map(Result::transpose).collect()
    }

    /// Hands every incident that matches to `take`, oldest first.
    ///
    /// # Errors
    /// Where SQLite cannot read, or `take` fails.
    pub fn each<X: From<Error>>(
        &self,
        selection: &Selection,
        mut take: impl FnMut(Incident) -> std::result::Result<(), X>,
    ) -> std::result::Result<(), X> {
        let prepared = Search::prepare(&self.db, selection).map_err(Error::from)?;
        let Some(search) = prepared else { return Ok(()) };
        if search.is_all() {
            let mut last = (i64::MIN, i64::MIN);
            while let Some((seqs, until)) = self.next_of_all(last)? {
                for seq in seqs {
                    if let Some(incident) = self.body(seq)? {
                        take(incident)?;
                    }
                }
                last = until;
            }
            return Ok(());
        }
        // Each by itself: while a statement is open the writer cannot move what it wrote into the history, and `take`
        // may wait for a slow reader for hours.
        let rows = search.newest(i64::MAX).map_err(Error::from)?;
        for seq in rows.into_iter().rev() {
            if let Some(incident) = self.body(seq)? {
                take(incident)?;
            }
        }
        Ok(())
    }

    /// The rows that follow one by time, oldest first, some of them, and the last of those.
    fn next_of_all(&self, (time, seq): (i64, i64)) -> Result<Option<(Vec<i64>, (i64, i64))>> {
        const PIECE: i64 = 1_000;
        let mut statement = self.db.prepare_cached(
            "SELECT time, seq FROM incident WHERE (time, seq) > (?1, ?2) ORDER BY time, seq LIMIT ?3",
        )?;
        let rows = statement.query_map([time, seq, PIECE], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let rows: Vec<(i64, i64)> = rows.collect::<rusqlite::Result<_>>()?;
        let last = rows.last().copied();
        Ok(last.map(|last| (rows.into_iter().map(|(_, seq)| seq).collect(), last)))
    }

    /// Whether anything is recorded at all.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn any(&self) -> Result<bool> {
        Ok(self.db.query_row("SELECT EXISTS (SELECT 1 FROM incident)", [], |row| row.get(0))?)
    }

    /// How many incidents there are, and the times of the first and last (ns since the epoch).
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn extent(&self) -> Result<(u64, Option<i64>, Option<i64>)> {
        let whole = self.over_time(&Selection::default(), i64::MAX)?.pop();
        Ok(whole.map_or((0, None, None), |all| (all.incidents, Some(all.first), Some(all.last))))
    }

    /// The stories of the newest incidents that match, the newest first.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn stories(&self, selection: &Selection) -> Result<Vec<u64>> {
        /// Incidents looked at for their stories.
        const LOOKED_AT: i64 = 2_000;
        let Some(search) = Search::prepare(&self.db, selection)? else { return Ok(Vec::new()) };
        let mut statement = self.db.prepare_cached("SELECT story FROM incident WHERE seq = ?1")?;
        let mut stories = Vec::new();
        for seq in search.newest(LOOKED_AT)? {
            let key = statement.query_row([seq], |row| row.get::<_, i64>(0))? as u64;
            if !stories.contains(&key) {
                stories.push(key);
            }
        }
        Ok(stories)
    }

    /// The last of one story that matches, by the kernel's clock.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn last(&self, selection: &Selection, key: u64) -> Result<Option<Incident>> {
        /// Of more only the newest by the wall clock are looked at.
        const LOOKED_AT: i64 = 1_000;
        let Some(search) = Search::prepare(&self.db, selection)? else { return Ok(None) };
        let search = search.of_story(key);
        let mut statement =
            self.db.prepare_cached("SELECT boot_ns FROM incident WHERE seq = ?1")?;
        let mut last = None;
        for seq in search.newest(LOOKED_AT)? {
            let at: i64 = statement.query_row([seq], |row| row.get(0))?;
            if last.is_none_or(|(latest, _)| at > latest) {
                last = Some((at, seq));
            }
        }
        last.map_or(Ok(None), |(_, seq)| self.body(seq))
    }

    /// How the newest `limit` of one story ended, oldest first, and how many there are.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn story(
        &self,
        key: u64,
        selection: &Selection,
        limit: usize,
    ) -> Result<(Vec<SeriesExit>, u64)> {
        let (since, until) =
            (selection.since.unwrap_or(i64::MIN), selection.until.unwrap_or(i64::MAX));
        let classes = self.names(NameKind::CauseKind)?;
        let mut statement = self.db.prepare_cached(
            "SELECT time, class, status, times, restart_ns FROM incident
             WHERE story = ?1 AND time BETWEEN ?2 AND ?3 ORDER BY boot_ns DESC LIMIT ?4",
        )?;
        let rows = statement.query_map(params![key as i64, since, until, limit as i64], |row| {
            let class: i64 = row.get(1)?;
            let class = classes.get(&class).cloned().unwrap_or_default();
            Ok(SeriesExit {
                time: row.get(0)?,
                class: String::from_utf8_lossy(&class).into_owned(),
                status: ended::death(row.get(2)?),
                times: row.get::<_, i64>(3)?.unsigned_abs(),
                restart_ns: row.get::<_, Option<i64>>(4)?.map(i64::unsigned_abs),
            })
        })?;
        let mut deaths: Vec<SeriesExit> = rows.collect::<rusqlite::Result<_>>()?;
        deaths.reverse();
        let count = self.db.query_row(
            "SELECT count(*) FROM incident WHERE story = ?1 AND time BETWEEN ?2 AND ?3",
            params![key as i64, since, until],
            |row| row.get(0),
        )?;
        Ok((deaths, count))
    }

    /// The latest `limit` gaps that touch a range of times (ns since the epoch), the latest first; all of
    /// them if it is 0.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn gaps(&self, since: i64, until: i64, limit: usize) -> Result<Vec<Gap>> {
        let limit = if limit == 0 { i64::MAX } else { limit as i64 };
        let mut statement = self.db.prepare(
            "SELECT host, boot_id, since, until, why, lost FROM gap JOIN boot ON boot.id = gap.boot
             WHERE until >= ?1 AND since <= ?2 ORDER BY until DESC, since DESC, why LIMIT ?3",
        )?;
        let rows = statement.query_map([since, until, limit], |row| {
            Ok(Gap {
                host: row.get::<_, String>(0)?.into(),
                boot_id: row.get::<_, String>(1)?.into(),
                since: Time(row.get(2)?),
                until: Time(row.get(3)?),
                reason: GapReason::from(Label::from(row.get::<_, String>(4)?)),
                lost: row.get::<_, Option<i64>>(5)?.map(i64::unsigned_abs),
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The newest `limit` warnings that match, newest first; all of them if it is 0.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn warnings(&self, selection: &Selection, limit: usize) -> Result<Vec<Truncation>> {
        self.warnings_among(selection, limit, i64::MAX)
    }

    /// The same among the newest so many alone.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn warnings_among(
        &self,
        selection: &Selection,
        limit: usize,
        among: i64,
    ) -> Result<Vec<Truncation>> {
        // A history that no newer recorder has written to has none.
        if !self.db.table_exists(None, "warning")? {
            return Ok(Vec::new());
        }
        let selection = &*settled(&self.db, selection)?;
        let limit = if limit == 0 { usize::MAX } else { limit };
        let (since, until) =
            (selection.since.unwrap_or(i64::MIN), selection.until.unwrap_or(i64::MAX));
        let mut statement = self.db.prepare(
            "SELECT body FROM warning WHERE time BETWEEN ?1 AND ?2 ORDER BY time DESC, id DESC LIMIT ?3",
        )?;
        let mut rows = statement.query([since, until, among])?;
        let (mut found, mentions) = (Vec::new(), Mentions::of(selection));
        while found.len() < limit
            && let Some(row) = rows.next()?
        {
            let body = row.get_ref(0)?.as_blob().unwrap_or_default();
            let warning: Option<Truncation> = body::unpack_if(body, |json| mentions.are_in(json));
            found.extend(warning.filter(|one| selection.matches(&Facets::from(one))));
        }
        Ok(found)
    }

    /// The latest `limit` shrinks of what may be one file on the network that took the byte at `touched`, within a
    /// range of times (ns since the epoch), the latest first.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn shrinks_of(
        &self,
        file: &FileKey<'_>,
        touched: u64,
        (since, until): (i64, i64),
        limit: usize,
    ) -> Result<Vec<Truncation>> {
        let version: i64 = self.db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        // An older history tells files apart only in what it holds of each shrink.
        let apart = match version {
            ..3 => return Ok(Vec::new()),
            3 => "?5 OR ?6 OR ?7 OR ?8 OR ?9 OR TRUE",
            _ => {
                "server IS NULL OR ((server = ?5 OR address = ?6) AND (export = ?7 OR name = ?8)
                     AND new_size <= ?9 AND ?9 < old_size)"
            }
        };
        let mut statement = self.db.prepare(&format!(
            "SELECT body FROM warning WHERE inode = ?1 AND time BETWEEN ?2 AND ?3 AND ({apart})
             ORDER BY time DESC LIMIT ?4"
        ))?;
        let FileKey { inode, server, address, export, name } = *file;
        let (inode, limit) = (inode as i64, limit as i64);
        let touched = key::size(touched);
        let asked = params![inode, since, until, limit, server, address, export, name, touched];
        let mut rows = statement.query(asked)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.extend(unpacked(row)?);
        }
        Ok(found)
    }

    /// How many hosts anything is recorded of.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn hosts(&self) -> Result<u64> {
        Ok(self.db.query_row("SELECT count(DISTINCT host) FROM boot", [], |row| row.get(0))?)
    }

    /// What hosts there are of.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn host_names(&self) -> Result<Vec<String>> {
        let mut statement = self.db.prepare("SELECT DISTINCT host FROM boot ORDER BY host")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The host that all of it is of, where that is another than `here`, or how many others.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn elsewhere(&self, here: &Here) -> Result<Option<String>> {
        let mut statement = self.db.prepare("SELECT host, boot_id FROM boot")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let boots: Vec<(String, String)> = rows.collect::<rusqlite::Result<_>>()?;
        if boots.iter().any(|(host, boot_id)| here.is(host, boot_id)) {
            return Ok(None);
        }
        let hosts: BTreeSet<&str> = boots.iter().map(|(host, _)| host.as_str()).collect();
        Ok(hosts.first().map(|first| match hosts.len() {
            1 => named(first)
                .map_or("a host without a name".to_owned(), |name| format!("host {name}")),
            several => format!("{several} other hosts"),
        }))
    }

    /// Runs of recorders, oldest first.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn runs(&self) -> Result<Vec<Run>> {
        let mut statement = self.db.prepare(
            "SELECT host, boot_id, pid, since, until FROM watch JOIN boot ON boot.id = watch.boot
             ORDER BY since",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(Run {
                host: row.get::<_, String>(0)?.into(),
                boot_id: row.get::<_, String>(1)?.into(),
                pid: row.get(2)?,
                since: Time(row.get(3)?),
                until: row.get::<_, Option<i64>>(4)?.map(Time),
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// When watching began, by the oldest run of a recorder. Ns since the epoch.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn began(&self) -> Result<Option<i64>> {
        Ok(self.db.query_row("SELECT min(since) FROM watch", [], |row| row.get(0))?)
    }

    /// The names of one kind, by number.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn names(&self, kind: NameKind) -> Result<HashMap<i64, Vec<u8>>> {
        Ok(names::all(&self.db, kind)?)
    }

    /// What containers, pods or images are called, by the path of the cgroup.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn called(&self, kind: NameKind) -> Result<HashMap<Vec<u8>, Vec<u8>>> {
        Ok(names::by_cgroup(&self.db, kind)?)
    }

    pub(super) fn body(&self, seq: i64) -> Result<Option<Incident>> {
        let mut statement = self.db.prepare_cached("SELECT body FROM incident WHERE seq = ?1")?;
        let mut rows = statement.query([seq])?;
        match rows.next()? {
            Some(row) => unpacked(row),
            None => Ok(None),
        }
    }
}

/// An incident or a warning of an earlier or later version is told as far as it is understood; one that is not
/// understood at all is left out.
pub(super) fn unpacked<T: DeserializeOwned>(row: &Row<'_>) -> Result<Option<T>> {
    Ok(body::unpack(row.get_ref(0)?.as_blob().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contract::samples::truncation,
        store::sqlite::write::{Entry, Store},
    };

    #[test]
    fn a_history_of_version_3_has_shrinks_too() {
        let home = tempfile::tempdir().expect("a directory");
        dir::prepare(home.path(), None).expect("a directory");
        let shrink = truncation();
        let (mut store, _) = Store::open(home.path(), false).expect("a new one");
        let entry = Entry::Warning(Box::new(shrink.clone()));
        store.put([Ok::<_, Error>(entry)]).expect("room");
        let found = |touched| {
            let reader = Reader::open(home.path()).expect("readable");
            let remote = shrink.file.remote.as_ref().expect("a server");
            let file = FileKey::new(shrink.file.inode, remote, shrink.file.path.as_ref());
            reader.shrinks_of(&file, touched, (0, 10), 10).expect("readable").len()
        };
        assert_eq!([0, 7, 8].map(found), [1, 1, 0], "of 8 bytes");
        let db = Connection::open(dir::history(home.path())).expect("readable");
        for column in ["server", "address", "export", "name", "old_size", "new_size"] {
            db.execute_batch(&format!("ALTER TABLE warning DROP COLUMN {column}")).expect("room");
        }
        db.pragma_update(None, "user_version", 3).expect("room");
        assert_eq!([0, 7, 8].map(found), [1, 1, 1]);
    }
}
