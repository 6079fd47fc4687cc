//! Notes of user space in streams of version 1 (`whybus-events 1`): JSON by position, one kind a number.
//! Nothing writes them any more.
use anyhow::{Context as _, Result};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;
use tracer_common::event::{Header, kind};

use crate::model::{
    Bytes,
    fact::{
        Fact, HugeLimit, HugePages, Mapped, Mapper, Mappers, MemoryLimit, Process, Quota, Space,
        Symbol, View,
    },
    fault::{Burst, BurstKey, Handler},
    file::{Dev, Mount},
    input::{Input, WatchNote},
    observe::AttachedHook,
    task::{Ancestor, ProcessId},
    time::ClockOffset,
};

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

/// Reads a note of user space; `None` if its kind is not known.
///
/// # Errors
/// Where its body is no JSON.
pub fn parse_note(bytes: &[u8]) -> Result<Option<Input>> {
    let kind = u16::from_le_bytes([bytes[0], bytes[1]]);
    if !(PROCESS..=WALL).contains(&kind) {
        return Ok(None);
    }
    let body: Value = serde_json::from_slice(&bytes[size_of::<Header>()..])
        .with_context(|| format!("a note of kind {kind} is no JSON"))?;
    let fact = parse_fact(kind, &body).map(Input::Fact);
    Ok(fact.or_else(|| parse_watch_note(kind, &body).map(Input::Watch)))
}

/// What was looked up.
fn parse_fact(kind: u16, body: &Value) -> Option<Fact> {
    Some(match kind {
        PROCESS => Fact::Process(Box::new(parse_process(body))),
        MOUNTS => Fact::Mounts(list(body).iter().map(parse_mount).collect()),
        SPACE => Fact::Space(Space {
            dev: parse_dev(body),
            total: number(&body[2]),
            free: number(&body[3]),
            free_inodes: number(&body[4]),
            errno: body[5].as_i64().and_then(|errno| i32::try_from(errno).ok()),
        }),
        QUOTA => Fact::Quota(Quota {
            victim: parse_id(&body[0]),
            kind: number(&body[1]) as u32,
            id: number(&body[2]) as u32,
            used: number(&body[3]),
            limit: number(&body[4]),
        }),
        HUGE_LIMIT => Fact::HugeLimit(HugeLimit {
            victim: parse_id(&body[0]),
            cgroup: parse_bytes(&body[1]).unwrap_or_default(),
            used: number(&body[2]),
            limit: number(&body[3]),
        }),
        VIEW => Fact::View(View {
            victim: parse_id(&body["victim"]),
            via: number(&body["via"]) as u32,
            mounts: list(&body["mounts"]).iter().map(parse_mount).collect(),
        }),
        MAPPED => Fact::Mapped(Mapped {
            victim: parse_id(&body[0]),
            address: number(&body[1]),
            path: parse_bytes(&body[2]).unwrap_or_default(),
        }),
        SYMBOL => Fact::Symbol(Symbol {
            victim: parse_id(&body[0]),
            name: parse_bytes(&body[1]).unwrap_or_default(),
            offset: number(&body[2]),
        }),
        MEMORY_LIMIT => Fact::MemoryLimit(MemoryLimit {
            victim: parse_id(&body[0]),
            cgroup: parse_bytes(&body[1]).unwrap_or_default(),
            limit: number(&body[2]),
        }),
        OOM_KILLS => Fact::OomKills { victim: parse_id(&body[0]), count: number(&body[1]) },
        MAPPERS => Fact::Mappers(parse_mappers(body)),
        HUGE_PAGES => Fact::HugePages(HugePages {
            victim: None,
            total: number(&body[0]),
            free: number(&body[1]),
            reserved: number(&body[2]),
            size: number(&body[3]),
        }),
        _ => return None,
    })
}

/// What the watch learnt by itself.
fn parse_watch_note(kind: u16, body: &Value) -> Option<WatchNote> {
    Some(match kind {
        WALL => WatchNote::Clock(ClockOffset(body[0].as_i64().unwrap_or(0))),
        MISSED => {
            let name = body[0].as_str().unwrap_or_default().to_owned();
            let AttachedHook { observe, hook } = AttachedHook::of_words(name, body[2].as_str());
            WatchNote::RecursionMiss { observe: observe?, hook, count: number(&body[1]) }
        }
        STORM => WatchNote::Burst(Burst {
            key: BurstKey {
                tgid: number(&body[0]) as u32,
                inode: number(&body[1]),
                handler: Handler::from(number(&body[2]) as u32),
            },
            count: number(&body[3]),
        }),
        ACCOUNT => WatchNote::SeqCheckpoint {
            cpu: number(&body["cpu"]) as u32,
            ring: number(&body["ring"]) as u16,
            seq: number(&body["seq"]),
        },
        _ => return None,
    })
}

fn parse_bytes(value: &Value) -> Option<Bytes> {
    BASE64_STANDARD.decode(value.as_str()?).ok()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn parse_dev(body: &Value) -> Dev {
    Dev { major: number(&body[0]) as u32, minor: number(&body[1]) as u32 }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn parse_id(value: &Value) -> ProcessId {
    ProcessId { tgid: number(&value[0]) as u32, start: number(&value[1]) }
}

fn parse_process(body: &Value) -> Process {
    let ancestors = list(&body["ancestors"]);
    let cmdline = body["cmdline"].as_array();
    Process {
        comm: None,
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
        unasked: None,
        outputs: None,
        names: None,
        login_user: None,
        timers: Vec::new(),
    }
}

fn parse_mappers(body: &Value) -> Mappers {
    let processes = list(&body["processes"]).iter().map(|mapper| Mapper {
        id: parse_id(&mapper["id"]),
        comm: parse_bytes(&mapper["comm"]).unwrap_or_default(),
        code: false,
    });
    Mappers {
        inode: number(&body["inode"]),
        begin: number(&body["begin"]),
        processes: processes.collect(),
        path: parse_bytes(&body["path"]),
        why: body["why"].as_str().map(str::to_owned),
    }
}

fn parse_mount(body: &Value) -> Mount {
    let text = |key: &str| parse_bytes(&body[key]).unwrap_or_default();
    Mount {
        dev: Dev { major: number(&body["dev"][0]) as u32, minor: number(&body["dev"][1]) as u32 },
        root: text("root"),
        point: text("point"),
        fstype: text("fstype"),
        source: text("source"),
        address: None,
        backing: None,
    }
}
