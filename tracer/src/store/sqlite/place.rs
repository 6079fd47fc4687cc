//! How a history names the cgroup of an incident: by its path, and, where that does not say which container it is, by what
//! the container and its pod are called as well. `/` in a cgroup namespace and containerd's `/default/web` are the paths of
//! many containers, on one host and on several; what is found by the cgroup would be found of all of them. Pure.
use crate::{
    contract::{Process, Untrusted},
    model::container::{container, is_id},
};

/// Stands behind the path: no path has it.
const END: u8 = 0;

/// What the cgroup of a process is called in a history.
pub fn of(process: &Process) -> Option<Vec<u8>> {
    let path = &process.cgroup.as_ref()?.0;
    let mut text = path_of(path).to_vec();
    // An id of 64 digits is no other container's, on whatever host.
    if container(path).is_some_and(|found| is_id(&found.id)) {
        return Some(text);
    }
    let (container, pod) = (process.container.as_ref(), process.pod.as_ref());
    let bytes = |name: &Option<Untrusted>| name.as_ref().map(|name| name.0.clone());
    let names = [
        container.map(|container| container.id.as_bytes().to_vec()),
        container.and_then(|container| bytes(&container.name)),
        container.and_then(|container| bytes(&container.image)),
        pod.map(|pod| pod.uid.as_bytes().to_vec()),
        pod.and_then(|pod| bytes(&pod.name)),
        pod.and_then(|pod| bytes(&pod.namespace)),
    ];
    if names.iter().any(Option::is_some) {
        for name in names {
            text.push(END);
            text.extend(name.unwrap_or_default());
        }
    }
    Some(text)
}

/// The path in it.
pub fn path_of(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == END).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contract::{Container, Pod, samples::incident},
        model::cause::CauseKind,
    };

    #[test]
    fn who_shares_a_path_only_is_told_apart() {
        let process = |path: &str, id: &str, pod: Option<&str>| {
            let mut process = incident(CauseKind::Sent, 7).victim;
            process.cgroup = Some(Untrusted(path.as_bytes().to_vec()));
            let (runtime, name, image) = (None, None, None);
            process.container =
                (!id.is_empty()).then(|| Container { id: id.into(), runtime, name, image });
            process.pod =
                pod.map(|uid| Pod { uid: uid.into(), qos: None, name: None, namespace: None });
            of(&process).expect("a cgroup")
        };
        let id = "0123456789abcdef".repeat(4);
        let inside = format!("/docker/{id}");
        assert_eq!(process(&inside, &id, Some("a")), inside.as_bytes());
        assert_eq!(process("/", "", None), b"/");
        let all = [
            process("/", "", None),
            process("/", &id, None),
            process("/", "b", None),
            process("/", "", Some("b")),
            process("/", "b", Some("b")),
        ];
        for (at, one) in all.iter().enumerate() {
            assert_eq!(path_of(one), b"/");
            assert!(!all[..at].contains(one), "{}", one.escape_ascii());
        }
    }
}
