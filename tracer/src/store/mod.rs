//! The history on disk: one SQLite file, one writer, readers without privilege and without a
//! recorder.
mod body;
pub mod dir;
pub mod query;
pub mod read;
pub mod schema;
pub mod when;
pub mod write;
