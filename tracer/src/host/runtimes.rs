//! What container runtimes and the kubelet of this host have written down of a container. Nobody is called, and what is
//! not understood, or is of another container, says nothing.
use std::path::{Path, PathBuf};

use crate::{
    host::{
        bolt,
        runtime_state::{Found, containerd, cri_o, docker, linked, logs_of, podman},
        state_file::Directory,
    },
    model::{
        container::{Subject, is_id},
        names::{ContainerNames, is_word},
    },
};

/// Where docker has its containers: Debian's, and Ubuntu's snap.
const DOCKER: [&str; 2] =
    ["var/lib/docker/containers", "var/snap/docker/common/var-lib-docker/containers"];
/// Where containerd has its tasks, by namespace: its own, k3s' and RKE2's, MicroK8s', and the one that docker starts.
const CONTAINERD: [&str; 4] = [
    "run/containerd/io.containerd.runtime.v2.task",
    "run/k3s/containerd/io.containerd.runtime.v2.task",
    "var/snap/microk8s/common/run/containerd/io.containerd.runtime.v2.task",
    "run/docker/containerd/daemon/io.containerd.runtime.v2.task",
];
/// Where it keeps what it knows of containers.
const METADATA: [&str; 3] = [
    "var/lib/containerd/io.containerd.metadata.v1.bolt",
    "var/lib/rancher/k3s/agent/containerd/io.containerd.metadata.v1.bolt",
    "var/snap/microk8s/common/var/lib/containerd/io.containerd.metadata.v1.bolt",
];
/// Where podman and CRI-O have theirs (containers/storage): what lasts, and what a reboot may forget; then by the driver
/// for layers.
const STORAGE: [&str; 2] = ["run/containers/storage", "var/lib/containers/storage"];
const DRIVERS: [&str; 4] =
    ["overlay-containers", "vfs-containers", "btrfs-containers", "zfs-containers"];
/// Containers of a storage: those that last, and those of `--rm`.
const LISTS: [&str; 2] = ["containers.json", "volatile-containers.json"];
/// `NAMESPACE_POD_UID`, made by the kubelet before a pod's first container; and links called
/// `POD_NAMESPACE_CONTAINER-ID.log`.
const POD_LOGS: &str = "var/log/pods";
const CONTAINER_LOGS: &str = "var/log/containers";

/// Bytes of the largest file of one container, and of a list of all.
const ONE: u64 = 1 << 20;
const ALL: u64 = 4 << 20;
/// Names of a directory that are looked through.
const LOGS: usize = 8_192;
const NAMESPACES: usize = 64;

/// Where runtimes keep their state.
#[derive(Debug, Clone)]
pub struct Runtimes {
    root: PathBuf,
    /// Who is believed: root.
    owner: u32,
}

impl Default for Runtimes {
    fn default() -> Self {
        Self { root: PathBuf::from("/"), owner: 0 }
    }
}

impl Runtimes {
    /// Those of a host of one's own.
    #[cfg(test)]
    pub fn below(root: &Path) -> Self {
        Self { root: root.to_owned(), owner: rustix::process::getuid().as_raw() }
    }

    /// What is known of a container or a pod; `None` if nothing is.
    pub fn names(&self, subject: &Subject<'_>) -> Option<ContainerNames> {
        let id = subject.id.as_deref();
        let found = id.and_then(|id| self.container(id, subject)).filter(|(found, _)| {
            // Of another pod: what was found is not what the cgroup is of.
            found.pod_uid.as_deref().is_none_or(|uid| subject.pod.as_deref() == Some(uid))
        });
        if found.is_none() && !subject.certain {
            return None;
        }
        let (mut found, runtime) = found.unzip();
        let mut found = found.take().unwrap_or_default();
        if let Some(uid) = subject.pod.as_deref().filter(|_| found.pod.is_none()) {
            (found.namespace, found.pod) = self.pod(uid).unzip();
        }
        if let Some((id, pod)) = id.zip(found.pod.as_deref()).filter(|_| found.name.is_none()) {
            found.name = self.logged(id, pod);
        }
        let word = |text: Option<String>| text.filter(|text| is_word(text));
        let names = ContainerNames {
            cgroup: subject.path.to_vec(),
            id: id.map(str::to_owned),
            runtime: runtime.or(subject.runtime).map(str::to_owned),
            name: word(found.name),
            image: word(found.image),
            pod_uid: subject.pod.as_deref().map(str::to_owned),
            pod: word(found.pod),
            namespace: word(found.namespace),
        };
        (names.any() || !subject.certain).then_some(names)
    }

    /// What its runtime knows of it, and which one that is.
    fn container(&self, id: &str, subject: &Subject<'_>) -> Option<(Found, &'static str)> {
        let may_be = |runtime: &str| subject.runtime.is_none_or(|known| known == runtime);
        let asked: [(&'static str, &dyn Fn() -> Option<Found>); 4] = [
            ("docker", &|| self.docker(id)),
            ("containerd", &|| self.containerd(id, subject.path)),
            ("cri-o", &|| self.cri_o(id)),
            ("podman", &|| self.podman(id)),
        ];
        // What names a directory is nobody's path.
        let named = is_id(id) || subject.runtime == Some("containerd") && is_word(id);
        let asked = asked.into_iter().filter(|(runtime, _)| named && may_be(runtime));
        asked.into_iter().find_map(|(runtime, ask)| Some((ask()?, runtime)))
    }

    fn docker(&self, id: &str) -> Option<Found> {
        let mut places = self.directories(&DOCKER);
        places.find_map(|at| docker(&at.read(Path::new(id).join("config.v2.json"), ONE)?, id))
    }

    fn containerd(&self, id: &str, cgroup: &[u8]) -> Option<Found> {
        self.directories(&CONTAINERD).find_map(|tasks| {
            let namespaces = tasks.names(NAMESPACES)?;
            namespaces.into_iter().find_map(|namespace| {
                let namespace = String::from_utf8(namespace).ok()?;
                let path = Path::new(&namespace).join(id).join("config.json");
                let found = containerd(&tasks.read(path, ONE)?, id, cgroup)?;
                let image = found.image.or_else(|| self.image(&namespace, id));
                Some(Found { image, ..found })
            })
        })
    }

    /// The image of a container of containerd, which its bundle names only if it is of Kubernetes (containerd,
    /// core/metadata/buckets.go).
    fn image(&self, namespace: &str, id: &str) -> Option<String> {
        let path: [&[u8]; 4] = [b"v1", namespace.as_bytes(), b"containers", id.as_bytes()];
        self.directories(&METADATA).find_map(|at| {
            let (file, _) = at.file("meta.db")?;
            String::from_utf8(bolt::get(&file, &path, b"image")?).ok()
        })
    }

    fn cri_o(&self, id: &str) -> Option<Found> {
        let path = Path::new(id).join("userdata/config.json");
        self.storages().find_map(|at| cri_o(&at.read(&path, ONE)?, id))
    }

    fn podman(&self, id: &str) -> Option<Found> {
        let mut lists = self.storages().flat_map(|at| LISTS.map(|list| at.read(list, ALL)));
        lists.find_map(|list| podman(&list?, id))
    }

    /// Namespace and name of the pod with this uid, by the directory of its logs.
    fn pod(&self, uid: &str) -> Option<(String, String)> {
        let logs = self.directories(&[POD_LOGS]).next()?.names(LOGS)?;
        let mut found =
            logs.iter().filter_map(|name| logs_of(std::str::from_utf8(name).ok()?, uid));
        // Two that claim to be of it: nobody knows which is.
        found.next().filter(|_| found.next().is_none())
    }

    /// The name of a container of a pod, by the link to its log.
    fn logged(&self, id: &str, pod: &str) -> Option<String> {
        let links = self.directories(&[CONTAINER_LOGS]).next()?.names(LOGS)?;
        links.iter().find_map(|name| linked(std::str::from_utf8(name).ok()?, id, pod))
    }

    fn directories(&self, paths: &'static [&'static str]) -> impl Iterator<Item = Directory> {
        paths.iter().filter_map(|path| Directory::open(&self.root.join(path), self.owner))
    }

    fn storages(&self) -> impl Iterator<Item = Directory> {
        self.directories(&STORAGE)
            .flat_map(|storage| DRIVERS.map(|driver| storage.below(driver)))
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;
    use crate::model::container::subject;

    const UID: &str = "12345678-9abc-def0-1234-56789abcdef0";

    fn id() -> String {
        "0123456789abcdef".repeat(4)
    }

    /// A host of one's own.
    struct Host(tempfile::TempDir);

    impl Host {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a directory"))
        }

        /// Writes a file, `ID` and `UID` filled in.
        fn put(&self, path: &str, content: &str) -> &Self {
            let fill = |text: &str| text.replace("UID", UID).replace('@', &id());
            let path = self.0.path().join(fill(path));
            fs::create_dir_all(path.parent().expect("a directory")).expect("room");
            fs::write(path, fill(content)).expect("room");
            self
        }

        fn names(&self, cgroup: &str) -> Option<ContainerNames> {
            let slice = UID.replace('-', "_");
            let path = cgroup.replace("UID_", &slice).replace("UID", UID).replace('@', &id());
            Runtimes::below(self.0.path()).names(&subject(path.as_bytes())?)
        }

        /// Name, image, namespace and pod.
        fn named(&self, cgroup: &str) -> [Option<String>; 4] {
            let names = self.names(cgroup).unwrap_or_default();
            [names.name, names.image, names.namespace, names.pod]
        }
    }

    fn some<const N: usize>(texts: [&str; N]) -> [Option<String>; N] {
        texts.map(|text| (!text.is_empty()).then(|| text.to_owned()))
    }

    const NOTHING: [&str; 4] = [""; 4];
    const SYSTEMD: &str = "/kubepods.slice/kubepods-podUID_.slice/";

    #[test]
    fn what_docker_wrote_down() {
        let host = Host::new();
        let path = "var/lib/docker/containers/@/config.v2.json";
        host.put(path, r#"{"State":{"Pid":7},"ID":"@","Name":"/web","Config":{"Image":"nginx:1.25","Labels":{}}}"#);
        for cgroup in ["/docker/@", "/system.slice/docker-@.scope", "/batch/night/@/x"] {
            assert_eq!(host.named(cgroup), some(["web", "nginx:1.25", "", ""]), "{cgroup}");
        }
        assert_eq!(
            host.names("/batch/night/@").and_then(|names| names.runtime).as_deref(),
            Some("docker")
        );
        assert_eq!(host.named("/system.slice/libpod-@.scope"), some(NOTHING), "another runtime's");
        host.put(
            path,
            r#"{"ID":"@","Name":"/k8s_api_geo_shop_UID_0","Config":{"Image":"sha256:00","Labels":{
                "io.kubernetes.container.name":"api","io.kubernetes.pod.name":"geo","io.kubernetes.pod.namespace":"shop",
                "io.kubernetes.pod.uid":"UID"}}}"#,
        );
        assert_eq!(
            host.named(&format!("{SYSTEMD}docker-@.scope")),
            some(["api", "sha256:00", "shop", "geo"])
        );
        assert_eq!(host.named("/docker/@"), some(NOTHING), "of a pod that this is not in");
    }

    #[test]
    fn what_containerd_wrote_down() {
        let host = Host::new();
        host.put(
            "run/containerd/io.containerd.runtime.v2.task/k8s.io/@/config.json",
            r#"{"ociVersion":"1.1.0","annotations":{"io.kubernetes.cri.container-name":"api",
                "io.kubernetes.cri.image-name":"registry.example/geo:1","io.kubernetes.cri.sandbox-name":"geo-7d9f",
                "io.kubernetes.cri.sandbox-namespace":"shop","io.kubernetes.cri.sandbox-uid":"UID"},
                "linux":{"cgroupsPath":"kubepods-podUID.slice:cri-containerd:@"}}"#,
        );
        let whole = some(["api", "registry.example/geo:1", "shop", "geo-7d9f"]);
        assert_eq!(host.named(&format!("{SYSTEMD}cri-containerd-@.scope")), whole);
        assert_eq!(host.named("/kubepods/podUID/@/deeper"), whole);
        assert_eq!(host.named("/kubepods/pod9/@"), some(NOTHING), "of another pod");
        let host = Host::new();
        let tasks = "run/containerd/io.containerd.runtime.v2.task";
        host.put(
            &format!("{tasks}/default/web/config.json"),
            r#"{"linux":{"cgroupsPath":"/default/web"}}"#,
        );
        host.put(
            &format!("{tasks}/other/@/config.json"),
            r#"{"annotations":{"nerdctl/name":"n"},"linux":{"cgroupsPath":"/other/@"}}"#,
        );
        assert_eq!(host.named("/default/web"), some(["web", "", "", ""]));
        let found = host.names("/default/web/x").expect("containerd says so");
        assert_eq!(
            (found.id.as_deref(), found.runtime.as_deref()),
            (Some("web"), Some("containerd"))
        );
        assert_eq!(host.named("/other/@"), some(["n", "", "", ""]));
        for cgroup in ["/other/web", "/default/x", "/jobs/web"] {
            assert_eq!(host.names(cgroup), None, "{cgroup}");
        }
    }

    #[test]
    fn what_cri_o_and_podman_wrote_down() {
        let host = Host::new();
        host.put(
            "run/containers/storage/overlay-containers/@/userdata/config.json",
            r#"{"annotations":{"io.kubernetes.cri-o.ContainerID":"@","io.kubernetes.cri-o.ImageName":"geo:1",
                "io.kubernetes.container.name":"api","io.kubernetes.pod.name":"geo","io.kubernetes.pod.namespace":"shop",
                "io.kubernetes.pod.uid":"UID"}}"#,
        );
        let whole = some(["api", "geo:1", "shop", "geo"]);
        assert_eq!(host.named(&format!("{SYSTEMD}crio-@.scope/container")), whole);
        let host = Host::new();
        let list = r#"[{"id":"00","names":["x"]},{"id":"@","names":["web"],"image":"sha","layer":"l","created":"2026-11-28T00:00:00Z",
            "metadata":"{\"image-name\":\"localhost/case:latest\",\"image-id\":\"sha\",\"name\":\"web\",\"created-at\":1}"}]"#;
        host.put("var/lib/containers/storage/overlay-containers/containers.json", list);
        assert_eq!(
            host.named("/machine.slice/libpod-@.scope/container"),
            some(["web", "localhost/case:latest", "", ""])
        );
        let host = Host::new();
        host.put(
            "run/containers/storage/overlay-containers/volatile-containers.json",
            r#"[{"id":"@","names":["brief"]}]"#,
        );
        assert_eq!(host.named("/machine.slice/libpod-@.scope"), some(["brief", "", "", ""]));
    }

    #[test]
    fn what_the_kubelet_called_its_logs() {
        let host = Host::new();
        host.put("var/log/pods/shop_geo-7d9f_UID/api/0.log", "")
            .put("var/log/pods/other_x_9/api/0.log", "");
        assert_eq!(host.named("/kubepods/podUID"), some(["", "", "shop", "geo-7d9f"]));
        host.put(&format!("var/log/containers/geo-7d9f_shop_api-{}.log", id()), "");
        assert_eq!(host.named("/kubepods/podUID/@"), some(["api", "", "shop", "geo-7d9f"]));
        host.put("var/log/pods/evil_geo_UID/x", "");
        assert_eq!(host.named("/kubepods/podUID"), some(NOTHING), "two of one uid");
        for (name, uid) in [
            ("a_b_c_9", "9"),
            ("_b_9", "9"),
            ("a__9", "9"),
            ("A_b_9", "9"),
            ("a_b_99", "9"),
            ("a_b_9", ""),
        ] {
            assert_eq!(logs_of(name, uid), None, "{name}");
        }
    }

    /// No name rather than a wrong one.
    #[test]
    fn what_is_damaged_foreign_or_huge_says_nothing() {
        let path = "var/lib/docker/containers/@/config.v2.json";
        let good = r#"{"ID":"@","Name":"/web","Config":{"Image":"x"}}"#;
        let bad = [
            "".to_owned(),
            good[..good.len() - 1].to_owned(),
            "[]".to_owned(),
            "{}".to_owned(),
            "[".repeat(100_000),
            good.replace('@', "00"),
            good.replace("/web", "/w\\n").replace("\"x\"", "\"\\u001b[2J\""),
            good.replace("Name", "name"),
            good.replace("\"/web\"", "7"),
            good.replace('x', &"x".repeat(1 << 20)),
            "\u{fffd}\0".to_owned(),
        ];
        for content in bad {
            let host = Host::new();
            host.put(path, &content);
            let shown: String = content.chars().take(60).collect();
            assert_eq!(host.named("/docker/@"), some(NOTHING), "{shown}");
        }
        let host = Host::new();
        host.put("elsewhere", good);
        let file = host.0.path().join(path.replace('@', &id()));
        fs::create_dir_all(file.parent().expect("a directory")).expect("room");
        symlink(host.0.path().join("elsewhere"), &file).expect("a link");
        assert_eq!(host.named("/docker/@"), some(NOTHING), "a link");
        fs::remove_file(&file).expect("ours");
        host.put(path, good);
        assert_eq!(host.named("/docker/@"), some(["web", "x", "", ""]));
        let foreign = Runtimes { root: host.0.path().to_owned(), owner: u32::MAX };
        let cgroup = format!("/docker/{}", id());
        assert_eq!(foreign.names(&subject(cgroup.as_bytes()).expect("a container")), None);
    }

    /// A container that runs containers, or whoever may make cgroups below its own, names none of the host's.
    #[test]
    fn what_a_container_runs_has_none_of_the_hosts_names() {
        let host = Host::new();
        host.put(
            "var/lib/docker/containers/@/config.v2.json",
            r#"{"ID":"@","Name":"/web","Config":{"Image":"x"}}"#,
        );
        let outer = "f".repeat(64);
        assert_eq!(host.named(&format!("/docker/{outer}/docker/@")), some(NOTHING));
        let cgroup = format!("/docker/{}/docker/{outer}", id());
        let names = host.names(&cgroup).expect("of the outer one").within(cgroup.as_bytes());
        assert_eq!((names.name, names.image, names.id), (None, None, None));
    }
}
