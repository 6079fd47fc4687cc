//! Forgetting what somebody names, and leaving none of its bytes behind.
use rusqlite::params;

use crate::{
    contract::Truncation,
    select::{facets::Facets, selection::Selection},
    store::{
        Result,
        sqlite::{body, names, retain, search::Search, write::Store},
    },
};

/// Rows in one transaction.
const BATCH: usize = 1_000;
/// How a history keeps that it was asked to forget.
const ASKED: &str = "incidents that it was asked to forget";

impl Store {
    /// Forgets incidents and warnings that match; gives how many of each.
    ///
    /// # Errors
    /// Where SQLite cannot write.
    pub fn forget(&mut self, selection: &Selection) -> Result<(usize, usize)> {
        // What is deleted is overwritten, too.
        self.db.pragma_update(None, "secure_delete", true)?;
        self.names.clear();
        let rows = match Search::prepare(&self.db, selection)? {
            Some(search) => search.newest(i64::MAX)?,
            None => Vec::new(),
        };
        for batch in rows.chunks(BATCH) {
            let transaction = self.db.transaction()?;
            let used = names::of_incidents(&transaction, batch)?;
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
        while retain::give_back(&self.db)? {}
        // What was there stands in the -wal file, too, until that is written anew.
        self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok((rows.len(), warnings.len()))
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
