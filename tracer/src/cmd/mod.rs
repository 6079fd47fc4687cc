//! The verbs, one file each.
pub mod demo;
pub mod doctor;
pub mod replay;
pub mod scan;
pub mod schema;
pub mod trace;
