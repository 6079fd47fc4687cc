//! Names are numbers: a pattern is matched against each name once, not against a million rows.
use std::collections::HashMap;

use rusqlite::{Connection, Result, Transaction, params};

use crate::{
    select::{field::NameKind, pattern::Pattern},
    store::sqlite::place::path_of,
};

/// Columns that hold names.
const COLUMNS: [&str; 6] = ["comm", "cgroup", "path", "by_comm", "class", "signature"];

pub type Names = HashMap<(i64, Vec<u8>), i64>;

/// The number of a name, which is made if there is none.
pub fn number(db: &Transaction<'_>, names: &mut Names, kind: NameKind, text: &[u8]) -> Result<i64> {
    let key = (kind as i64, text.to_vec());
    if let Some(id) = names.get(&key) {
        return Ok(*id);
    }
    db.prepare_cached("INSERT OR IGNORE INTO name(kind, text) VALUES (?1, ?2)")?
        .execute(params![key.0, key.1])?;
    let id = db
        .prepare_cached("SELECT id FROM name WHERE kind = ?1 AND text = ?2")?
        .query_row(params![key.0, key.1], |row| row.get(0))?;
    names.insert(key, id);
    Ok(id)
}

/// Names that these incidents use.
pub fn of_incidents(db: &Transaction<'_>, rows: &[i64]) -> Result<Vec<i64>> {
    let columns = COLUMNS.join(", ");
    let sql = format!("SELECT {columns} FROM incident WHERE seq = ?1");
    let mut statement = db.prepare_cached(&sql)?;
    let mut names = Vec::new();
    for seq in rows {
        let used = statement.query_row([seq], |row| {
            (0..COLUMNS.len()).map(|at| row.get::<_, Option<i64>>(at)).collect::<Result<Vec<_>>>()
        })?;
        names.extend(used.into_iter().flatten());
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// Drops those names that nobody uses any more.
pub fn drop_unused(db: &Transaction<'_>, names: &[i64]) -> Result<()> {
    let unused: String = COLUMNS
        .iter()
        .map(|column| format!(" AND NOT EXISTS (SELECT 1 FROM incident WHERE {column} = ?1)"))
        .collect();
    let mut statement = db.prepare_cached(&format!("DELETE FROM name WHERE id = ?1{unused}"))?;
    names.iter().try_for_each(|name| statement.execute([name]).map(drop))
}

/// The numbers of the names that match one of the patterns.
pub fn matching(db: &Connection, kind: NameKind, patterns: &[Pattern]) -> Result<Vec<i64>> {
    let exact: Option<Vec<&str>> = patterns.iter().map(Pattern::only_name).collect();
    let mut found = Vec::new();
    if let Some(texts) = exact {
        let mut statement =
            db.prepare_cached("SELECT id FROM name WHERE kind = ?1 AND text = ?2")?;
        for text in texts {
            let mut rows = statement.query(params![kind as i64, text.as_bytes()])?;
            while let Some(row) = rows.next()? {
                found.push(row.get(0)?);
            }
        }
        return Ok(found);
    }
    let mut statement = db.prepare_cached("SELECT id, text FROM name WHERE kind = ?1")?;
    let mut rows = statement.query([kind as i64])?;
    while let Some(row) = rows.next()? {
        let text = row.get_ref(1)?.as_blob().unwrap_or_default();
        let text = if kind == NameKind::Cgroup { path_of(text) } else { text };
        if patterns.iter().any(|pattern| pattern.matches(text)) {
            found.push(row.get(0)?);
        }
    }
    Ok(found)
}

/// The names of one kind, by number.
pub fn all(db: &Connection, kind: NameKind) -> Result<HashMap<i64, Vec<u8>>> {
    let sql = match kind.is_of_cgroup() {
        true if !has_cgroup_names(db)? => return Ok(HashMap::new()),
        true => "SELECT rowid, text FROM cgroup_name WHERE kind = ?1",
        false => "SELECT id, text FROM name WHERE kind = ?1",
    };
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map([kind as i64], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// A history of before version 6 that nobody has written to since has none.
fn has_cgroup_names(db: &Connection) -> Result<bool> {
    db.prepare_cached("SELECT 1 FROM sqlite_schema WHERE name = 'cgroup_name'")?.exists([])
}

/// Takes note of what is called so in a cgroup.
pub fn beside(db: &Transaction<'_>, cgroup: i64, kind: NameKind, text: &[u8]) -> Result<()> {
    db.prepare_cached("INSERT OR IGNORE INTO cgroup_name(cgroup, kind, text) VALUES (?1, ?2, ?3)")?
        .execute(params![cgroup, kind as i64, text])?;
    Ok(())
}

/// What is called something of this kind, by what its cgroup is called here (see place.rs); of several names the latest.
pub fn by_cgroup(db: &Connection, kind: NameKind) -> Result<HashMap<Vec<u8>, Vec<u8>>> {
    if !has_cgroup_names(db)? {
        return Ok(HashMap::new());
    }
    let mut statement = db.prepare_cached(
        "SELECT name.text, cgroup_name.text FROM cgroup_name JOIN name ON name.id = cgroup
         WHERE cgroup_name.kind = ?1 ORDER BY cgroup_name.rowid",
    )?;
    let rows = statement.query_map([kind as i64], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// The numbers of the cgroups in which something is called as one of the patterns says.
pub fn cgroups_of(db: &Connection, kind: NameKind, patterns: &[Pattern]) -> Result<Vec<i64>> {
    if !has_cgroup_names(db)? {
        return Ok(Vec::new());
    }
    let mut statement =
        db.prepare_cached("SELECT cgroup, text FROM cgroup_name WHERE kind = ?1")?;
    let mut rows = statement.query([kind as i64])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let text = row.get_ref(1)?.as_blob().unwrap_or_default();
        if patterns.iter().any(|pattern| pattern.matches(text)) {
            found.push(row.get(0)?);
        }
    }
    Ok(found)
}

/// The boots of the hosts that are asked for.
pub fn boots_of(db: &Connection, patterns: &[Pattern]) -> Result<Vec<i64>> {
    let mut statement = db.prepare_cached("SELECT id, host FROM boot")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let host = row.get_ref(1)?.as_bytes().unwrap_or_default();
        if patterns.iter().any(|pattern| pattern.matches(host)) {
            found.push(row.get(0)?);
        }
    }
    Ok(found)
}
