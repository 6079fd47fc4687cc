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
    /// 64 hex digits.
    pub id: &'a str,
    pub runtime: Option<&'static str>,
}

/// What stands before the id in the name of a cgroup, with `-` behind it, or is the directory above:
/// `docker-ID.scope`, `/docker/ID`.
const RUNTIMES: [(&str, &str); 6] = [
    ("cri-containerd", "containerd"),
    ("docker", "docker"),
    ("libpod", "podman"),
    // Where a unit and its container share a cgroup (--cgroups=split).
    ("libpod-payload", "podman"),
    ("crio", "cri-o"),
    ("nerdctl", "containerd"),
];
/// How podman calls the slice of a pod.
const PODMAN_POD: &str = "libpod_pod_";
/// What container runtimes show of an id.
pub const SHORT: usize = 12;
/// Digits of an id.
const ID: usize = 64;

/// The container a cgroup path belongs to; of nested ones the innermost. Only where runtimes put theirs: whoever
/// may make cgroups of his own can give them any name.
pub fn container(cgroup: &[u8]) -> Option<Container<'_>> {
    innermost(cgroup).map(|(_, container)| container)
}

/// The innermost container, with the names above its own.
fn innermost(cgroup: &[u8]) -> Option<(Vec<&[u8]>, Container<'_>)> {
    let mut above: Vec<&[u8]> = cgroup.split(|b| *b == b'/').collect();
    while let Some(name) = above.pop() {
        if let Some(container) = named(name, &above) {
            return Some((above, container));
        }
    }
    None
}

/// The container that a cgroup is called after, given the names above it.
fn named<'a>(name: &'a [u8], above: &[&[u8]]) -> Option<Container<'a>> {
    let name = std::str::from_utf8(name).ok()?;
    let name = name.strip_suffix(".scope").unwrap_or(name);
    let is_id =
        |id: &str| id.len() == ID && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    // containerd, where the kubelet's driver is systemd's and its own is not: `SLICE:cri-containerd:ID`.
    if let Some((place, id)) = name.rsplit_once(':')
        && is_id(id)
        && let Some((_, runtime)) = RUNTIMES.iter().find(|(mark, _)| place.ends_with(mark))
    {
        return place.contains(".slice:").then_some(Container { id, runtime: Some(*runtime) });
    }
    let of_runtime = RUNTIMES.iter().find_map(|(mark, runtime)| {
        let id = name.strip_prefix(mark)?.strip_prefix('-')?;
        is_id(id).then_some(Container { id, runtime: Some(*runtime) })
    });
    if of_runtime.is_some() || !is_id(name) {
        return of_runtime;
    }
    // By the cgroupfs driver: the directory above is the runtime's or a pod's.
    let parent = std::str::from_utf8(above.last()?).ok()?;
    let runtime = RUNTIMES.iter().find(|(mark, _)| parent == *mark).map(|(_, runtime)| *runtime);
    // Or one that root chose (`docker run --cgroup-parent`, containerd's namespace in `/default/ID`, Amazon's
    // `/ecs/TASK/ID`): nobody else makes cgroups outside of what systemd manages.
    // But inside of a container somebody else is root.
    let inside = |name: &&[u8]| {
        let text = std::str::from_utf8(name).unwrap_or_default();
        is_slice(name)
            || is_unit(name)
            || is_id(text)
            || uid(text).is_some()
            || text.starts_with("lxc")
    };
    let outside = !above.iter().any(inside);
    let placed = runtime.is_some() || uid(parent).is_some() || (outside && !parent.is_empty());
    placed.then_some(Container { id: name, runtime })
}

/// The uid of the Kubernetes pod a cgroup path belongs to: of `/kubepods/burstable/podUID` (the kubelet's driver
/// for cgroupfs), or `kubepods-burstable-podUID.slice` with `_` for `-` (systemd's).
pub fn pod(cgroup: &[u8]) -> Option<String> {
    let mut names = cgroup.split(|b| *b == b'/').filter_map(|name| std::str::from_utf8(name).ok());
    let mut below = false;
    names.find_map(|name| {
        let found = uid(name).filter(|_| below || name.starts_with("kubepods-"));
        below |= name == "kubepods";
        found
    })
}

/// The uid in the name that the kubelet gives to the cgroup of a pod.
fn uid(name: &str) -> Option<String> {
    let uid = match name.strip_prefix("kubepods-") {
        Some(rest) => {
            let rest = &rest[..rest.find(".slice")?];
            rest.strip_prefix("pod").or_else(|| Some(rest.split_once("-pod")?.1))?
        }
        None => name.strip_prefix("pod")?,
    };
    let valid =
        !uid.is_empty() && uid.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    valid.then(|| uid.replace('_', "-"))
}

/// What stays while a container is replaced by its next run: the pod's cgroup, or, where containers keep
/// their id (docker), its own. `None` outside containers.
pub fn place(cgroup: &[u8]) -> Option<&[u8]> {
    let (above, _) = innermost(cgroup)?;
    let parent = above.last()?;
    let is_pod = |name: &str| name.starts_with(PODMAN_POD) || uid(name).is_some();
    let len = above.iter().map(|name| name.len() + 1).sum::<usize>().saturating_sub(1);
    Some(if std::str::from_utf8(parent).is_ok_and(is_pod) { &cgroup[..len] } else { cgroup })
}

/// The systemd unit a cgroup path belongs to: the outermost one below slices, as systemd has it
/// (src/basic/cgroup-util.c cg_path_get_unit); what a service makes inside of its own cgroup is no unit, whatever it
/// is called. Of what a user's own manager runs it is the user's unit (cg_path_get_user_unit).
pub fn unit(cgroup: &[u8]) -> Option<&[u8]> {
    // systemd puts `_` before a name that could be taken for a file of the kernel's, as `cpu.service` could
    // (cg_escape), and before one that begins so itself.
    let names = cgroup.split(|b| *b == b'/').filter(|name| !name.is_empty());
    let mut names = names.map(|name| name.strip_prefix(b"_").unwrap_or(name));
    let outer = names.find(|name| !is_slice(name)).filter(|name| is_unit(name))?;
    if !(outer.starts_with(b"user@") && outer.ends_with(b".service")) {
        return Some(outer);
    }
    let inner = names.find(|name| !is_slice(name)).filter(|name| is_unit(name));
    Some(inner.unwrap_or(outer))
}

/// The unit whose very own cgroup this is, a slice too: what has its limits.
pub fn unit_of_limits(cgroup: &[u8]) -> Option<&[u8]> {
    let name = cgroup.rsplit(|b| *b == b'/').next()?;
    let name = name.strip_prefix(b"_").unwrap_or(name);
    (is_slice(name) || unit(cgroup) == Some(name)).then_some(name)
}

fn is_slice(name: &[u8]) -> bool {
    name.ends_with(b".slice") && name.len() > b".slice".len()
}

fn is_unit(name: &[u8]) -> bool {
    const KINDS: [&[u8]; 5] = [b".service", b".scope", b".socket", b".mount", b".swap"];
    KINDS.iter().any(|kind| name.ends_with(kind) && name.len() > kind.len())
        && name.iter().all(|b| b.is_ascii_alphanumeric() || b":-_.\\@".contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> String {
        "0123456789abcdef".repeat(4)
    }

    #[test]
    fn runtimes_are_told_by_what_stands_before_the_id() {
        let id = id();
        let cases = [
            (format!("/system.slice/docker-{id}.scope"), Some("docker")),
            (format!("/docker/{id}"), Some("docker")),
            (format!("/ecs/0123456789abcdef/{id}"), None),
            (format!("/default/{id}"), None),
            (format!("/batch/night/{id}"), None),
            (format!("/system.slice/web.service/libpod-payload-{id}"), Some("podman")),
            (format!("/kubepods.slice/x.slice/cri-containerd-{id}.scope"), Some("containerd")),
            (format!("/kubepods.slice/x.slice/crio-{id}.scope/container"), Some("cri-o")),
            (format!("/machine.slice/libpod-{id}.scope/container"), Some("podman")),
            (format!("/kubepods/burstable/pod1b2/{id}"), None),
            (
                format!(
                    "/system.slice/containerd.service/kubepods-pod1_2.slice:cri-containerd:{id}"
                ),
                Some("containerd"),
            ),
            (format!("/system.slice/docker-{}.scope/docker/{id}", "f".repeat(64)), Some("docker")),
        ];
        for (path, runtime) in cases {
            assert_eq!(container(path.as_bytes()), Some(Container { id: &id, runtime }), "{path}");
        }
    }

    #[test]
    fn digits_where_no_runtime_puts_them_are_no_container() {
        let id = id();
        let paths = [
            "/".to_owned(),
            String::new(),
            "/user.slice/deadbeef".to_owned(),
            // A user's own directories.
            format!("/user.slice/{id}"),
            format!("/user.slice/{}", &id[..32]),
            format!("/user.slice/user-1000.slice/user@1000.service/app.slice/default/{id}"),
            format!("/{id}"),
            format!("/lxc.payload.web/{id}"),
            format!("/system.slice/geo.service/{id}"),
            format!("/system.slice/geo.service/x{id}"),
            format!("/docker/{id}0"),
            format!("/docker/{}", &id[..32]),
            format!("/docker-{}.scope", &id[1..]),
            format!("/my-docker-{id}.scope"),
        ];
        for path in paths {
            assert_eq!(container(path.as_bytes()), None, "{path}");
        }
        assert_eq!(container(b"\xff/\xff"), None);
        assert_eq!(container(format!("/\n/docker/{id}\n").as_bytes()), None);
    }

    #[test]
    fn a_name_that_is_no_utf8_hides_no_container_around_it() {
        let mut path = format!("/docker/{}", id()).into_bytes();
        path.extend_from_slice(b"/\xff\n");
        assert_eq!(container(&path).map(|found| found.id.to_owned()), Some(id()));
    }

    #[test]
    fn what_a_container_makes_below_itself_is_none() {
        let (outer, inner) = (id(), "f".repeat(64));
        for path in
            [format!("/docker/{outer}/{inner}"), format!("/kubepods/pod1b2/{outer}/{inner}")]
        {
            assert_eq!(container(path.as_bytes()).map(|found| found.id), Some(&*outer), "{path}");
        }
    }

    #[test]
    fn a_pod_outlives_its_containers() {
        let id = id();
        let pod = "/kubepods.slice/kubepods-pod1b2.slice";
        let inside = format!("{pod}/cri-containerd-{id}.scope");
        assert_eq!(place(inside.as_bytes()), Some(pod.as_bytes()));
        let deeper = format!("{inside}/container");
        assert_eq!(place(deeper.as_bytes()), Some(pod.as_bytes()));
        let by_podman = format!("/machine.slice/libpod_pod_{id}.slice");
        let inside = format!("{by_podman}/libpod-{id}.scope/container");
        assert_eq!(place(inside.as_bytes()), Some(by_podman.as_bytes()));
        let tripod = format!("/tripod/{id}");
        assert_eq!(place(tripod.as_bytes()), Some(tripod.as_bytes()));
        let docker = format!("/system.slice/docker-{id}.scope");
        assert_eq!(place(docker.as_bytes()), Some(docker.as_bytes()));
        assert_eq!(place(b"/system.slice/geo.service"), None);
    }

    #[test]
    fn a_pod_is_called_by_its_uid() {
        let uid = "12345678-9abc-def0-1234-56789abcdef0";
        let slice = uid.replace('-', "_");
        let paths = [
            format!("/kubepods/burstable/pod{uid}/{}", id()),
            format!("/kubepods/pod{uid}"),
            format!("/kubelet.slice/kubepods/pod{uid}/x"),
            format!(
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{slice}.slice/x"
            ),
            format!("/kubepods.slice/kubepods-pod{slice}.slice"),
            format!(
                "/system.slice/containerd.service/kubepods-pod{slice}.slice:cri-containerd:{}",
                id()
            ),
        ];
        for path in paths {
            assert_eq!(pod(path.as_bytes()).as_deref(), Some(uid), "{path}");
        }
        let none: [&[u8]; 6] = [
            b"/",
            b"/pod1b2",
            b"/user.slice/podman-1.scope",
            b"/kubepods.slice/kubepods-burstable.slice",
            b"/kubepods/pod",
            b"/kubepods/pod\n",
        ];
        for path in none {
            assert_eq!(pod(path), None, "{}", String::from_utf8_lossy(path));
        }
    }

    #[test]
    fn the_outermost_unit_counts() {
        let cases: [(&[u8], Option<&[u8]>); 17] = [
            (b"/system.slice/geo.service", Some(b"geo.service")),
            (b"/init.scope", Some(b"init.scope")),
            (b"/system.slice/system-getty.slice/getty@tty1.service", Some(b"getty@tty1.service")),
            (b"/system.slice/geo\\x2dapi.service/worker", Some(b"geo\\x2dapi.service")),
            (b"/system.slice/geo.service/evil.service", Some(b"geo.service")),
            (b"/system.slice/containerd.service/kubepods/x.scope", Some(b"containerd.service")),
            (b"/user.slice/user-0.slice/session-1.scope", Some(b"session-1.scope")),
            (
                b"/user.slice/user-0.slice/user@0.service/app.slice/geo.service/w",
                Some(b"geo.service"),
            ),
            (b"/user.slice/user-0.slice/user@0.service/init.scope", Some(b"init.scope")),
            (b"/user.slice/user-0.slice/user@0.service", Some(b"user@0.service")),
            (b"/system.slice/_cpu.service", Some(b"cpu.service")),
            (b"/system.slice/__private.service", Some(b"_private.service")),
            (
                b"/user.slice/user-0.slice/user@0.service/app.slice/_memory.service",
                Some(b"memory.service"),
            ),
            (b"/mine/evil.service", None),
            (b"/system.slice/evil\n.service", None),
            (b"/system.slice/.service", None),
            (b"/", None),
        ];
        for (path, expected) in cases {
            assert_eq!(unit(path), expected, "{}", String::from_utf8_lossy(path));
        }
    }
}
