//! From what the contract says to bytes. Pure.
pub mod human;
pub mod json;
pub mod oneline;
pub mod story;
