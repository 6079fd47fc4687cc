//! How a process ended, in the column `status`: that of one which outlived what is told of it stands apart, so that it is
//! found by `--exit`, and yet counts as no death of its story. Rows of before have none there.
use crate::contract::Incident;

/// What is added to the status of who outlived it.
const OUTLIVED: u32 = 1_000;

/// What the column has of an incident.
pub fn column(incident: &Incident) -> Option<u32> {
    let outlived = || Some(OUTLIVED + incident.status()?);
    incident.death_status().or_else(outlived)
}

/// The status of a death, of what the column has.
pub fn death(column: Option<u32>) -> Option<u32> {
    column.filter(|status| *status < OUTLIVED)
}

/// The same in SQL.
pub fn sql_of_death() -> String {
    format!("iif(status < {OUTLIVED}, status, NULL)")
}

/// All that the column may have of whoever ended with one of these.
pub fn columns(statuses: &[u32]) -> impl Iterator<Item = u32> {
    statuses.iter().flat_map(|status| [*status, status.saturating_add(OUTLIVED)])
}
