//! The answer as a person wants to read it at three in the morning.
use jiff::tz::TimeZone;

use crate::{
    contract::{self, Incident, Restart, Time},
    correlate::{
        incident::Truncation,
        update::{Counts, Loss},
    },
    model::{
        cause::{CauseKind, Confidence, Outcome},
        fact::Mapper,
        host::Host,
        observe::Uncovered,
        process::ExitScope,
        shrink::{ShrinkKind, how},
        signal_name as signals,
        task::Actor,
    },
    render::json,
    store::sqlite::write::Gap,
    text::{
        escape::{command, escape},
        format::{clock, date, duration, size},
    },
};

/// How to print.
#[derive(Clone)]
pub struct Style {
    pub colour: bool,
    pub zone: TimeZone,
    /// Of days gone by: times with their dates, incidents by the start of their id.
    pub history: bool,
}

impl Style {
    /// What `show` and `why` find an incident by.
    pub fn reference(&self, incident: &Incident) -> String {
        if self.history { short(&incident.id) } else { format!("#{}", incident.number) }
    }

    pub fn time(&self, time: Time) -> String {
        if self.history { date(time.0, &self.zone) } else { clock(time.0, &self.zone) }
    }

    pub fn paint(&self, sgr: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{sgr}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn at(&self, host: &Host, ns: u64) -> String {
        clock(host.clock.realtime(ns), &self.zone)
    }
}

/// As much of an id as tells incidents apart: its time, and the end of its hash.
pub fn short(id: &str) -> String {
    let digits: String = id.chars().filter(char::is_ascii_hexdigit).collect();
    digits.get(20..).unwrap_or(&digits).to_owned()
}

/// The line that says what is watched, and one for each thing that is not.
pub fn watching(host: &Host, style: &Style) -> Vec<u8> {
    let mut out = format!(
        "watching {} hooks on {} · complete since {}\n",
        host.coverage.hooks.len(),
        escape(host.release.as_bytes()),
        style.at(host, host.since),
    );
    // Hooks that are missing for one thing together are told together.
    for (i, blind) in host.coverage.uncovered.iter().enumerate() {
        let same = |other: &&Uncovered| other.causes == blind.causes;
        if host.coverage.uncovered[..i].iter().any(|other| same(&other)) {
            continue;
        }
        let hooks: Vec<&str> =
            host.coverage.uncovered.iter().filter(same).map(|blind| blind.hook.as_str()).collect();
        let hooks = hooks.join(", ");
        let what = format!("{hooks} ({}); blind for: {}", blind.reason, blind.causes);
        out.push_str(&format!("{} {}\n", style.paint("33", "missing"), escape(what.as_bytes())));
    }
    out.into_bytes()
}

/// The whole answer, an indented block.
pub fn incident(incident: &Incident, style: &Style) -> Vec<u8> {
    let victim = &incident.victim;
    let mut out = format!(
        "\n{}  {} {}  {}\n",
        style.time(incident.time),
        style.paint("1", &who(victim)),
        style.paint("31", &headline(incident)),
        style.paint("2", &style.reference(incident)),
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
    let cause = &incident.cause;
    if let Some(path) = &cause.mapping {
        field("mapping", &format!("{}, by /proc: the fault itself was not seen", escape(&path.0)));
    }
    if let Some(text) = touch(incident) {
        field("touched", &text);
    }
    if let Some(text) = place(incident) {
        field("where", &text);
    }
    field("cause", &because(incident));
    if let Some(memory) = &cause.memory {
        field("limit", &format!("{} of cgroup {}", size(memory.limit), escape(&memory.cgroup.0)));
    }
    if let Some(culprit) = &cause.culprit {
        let args = arguments(culprit);
        let role = if cause.class == CauseKind::OomKilled { "asked for memory: " } else { "" };
        field("by", &format!("{role}{}  {args}", style.paint("1", &who(culprit))));
        field("", &lineage(culprit));
    }
    let path = incident.file.as_ref().and_then(|file| file.path.as_ref());
    if let Some(other) = cause.path.as_ref().filter(|other| path != Some(*other)) {
        field("", &format!("which knew the file as {}", escape(&other.0)));
    }
    for other in &cause.others {
        field("others", &also(other, incident));
    }
    if let Some(at_risk) = cause.at_risk.as_ref().filter(|list| !list.is_empty()) {
        let list = mappers(at_risk.iter().map(|mapper| (&mapper.comm.0[..], mapper.pid)));
        field("also", &format!("at risk, they map this file too: {list}"));
    }
    let mut text = arguments(victim);
    if let Some(ns) = victim.ns_pid.filter(|ns| *ns != victim.pid) {
        text.push_str(&format!("  (pid {ns} in its namespace)"));
    }
    field("victim", &text);
    field("", &lineage(victim));
    if let Some(restart) = &incident.restart {
        field("restart", &restarted(restart));
    }
    field("fix", &incident.advice);
    if incident.lost != 0 {
        let text = format!("incomplete: {} events that may concern this were lost", incident.lost);
        field("note", &style.paint("33", &text));
    }
    out.into_bytes()
}

/// The cause and how sure we are of it.
pub fn because(incident: &Incident) -> String {
    let certainty = match incident.cause.confidence {
        Confidence::Proven => "",
        Confidence::Likely => " (likely)",
        Confidence::Unknown => " (not determined)",
    };
    format!("{}{certainty}", incident.cause.summary)
}

/// `as geo-api[1301], 1.2 s later, by supervisor[7]`
pub fn restarted(restart: &Restart) -> String {
    let by = restart
        .by
        .as_ref()
        .map_or_else(String::new, |by| format!(", by {}[{}]", escape(&by.comm.0), by.pid));
    let how = if restart.forked { ", forked" } else { "" };
    let other = match restart.same_arguments {
        Some(false) => ", with other arguments",
        _ => "",
    };
    format!("as pid {}, {} later{by}{how}{other}", restart.pid, duration(restart.after_ns))
}

/// The function and library it failed in.
pub fn place(incident: &Incident) -> Option<String> {
    let frame = incident.stack.as_ref()?.user.first()?;
    let module = frame.module.as_ref().map(|module| escape(&module.0));
    let at = frame.module_offset.map_or_else(String::new, |offset| format!("+{offset:#x}"));
    let Some(symbol) = &frame.symbol else {
        let module = module.map_or_else(|| "in no file".to_owned(), |m| format!("in {m}{at}"));
        return Some(format!("instruction {:#x}, {module}", frame.ip.0));
    };
    let offset = frame.symbol_offset.filter(|offset| *offset != 0);
    let offset = offset.map_or_else(String::new, |offset| format!("+{offset:#x}"));
    let module = module.map_or_else(String::new, |module| format!(" in {module}"));
    Some(format!("{}{offset}{module}", escape(&symbol.0)))
}

/// The early warning: a mapped file was shrunk.
pub fn truncation(truncation: &Truncation, host: &Host, style: &Style) -> Vec<u8> {
    let shrink = &truncation.shrink;
    let remote = shrink.how == ShrinkKind::Remote;
    let what = if remote {
        "a mapped file was shrunk elsewhere".to_owned()
    } else {
        format!("{} shrinks a mapped file", style.paint("1", &actor(&shrink.actor)))
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
        let culprit = json::process(&shrink.actor, truncation.process.as_ref(), host.clock);
        field("by", &arguments(&culprit));
        field("", &lineage(&culprit));
    }
    field("at risk", &at_risk(&truncation.at_risk));
    if let Some(why) = &truncation.why {
        field("note", why);
    }
    out.into_bytes()
}

/// `geo-api[1240], nginx[980] and 7 more`
pub fn at_risk(mappers: &[Mapper]) -> String {
    self::mappers(mappers.iter().map(|mapper| (&mapper.comm[..], mapper.id.tgid)))
}

fn mappers<'a>(mappers: impl Iterator<Item = (&'a [u8], u32)> + Clone) -> String {
    const SHOWN: usize = 12;
    let shown: Vec<String> =
        mappers.clone().take(SHOWN).map(|(comm, pid)| format!("{}[{pid}]", escape(comm))).collect();
    match mappers.count().saturating_sub(SHOWN) {
        0 if shown.is_empty() => "nobody was found".to_owned(),
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// What became of an incident that was told already.
pub fn update(incident: &Incident, style: &Style) -> Vec<u8> {
    let count = match incident.times() {
        1 => String::new(),
        count => format!(", {count} times"),
    };
    let mut last = incident.exit.as_ref().map_or(incident.last, |exit| exit.time);
    let mut restart = String::new();
    if let Some(told) = &incident.restart {
        last = told.time;
        restart = format!("; restarted {}", restarted(told));
    }
    format!(
        "{}  {} {}{count}{restart}  {}\n",
        style.time(last),
        who(&incident.victim),
        headline(incident),
        style.paint("2", &style.reference(incident)),
    )
    .into_bytes()
}

/// When nobody was watching, or what was seen was lost.
pub fn gap(gap: &Gap, style: &Style) -> String {
    let (since, until) = (style.time(Time(gap.since)), style.time(Time(gap.until)));
    match gap.lost {
        None => format!("nobody was watching from {since} to {until}: {}", gap.why),
        Some(lost) => format!("lost between {since} and {until}: {} ({lost})", gap.why),
    }
}

/// Events that are missing.
pub fn loss(loss: &Loss, host: &Host, style: &Style) -> Vec<u8> {
    let text = format!(
        "lost {} {} events on cpu {} between {} and {}",
        loss.count,
        json::ring(loss.ring),
        loss.cpu,
        style.at(host, loss.from),
        style.at(host, loss.to),
    );
    format!("{}\n", style.paint("33", &text)).into_bytes()
}

/// Calls that nobody looked at.
pub fn missed(hook: &str, calls: u64, style: &Style) -> Vec<u8> {
    let plural = if calls == 1 { "" } else { "s" };
    let text = format!(
        "{hook} was not looked at {calls} time{plural}, because its program was running already on that CPU; \
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
        let plural = if counts.missed == 1 { "" } else { "s" };
        lost.push_str(&format!(" · {} call{plural} not looked at", counts.missed));
    }
    if counts.not_warned != 0 {
        lost.push_str(&format!(" · {} shrinks without a warning: too many", counts.not_warned));
    }
    format!(
        "\n{reason} after {} · {} {}, {} explained · {lost}\n",
        duration(now.saturating_sub(host.since)),
        counts.incidents,
        match (host.deaths == ExitScope::default(), counts.incidents) {
            (true, 1) => "bus error",
            (true, _) => "bus errors",
            (false, 1) => "incident",
            (false, _) => "incidents",
        },
        counts.explained,
    )
    .into_bytes()
}

/// `name[pid]`
pub fn who(process: &contract::Process) -> String {
    format!("{}[{}]", escape(&process.comm.0), process.pid)
}

/// `name[pid]`
pub fn actor(actor: &Actor) -> String {
    format!("{}[{}]", escape(&actor.task.comm), actor.task.id.tgid)
}

/// What a process was started as.
pub fn arguments(process: &contract::Process) -> String {
    let Some(args) = &process.cmdline else { return "(command line unknown)".to_owned() };
    let args: Vec<Vec<u8>> = args.iter().map(|arg| arg.0.clone()).collect();
    command(&args)
}

/// What happened to the victim, in a few words.
pub fn headline(incident: &Incident) -> String {
    let name = incident.signal_name();
    let exit = incident.exit.as_ref();
    let ended = |exit: &contract::Exit| match exit.signal {
        Some(signal) => format!("by {}", signals::name(signal as i32)),
        None => format!("with status {}", exit.code.unwrap_or(0)),
    };
    match incident.outcome {
        Outcome::Efault => {
            let fault = incident.fault.as_ref();
            if fault.is_none_or(|fault| fault.mode != "remote") {
                return "got EFAULT from a system call, no signal".to_owned();
            }
            let owner = fault.and_then(|fault| fault.owner_pid);
            let owner = owner.map_or_else(String::new, |tgid| format!(" of process {tgid}"));
            format!("failed to read the memory{owner} (EFAULT, no signal)")
        }
        Outcome::Killed => {
            let core = exit.is_some_and(|exit| exit.core);
            // Of a signal that nobody saw only the end tells.
            let number = exit.and_then(|exit| exit.signal).filter(|_| incident.signal.is_none());
            let name = match number {
                Some(number) if incident.fault.is_none() => signals::name(number as i32),
                _ => name.to_owned(),
            };
            format!("{name}, killed{}", if core { " (core dumped)" } else { "" })
        }
        Outcome::Exited if incident.cause.class == CauseKind::Exited => {
            exit.map_or_else(|| "ended".to_owned(), |exit| format!("exited {}", ended(exit)))
        }
        Outcome::Exited => {
            let how = exit.map_or_else(String::new, |exit| format!(" {}", ended(exit)));
            format!("{name}, its handler ended it{how}")
        }
        Outcome::Survived => match exit {
            None => format!("{name}, handled, lives on"),
            Some(exit) => format!("{name}, handled; ended later {}", ended(exit)),
        },
        Outcome::Pending => format!("{name}, outcome not seen"),
    }
}

fn file(incident: &Incident) -> Option<String> {
    let file = incident.file.as_ref()?;
    let path = file.path.as_ref().map_or_else(|| "(name unknown)".to_owned(), |p| escape(&p.0));
    let deleted = if file.deleted { " (deleted)" } else { "" };
    let fstype = file.fstype.as_ref().map_or_else(String::new, |name| escape(&name.0) + " ");
    let why = file.path_why.as_ref().map_or_else(String::new, |why| format!("; {why}"));
    Some(format!("{path}{deleted}  ({fstype}{}, inode {}{why})", file.dev, file.inode))
}

/// What is mounted where, if that is what matters.
fn mount(incident: &Incident) -> Option<String> {
    let matters = matches!(
        incident.cause.class,
        CauseKind::ShrunkElsewhere
            | CauseKind::NoSpace
            | CauseKind::Quota
            | CauseKind::ShmFull
            | CauseKind::ReadError
            | CauseKind::StaleHandle
            | CauseKind::FuseGone
            | CauseKind::Unknown
    );
    let file = incident.file.as_ref().filter(|file| matters && file.host_path.is_none())?;
    let mount = file.mount.as_ref()?;
    Some(format!("{} on {}", source(mount), escape(&mount.point.0)))
}

fn source(mount: &contract::Mount) -> String {
    mount.source.as_ref().map_or_else(|| "(unknown)".to_owned(), |source| escape(&source.0))
}

/// Where a victim in another mount namespace has its file, and what it is called here.
fn seen_as(file: &contract::File) -> Option<String> {
    let here = file.host_path.as_ref()?;
    let mount = file.mount.as_ref()?;
    let source =
        mount.source.as_ref().map_or_else(String::new, |s| format!(" from {}", escape(&s.0)));
    let here = match here {
        Some(path) => format!("; here it is {}", escape(&path.0)),
        None => "; it is not mounted here".to_owned(),
    };
    Some(format!("as the victim sees it, mounted at {}{source}{here}", escape(&mount.point.0)))
}

fn touch(incident: &Incident) -> Option<String> {
    let fault = incident.fault.as_ref()?;
    let Some((offset, file)) = fault.file_offset.zip(incident.file.as_ref()) else {
        let mapping = fault.mapping.as_ref();
        let mapping = mapping.map_or_else(|| "anonymous memory".to_owned(), |m| escape(&m.0));
        let access = fault.access.as_ref().map_or_else(String::new, |a| format!("{a} in "));
        return Some(format!("{access}{mapping}, at {:#x}", fault.address.0));
    };
    let access = fault.access.as_ref().map_or_else(String::new, |access| format!("{access} at "));
    if incident.cause.class == CauseKind::DeviceMapping {
        return Some(format!("{access}offset {} ({offset}) of what it maps", size(offset)));
    }
    Some(format!(
        "{access}offset {} ({offset}) of a file that is now {}",
        size(offset),
        size(file.size),
    ))
}

/// `cron[1] → update.sh[5670] → cp[5678]   uid 0`
pub fn lineage(process: &contract::Process) -> String {
    let parents = process.ancestors.iter().rev();
    let mut chain: Vec<String> =
        parents.map(|parent| format!("{}[{}]", escape(&parent.comm.0), parent.pid)).collect();
    chain.push(who(process));
    let cgroup = process.cgroup.as_ref().filter(|path| path.0 != b"/");
    let cgroup = cgroup.map_or_else(String::new, |path| format!("   cgroup {}", escape(&path.0)));
    format!("{}   uid {}{cgroup}", chain.join(" → "), process.uid)
}

fn also(other: &contract::Other, incident: &Incident) -> String {
    format!(
        "{}[{}] shrank it {} → {}, {} earlier; that is not what removed this offset",
        escape(&other.comm.0),
        other.pid,
        size(other.old_size),
        size(other.new_size),
        duration(incident.time.since(other.time)),
    )
}
