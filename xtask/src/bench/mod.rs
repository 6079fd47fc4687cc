//! What is measured and held against a budget.
mod budgets;
mod figures;
pub mod history;
pub mod instructions;
pub mod memory;
mod table;
