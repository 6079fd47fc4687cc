//! Cgroups; containers and units, as runtimes and systemd write them into a cgroup path. Pure.
use serde::{Deserialize, Serialize};

use crate::{model::Bytes, text::base64};

/// Id of the root of a hierarchy (fs/kernfs): everybody's cgroup where there are no others.
pub const ROOT_CGROUP: u64 = 1;

/// The kernel made a cgroup, or renamed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupMade {
    /// As [`crate::model::task::Task::cgroup`].
    pub id: u64,
    /// From the root of its hierarchy; `None` where the kernel did not tell it.
    pub path: Option<Bytes>,
}

/// What a cgroup is called: looked up by its id, which no other will have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupPath {
    pub id: u64,
    /// From the root of its hierarchy.
    #[serde(with = "base64")]
    pub path: Bytes,
}

/// A container, as its runtime names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Container<'a> {
    /// 64 hex digits, as a rule.
    pub id: &'a str,
    pub runtime: Option<&'static str>,
}

/// What stands before the id in the path: `docker-ID.scope`, `cri-containerd-ID.scope`,
/// `/docker/ID`, `/kubepods/…/ID`.
const RUNTIMES: [(&str, &str); 5] = [
    ("cri-containerd", "containerd"),
    ("docker", "docker"),
    ("libpod", "podman"),
    ("crio", "cri-o"),
    ("nerdctl", "containerd"),
];
/// What container runtimes show of an id.
pub const SHORT: usize = 12;
/// Shorter words of hex digits are other things.
const ID: usize = 32;

/// The container a cgroup path belongs to; of nested ones the innermost.
pub fn container(cgroup: &[u8]) -> Option<Container<'_>> {
    let path = std::str::from_utf8(cgroup).ok()?;
    let mut words = path.split(|c: char| !c.is_ascii_hexdigit());
    let id = words.rfind(|word| word.len() >= ID)?;
    let before = &path[..id.as_ptr() as usize - path.as_ptr() as usize];
    let part = before.rsplit('/').find(|part| !part.is_empty()).unwrap_or(before);
    let runtime = RUNTIMES.iter().find(|(mark, _)| part.contains(mark)).map(|(_, name)| *name);
    Some(Container { id, runtime })
}

/// What stays while a container is replaced by its next run: the pod's cgroup, or, where containers keep
/// their id (docker), its own. `None` outside containers.
pub fn place(cgroup: &[u8]) -> Option<&[u8]> {
    container(cgroup)?;
    let slash = cgroup.iter().rposition(|b| *b == b'/')?;
    let above = &cgroup[..slash];
    let pod = above.windows(3).any(|word| word == b"pod");
    Some(if pod { above } else { cgroup })
}

/// The systemd unit a cgroup path belongs to.
pub fn unit(cgroup: &[u8]) -> Option<&[u8]> {
    let named = |part: &&[u8]| part.ends_with(b".service") || part.ends_with(b".scope");
    cgroup.split(|b| *b == b'/').rfind(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_are_told_by_what_stands_before_the_id() {
        let id = "0123456789abcdef".repeat(4);
        let cases = [
            (format!("/system.slice/docker-{id}.scope"), Some("docker")),
            (format!("/docker/{id}"), Some("docker")),
            (format!("/kubepods.slice/x.slice/cri-containerd-{id}.scope"), Some("containerd")),
            (format!("/machine.slice/libpod-{id}.scope/container"), Some("podman")),
            (format!("/kubepods/burstable/pod1b2/{id}"), None),
        ];
        for (path, runtime) in cases {
            assert_eq!(container(path.as_bytes()), Some(Container { id: &id, runtime }), "{path}");
        }
        for none in [&b"/"[..], b"/user.slice/deadbeef", b"\xff", b""] {
            assert_eq!(container(none), None);
        }
    }

    #[test]
    fn a_pod_outlives_its_containers() {
        let id = "0123456789abcdef".repeat(4);
        let pod = "/kubepods.slice/kubepods-pod1b2.slice";
        let inside = format!("{pod}/cri-containerd-{id}.scope");
        assert_eq!(place(inside.as_bytes()), Some(pod.as_bytes()));
        let docker = format!("/system.slice/docker-{id}.scope");
        assert_eq!(place(docker.as_bytes()), Some(docker.as_bytes()));
        assert_eq!(place(b"/system.slice/geo.service"), None);
    }

    #[test]
    fn the_innermost_unit_counts() {
        let path = b"/user.slice/user-0.slice/user@0.service/app.slice/geo.service/worker";
        assert_eq!(unit(path), Some(&b"geo.service"[..]));
        assert_eq!(unit(b"/"), None);
    }
}
