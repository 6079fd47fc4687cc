//! The verbs, one file each.
pub mod demo;
pub mod doctor;
pub mod export;
pub mod import;
pub mod list;
pub mod nothing;
pub mod record;
pub mod replay;
pub mod scan;
pub mod schema;
pub mod show;
pub mod stats;
pub mod status;
pub mod trace;
pub mod why;
