//! The answer as a person wants to read it at three in the morning.
use jiff::tz::TimeZone;

use super::{
    escape::{command, escape},
    format::{clock, duration, size},
    json,
};
use crate::{
    correlate::{
        engine::{Counts, Gap},
        incident::{Incident, Outcome, ancestors, cmdline},
        rules::{Class, Confidence},
    },
    event::model::{Actor, Host, Mode, Process, Shrink},
};

/// How to print.
#[derive(Clone)]
pub struct Style {
    pub colour: bool,
    pub zone: TimeZone,
}

impl Style {
    fn paint(&self, sgr: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{sgr}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn at(&self, host: &Host, ns: u64) -> String {
        let ns = i64::try_from(ns).unwrap_or(i64::MAX);
        clock(host.wall.saturating_add(ns), &self.zone)
    }
}

/// The line that says what is watched, and one for each thing that is not.
pub fn watching(host: &Host, style: &Style) -> Vec<u8> {
    let mut out = format!(
        "watching {} hooks on {} · complete since {}\n",
        host.hooks.len(),
        escape(host.release.as_bytes()),
        style.at(host, host.since),
    );
    for blind in &host.blind {
        let what = format!("{} ({}); blind for: {}", blind.hook, blind.reason, blind.causes);
        out.push_str(&format!("{} {}\n", style.paint("33", "missing"), escape(what.as_bytes())));
    }
    out.into_bytes()
}

/// The whole answer, an indented block.
pub fn incident(incident: &Incident, host: &Host, style: &Style) -> Vec<u8> {
    let task = &incident.victim.task;
    let mut out = format!(
        "\n{}  {} {}  {}\n",
        style.at(host, incident.first),
        style.paint("1", &who(&incident.victim)),
        style.paint("31", &headline(incident)),
        style.paint("2", &format!("#{}", incident.number)),
    );
    let mut field = |name: &str, text: &str| {
        out.push_str(&format!("  {} {text}\n", style.paint("36", &format!("{name:<8}"))));
    };
    if let Some(text) = file(incident) {
        field("file", &text);
    }
    if let Some(text) = touch(incident, host) {
        field("touched", &text);
    }
    let verdict = &incident.cause;
    let certainty = match verdict.confidence {
        Confidence::Proven => String::new(),
        Confidence::Likely => " (likely)".to_owned(),
        Confidence::Unknown => " (not determined)".to_owned(),
    };
    field("cause", &format!("{}{certainty}", verdict.summary));
    let culprit = verdict.shrink.as_ref().map(|shrink| &shrink.actor).or_else(|| {
        let sent = verdict.class == Class::Sent;
        incident.signal.as_ref().filter(|_| sent).map(|signal| &signal.sender)
    });
    if let Some(actor) = culprit {
        let process = incident.culprit_process.as_ref();
        let args = cmdline(actor, process).map(command);
        let args = args.unwrap_or_else(|| "(command line unknown)".to_owned());
        field("by", &format!("{}  {args}", style.paint("1", &who(actor))));
        field("", &lineage(actor, process));
    }
    let path = incident.file.as_ref().and_then(|file| file.path.as_ref());
    if let Some(other) = incident.culprit_path.as_ref().filter(|other| path != Some(*other)) {
        field("", &format!("which knew the file as {}", escape(other)));
    }
    for other in &verdict.others {
        field("also", &also(other, incident));
    }
    let args = cmdline(&incident.victim, incident.victim_process.as_ref()).map(command);
    let mut victim = args.unwrap_or_else(|| "(command line unknown)".to_owned());
    if let Some(ns) = task.ns_tgid.filter(|ns| *ns != task.id.tgid) {
        victim.push_str(&format!("  (pid {ns} in its namespace)"));
    }
    field("victim", &victim);
    field("", &lineage(&incident.victim, incident.victim_process.as_ref()));
    field("fix", verdict.advice);
    if incident.lost != 0 {
        let text = format!("incomplete: {} events that may concern this were lost", incident.lost);
        field("note", &style.paint("33", &text));
    }
    out.into_bytes()
}

/// What became of an incident that was told already.
pub fn update(incident: &Incident, host: &Host, style: &Style) -> Vec<u8> {
    let count = match incident.count {
        1 => String::new(),
        count => format!(", {count} times"),
    };
    let last = incident.exit.map_or(incident.last, |exit| exit.time);
    format!(
        "{}  {} {}{count}  {}\n",
        style.at(host, last),
        who(&incident.victim),
        headline(incident),
        style.paint("2", &format!("#{}", incident.number)),
    )
    .into_bytes()
}

/// Events that are missing.
pub fn loss(gap: &Gap, host: &Host, style: &Style) -> Vec<u8> {
    let text = format!(
        "lost {} {} events on cpu {} between {} and {}",
        gap.count,
        json::ring(gap.ring),
        gap.cpu,
        style.at(host, gap.from),
        style.at(host, gap.to),
    );
    format!("{}\n", style.paint("33", &text)).into_bytes()
}

/// The last line.
pub fn end(counts: &Counts, host: &Host, now: u64, reason: &str) -> Vec<u8> {
    let lost = match counts.lost {
        0 => "nothing lost".to_owned(),
        lost => format!("{lost} events lost"),
    };
    format!(
        "\n{reason} after {} · {} bus {}, {} explained · {lost}\n",
        duration(now.saturating_sub(host.since)),
        counts.incidents,
        if counts.incidents == 1 { "error" } else { "errors" },
        counts.explained,
    )
    .into_bytes()
}

/// `name[pid]`
pub fn who(actor: &Actor) -> String {
    format!("{}[{}]", escape(&actor.task.comm), actor.task.id.tgid)
}

/// What happened to the victim, in a few words.
pub fn headline(incident: &Incident) -> String {
    let mode = incident.fault.as_ref().map(|fault| fault.mode);
    match incident.outcome {
        Outcome::Efault if mode == Some(Mode::Remote) => {
            let owner = incident.fault.as_ref().and_then(|fault| fault.owner_tgid);
            let owner = owner.map_or_else(String::new, |tgid| format!(" of process {tgid}"));
            format!("failed to read the memory{owner} (EFAULT, no signal)")
        }
        Outcome::Efault => "got EFAULT from a system call, no signal".to_owned(),
        Outcome::Killed => {
            let core = incident.exit.is_some_and(|exit| exit.code & 0x80 != 0);
            format!("SIGBUS, killed{}", if core { " (core dumped)" } else { "" })
        }
        Outcome::Exited => {
            let code = incident.exit.map_or(0, |exit| exit.code >> 8 & 0xff);
            format!("SIGBUS, its handler ended it with status {code}")
        }
        Outcome::Survived => "SIGBUS, handled, lives on".to_owned(),
        Outcome::Pending => "SIGBUS, outcome not seen".to_owned(),
    }
}

fn file(incident: &Incident) -> Option<String> {
    let (fault, file) = (incident.fault.as_ref()?, incident.file.as_ref()?);
    let path = file.path.as_deref().map_or_else(|| "(name unknown)".to_owned(), escape);
    let deleted = if file.deleted { " (deleted)" } else { "" };
    let fstype =
        file.fstype(fault.inode.magic).map_or_else(String::new, |name| escape(&name) + " ");
    let why = file.why.map_or_else(String::new, |why| format!("; {why}"));
    let id = fault.inode.id;
    Some(format!("{path}{deleted}  ({fstype}{}, inode {}{why})", id.dev, id.ino))
}

fn touch(incident: &Incident, host: &Host) -> Option<String> {
    let fault = incident.fault.as_ref()?;
    let Some(offset) = incident.file_offset(host.page_size) else {
        let mapping = fault.mapping().map_or_else(|| "anonymous memory".to_owned(), |m| escape(&m));
        return Some(format!(
            "{} in {mapping}, at {:#x}",
            json::access(fault.access),
            fault.address
        ));
    };
    Some(format!(
        "{} at offset {} ({offset}) of a file that is now {}",
        json::access(fault.access),
        size(offset),
        size(fault.inode.size),
    ))
}

/// `cron[1] → update.sh[5670] → cp[5678]   uid 0`
fn lineage(actor: &Actor, process: Option<&Process>) -> String {
    let parents = ancestors(actor, process).iter().rev();
    let mut chain: Vec<String> =
        parents.map(|parent| format!("{}[{}]", escape(&parent.comm), parent.id.tgid)).collect();
    chain.push(who(actor));
    let cgroup = process.and_then(|process| process.cgroup.as_deref());
    let cgroup = cgroup.filter(|path| *path != b"/");
    let cgroup = cgroup.map_or_else(String::new, |path| format!("   cgroup {}", escape(path)));
    format!("{}   uid {}{cgroup}", chain.join(" → "), actor.task.uid)
}

fn also(other: &Shrink, incident: &Incident) -> String {
    format!(
        "{} shrank it {} → {}, {} earlier; that is not what removed this offset",
        who(&other.actor),
        size(other.inode.size),
        size(other.new_size),
        duration(incident.first.saturating_sub(other.begin)),
    )
}
