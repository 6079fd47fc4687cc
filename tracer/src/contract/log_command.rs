//! Commands that read what a victim said, ready to be pasted into a shell. Pure.
//!
//! Others give the names in them: one that would have to be quoted, or is an option, is in no command.
use crate::{
    contract::{Incident, Process, Time},
    model::cgroup::is_of_user,
    text::format::rfc3339,
};

const SECOND: i64 = 1_000_000_000;

/// The end of a file.
pub fn of_file(path: &[u8]) -> Option<String> {
    Some(format!("tail {}", typed(path)?))
}

/// What journald saw a process write. Times make it that process, and none that had the pid before or after.
pub fn of_process(pid: u32, namespace: Option<&str>, since: Time, until: Time) -> Option<String> {
    // In another journal there is nothing of it.
    let of = match namespace {
        Some(name) => format!(" --namespace={}", typed(name.as_bytes())?),
        None => String::new(),
    };
    let until = Time(until.0.saturating_add(2 * SECOND));
    let (since, until) = (second(since), second(until));
    Some(format!("journalctl{of} _PID={pid} --since '{since}' --until '{until}'"))
}

/// The log that a container's runtime keeps of it, where it keeps one that whoever asks can read.
pub fn of_container(victim: &Process) -> Option<String> {
    let container = victim.container.as_ref()?;
    // By its id: its name, and that of its pod, is another container's once it is made anew.
    let id = typed(container.id.as_bytes())?;
    if victim.pod.is_some() {
        return Some(format!("crictl logs --tail 50 {id}"));
    }
    // Those of a user are known to that user's podman alone.
    let of_user = victim.cgroup.as_ref().is_some_and(|cgroup| is_of_user(&cgroup.0));
    let runtime = container.runtime.as_deref();
    let runtime = runtime.filter(|runtime| ["docker", "podman"].contains(runtime) && !of_user)?;
    Some(format!("{runtime} logs --tail 50 {id}"))
}

/// Where a victim's words most likely are if nobody saw where they went: its container's log, its unit's, or what the
/// journal has of its pid, of its `boot` if that is not the one that runs.
pub fn of_victim(incident: &Incident, boot: Option<&str>) -> Option<String> {
    let victim = &incident.victim;
    if let Some(log) = of_container(victim) {
        return Some(log);
    }
    if let Some(unit) = victim.unit.as_ref().filter(|unit| unit.0.ends_with(b".service")) {
        // To the second after.
        let until = incident.last.0.div_euclid(SECOND).saturating_add(2);
        let unit = typed(&unit.0)?;
        let of = match victim.cgroup.as_ref().is_some_and(|cgroup| is_of_user(&cgroup.0)) {
            true => format!("_SYSTEMD_USER_UNIT={unit} _UID={}", victim.uid),
            false => format!("-u {unit}"),
        };
        return Some(format!("journalctl {of} -n 50 -U @{until}"));
    }
    // Each boot counts its pids anew.
    let Some(boot) = boot else { return Some(format!("journalctl _PID={}", victim.pid)) };
    let boot = boot.replace('-', "");
    let is_id = boot.len() == 32 && boot.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| format!("journalctl _PID={} _BOOT_ID={boot}", victim.pid))
}

/// `2026-11-30 10:03:07 UTC`, which means the same to journalctl wherever it runs.
fn second(Time(ns): Time) -> String {
    let told = rfc3339(ns);
    let (day, time) = told.split_once('T').unwrap_or((&told, ""));
    format!("{day} {} UTC", time.get(..8).unwrap_or_default())
}

/// A name as part of such a command.
fn typed(name: &[u8]) -> Option<&str> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_./@:+,=-".contains(byte);
    let first = name.first()?;
    (*first != b'-' && name.iter().all(plain)).then_some(())?;
    std::str::from_utf8(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_quoted_is_in_no_command() {
        for name in [&b"-f"[..], b"--all", b"", b"a b", b"a'b", b"~"] {
            assert_eq!(typed(name), None);
        }
        assert_eq!(typed(b"/var/log/a_b-1.log"), Some("/var/log/a_b-1.log"));
    }
}
