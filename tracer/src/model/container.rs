//! Containers, as runtimes write them into a cgroup path, by their cgroupfs driver or by systemd's. Pure.
use std::borrow::Cow;

use crate::model::{
    cgroup,
    pod::{self, Pod},
};

/// A container, as its runtime names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container<'a> {
    /// 64 hex digits; of LXC and systemd-nspawn the name.
    pub id: Cow<'a, str>,
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
/// Directories of the root in which somebody has docker, or containerd by its namespaces, put its containers: GitHub's
/// runner (`--cgroup-parent`), Azure's, and `ctr` and `nerdctl` with the cgroupfs driver.
const PARENTS: [(&str, Option<&str>); 4] = [
    ("actions_job", Some("docker")),
    ("azpl_job", Some("docker")),
    ("default", Some("containerd")),
    ("k8s.io", Some("containerd")),
];
const LXC: &str = "lxc";
const NSPAWN: &str = "systemd-nspawn";
/// How podman calls the slice of a pod, behind the name of the slice above it.
const PODMAN_POD: &str = "libpod_pod_";
/// What container runtimes show of an id.
pub const SHORT: usize = 12;
/// Digits of an id.
const ID: usize = 64;
/// Letters of a name that are believed to be one (HOST_NAME_MAX, and a project of LXD in front).
const NAME: usize = 128;

/// The container a cgroup path belongs to; of nested ones the innermost. Only where runtimes put theirs: whoever
/// may make cgroups of his own can give them any name.
pub fn container(cgroup: &[u8]) -> Option<Container<'_>> {
    nested(&names(cgroup)).pop().map(|(_, container)| container)
}

/// What a runtime or the kubelet of this very host may have made a cgroup for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject<'a> {
    /// Of its cgroup. What lies below is made by whoever is root in it.
    pub path: &'a [u8],
    /// Its id; `None` of a pod.
    pub id: Option<Cow<'a, str>>,
    pub runtime: Option<&'static str>,
    /// Whether the path alone says that it is one.
    pub certain: bool,
    /// The uid of the pod that it is, or is in.
    pub pod: Option<Cow<'a, str>>,
}

/// The outermost container of a path, or what only its runtime knows whether it is one: an id elsewhere, or a name in a
/// namespace of containerd (`/default/web`); or else the pod.
pub fn subject(cgroup: &[u8]) -> Option<Subject<'_>> {
    // A user gives names there, those of somebody else's containers, too.
    if cgroup::is_of_user(cgroup) {
        return None;
    }
    let names = names(cgroup);
    let of = |at: usize, id, runtime, certain| {
        let pod = pod::in_path(&names[..=at]).map(|(_, pod)| pod.uid);
        Subject { path: &cgroup[..len_of(&names[..=at])], id, runtime, certain, pod }
    };
    if let Some((at, found)) = nested(&names).into_iter().next() {
        return Some(of(at, Some(found.id), found.runtime, true));
    }
    if let Some((at, _)) = pod::in_path(&names) {
        return Some(of(at, None, None, true));
    }
    let at = (0..names.len()).find(|at| is_possible(&names[..=*at]));
    let runtime = at.is_none().then_some("containerd");
    let at = at.or_else(|| is_in_namespace(&names).then_some(2))?;
    let id = std::str::from_utf8(names[at]).ok()?;
    Some(of(at, Some(Cow::Borrowed(id)), runtime, false))
}

/// `/NAMESPACE/NAME`, as containerd has it if nothing else is asked for (runtime-spec's cgroupsPath).
fn is_in_namespace(names: &[&[u8]]) -> bool {
    let ["", namespace, name, ..] =
        names.iter().map(|name| std::str::from_utf8(name).unwrap_or("/")).collect::<Vec<_>>()[..]
    else {
        return false;
    };
    let plain = |name: &str| {
        is_name(name) && !cgroup::is_slice(name.as_bytes()) && !cgroup::is_unit(name.as_bytes())
    };
    plain(namespace) && plain(name)
}

/// The pod a cgroup path belongs to: what the innermost container makes below itself is no pod, nor is what a user's own
/// service manager does.
pub fn pod(cgroup: &[u8]) -> Option<Pod<'_>> {
    if cgroup::is_of_user(cgroup) {
        return None;
    }
    let names = names(cgroup);
    let end = nested(&names).pop().map_or(names.len(), |(at, _)| at + 1);
    pod::in_path(&names[..end]).map(|(_, pod)| pod)
}

/// Whether this can be what people copy of an id.
pub fn is_id_start(text: &str) -> bool {
    (1..=ID).contains(&text.len()) && text.bytes().all(is_digit)
}

/// Whether these are all digits of an id.
pub fn is_id(text: &str) -> bool {
    text.len() == ID && text.bytes().all(is_digit)
}

/// The id, or the start of it, in what people copy: `containerd://ID` as kubectl prints it, `docker-ID.scope` as systemd
/// does, or itself; or else a name.
pub fn copied(text: &str) -> Cow<'_, str> {
    let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
    let last = bare.trim_end_matches('/').rsplit('/').next().unwrap_or(bare);
    let lower = last.to_ascii_lowercase();
    let stem = lower.strip_suffix(".scope").unwrap_or(&lower);
    match of_runtime(stem) {
        Some((id, _)) => Cow::Owned(id.to_owned()),
        None if is_id_start(&lower) => Cow::Owned(lower),
        None => Cow::Borrowed(last),
    }
}

/// What stays while a container is replaced by its next run: the pod's cgroup, or, where containers keep
/// their id (docker), its own. `None` outside containers.
pub fn place(cgroup: &[u8]) -> Option<&[u8]> {
    let names = names(cgroup);
    let found = nested(&names).pop().map(|(at, _)| at);
    let at = found.or_else(|| (0..names.len()).rfind(|at| is_possible(&names[..=*at])))?;
    let parent = std::str::from_utf8(names.get(at.checked_sub(1)?)?).unwrap_or_default();
    let is_pod = is_podman_pod(parent) || pod::of_cgroup(parent).is_some();
    Some(if is_pod { &cgroup[..len_of(&names[..at])] } else { cgroup })
}

/// `machine-libpod_pod_ID.slice` below `machine.slice`, `user-…` of a user's own (podman, libpod/util_linux.go
/// assembleSystemdCgroupName).
fn is_podman_pod(name: &str) -> bool {
    name.split_once(PODMAN_POD).is_some_and(|(slice, _)| slice.is_empty() || slice.ends_with('-'))
}

fn names(cgroup: &[u8]) -> Vec<&[u8]> {
    cgroup.split(|b| *b == b'/').collect()
}

/// Bytes of a path of these names, the first of which is empty.
fn len_of(names: &[&[u8]]) -> usize {
    names.iter().map(|name| name.len() + 1).sum::<usize>().saturating_sub(1)
}

/// All containers that a path runs through, outermost first, with the place of the name that tells each.
fn nested<'a>(names: &[&'a [u8]]) -> Vec<(usize, Container<'a>)> {
    let mut found: Vec<(usize, Container<'a>)> = Vec::new();
    for at in 0..names.len() {
        let outer = found.last().map(|(_, outer)| outer.runtime);
        found.extend(named(&names[..=at], outer).map(|container| (at, container)));
    }
    found
}

/// The container that a cgroup is called after, given the names down to it, and the runtime of the container around it.
fn named<'a>(names: &[&'a [u8]], outer: Option<Option<&'static str>>) -> Option<Container<'a>> {
    let (name, above) = names.split_last()?;
    let name = std::str::from_utf8(name).ok()?;
    let parent = std::str::from_utf8(above.last().copied().unwrap_or_default()).ok()?;
    let of = |id: &'a str, runtime| Some(Container { id: Cow::Borrowed(id), runtime });
    let stem = name.strip_suffix(".scope").unwrap_or(name);
    // Where the runtime was given systemd's form and its driver is cgroupfs': `SLICE:cri-containerd:ID`, of a pod also without
    // the end of the slice.
    if let Some((place, id)) = stem.rsplit_once(':').filter(|(_, id)| is_id(id)) {
        let (slice, mark) = place.rsplit_once(':')?;
        let (_, runtime) = RUNTIMES.iter().find(|(known, _)| *known == mark)?;
        let is_slice = slice.ends_with(".slice") || pod::of_cgroup(name).is_some();
        return is_slice.then(|| of(id, Some(*runtime)))?;
    }
    if let Some((id, runtime)) = of_runtime(stem) {
        return of(id, Some(runtime));
    }
    if is_id(name) {
        return directory(parent, above).and_then(|runtime| of(name, runtime));
    }
    if is_fargate(name, above) {
        return of(name, None);
    }
    // `/lxc/NAME` before LXC 4; both also in another one.
    let inside = outer == Some(Some(LXC));
    let below = [LXC, "lxc.payload"].contains(&parent) && (above.len() == 2 || inside);
    let payload = name.strip_prefix("lxc.payload.").filter(|_| outer.is_none() || inside);
    if let Some(id) = payload.or(below.then_some(name)) {
        return is_name(id).then(|| of(id, Some(LXC)))?;
    }
    let id = machine(parent, name).filter(|id| is_name(id))?;
    Some(Container { id, runtime: Some(NSPAWN) })
}

/// `docker-ID`
fn of_runtime(stem: &str) -> Option<(&str, &'static str)> {
    RUNTIMES.iter().find_map(|(mark, runtime)| {
        let id = stem.strip_prefix(mark)?.strip_prefix('-')?;
        is_id(id).then_some((id, *runtime))
    })
}

/// Amazon's Fargate: `/ecs/TASK/TASK-NUMBER`.
fn is_fargate(name: &str, above: &[&[u8]]) -> bool {
    let [_, b"ecs", task] = above else { return false };
    let number = name.as_bytes().strip_prefix(*task).and_then(|rest| rest.strip_prefix(b"-"));
    let is_task = task.len() == 32 && task.iter().all(|b| is_digit(*b));
    is_task && number.is_some_and(|text| !text.is_empty() && text.iter().all(u8::is_ascii_digit))
}

/// Whether a directory holds containers that are called by nothing but their id, and whose.
fn directory(parent: &str, above: &[&[u8]]) -> Option<Option<&'static str>> {
    if let Some((_, runtime)) = RUNTIMES.iter().find(|(mark, _)| parent == *mark) {
        return Some(Some(*runtime));
    }
    if pod::in_path(above).is_some_and(|(at, _)| at + 1 == above.len()) {
        return Some(None);
    }
    match above {
        // Amazon's agent runs docker: `/ecs/TASK/ID`.
        [_, b"ecs", _] => Some(None),
        [_, _] => PARENTS.iter().find(|(known, _)| parent == *known).map(|(_, runtime)| *runtime),
        _ => None,
    }
}

/// The machine that systemd-nspawn runs in a cgroup of this name below its unit's: `payload`, or, before systemd 239,
/// what its own systemd makes. Itself it is in `supervisor`. Other machines are libvirt's.
fn machine<'a>(unit: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let escaped = match unit.strip_prefix("systemd-nspawn@") {
        Some(rest) => rest.strip_suffix(".service")?,
        None => unit.strip_prefix("machine-")?.strip_suffix(".scope")?,
    };
    let inside = ["payload", "init.scope", "system.slice", "user.slice", "machine.slice"];
    let foreign = ["qemu\\x2d", "lxc\\x2d"].iter().any(|mark| escaped.starts_with(mark));
    (inside.contains(&name) && !foreign).then(|| unescaped(escaped))
}

/// A name as systemd escapes it (unit_name_escape): `\x2d` is a `-`.
fn unescaped(name: &str) -> Cow<'_, str> {
    match name.contains("\\x2d") {
        true => Cow::Owned(name.replace("\\x2d", "-")),
        false => Cow::Borrowed(name),
    }
}

fn is_name(text: &str) -> bool {
    (1..=NAME).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && !text.starts_with('.')
}

/// Whether these names end in an id that only root can have made: nobody else makes cgroups outside of what systemd
/// manages, and inside of a container somebody else is root.
fn is_possible(names: &[&[u8]]) -> bool {
    let Some((name, above)) = names.split_last() else { return false };
    let inside = |name: &&[u8]| {
        let text = std::str::from_utf8(name).unwrap_or_default();
        cgroup::is_slice(name)
            || cgroup::is_unit(name)
            || is_id(text)
            || pod::of_cgroup(text).is_some()
            || text.starts_with(LXC)
    };
    std::str::from_utf8(name).is_ok_and(is_id) && above.len() > 1 && !above.iter().any(inside)
}

fn is_digit(b: u8) -> bool {
    matches!(b, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;
    fn id() -> String {
        "0123456789abcdef".repeat(4)
    }

    fn told(path: &str) -> Option<String> {
        container(path.as_bytes()).map(|found| found.id.into_owned())
    }

    const UID: &str = "12345678-9abc-def0-1234-56789abcdef0";

    fn filled(form: &str) -> String {
        let path = form.replace("UID_", &UID.replace('-', "_"));
        path.replace("UID-", UID).replace("FF", &"f".repeat(64)).replace("ID", &id())
    }

    #[test]
    fn a_name_that_is_no_utf8_hides_no_container_around_it() {
        let mut path = format!("/docker/{}", id()).into_bytes();
        path.extend_from_slice(b"/\xff\n");
        assert_eq!(container(&path).map(|found| found.id.into_owned()), Some(id()));
    }

    #[test]
    fn what_a_container_makes_below_itself_is_none() {
        for form in [
            "/docker/ID/FF",
            "/kubepods/podUID-/ID/FF",
            "/docker/ID/lxc/web",
            "/docker/ID/default/FF",
        ] {
            let path = filled(form);
            assert_eq!(told(&path), Some(id()), "{path}");
        }
        let other = UID.replace('1', "2");
        let path = filled(&format!("/kubepods/podUID-/ID/kubepods/pod{other}"));
        assert_eq!(pod(path.as_bytes()).map(|pod| pod.uid.into_owned()), Some(UID.to_owned()));
    }

    #[test]
    fn the_outermost_is_the_hosts_own() {
        let path = filled("/kubepods/podUID-/ID/docker/FF/x");
        let subject = subject(path.as_bytes()).expect("two of them");
        let own = filled("/kubepods/podUID-/ID");
        assert_eq!((subject.path, subject.id.as_deref()), (own.as_bytes(), Some(&*id())));
        assert_eq!(subject.pod.as_deref(), Some(UID));
    }

    /// Whoever may make cgroups of his own can give them any name.
    #[test]
    fn a_user_makes_no_container_of_the_host() {
        let own = "/user.slice/user-1000.slice/user@1000.service";
        for form in [
            "app.slice/docker-ID.scope",
            "user.slice/libpod-ID.scope/container",
            "kubepods.slice/kubepods-podUID_.slice/cri-containerd-ID.scope",
            "kubepods/podUID-/ID",
            "default/web",
            "jobs/ID",
        ] {
            let path = filled(&format!("{own}/{form}"));
            assert_eq!((subject(path.as_bytes()), pod(path.as_bytes())), (None, None), "{path}");
        }
        // A container of that user's own it may be: podman's without root.
        let path = filled(&format!("{own}/user.slice/libpod-ID.scope/container"));
        assert_eq!(told(&path), Some(id()));
    }

    #[test]
    fn only_a_runtime_knows_what_else_is_a_container() {
        let told = |form: &str| {
            let path = filled(form);
            let found = subject(path.as_bytes())?;
            Some((found.id.map(Cow::into_owned), found.runtime, found.certain))
        };
        let maybe = |id: &str, runtime| Some((Some(id.to_owned()), runtime, false));
        assert_eq!(told("/batch/night/ID"), maybe(&id(), None));
        assert_eq!(told("/jobs/ID/worker"), maybe(&id(), None));
        assert_eq!(told("/default/web/x"), maybe("web", Some("containerd")));
        assert_eq!(told("/docker/ID"), Some((Some(id()), Some("docker"), true)));
        assert_eq!(told("/kubepods/podUID-/x"), Some((None, None, true)));
        for form in [
            "/",
            "/ID",
            "/user.slice/jobs/ID",
            "/lxc.monitor.web",
            "/jobs",
            "/system.slice/geo.service",
        ] {
            assert_eq!(told(form), None, "{form}");
        }
    }

    #[test]
    fn a_pod_outlives_its_containers() {
        let cases = [
            (
                "/kubepods.slice/kubepods-podUID_.slice/cri-containerd-ID.scope",
                "/kubepods.slice/kubepods-podUID_.slice",
            ),
            (
                "/kubepods.slice/kubepods-podUID_.slice/crio-ID.scope/container",
                "/kubepods.slice/kubepods-podUID_.slice",
            ),
            (
                "/machine.slice/machine-libpod_pod_FF.slice/libpod-ID.scope/container",
                "/machine.slice/machine-libpod_pod_FF.slice",
            ),
            ("/tripod/ID", "/tripod/ID"),
            ("/system.slice/docker-ID.scope", "/system.slice/docker-ID.scope"),
        ];
        for (path, expected) in cases.map(|(path, expected)| (filled(path), filled(expected))) {
            assert_eq!(place(path.as_bytes()), Some(expected.as_bytes()), "{path}");
        }
        assert_eq!(place(b"/system.slice/geo.service"), None);
    }

    #[test]
    fn a_pod_is_called_by_its_uid() {
        let cases = [
            ("/kubepods/burstable/podUID-/ID", "burstable"),
            ("/kubepods/podUID-", "guaranteed"),
            ("/kubelet/kubepods/besteffort/podUID-/ID", "besteffort"),
            (
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID_.slice/x",
                "burstable",
            ),
            ("/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podUID_.slice", "guaranteed"),
            (
                "/system.slice/containerd.service/kubepods-podUID_.slice:cri-containerd:ID",
                "guaranteed",
            ),
            ("/docker/FF/kubelet/kubepods/podUID-/ID", "guaranteed"),
        ];
        for (form, qos) in cases {
            let path = filled(form);
            let expected = Pod { uid: UID.into(), qos };
            assert_eq!(pod(path.as_bytes()), Some(expected), "{path}");
        }
        let none = [
            "/",
            "/pod1b2",
            "/user.slice/podman-1.scope",
            "/kubepods.slice/kubepods-burstable.slice",
            "/kubepods/pod",
            "/kubepods/pod\n",
            "/kubepods/other/podUID-",
            "/xkubepods-podUID_.slice",
            "/kubepods-podUID_.slice.x",
        ];
        for path in none {
            assert_eq!(pod(filled(path).as_bytes()), None, "{path}");
        }
    }

    #[test]
    fn an_id_is_taken_as_it_was_copied() {
        let forms = [
            "ID",
            "containerd://ID",
            "docker://ID",
            "cri-o://ID",
            "docker-ID.scope",
            "cri-containerd-ID.scope",
            "crio-ID",
            "/docker/ID",
            "/machine.slice/libpod-ID.scope",
        ];
        for form in forms {
            assert_eq!(copied(&filled(form)), id(), "{form}");
        }
        assert_eq!(copied("0123ABCD4567"), "0123abcd4567");
        assert_eq!([copied("/web"), copied("web-*"), copied("")], ["web", "web-*", ""]);
    }
}
