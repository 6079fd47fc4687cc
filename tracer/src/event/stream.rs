//! The saved form of a watch: one line of magic, one line about the host, then records.
//!
//! A record is its length (u32, little-endian) and the event as the ring buffer gave it, or as
//! user space noted it (kinds from `kind::USER`: a header, then JSON). `docs/stream.md`.
use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::{Buf, BufMut};
use serde_json::{Value, json};
use tracer_common::{
    LAYOUT,
    event::{Header, PATH, Shrink, kind},
};

use super::{
    decode::decode,
    model::{Ancestor, Blind, Bytes, Dev, Event, Host, Mount, Process, ProcessId, Stamp},
};

const MAGIC: &[u8] = b"whybus-events 1\n";
/// No event is longer; a length beyond it means a torn or foreign file.
const LONGEST: usize = size_of::<Shrink>() + PATH + (4 << 20);

const PROCESS: u16 = kind::USER;
const MOUNTS: u16 = kind::USER + 1;
const ACCOUNT: u16 = kind::USER + 2;

/// The start of a saved stream.
pub fn head(host: &Host) -> Vec<u8> {
    let blind: Vec<Value> = host
        .blind
        .iter()
        .map(|blind| json!({"hook": blind.hook, "reason": blind.reason, "causes": blind.causes}))
        .collect();
    let line = json!({
        "layout": LAYOUT, "name": host.name, "boot_id": host.boot_id, "release": host.release,
        "since": host.since, "wall": host.wall, "page_size": host.page_size,
        "hooks": host.hooks, "blind": blind,
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
        Event::Fault(_)
        | Event::Shrink(_)
        | Event::ShrinkEnd(_)
        | Event::Signal(_)
        | Event::Deliver(_)
        | Event::Exit(_) => return None,
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
pub struct Records<'a> {
    data: &'a [u8],
    at: usize,
}

/// Opens a saved stream.
///
/// # Errors
/// Where the file is no stream, or one of another layout.
pub fn open(data: &[u8]) -> Result<(Host, Records<'_>)> {
    ensure!(
        data.starts_with(MAGIC),
        "not a whybus event stream: byte 0 does not start `whybus-events 1`; files made by \
         `whybus trace --save FILE` do"
    );
    let rest = &data[MAGIC.len()..];
    let end = rest.iter().position(|b| *b == b'\n').context("the host line is cut short")?;
    let line: Value = serde_json::from_slice(&rest[..end]).context("the host line is no JSON")?;
    let layout = line["layout"].as_u64().unwrap_or(0);
    ensure!(
        layout == u64::from(LAYOUT),
        "the stream has layout {layout}, this whybus reads {LAYOUT}: replay it with the version \
         that recorded it"
    );
    let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let texts = |value: &Value| -> Vec<String> {
        let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
        items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
    };
    let blind = line["blind"].as_array().map(Vec::as_slice).unwrap_or_default();
    let host = Host {
        name: text("name"),
        boot_id: text("boot_id"),
        release: text("release"),
        since: line["since"].as_u64().context("the host line lacks `since`")?,
        wall: line["wall"].as_i64().context("the host line lacks `wall`")?,
        page_size: line["page_size"].as_u64().filter(|size| size.is_power_of_two()).unwrap_or(4096),
        hooks: texts(&line["hooks"]),
        blind: blind
            .iter()
            .map(|blind| Blind {
                hook: blind["hook"].as_str().unwrap_or_default().to_owned(),
                reason: blind["reason"].as_str().unwrap_or_default().to_owned(),
                causes: blind["causes"].as_str().unwrap_or_default().to_owned(),
            })
            .collect(),
    };
    Ok((host, Records { data, at: MAGIC.len() + end + 1 }))
}

impl Iterator for Records<'_> {
    type Item = Result<(Stamp, Option<Event>)>;

    /// The next event; after an error there is none.
    fn next(&mut self) -> Option<Self::Item> {
        if self.at == self.data.len() {
            return None;
        }
        let at = self.at;
        let result = self.step().with_context(|| format!("at byte {at}"));
        if result.is_err() {
            self.at = self.data.len();
        }
        Some(result)
    }
}

impl Records<'_> {
    fn step(&mut self) -> Result<(Stamp, Option<Event>)> {
        let mut rest = &self.data[self.at..];
        ensure!(rest.len() >= 4, "the stream ends inside a length");
        let len = rest.get_u32_le() as usize;
        ensure!(len <= LONGEST, "a record of {len} bytes: the stream is damaged from here");
        ensure!(rest.len() >= len, "the stream ends inside a record: {} of {len} bytes", rest.len());
        let bytes = &rest[..len];
        self.at += 4 + len;
        let (stamp, event) = decode(bytes)?;
        if event.is_some() {
            return Ok((stamp, event));
        }
        Ok((stamp, parse_note(bytes)?))
    }
}

fn parse_note(bytes: &[u8]) -> Result<Option<Event>> {
    let kind = u16::from_le_bytes([bytes[0], bytes[1]]);
    if !(PROCESS..=ACCOUNT).contains(&kind) {
        return Ok(None);
    }
    let body: Value = serde_json::from_slice(&bytes[size_of::<Header>()..])
        .with_context(|| format!("a note of kind {kind} is no JSON"))?;
    Ok(match kind {
        PROCESS => Some(Event::Process(Box::new(parse_process(&body)))),
        MOUNTS => {
            let mounts = body.as_array().map(Vec::as_slice).unwrap_or_default();
            Some(Event::Mounts(mounts.iter().map(parse_mount).collect()))
        }
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
    })
}

fn parse_process(body: &Value) -> Process {
    let ancestors = body["ancestors"].as_array().map(Vec::as_slice).unwrap_or_default();
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
