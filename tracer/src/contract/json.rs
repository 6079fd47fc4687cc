//! Values of the contract as JSON, and back.
use serde::{Serialize, de::DeserializeOwned};

/// One line, without its end.
pub fn to_vec(value: &impl Serialize) -> Vec<u8> {
    // Strings, numbers, lists and maps with string keys: that cannot fail.
    serde_json::to_vec(value).unwrap_or_default()
}

/// What a line says.
///
/// # Errors
/// Where it is no JSON, or lacks what the type needs.
pub fn from_slice<T: DeserializeOwned>(line: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(line)
}
