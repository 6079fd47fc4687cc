//! What a container and its pod are called. Pure.
use serde::{Deserialize, Serialize};

use crate::{
    model::{
        Bytes,
        container::{container, pod, subject},
    },
    text::base64,
};

/// What state files say of the container or the pod that a cgroup was made for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerNames {
    /// The path that its runtime, or the kubelet, made: [`crate::model::container::Subject::path`].
    #[serde(with = "base64")]
    pub cgroup: Bytes,
    /// Its id; `None` of a pod.
    pub id: Option<String>,
    /// Whose state it was.
    pub runtime: Option<String>,
    pub name: Option<String>,
    pub image: Option<String>,
    /// Of the pod around it.
    pub pod_uid: Option<String>,
    pub pod: Option<String>,
    pub namespace: Option<String>,
}

impl ContainerNames {
    /// What of it holds for a process in cgroup `path`, which may lie in a container that runs in this one, or in a pod
    /// of a cluster that does.
    #[must_use]
    pub fn within(&self, path: &[u8]) -> Self {
        let mut names = self.clone();
        let inner = container(path).map(|inner| inner.id.into_owned());
        if inner.is_some() && inner != self.id {
            (names.id, names.name, names.image, names.runtime) = (None, None, None, None);
        }
        if pod(path).map(|pod| pod.uid.into_owned()) != self.pod_uid {
            (names.pod, names.namespace) = (None, None);
        }
        names
    }

    /// Takes over what was learnt later, where nothing was known.
    pub fn learn(&mut self, other: Self) {
        let Self { runtime, name, image, pod, namespace, .. } = other;
        let fields = [
            (&mut self.runtime, runtime),
            (&mut self.name, name),
            (&mut self.image, image),
            (&mut self.pod, pod),
            (&mut self.namespace, namespace),
        ];
        for (known, learnt) in fields {
            if known.is_none() {
                *known = learnt;
            }
        }
    }

    /// Whether it says anything.
    pub fn any(&self) -> bool {
        [&self.name, &self.image, &self.pod, &self.namespace].iter().any(|name| name.is_some())
    }

    /// Whether it can be of its cgroup, as a stream tells it.
    pub fn is_sound(&self) -> bool {
        let whole = subject(&self.cgroup).is_some_and(|subject| subject.path == self.cgroup);
        let texts = [&self.id, &self.runtime, &self.name, &self.image, &self.pod_uid];
        let texts = texts.into_iter().chain([&self.pod, &self.namespace]);
        whole && texts.flatten().all(|text| is_word(text))
    }
}

/// Bytes of the longest name that is believed to be one: images have digests of 64 digits behind theirs.
const NAME: usize = 512;

/// Whether somebody can have called something so.
pub fn is_word(text: &str) -> bool {
    let plain = |c: char| !c.is_control() && !c.is_whitespace();
    (1..=NAME).contains(&text.len()) && text.chars().all(plain)
}
