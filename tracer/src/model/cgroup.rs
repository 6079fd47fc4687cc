//! Cgroups, and units as systemd writes them into a cgroup path. Pure.
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

/// The systemd unit a cgroup path belongs to: the outermost one below slices, as systemd has it
/// (src/basic/cgroup-util.c cg_path_get_unit); what a service makes inside of its own cgroup is no unit, whatever it
/// is called. Of what a user's own manager runs it is the user's unit (cg_path_get_user_unit).
pub fn unit(cgroup: &[u8]) -> Option<&[u8]> {
    let mut names = below_slices(cgroup);
    let outer = names.next().filter(|name| is_unit(name))?;
    if !is_user_manager(outer) {
        return Some(outer);
    }
    let inner = names.next().filter(|name| is_unit(name));
    Some(inner.unwrap_or(outer))
}

/// Whether a user's own manager runs what is in it: that user gives the names there.
pub fn is_of_user(cgroup: &[u8]) -> bool {
    below_slices(cgroup).next().is_some_and(is_user_manager)
}

/// The same, if it is a service that the host's own manager runs: no user gave its name.
pub fn service(cgroup: &[u8]) -> Option<&str> {
    let unit = unit(cgroup).filter(|unit| unit.ends_with(b".service"));
    std::str::from_utf8(unit.filter(|_| !is_of_user(cgroup))?).ok()
}

/// The user whose slice a path lies in: logind puts there who has logged in as that user, and nobody else can.
pub fn slice_of_user(cgroup: &[u8]) -> Option<u32> {
    let inside = cgroup.strip_prefix(b"/user.slice/user-")?;
    let end = inside.windows(7).position(|part| part == b".slice/")?;
    std::str::from_utf8(&inside[..end]).ok()?.parse().ok()
}

/// The names of a path that are not slices, outermost first.
fn below_slices(cgroup: &[u8]) -> impl Iterator<Item = &[u8]> {
    // systemd puts `_` before a name that could be taken for a file of the kernel's, as `cpu.service` could
    // (cg_escape), and before one that begins so itself.
    let names = cgroup.split(|b| *b == b'/').filter(|name| !name.is_empty());
    names.map(|name| name.strip_prefix(b"_").unwrap_or(name)).filter(|name| !is_slice(name))
}

/// `user@1000.service`
fn is_user_manager(unit: &[u8]) -> bool {
    unit.starts_with(b"user@") && unit.ends_with(b".service")
}

/// The unit whose very own cgroup this is, a slice too: what has its limits.
pub fn unit_of_limits(cgroup: &[u8]) -> Option<&[u8]> {
    let name = cgroup.rsplit(|b| *b == b'/').next()?;
    let name = name.strip_prefix(b"_").unwrap_or(name);
    (is_slice(name) || unit(cgroup) == Some(name)).then_some(name)
}

/// Whether systemd calls a slice so.
pub fn is_slice(name: &[u8]) -> bool {
    name.ends_with(b".slice") && name.len() > b".slice".len()
}

/// Whether systemd calls so what it runs processes in.
pub fn is_unit(name: &[u8]) -> bool {
    const KINDS: [&[u8]; 5] = [b".service", b".scope", b".socket", b".mount", b".swap"];
    KINDS.iter().any(|kind| name.ends_with(kind) && name.len() > kind.len())
        && name.iter().all(|b| b.is_ascii_alphanumeric() || b":-_.\\@".contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_slice_it_is() {
        let of = |path: &str| slice_of_user(path.as_bytes());
        assert_eq!(of("/user.slice/user-1000.slice/session-3.scope"), Some(1000));
        assert_eq!(of("/user.slice/user-0.slice/user@0.service/app.slice"), Some(0));
        for path in [
            "/",
            "/user.slice/user-1000.slice",
            "/user.slice/user-x.slice/a",
            "/user.slice/user-1000-x.slice/a",
            "/system.slice/docker.service/user.slice/user-1000.slice/a",
            "/user.slice/user-",
        ] {
            assert_eq!(of(path), None, "{path}");
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
