//! The history on disk: one SQLite file, one writer, readers without privilege and without a
//! recorder.
mod before;
pub mod body;
mod connect;
pub mod count;
mod ended;
pub mod forget;
mod key;
mod lookup;
mod mention;
mod names;
mod payer;
pub mod place;
pub mod read;
mod reading;
pub mod recover;
mod retain;
pub mod schema;
mod search;
mod tally;
pub mod write;
