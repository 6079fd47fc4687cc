//! The contract: an incident as every output, the history and other programs know it. `whybus
//! schema` describes it; adding a field is compatible, anything else raises [`SCHEMA`].
//!
//! Sizes and offsets are bytes, durations end in `_ns`. Absent facts are null, where it helps with a
//! sibling `_why`. What people read is made from this too, so that history tells what was told live.
pub mod schema;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeMap as _};

use crate::{
    model::cause::{CauseKind, Confidence, Outcome},
    text::{
        escape::{escape, inert},
        format,
    },
};

pub const SCHEMA: u32 = 1;

/// Bytes of unknown origin: as text, or where they are no UTF-8 both as readable text and in base64.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Untrusted(pub Vec<u8>);

impl Serialize for Untrusted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("text", &String::from_utf8_lossy(&self.0))?;
                map.serialize_entry("bytes", &BASE64_STANDARD.encode(&self.0))?;
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

/// Words of our own: made of letters and numbers, safe to print. A file that was imported may say
/// anything: what could move a cursor is escaped as it is read.
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

/// Ns since the epoch; written as RFC 3339 with nanoseconds, in UTC.
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

/// Names that a later version may have more of.
macro_rules! named {
    ($type:ty, $known:expr, $otherwise:expr) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = String::deserialize(deserializer)?;
                let known = $known.into_iter().find(|known| known.name() == name);
                Ok(known.unwrap_or($otherwise))
            }
        }
    };
}
named!(CauseKind, CauseKind::NAMED, CauseKind::Unknown);
named!(Confidence, [Confidence::Proven, Confidence::Likely], Confidence::Unknown);
named!(
    Outcome,
    [Outcome::Killed, Outcome::Exited, Outcome::Survived, Outcome::Efault],
    Outcome::Pending
);

/// One victim, one file or address, one cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    pub schema: u32,
    /// `incident` when it is told first, `update` when it is known better.
    pub kind: Label,
    /// Unique across hosts and boots (a UUID of version 7), the same in every update.
    pub id: Label,
    /// Counts from 1 within a watch.
    pub number: u64,
    /// Of the first fault or signal, or of the exit where there was none.
    pub time: Time,
    /// Of the last.
    pub last: Time,
    /// `time` in ns since boot (CLOCK_BOOTTIME): the order within a boot, whatever the clock does.
    #[serde(default)]
    pub boot_ns: u64,
    pub host: Label,
    pub boot_id: Label,
    pub victim: Process,
    pub fault: Option<Fault>,
    pub file: Option<File>,
    pub cause: Cause,
    pub signal: Option<Signal>,
    pub outcome: Outcome,
    pub exit: Option<Exit>,
    pub restart: Option<Restart>,
    pub stack: Option<Stack>,
    pub advice: Label,
    pub complete: bool,
    /// Events lost that may concern it.
    pub lost: u64,
    /// How many of its kind this stands for, where it is no fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// OOM kills on this host since boot, as the victim ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oom_kills: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Process {
    pub pid: u32,
    /// In its own PID namespace.
    pub ns_pid: Option<u32>,
    pub ppid: Option<u32>,
    pub start_time: Option<Time>,
    pub comm: Untrusted,
    pub exe: Option<Untrusted>,
    pub cmdline: Option<Vec<Untrusted>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmdline_why: Option<Label>,
    pub uid: u32,
    pub cgroup: Option<Untrusted>,
    pub container: Option<Container>,
    pub unit: Option<Untrusted>,
    pub cgroup_id: Option<u64>,
    /// Nearest first.
    #[serde(default)]
    pub ancestors: Vec<Ancestor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_comm: Option<Untrusted>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tid: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Container {
    pub id: Label,
    pub runtime: Option<Label>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ancestor {
    pub pid: u32,
    pub comm: Untrusted,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    pub access: Option<Label>,
    pub mode: Label,
    pub address: Hex,
    pub address_exact: bool,
    pub ip: Option<Hex>,
    pub file_offset: Option<u64>,
    /// `vm_fault.pgoff`, in pages.
    pub pgoff: u64,
    /// Name of a mapping without a file: `[vvar]`.
    pub mapping: Option<Untrusted>,
    pub handler: Label,
    pub read_errno: Option<i32>,
    pub owner_pid: Option<u32>,
    pub count: u64,
    pub threads: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct File {
    pub path: Option<Untrusted>,
    pub dev: Label,
    pub inode: u64,
    pub generation: u32,
    pub fstype: Option<Untrusted>,
    /// `i_size` at the fault.
    pub size: u64,
    pub nlink: u32,
    pub deleted: bool,
    pub mount: Option<Mount>,
    pub mapping: Mapping,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_why: Option<Label>,
    /// The victim lives in another mount namespace: what we see the file as.
    #[serde(default, with = "told", skip_serializing_if = "Option::is_none")]
    pub host_path: Option<Option<Untrusted>>,
}

/// Null is told apart from absence.
mod told {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<T: Serialize, S: Serializer>(
        value: &Option<Option<T>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().and_then(Option::as_ref).serialize(serializer)
    }

    pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Option<T>>, D::Error> {
        Option::deserialize(deserializer).map(Some)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mount {
    pub point: Untrusted,
    pub source: Option<Untrusted>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mapping {
    pub start: Hex,
    pub end: Hex,
    pub file_offset: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    pub class: CauseKind,
    pub confidence: Confidence,
    /// One sentence, of numbers and our own words only.
    pub summary: Label,
    pub how: Option<Label>,
    pub old_size: Option<u64>,
    pub new_size: Option<u64>,
    /// Of the act.
    pub time: Option<Time>,
    /// From the act to the fault.
    pub before_ns: Option<u64>,
    /// What the culprit called the file.
    pub path: Option<Untrusted>,
    /// Whether anybody mapped the file at the act.
    pub mapped: Option<bool>,
    pub culprit: Option<Process>,
    /// What /proc said is mapped at the address, where no fault was told.
    pub mapping: Option<Untrusted>,
    /// Id of the early warning.
    pub truncation: Option<Label>,
    pub at_risk: Option<Vec<Mapper>>,
    #[serde(default)]
    pub others: Vec<Other>,
    /// The memory cgroup whose limit was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    pub cgroup: Untrusted,
    pub limit: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mapper {
    pub pid: u32,
    pub start_time: Time,
    pub comm: Untrusted,
}

/// A shrink that did not remove the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Other {
    pub pid: u32,
    pub comm: Untrusted,
    pub how: Label,
    pub old_size: u64,
    pub new_size: u64,
    pub time: Time,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    pub number: i32,
    pub name: Label,
    pub code: i32,
    pub code_name: Option<Label>,
    pub address: Option<Hex>,
    pub disposition: Option<Label>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exit {
    pub signal: Option<u32>,
    pub code: Option<u32>,
    pub core: bool,
    pub time: Time,
}

/// The process that took the victim's place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Restart {
    pub pid: u32,
    pub start_time: Option<Time>,
    /// When it ran the program.
    pub time: Time,
    /// From the victim's end.
    pub after_ns: u64,
    pub by: Option<Ancestor>,
    /// By fork(2) alone.
    pub forked: bool,
    pub same_arguments: Option<bool>,
}

/// Where it failed; so far only the innermost frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stack {
    pub user: Vec<Frame>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    pub ip: Hex,
    pub symbol: Option<Untrusted>,
    /// Bytes from the symbol's start.
    pub symbol_offset: Option<u64>,
    pub module: Option<Untrusted>,
    /// Of the instruction in the module's file.
    pub module_offset: Option<u64>,
}

impl Incident {
    /// How the victim ended as a shell has it: its status, or 128 and the signal.
    pub fn status(&self) -> Option<u32> {
        let exit = self.exit.as_ref()?;
        Some(exit.signal.map_or(exit.code.unwrap_or(0), |signal| 128 + signal))
    }

    /// How often it happened.
    pub fn times(&self) -> u64 {
        self.fault.as_ref().map(|fault| fault.count).or(self.count).unwrap_or(1)
    }

    /// The name of the signal that it is about.
    pub fn signal_name(&self) -> &str {
        self.signal.as_ref().map_or("SIGBUS", |signal| &signal.name)
    }
}

/// A time when nobody was watching, or when what was seen was lost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    pub schema: u32,
    pub kind: Label,
    pub host: Label,
    pub boot_id: Label,
    pub since: Time,
    pub until: Time,
    pub why: Label,
    /// Events or incidents lost, where they could be counted.
    pub lost: Option<u64>,
}

/// A run of a recorder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub schema: u32,
    pub kind: Label,
    pub host: Label,
    pub boot_id: Label,
    pub pid: u32,
    pub since: Time,
    /// Null while it runs, and if it never got to say so.
    pub until: Option<Time>,
}
