//! A class that there is not is a mistake, whether it was asked for or excluded.
use anyhow::Result;

use crate::{
    error::Failure,
    model::{
        cause::CauseKind,
        process::{ExitFilter, ExitScope},
    },
    select::{
        field::{Field, NameKind},
        selection::{Selection, Term, Values},
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

/// Whether something of the classes that are asked for is told where these ends are.
///
/// # Errors
/// Where nothing would be: what has to be asked for as well.
pub fn check_scope(selection: &Selection, deaths: ExitScope) -> Result<()> {
    let exited = CauseKind::Exited.name();
    let of = |term: &&Term| term.filter.field == Field::Class && !term.not;
    for term in selection.terms.iter().filter(of) {
        let Values::Names(patterns) = &term.values else { continue };
        let asks =
            |kind: &&CauseKind| patterns.iter().any(|one| one.matches(kind.name().as_bytes()));
        let asked: Vec<CauseKind> = CauseKind::ALL.iter().filter(asks).copied().collect();
        let told = |kind: &CauseKind| match kind {
            CauseKind::Exited => deaths.exits != ExitFilter::None,
            kind if kind.is_of_bus_errors() => true,
            _ => deaths.signals != 0,
        };
        if let [first, ..] = asked.as_slice()
            && !asked.iter().any(told)
        {
            let name = first.name();
            let flag = if name == exited { "--exits all" } else { "--signals all" };
            return Err(Failure::usage(format!(
                "--class {name}: only bus errors are reported unless other ends are asked for: add {flag}"
            )));
        }
    }
    Ok(())
}
