//! A class that there is not is a mistake, whether it was asked for or excluded.
use anyhow::Result;

use crate::{
    error::Failure,
    model::{
        cause::CauseKind,
        process::{ExitFilter, ExitScope},
        signal_name::{CRASHES, SIGABRT, SIGKILL, mask},
    },
    select::{
        field::{Field, NameKind},
        selection::{Selection, Term},
        words::no_class,
    },
    store::sqlite::read::Reader,
};

/// # Errors
/// Where neither this version nor the history has such a class.
pub fn check(reader: &Reader, selection: &Selection) -> Result<()> {
    if !selection.terms.iter().any(|term| term.filter.field == Field::Class) {
        return Ok(());
    }
    let recorded: Vec<Vec<u8>> = reader.names(NameKind::CauseKind)?.into_values().collect();
    no_class(selection, &recorded, false).map_or(Ok(()), |said| Err(Failure::usage(said)))
}

/// The same of what is replayed, or happens now.
///
/// # Errors
/// Where this version has no such class.
pub fn check_live(selection: &Selection) -> Result<()> {
    no_class(selection, &[], true).map_or(Ok(()), |said| Err(Failure::usage(said)))
}

/// Whether something of the classes that are asked for is reported where these ends are.
///
/// # Errors
/// Where nothing would be: what has to be asked for as well.
pub fn check_scope(selection: &Selection, deaths: ExitScope) -> Result<()> {
    let of = |term: &&Term| term.filter.field == Field::Class && !term.not;
    for term in selection.terms.iter().filter(of) {
        let asked = CauseKind::ALL.iter().filter(|kind| term.values.matches(kind.name()));
        let lacking: Option<Vec<_>> =
            asked.map(|kind| Some((kind, lacks(*kind, deaths)?))).collect();
        if let Some([(first, flag), ..]) = lacking.as_deref() {
            return Err(Failure::usage(format!(
                "--class {}: only bus errors are reported unless other ends are asked for: add {flag}",
                first.name()
            )));
        }
    }
    Ok(())
}

/// The flag without which nothing of a class is reported; `None` where something is.
fn lacks(kind: CauseKind, deaths: ExitScope) -> Option<&'static str> {
    let exits = deaths.exits != ExitFilter::None;
    let signals = |numbers: &[i32]| deaths.signals & mask(numbers) != 0;
    match kind {
        CauseKind::Exited => (!exits).then_some("--exits all"),
        CauseKind::Aborted => (!signals(&[SIGABRT])).then_some("--signals abrt"),
        CauseKind::OomKilled => (!signals(&[SIGKILL])).then_some("--signals kill"),
        // Also of whoever exits in a handler.
        CauseKind::Signal | CauseKind::Overwritten => {
            (!exits && !signals(&CRASHES)).then_some("--signals all")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_never_come_is_refused() {
        let check = |classes: &[&str], signals: &[i32], exits| {
            let classes: Vec<String> = classes.iter().map(|class| (*class).to_owned()).collect();
            let selection = Selection::default().with_names(Field::Class, &classes);
            check_scope(&selection, ExitScope { signals: mask(signals), exits })
                .err()
                .map(|error| error.to_string())
        };
        let refused = |classes: &[&str], signals: &[i32]| check(classes, signals, ExitFilter::None);
        for (class, flag) in [
            ("exited", "--exits all"),
            ("aborted", "--signals abrt"),
            ("oom-killed", "--signals kill"),
            ("signal", "--signals all"),
        ] {
            let said = refused(&[class], &[]).expect("nothing would come");
            assert!(said.ends_with(&format!(": add {flag}")), "{class}: {said}");
        }
        assert_eq!(refused(&["truncated"], &[]), None);
        assert_eq!(refused(&["exited", "sent"], &[]), None, "one of them comes");
        assert_eq!(refused(&["*"], &[]), None);
        assert_eq!(refused(&["oom-killed"], &[SIGKILL]), None);
        assert!(refused(&["aborted"], &[SIGKILL]).is_some());
        assert_eq!(check(&["signal"], &[], ExitFilter::All), None);
    }
}
