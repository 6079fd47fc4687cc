//! What a scenario leads to on some kernels, otherwise than on most.
use anyhow::{Context as _, Result};
use serde_json::{Map, Value};

/// What is otherwise where a fact holds.
pub enum Otherwise {
    /// `#+FACT: none`: nothing is told then.
    Nothing,
    /// `#+FACT: {…}`: merged into every incident, null taking a key away.
    All(Map<String, Value>),
    /// `#+FACT: [{…}, null]`: the same of one incident each, of which null changes nothing.
    Each(Vec<Option<Map<String, Value>>>),
}

impl Otherwise {
    /// What stands behind the fact.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "none" => Ok(Self::Nothing),
            each if each.starts_with('[') => serde_json::from_str(each).map(Self::Each),
            all => serde_json::from_str(all).map(Self::All),
        }
        .with_context(|| text.to_owned())
    }

    /// Of the incident with this index.
    pub fn of(&self, i: usize) -> Option<&Map<String, Value>> {
        match self {
            Self::Nothing => None,
            Self::All(map) => Some(map),
            Self::Each(maps) => maps.get(i)?.as_ref(),
        }
    }
}
