//! Histories.
pub mod lock;
pub mod sqlite;
pub mod state_dir;
