//! Cgroup paths of every container runtime, as they were seen on hosts and in other projects' tests, and paths that are
//! put together by chance: a container is told where a runtime puts one, and nowhere else.
use whybus::model::container::{container, is_id, place, pod, subject};

const UID: &str = "12345678-9abc-def0-1234-56789abcdef0";
const LXC: &str = "lxc";
const NSPAWN: &str = "systemd-nspawn";

fn id() -> String {
    "0123456789abcdef".repeat(4)
}

fn told(path: &str) -> Option<(String, Option<&'static str>)> {
    container(path.as_bytes()).map(|found| (found.id.into_owned(), found.runtime))
}

/// Numbers that look random, and are the same in every run (splitmix64).
struct Dice(u64);

impl Dice {
    /// One of the first `count` numbers.
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % count as u64) as usize
    }
}

/// Each as it was seen on a host, with other digits; `ID` and `UID_` stand for those.
#[test]
fn what_runtimes_write_is_told() {
    let user = "/user.slice/user-1000.slice/user@1000.service";
    let kind = "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/\
                kubelet-kubepods-besteffort-podUID_.slice/cri-containerd-ID.scope";
    let cases = [
        ("/docker/ID", Some("docker")),
        ("/docker/ID/init.scope", Some("docker")),
        ("/system.slice/docker-ID.scope", Some("docker")),
        ("/system.slice/docker-ID.scope/init", Some("docker")),
        ("/ecs/0123456789abcdef0123456789abcdef/ID", None),
        (
            "/ecstasks.slice/ecstasks-0123456789abcdef0123456789abcdef.slice/docker-ID.scope",
            Some("docker"),
        ),
        ("/actions_job/ID", Some("docker")),
        ("/azpl_job/ID", Some("docker")),
        ("/actions_job/FF/kubepods/burstable/podUID-/ID", None),
        ("/system.slice:docker:ID", Some("docker")),
        ("/default/ID", Some("containerd")),
        ("/k8s.io/ID", Some("containerd")),
        ("/system.slice/nerdctl-ID.scope", Some("containerd")),
        ("/kubepods/podUID-/ID", None),
        ("/kubepods/burstable/podUID-/ID", None),
        ("/kubelet/kubepods/besteffort/podUID-/ID", None),
        ("/kubepods.slice/kubepods-podUID_.slice/cri-containerd-ID.scope", Some("containerd")),
        (kind, Some("containerd")),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID_.slice/crio-ID.scope",
            Some("cri-o"),
        ),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID_.slice/crio-ID.scope/container",
            Some("cri-o"),
        ),
        ("/kubepods.slice/kubepods-podUID_.slice/docker-ID.scope", Some("docker")),
        ("/kubepods-besteffort-podUID_.slice:cri-containerd:ID", Some("containerd")),
        (
            "/system.slice/containerd.service/kubepods-podUID_.slice:cri-containerd:ID",
            Some("containerd"),
        ),
        ("/kubepods/besteffort/podUID-/crio-ID", Some("cri-o")),
        ("/machine.slice/libpod-ID.scope", Some("podman")),
        ("/machine.slice/libpod-ID.scope/container", Some("podman")),
        ("/machine.slice/machine-libpod_pod_FF.slice/libpod-ID.scope/container", Some("podman")),
        ("/libpod_parent/libpod-ID", Some("podman")),
        ("/libpod_parent/FF/libpod-ID", Some("podman")),
        ("/system.slice/web.service/libpod-payload-ID", Some("podman")),
        ("USER/user.slice/libpod-ID.scope/container", Some("podman")),
        ("USER/user.slice/user-libpod_pod_FF.slice/libpod-ID.scope", Some("podman")),
        ("USER/user.slice/docker-ID.scope", Some("docker")),
        ("/system.slice/docker-FF.scope/docker/ID", Some("docker")),
        ("/docker/FF/docker/ID", Some("docker")),
        ("/lxc.payload.ci/docker/ID", Some("docker")),
    ];
    for (form, runtime) in cases {
        let path = filled(form, user);
        assert_eq!(told(&path), Some((id(), runtime)), "{path}");
    }
    let inside_kind =
        format!("/system.slice/docker-{}.scope{}", "f".repeat(64), filled(kind, user));
    assert_eq!(told(&inside_kind), Some((id(), Some("containerd"))));
}

#[test]
fn some_are_called_by_their_names() {
    let task = "0123456789abcdef0123456789abcdef";
    let fargate = format!("/ecs/{task}/{task}-3057940393");
    let cases = [
        (&*fargate, &fargate[38..], None),
        ("/lxc/101", "101", Some("lxc")),
        ("/lxc/101/ns/system.slice/geo.service", "101", Some("lxc")),
        ("/lxc/web/lxc/inner", "inner", Some("lxc")),
        ("/lxc.payload/web", "web", Some("lxc")),
        ("/lxc.payload.web", "web", Some("lxc")),
        ("/lxc.payload.ci_my-web/init.scope", "ci_my-web", Some("lxc")),
        ("/user.slice/user-1000.slice/session-1.scope/lxc.payload.web", "web", Some("lxc")),
        ("/machine.slice/systemd-nspawn@web.service/payload", "web", Some("systemd-nspawn")),
        (
            "/machine.slice/machine-my\\x2dweb.scope/payload/system.slice/geo.service",
            "my-web",
            Some("systemd-nspawn"),
        ),
        ("/machine.slice/machine-old.scope/init.scope", "old", Some("systemd-nspawn")),
    ];
    for (path, name, runtime) in cases {
        assert_eq!(told(path), Some((name.to_owned(), runtime)), "{path}");
    }
}

/// What is as long, and lies elsewhere; and what is beside a container.
#[test]
fn nothing_else_is_a_container() {
    let forms = [
        "/",
        "",
        "/ID",
        "/user.slice/deadbeef",
        "/user.slice/ID",
        "/user.slice/user-1000.slice/user@1000.service/app.slice/default/ID",
        // A checksum, as somebody calls his jobs.
        "/jobs/ID",
        "/batch/night/ID",
        "/default/night/ID",
        "/pod1b2/ID",
        "/user.slice/default/ID",
        "/lxc.monitor.web",
        "/lxc.monitor/101",
        "/lxc",
        "/jobs/lxc/web",
        "/system.slice/geo.service/ID",
        "/system.slice/geo.service/xID",
        "/docker/ID0",
        "/docker/buildkit/o7x1jwmwx8jh2ejhvd8tfyk0t",
        "/my-docker-ID.scope",
        "/machine.slice/libpod-conmon-ID.scope",
        "/machine.slice/machine-libpod_pod_ID.slice",
        "/kubepods.slice/kubepods-podUID_.slice/crio-conmon-ID.scope",
        "/kubepods.slice/kubepods-podUID_.slice",
        "/kubepods/burstable/podUID-",
        "/x:cri-containerd:ID",
        "/machine.slice/systemd-nspawn@web.service/supervisor",
        "/machine.slice/systemd-nspawn@web.service",
        "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/emulator",
        "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/payload",
        "/ecs/0123456789abcdef0123456789abcdef/0123456789abcdef0123456789abcdef-",
        "/slurm/uid_1000/job_7/step_0/task_0",
    ];
    for form in forms {
        let path = filled(form, "");
        assert_eq!(told(&path), None, "{path}");
    }
    for short in [&id()[..32], &id()[1..]] {
        for path in [format!("/docker/{short}"), format!("/system.slice/docker-{short}.scope")] {
            assert_eq!(told(&path), None, "{path}");
        }
    }
    assert_eq!(container(b"\xff/\xff"), None);
    assert_eq!(container(format!("/\n/docker/{}\n", id()).as_bytes()), None);
}

/// Paths put together of what paths are made of: a container is told by a name that is in the path, is an id or
/// follows what says so, and stands where it was found again when what lies below is left out.
#[test]
fn whatever_a_path_is_made_of_its_container_is_in_it() {
    let parts = [
        "docker",
        "lxc",
        "lxc.payload.web",
        "lxc.payload",
        "kubepods",
        "burstable",
        "ecs",
        "default",
        "user.slice",
        "system.slice",
        "geo.service",
        "machine-web.scope",
        "payload",
        "init.scope",
        "systemd-nspawn@a\\x2db.service",
        "container",
        "",
        "..",
        ":",
        "docker-ID.scope",
        "libpod-ID",
        "ID",
        "SHORT",
        "podUID-",
        "kubepods-podUID_.slice",
        "kubepods-burstable-podUID_.slice:cri-containerd:ID",
        "\u{fffd}",
        "FF",
        "crio-conmon-ID.scope",
        "libpod-conmon-ID.scope",
        "job_7",
    ];
    let mut dice = Dice(15);
    let mut found = 0;
    for _ in 0..20_000 {
        let mut path = String::new();
        for _ in 0..1 + dice.below(6) {
            let part = parts[dice.below(parts.len())];
            path.push('/');
            path.push_str(&filled(&part.replace("SHORT", "0123456789abcdef0123456789abcdef"), ""));
        }
        let Some((id, runtime)) = told(&path) else {
            let sure = subject(path.as_bytes()).is_some_and(|it| it.certain && it.id.is_some());
            assert!(!sure, "{path}");
            continue;
        };
        found += 1;
        assert!(path.replace("\\x2d", "-").contains(&id), "{id} in {path}");
        let named = [Some(LXC), Some(NSPAWN)].contains(&runtime);
        assert!(is_id(&id) || named && is_name(&id), "{id} of {path}");
        let outer = subject(path.as_bytes()).expect("one at least");
        assert!(outer.certain && path.as_bytes().starts_with(outer.path), "{path}");
        assert_eq!(container(outer.path).map(|of| of.id), outer.id, "{path}");
        if let Some(pod) = pod(path.as_bytes()) {
            assert_eq!(pod.uid, UID, "{path}");
        }
    }
    assert!(found > 1_000, "{found}");
}

/// No bytes make it panic.
#[test]
fn whatever_a_path_is_it_is_read() {
    let mut dice = Dice(7);
    for _ in 0..20_000 {
        let len = dice.below(90);
        let letters = b"/\\x2d:-_.@podkubelxcID0123456789abcdef\xff\n";
        let path: Vec<u8> = (0..len).map(|_| letters[dice.below(letters.len())]).collect();
        let _ = (container(&path), subject(&path), pod(&path), place(&path));
    }
}

fn filled(form: &str, user: &str) -> String {
    let path = form.replace("USER", user).replace("UID_", &UID.replace('-', "_"));
    path.replace("UID-", UID).replace("FF", &"f".repeat(64)).replace("ID", &id())
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// Of hosts that nest, split, name and forget as people do; each as somebody has shown it, with other digits.
#[test]
fn what_is_seen_in_the_wild_is_told() {
    let of_user = "/user.slice/user-1000.slice/user@1000.service";
    let cases = [
        // Kubernetes, without the prefix that a runtime has for systemd's driver.
        ("/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podUID_.slice/ID", None),
        ("/kuberuntime/containerd/kubepods-podUID_:cri-containerd:ID", Some("containerd")),
        (
            "/system.slice/containerd.service/kubepods-burstable-podUID_.slice:cri-containerd:ID",
            Some("containerd"),
        ),
        // kind: the kubelet has a root of its own, and so has the host's docker.
        (
            "/system.slice/docker-FF.scope/kubelet.slice/kubelet-kubepods.slice/\
             kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-podUID_.slice/cri-containerd-ID.scope",
            Some("containerd"),
        ),
        ("/docker/FF/kubelet/kubepods/besteffort/podUID-/ID", None),
        // k3s in docker (k3d), in podman, in LXD, and alone with either driver.
        ("/docker/FF/kubepods/burstable/podUID-/ID", None),
        ("/machine.slice/libpod-FF.scope/kubepods/burstable/podUID-/ID", None),
        ("/lxc.payload.mk8s/kubepods/besteffort/podUID-/ID", None),
        (
            "/lxc/k3s/kubepods.slice/kubepods-podUID_.slice/cri-containerd-ID.scope",
            Some("containerd"),
        ),
        ("/kubepods/besteffort/podUID-/ID", None),
        // A static pod has the hash of its manifest.
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod\
             0123456789abcdef0123456789abcdef.slice/crio-ID.scope",
            Some("cri-o"),
        ),
        // Nomad before 1.7 had a slice of its own.
        ("/nomad.slice/docker-ID.scope", Some("docker")),
        ("/nomad.slice/share.slice/docker-ID.scope", Some("docker")),
        ("/system.slice/docker.service/docker/ID", Some("docker")),
        ("/system.slice/docker.service/docker/ID/init.scope", Some("docker")),
        ("/init.scope/system.slice/docker-ID.scope", Some("docker")),
        ("/lxc.payload.u1/system.slice/docker-ID.scope", Some("docker")),
        ("/incus/docker/ID", Some("docker")),
        ("/podruntime/docker/docker/ID", Some("docker")),
        // BuildKit's own container, and what it runs in that of buildx.
        ("/docker/ID/buildkit/jvifp9a6b1lxa1kuw8bwfcovf", Some("docker")),
        ("/system.slice/docker-ID.scope/buildkit/5cf82fwiumld3vcs5d5l5pzyv", Some("docker")),
        // Quadlet and podman's --cgroups=split, of the host and of a user.
        ("/system.slice/nginx.service/libpod-payload-ID", Some("podman")),
        ("USER/app.slice/redis.service/libpod-payload-ID", Some("podman")),
        ("USER/app.slice/app-map.slice/map@8000.service/libpod-payload-ID", Some("podman")),
        ("USER/user.slice/nerdctl-ID.scope", Some("containerd")),
        ("USER/app.slice/docker-ID.scope", Some("docker")),
        ("/ecs/01234567-89ab-cdef-0123-456789abcdef/ID", None),
    ];
    for (form, runtime) in cases {
        let path = filled(form, of_user);
        assert_eq!(told(&path), Some((id(), runtime)), "{path}");
    }
    for (path, name) in [
        ("/lxc.payload.waydroid2", "waydroid2"),
        ("/lxc.payload.snapcraft_build-1/system.slice/nginx.service", "snapcraft_build-1"),
        ("/lxc/104/ns/init.scope", "104"),
    ] {
        assert_eq!(told(path), Some((name.to_owned(), Some(LXC))), "{path}");
    }
}

/// Digests, random numbers and sessions that others put into their names.
#[test]
fn what_is_seen_in_the_wild_and_is_no_container_is_none() {
    let of_user = "/user.slice/user-1000.slice/user@1000.service";
    let forms = [
        // A build step of BuildKit, with either driver.
        "/system.slice/system.slice:docker:jvifp9a6b1lxa1kuw8bwfcovf",
        "/docker/jvifp9a6b1lxa1kuw8bwfcovf",
        "/buildkit/jvifp9a6b1lxa1kuw8bwfcovf",
        // Nomad's own drivers: an allocation and its task.
        "/nomad.slice/share.slice/4744f0ea-7616-ab3a-a420-8e25056e3861.sleep.scope",
        "/nomad.slice/reserve.slice/4744f0ea-7616-ab3a-a420-8e25056e3861.web.scope",
        "/nomad/4744f0ea-7616-ab3a-a420-8e25056e3861.start",
        "/system.slice/nomad.service",
        // podman's health checks, and what is beside a container that is split.
        "/system.slice/ID.service",
        "/system.slice/ID-1a2b3c4d5e6f7a8b.service",
        "/system.slice/nginx.service/runtime",
        "USER/app.slice/redis.service/runtime",
        // systemd-run, a desktop, logind, a portable service.
        "/system.slice/run-r0123456789abcdef0123456789abcdef.scope",
        "/system.slice/5d41402abc4b2a76b9719d911017c592.service",
        "USER/app.slice/app-gnome-firefox-4242.scope",
        "USER/app.slice/app-dbus\\x2d:1.2\\x2dorg.example.slice/x.service",
        "/user.slice/user-1000.slice/session-c2.scope",
        "/user.slice/user-1000.slice/session-4294967295.scope",
        "/system.slice/system-getty.slice/getty@tty1.service",
        // The runtimes themselves, kata's overhead, and the processes of a runner.
        "/system.slice/docker.service",
        "/system.slice/containerd.service",
        "/system.slice/k3s.service",
        "/podruntime/runtime",
        "/kubepods/besteffort",
        "/slurm_node1/uid_1000/job_280678/step_batch/task_0",
        "/system.slice/slurmstepd.scope/job_1392969/step_0/user/task_0",
        "/yarn/container_e17_1410901929871_0001_01_000005",
        "/mesos/6f265890-5165-7fab-6b52-18d1f265890a",
        "/torque/1234567.master",
        "/system.slice/condor.service/htcondor/condor_var_lib_condor_execute_slot1_1",
    ];
    for form in forms {
        let path = filled(form, of_user);
        assert_eq!(told(&path), None, "{path}");
    }
}
