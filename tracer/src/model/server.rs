//! The process in user space that serves a FUSE file system.
use serde::{Deserialize, Serialize};

use crate::{
    model::{Bytes, cause::Confidence, file::Dev, task::ProcessId},
    text::base64,
};

/// Who serves a FUSE file system, looked for after an event on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FuseServer {
    pub dev: Dev,
    /// Of the event, ns since boot: device numbers are used again.
    pub time: u64,
    /// `None`: it is known that no process of this host does any more.
    pub process: Option<Server>,
}

/// A FUSE server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Its start as far as /proc counts that.
    pub id: ProcessId,
    #[serde(with = "base64")]
    pub comm: Bytes,
    #[serde(with = "base64")]
    pub exe: Option<Bytes>,
    pub by: ServedBy,
}

/// What says that it is this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServedBy {
    /// Its descriptor of /dev/fuse is that of the file system.
    Connection,
    /// The same, but processes that are not related share it, and this one was started last.
    SharedConnection,
    /// No other process of the host holds /dev/fuse, and there is no other FUSE file system.
    Alone,
    /// It alone of those that hold /dev/fuse has the mount point or the source among its arguments.
    Arguments,
    /// It alone of those is called as the file system is.
    Name,
}

impl ServedBy {
    pub fn word(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::SharedConnection => "shared connection",
            Self::Alone => "only one",
            Self::Arguments => "arguments",
            Self::Name => "name",
        }
    }

    pub fn confidence(self) -> Confidence {
        match self {
            Self::Connection => Confidence::Proven,
            // Who has opened /dev/fuse may have mounted nothing yet.
            Self::Alone | Self::SharedConnection | Self::Arguments | Self::Name => {
                Confidence::Likely
            }
        }
    }
}
