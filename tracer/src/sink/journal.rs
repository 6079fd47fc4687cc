//! The systemd journal: one record an incident, in its native protocol (systemd's
//! JOURNAL_NATIVE_PROTOCOL.md), as systemd-coredump does it.
use std::os::unix::net::UnixDatagram;

use anyhow::Result;

use crate::{
    contract::{Incident, Process, Untrusted},
    error::Failure,
    explain::phrase::{because_of, headline, who},
    model::{cause::Outcome, cgroup::is_of_user},
    sink::speak::say,
};

const SOCKET: &str = "/run/systemd/journal/socket";
/// `journalctl MESSAGE_ID=…` finds what whybus told, of whatever version. Never changes.
pub const MESSAGE_ID: &str = "6f1c0d7a2b9e4f7c8a35d2e94b1f6c08";
/// LOG_ERR, and LOG_WARNING for what was survived.
const ERROR: &str = "3";
const WARNING: &str = "4";

/// The journal's socket.
pub struct Journal {
    socket: UnixDatagram,
    /// It was said that a record was not taken.
    complained: bool,
}

impl Journal {
    /// # Errors
    /// Where there is no journal.
    pub fn open() -> Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(SOCKET).map_err(|error| {
            Failure::usage(format!(
                "no systemd journal to write to: connecting to {SOCKET}: {error}; leave --journal out"
            ))
        })?;
        // A journal that hangs must not hold us up.
        socket.set_nonblocking(true)?;
        Ok(Self { socket, complained: false })
    }

    /// Sends one incident; the history has it whether the journal takes it or not.
    pub fn send(&mut self, incident: &Incident) {
        let sent = self.socket.send(&encode(&fields(incident))).or_else(|_| {
            // journald was started anew: its socket is another one.
            self.socket.connect(SOCKET)?;
            self.socket.send(&encode(&fields(incident)))
        });
        match sent {
            Ok(_) => self.complained = false,
            Err(error) if !self.complained => {
                self.complained = true;
                say(format_args!("whybus: the journal did not take a record: {error}"));
            }
            Err(_) => {}
        }
    }
}

/// Where `journalctl -u UNIT` finds it among the unit's own lines (systemd, logs-show.c add_matches_for_unit). What a user
/// calls a unit of his own is none of the host's.
fn unit_field(victim: &Process) -> &'static str {
    match victim.cgroup.as_ref().is_some_and(|cgroup| is_of_user(&cgroup.0)) {
        true => "OBJECT_SYSTEMD_USER_UNIT",
        false => "OBJECT_SYSTEMD_UNIT",
    }
}

type Fields = Vec<(&'static str, Vec<u8>)>;

/// What the journal is told.
fn fields(incident: &Incident) -> Fields {
    let mut fields: Fields = Vec::new();
    let mut put = |name, value: &[u8]| fields.push((name, value.to_vec()));
    let victim = &incident.victim;
    // A core dump may take minutes: it is dead all the same.
    let alive = !matches!(incident.outcome.known(), Outcome::Killed | Outcome::Exited);
    let message = format!("{} {}: {}", who(victim), headline(incident), because_of(incident));
    put("MESSAGE", message.as_bytes());
    put("MESSAGE_ID", MESSAGE_ID.as_bytes());
    put("PRIORITY", if alive { WARNING } else { ERROR }.as_bytes());
    put("SYSLOG_IDENTIFIER", b"whybus");
    put("WHYBUS_ID", incident.id.as_bytes());
    put("WHYBUS_CLASS", incident.cause.class.name().as_bytes());
    put("WHYBUS_CONFIDENCE", incident.cause.confidence.name().as_bytes());
    put("WHYBUS_OUTCOME", incident.outcome.name().as_bytes());
    if let Some(signature) = &incident.signature {
        put("WHYBUS_SIGNATURE", &signature.0);
    }
    put("WHYBUS_PID", victim.pid.to_string().as_bytes());
    put("WHYBUS_UID", victim.uid.to_string().as_bytes());
    put("WHYBUS_COMM", &victim.comm.0);
    if let Some(args) = &victim.cmdline {
        put("WHYBUS_CMDLINE", &joined(args));
    }
    if let Some(exe) = &victim.exe {
        put("WHYBUS_EXE", &exe.0);
    }
    if let Some(cgroup) = &victim.cgroup {
        put("WHYBUS_CGROUP", &cgroup.0);
    }
    if let Some(container) = &victim.container {
        put("WHYBUS_CONTAINER", container.id.as_bytes());
        for (name, value) in
            [("WHYBUS_CONTAINER_NAME", &container.name), ("WHYBUS_IMAGE", &container.image)]
        {
            if let Some(value) = value {
                put(name, &value.0);
            }
        }
    }
    if let Some(pod) = &victim.pod {
        put("WHYBUS_POD_UID", pod.uid.as_bytes());
        for (name, value) in [("WHYBUS_POD", &pod.name), ("WHYBUS_NAMESPACE", &pod.namespace)] {
            if let Some(value) = value {
                put(name, &value.0);
            }
        }
    }
    if let Some(unit) = &victim.unit {
        put("WHYBUS_UNIT", &unit.0);
        put(unit_field(victim), &unit.0);
    }
    if let Some(signal) = &incident.signal {
        put("WHYBUS_SIGNAL", signal.number.to_string().as_bytes());
        put("WHYBUS_SIGNAL_NAME", signal.name.as_bytes());
    }
    if let Some(status) = incident.status() {
        put("WHYBUS_EXIT", status.to_string().as_bytes());
    }
    if let Some(path) = incident.path() {
        put("WHYBUS_PATH", &path.0);
    }
    if let Some(file) = &incident.file {
        put("WHYBUS_FILE_SIZE", file.size.to_string().as_bytes());
    }
    if let Some(offset) = incident.fault.as_ref().and_then(|fault| fault.file_offset) {
        put("WHYBUS_FILE_OFFSET", offset.to_string().as_bytes());
    }
    if let Some(culprit) = &incident.cause.culprit {
        put("WHYBUS_CULPRIT_PID", culprit.pid.to_string().as_bytes());
        put("WHYBUS_CULPRIT_COMM", &culprit.comm.0);
        if let Some(args) = &culprit.cmdline {
            put("WHYBUS_CULPRIT_CMDLINE", &joined(args));
        }
    }
    put("WHYBUS_ADVICE", incident.advice.as_bytes());
    fields
}

fn joined(args: &[Untrusted]) -> Vec<u8> {
    args.iter().map(|arg| &arg.0[..]).collect::<Vec<_>>().join(&b' ')
}

/// `NAME=value`, or where the value holds a newline its length in front of it.
fn encode(fields: &Fields) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.extend_from_slice(name.as_bytes());
        if value.contains(&b'\n') {
            out.push(b'\n');
            out.extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            out.push(b'=');
        }
        out.extend_from_slice(value);
        out.push(b'\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contract::samples::incident,
        model::{cause::CauseKind, cgroup::unit},
    };

    #[test]
    fn a_newline_cannot_make_a_field_of_its_own() {
        let told = encode(&vec![("A", b"x".to_vec()), ("B", b"y\nMESSAGE=forged".to_vec())]);
        assert_eq!(told, b"A=x\nB\n\x10\0\0\0\0\0\0\0y\nMESSAGE=forged\n");
    }

    /// Who has a cgroup of his own may call a unit in it as he likes.
    #[test]
    fn a_unit_of_a_user_is_none_of_the_host() {
        let units = |cgroup: &str| -> Vec<&str> {
            let mut of_user = incident(CauseKind::Sent, 9);
            of_user.victim.cgroup = Some(Untrusted(cgroup.into()));
            of_user.victim.unit = unit(cgroup.as_bytes()).map(Into::into);
            let told = fields(&of_user).into_iter().filter(|(_, value)| value == b"nginx.service");
            told.map(|(name, _)| name).filter(|name| name.starts_with("OBJECT_")).collect()
        };
        assert_eq!(units("/system.slice/nginx.service"), ["OBJECT_SYSTEMD_UNIT"]);
        let forged = "/user.slice/user-65534.slice/user@65534.service/nginx.service";
        assert_eq!(units(forged), ["OBJECT_SYSTEMD_USER_UNIT"]);
        let sliced = "/user.slice/user-65534.slice/user@65534.service/app.slice/nginx.service";
        assert_eq!(units(sliced), ["OBJECT_SYSTEMD_USER_UNIT"]);
    }

    /// journalctl prints what stands for a field as it is: nothing that a process can choose.
    #[test]
    fn the_catalog_names_only_what_every_record_has_and_nobody_chooses() {
        let catalog = include_str!("../../../packaging/whybus.catalog");
        assert!(catalog.contains(&format!("\n-- {MESSAGE_ID}\nSubject: ")));
        let fields = fields(&incident(CauseKind::Unknown, 9));
        let safe = ["WHYBUS_PID", "WHYBUS_CLASS", "WHYBUS_CONFIDENCE", "WHYBUS_ID"];
        let named: Vec<&str> = catalog.split('@').skip(1).step_by(2).collect();
        assert!(named.len() > 4, "{named:?}");
        for name in named {
            assert!(
                safe.contains(&name) && fields.iter().any(|(field, _)| *field == name),
                "{name}"
            );
        }
    }

    #[test]
    fn an_incident_has_its_fields() {
        let fields = fields(&incident(CauseKind::Sent, 9));
        let of = |name: &str| fields.iter().find(|(n, _)| *n == name).map(|(_, v)| &v[..]);
        assert_eq!(of("MESSAGE"), Some(&b"geo-api[10] SIGKILL, killed: as it was; by sv[5]"[..]));
        assert_eq!(
            (of("WHYBUS_EXIT"), of("WHYBUS_CULPRIT_COMM")),
            (Some(&b"137"[..]), Some(&b"sv"[..]))
        );
    }
}
