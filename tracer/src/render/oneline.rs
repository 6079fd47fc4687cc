//! One line an incident, for logs and grep.
use crate::{
    contract::{Incident, Truncation},
    explain::{
        frames::failed_in,
        phrase::{
            blamed_server, culprit, headline, mapped_by, repeated, restarted, verb, which_server,
            who,
        },
        whereabouts::{limited, origin},
    },
    model::cause::{CauseKind, Confidence},
    render::{human::Style, warning::warned_path},
    text::{escape::escape, format::size},
};

/// `10:03:07.121 geo-api[1234] SIGBUS, killed: truncated /efs/x at 52.1 MiB by cp[5678]`
pub fn incident(incident: &Incident, style: &Style) -> Vec<u8> {
    let cause = &incident.cause;
    let mut out = format!(
        "{} {} {}{}",
        style.stamp(incident.time),
        who(&incident.victim),
        headline(incident),
        style.host(&incident.host),
    );
    // The headline of who exited says so already.
    if cause.class.known() != CauseKind::Exited {
        out.push_str(&format!(": {}", cause.class.name()));
    }
    let path = incident.path().map(|path| escape(&path.0));
    if incident.file.is_some() || path.is_some() {
        out.push_str(&format!(" {}", path.as_deref().unwrap_or("(name unknown)")));
    }
    let of_file = cause.class.known() != CauseKind::DeviceMapping;
    if let Some(offset) =
        incident.fault.as_ref().and_then(|fault| fault.file_offset).filter(|_| of_file)
    {
        out.push_str(&format!(" at {}", size(offset)));
    }
    if let Some((old, new)) = cause.old_size.zip(cause.new_size).filter(|(old, new)| old != new) {
        out.push_str(&format!(", {} → {}", size(old), size(new)));
    }
    if let Some(function) = failed_in(incident) {
        out.push_str(&format!(" in {function}"));
    }
    if let Some(memory) = &cause.memory {
        out.push_str(&format!(", {}", limited(memory, &incident.victim)));
    }
    if let Some(culprit) = culprit(incident) {
        let sep = if cause.class.known().cause().is_act() { "" } else { ";" };
        out.push_str(&format!("{sep} {} {}{}", verb(incident), who(culprit), origin(culprit)));
    }
    if let Some(server) = blamed_server(incident) {
        out.push_str(&format!(", served by {}", which_server(server)));
    }
    out.push_str(&repeated(incident));
    if let Some(restart) = &incident.restart {
        out.push_str(&format!("; restarted {}", restarted(restart)));
    }
    if cause.confidence.known() == Confidence::Likely {
        out.push_str(" (likely)");
    }
    if !incident.complete {
        out.push_str(" (incomplete)");
    }
    let label = if style.history { "id " } else { "" };
    out.push_str(&format!(" {label}{}\n", style.reference(incident)));
    out.into_bytes()
}

/// What became of an incident that was told already: `10:03:08.130 geo-api[1234] SIGBUS, killed; restarted as pid 1240 …`
pub fn update(incident: &Incident, style: &Style) -> Vec<u8> {
    let restart = incident.restart.as_ref();
    let ended = incident.exit.as_ref().map_or(incident.last, |exit| exit.time);
    let last = restart.map_or(ended, |restart| restart.time);
    let restart = restart.map_or_else(String::new, |one| format!("; restarted {}", restarted(one)));
    format!(
        "{} {} {}{}{restart} {}\n",
        style.stamp(last),
        who(&incident.victim),
        headline(incident),
        repeated(incident),
        style.reference(incident),
    )
    .into_bytes()
}

/// `10:03:07.121 warning: /efs/x, 75.2 MiB → 0 B by cp[5678]: mapped by geo-api[1234]`
pub fn truncation(truncation: &Truncation, style: &Style) -> Vec<u8> {
    let culprit = truncation.culprit.as_ref();
    let (label, at_risk) = match truncation.is_warning() {
        true => ("warning", format!("mapped by {}", mapped_by(&truncation.at_risk))),
        false if truncation.at_risk_why.is_some() => {
            ("shrink", "who maps it is not known".to_owned())
        }
        false => ("shrink", "other hosts may map it".to_owned()),
    };
    format!(
        "{} {label}{}: {}, {} → {} {}: {at_risk}\n",
        style.stamp(truncation.time),
        style.host(&truncation.host),
        warned_path(truncation),
        size(truncation.old_size),
        size(truncation.new_size),
        match (culprit, &truncation.file.server) {
            (Some(culprit), _) => format!("by {}", who(culprit)),
            (None, Some(server)) => format!("reported by its server, {}", which_server(server)),
            (None, None) => "elsewhere".to_owned(),
        },
    )
    .into_bytes()
}
