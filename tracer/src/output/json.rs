//! One JSON object a line: the contract. `output::schema` describes it; adding a field is
//! compatible, anything else raises `schema`.
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};

use super::format::rfc3339;
use crate::{
    correlate::{
        engine::{Counts, Gap},
        incident::{Incident, Truncation, ancestors, cmdline},
        rules::truncated::how,
    },
    enrich::container::{container, unit},
    event::model::{
        Access, Actor, Ancestor, Disposition, Handler, Host, How, Mapper, Mode, Process, Shrink,
        Task,
    },
};

const SCHEMA: u32 = 1;

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
    let blind: Vec<Value> = host
        .blind
        .iter()
        .map(|blind| json!({"hook": blind.hook, "reason": blind.reason, "causes": blind.causes}))
        .collect();
    line(
        "watching",
        json!({
            "time": rfc3339(wall(host, host.since)),
            "host": host.name, "boot_id": host.boot_id, "kernel": host.release,
            "hooks": host.hooks, "blind": blind,
        }),
    )
}

/// Told when an incident is first known, or (`update`) known better.
pub fn incident(incident: &Incident, host: &Host, update: bool) -> Vec<u8> {
    let fault = incident.fault.as_ref();
    line(
        if update { "update" } else { "incident" },
        json!({
            "id": incident.id,
            "number": incident.number,
            "time": rfc3339(wall(host, incident.first)),
            "last": rfc3339(wall(host, incident.last)),
            "host": host.name,
            "boot_id": host.boot_id,
            "victim": victim(incident, host),
            "fault": fault.map(|_| fault_json(incident, host)),
            "file": file(incident, host),
            "cause": cause(incident, host),
            "signal": signal(incident),
            "outcome": incident.outcome.name(),
            "exit": exit(incident, host),
            "restart": null,
            "stack": null,
            "advice": incident.cause.advice,
            "complete": incident.lost == 0,
            "lost": incident.lost,
        }),
    )
}

/// Told when a mapped file is shrunk, before anybody has crashed.
pub fn truncation(truncation: &Truncation, host: &Host) -> Vec<u8> {
    let shrink = &truncation.shrink;
    let inode = &shrink.inode;
    let actor = actor(&shrink.actor, truncation.process.as_ref(), host);
    let culprit = (shrink.how != How::Remote).then_some(Value::Object(actor));
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
            "at_risk": mappers(truncation, None, host),
            "at_risk_why": truncation.why,
        }),
    )
}

/// Who maps a file, without the one process that is told of anyway.
fn mappers(truncation: &Truncation, but: Option<u32>, host: &Host) -> Value {
    let others = truncation.at_risk.iter().filter(|mapper| Some(mapper.id.tgid) != but);
    others
        .map(|Mapper { id, comm }| {
            let start = rfc3339(wall(host, id.start));
            json!({"pid": id.tgid, "start_time": start, "comm": text(comm)})
        })
        .collect()
}

/// Told when events are missing.
pub fn loss(gap: &Gap, host: &Host) -> Vec<u8> {
    line(
        "loss",
        json!({
            "time": rfc3339(wall(host, gap.to)),
            "from": rfc3339(wall(host, gap.from)),
            "cpu": gap.cpu, "ring": ring(gap.ring), "lost": gap.count,
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

/// Text, or where the bytes are no UTF-8 both a readable form and the bytes.
pub fn text(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({
            "text": String::from_utf8_lossy(bytes), "bytes": BASE64_STANDARD.encode(bytes),
        }),
    }
}

pub fn ring(ring: u16) -> &'static str {
    match ring {
        tracer_common::event::ring::DECISIVE => "decisive",
        _ => "chatty",
    }
}

fn wall(host: &Host, ns: u64) -> i64 {
    host.wall.saturating_add(i64::try_from(ns).unwrap_or(i64::MAX))
}

fn hex(value: u64) -> Value {
    format!("{value:#x}").into()
}

fn victim(incident: &Incident, host: &Host) -> Value {
    let process = incident.victim_process.as_ref();
    let mut object = actor(&incident.victim, process, host);
    object.insert("thread_comm".to_owned(), text(&incident.victim.task.thread_comm));
    object.insert("tid".to_owned(), incident.victim.task.tid.into());
    Value::Object(object)
}

/// What every process is shown with.
fn actor(actor: &Actor, process: Option<&Process>, host: &Host) -> Map<String, Value> {
    let Task { id, uid, ns_tgid, kthread, comm, .. } = &actor.task;
    let parents = ancestors(actor, process);
    let args = cmdline(actor, process);
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
    put("pid", id.tgid.into());
    put("ns_pid", (*ns_tgid).into());
    put("ppid", parents.first().map(|parent| parent.id.tgid).into());
    put("start_time", (id.start != 0).then(|| rfc3339(wall(host, id.start))).into());
    put("comm", text(comm));
    put("exe", process.and_then(|process| process.exe.as_deref()).map(text).into());
    put("cmdline", args.map(|args| args.iter().map(|arg| text(arg)).collect::<Vec<_>>()).into());
    if args.is_none() {
        let why = if *kthread {
            "a kernel thread has none"
        } else if process.is_some_and(|process| process.late) {
            "not resident in its memory, and /proc did not answer in time"
        } else {
            "not readable in the kernel (lockdown), and the process was gone before /proc was read"
        };
        put("cmdline_why", why.into());
    }
    put("uid", (*uid).into());
    let cgroup = process.and_then(|process| process.cgroup.as_deref());
    let inside = cgroup.and_then(container);
    let inside = inside.map(|inside| json!({"id": inside.id, "runtime": inside.runtime}));
    put("cgroup", cgroup.map(text).into());
    put("container", inside.into());
    put("unit", cgroup.and_then(unit).map(text).into());
    put("cgroup_id", actor.task.cgroup.into());
    put("ancestors", parents.iter().map(ancestor).collect());
    object
}

fn ancestor(ancestor: &Ancestor) -> Value {
    json!({"pid": ancestor.id.tgid, "comm": text(&ancestor.comm)})
}

fn fault_json(incident: &Incident, host: &Host) -> Value {
    let Some(fault) = &incident.fault else { return Value::Null };
    let (address, exact) = incident.address().unwrap_or((fault.address, false));
    json!({
        "access": access(fault.access),
        "mode": match fault.mode {
            Mode::User => "user",
            Mode::Kernel => "kernel",
            Mode::Remote => "remote",
        },
        "address": hex(address),
        "address_exact": exact,
        "ip": fault.ip.map(hex),
        "file_offset": incident.file_offset(host.page_size),
        "pgoff": fault.pgoff,
        "mapping": fault.mapping().as_deref().map(text),
        "handler": handler(fault.handler),
        "read_errno": fault.read_errno,
        "owner_pid": fault.owner_tgid,
        "count": incident.count,
        "threads": incident.threads.len(),
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
        Handler::Unseen => "force_sig_fault",
        Handler::Other(_) => "unknown",
    }
}

/// The access as one word, if known.
pub fn access(access: Access) -> Option<&'static str> {
    match access {
        Access::Read => Some("read"),
        Access::Write => Some("write"),
        Access::Exec => Some("exec"),
        Access::Unknown => None,
    }
}

fn file(incident: &Incident, host: &Host) -> Value {
    let (Some(fault), Some(file)) = (&incident.fault, &incident.file) else { return Value::Null };
    let inode = &fault.inode;
    let mut object = json!({
        "path": file.path.as_deref().map(text),
        "dev": inode.id.dev.to_string(),
        "inode": inode.id.ino,
        "generation": inode.id.generation,
        "fstype": file.fstype(inode.magic).as_deref().map(text),
        "size": inode.size,
        "nlink": inode.nlink,
        "deleted": file.deleted,
        "mount": file.mount.as_ref().map(|mount| json!({
            "point": text(&mount.point), "source": mount.source.as_deref().map(text),
        })),
        "mapping": {
            "start": hex(fault.vm_start), "end": hex(fault.vm_end),
            "file_offset": fault.vm_pgoff.saturating_mul(host.page_size),
        },
    });
    if let Some(why) = file.why {
        object["path_why"] = why.into();
    }
    if file.foreign {
        object["host_path"] = file.outside.as_deref().map(text).into();
    }
    object
}

fn cause(incident: &Incident, host: &Host) -> Value {
    let verdict = &incident.cause;
    let shrink = verdict.shrink.as_ref();
    let process = incident.culprit_process.as_ref();
    let culprit = incident.culprit().map(|culprit| Value::Object(actor(culprit, process, host)));
    let warning = incident.truncation.as_ref();
    let others = warning.map(|warning| mappers(warning, Some(incident.victim.task.id.tgid), host));
    json!({
        "class": verdict.class.name(),
        "confidence": verdict.confidence.name(),
        "summary": verdict.summary,
        "how": shrink.map(|shrink| how(shrink.how)),
        "old_size": shrink.map(|shrink| shrink.inode.size),
        "new_size": shrink.map(|shrink| shrink.new_size),
        "time": shrink.map(|shrink| rfc3339(wall(host, shrink.begin))),
        "before_ns": shrink.map(|shrink| incident.first.saturating_sub(shrink.begin)),
        "path": incident.culprit_path.as_deref().map(text),
        "mapped": shrink.map(|shrink| shrink.mapped),
        "culprit": culprit,
        "mapping": incident.mapped.as_deref().map(text),
        "truncation": warning.map(|warning| &warning.id),
        "at_risk": others,
        "others": verdict.others.iter().map(|other| other_json(other, host)).collect::<Vec<_>>(),
    })
}

fn other_json(shrink: &Shrink, host: &Host) -> Value {
    json!({
        "pid": shrink.actor.task.id.tgid, "comm": text(&shrink.actor.task.comm),
        "how": how(shrink.how), "old_size": shrink.inode.size, "new_size": shrink.new_size,
        "time": rfc3339(wall(host, shrink.begin)),
    })
}

fn signal(incident: &Incident) -> Value {
    let Some(signal) = &incident.signal else { return Value::Null };
    json!({
        "number": signal.number,
        "name": "SIGBUS",
        "code": signal.code,
        "code_name": code_name(signal.code),
        "address": (signal.code > 0 && signal.code != 0x80).then(|| hex(signal.address)),
        "disposition": incident.disposition.map(|disposition| match disposition {
            Disposition::Default => "default",
            Disposition::Ignore => "ignored",
            Disposition::Handler => "handler",
        }),
    })
}

/// include/uapi/asm-generic/siginfo.h
pub fn code_name(code: i32) -> Option<&'static str> {
    Some(match code {
        0 => "SI_USER",
        -1 => "SI_QUEUE",
        -6 => "SI_TKILL",
        0x80 => "SI_KERNEL",
        1 => "BUS_ADRALN",
        2 => "BUS_ADRERR",
        3 => "BUS_OBJERR",
        4 => "BUS_MCEERR_AR",
        5 => "BUS_MCEERR_AO",
        _ => return None,
    })
}

fn exit(incident: &Incident, host: &Host) -> Value {
    let Some(exit) = &incident.exit else { return Value::Null };
    let signal = exit.code & 0x7f;
    json!({
        "signal": (signal != 0).then_some(signal),
        "code": (signal == 0).then_some(exit.code >> 8 & 0xff),
        "core": exit.code & 0x80 != 0,
        "time": rfc3339(wall(host, exit.time)),
    })
}
