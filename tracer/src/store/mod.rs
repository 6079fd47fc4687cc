//! Histories.
pub mod sqlite;
pub mod state_dir;
