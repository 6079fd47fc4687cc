//! A watch: live or replayed, the same inputs go through the same driver to the sinks.
pub mod arm;
pub mod child;
mod driver;
mod evictions;
mod left_out;
pub mod live;
mod log;
pub mod replay;
mod save;
mod seq_checkpoints;
pub mod stop;
