//! What the text of a filter is taken for: for names that are called so, or, where nothing that is recorded is, for what is
//! printed of others. Under both readings at once more would be forgotten, or left out, than was meant.
use std::borrow::Cow;

use rusqlite::{Connection, Result};

use crate::{
    contract::Truncation,
    select::{
        facets::Facets,
        field::{Filter, Reads},
        pattern::{Pattern, Reading},
        selection::{Selection, Values},
    },
    store::sqlite::{body, names},
};

/// A selection each of whose names is taken for one thing, in all of a history.
///
/// # Errors
/// Where SQLite cannot read.
pub fn settled<'a>(db: &Connection, selection: &'a Selection) -> Result<Cow<'a, Selection>> {
    let mut selection = Cow::Borrowed(selection);
    for at in 0..selection.terms.len() {
        let term = &selection.terms[at];
        let Values::Names(patterns) = &term.values else { continue };
        if !patterns.iter().any(Pattern::is_ambiguous) {
            continue;
        }
        let patterns = patterns.iter().map(|one| one_reading(db, term.filter, one));
        let values = Values::Names(patterns.collect::<Result<_>>()?);
        selection.to_mut().terms[at].values = values;
    }
    Ok(selection)
}

fn one_reading(db: &Connection, filter: &Filter, pattern: &Pattern) -> Result<Pattern> {
    if !pattern.is_ambiguous() {
        return Ok(pattern.clone());
    }
    let typed = pattern.clone().read_as(Reading::Typed);
    match is_recorded(db, filter, &typed)? {
        true => Ok(typed),
        false => Ok(typed.read_as(Reading::Printed)),
    }
}

fn is_recorded(db: &Connection, filter: &Filter, pattern: &Pattern) -> Result<bool> {
    let one = std::slice::from_ref(pattern);
    let of_incidents = match filter.column.name_kind() {
        Some(kind) => names::matching(db, kind, one)?,
        None => names::boots_of(db, one)?,
    };
    let beside = match filter.field.of_cgroup() {
        Some(kind) => names::cgroups_of(db, kind, one)?,
        None => Vec::new(),
    };
    let found = !of_incidents.is_empty() || !beside.is_empty();
    Ok(found || is_of_warning(db, filter, pattern)?)
}

/// The names of warnings stand in them only.
fn is_of_warning(db: &Connection, filter: &Filter, pattern: &Pattern) -> Result<bool> {
    let Reads::Names(names, _) = filter.reads else { return Ok(false) };
    if !filter.field.is_of_warnings() || !db.table_exists(None, "warning")? {
        return Ok(false);
    }
    let mut statement = db.prepare_cached("SELECT body FROM warning")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let warning = body::unpack(row.get_ref(0)?.as_blob().unwrap_or_default());
        let warning: Option<Truncation> = warning;
        if warning
            .is_some_and(|one| names(&Facets::from(&one)).iter().any(|name| pattern.matches(name)))
        {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contract::{
            Incident, Untrusted,
            samples::{incident, truncation},
        },
        model::cause::CauseKind,
        select::{field::Field, selection::Term},
        store::{
            Error,
            sqlite::write::{Entry, Store},
            state_dir,
        },
    };

    /// What `forget --comm 'x\ny'` forgets of incidents and warnings of these names, typed again and again.
    fn forgotten(incidents: &[&[u8]], warning: &[u8]) -> Vec<(usize, usize)> {
        let dir = tempfile::tempdir().expect("a directory");
        state_dir::prepare(dir.path(), None).expect("a directory");
        let mut store = Store::open(dir.path(), false).expect("ours").0;
        let of = |(n, name): (usize, &&[u8])| {
            let mut one: Incident = incident(CauseKind::Sent, 9);
            one.id = format!("019aa4d2-6f31-7abc-8def-{n:012x}").into();
            one.victim.comm = Untrusted(name.to_vec());
            one.victim.thread_comm = None;
            Entry::Incident(Box::new(one))
        };
        let mut one = truncation();
        one.at_risk.iter_mut().for_each(|process| process.comm = Untrusted(warning.to_vec()));
        let entries = incidents.iter().enumerate().map(of).chain([Entry::Warning(Box::new(one))]);
        store.put(entries.map(Ok::<_, Error>)).expect("room");
        let term = Term::of_names(Field::Comm, &["x\\ny".to_owned()]);
        let selection = Selection::default().with(term);
        let mut all = Vec::new();
        loop {
            let found = store.forget(&selection).expect("ours");
            if (found.incidents, found.warnings) == (0, 0) {
                return all;
            }
            all.push((found.incidents, found.warnings));
        }
    }

    #[test]
    fn nothing_is_forgotten_under_two_readings() {
        assert_eq!(forgotten(&[b"x\\ny", b"x\ny"], b"x\ny"), [(1, 0), (1, 1)]);
        assert_eq!(forgotten(&[b"x\ny"], b"x\\ny"), [(0, 1), (1, 0)]);
        assert_eq!(forgotten(&[b"x\ny", b"y"], b"x\ny"), [(1, 1)]);
    }
}
