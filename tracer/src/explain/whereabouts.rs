//! Where a process ran, as people call it: a pod, a container, a job, or else a unit or cgroup. Pure.
use crate::{contract::Process, model::container::SHORT, text::escape::escape};

/// `pod d3b07384-d9a0-4c8e-9f6d-1c2a3b4c5d6e, container 0123456789ab (containerd)`, `Slurm job 7, step batch`;
/// `None` on the host itself.
pub fn inside(process: &Process) -> Option<String> {
    let pod = process.pod.as_ref().map(|pod| format!("pod {}", escape(pod.uid.as_bytes())));
    let parts: Vec<String> =
        job(process).into_iter().chain(pod).chain(container(process)).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The same, or, where that is the host, the cgroup.
pub fn whereabouts(process: &Process) -> Option<String> {
    let cgroup = process.cgroup.as_ref().filter(|path| path.0 != b"/");
    inside(process).or_else(|| Some(format!("cgroup {}", escape(&cgroup?.0))))
}

/// `container 3f2a91c0b1d2 (docker)`
pub fn container(process: &Process) -> Option<String> {
    let container = process.container.as_ref()?;
    let runtime = container.runtime.as_ref();
    let runtime = runtime.map_or_else(String::new, |by| format!(" ({})", escape(by.as_bytes())));
    let id = match container.id.len() {
        64 => container.id.chars().take(SHORT).collect(),
        _ => container.id.to_string(),
    };
    Some(format!("container {}{runtime}", escape(id.as_bytes())))
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
    fn a_pod_a_container_a_job_or_a_cgroup() {
        let mut process = process(7);
        let told = |process: &Process| whereabouts(process);
        let id = "0123456789abcdef".repeat(4);
        process.container.as_mut().expect("one").id = id.into();
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
