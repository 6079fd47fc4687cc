//! What is measured and held against a budget.
pub mod history;
pub mod instructions;
pub mod memory;
