//! A class that there is not is a mistake, whether it was asked for or excluded.
use anyhow::Result;

use crate::{
    error::Failure,
    select::{
        field::{Field, NameKind},
        selection::Selection,
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
    no_class(selection, &recorded).map_or(Ok(()), |said| Err(Failure::usage(said)))
}

/// The same of what happens now.
///
/// # Errors
/// Where this version has no such class.
pub fn check_live(selection: &Selection) -> Result<()> {
    no_class(selection, &[]).map_or(Ok(()), |said| Err(Failure::usage(said)))
}
