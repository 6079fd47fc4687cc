//! What is said of an incident in a few words: text of the contract's values, names escaped. Pure.
use crate::{
    contract::{Ancestor, Elsewhere, Exit, Incident, Mapper, Memory, Process, Restart, Server},
    correlate::cause::{
        BY_KERNEL, MEMORY_LIMIT, ON_BEHALF, RAISED, SENDER, SignalFrom, WHERE_IT_FAILED,
    },
    explain::whereabouts::{container as container_of, limited, login, whereabouts},
    model::{
        cause::{CauseKind, Confidence, Outcome},
        cgroup,
        container::{container, pod},
        shrink::{ShrinkKind, how},
        signal_name as signals,
    },
    text::{
        escape::{command, escape, host_phrase, process_name},
        format::{duration, size, times},
    },
};

/// `name[pid]`
pub fn who(process: &Process) -> String {
    format!("{}[{}]", process_name(&process.comm.0), process.pid)
}

/// `name[pid]`
pub fn who_else(ancestor: &Ancestor) -> String {
    format!("{}[{}]", process_name(&ancestor.comm.0), ancestor.pid)
}

/// `sshfs[123]`, `probably sshfs[123]`
pub fn which_server(server: &Server) -> String {
    let sure = server.confidence.known() == Confidence::Proven;
    let probably = if sure { "" } else { "probably " };
    format!("{probably}{}[{}]", process_name(&server.comm.0), server.pid)
}

/// Who serves a FUSE file system, and how that is known.
pub fn served_by(server: Option<&Server>, why: Option<&str>) -> Option<String> {
    let Some(server) = server else { return why.map(str::to_owned) };
    let by = match &*server.by {
        "connection" => "",
        "shared connection" => ", which shares its connection with an older process",
        "only one" => ", the only one of its host that has /dev/fuse open",
        "arguments" => ", whose arguments name the mount",
        "name" => ", which is called as its type is",
        _ => ", by what a later version knows",
    };
    let exe = server.exe.as_ref().map_or_else(String::new, |exe| format!(" ({})", escape(&exe.0)));
    Some(format!("{}{exe}{by}", which_server(server)))
}

/// The server of the file that was touched, where nobody else is known to have done it.
pub fn blamed_server(incident: &Incident) -> Option<&Server> {
    let server = incident.file.as_ref().and_then(|file| file.server.as_ref());
    server.filter(|_| incident.cause.culprit.is_none())
}

/// Who serves the file that was touched: `sshfs[123] (/usr/bin/sshfs); it reported the size 100 KiB → 4 KiB`
pub fn served(incident: &Incident) -> Option<String> {
    let file = incident.file.as_ref().filter(|_| incident.cause.culprit.is_none())?;
    let cause = &incident.cause;
    let told = cause.old_size.zip(cause.new_size).filter(|_| file.server.is_some());
    let told = told.map_or_else(String::new, |(old, new)| {
        format!("; it reported the size {} → {}", size(old), size(new))
    });
    Some(served_by(file.server.as_ref(), file.server_why.as_deref())? + &told)
}

/// What a process was started as.
pub fn arguments(process: &Process) -> String {
    let Some(args) = &process.cmdline else { return "(command line unknown)".to_owned() };
    let args: Vec<Vec<u8>> = args.iter().map(|arg| arg.0.clone()).collect();
    command(&args)
}

/// Where programs lie that root has put there.
const OF_ROOT: [&[u8]; 7] =
    [b"/usr/", b"/bin/", b"/sbin/", b"/lib/", b"/opt/", b"/nix/store/", b"/snap/"];

/// What a process calls itself, and what it runs, where these differ: anybody may take any name (prctl(2)), but not any program.
/// Of root's programs some have several names, and an interpreter has that of its script: both are among its arguments, and
/// believed.
pub fn claimed(process: &Process) -> Option<String> {
    let (comm, exe) = (&process.comm.0[..], &process.exe.as_ref()?.0[..]);
    let program = exe.strip_suffix(b" (deleted)").unwrap_or(exe);
    // `-sh` is how login shells are called.
    let named = |path: &[u8]| {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        // A name has 15 bytes at most, and programs have their versions in theirs: python3.11.
        let beginning = |name: &[u8]| {
            let rest = name.strip_prefix(comm);
            let version = |rest: &[u8]| rest.iter().all(|byte| b"0123456789.-_".contains(byte));
            rest.is_some_and(|rest| comm.len() == 15 || version(rest))
        };
        beginning(name.strip_prefix(b"-").unwrap_or(name)) || beginning(name)
    };
    let roots = OF_ROOT.iter().any(|directory| program.starts_with(directory));
    let arguments = process.cmdline.iter().flatten().take(3).filter(|_| roots);
    if named(program) || arguments.map(|argument| &argument.0[..]).any(named) {
        return None;
    }
    Some(format!("calls itself {}; runs {}", escape(comm), escape(exe)))
}

/// `cron[1] → update.sh[5670] → cp[5678]   uid 0 on pts/3, logged in as alice (uid 1000)`, and `   calls itself cp; runs
/// /tmp/evil`
pub fn lineage(process: &Process) -> String {
    let parents = process.ancestors.iter().rev();
    let mut chain: Vec<String> = parents.map(who_else).collect();
    chain.push(who(process));
    let place = whereabouts(process).map_or_else(String::new, |place| format!("   {place}"));
    let claimed = claimed(process).map_or_else(String::new, |claimed| format!("   {claimed}"));
    format!("{}   uid {}{}{place}{claimed}", chain.join(" → "), process.uid, login(process))
}

/// What happened to the victim, in a few words.
pub fn headline(incident: &Incident) -> String {
    let name = incident.signal_name();
    let exit = incident.exit.as_ref();
    let ended = |exit: &Exit| match exit.signal {
        Some(signal) => format!("by {}", signals::name(signal as i32)),
        None => format!("with status {}", exit.code.unwrap_or(0)),
    };
    let signal_from = incident.cause.class.known().cause().signal_from;
    match incident.outcome.known() {
        Outcome::Efault => {
            let fault = incident.fault.as_ref();
            if fault.is_none_or(|fault| fault.mode != "remote") {
                return "system call failed with EFAULT (no signal)".to_owned();
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
        Outcome::Exited if signal_from == SignalFrom::NoSignal => {
            exit.map_or_else(|| "ended".to_owned(), |exit| format!("exited {}", ended(exit)))
        }
        Outcome::Exited => {
            let how = exit.map_or_else(String::new, |exit| format!(" {}", ended(exit)));
            match exit.and_then(|exit| exit.signal) {
                None => format!("{name} handler exited{how}"),
                Some(_) => format!("{name}, its handler ended it{how}"),
            }
        }
        Outcome::Survived => {
            let disposition = incident.signal.as_ref().and_then(|told| told.disposition.as_deref());
            let what = if disposition == Some("ignored") { "ignored" } else { "handled" };
            match ended_later(incident) {
                None => format!("{name}, {what}; process still running"),
                Some(ended) => format!("{name}, {what}; {ended}"),
            }
        }
        Outcome::Pending => format!("{name}, outcome not seen"),
    }
}

/// How a process ended that outlived what is told of it: `killed by SIGKILL 1.0 s later`, `exited with status 0 3 ms later`
fn ended_later(incident: &Incident) -> Option<String> {
    let exit = incident.exit.as_ref()?;
    let how = match exit.signal {
        Some(signal) => format!("killed by {}", signals::name(signal as i32)),
        None => format!("exited with status {}", exit.code.unwrap_or(0)),
    };
    Some(match exit.time.since(incident.last) {
        0 => format!("{how} later"),
        later => format!("{how} {} later", duration(later)),
    })
}

/// What became of one that outlived it: `survived the bus error; killed by SIGKILL 1.0 s later`
pub fn outlived(incident: &Incident) -> String {
    let what = match &incident.signal {
        _ if incident.fault.is_some() => "the bus error".to_owned(),
        Some(signal) => escape(signal.name.as_bytes()),
        None => "it".to_owned(),
    };
    match ended_later(incident) {
        Some(ended) => format!("survived {what}; {ended}"),
        None => format!("survived {what}"),
    }
}

/// How often, where more than once: `, faulted 3 times`
pub fn repeated(incident: &Incident) -> String {
    let what = if incident.fault.is_some() { "faulted" } else { "happened" };
    match incident.times() {
        1 => String::new(),
        count => format!(", {what} {}", times(count)),
    }
}

/// How sure we are of a cause, in words behind it, if it has not said so itself. One with a culprit may have a name in it
/// that looks so.
fn certainty(incident: &Incident) -> &'static str {
    let cause = &incident.cause;
    let said = cause.culprit.is_none() && cause.summary.contains("most likely");
    match cause.confidence.known() {
        Confidence::Proven => "",
        Confidence::Likely if said => "",
        Confidence::Likely => " (likely)",
        Confidence::Unknown => " (not determined)",
    }
}

/// The cause and how sure we are of it.
pub fn because(incident: &Incident) -> String {
    let certainty = certainty(incident);
    let whose = match incident.cause.class.known() {
        CauseKind::ShmFull => of_tmpfs(incident),
        _ => of_memory(incident),
    };
    format!("{}{whose}{certainty}", incident.cause.summary)
}

/// The cause, and who else did it or serves the file, for where only a line is told.
pub fn because_of(incident: &Incident) -> String {
    let by = culprit(incident).filter(|by| is_act(incident) && by.pid != incident.victim.pid);
    let server = || Some(format!("; served by {}", which_server(blamed_server(incident)?)));
    let by = by.map(|by| format!("; {} {}", verb(incident), who(by)));
    let by = by.or_else(server).unwrap_or_default();
    format!("{}{by}", because(incident))
}

/// Which tmpfs it is: `, /dev/shm of container 3f2a91c0b1d2 (docker)`
fn of_tmpfs(incident: &Incident) -> String {
    let mount = incident.file.as_ref().and_then(|file| file.mount.as_ref());
    let Some(mount) = mount else { return String::new() };
    let container = container_of(&incident.victim).map(|container| format!(" of {container}"));
    format!(", {}{}", escape(&mount.point.0), container.unwrap_or_default())
}

/// Whose limit was reached, and who asked for memory then: `, cgroup /small; allocation by stress[12]`
fn of_memory(incident: &Incident) -> String {
    let cause = &incident.cause;
    let cgroup = cause.memory.as_ref();
    let cgroup = cgroup.map(|memory| format!(", {}", limited(memory, &incident.victim)));
    let asker = culprit(incident).filter(|_| !is_act(incident));
    let asker = asker.map(|asker| format!("; {} {}", verb(incident), who(asker)));
    cgroup.into_iter().chain(asker).collect()
}

/// Who did it, or asked for memory; then it is not the victim, who is told anyway.
pub fn culprit(incident: &Incident) -> Option<&Process> {
    let culprit = incident.cause.culprit.as_ref();
    culprit.filter(|by| is_act(incident) || by.pid != incident.victim.pid)
}

/// What stands before the name of the culprit, in a column.
pub fn culprit_field(incident: &Incident) -> &'static str {
    match is_act(incident) {
        false => "trigger",
        true if by_kernel(incident) => "trigger",
        true if only_opened(incident) => "opened",
        true => "by",
    }
}

/// What stands before the name of the culprit, in a line.
pub fn verb(incident: &Incident) -> &'static str {
    match is_act(incident) {
        false => "allocation by",
        true if by_kernel(incident) => "triggered by",
        true if only_opened(incident) => "opened by",
        true => "by",
    }
}

/// Whether the culprit did it, and did not only ask for memory.
pub fn is_act(incident: &Incident) -> bool {
    incident.cause.class.known().cause().is_act()
}

/// The same, and nobody else did it on account of it.
pub fn did_it(incident: &Incident) -> bool {
    is_act(incident) && !by_kernel(incident)
}

/// Whether the kernel sent the signal on its own, whatever its culprit did to bring that about: it ended, most often.
pub fn by_kernel(incident: &Incident) -> bool {
    let rest = incident.cause.summary.strip_prefix(BY_KERNEL);
    is_sent(incident) && rest.is_some_and(|rest| !rest.starts_with(ON_BEHALF))
}

/// Whether the kernel raised the signal for what the victim did, or the victim itself did.
pub fn is_raised(incident: &Incident) -> bool {
    is_sent(incident) && incident.cause.summary.starts_with(RAISED)
}

fn is_sent(incident: &Incident) -> bool {
    incident.cause.class.known() == CauseKind::Sent
}

/// Whether all that was seen of the culprit is that it opened the file to write to it.
fn only_opened(incident: &Incident) -> bool {
    incident.cause.how.as_deref() == Some(how(ShrinkKind::OpenWrite))
}

/// What to do against it: whoever did it elsewhere is told so.
pub fn fix(incident: &Incident, elsewhere: Option<&Elsewhere>) -> String {
    let Some(Elsewhere { culprit, host, .. }) = elsewhere else {
        let sender = self::culprit(incident);
        let sender = sender.filter(|by| is_sent(incident) && by.pid != incident.victim.pid);
        let limit = incident.cause.memory.as_ref().and_then(memory_limit);
        let asked =
            sender.map(|by| format!("look into the log of {} for why it sent the signal", who(by)));
        let named = [(SENDER, asked), (MEMORY_LIMIT, limit)];
        let fill = |advice: String, (name, known): (&str, Option<String>)| match known {
            Some(known) => advice.replace(name, &known),
            None => advice,
        };
        let advice = match module_known(incident) {
            true => incident.advice.to_string(),
            // What is not named cannot be looked at.
            false => incident.advice.replacen(WHERE_IT_FAILED, "", 1),
        };
        return named.into_iter().fold(advice, fill);
    };
    let host = host_phrase(host);
    format!("where {} runs on {host}, {ADVICE_ELSEWHERE}", who(culprit))
}

/// Whether a function or library is named that it failed in.
fn module_known(incident: &Incident) -> bool {
    let frame = incident.stack.as_ref().and_then(|stack| stack.user.first());
    frame.is_some_and(|frame| frame.module.is_some() || frame.symbol.is_some())
}

/// By what name people set the limit of a memory cgroup.
fn memory_limit(memory: &Memory) -> Option<String> {
    let path = &memory.cgroup.0;
    if container(path).is_some() {
        let how = "docker run --memory, in Kubernetes resources.limits.memory";
        return Some(format!("the memory limit of that container ({how})"));
    }
    // Their slices are kubelet's: what is set there it sets again.
    if pod(path).is_some() {
        let how = "resources.limits.memory of its containers; what lies in emptyDir volumes of memory counts";
        return Some(format!("the memory limit of that pod ({how})"));
    }
    let unit = cgroup::unit_of_limits(path)?;
    if unit.starts_with(b"kubepods") {
        return Some("what kubelet leaves to all pods (the node's allocatable memory)".to_owned());
    }
    Some(format!("MemoryMax= of {}", escape(unit)))
}

/// What to do where it was done.
pub const ADVICE_ELSEWHERE: &str = "write the new file beside the old one and rename(2) it into place; never write over \
     a file that others may map";

/// `as pid 1301, 1.2 s later, by supervisor[7]`
pub fn restarted(restart: &Restart) -> String {
    let by = restart.by.as_ref().map_or_else(String::new, |by| format!(", by {}", who_else(by)));
    let how = if restart.forked { ", forked" } else { "" };
    let other = match restart.same_arguments {
        Some(false) => ", with other arguments",
        _ => "",
    };
    format!("as pid {}, {} later{by}{how}{other}", restart.pid, duration(restart.after_ns))
}

/// `geo-api[1240], nginx[980] and 7 more`
pub fn mapped_by(mappers: &[Mapper]) -> String {
    const SHOWN: usize = 12;
    let shown: Vec<String> = mappers
        .iter()
        .take(SHOWN)
        .map(|Mapper { pid, comm, .. }| format!("{}[{pid}]", process_name(&comm.0)))
        .collect();
    match mappers.len().saturating_sub(SHOWN) {
        0 if shown.is_empty() => "no mappers found".to_owned(),
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The beginning of an id: its time to the millisecond, or as many characters as it takes to tell it apart.
pub fn short_id(id: &str, characters: usize) -> String {
    /// `019b0000-07cf` of `019b0000-07cf-7c60-8889-f1a3ebd91470`.
    const SHORT: usize = 13;
    escape(id.chars().take(characters.max(SHORT)).collect::<String>().as_bytes())
}

/// What may be missing from what is known of an incident.
pub fn incomplete(incident: &Incident) -> Option<String> {
    let lost = match incident.lost {
        0 => None,
        1 => Some("1 possibly relevant event lost".to_owned()),
        lost => Some(format!("{lost} possibly relevant events lost")),
    };
    let blind = incident.blind.first().map(|first| {
        let first = escape(first.as_bytes());
        let missing = match incident.blind.len() {
            1 => format!("{first} is"),
            2 => format!("{first} and one more hook are"),
            count => format!("{first} and {} more hooks are", count - 1),
        };
        format!("{missing} missing on its host, which might have decided this: `whybus doctor`")
    });
    let said: Vec<String> = lost.into_iter().chain(blind).collect();
    (!said.is_empty()).then(|| format!("incomplete: {}", said.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Untrusted, samples::full_incident};

    #[test]
    fn who_takes_a_name_is_told_by_its_program() {
        let claims = |comm: &str, exe: &str, args: &[&str]| {
            let mut process = full_incident().victim;
            let text = |text: &str| Untrusted(text.as_bytes().to_vec());
            (process.comm, process.exe) = (text(comm), Some(text(exe)));
            process.cmdline = Some(args.iter().map(|arg| text(arg)).collect());
            let claimed = claimed(&process);
            assert_eq!(claimed.is_some(), lineage(&process).contains("calls itself"));
            claimed
        };
        let evil = Some("calls itself nginx; runs /tmp/evil".to_owned());
        assert_eq!(claims("nginx", "/tmp/evil", &["/usr/sbin/nginx", "nginx"]), evil);
        let bell = claims("\x07", "/tmp/e\u{9b}", &[]);
        assert_eq!(bell.as_deref(), Some(r"calls itself \x07; runs /tmp/e\u{9b}"));
        assert!(claims("nginx", "/usr/bin/evil", &["evil"]).is_some());
        assert!(claims("sshd", "/tmp/sshd-x", &["sshd"]).is_some());
        for (comm, exe, args) in [
            ("nginx", "/usr/sbin/nginx", &["nginx: worker process"][..]),
            ("nginx", "/usr/sbin/nginx (deleted)", &[]),
            // Names have 15 bytes.
            ("a-very-long-nam", "/home/a/a-very-long-name", &[]),
            ("python3", "/usr/bin/python3.11", &["python3", "x.py"]),
            ("awk", "/usr/bin/mawk", &["awk", "1"]),
            ("sh", "/bin/busybox", &["-sh"]),
            ("backup.sh", "/usr/bin/dash", &["/bin/sh", "/srv/backup.sh"]),
            ("backup.sh", "/usr/bin/dash", &["/bin/sh", "-e", "./backup.sh", "x"]),
        ] {
            assert_eq!(claims(comm, exe, args), None, "{comm} {exe}");
        }
    }

    /// Where a name may have said it, it is said all the same.
    #[test]
    fn how_sure_it_is_is_said_once() {
        let mut incident = full_incident();
        incident.cause.confidence = Confidence::Likely.into();
        let told = |incident: &Incident| because(incident).matches("likely").count();
        incident.cause.summary = "it ended, most likely, for that".into();
        assert_eq!(told(&incident), 2);
        incident.cause.culprit = None;
        assert_eq!(told(&incident), 1);
        incident.cause.summary = "it ended for that".into();
        assert_eq!(told(&incident), 1);
    }

    /// In the words in which it is set.
    #[test]
    fn whose_memory_limit_it_is() {
        let id = "0123456789abcdef".repeat(4);
        for (path, limit) in [
            ("/system.slice/hog.service".to_owned(), "raise MemoryMax= of hog.service, or"),
            ("/user.slice/user-1000.slice".to_owned(), "raise MemoryMax= of user-1000.slice, or"),
            (format!("/system.slice/docker-{id}.scope"), "that container (docker run --memory"),
            (
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podd3b07384_d9a0_4c1f_8e5d_1f2a3b4c5d6e.slice"
                    .to_owned(),
                "raise the memory limit of that pod (resources.limits.memory",
            ),
            ("/kubepods.slice".to_owned(), "raise what kubelet leaves to all pods"),
            ("/small".to_owned(), "raise the limit of that memory cgroup, or"),
            ("/system.slice/hog.service/inner".to_owned(), "raise the limit of that memory cgroup"),
        ] {
            let mut incident = full_incident();
            incident.advice = format!("raise {MEMORY_LIMIT}, or run less").into();
            let memory = incident.cause.memory.as_mut().expect("a memory cgroup");
            memory.cgroup = Untrusted(path.clone().into_bytes());
            let told = fix(&incident, None);
            assert!(told.contains(limit), "{path}: {told}");
        }
    }
}
