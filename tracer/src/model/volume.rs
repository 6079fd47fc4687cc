//! Volumes of containers, by where the kubelet, docker and podman keep them on the host. Pure.

/// A volume that a file is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume<'a> {
    /// The kubelet's plugin (`empty-dir`, `csi`, `nfs`, …), `docker` or `podman`; or `host-path`.
    pub kind: &'a [u8],
    /// As the pod calls it, or the volume if it is persistent (`pvc-…`); of a directory of the host its path.
    pub name: &'a [u8],
}

const HOST_PATH: &[u8] = b"host-path";

/// The volume of a file that is `outside` on the host, and at `inside` in a container, where `point` is mounted.
pub fn volume<'a>(outside: &'a [u8], inside: Option<(&[u8], &[u8])>) -> Option<Volume<'a>> {
    let names: Vec<&[u8]> = outside.split(|b| *b == b'/').collect();
    names.windows(5).find_map(by_directory).or_else(|| mounted(outside, inside?))
}

/// By five names of its path in a row.
fn by_directory<'a>(names: &[&'a [u8]]) -> Option<Volume<'a>> {
    match *names {
        // pkg/kubelet/kubelet_getters.go: `pods/UID/volumes/kubernetes.io~PLUGIN/NAME`.
        [b"pods", _, b"volumes", plugin, name] => {
            let kind = plugin.strip_prefix(b"kubernetes.io~")?;
            Some(Volume { kind, name })
        }
        // Of a part of one (subPath) it is bound to `pods/UID/volume-subpaths/NAME/CONTAINER/INDEX`.
        [b"pods", _, b"volume-subpaths", name, _] => Some(Volume { kind: b"sub-path", name }),
        [b"lib", b"docker", b"volumes", name, b"_data"] => Some(Volume { kind: b"docker", name }),
        [_, b"storage", b"volumes", name, b"_data"] => Some(Volume { kind: b"podman", name }),
        // Where a persistent volume is mounted once for all pods: `csi/pv/NAME/globalmount` before 1.24.
        [b"kubernetes.io", b"csi", b"pv", name, b"globalmount"] => {
            Some(Volume { kind: b"csi", name })
        }
        _ => None,
    }
}

/// A directory of the host that is mounted in a container: what is before the part that both paths have.
fn mounted<'a>(outside: &'a [u8], (inside, point): (&[u8], &[u8])) -> Option<Volume<'a>> {
    let below = inside.strip_prefix(point).filter(|_| point != b"/")?;
    let name = outside.strip_suffix(below).filter(|name| !name.is_empty())?;
    // What is not mounted on the host is seen by way of a process.
    if name.starts_with(b"/proc/") {
        return None;
    }
    let whole = below.is_empty() || below.starts_with(b"/");
    whole.then_some(Volume { kind: HOST_PATH, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(outside: &str, inside: Option<(&str, &str)>) -> Option<(String, String)> {
        let inside = inside.map(|(path, point)| (path.as_bytes(), point.as_bytes()));
        let Volume { kind, name } = volume(outside.as_bytes(), inside)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some((text(kind), text(name)))
    }

    #[test]
    fn volumes_are_called_as_their_pods_call_them() {
        let pods = "/var/lib/kubelet/pods/12345678-9abc-def0-1234-56789abcdef0";
        let cases = [
            (format!("{pods}/volumes/kubernetes.io~empty-dir/cache/geo.db"), "empty-dir", "cache"),
            (format!("{pods}/volumes/kubernetes.io~csi/pvc-7d9f/mount/geo.db"), "csi", "pvc-7d9f"),
            (format!("{pods}/volumes/kubernetes.io~nfs/data/a/b"), "nfs", "data"),
            (format!("{pods}/volume-subpaths/data/api/0"), "sub-path", "data"),
            ("/mnt/disk/kubelet/pods/9/volumes/kubernetes.io~secret/tls/x".into(), "secret", "tls"),
            ("/var/lib/docker/volumes/geo/_data/x".into(), "docker", "geo"),
            ("/var/lib/containers/storage/volumes/geo/_data/x".into(), "podman", "geo"),
            (
                "/var/lib/kubelet/plugins/kubernetes.io/csi/pv/pvc-7d9f/globalmount/x".into(),
                "csi",
                "pvc-7d9f",
            ),
        ];
        for (path, kind, name) in cases {
            let expected = Some((kind.to_owned(), name.to_owned()));
            assert_eq!(named(&path, Some(("/data/x", "/data"))), expected, "{path}");
        }
    }

    #[test]
    fn a_directory_of_the_host_is_called_by_its_path() {
        let host = |name: &str| Some(("host-path".to_owned(), name.to_owned()));
        assert_eq!(named("/srv/geo/a/x", Some(("/data/a/x", "/data"))), host("/srv/geo"));
        assert_eq!(
            named("/srv/geo.db", Some(("/data/geo.db", "/data/geo.db"))),
            host("/srv/geo.db")
        );
        for (outside, inside) in [
            ("/srv/geo/x", None),
            ("/var/lib/docker/overlay2/7/merged/app/x", Some(("/app/x", "/"))),
            ("/srv/geo/y", Some(("/data/x", "/data"))),
            ("/x", Some(("/data/x", "/data"))),
            ("/srv/datax", Some(("/datax", "/data"))),
            ("", Some(("", ""))),
            ("/proc/7/root/dev/shm/x", Some(("/dev/shm/x", "/dev/shm"))),
        ] {
            assert_eq!(named(outside, inside), None, "{outside}");
        }
        assert_eq!(named("/srv/pods/7/volumes/x/y", None), None);
    }
}
