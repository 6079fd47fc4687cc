//! One JSON object a line: from what the engine tells to the contract, and from that to bytes.
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    contract::{
        self, Cause, Container, Frame, Hex, Memory, Mount, Other, Restart, SCHEMA, Stack, Time,
        Untrusted,
    },
    correlate::{
        incident::{Incident, Truncation},
        update::{Counts, Loss},
    },
    model::{
        cause::CauseKind,
        cgroup::{container, unit},
        fact::{Mapper, Process},
        fault::{Access, Handler, Mode},
        file::name,
        host::Host,
        observe::Coverage,
        shrink::{Shrink, ShrinkKind, how},
        signal::Disposition,
        signal_name as signals,
        task::{Actor, Ancestor, Task, ancestors, cmdline},
        time::ClockOffset,
    },
    text::format::rfc3339,
};

fn line(kind: &str, fields: Value) -> Vec<u8> {
    let mut object = Map::new();
    object.insert("schema".to_owned(), SCHEMA.into());
    object.insert("kind".to_owned(), kind.into());
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    let mut out = Value::Object(object).to_string().into_bytes();
    out.push(b'\n');
    out
}

/// Told once watching is complete.
pub fn watching(host: &Host) -> Vec<u8> {
    let Coverage { hooks, uncovered } = &host.coverage;
    let hooks: Vec<&str> = hooks.iter().map(|hook| hook.hook.as_str()).collect();
    let blind: Vec<Value> = uncovered
        .iter()
        .map(|blind| json!({"hook": blind.hook, "reason": blind.reason, "causes": blind.causes}))
        .collect();
    line(
        "watching",
        json!({
            "time": rfc3339(wall(host, host.since)),
            "host": host.name, "boot_id": host.boot_id, "kernel": host.release,
            "hooks": hooks, "blind": blind,
        }),
    )
}

/// One line.
pub fn bytes(value: &impl Serialize) -> Vec<u8> {
    // Strings, numbers, lists and maps with string keys: that cannot fail.
    let mut out = serde_json::to_vec(value).unwrap_or_default();
    out.push(b'\n');
    out
}

/// An incident as the contract has it. Its times are those of the wall clock as it was told first.
pub fn told(incident: &Incident, host: &Host, update: bool) -> contract::Incident {
    let clock = incident.clock;
    let victim = contract::Process {
        thread_comm: Some(text(&incident.victim.task.thread_comm)),
        tid: Some(incident.victim.task.tid),
        ..process(&incident.victim, incident.victim_process.as_ref(), clock)
    };
    contract::Incident {
        schema: SCHEMA,
        kind: if update { "update" } else { "incident" }.into(),
        id: incident.id.as_str().into(),
        number: incident.number,
        time: at(clock, incident.first),
        last: at(clock, incident.last),
        boot_ns: incident.first,
        host: host.name.as_str().into(),
        boot_id: host.boot_id.as_str().into(),
        victim,
        fault: fault(incident, host),
        file: file(incident, host),
        cause: cause(incident),
        signal: signal(incident),
        outcome: incident.outcome,
        exit: incident.exit.map(|exit| {
            let signal = exit.code & 0x7f;
            contract::Exit {
                signal: (signal != 0).then_some(signal),
                code: (signal == 0).then_some(exit.code >> 8 & 0xff),
                core: exit.code & 0x80 != 0,
                time: at(clock, exit.time),
            }
        }),
        restart: restart(incident),
        stack: stack(incident),
        advice: incident.cause.advice.into(),
        complete: incident.lost == 0,
        lost: incident.lost,
        count: (incident.fault.is_none() && incident.count > 1).then_some(incident.count),
        oom_kills: incident.oom_kills,
    }
}

/// Told when a mapped file is shrunk, before anybody has crashed.
pub fn truncation(truncation: &Truncation, host: &Host) -> Vec<u8> {
    let shrink = &truncation.shrink;
    let inode = &shrink.inode;
    let culprit = (shrink.how != ShrinkKind::Remote)
        .then(|| process(&shrink.actor, truncation.process.as_ref(), host.clock));
    line(
        "truncation",
        json!({
            "id": truncation.id,
            "time": rfc3339(wall(host, shrink.begin)),
            "host": host.name,
            "boot_id": host.boot_id,
            "file": {
                "path": truncation.path.as_deref().map(text), "dev": inode.id.dev.to_string(),
                "inode": inode.id.ino, "generation": inode.id.generation,
            },
            "how": how(shrink.how),
            "old_size": inode.size, "new_size": shrink.new_size,
            "culprit": culprit,
            "at_risk": mappers(truncation, None, host.clock),
            "at_risk_why": truncation.why,
        }),
    )
}

/// Who maps a file, without the one process that is told of anyway.
fn mappers(truncation: &Truncation, but: Option<u32>, clock: ClockOffset) -> Vec<contract::Mapper> {
    let others = truncation.at_risk.iter().filter(|mapper| Some(mapper.id.tgid) != but);
    others
        .map(|Mapper { id, comm }| contract::Mapper {
            pid: id.tgid,
            start_time: at(clock, id.start),
            comm: text(comm),
        })
        .collect()
}

/// Told when events are missing.
pub fn loss(loss: &Loss, host: &Host) -> Vec<u8> {
    line(
        "loss",
        json!({
            "time": rfc3339(wall(host, loss.to)),
            "from": rfc3339(wall(host, loss.from)),
            "cpu": loss.cpu, "ring": ring(loss.ring), "lost": loss.count,
        }),
    )
}

/// Told when the kernel did not run a program of ours.
pub fn missed(time: u64, hook: &str, calls: u64, host: &Host) -> Vec<u8> {
    line("missed", json!({"time": rfc3339(wall(host, time)), "hook": hook, "calls": calls}))
}

/// Told last.
pub fn end(counts: &Counts, host: &Host, now: u64, reason: &str) -> Vec<u8> {
    line(
        "end",
        json!({
            "time": rfc3339(wall(host, now)),
            "reason": reason,
            "watched_ns": now.saturating_sub(host.since),
            "incidents": counts.incidents, "explained": counts.explained,
            "events": counts.events, "lost": counts.lost,
            "missed": counts.missed, "truncations": counts.truncations, "not_warned": counts.not_warned,
        }),
    )
}

/// Bytes of unknown origin.
pub fn text(bytes: &[u8]) -> Untrusted {
    Untrusted(bytes.to_vec())
}

pub fn ring(ring: u16) -> &'static str {
    match ring {
        tracer_common::event::ring::DECISIVE => "decisive",
        _ => "chatty",
    }
}

fn wall(host: &Host, ns: u64) -> i64 {
    at(host.clock, ns).0
}

/// `ns` since boot as a time of day.
fn at(clock: ClockOffset, ns: u64) -> Time {
    Time(clock.realtime(ns))
}

/// What every process is shown with.
pub fn process(actor: &Actor, process: Option<&Process>, clock: ClockOffset) -> contract::Process {
    let Task { id, uid, ns_tgid, kthread, comm, cgroup, .. } = &actor.task;
    let parents = ancestors(actor, process);
    let args = cmdline(actor, process);
    let why = || {
        if *kthread {
            "a kernel thread has none"
        } else if process.is_some_and(|process| process.late) {
            "not resident in its memory, and /proc did not answer in time"
        } else {
            "not readable in the kernel (lockdown), and the process was gone before /proc was read"
        }
    };
    let path = process.and_then(|process| process.cgroup.as_deref());
    contract::Process {
        pid: id.tgid,
        ns_pid: *ns_tgid,
        ppid: parents.first().map(|parent| parent.id.tgid),
        start_time: (id.start != 0).then(|| at(clock, id.start)),
        comm: text(comm),
        exe: process.and_then(|process| process.exe.as_deref()).map(text),
        cmdline: args.map(|args| args.iter().map(|arg| text(arg)).collect()),
        cmdline_why: args.is_none().then(|| why().into()),
        uid: *uid,
        cgroup: path.map(text),
        container: path.and_then(container).map(|inside| Container {
            id: inside.id.into(),
            runtime: inside.runtime.map(Into::into),
        }),
        unit: path.and_then(unit).map(text),
        cgroup_id: *cgroup,
        ancestors: parents.iter().map(ancestor).collect(),
        thread_comm: None,
        tid: None,
    }
}

fn ancestor(ancestor: &Ancestor) -> contract::Ancestor {
    contract::Ancestor { pid: ancestor.id.tgid, comm: text(&ancestor.comm) }
}

fn fault(incident: &Incident, host: &Host) -> Option<contract::Fault> {
    let fault = incident.fault.as_ref()?;
    let (address, exact) = incident.address().unwrap_or((fault.address, false));
    Some(contract::Fault {
        access: access(fault.access).map(Into::into),
        mode: match fault.mode {
            Mode::User => "user",
            Mode::Kernel => "kernel",
            Mode::Remote => "remote",
        }
        .into(),
        address: Hex(address),
        address_exact: exact,
        ip: fault.ip.map(Hex),
        file_offset: incident.file_offset(host.page_size),
        pgoff: fault.pgoff,
        mapping: fault.mapping().as_deref().map(text),
        handler: handler(fault.handler).into(),
        read_errno: fault.read_errno,
        owner_pid: fault.owner_tgid,
        count: incident.count,
        threads: incident.threads.len() as u64,
    })
}

fn handler(handler: Handler) -> &'static str {
    match handler {
        Handler::FilemapFault => "filemap_fault",
        Handler::ShmemFault => "shmem_fault",
        Handler::PageMkwrite => "do_page_mkwrite",
        Handler::HugetlbFault => "hugetlb_fault",
        Handler::SpecialMappingFault => "special_mapping_fault",
        Handler::Userfault => "handle_userfault",
        Handler::DaxIomapFault => "dax_iomap_fault",
        Handler::Unattributed => "force_sig_fault",
        Handler::Other(_) => "unknown",
    }
}

/// The access as one word, if known.
fn access(access: Access) -> Option<&'static str> {
    match access {
        Access::Read => Some("read"),
        Access::Write => Some("write"),
        Access::Exec => Some("exec"),
        Access::Unknown => None,
    }
}

fn file(incident: &Incident, host: &Host) -> Option<contract::File> {
    let (fault, file) = (incident.fault.as_ref()?, incident.file.as_ref()?);
    let inode = &fault.inode;
    Some(contract::File {
        path: file.path.as_deref().map(text),
        dev: inode.id.dev.to_string().into(),
        inode: inode.id.ino,
        generation: inode.id.generation,
        fstype: file.fstype(inode.magic).as_deref().map(text),
        size: inode.size,
        nlink: inode.nlink,
        deleted: file.deleted,
        mount: file.mount.as_ref().map(|mount| Mount {
            point: text(&mount.point),
            source: mount.source.as_deref().map(text),
        }),
        mapping: contract::Mapping {
            start: Hex(fault.vm_start),
            end: Hex(fault.vm_end),
            file_offset: fault.vm_pgoff.saturating_mul(host.page_size),
        },
        path_why: file.why.map(Into::into),
        host_path: file.foreign.then(|| file.outside.as_deref().map(text)),
    })
}

fn cause(incident: &Incident) -> Cause {
    let clock = incident.clock;
    let verdict = &incident.cause;
    let shrink = verdict.shrink.as_ref();
    let by = incident.culprit_process.as_ref();
    let warning = incident.truncation.as_ref();
    let victim = incident.victim.task.id.tgid;
    Cause {
        class: verdict.class,
        confidence: verdict.confidence,
        summary: verdict.summary.as_str().into(),
        how: shrink.map(|shrink| how(shrink.how).into()),
        old_size: shrink.map(|shrink| shrink.inode.size),
        new_size: shrink.map(|shrink| shrink.new_size),
        time: shrink.map(|shrink| at(clock, shrink.begin)),
        before_ns: shrink.map(|shrink| incident.first.saturating_sub(shrink.begin)),
        path: incident.culprit_path.as_deref().map(text),
        mapped: shrink.map(|shrink| shrink.mapped),
        culprit: incident.culprit().map(|culprit| process(culprit, by, clock)),
        mapping: incident.mapped.as_deref().map(text),
        truncation: warning.map(|warning| warning.id.as_str().into()),
        at_risk: warning.map(|warning| mappers(warning, Some(victim), clock)),
        others: verdict.others.iter().map(|shrink| other(shrink, clock)).collect(),
        memory: incident
            .memory
            .as_ref()
            .map(|memory| Memory { cgroup: text(&memory.cgroup), limit: memory.limit }),
    }
}

fn other(shrink: &Shrink, clock: ClockOffset) -> Other {
    Other {
        pid: shrink.actor.task.id.tgid,
        comm: text(&shrink.actor.task.comm),
        how: how(shrink.how).into(),
        old_size: shrink.inode.size,
        new_size: shrink.new_size,
        time: at(clock, shrink.begin),
    }
}

fn signal(incident: &Incident) -> Option<contract::Signal> {
    let signal = incident.signal.as_ref()?;
    let disposition = |disposition| match disposition {
        Disposition::Default => "default",
        Disposition::Ignore => "ignored",
        Disposition::Handler => "handler",
    };
    Some(contract::Signal {
        number: signal.number,
        name: signals::name(signal.number).into(),
        code: signal.code,
        code_name: signals::code_name(signal.number, signal.code).map(Into::into),
        address: (signal.code > 0 && signal.code != 0x80).then_some(Hex(signal.address)),
        disposition: incident.disposition.map(|told| disposition(told).into()),
    })
}

fn restart(incident: &Incident) -> Option<Restart> {
    let restart = incident.restart.as_ref()?;
    let ended = incident.exit.map_or(incident.last, |exit| exit.time);
    let start = restart.id.start;
    Some(Restart {
        pid: restart.id.tgid,
        start_time: (start != 0).then(|| at(incident.clock, start)),
        time: at(incident.clock, restart.time),
        after_ns: restart.time.saturating_sub(ended),
        by: restart.by.as_ref().map(ancestor),
        forked: restart.forked,
        same_arguments: restart.same_arguments,
    })
}

/// The instruction that failed, if its file is known.
fn stack(incident: &Incident) -> Option<Stack> {
    let death = incident.death.as_ref().filter(|_| incident.cause.class == CauseKind::Signal)?;
    let signal = incident.signal.as_ref()?;
    let raised = death.fault.filter(|raised| raised.signal == signal.number && signal.forced)?;
    let module = death.module.as_ref();
    let symbol = incident.symbol.as_ref();
    let frame = Frame {
        ip: Hex(raised.ip?),
        symbol: symbol.map(|symbol| text(&symbol.name)),
        symbol_offset: symbol.map(|symbol| symbol.offset),
        module: module.and_then(|module| name(&module.path, &[]).0).as_deref().map(text),
        module_offset: module.map(|module| module.offset),
    };
    Some(Stack { user: vec![frame] })
}
