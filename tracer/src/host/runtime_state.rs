//! State files of container runtimes, and the names that the kubelet gives to logs. Pure: parsers of bytes.
use std::collections::HashMap;

use serde::{Deserialize, de::DeserializeOwned};

use crate::model::container::is_id;

/// What one state file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub name: Option<String>,
    pub image: Option<String>,
    pub pod_uid: Option<String>,
    pub pod: Option<String>,
    pub namespace: Option<String>,
}

fn json<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}

/// The names that an engine of Kubernetes leaves to others, which its containers carry as labels or annotations.
fn kubernetes(of: &HashMap<String, String>) -> Found {
    let get = |key: &str| of.get(key).cloned();
    Found {
        name: get("io.kubernetes.container.name"),
        image: None,
        pod_uid: get("io.kubernetes.pod.uid"),
        pod: get("io.kubernetes.pod.name"),
        namespace: get("io.kubernetes.pod.namespace"),
    }
}

/// docker's `config.v2.json` (moby, container/container.go).
pub fn docker(bytes: &[u8], id: &str) -> Option<Found> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Container {
        #[serde(rename = "ID")]
        id: String,
        name: String,
        config: Config,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Config {
        image: Option<String>,
        labels: Option<HashMap<String, String>>,
    }
    let Container { id: of, name, config } = json(bytes)?;
    let found = kubernetes(&config.labels.unwrap_or_default());
    let name = found.name.or_else(|| Some(name.strip_prefix('/').unwrap_or(&name).to_owned()));
    (of == id).then_some(Found { name, image: config.image, ..found })
}

/// What the runtime specification calls `config.json`.
#[derive(Deserialize)]
struct Bundle {
    annotations: Option<HashMap<String, String>>,
    linux: Option<Linux>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Linux {
    cgroups_path: Option<String>,
}

/// containerd's bundle: its CRI plugin says by annotations what it is (containerd, pkg/cri/annotations), nerdctl by
/// labels of its own.
pub fn containerd(bytes: &[u8], id: &str, cgroup: &[u8]) -> Option<Found> {
    let Bundle { annotations, linux } = json(bytes)?;
    let asked = linux?.cgroups_path?;
    // The bundle is in a directory of the container's id, which another namespace may have given as well.
    let own = asked.as_bytes() == cgroup || is_id(id) && asked.ends_with(id);
    let of = annotations.unwrap_or_default();
    let get = |key: &str| of.get(key).cloned();
    let cri = |key: &str| get(&format!("io.kubernetes.cri.{key}"));
    let plain = || (!is_id(id)).then(|| id.to_owned());
    own.then(|| Found {
        name: cri("container-name").or_else(|| get("nerdctl/name")).or_else(plain),
        image: cri("image-name"),
        pod_uid: cri("sandbox-uid"),
        pod: cri("sandbox-name"),
        namespace: cri("sandbox-namespace"),
    })
}

/// CRI-O's bundle (cri-o, pkg/annotations).
pub fn cri_o(bytes: &[u8], id: &str) -> Option<Found> {
    let of = json::<Bundle>(bytes)?.annotations?;
    let get = |key: &str| of.get(key).cloned();
    (of.get("io.kubernetes.cri-o.ContainerID").map(String::as_str) == Some(id)).then(|| Found {
        image: get("io.kubernetes.cri-o.ImageName").or_else(|| get("io.kubernetes.cri-o.Image")),
        ..kubernetes(&of)
    })
}

/// A list of containers/storage (containers.go), with what podman keeps there of its own (libpod/storage.go).
pub fn podman(bytes: &[u8], id: &str) -> Option<Found> {
    #[derive(Deserialize)]
    struct Container {
        id: String,
        names: Option<Vec<String>>,
        metadata: Option<String>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Metadata {
        image_name: Option<String>,
        name: Option<String>,
    }
    let list: Vec<Container> = json(bytes)?;
    let Container { names, metadata, .. } = list.into_iter().find(|one| one.id == id)?;
    let metadata = metadata.and_then(|text| json::<Metadata>(text.as_bytes()));
    let (image, name) = metadata.map(|of| (of.image_name, of.name)).unwrap_or_default();
    let name = name.or_else(|| names?.into_iter().next());
    Some(Found { name, image, ..Found::default() })
}

/// `NAMESPACE_POD_UID`; neither a namespace nor a pod can have a `_`.
pub fn logs_of(directory: &str, uid: &str) -> Option<(String, String)> {
    let (namespace, pod) = directory.strip_suffix(uid)?.strip_suffix('_')?.split_once('_')?;
    (is_label(namespace) && is_label(pod)).then(|| (namespace.to_owned(), pod.to_owned()))
}

/// `POD_NAMESPACE_CONTAINER-ID.log`
pub fn linked(link: &str, id: &str, pod: &str) -> Option<String> {
    let rest = link.strip_suffix(".log")?.strip_suffix(id)?.strip_suffix('-')?;
    let (_, name) = rest.strip_prefix(pod)?.strip_prefix('_')?.split_once('_')?;
    is_label(name).then(|| name.to_owned())
}

/// A name of Kubernetes (RFC 1123, apimachinery's validation).
fn is_label(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
    (1..=253).contains(&text.len()) && text.bytes().all(plain)
}
