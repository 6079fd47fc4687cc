//! From what the contract says to bytes. Pure.
pub mod columns;
pub mod csv;
pub mod doctor;
pub mod human;
mod json;
pub mod list;
pub mod log;
pub mod markdown;
pub mod oneline;
pub mod prices;
pub mod scan;
pub mod stats;
pub mod status;
pub mod story;
pub mod style;
pub mod table;
mod touched;
pub mod warning;
pub mod watching;

pub use json::json;

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Human,
    Oneline,
    Json,
}
