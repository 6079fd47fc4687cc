//! Which incidents are asked for.
pub mod filter;
pub mod query;
pub mod time;
