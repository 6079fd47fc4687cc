//! One line an incident, for logs and grep.
use jiff::tz::TimeZone;

use super::{
    escape::escape,
    format::{clock, size},
    human::{headline, mappers, who},
};
use crate::{
    correlate::incident::{Incident, Truncation},
    event::model::{Host, How},
};

/// `10:03:07.121 geo-api[1234] SIGBUS, killed: truncated /efs/x at 52.1 MiB by cp[5678]`
pub fn incident(incident: &Incident, host: &Host, zone: &TimeZone) -> Vec<u8> {
    let wall = host.wall.saturating_add(i64::try_from(incident.first).unwrap_or(i64::MAX));
    let mut out = format!(
        "{} {} {}: {}",
        clock(wall, zone),
        who(&incident.victim),
        headline(incident),
        incident.cause.class.name(),
    );
    if let Some(file) = &incident.file {
        let path = file.path.as_deref().map_or_else(|| "(name unknown)".to_owned(), escape);
        out.push_str(&format!(" {path}"));
    }
    if let Some(offset) = incident.file_offset(host.page_size) {
        out.push_str(&format!(" at {}", size(offset)));
    }
    let cause = &incident.cause;
    if let Some(shrink) = &cause.shrink {
        out.push_str(&format!(", {} → {}", size(shrink.inode.size), size(shrink.new_size)));
    }
    if let Some(culprit) = incident.culprit() {
        out.push_str(&format!(" by {}", who(culprit)));
    }
    if incident.count > 1 {
        out.push_str(&format!(", {} times", incident.count));
    }
    if incident.lost != 0 {
        out.push_str(" (incomplete)");
    }
    out.push_str(&format!(" #{}\n", incident.number));
    out.into_bytes()
}

/// `10:03:07.121 warning: /efs/x, 75.2 MiB → 0 B by cp[5678]: mapped by geo-api[1234]`
pub fn truncation(truncation: &Truncation, host: &Host, zone: &TimeZone) -> Vec<u8> {
    let shrink = &truncation.shrink;
    let wall = host.wall.saturating_add(i64::try_from(shrink.begin).unwrap_or(i64::MAX));
    let path = truncation.path.as_deref().map_or_else(|| "(name unknown)".to_owned(), escape);
    let by = match shrink.how {
        How::Remote => "elsewhere".to_owned(),
        _ => format!("by {}", who(&shrink.actor)),
    };
    format!(
        "{} warning: {path}, {} → {} {by}: mapped by {}\n",
        clock(wall, zone),
        size(shrink.inode.size),
        size(shrink.new_size),
        mappers(&truncation.at_risk, None),
    )
    .into_bytes()
}
