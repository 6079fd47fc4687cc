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
        incident::{File, Incident, Outcome, Truncation, ancestors, cmdline},
        rules::{Class, Confidence, truncated::how},
    },
    event::model::{Actor, Blind, Host, How, Mapper, Mode, Process, Shrink},
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
    // Hooks that are missing for one thing together are told together.
    for (i, blind) in host.blind.iter().enumerate() {
        let same = |other: &&Blind| other.causes == blind.causes;
        if host.blind[..i].iter().any(|other| same(&other)) {
            continue;
        }
        let hooks: Vec<&str> =
            host.blind.iter().filter(same).map(|blind| blind.hook.as_str()).collect();
        let hooks = hooks.join(", ");
        let what = format!("{hooks} ({}); blind for: {}", blind.reason, blind.causes);
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
    if let Some(text) = incident.file.as_ref().and_then(seen_as) {
        field("", &text);
    }
    if let Some(text) = mount(incident) {
        field("mount", &text);
    }
    if let Some(path) = &incident.mapped {
        field("mapping", &format!("{}, by /proc: the fault itself was not seen", escape(path)));
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
    if let Some(actor) = incident.culprit() {
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
        field("others", &also(other, incident));
    }
    let victim = incident.victim.task.id.tgid;
    let warned = incident.truncation.as_ref().map(|warning| &warning.at_risk);
    if let Some(at_risk) = warned.filter(|list| list.iter().any(|m| m.id.tgid != victim)) {
        let text = mappers(at_risk, Some(victim));
        field("also", &format!("at risk, they map this file too: {text}"));
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

/// The early warning: a mapped file was shrunk.
pub fn truncation(truncation: &Truncation, host: &Host, style: &Style) -> Vec<u8> {
    let shrink = &truncation.shrink;
    let remote = shrink.how == How::Remote;
    let what = if remote {
        "a mapped file was shrunk elsewhere".to_owned()
    } else {
        format!("{} shrinks a mapped file", style.paint("1", &who(&shrink.actor)))
    };
    let mut out =
        format!("\n{}  {} {what}\n", style.at(host, shrink.begin), style.paint("33", "warning"));
    let mut field = |name: &str, text: &str| {
        out.push_str(&format!("  {} {text}\n", style.paint("36", &format!("{name:<8}"))));
    };
    let path = truncation.path.as_deref().map_or_else(|| "(name unknown)".to_owned(), escape);
    let (old, new) = (size(shrink.inode.size), size(shrink.new_size));
    field("file", &format!("{path}  {old} → {new} by {}", how(shrink.how)));
    if !remote {
        let process = truncation.process.as_ref();
        let args = cmdline(&shrink.actor, process).map(command);
        field("by", args.as_deref().unwrap_or("(command line unknown)"));
        field("", &lineage(&shrink.actor, process));
    }
    field("at risk", &mappers(&truncation.at_risk, None));
    if let Some(why) = &truncation.why {
        field("note", why);
    }
    out.into_bytes()
}

/// `geo-api[1240], nginx[980] and 7 more`
pub fn mappers(mappers: &[Mapper], but: Option<u32>) -> String {
    const SHOWN: usize = 12;
    let others = || mappers.iter().filter(|mapper| Some(mapper.id.tgid) != but);
    let shown: Vec<String> =
        others().take(SHOWN).map(|m| format!("{}[{}]", escape(&m.comm), m.id.tgid)).collect();
    match others().count().saturating_sub(SHOWN) {
        0 if shown.is_empty() => "nobody was found".to_owned(),
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
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

/// Calls that nobody looked at.
pub fn missed(hook: &str, calls: u64, style: &Style) -> Vec<u8> {
    let text = format!(
        "{hook} was not looked at {calls} times, because its program was running already on that CPU; \
         few such calls matter"
    );
    format!("{}\n", style.paint("33", &text)).into_bytes()
}

/// The last line.
pub fn end(counts: &Counts, host: &Host, now: u64, reason: &str) -> Vec<u8> {
    let mut lost = match counts.lost {
        0 => "nothing lost".to_owned(),
        lost => format!("{lost} events lost"),
    };
    if counts.missed != 0 {
        lost.push_str(&format!(" · {} calls not looked at", counts.missed));
    }
    if counts.not_warned != 0 {
        lost.push_str(&format!(" · {} shrinks without a warning: too many", counts.not_warned));
    }
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
            let code = incident.exit.map_or(0, |exit| exit.code);
            match code & 0x7f {
                0 => format!("SIGBUS, its handler ended it with status {}", code >> 8 & 0xff),
                signal => format!("SIGBUS, its handler ended it by signal {signal}"),
            }
        }
        Outcome::Survived => match incident.exit.map(|exit| exit.code) {
            None => "SIGBUS, handled, lives on".to_owned(),
            Some(code) if code & 0x7f == 0 => {
                format!("SIGBUS, handled; ended later with status {}", code >> 8 & 0xff)
            }
            Some(code) => format!("SIGBUS, handled; ended later by signal {}", code & 0x7f),
        },
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

/// What is mounted where, if that is what matters.
fn mount(incident: &Incident) -> Option<String> {
    let matters = matches!(
        incident.cause.class,
        Class::ShrunkElsewhere
            | Class::NoSpace
            | Class::Quota
            | Class::ShmFull
            | Class::ReadError
            | Class::StaleHandle
            | Class::FuseGone
            | Class::Unknown
    );
    let mount = incident.file.as_ref().filter(|file| matters && !file.foreign)?.mount.as_ref()?;
    let source = mount.source.as_deref().map_or_else(|| "(unknown)".to_owned(), escape);
    Some(format!("{source} on {}", escape(&mount.point)))
}

/// Where a victim in another mount namespace has its file, and what it is called here.
fn seen_as(file: &File) -> Option<String> {
    let mount = file.mount.as_ref().filter(|_| file.foreign)?;
    let source =
        mount.source.as_deref().map_or_else(String::new, |s| format!(" from {}", escape(s)));
    let here = match &file.outside {
        Some(path) => format!("; here it is {}", escape(path)),
        None => "; it is not mounted here".to_owned(),
    };
    Some(format!("as the victim sees it, mounted at {}{source}{here}", escape(&mount.point)))
}

fn touch(incident: &Incident, host: &Host) -> Option<String> {
    let fault = incident.fault.as_ref()?;
    let Some(offset) = incident.file_offset(host.page_size) else {
        let mapping = fault.mapping().map_or_else(|| "anonymous memory".to_owned(), |m| escape(&m));
        let access = json::access(fault.access).map_or_else(String::new, |a| format!("{a} in "));
        return Some(format!("{access}{mapping}, at {:#x}", fault.address));
    };
    let access =
        json::access(fault.access).map_or_else(String::new, |access| format!("{access} at "));
    if incident.cause.class == Class::DeviceMapping {
        return Some(format!("{access}offset {} ({offset}) of what it maps", size(offset)));
    }
    Some(format!(
        "{access}offset {} ({offset}) of a file that is now {}",
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
