//! Histories.
mod error;
pub mod lock;
pub mod placed;
pub mod sqlite;
pub mod state_dir;
pub mod steady;

pub use error::Error;

/// What a history gives, or why it does not.
pub type Result<T> = std::result::Result<T, Error>;
