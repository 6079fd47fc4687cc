//! Finds every field of `tracer_common::offsets::Offsets` in a kernel's BTF. Pure.
use tracer_common::offsets::{ABSENT, Offsets};

use crate::probe::btf::Types;

/// The offsets of this kernel, and the fields it lacks that no tracing works without.
pub fn resolve(types: &impl Types) -> (Offsets, Vec<String>) {
    let mut missing = Vec::new();
    let values: Vec<u32> = Offsets::FIELDS
        .iter()
        .map(|field| {
            let found = field.paths.iter().find_map(|path| types.offset(field.root, path));
            if found.is_none() && !field.optional {
                missing.push(format!("{}.{}", field.root, field.paths[0]));
            }
            found.unwrap_or(ABSENT)
        })
        .collect();
    (Offsets::from_slice(&values).unwrap_or(Offsets::NONE), missing)
}

/// The structs [`resolve`] asks for.
pub fn wanted() -> impl Iterator<Item = &'static str> {
    Offsets::FIELDS.iter().map(|field| field.root)
}
