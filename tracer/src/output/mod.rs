//! From values to bytes for people and programs. Pure: nothing here writes.
pub mod escape;
pub mod format;
pub mod human;
pub mod json;
pub mod oneline;
pub mod schema;
pub mod story;
