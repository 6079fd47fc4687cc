//! The JSON Schema of `output::json`; the guest suite validates every line it produces by it.

/// JSON Schema, draft 2020-12.
pub const SCHEMA: &str = include_str!("schema.json");
