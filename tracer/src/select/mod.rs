//! Which incidents are asked for: one selection for what is told live, what is replayed, and what is
//! looked up in a history. Pure, and without the command line.
pub mod facets;
pub mod field;
pub mod pattern;
pub mod selection;
pub mod time;
pub mod words;
