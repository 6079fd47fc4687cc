//! Where a process ran, as people call it: a pod, a container, a job, or else a unit or cgroup. Pure.
use crate::{
    contract::{Memory, Pod, Process},
    model::container::{SHORT, subject},
    text::escape::escape,
};

/// `pod shop/geo-api-7d9f, container api (containerd 0123456789ab), image geo-api:1.2`, `Slurm job 7 step batch`;
/// `None` on the host itself.
pub fn inside(process: &Process) -> Option<String> {
    let pod = process.pod.as_ref().map(pod);
    let image = process.container.as_ref().and_then(|container| container.image.as_ref());
    let image = image.map(|image| format!("image {}", escape(&image.0)));
    let parts = job(process).into_iter().chain(pod).chain(container(process)).chain(image);
    let parts: Vec<String> = parts.collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn pod(pod: &Pod) -> String {
    match (&pod.name, &pod.namespace) {
        (Some(name), Some(of)) => format!("pod {}/{}", escape(&of.0), escape(&name.0)),
        (Some(name), None) => format!("pod {}", escape(&name.0)),
        (None, _) => format!("pod {}", escape(pod.uid.as_bytes())),
    }
}

/// The same, or, where that is the host, the cgroup.
pub fn whereabouts(process: &Process) -> Option<String> {
    let cgroup = process.cgroup.as_ref().filter(|path| path.0 != b"/");
    inside(process).or_else(|| Some(format!("cgroup {}", escape(&cgroup?.0))))
}

/// `container web (docker 3f2a91c0b1d2)`, or of one without a name `container 3f2a91c0b1d2 (docker)`
pub fn container(process: &Process) -> Option<String> {
    let container = process.container.as_ref()?;
    let short = container.id.len() == 64;
    let id: String = container.id.chars().take(if short { SHORT } else { usize::MAX }).collect();
    let runtime = container.runtime.as_ref().map(|runtime| escape(runtime.as_bytes()));
    let id = escape(id.as_bytes());
    let (name, beside) = match container.name.as_ref().map(|name| escape(&name.0)) {
        Some(name) if name != id => (name, runtime.into_iter().chain([id]).collect::<Vec<_>>()),
        _ => (id, runtime.into_iter().collect()),
    };
    let beside = if beside.is_empty() { String::new() } else { format!(" ({})", beside.join(" ")) };
    Some(format!("container {name}{beside}"))
}

/// A memory cgroup that ran out: `container web (docker 3f2a91c0b1d2)` or the pod, if it is the one that the victim was in, or
/// else `cgroup /small`.
pub fn limited(memory: &Memory, victim: &Process) -> String {
    let path = &memory.cgroup.0[..];
    let whole = path.strip_suffix(b"/container").unwrap_or(path);
    let subject = subject(whole).filter(|subject| subject.path == whole);
    let (id, uid) = subject.map(|subject| (subject.id, subject.pod)).unwrap_or_default();
    let inside = victim.container.as_ref().filter(|inside| Some(&*inside.id) == id.as_deref());
    let of = victim.pod.as_ref().filter(|of| id.is_none() && Some(&*of.uid) == uid.as_deref());
    let found = inside.and_then(|_| container(victim)).or_else(|| of.map(pod));
    found.unwrap_or_else(|| format!("cgroup {}", escape(path)))
}

fn job(process: &Process) -> Option<String> {
    let job = process.slurm.as_ref()?;
    let step = job.step.as_ref();
    let step = step.map_or_else(String::new, |step| format!(" step {}", escape(step.as_bytes())));
    Some(format!("Slurm job {}{step}", job.job))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{SlurmJob, Untrusted, samples::process};

    #[test]
    fn whose_limit_it_was() {
        let id = "0123456789abcdef".repeat(4);
        let uid = "12345678-9abc-def0-1234-56789abcdef0";
        let mut victim = process(7);
        let container = victim.container.as_mut().expect("one");
        (container.id, container.name) = (id.clone().into(), None);
        victim.pod.as_mut().expect("one").name = None;
        let of = |path: &str| {
            let cgroup = Untrusted(path.as_bytes().to_vec());
            limited(&Memory { cgroup, limit: 1, used: None }, &victim)
        };
        let container = "container 0123456789ab (docker)";
        for path in [format!("/docker/{id}"), format!("/machine.slice/libpod-{id}.scope/container")]
        {
            assert_eq!(of(&path), container, "{path}");
        }
        assert_eq!(of(&format!("/kubepods/pod{uid}")), format!("pod {uid}"));
        for path in ["/small", "/kubepods", "/kubepods/pod9", &format!("/docker/{id}/inner")] {
            assert_eq!(of(path), format!("cgroup {path}"));
        }
    }

    #[test]
    fn a_pod_a_container_a_job_or_a_cgroup() {
        let mut process = process(7);
        let told = |process: &Process| whereabouts(process);
        let id = "0123456789abcdef".repeat(4);
        let named = |text: &str| Some(Untrusted(text.as_bytes().to_vec()));
        {
            let container = process.container.as_mut().expect("one");
            container.id = id.into();
            (container.name, container.image) = (named("api"), named("geo-api:1.2"));
            let pod = process.pod.as_mut().expect("one");
            (pod.name, pod.namespace) = (named("geo-api-7d9f"), named("shop"));
        }
        let whole = "pod shop/geo-api-7d9f, container api (docker 0123456789ab), image geo-api:1.2";
        assert_eq!(told(&process), Some(format!("Slurm job 7 step batch, {whole}")));
        {
            let container = process.container.as_mut().expect("one");
            (container.name, container.image) = (None, None);
            process.pod.as_mut().expect("one").name = None;
        }
        let pod = "pod 12345678-9abc-def0-1234-56789abcdef0";
        let container = "container 0123456789ab (docker)";
        assert_eq!(told(&process), Some(format!("Slurm job 7 step batch, {pod}, {container}")));
        process.slurm = None;
        assert_eq!(told(&process), Some(format!("{pod}, {container}")));
        process.pod = None;
        assert_eq!(told(&process), Some(container.to_owned()));
        process.container = None;
        process.slurm = Some(SlurmJob { job: 7, step: None });
        assert_eq!(told(&process).as_deref(), Some("Slurm job 7"));
        process.slurm = None;
        process.cgroup = Some(Untrusted(b"/system.slice/geo.service".to_vec()));
        assert_eq!(told(&process).as_deref(), Some("cgroup /system.slice/geo.service"));
        process.cgroup = Some(Untrusted(b"/".to_vec()));
        assert_eq!(told(&process), None);
    }
}
