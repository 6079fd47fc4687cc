//! Who serves a FUSE file system.
use serde::{Deserialize, Serialize};

use crate::{
    contract::{Label, Named, Time, Untrusted},
    model::cause::Confidence,
};

/// The process in user space that serves a FUSE file system, as it was right after the event: of a family that shares
/// the device its first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Server {
    /// tgid in the host's PID namespace.
    pub pid: u32,
    /// Its start by /proc/PID/stat, to 10 ms.
    pub start_time: Time,
    /// Its name.
    pub comm: Untrusted,
    /// Its program, as /proc/PID/exe calls it.
    pub exe: Option<Untrusted>,
    /// Proven: it holds the connection of this file system, and nobody else does.
    pub confidence: Named<Confidence>,
    /// What says that it is this one: its connection (`fuse_connection` of /proc/PID/fdinfo/N, which Linux has from 6.16
    /// on); the same, shared with an older process; that it is the only one; of several that its arguments name the
    /// mount point or the source; or that it is called as the file system is.
    #[cfg_attr(test, schemars(extend("x-words" = ["connection", "shared connection", "only one", "arguments", "name"])))]
    pub by: Label,
}
