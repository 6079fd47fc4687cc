//! Forgetting what somebody names, and leaving none of its bytes behind.
use rusqlite::params;

use crate::{
    contract::Truncation,
    select::{facets::Facets, selection::Selection},
    store::{
        Result,
        sqlite::{body, names, reading::settled, search::Search, tally, write::Store},
    },
};

/// Rows in one transaction.
const BATCH: usize = 1_000;
/// How a history keeps that it was asked to forget.
const ASKED: &str = "incidents that it was asked to forget";

/// What was forgotten.
pub struct Forgotten {
    pub incidents: usize,
    pub warnings: usize,
    /// Somebody reads the history, so that what was forgotten still stands in its files.
    pub is_read: bool,
}

impl Store {
    /// Forgets incidents and warnings that match. The history is written anew, which takes twice as much room again
    /// for a while, in the directory of temporary files and in the -wal file: pages may hold what older versions deleted.
    ///
    /// # Errors
    /// Where SQLite cannot write.
    pub fn forget(&mut self, selection: &Selection) -> Result<Forgotten> {
        self.names.clear();
        // Before what settles it is gone.
        let selection = &*settled(&self.db, selection)?;
        let rows = match Search::prepare(&self.db, selection)? {
            Some(search) => search.newest(i64::MAX)?,
            None => Vec::new(),
        };
        for batch in rows.chunks(BATCH) {
            let transaction = self.db.transaction()?;
            let used = names::of_incidents(&transaction, batch)?;
            let counted = tally::keys_of(&transaction, batch)?;
            let (since, until) = (batch.last(), batch.first());
            transaction.execute(
                "INSERT OR IGNORE INTO gap(boot, since, until, why, lost)
                 SELECT boot, min(time, (SELECT time FROM incident WHERE seq = ?2)),
                     max(time, (SELECT time FROM incident WHERE seq = ?2)), ?3, ?4
                 FROM incident WHERE seq = ?1",
                params![since, until, ASKED, batch.len() as i64],
            )?;
            let mut delete = transaction.prepare_cached("DELETE FROM incident WHERE seq = ?1")?;
            batch.iter().try_for_each(|seq| delete.execute([seq]).map(drop))?;
            drop(delete);
            tally::remove(&transaction, &counted)?;
            names::drop_unused(&transaction, &used)?;
            transaction.commit()?;
        }
        let warnings = self.matching_warnings(selection)?;
        for batch in warnings.chunks(BATCH) {
            let transaction = self.db.transaction()?;
            let mut delete = transaction.prepare_cached("DELETE FROM warning WHERE id = ?1")?;
            batch.iter().try_for_each(|id| delete.execute([id]).map(drop))?;
            drop(delete);
            transaction.commit()?;
        }
        let written = self.db.execute_batch("VACUUM");
        // What was there stands in the history and in the -wal file until that is taken over and cut off: not while
        // somebody reads.
        let busy: i64 =
            self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        written?;
        Ok(Forgotten { incidents: rows.len(), warnings: warnings.len(), is_read: busy != 0 })
    }

    /// Those that can be asked for so at all.
    fn matching_warnings(&self, selection: &Selection) -> Result<Vec<Vec<u8>>> {
        if !selection.terms.iter().all(|term| term.filter.field.is_of_warnings()) {
            return Ok(Vec::new());
        }
        let mut statement = self.db.prepare("SELECT id, body FROM warning")?;
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let warning = body::unpack(row.get_ref(1)?.as_blob().unwrap_or_default());
            let warning: Option<Truncation> = warning;
            if warning.is_some_and(|one| selection.matches(&Facets::from(&one))) {
                found.push(row.get(0)?);
            }
        }
        Ok(found)
    }
}
