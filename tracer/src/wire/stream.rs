//! The saved form of a watch: one line of magic, one line about the host, then records.
//!
//! A record is its length (u32, little-endian) and the event as the ring buffer gave it, or as
//! user space noted it (kinds from `kind::USER`: a header, then JSON). `docs/stream.md`.
use std::io::{BufRead, Read as _};

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::{Buf, BufMut};
use serde_json::{Value, json};
use tracer_common::{
    LAYOUT,
    event::{Header, kind},
};

use crate::{
    model::{
        Bytes,
        fact::{
            HugeLimit, HugePages, Mapped, Mapper, Mappers, MemoryLimit, Process, Quota, Space,
            Symbol, View,
        },
        fault::{Burst, BurstKey, Handler},
        file::{Dev, Mount},
        host::Host,
        input::{Event, Stamp},
        observe::{AttachedHook, Coverage, Observe, Uncovered},
        process::{ExitFilter, ExitScope},
        task::{Ancestor, ProcessId},
        time::ClockOffset,
    },
    wire::decode::decode,
};

const MAGIC: &[u8] = b"whybus-events 1\n";
/// No event is longer; a length beyond it means a torn or foreign file.
const LONGEST: u32 = 4 << 20;
/// Nor is the line about the host.
const HOST_LINE: u64 = 64 << 10;

const PROCESS: u16 = kind::USER;
const MOUNTS: u16 = kind::USER + 1;
const ACCOUNT: u16 = kind::USER + 2;
const SPACE: u16 = kind::USER + 3;
const HUGE_PAGES: u16 = kind::USER + 4;
const STORM: u16 = kind::USER + 5;
const QUOTA: u16 = kind::USER + 6;
const HUGE_LIMIT: u16 = kind::USER + 7;
const VIEW: u16 = kind::USER + 8;
const MAPPERS: u16 = kind::USER + 9;
const MISSED: u16 = kind::USER + 10;
const MAPPED: u16 = kind::USER + 11;
const SYMBOL: u16 = kind::USER + 12;
const MEMORY_LIMIT: u16 = kind::USER + 13;
const OOM_KILLS: u16 = kind::USER + 14;
const WALL: u16 = kind::USER + 15;

/// The start of a saved stream.
pub fn head(host: &Host) -> Vec<u8> {
    let Coverage { hooks, uncovered } = &host.coverage;
    let observes: Vec<Option<&str>> =
        hooks.iter().map(|hook| hook.observe.map(Observe::word)).collect();
    let hooks: Vec<&str> = hooks.iter().map(|hook| hook.hook.as_str()).collect();
    let blind: Vec<Value> = uncovered
        .iter()
        .map(|blind| json!({"hook": blind.hook, "reason": blind.reason, "causes": blind.causes}))
        .collect();
    let line = json!({
        "layout": LAYOUT, "name": host.name, "boot_id": host.boot_id, "release": host.release,
        "since": host.since, "wall": host.clock.0, "page_size": host.page_size,
        "pid": host.pid, "mnt_ns": host.mnt_ns,
        "signals": host.deaths.signals, "exits": host.deaths.exits.name(),
        "hooks": hooks, "observes": observes, "blind": blind,
    });
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(line.to_string().as_bytes());
    out.push(b'\n');
    out
}

/// One record of a saved stream.
pub fn record(event: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(event.len() + 4);
    out.put_u32_le(event.len() as u32);
    out.extend_from_slice(event);
    out
}

/// What user space found out itself, in the form of an event; `None` for the kernel's kinds.
pub fn note(event: &Event, time: u64) -> Option<Vec<u8>> {
    let (kind, body) = match event {
        Event::Process(process) => (PROCESS, process_json(process)),
        Event::Mounts(mounts) => (MOUNTS, mounts.iter().map(mount_json).collect()),
        Event::Account { cpu, ring, seq } => {
            (ACCOUNT, json!({"cpu": cpu, "ring": ring, "seq": seq}))
        }
        Event::Space(Space { dev, total, free, free_inodes, errno }) => {
            (SPACE, json!([dev.major, dev.minor, total, free, free_inodes, errno]))
        }
        Event::Quota(Quota { victim, kind, id, used, limit }) => {
            (QUOTA, json!([id_json(*victim), kind, id, used, limit]))
        }
        Event::HugeLimit(HugeLimit { victim, cgroup, used, limit }) => {
            (HUGE_LIMIT, json!([id_json(*victim), encode(cgroup), used, limit]))
        }
        Event::View(View { victim, via, mounts }) => {
            let mounts: Vec<Value> = mounts.iter().map(mount_json).collect();
            (VIEW, json!({"victim": id_json(*victim), "via": via, "mounts": mounts}))
        }
        Event::Mapped(Mapped { victim, address, path }) => {
            (MAPPED, json!([id_json(*victim), address, encode(path)]))
        }
        Event::Mappers(mappers) => (MAPPERS, mappers_json(mappers)),
        Event::Symbol(Symbol { victim, name, offset }) => {
            (SYMBOL, json!([id_json(*victim), encode(name), offset]))
        }
        Event::MemoryLimit(MemoryLimit { victim, cgroup, limit }) => {
            (MEMORY_LIMIT, json!([id_json(*victim), encode(cgroup), limit]))
        }
        Event::OomKills { victim, count } => (OOM_KILLS, json!([id_json(*victim), count])),
        Event::Clock(clock) => (WALL, json!([clock.0])),
        Event::Missed { observe, hook, count } => (MISSED, json!([hook, count, observe.word()])),
        Event::HugePages(HugePages { total, free, reserved, size }) => {
            (HUGE_PAGES, json!([total, free, reserved, size]))
        }
        Event::Burst(Burst { key, count }) => {
            (STORM, json!([key.tgid, key.inode, key.handler.number(), count]))
        }
        Event::Fault(_)
        | Event::Shrink(_)
        | Event::ShrinkEnd(_)
        | Event::Signal(_)
        | Event::Deliver(_)
        | Event::ProcessExit(_)
        | Event::ProcessStart(_)
        | Event::Stale(_) => return None,
    };
    let body = body.to_string();
    let mut out = Vec::new();
    out.put_u16_le(kind);
    out.put_u16_le(0);
    out.put_u32_le((size_of::<Header>() + body.len()) as u32);
    out.put_u64_le(0);
    out.put_u64_le(0);
    out.put_u64_le(time);
    out.extend_from_slice(body.as_bytes());
    Some(out)
}

/// Reads a saved stream record by record.
pub struct Records<R> {
    source: R,
    /// Bytes read so far.
    at: u64,
    failed: bool,
}

/// Opens a saved stream.
///
/// # Errors
/// Where it is no stream, or one of another layout.
pub fn open<R: BufRead>(mut source: R) -> Result<(Host, Records<R>)> {
    let mut magic = Vec::new();
    (&mut source).take(MAGIC.len() as u64).read_to_end(&mut magic)?;
    ensure!(
        magic == MAGIC,
        "not a whybus event stream: it does not start with `whybus-events 1`, as files made by \
         `whybus trace --save FILE` do"
    );
    let mut line = Vec::new();
    (&mut source).take(HOST_LINE).read_until(b'\n', &mut line)?;
    ensure!(line.ends_with(b"\n"), "at byte {}: the host line is cut short", MAGIC.len());
    let at = (MAGIC.len() + line.len()) as u64;
    let host = parse_host(&line).with_context(|| format!("at byte {}", MAGIC.len()))?;
    Ok((host, Records { source, at, failed: false }))
}

fn parse_host(line: &[u8]) -> Result<Host> {
    let line: Value = serde_json::from_slice(line).context("the host line is no JSON")?;
    let layout = number(&line["layout"]);
    ensure!(
        layout == u64::from(LAYOUT),
        "the stream has layout {layout}, this whybus reads {LAYOUT}: replay it with the version \
         that recorded it"
    );
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(Host {
        name: text(&line["name"]),
        boot_id: text(&line["boot_id"]),
        release: text(&line["release"]),
        since: line["since"].as_u64().context("the host line lacks `since`")?,
        clock: ClockOffset(line["wall"].as_i64().context("the host line lacks `wall`")?),
        page_size: Some(number(&line["page_size"]))
            .filter(|size| size.is_power_of_two())
            .context("the host line's `page_size` is no power of two")?,
        pid: number(&line["pid"]) as u32,
        deaths: ExitScope {
            signals: number(&line["signals"]) as u32,
            exits: line["exits"].as_str().and_then(ExitFilter::parse).unwrap_or_default(),
        },
        mnt_ns: line["mnt_ns"].as_u64().and_then(|inum| u32::try_from(inum).ok()),
        coverage: Coverage {
            hooks: list(&line["hooks"])
                .iter()
                .enumerate()
                .map(|(i, hook)| parse_hook(text(hook), &line["observes"][i]))
                .collect(),
            uncovered: list(&line["blind"])
                .iter()
                .map(|blind| Uncovered {
                    hook: text(&blind["hook"]),
                    reason: text(&blind["reason"]),
                    causes: text(&blind["causes"]),
                })
                .collect(),
        },
    })
}

/// A hook by its name, and by the word for what it sees, which older streams do not have.
fn parse_hook(hook: String, word: &Value) -> AttachedHook {
    match word.as_str() {
        Some(word) => AttachedHook { observe: Observe::from_word(word), hook },
        None => AttachedHook::of_text(hook),
    }
}

impl<R: BufRead> Iterator for Records<R> {
    type Item = Result<(Stamp, Option<Event>)>;

    /// The next event; after an error there is none.
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let at = self.at;
        let result = self.step().with_context(|| format!("at byte {at}")).transpose()?;
        self.failed = result.is_err();
        Some(result)
    }
}

impl<R: BufRead> Records<R> {
    fn step(&mut self) -> Result<Option<(Stamp, Option<Event>)>> {
        let mut length = Vec::new();
        (&mut self.source).take(4).read_to_end(&mut length)?;
        if length.is_empty() {
            return Ok(None);
        }
        ensure!(length.len() == 4, "the stream ends inside a length");
        let length = length.as_slice().get_u32_le();
        ensure!(length <= LONGEST, "a record of {length} bytes: the stream is damaged from here");
        let mut bytes = Vec::new();
        (&mut self.source).take(u64::from(length)).read_to_end(&mut bytes)?;
        ensure!(
            bytes.len() == length as usize,
            "the stream ends inside a record: {} of {length} bytes",
            bytes.len()
        );
        self.at += 4 + u64::from(length);
        let (stamp, event) = decode(&bytes)?;
        match event {
            Some(event) => Ok(Some((stamp, Some(event)))),
            None => Ok(Some((stamp, parse_note(&bytes)?))),
        }
    }
}

fn parse_note(bytes: &[u8]) -> Result<Option<Event>> {
    let kind = u16::from_le_bytes([bytes[0], bytes[1]]);
    if !(PROCESS..=WALL).contains(&kind) {
        return Ok(None);
    }
    let body: Value = serde_json::from_slice(&bytes[size_of::<Header>()..])
        .with_context(|| format!("a note of kind {kind} is no JSON"))?;
    Ok(match kind {
        PROCESS => Some(Event::Process(Box::new(parse_process(&body)))),
        MOUNTS => Some(Event::Mounts(list(&body).iter().map(parse_mount).collect())),
        SPACE => Some(Event::Space(Space {
            dev: parse_dev(&body),
            total: number(&body[2]),
            free: number(&body[3]),
            free_inodes: number(&body[4]),
            errno: body[5].as_i64().and_then(|errno| i32::try_from(errno).ok()),
        })),
        QUOTA => Some(Event::Quota(Quota {
            victim: parse_id(&body[0]),
            kind: number(&body[1]) as u32,
            id: number(&body[2]) as u32,
            used: number(&body[3]),
            limit: number(&body[4]),
        })),
        HUGE_LIMIT => Some(Event::HugeLimit(HugeLimit {
            victim: parse_id(&body[0]),
            cgroup: parse_bytes(&body[1]).unwrap_or_default(),
            used: number(&body[2]),
            limit: number(&body[3]),
        })),
        VIEW => Some(Event::View(View {
            victim: parse_id(&body["victim"]),
            via: number(&body["via"]) as u32,
            mounts: list(&body["mounts"]).iter().map(parse_mount).collect(),
        })),
        MAPPED => Some(Event::Mapped(Mapped {
            victim: parse_id(&body[0]),
            address: number(&body[1]),
            path: parse_bytes(&body[2]).unwrap_or_default(),
        })),
        SYMBOL => Some(Event::Symbol(Symbol {
            victim: parse_id(&body[0]),
            name: parse_bytes(&body[1]).unwrap_or_default(),
            offset: number(&body[2]),
        })),
        MEMORY_LIMIT => Some(Event::MemoryLimit(MemoryLimit {
            victim: parse_id(&body[0]),
            cgroup: parse_bytes(&body[1]).unwrap_or_default(),
            limit: number(&body[2]),
        })),
        OOM_KILLS => Some(Event::OomKills { victim: parse_id(&body[0]), count: number(&body[1]) }),
        WALL => Some(Event::Clock(ClockOffset(body[0].as_i64().unwrap_or(0)))),
        MAPPERS => Some(Event::Mappers(parse_mappers(&body))),
        MISSED => {
            let AttachedHook { observe, hook } =
                parse_hook(body[0].as_str().unwrap_or_default().to_owned(), &body[2]);
            let count = number(&body[1]);
            observe.map(|observe| Event::Missed { observe, hook, count })
        }
        HUGE_PAGES => Some(Event::HugePages(HugePages {
            total: number(&body[0]),
            free: number(&body[1]),
            reserved: number(&body[2]),
            size: number(&body[3]),
        })),
        STORM => Some(Event::Burst(Burst {
            key: BurstKey {
                tgid: number(&body[0]) as u32,
                inode: number(&body[1]),
                handler: Handler::from(number(&body[2]) as u32),
            },
            count: number(&body[3]),
        })),
        _ => Some(Event::Account {
            cpu: number(&body["cpu"]) as u32,
            ring: number(&body["ring"]) as u16,
            seq: number(&body["seq"]),
        }),
    })
}

fn encode(bytes: &[u8]) -> Value {
    BASE64_STANDARD.encode(bytes).into()
}

fn parse_bytes(value: &Value) -> Option<Bytes> {
    BASE64_STANDARD.decode(value.as_str()?).ok()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The first two of a list.
fn parse_dev(body: &Value) -> Dev {
    Dev { major: number(&body[0]) as u32, minor: number(&body[1]) as u32 }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn id_json(id: ProcessId) -> Value {
    json!([id.tgid, id.start])
}

fn parse_id(value: &Value) -> ProcessId {
    ProcessId { tgid: number(&value[0]) as u32, start: number(&value[1]) }
}

fn process_json(process: &Process) -> Value {
    let ancestors: Vec<Value> = process
        .ancestors
        .iter()
        .map(|ancestor| json!({"id": id_json(ancestor.id), "comm": encode(&ancestor.comm)}))
        .collect();
    let cmdline = process.cmdline.as_ref();
    json!({
        "id": id_json(process.id),
        "exe": process.exe.as_deref().map(encode),
        "cgroup": process.cgroup.as_deref().map(encode),
        "cmdline": cmdline.map(|args| args.iter().map(|arg| encode(arg)).collect::<Vec<_>>()),
        "ancestors": ancestors,
        "late": process.late,
    })
}

fn parse_process(body: &Value) -> Process {
    let ancestors = list(&body["ancestors"]);
    let cmdline = body["cmdline"].as_array();
    Process {
        id: parse_id(&body["id"]),
        exe: parse_bytes(&body["exe"]),
        cgroup: parse_bytes(&body["cgroup"]),
        cmdline: cmdline.map(|args| args.iter().filter_map(parse_bytes).collect()),
        ancestors: ancestors
            .iter()
            .map(|ancestor| Ancestor {
                id: parse_id(&ancestor["id"]),
                comm: parse_bytes(&ancestor["comm"]).unwrap_or_default(),
            })
            .collect(),
        late: body["late"] == true,
    }
}

fn mappers_json(mappers: &Mappers) -> Value {
    let processes: Vec<Value> = mappers
        .processes
        .iter()
        .map(|mapper| json!({"id": id_json(mapper.id), "comm": encode(&mapper.comm)}))
        .collect();
    json!({
        "inode": mappers.inode, "begin": mappers.begin, "processes": processes,
        "path": mappers.path.as_deref().map(encode), "why": mappers.why,
    })
}

fn parse_mappers(body: &Value) -> Mappers {
    let processes = list(&body["processes"]).iter().map(|mapper| Mapper {
        id: parse_id(&mapper["id"]),
        comm: parse_bytes(&mapper["comm"]).unwrap_or_default(),
    });
    Mappers {
        inode: number(&body["inode"]),
        begin: number(&body["begin"]),
        processes: processes.collect(),
        path: parse_bytes(&body["path"]),
        why: body["why"].as_str().map(str::to_owned),
    }
}

fn mount_json(mount: &Mount) -> Value {
    json!({
        "dev": [mount.dev.major, mount.dev.minor],
        "root": encode(&mount.root),
        "point": encode(&mount.point),
        "fstype": encode(&mount.fstype),
        "source": encode(&mount.source),
    })
}

fn parse_mount(body: &Value) -> Mount {
    let text = |key: &str| parse_bytes(&body[key]).unwrap_or_default();
    Mount {
        dev: Dev { major: number(&body["dev"][0]) as u32, minor: number(&body["dev"][1]) as u32 },
        root: text("root"),
        point: text("point"),
        fstype: text("fstype"),
        source: text("source"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(line: &str) -> Host {
        parse_host(line.as_bytes()).unwrap()
    }

    /// As whybus wrote them before it named what a hook sees.
    #[test]
    fn an_old_stream_names_hooks_only() {
        let old = host(&format!(
            r#"{{"layout":{LAYOUT},"since":1,"wall":2,"page_size":4096,
                "hooks":["fentry force_sig_fault","fentry of_tomorrow"]}}"#
        ));
        assert!(old.coverage.sees(Observe::ForcedSignal));
        assert!(!old.coverage.sees(Observe::Shrink));
        let hooks: Vec<&str> = old.coverage.hooks.iter().map(|hook| hook.hook.as_str()).collect();
        assert_eq!(hooks, ["fentry force_sig_fault", "fentry of_tomorrow"]);

        let body = br#"["fentry notify_change",7]"#;
        let observe = Observe::Shrink;
        let hook = "fentry notify_change".to_owned();
        let note = note(&Event::Missed { observe, hook, count: 7 }, 9).unwrap();
        let mut old = note[..size_of::<Header>()].to_vec();
        old.extend_from_slice(body);
        assert_eq!(parse_note(&old).unwrap(), parse_note(&note).unwrap());
    }

    #[test]
    fn what_a_hook_sees_is_saved_beside_its_name() {
        let mut told =
            host(&format!(r#"{{"layout":{LAYOUT},"since":1,"wall":2,"page_size":4096}}"#));
        let hook = "kprobe force_sig_fault".to_owned();
        told.coverage.hooks.push(AttachedHook { observe: Some(Observe::ForcedSignal), hook });
        let head = head(&told);
        let (read, _) = open(head.as_slice()).unwrap();
        assert_eq!(read, told);
    }
}
