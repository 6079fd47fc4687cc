//! The file that was touched, and where its victim mapped it.
use serde::{Deserialize, Serialize};

use crate::{
    contract::{Hex, Label, Process, Server, Time, Untrusted},
    model::remote::{Export, export},
};

/// The file that was touched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct File {
    /// As the victim's mount namespace has it. OpenTelemetry: `file.path`.
    pub path: Option<Untrusted>,
    /// Device of its file system (`s_dev`), `major:minor`.
    #[cfg_attr(test, schemars(extend("pattern" = "^[0-9]+:[0-9]+$")))]
    pub dev: Label,
    /// Number of its inode. OpenTelemetry: `file.inode`.
    pub inode: u64,
    /// `i_generation`: tells uses of one inode number apart.
    pub generation: u32,
    /// Type of its file system.
    pub fstype: Option<Untrusted>,
    /// `i_size` at the fault, bytes. OpenTelemetry: `file.size`.
    pub size: u64,
    /// Names it has (`i_nlink`).
    pub nlink: u32,
    /// The name it was opened by was gone.
    pub deleted: bool,
    /// Where its file system is mounted, as the victim sees it.
    pub mount: Option<Mount>,
    /// The victim's mapping that was touched.
    pub mapping: Mapping,
    /// Of shared memory without a name (memfd_create(2)) that was mapped too long: who gave it its size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sized: Option<Sizing>,
    /// What is missing about the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_why: Option<Label>,
    /// As whybus' own mount namespace has it, where its victim lives in neither that nor the host's; null: it is not
    /// mounted there.
    #[serde(default, with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<Untrusted>"))]
    pub host_path: Option<Option<Untrusted>>,
    /// The volume it is on, of a victim in a container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<Volume>,
    /// Which process serves it, if it is on FUSE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Server>,
    /// Why none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_why: Option<Label>,
}

/// A volume of a container, by where its engine keeps it on the host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Volume {
    /// The kubelet's plugin (`empty-dir`, `csi`, `nfs`, `configmap`, …; `sub-path` of a part of any), `docker`, `podman`, or
    /// `host-path` of a directory of the host.
    pub kind: Untrusted,
    /// As the pod calls it; of a persistent volume its own name; of `host-path` where it is on the host.
    pub name: Untrusted,
}

/// ftruncate(2) or fallocate(2) that made a file longer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Sizing {
    /// Who did it.
    pub by: Process,
    /// Size of the file before, bytes.
    pub old_size: u64,
    /// When.
    pub time: Time,
    /// From then to the fault, ns.
    pub before_ns: u64,
}

/// Null is told apart from absence.
mod present {
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

/// A mount.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Mount {
    /// Where.
    pub point: Untrusted,
    /// What: a device, an export.
    pub source: Option<Untrusted>,
    /// Address of its server, where the mount tells that (`addr=` of NFS and CIFS). OpenTelemetry:
    /// `server.address`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Untrusted>,
    /// The file behind it, where it is a loop device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backing: Option<Untrusted>,
}

/// What a server has of a file system on the network, as its mount names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Remote {
    /// The server as it was mounted, in lower case; of Ceph its cluster or its monitors.
    pub server: Untrusted,
    /// Its address, where the mount tells that.
    pub address: Option<Untrusted>,
    /// What the server calls the directory that is mounted.
    pub export: Untrusted,
}

impl Remote {
    /// What a mount says of it; `None` where it names no server.
    pub fn of(fstype: &[u8], mount: &Mount) -> Option<Self> {
        let Export { server, path } = export(fstype, &mount.source.as_ref()?.0)?;
        let address = mount.address.clone();
        Some(Self { server: Untrusted(server), address, export: Untrusted(path) })
    }
}

/// A mapping of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Mapping {
    /// First address (`vm_start`).
    pub start: Hex,
    /// Address behind the last (`vm_end`).
    pub end: Hex,
    /// What is mapped at `start`, bytes from the start of the file.
    pub file_offset: u64,
}
