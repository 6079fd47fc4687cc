//! The values that fields are made of, with the form each has in JSON.
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeMap as _};

use crate::text::{
    escape::{escape, inert},
    format,
};

/// Bytes of unknown origin: names, paths, arguments.
///
/// A field of this type is a string: the text, lossy where the bytes are no UTF-8; only then a field
/// named like it with `_bytes` behind stands beside it and has the bytes in base64. That form is made and
/// read by [`contract::json`](super::json), which knows what stands beside what. Alone, and in schema 1, such
/// bytes are an object of both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Untrusted(pub Vec<u8>);

impl Untrusted {
    /// The two keys of the object form.
    pub(super) const TEXT: &'static str = "text";
    pub(super) const BYTES: &'static str = "bytes";
}

impl From<&[u8]> for Untrusted {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl Serialize for Untrusted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry(Self::TEXT, &String::from_utf8_lossy(&self.0))?;
                map.serialize_entry(Self::BYTES, &BASE64_STANDARD.encode(&self.0))?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Untrusted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Text(String),
            Bytes { bytes: String },
        }
        match Either::deserialize(deserializer)? {
            Either::Text(text) => Ok(Self(text.into_bytes())),
            Either::Bytes { bytes } => {
                BASE64_STANDARD.decode(bytes).map(Self).map_err(de::Error::custom)
            }
        }
    }
}

/// Words of our own, safe to print. A file that was imported may say anything: what could move a cursor
/// is escaped as it is read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Label(String);

impl std::ops::Deref for Label {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Label {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Label {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl PartialEq<str> for Label {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Label {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Self(match inert(&text) {
            true => text,
            false => escape(text.as_bytes()),
        }))
    }
}

/// A time of day, ns since the epoch (CLOCK_REALTIME); written as RFC 3339 with nanoseconds, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub i64);

impl Time {
    /// Ns from `earlier` to this, 0 if it is none.
    pub fn since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format::rfc3339(self.0))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let known = format::parse_rfc3339(&text);
        known.map(Self).ok_or_else(|| de::Error::custom(format!("`{text}` is no RFC 3339 time")))
    }
}

/// An address, written in hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hex(pub u64);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{:#x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.strip_prefix("0x").unwrap_or(&text);
        u64::from_str_radix(digits, 16).map(Self).map_err(de::Error::custom)
    }
}

/// A set of words that a later version may have more of.
pub trait Vocabulary: Copy + PartialEq + Sized + 'static {
    /// Every word there is, in the order of the schema.
    fn words() -> Vec<Self>;

    /// The word itself.
    fn word(self) -> &'static str;

    /// What a word of a later version is taken for.
    const FALLBACK: Self;
}

/// One word of a vocabulary. A word of a later version keeps its text: a history that passes through an
/// older whybus comes out as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named<T> {
    Known(T),
    Other(Label),
}

impl<T: Vocabulary> Named<T> {
    /// As it is written.
    pub fn name(&self) -> &str {
        match self {
            Self::Known(word) => word.word(),
            Self::Other(text) => text,
        }
    }

    /// As this version understands it.
    pub fn known(&self) -> T {
        match self {
            Self::Known(word) => *word,
            Self::Other(_) => T::FALLBACK,
        }
    }
}

impl<T> From<T> for Named<T> {
    fn from(word: T) -> Self {
        Self::Known(word)
    }
}

impl<T: Vocabulary> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de, T: Vocabulary> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Label::deserialize(deserializer)?;
        let known = T::words().into_iter().find(|word| word.word() == &*text);
        Ok(known.map_or(Self::Other(text), Self::Known))
    }
}
