//! The history on disk: one SQLite file, one writer, readers without privilege and without a
//! recorder.
mod body;
pub mod read;
pub mod schema;
pub mod write;
