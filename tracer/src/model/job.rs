//! Jobs of Slurm, as slurmd writes them into a cgroup path. Pure.

/// A job of Slurm, and which step of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job<'a> {
    pub id: u64,
    /// A number, `batch`, `extern` or `interactive`.
    pub step: Option<&'a str>,
}

/// The job a cgroup path belongs to: of `/slurm/uid_1000/job_7/step_0/task_0` (the plugin for v1; with several slurmd
/// on a host `/slurm_NODE`), or `/system.slice/slurmstepd.scope/job_7/step_batch/user/task_0` (for v2, `NODE_` in front).
pub fn job(cgroup: &[u8]) -> Option<Job<'_>> {
    let text = std::str::from_utf8(cgroup).ok()?;
    let mut names = text.strip_prefix('/')?.split('/');
    let first = names.next()?;
    let mut name = match first {
        "system.slice" => {
            let scope = names.next()?.strip_suffix("slurmstepd.scope")?;
            (scope.is_empty() || scope.ends_with('_')).then(|| names.next())??
        }
        _ => {
            let node = first.strip_prefix("slurm")?;
            (node.is_empty() || node.starts_with('_')).then(|| names.next())??
        }
    };
    if first != "system.slice" && name.strip_prefix("uid_").is_some_and(is_number) {
        name = names.next()?;
    }
    let id = name.strip_prefix("job_").filter(|id| is_number(id))?.parse().ok()?;
    let step = names.next().and_then(|name| name.strip_prefix("step_"));
    let known = |step: &&str| is_number(step) || ["batch", "extern", "interactive"].contains(step);
    Some(Job { id, step: step.filter(known) })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_and_their_steps() {
        let cases = [
            ("/slurm/uid_2101171/job_280678/step_interactive/task_0", 280_678, Some("interactive")),
            ("/slurm/job_7", 7, None),
            ("/slurm_node1/uid_0/job_7/step_12/task_0", 7, Some("12")),
            ("/system.slice/slurmstepd.scope/job_1392969/step_0/user/task_0", 1_392_969, Some("0")),
            (
                "/system.slice/node1_slurmstepd.scope/job_7/step_batch/user/task_special",
                7,
                Some("batch"),
            ),
            ("/system.slice/slurmstepd.scope/job_7/step_extern/slurm", 7, Some("extern")),
            ("/system.slice/slurmstepd.scope/job_7/evil", 7, None),
        ];
        for (path, id, step) in cases {
            assert_eq!(job(path.as_bytes()), Some(Job { id, step }), "{path}");
        }
        let none = [
            "/",
            "",
            "/slurm",
            "/slurm/uid_1",
            "/slurm/job_",
            "/slurm/job_x",
            "/system.slice/slurmstepd.scope/system",
            "/user.slice/slurm/job_7",
            "/xslurm/job_7",
            "/slurmx/job_7",
            "/system.slice/evilslurmstepd.scope/job_7",
            "/slurm/job_99999999999999999999999",
        ];
        for path in none {
            assert_eq!(job(path.as_bytes()), None, "{path}");
        }
        assert_eq!(job(b"/slurm/job_7/\xff"), None);
    }
}
