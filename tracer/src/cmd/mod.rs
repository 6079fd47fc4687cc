//! The verbs, one file each.
pub mod demo;
pub mod doctor;
pub mod replay;
pub mod schema;
pub mod trace;
