//! Incidents of a history by their id, and what came since.
use std::collections::BTreeMap;

use rusqlite::{OptionalExtension as _, params, params_from_iter};

use crate::{
    contract::{Incident, Truncation},
    select::{facets::Facets, field::Column, selection::Selection},
    store::{
        Result,
        sqlite::{
            key::key,
            read::{Reader, unpacked},
            reading::settled,
            search::Search,
        },
    },
};

/// The first 20 digits of an id, as the index has them.
const START: &str = "substr(id, 7)";
/// The version of a history that has that index.
const START_INDEX: i64 = 7;
/// Digits of an id that are shown as a rule: its time to the millisecond.
const SHORT_DIGITS: usize = 12;

/// Characters of an id, dashes and all, that have one digit more than are the `same` as another's; all of them where the
/// index has no more.
fn characters(id: &str, same: usize) -> usize {
    /// Digits that the index has.
    const INDEXED: usize = 20;
    if same >= INDEXED {
        return id.len();
    }
    let digits = id.char_indices().filter(|(_, c)| *c != '-');
    digits.map(|(at, _)| at + 1).nth(same).unwrap_or(id.len())
}

impl Reader {
    /// The incident of this id, or those whose ids start with it, the ten newest, newest first, and how many more there are. What older
    /// versions showed of an id, the start of its last part, is known, too.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn by_id(&self, id: &str) -> Result<(Vec<Incident>, usize)> {
        const SHOWN: usize = 10;
        let digits: String = id.chars().filter(|c| *c != '-').collect();
        let hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
        if !hex || !(4..=32).contains(&digits.len()) {
            return Ok(Default::default());
        }
        let [low, high] = ["0", "f"].map(|fill| {
            let fill = fill.repeat(32 - digits.len());
            key(&format!("{digits}{fill}"))
        });
        let mut seqs = Vec::new();
        if digits.len() == 32 {
            seqs = self.seqs("id = ?1 OR id = ?2", params![low, high])?;
        }
        if seqs.is_empty() {
            seqs = self.seqs(
                &format!("{START} BETWEEN substr(?1, 7) AND substr(?2, 7) ORDER BY {START}"),
                params![low, high],
            )?;
        }
        if seqs.is_empty() && digits.len() <= 12 {
            let [low, high] = ["0", "f"].map(|fill| {
                let last = format!("{digits}{}", fill.repeat(32 - digits.len()));
                let mut bytes = key(&last);
                bytes.rotate_left(6);
                bytes
            });
            seqs = self.seqs("id BETWEEN ?1 AND ?2 ORDER BY seq", params![low, high])?;
        }
        let found: Result<Vec<Incident>> = seqs
            .iter()
            .rev()
            .take(SHOWN)
            .map(|seq| self.body(*seq))
            .filter_map(Result::transpose)
            .collect();
        let more = seqs.len().saturating_sub(SHOWN);
        let plain = |id: &str| id.replace('-', "");
        let mut found = found?;
        // Digits behind the tenth byte are not part of what was compared.
        let exact = found.iter().filter(|one| plain(&one.id).starts_with(&digits)).count();
        if exact != 0 {
            found.retain(|one| plain(&one.id).starts_with(&digits));
        }
        Ok((found, more))
    }

    /// How many characters tell an id apart from all others there are now, of each for which the usual ones do not.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn long_ids<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> Result<BTreeMap<String, usize>> {
        let version: i64 = self.db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        // Without that index each would take a look at all of them.
        if version < START_INDEX {
            return Ok(BTreeMap::new());
        }
        let next_to = |order: &str, sign: &str| {
            self.db.prepare(&format!(
                "SELECT hex({START}) FROM incident WHERE {START} {sign} substr(?1, 7) AND id != ?1
                 ORDER BY {START} {order} LIMIT 1"
            ))
        };
        let mut sides = [next_to("DESC", "<=")?, next_to("ASC", ">=")?];
        let mut long = BTreeMap::new();
        for id in ids {
            let own = id.replace('-', "");
            let mut same = 0;
            for side in &mut sides {
                let near = side.query_row([key(id)], |row| row.get::<_, String>(0)).optional()?;
                let alike = |near: String| {
                    let near = near.to_ascii_lowercase();
                    own.bytes().zip(near.bytes()).take_while(|(a, b)| a == b).count()
                };
                same = near.map_or(same, |near| same.max(alike(near)));
            }
            if same >= SHORT_DIGITS {
                long.insert(id.to_owned(), characters(id, same));
            }
        }
        Ok(long)
    }

    fn seqs(&self, condition: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Vec<i64>> {
        let sql = format!("SELECT seq FROM incident WHERE {condition}");
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

    /// The rows of the newest `limit` that match.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn newest(&self, selection: &Selection, limit: usize) -> Result<Vec<i64>> {
        let Some(search) = Search::prepare(&self.db, selection)? else { return Ok(Vec::new()) };
        Ok(search.newest(i64::try_from(limit).unwrap_or(i64::MAX))?)
    }

    /// How many match.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn number(&self, selection: &Selection) -> Result<u64> {
        let Some(search) = Search::prepare(&self.db, selection)? else { return Ok(0) };
        if search.sql_of_classes().is_some() {
            let all = self.over_time(selection, i64::MAX)?;
            return Ok(all.iter().map(|all| all.incidents).sum());
        }
        let (condition, values) = search.sql();
        let sql = format!("SELECT count(*) FROM incident WHERE {condition}");
        Ok(self.db.query_row(&sql, params_from_iter(values), |row| row.get(0))?)
    }

    /// The names that rows have in a column, the most frequent first.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn names_of(&self, rows: &[i64], column: Column) -> Result<Vec<Vec<u8>>> {
        if column.name_kind().is_none() {
            return Ok(Vec::new());
        }
        let column = column.sql_name();
        let sql = format!("SELECT {column} FROM incident WHERE seq = ?1 AND {column} IS NOT NULL");
        let mut number_of = self.db.prepare(&sql)?;
        let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
        for seq in rows {
            if let Some(number) = number_of.query_row([seq], |row| row.get(0)).optional()? {
                *counts.entry(number).or_default() += 1;
            }
        }
        let mut counts: Vec<(i64, usize)> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let mut text = self.db.prepare("SELECT text FROM name WHERE id = ?1")?;
        let texts =
            counts.into_iter().map(|(number, _)| text.query_row([number], |row| row.get(0)));
        Ok(texts.collect::<rusqlite::Result<_>>()?)
    }

    /// Whether any incident has this number in this column.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn has(&self, column: Column, number: i64) -> Result<bool> {
        let sql = format!("SELECT 1 FROM incident WHERE {} = ?1", column.sql_name());
        Ok(self.db.prepare_cached(&sql)?.exists([number])?)
    }

    /// Hands every warning that matches to `take`, oldest first, each by itself as [`Self::each`] does.
    ///
    /// # Errors
    /// Where SQLite cannot read, or `take` fails.
    pub fn each_warning<X: From<crate::store::Error>>(
        &self,
        selection: &Selection,
        mut take: impl FnMut(Truncation) -> std::result::Result<(), X>,
    ) -> std::result::Result<(), X> {
        let read = |error: rusqlite::Error| X::from(error.into());
        // A history that no newer recorder has written to has none.
        if !self.db.table_exists(None, "warning").map_err(read)? {
            return Ok(());
        }
        let selection = &*settled(&self.db, selection).map_err(read)?;
        let (since, until) =
            (selection.since.unwrap_or(i64::MIN), selection.until.unwrap_or(i64::MAX));
        let sql = "SELECT id FROM warning WHERE time BETWEEN ?1 AND ?2 ORDER BY time, id";
        let mut statement = self.db.prepare(sql).map_err(read)?;
        let ids = statement.query_map([since, until], |row| row.get(0)).map_err(read)?;
        let ids: Vec<Vec<u8>> = ids.collect::<rusqlite::Result<_>>().map_err(read)?;
        drop(statement);
        for id in ids {
            let warning = self.warning(&id).map_err(X::from)?;
            if let Some(one) = warning.filter(|one| selection.matches(&Facets::from(one))) {
                take(one)?;
            }
        }
        Ok(())
    }

    fn warning(&self, id: &[u8]) -> Result<Option<Truncation>> {
        let mut statement = self.db.prepare_cached("SELECT body FROM warning WHERE id = ?1")?;
        let mut rows = statement.query([id])?;
        rows.next()?.map_or(Ok(None), unpacked)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contract::samples::incident,
        model::cause::CauseKind,
        store::{
            Error,
            sqlite::write::{Entry, Store},
            state_dir,
        },
    };

    #[test]
    fn what_is_shown_of_an_id_is_found_alone() {
        let home = tempfile::tempdir().expect("a directory");
        state_dir::prepare(home.path(), None).expect("a directory");
        let (mut store, _) = Store::open(home.path(), false).expect("a new one");
        let ids = [
            "019aa4d2-6f31-7abc-8def-0123456789ab",
            "019aa4d2-6f31-7abd-8def-0123456789ab",
            "019aa4d2-6f31-7abd-8def-0123456789ac",
            "019aa4d2-6f32-7abc-8def-0123456789ab",
        ];
        let entries = ids.map(|id| {
            let mut one = incident(CauseKind::Truncated, 7);
            one.id = id.into();
            Ok::<_, Error>(Entry::Incident(Box::new(one)))
        });
        store.put(entries).expect("room");
        let reader = Reader::open(home.path()).expect("readable");
        let long = reader.long_ids(ids).expect("readable");
        let shown = ids.map(|id| &id[..long.get(id).copied().unwrap_or(13)]);
        assert_eq!(
            shown,
            ["019aa4d2-6f31-7abc", ids[1], ids[2], "019aa4d2-6f32"],
            "as many digits as it takes"
        );
        for (shown, id) in shown.into_iter().zip(ids) {
            let (found, _) = reader.by_id(shown).expect("readable");
            assert_eq!(found.iter().map(|one| &*one.id).collect::<Vec<_>>(), [id], "{shown}");
        }
        assert_eq!(reader.by_id("019aa4d2-6f31").expect("readable").0.len(), 3);
    }
}
