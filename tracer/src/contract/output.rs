//! Where a process spoke to.
use serde::{Deserialize, Serialize};

use crate::contract::{Ancestor, Named, Untrusted, Vocabulary};

/// Where standard output and standard error of a victim led.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Outputs {
    /// Descriptor 1; null where it is not known.
    pub stdout: Option<Output>,
    /// Descriptor 2; null where it is not known.
    pub stderr: Option<Output>,
    /// True: as it began to run its program, for nothing was seen of it in the end. It may have opened others since.
    #[serde(default, skip_serializing_if = "is_false")]
    pub at_start: bool,
}

/// Where one of them led.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Output {
    /// What it is.
    pub kind: Named<OutputKind>,
    /// Of a file, a terminal or a device, as its process sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Untrusted>,
    /// The kernel writes ` (deleted)` behind its path: it has no name any more, or one that ends so.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deleted: bool,
    /// `path` need not lead to that file on the host: the file was opened in another mount namespace, or that is not known.
    #[serde(default, skip_serializing_if = "is_false")]
    pub foreign: bool,
    /// Of a `pipe` without a path and of a `socket`: its inode number, which tells two of them apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inode: Option<u64>,
    /// Of a pipe: who holds its other end, as far as it was found among the victim's ancestors and their other children.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader: Option<Ancestor>,
    /// What to type on its host to read what was said, where there is such a command. No name in it needs quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Untrusted>,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// What an output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputKind {
    /// What has a path that is not below /dev: a file, or a FIFO.
    File,
    /// The journal of its host (systemd-journald).
    Journal,
    /// A pipe of a container's first process; the runtime that started it holds the other end, and writes the container's log.
    ContainerLog,
    /// Any other pipe.
    Pipe,
    /// A terminal, by its name.
    Terminal,
    /// /dev/null: what was said is lost.
    Null,
    /// Not open: what was said is lost.
    Closed,
    /// Anything else below /dev.
    Device,
    /// A socket that is not known to lead to the journal.
    Socket,
}

impl Vocabulary for OutputKind {
    const FALLBACK: Self = Self::Socket;

    fn words() -> Vec<Self> {
        use OutputKind::*;
        vec![File, Journal, ContainerLog, Pipe, Terminal, Null, Closed, Device, Socket]
    }

    fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Journal => "journal",
            Self::ContainerLog => "container-log",
            Self::Pipe => "pipe",
            Self::Terminal => "terminal",
            Self::Null => "null",
            Self::Closed => "closed",
            Self::Device => "device",
            Self::Socket => "socket",
        }
    }
}
