//! Names whose values are secret.
use std::sync::LazyLock;

use regex::bytes::Regex;

use crate::text::secrets::compiled;

/// As flags, variables, properties, query parameters, JSON keys; in any case.
pub const NAME: &str = r"(?:[\w.-]*(?:passw(?:or)?d|passphrase|secret|token|oauth2-bearer|(?:api|access|private|account|signing|encryption|master)[_-]?key|credential|authorization)[\w.-]*|(?:[\w.-]*[_.-])?(?:pass|requirepass|masterauth|psk|cookie)|[\w.-]*[_.-](?:pwd|auth))";
/// Endings of names that only say where a secret is, how many there are, or how long they hold.
const NO_SECRETS: [&[u8]; 26] = [
    b"file",
    b"path",
    b"dir",
    b"url",
    b"uri",
    b"name",
    b"tokens",
    b"length",
    b"type",
    b"ttl",
    b"tokenizer",
    b"limit",
    b"size",
    b"count",
    b"timeout",
    b"expiry",
    b"header",
    b"policy",
    b"key-id",
    b"key_id",
    b"method",
    b"stdin",
    b"prompt",
    b"prompts",
    b"authentication",
    b"init_pwd",
];
/// Beginnings of flags that take no value.
const NO_VALUE: [&[u8]; 4] = [b"no-", b"no_", b"ask-", b"ask_"];

static WHOLE: LazyLock<Option<Regex>> =
    LazyLock::new(|| compiled(&format!("^(?:{NAME}|pwd)$")).ok());

/// Whether what has this name is secret.
pub fn is_secret(name: &[u8]) -> bool {
    WHOLE.as_ref().is_some_and(|pattern| pattern.is_match(name)) && !is_harmless(name)
}

/// Whether a name with the word of a secret in it names none.
pub fn is_harmless(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    NO_SECRETS.iter().any(|end| name.ends_with(end))
        || NO_VALUE.iter().any(|begin| name.starts_with(begin))
}
