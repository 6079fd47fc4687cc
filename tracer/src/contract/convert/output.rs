//! Where a victim spoke to, and what to type to read that.
use super::{at, process::ancestor, text};
use crate::{
    contract::{Output, OutputKind, Outputs, Process, Time, Untrusted, log_command},
    correlate::incident::Incident,
    model::{
        output::{Output as Led, Outputs as Known},
        task::Ancestor,
    },
};

/// What was said so long before the end is read, ns.
const BEFORE: i64 = 60_000_000_000;

/// Those who write the logs of containers, as their `comm` is.
const RUNTIMES: [&[u8]; 3] = [b"conmon", b"containerd-shim", b"conmonrs"];

pub(super) fn outputs(incident: &Incident, victim: &Process) -> Option<Outputs> {
    let known: &Known = incident.victim_process.as_ref()?.outputs.as_deref()?;
    // Programs close their outputs as they exit (gnulib's close_stdout).
    let exited = incident.exit.is_some_and(|exit| exit.code & 0x7f == 0);
    let one = |led: &Option<Led>| {
        let led = led.as_ref().filter(|led| !(exited && **led == Led::Closed))?;
        Some(output(led, incident, victim))
    };
    let (stdout, stderr) = (one(&known.stdout), one(&known.stderr));
    Some(Outputs { stdout, stderr, at_start: known.at_start })
}

fn output(led: &Led, incident: &Incident, victim: &Process) -> Output {
    let mut out = Output {
        kind: OutputKind::Socket.into(),
        path: None,
        deleted: false,
        foreign: false,
        inode: None,
        reader: None,
        command: None,
    };
    let (kind, command) = match led {
        Led::Closed => (OutputKind::Closed, None),
        Led::Null => (OutputKind::Null, None),
        Led::Socket { inode } => {
            out.inode = Some(*inode);
            (OutputKind::Socket, None)
        }
        Led::Terminal { path } | Led::Device { path } => {
            out.path = Some(text(path));
            let terminal = matches!(led, Led::Terminal { .. });
            (if terminal { OutputKind::Terminal } else { OutputKind::Device }, None)
        }
        Led::File { path, deleted, of_host, written } => {
            out.path = Some(text(path));
            (out.deleted, out.foreign) = (*deleted, !of_host);
            // What was said may stand there; and who reads a FIFO takes away what it reads.
            let readable = *of_host && !deleted && *written;
            (OutputKind::File, readable.then(|| log_command::of_file(path)).flatten())
        }
        Led::Journal { namespace } => {
            (OutputKind::Journal, journal(namespace.as_deref(), incident))
        }
        Led::Pipe { inode, path, reader, outside } => {
            out.path = path.as_deref().map(text);
            out.reader = reader.as_ref().map(ancestor);
            let of_runtime = reader.as_ref().is_some_and(|by| RUNTIMES.contains(&&by.comm[..]));
            match of_runtime && *outside && is_begun_by(reader.as_ref(), victim) {
                true => (OutputKind::ContainerLog, log_command::of_container(victim)),
                false => {
                    out.inode = path.is_none().then_some(*inode);
                    (OutputKind::Pipe, None)
                }
            }
        }
    };
    out.kind = kind.into();
    out.command = command.map(|command| Untrusted(command.into_bytes()));
    out
}

/// Whether a victim is the first process of its container, and whoever reads from its pipe has started it. What is started
/// in a container later, as `docker exec` and probes do, speaks to whoever asked for that; its log has none of it.
fn is_begun_by(reader: Option<&Ancestor>, victim: &Process) -> bool {
    let contained = victim.container.is_some() || victim.pod.is_some();
    let parent = victim.ancestors.first().map(|parent| parent.pid);
    contained
        && victim.ns_pid == Some(1)
        && parent.is_some()
        && parent == reader.map(|by| by.id.tgid)
}

/// What it said last, by the pid that journald saw it write with.
fn journal(namespace: Option<&str>, incident: &Incident) -> Option<String> {
    let time = |ns| at(incident.clock, ns).0;
    let (id, exit) = (incident.victim.task.id, incident.exit.map(|exit| exit.time));
    let until = time(exit.unwrap_or(incident.last));
    let started = if id.start == 0 { i64::MIN } else { time(id.start) };
    let since = until.saturating_sub(BEFORE).min(time(incident.first)).max(started);
    log_command::of_process(id.tgid, namespace, Time(since), Time(until))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contract::{Container, Pod},
        model::{fact::Process as Found, process::Exit, task::ProcessId, time::ClockOffset},
        testing::actor,
    };

    const START: u64 = 1_000_000_000;
    const END: u64 = 90_500_000_000;

    fn incident(stderr: Led) -> Incident {
        let mut victim = actor(7);
        victim.task.id.start = START;
        let id = victim.task.id;
        let mut incident = Incident::new(String::new(), END - 1, victim, ClockOffset::default());
        incident.exit = Some(Exit { id, time: END, code: 7 });
        let known = Known { stderr: Some(stderr), ..Known::default() };
        incident.victim_process =
            Some(Found { outputs: Some(Box::new(known)), ..Found::unknown(id) });
        incident
    }

    fn victim(incident: &Incident) -> Process {
        super::super::seen_process(
            &incident.victim,
            incident.victim_process.as_ref(),
            incident.clock,
        )
    }

    fn told(incident: &Incident, victim: &Process) -> (String, Option<String>) {
        let told = outputs(incident, victim).and_then(|told| told.stderr).expect("one");
        let command = told.command.map(|command| String::from_utf8(command.0).expect("text"));
        (told.kind.name().to_owned(), command)
    }

    fn command(stderr: Led) -> Option<String> {
        let incident = incident(stderr);
        told(&incident, &victim(&incident)).1
    }

    fn file(path: &[u8]) -> Led {
        Led::File { path: path.to_vec(), deleted: false, of_host: true, written: true }
    }

    #[test]
    fn a_file_is_read_where_it_can_be() {
        let path = b"/var/log/a_b-1.log";
        assert_eq!(command(file(path)).as_deref(), Some("tail /var/log/a_b-1.log"));
        let but = |deleted, of_host, written| {
            let path = path.to_vec();
            command(Led::File { path, deleted, of_host, written })
        };
        assert_eq!(but(true, true, true), None);
        assert_eq!(but(false, false, true), None, "here it is another, or none");
        assert_eq!(but(false, true, false), None, "a FIFO, or nothing was said");
    }

    /// What people are shown is pasted into a shell: it does what it says, and nothing else.
    #[test]
    fn no_name_is_a_command() {
        let hostile = [
            &b"/tmp/'; touch pwned; '"[..],
            b"/tmp/\\'; touch pwned; \\'",
            b"/tmp/$(touch pwned)",
            b"/tmp/`touch pwned`",
            b"/tmp/a: touch pwned",
            b"/tmp/a\ntouch pwned",
            b"/tmp/a;touch${IFS}pwned",
            b"/tmp/*",
            b"/tmp/a b",
            b"/a\xff",
            b"/a\x1b[2J",
            b"/a\\b",
            "/\u{202e}a".as_bytes(),
        ];
        for path in hostile {
            assert_eq!(command(file(path)), None);
        }
        let dir = tempfile::tempdir().expect("a directory");
        let log = dir.path().join("log");
        std::fs::write(&log, "said\n").expect("room");
        let paths = hostile.into_iter().chain([log.as_os_str().as_encoded_bytes()]);
        let mut printed = Vec::new();
        for path in paths {
            let known = incident(file(path));
            let mut incident = crate::contract::samples::full_incident();
            incident.victim.output = outputs(&known, &victim(&known)).map(Box::new);
            for line in crate::explain::outputs::spoke(&incident, None) {
                let Some((_, command)) =
                    line.split_once(": ").filter(|(went, _)| !went.contains('\''))
                else {
                    continue;
                };
                let shell = |flags: &str| {
                    let mut shell = std::process::Command::new("sh");
                    shell.args([flags, command]).current_dir(dir.path()).output().expect("a shell")
                };
                assert!(shell("-nc").status.success(), "{command}");
                printed.push(shell("-c").stdout);
            }
        }
        assert_eq!(printed, [b"said\n"]);
        assert!(!dir.path().join("pwned").exists());
    }

    #[test]
    fn the_journal_is_asked_for_this_process_alone() {
        let journal =
            |namespace: Option<&str>| Led::Journal { namespace: namespace.map(Into::into) };
        let window = "_PID=7 --since '1970-01-01 00:00:30 UTC' --until '1970-01-01 00:01:32 UTC'";
        assert_eq!(command(journal(None)), Some(format!("journalctl {window}")));
        let of = Some(format!("journalctl --namespace=web {window}"));
        assert_eq!(command(journal(Some("web"))), of);
        assert_eq!(command(journal(Some("a b"))), None, "no other journal has it");
        // The pid was another's before.
        let mut young = incident(journal(None));
        young.victim.task.id = ProcessId { tgid: 7, start: END - START };
        let told = told(&young, &victim(&young)).1.expect("a command");
        assert!(told.contains("--since '1970-01-01 00:01:29 UTC'"), "{told}");
    }

    fn name(name: &str) -> Option<Untrusted> {
        Some(Untrusted(name.as_bytes().to_vec()))
    }

    fn piped(comm: &[u8], outside: bool) -> Incident {
        let id = ProcessId { tgid: 5, start: 1 };
        let reader = Some(Ancestor { id, comm: comm.to_vec() });
        incident(Led::Pipe { inode: 9, path: None, reader, outside })
    }

    /// The first process of a container, which process 5 started.
    fn contained(incident: &Incident, runtime: &str) -> Process {
        let (id, runtime) = ("0123".into(), Some(runtime.into()));
        let container = Some(Container { id, runtime, name: name("web"), image: None });
        let parent = crate::contract::Ancestor { pid: 5, comm: Untrusted(b"conmon".to_vec()) };
        Process { container, ns_pid: Some(1), ancestors: vec![parent], ..victim(incident) }
    }

    #[test]
    fn a_container_has_a_log() {
        let incident = piped(b"conmon", true);
        let mut victim = contained(&incident, "podman");
        let log = |told: &str| ("container-log".to_owned(), Some(told.to_owned()));
        assert_eq!(told(&incident, &victim), log("podman logs --tail 50 0123"));
        victim.cgroup = name("/user.slice/user-7.slice/user@7.service/app.slice/libpod-x.scope");
        assert_eq!(told(&incident, &victim), ("container-log".to_owned(), None));
        let incident = piped(b"containerd-shim", true);
        let mut victim = contained(&incident, "containerd");
        assert_eq!(told(&incident, &victim).1, None);
        victim.pod = Some(Pod { uid: "u".into(), qos: None, name: None, namespace: name("shop") });
        assert_eq!(told(&incident, &victim), log("crictl logs --tail 50 0123"));
        victim.container.as_mut().expect("one").id = "$(id)".into();
        assert_eq!(told(&incident, &victim), ("container-log".to_owned(), None));
    }

    #[test]
    fn what_is_run_in_a_container_does_not_speak_to_its_log() {
        let pipe = ("pipe".to_owned(), None);
        let incident = piped(b"containerd-shim", true);
        let first = contained(&incident, "docker");
        assert_eq!(told(&incident, &first).0, "container-log");
        let exec = Process { ns_pid: Some(7), ..first.clone() };
        let nested = Process { ancestors: Vec::new(), ..first.clone() };
        let host = Process { container: None, ..first.clone() };
        for other in [exec, nested, host] {
            assert_eq!(told(&incident, &other), pipe);
        }
        assert_eq!(
            told(&piped(b"containerd-shim", false), &first),
            pipe,
            "a child that is called so"
        );
        assert_eq!(told(&piped(b"tee", true), &first), pipe);
    }
}
