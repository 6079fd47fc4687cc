//! Commands for what one does next, ready to be typed. Pure.
use crate::{
    contract::{Incident, Output, OutputKind, Story, log_command},
    model::host::Here,
    text::{
        escape::{inert, named, word},
        format::rfc3339,
    },
};

/// What else is known of this death, and where: the core dump, the log, the others of its loop. `flags` are those that
/// this history is asked with. What only the host of the death has is there to be typed, if `here` is another.
pub fn next(story: &Story, flags: &str, here: Option<&Here>) -> Vec<String> {
    let incident = &story.incident;
    let mut out = Vec::new();
    let on = on_host(incident, here);
    for command in on_its_host(incident, here) {
        out.push(format!("{on}{command}"));
    }
    // The program's own function is not known; others, as libc's that calls main, are not in most hosts' tables.
    if incident.signature.as_ref().is_some_and(|signature| signature.0.starts_with(b"+")) {
        let here = if on.is_empty() { "" } else { HERE };
        out.push(format!("{here}whybus show {} --symbolize{flags}", word(incident.id.as_bytes())));
    }
    if story.incidents > 1 {
        // To the second: what is later within it is not left out.
        let second = |time: i64| {
            let time = rfc3339(time);
            time.get(..19).map_or_else(|| time.clone(), |second| format!("{second}Z"))
        };
        let (since, until) =
            (second(story.first.0), second(story.last.0.saturating_add(1_000_000_000)));
        let comm = &incident.victim.comm.0;
        // What begins with a dash would be taken for a flag.
        let sign = if comm.starts_with(b"-") { "=" } else { " " };
        let (comm, only) = (word(comm), only(story));
        let here = if on.is_empty() { "" } else { HERE };
        out.push(format!(
            "{here}whybus list --comm{sign}{comm} -S {since} -U {until}{only}{flags}"
        ));
    }
    // What cannot be typed as it is shown helps nobody.
    out.retain(|command| inert(command) && !command.contains("\\x") && !command.contains("\\u"));
    out
}

/// Before a command for this history, where others are for another host.
const HERE: &str = "here: ";

/// What tells a story from others of its name and time: the pids of its victims, or where they ran.
fn only(story: &Story) -> String {
    if !story.pids.is_empty() {
        return story.pids.iter().map(|pid| format!(" --pid {pid}")).collect();
    }
    let victim = &story.incident.victim;
    let service = victim.unit.as_ref().filter(|unit| unit.0.ends_with(b".service"));
    let pod = victim.pod.as_ref().map(|pod| format!(" --pod {}", word(pod.uid.as_bytes())));
    let unit = || service.map(|unit| format!(" --unit {}", word(&unit.0)));
    let host = named(&story.incident.host).map(|host| format!(" --host {}", word(host.as_bytes())));
    format!("{}{}", pod.or_else(unit).unwrap_or_default(), host.unwrap_or_default())
}

/// `on db7: `, before a command for the host of the death, if `here` is another.
pub fn on_host(incident: &Incident, here: Option<&Here>) -> String {
    let elsewhere = here.is_some_and(|here| !here.is(&incident.host, &incident.boot_id));
    match named(&incident.host) {
        _ if !elsewhere => String::new(),
        Some(name) => format!("on {name}: "),
        None => "on the host of this incident: ".to_owned(),
    }
}

/// The core dump, and the log, where that is not told as where its output went.
fn on_its_host(incident: &Incident, here: Option<&Here>) -> Vec<String> {
    let victim = &incident.victim;
    let mut out = Vec::new();
    if incident.exit.as_ref().is_some_and(|exit| exit.core) {
        out.push(format!("coredumpctl info {}", victim.pid));
    }
    if !is_told(incident) {
        let other = here.is_some_and(|here| here.boot_id != *incident.boot_id);
        let boot = other.then_some(&*incident.boot_id);
        let log = log_command::of_victim(incident, boot);
        // Of a unit the journal has what systemd says, too.
        out.extend(log.filter(|log| !(log.contains(" _PID=") && spoke_elsewhere(incident))));
    }
    out
}

/// Whether what it said is known to have gone to no journal.
fn spoke_elsewhere(incident: &Incident) -> bool {
    use OutputKind::{Closed, Device, File, Null, Terminal};
    let Some(told) = incident.victim.output.as_deref().filter(|told| !told.at_start) else {
        return false;
    };
    let elsewhere =
        |output: &Output| matches!(output.kind.known(), Closed | Device | File | Null | Terminal);
    let both = [&told.stdout, &told.stderr];
    both.iter().all(|one| one.as_ref().is_none_or(elsewhere)) && told.stderr.is_some()
}

/// Whether a command that reads the same log, or a better one, is told beside where its output went. Last words are those
/// of stderr.
fn is_told(incident: &Incident) -> bool {
    let Some(told) = incident.victim.output.as_deref() else { return false };
    let has = |output: &Output| output.command.is_some();
    let is_same = |output: &Output| {
        has(output) && matches!(output.kind.known(), OutputKind::Journal | OutputKind::ContainerLog)
    };
    !told.at_start && told.stderr.as_ref().is_some_and(has)
        || told.stderr.iter().chain(&told.stdout).any(is_same)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Output, OutputKind, Outputs, Record, Untrusted, samples::every_kind};

    #[test]
    fn only_a_command_for_stderr_stands_for_the_log() {
        let mut incident = crate::contract::samples::full_incident();
        incident.victim.container = None;
        incident.victim.unit = Some(Untrusted(b"geo.service".to_vec()));
        let output = |command: &str| Output {
            kind: match command.starts_with("journalctl") {
                true => OutputKind::Journal.into(),
                false => OutputKind::File.into(),
            },
            path: None,
            deleted: false,
            foreign: false,
            inode: None,
            reader: None,
            command: Some(Untrusted(command.as_bytes().to_vec())).filter(|_| !command.is_empty()),
        };
        let mut logs = |stdout, stderr, at_start| {
            let (stdout, stderr) = (Some(output(stdout)), Some(output(stderr)));
            incident.victim.output = Some(Box::new(Outputs { stdout, stderr, at_start }));
            let told = on_its_host(&incident, None);
            told.iter().any(|command| command.starts_with("journalctl -u geo.service"))
        };
        assert!(logs("tail /l", "", false) && logs("", "tail /l", true));
        assert!(!logs("", "tail /l", false));
        let journal = "journalctl _PID=7";
        assert!(!logs(journal, "", false) && !logs("", journal, true), "the same log twice");
        incident.victim.unit = None;
        let mut of_pid = |kind: OutputKind, at_start| {
            let stderr = Some(Output { kind: kind.into(), ..output("") });
            incident.victim.output = Some(Box::new(Outputs { stdout: None, stderr, at_start }));
            on_its_host(&incident, None).iter().any(|one| one.starts_with("journalctl _PID="))
        };
        for kind in [OutputKind::Terminal, OutputKind::File, OutputKind::Null, OutputKind::Closed] {
            assert!(!of_pid(kind, false) && of_pid(kind, true), "{kind:?}");
        }
        assert!(of_pid(OutputKind::Pipe, false), "whoever reads it may log it");
    }

    #[test]
    fn the_log_is_where_it_is_kept() {
        let story = every_kind().into_iter().find_map(|record| match record {
            Record::Story(story) => Some(*story),
            _ => None,
        });
        let mut story = story.expect("a story");
        story.incident.victim.comm = Untrusted(b"geo api".to_vec());
        story.incident.victim.output = None;
        story.incident.victim.container = None;
        story.incident.victim.unit = Some(Untrusted(b"geo.service".to_vec()));
        story.pids = vec![7];
        (story.first, story.last) = (crate::contract::Time(0), crate::contract::Time(1));
        let commands = next(&story, " --state-dir x", None);
        assert!(
            commands.iter().any(|one| one.starts_with("journalctl -u geo.service -n 50 -U @")),
            "{commands:?}"
        );
        assert!(
            commands
                .iter()
                .any(|one| one
                    == "whybus list --comm 'geo api' -S 1970-01-01T00:00:00Z -U 1970-01-01T00:00:01Z --pid 7 --state-dir x"),
            "{commands:?}"
        );
        assert!(!commands.iter().any(|one| one.contains("--symbolize")), "{commands:?}");
        story.incident.signature = Some(Untrusted(b"+0x1142 in geo".to_vec()));
        let symbolize = format!("whybus show {} --symbolize", story.incident.id);
        assert!(next(&story, "", None).contains(&symbolize));
        story.incident.victim.unit = None;
        assert!(
            next(&story, "", None)
                .contains(&format!("journalctl _PID={}", story.incident.victim.pid))
        );
        // Of an earlier boot, and of another host; what is no id of a boot, as an import may have, is in no command.
        story.incident.boot_id = "1; true".into();
        let other = Here { name: story.incident.host.to_string(), boot_id: "b".into() };
        assert!(!next(&story, "", Some(&other)).iter().any(|one| one.contains("journalctl")));
        story.incident.boot_id = "019aa4d2-6f31-7abc-8def-000000000001".into();
        let here = |name: &str, boot_id: &str| Here { name: name.into(), boot_id: boot_id.into() };
        let (host, boot) = (story.incident.host.to_string(), story.incident.boot_id.to_string());
        assert_eq!(next(&story, "", Some(&here(&host, &boot))), next(&story, "", None));
        let earlier = next(&story, "", Some(&here(&host, "b")));
        let of_boot = format!(" _BOOT_ID={}", boot.replace('-', ""));
        assert!(earlier.iter().any(|one| one.starts_with("journalctl") && one.ends_with(&of_boot)));
        let there = next(&story, "", Some(&here("laptop", "b")));
        for (one, command) in there.iter().zip(&earlier) {
            let ours = command.starts_with("whybus ");
            let on =
                if ours { format!("here: {command}") } else { format!("on {host}: {command}") };
            assert_eq!(*one, on);
        }
        story.incident.victim.comm = Untrusted(b"\x1b[2J".to_vec());
        assert!(next(&story, "", None).iter().all(|one| !one.contains("2J")));
    }
}
