//! Pods of Kubernetes, as the kubelet writes them into a cgroup path. Pure.
use std::borrow::Cow;

/// A pod of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod<'a> {
    /// `metadata.uid`; of a static pod the hash of its manifest.
    pub uid: Cow<'a, str>,
    /// Its class: `guaranteed`, `burstable` or `besteffort`.
    pub qos: &'static str,
}

/// Classes that have a cgroup of their own above their pods'.
const CLASSES: [&str; 2] = ["burstable", "besteffort"];
const GUARANTEED: &str = "guaranteed";
const KUBEPODS: &str = "kubepods";
/// Letters of the longest uid that is believed to be one.
const UID: usize = 64;

/// The innermost pod of the names of a cgroup path, and the place of the name that tells it: by the kubelet's driver for
/// cgroupfs (`/kubepods/burstable/podUID`) or systemd's (`kubepods-burstable-podUID.slice`, with `_` for `-`).
pub fn in_path<'a>(names: &[&'a [u8]]) -> Option<(usize, Pod<'a>)> {
    (0..names.len()).rev().find_map(|at| {
        let name = std::str::from_utf8(names[at]).ok()?;
        if let Some(pod) = slice(name) {
            return Some((at, pod));
        }
        let uid = name.strip_prefix("pod").filter(|uid| is_uid(uid))?;
        let parent = std::str::from_utf8(names.get(at.checked_sub(1)?)?).ok()?;
        if parent == KUBEPODS {
            return Some((at, Pod { uid: Cow::Borrowed(uid), qos: GUARANTEED }));
        }
        let qos = CLASSES.into_iter().find(|class| parent == *class)?;
        let below = names.get(at.checked_sub(2)?)?;
        (*below == KUBEPODS.as_bytes()).then_some((at, Pod { uid: Cow::Borrowed(uid), qos }))
    })
}

/// Whether a cgroup may be a pod's, whatever it lies in: the uid in its name.
pub fn of_cgroup(name: &str) -> Option<Cow<'_, str>> {
    let by_cgroupfs = || name.strip_prefix("pod").filter(|uid| is_uid(uid)).map(Cow::Borrowed);
    slice(name).map(|pod| pod.uid).or_else(by_cgroupfs)
}

/// `kubepods-burstable-podUID.slice`, where the kubelet was given a root of its own (kind's `/kubelet`) with that in
/// front, and where the runtime's driver is cgroupfs' with `:RUNTIME:ID` behind.
fn slice(name: &str) -> Option<Pod<'_>> {
    let stem = match name.split_once(':') {
        Some((place, _)) => place.strip_suffix(".slice").unwrap_or(place),
        None => name.strip_suffix(".slice")?,
    };
    let at = stem.match_indices(KUBEPODS).map(|(at, _)| at);
    let at = at.into_iter().find(|at| *at == 0 || stem[..*at].ends_with('-'))?;
    let rest = stem[at + KUBEPODS.len()..].strip_prefix('-')?;
    let class = CLASSES
        .into_iter()
        .find_map(|class| Some((class, rest.strip_prefix(class)?.strip_prefix("-pod")?)));
    let (qos, uid) = class.or_else(|| Some((GUARANTEED, rest.strip_prefix("pod")?)))?;
    is_uid(uid).then(|| Pod { uid: Cow::Owned(uid.replace('_', "-")), qos })
}

/// The uid, or the start of one, in what people copy: of a cgroup, of a directory of volumes or logs, or itself.
pub fn copied(text: &str) -> Cow<'_, str> {
    let found = of_cgroup(text).filter(|uid| uid.len() >= SHORTEST);
    let text = found.unwrap_or(Cow::Borrowed(text));
    let is_start =
        text.len() >= SHORTEST && text.bytes().all(|b| b.is_ascii_hexdigit() || b"-_".contains(&b));
    match is_start {
        true => Cow::Owned(text.to_ascii_lowercase().replace('_', "-")),
        false => text,
    }
}

/// As much of a uid as is taken for one: what stands before its first dash.
pub const SHORTEST: usize = 8;

/// Whether it is a whole uid, or of a static pod the digest of its manifest, rather than a name.
pub fn is_whole(text: &str) -> bool {
    matches!(text.len(), 32 | 36) && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

fn is_uid(text: &str) -> bool {
    (1..=UID).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_is_taken_as_it_was_copied() {
        let uid = "12345678-9abc-def0-1234-56789abcdef0";
        let slice = uid.replace('-', "_");
        let forms = [
            uid.to_owned(),
            slice.clone(),
            uid.to_uppercase(),
            format!("pod{uid}"),
            format!("kubepods-burstable-pod{slice}.slice"),
        ];
        for form in forms {
            assert_eq!(copied(&form), uid, "{form}");
        }
        assert_eq!(copied("12345678_9"), "12345678-9");
        assert_eq!(
            [copied("geo-api-7d9f"), copied("pod-7"), copied("")],
            ["geo-api-7d9f", "pod-7", ""]
        );
    }
}
