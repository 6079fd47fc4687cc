//! Incidents of a history by their id, and what came since.
use rusqlite::{params, params_from_iter};

use crate::{
    contract::Incident,
    select::selection::Selection,
    store::{
        Result,
        sqlite::{
            key::key,
            read::{Reader, unpacked},
            search::Search,
        },
    },
};

impl Reader {
    /// The incident of this id, or those whose ids start with it; ten at most. What older versions showed of an id, the
    /// start of its last part, is known, too.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn by_id(&self, id: &str) -> Result<Vec<Incident>> {
        let digits: String = id.chars().filter(|c| *c != '-').collect();
        let hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
        if !hex || !(4..=32).contains(&digits.len()) {
            return Ok(Vec::new());
        }
        let [low, high] = ["0", "f"].map(|fill| {
            let fill = fill.repeat(32 - digits.len());
            key(&format!("{digits}{fill}"))
        });
        let mut seqs = Vec::new();
        if digits.len() == 32 {
            seqs = self.seqs("id = ?1 OR id = ?2", params![low, high])?;
        }
        // An id starts with its time, in ms: most are found by that.
        let ms = |fill: &str| {
            i64::from_str_radix(&format!("{digits}{}", fill.repeat(12))[..12], 16).ok()
        };
        let times = ms("0").zip(ms("f")).filter(|_| seqs.is_empty() && digits.len() >= 8);
        let starts = "substr(id, 7) BETWEEN substr(?1, 7) AND substr(?2, 7)";
        if let Some((since, until)) = times {
            let (since, until) = (since.saturating_mul(1_000_000), until.saturating_mul(1_000_000));
            let until = until.saturating_add(999_999);
            let condition = format!("time BETWEEN ?3 AND ?4 AND {starts}");
            seqs = self.seqs(&condition, params![low, high, since, until])?;
        }
        if seqs.is_empty() {
            seqs = self.seqs(starts, params![low, high])?;
        }
        if seqs.is_empty() && digits.len() <= 12 {
            let [low, high] = ["0", "f"].map(|fill| {
                let last = format!("{digits}{}", fill.repeat(32 - digits.len()));
                let mut bytes = key(&last);
                bytes.rotate_left(6);
                bytes
            });
            seqs = self.seqs("id BETWEEN ?1 AND ?2", params![low, high])?;
        }
        let found: Result<Vec<Incident>> =
            seqs.iter().map(|seq| self.body(*seq)).filter_map(Result::transpose).collect();
        let plain = |id: &str| id.replace('-', "");
        let mut found = found?;
        // Digits behind the tenth byte are not part of what was compared.
        let exact = found.iter().filter(|one| plain(&one.id).starts_with(&digits)).count();
        if exact != 0 {
            found.retain(|one| plain(&one.id).starts_with(&digits));
        }
        Ok(found)
    }

    fn seqs(&self, condition: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Vec<i64>> {
        let sql = format!("SELECT seq FROM incident WHERE {condition} LIMIT 10");
        let mut statement = self.db.prepare(&sql)?;
        let rows = statement.query_map(values, |row| row.get::<_, i64>(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// What matches and was recorded after the row `seq`, oldest first, and the row that was recorded last.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn after(&self, selection: &Selection, seq: i64) -> Result<(Vec<Incident>, i64)> {
        let last = self.last_row()?.max(seq);
        let Some(search) = Search::prepare(&self.db, selection)? else {
            return Ok((Vec::new(), last));
        };
        let (condition, values) = search.sql_of_rows();
        let sql = format!(
            "SELECT body FROM incident WHERE {condition} AND seq > {seq} AND seq <= {last} ORDER BY seq"
        );
        let mut statement = self.db.prepare(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.extend(unpacked(row)?);
        }
        Ok((found, last))
    }

    /// The newest `limit` of one story that match.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn newest_of_story(
        &self,
        selection: &Selection,
        story: u64,
        limit: i64,
    ) -> Result<Vec<Incident>> {
        let Some(search) = Search::prepare(&self.db, selection)? else { return Ok(Vec::new()) };
        let rows = search.of_story(story).newest(limit)?;
        rows.iter().map(|seq| self.body(*seq)).filter_map(Result::transpose).collect()
    }

    /// How many match.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn number(&self, selection: &Selection) -> Result<u64> {
        let Some(search) = Search::prepare(&self.db, selection)? else { return Ok(0) };
        let (condition, values) = search.sql();
        let sql = format!("SELECT count(*) FROM incident WHERE {condition}");
        Ok(self.db.query_row(&sql, params_from_iter(values), |row| row.get(0))?)
    }

    /// The row that was recorded last.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn last_row(&self) -> Result<i64> {
        let last = self.db.query_row("SELECT max(seq) FROM incident", [], |row| row.get(0));
        Ok(last.map(|seq: Option<i64>| seq.unwrap_or(0))?)
    }
}
