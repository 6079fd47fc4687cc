//! The saved form of a watch: one line of magic, one line about the host, then records.
//!
//! A record is its length (u32, little-endian) and the event as the ring buffer gave it, or a header and
//! JSON: a fact that was looked up, or a note of the watch. `docs/stream.md`.
use std::io::{BufRead, Read as _};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::{Buf, BufMut};
use serde_json::{Value, json};
use tracer_common::event::{BASE_LAYOUT, Header, kind};

use crate::{
    model::{
        host::Host,
        input::{Input, Stamp, WatchNote},
        observe::{AttachedHook, Coverage, Observe, Uncovered},
        process::{ExitFilter, ExitScope},
        time::ClockOffset,
    },
    wire::{decode::decode, stream_v1},
};

const MAGIC: &[u8] = b"whybus-events 2\n";
/// Streams before the watch's own notes were all in them.
const MAGIC_V1: &[u8] = b"whybus-events 1\n";
/// No event is longer; a length beyond it means a torn or foreign file.
const LONGEST: u32 = 4 << 20;
/// Nor is the line about the host.
const HOST_LINE: u64 = 64 << 10;
/// Values that a fact or a note may have. Two bytes of a list become a value of seventy; mounts, the longest that there are,
/// have ten in 130 bytes.
const VALUES: usize = 3 << 17;

/// A [`Fact`](crate::model::fact::Fact) as JSON.
const FACT: u16 = kind::USER + 64;
/// A [`WatchNote`] as JSON.
const NOTE: u16 = kind::USER + 65;

/// Whether this is how a saved stream begins.
pub fn begins(bytes: &[u8]) -> bool {
    [MAGIC, MAGIC_V1].iter().any(|magic| bytes.starts_with(magic))
}

/// The start of a saved stream.
pub fn head(host: &Host) -> Vec<u8> {
    let Coverage { hooks, uncovered } = &host.coverage;
    let observes: Vec<Option<&str>> =
        hooks.iter().map(|hook| hook.observe.map(Observe::word)).collect();
    let hooks: Vec<&str> = hooks.iter().map(|hook| hook.hook.as_str()).collect();
    let blind: Vec<Value> = uncovered
        .iter()
        .map(|blind| {
            let observe = blind.observe.map(Observe::word);
            json!({"hook": blind.hook, "observe": observe, "reason": blind.reason, "causes": blind.causes})
        })
        .collect();
    let line = json!({
        "layout": BASE_LAYOUT, "name": host.name, "boot_id": host.boot_id, "release": host.release,
        "since": host.since, "wall": host.clock.0, "page_size": host.page_size, "cpus": host.cpus,
        "pid": host.pid, "mnt_ns": host.mnt_ns, "init_mnt_ns": host.init_mnt_ns,
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

/// What user space found out itself, as a record; `None` for what a probe saw, and for what is more than is read again.
///
/// # Errors
/// Where it has no JSON, which cannot be.
pub fn unnumbered_record(input: &Input, time: u64) -> Result<Option<Vec<u8>>> {
    let (kind, body) = match input {
        Input::Kernel(_) => return Ok(None),
        Input::Fact(fact) => (FACT, serde_json::to_vec(fact)?),
        Input::Watch(note) => (NOTE, serde_json::to_vec(note)?),
    };
    if size_of::<Header>() + body.len() > LONGEST as usize || values(&body) > VALUES {
        return Ok(None);
    }
    let mut out = Vec::with_capacity(size_of::<Header>() + body.len());
    out.put_u16_le(kind);
    out.put_u16_le(0);
    out.put_u32_le((size_of::<Header>() + body.len()) as u32);
    out.put_u64_le(0);
    out.put_u64_le(0);
    out.put_u64_le(time);
    out.extend_from_slice(&body);
    Ok(Some(record(&out)))
}

/// Reads a saved stream record by record.
pub struct Records<R> {
    source: R,
    version: u8,
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
    let version = match &magic[..] {
        MAGIC => 2,
        MAGIC_V1 => 1,
        _ => bail!(
            "not a whybus event stream: it does not start with `whybus-events 2`, as files made by \
             `whybus trace --save FILE` do"
        ),
    };
    let mut line = Vec::new();
    (&mut source).take(HOST_LINE).read_until(b'\n', &mut line)?;
    ensure!(line.ends_with(b"\n"), "at byte {}: the host line is cut short", MAGIC.len());
    let at = (MAGIC.len() + line.len()) as u64;
    let host = parse_host(&line).with_context(|| format!("at byte {}", MAGIC.len()))?;
    Ok((host, Records { source, version, at, failed: false }))
}

fn parse_host(line: &[u8]) -> Result<Host> {
    let line: Value = serde_json::from_slice(line).context("the host line is no JSON")?;
    let layout = number(&line["layout"]);
    ensure!(
        layout == u64::from(BASE_LAYOUT),
        "the stream has layout {layout}, this whybus reads {BASE_LAYOUT}: replay it with the version \
         that recorded it"
    );
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let namespace = |value: &Value| value.as_u64().and_then(|inum| u32::try_from(inum).ok());
    Ok(Host {
        name: text(&line["name"]),
        boot_id: text(&line["boot_id"]),
        release: text(&line["release"]),
        since: line["since"].as_u64().context("the host line lacks `since`")?,
        clock: ClockOffset(line["wall"].as_i64().context("the host line lacks `wall`")?),
        page_size: Some(number(&line["page_size"]))
            .filter(|size| size.is_power_of_two())
            .context("the host line's `page_size` is no power of two")?,
        cpus: line["cpus"].as_u64().filter(|cpus| *cpus != 0),
        pid: number(&line["pid"]) as u32,
        deaths: ExitScope {
            signals: number(&line["signals"]) as u32,
            exits: line["exits"].as_str().and_then(ExitFilter::parse).unwrap_or_default(),
        },
        mnt_ns: namespace(&line["mnt_ns"]),
        init_mnt_ns: namespace(&line["init_mnt_ns"]),
        coverage: Coverage {
            hooks: list(&line["hooks"])
                .iter()
                .enumerate()
                .map(|(i, hook)| AttachedHook::of_words(text(hook), line["observes"][i].as_str()))
                .collect(),
            uncovered: list(&line["blind"])
                .iter()
                .map(|blind| {
                    let (reason, causes) = (text(&blind["reason"]), text(&blind["causes"]));
                    let word = blind["observe"].as_str();
                    Uncovered::of_words(text(&blind["hook"]), word, reason, causes)
                })
                .collect(),
        },
    })
}

impl<R: BufRead> Iterator for Records<R> {
    type Item = Result<(Stamp, Option<Input>)>;

    /// The next input, `None` for a kind this build does not know; after an error there is none.
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
    /// Whether the stream says when time moved on ([`WatchNote::Advanced`]): since version 2.
    pub fn has_advances(&self) -> bool {
        self.version >= 2
    }

    fn step(&mut self) -> Result<Option<(Stamp, Option<Input>)>> {
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
        let input = match event {
            Some(event) => Some(Input::Kernel(event)),
            None => parse_unnumbered(&bytes, self.version)?,
        };
        Ok(Some((stamp, input)))
    }
}

/// No more values than these are in a JSON text.
fn values(body: &[u8]) -> usize {
    body.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count()
}

fn parse_unnumbered(bytes: &[u8], version: u8) -> Result<Option<Input>> {
    let kind = u16::from_le_bytes([bytes[0], bytes[1]]);
    let body = &bytes[size_of::<Header>()..];
    let values = values(body);
    ensure!(values <= VALUES, "a fact or note of {values} values: the stream is damaged from here");
    Ok(match kind {
        FACT => {
            Some(Input::Fact(serde_json::from_slice(body).context("a fact that was looked up")?))
        }
        NOTE => Some(Input::Watch(
            serde_json::from_slice::<WatchNote>(body).context("a note of the watch")?,
        )),
        _ if version == 1 => stream_v1::parse_note(bytes)?,
        _ => None,
    })
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        fact::{Fact, Process, Triggers, Unasked, User, View},
        fault::{Burst, BurstKey, Handler},
        file::{Dev, Mount},
        names::ContainerNames,
        output::{Output, Outputs},
        server::{FuseServer, ServedBy, Server},
        task::{Ancestor, ProcessId},
    };

    fn host(line: &str) -> Host {
        parse_host(line.as_bytes()).unwrap()
    }

    /// As whybus wrote them before it named what a hook sees.
    #[test]
    fn an_old_stream_names_hooks_only() {
        let old = host(&format!(
            r#"{{"layout":{BASE_LAYOUT},"since":1,"wall":2,"page_size":4096,
                "hooks":["fentry force_sig_fault","fentry of_tomorrow"]}}"#
        ));
        assert!(old.coverage.sees(Observe::ForcedSignal));
        assert!(!old.coverage.sees(Observe::Shrink));
        let hooks: Vec<&str> = old.coverage.hooks.iter().map(|hook| hook.hook.as_str()).collect();
        assert_eq!(hooks, ["fentry force_sig_fault", "fentry of_tomorrow"]);

        let mut old = vec![0; size_of::<Header>()];
        old[..2].copy_from_slice(&(kind::USER + 10).to_le_bytes());
        old.extend_from_slice(br#"["fentry notify_change",7]"#);
        let (observe, hook) = (Observe::Shrink, "fentry notify_change".to_owned());
        let miss = WatchNote::RecursionMiss { observe, hook, count: 7 };
        assert_eq!(parse_unnumbered(&old, 1).unwrap(), Some(Input::Watch(miss)));
    }

    #[test]
    fn what_a_hook_sees_is_saved_beside_its_name() {
        let mut told =
            host(&format!(r#"{{"layout":{BASE_LAYOUT},"since":1,"wall":2,"page_size":4096}}"#));
        let hook = "kprobe force_sig_fault".to_owned();
        told.coverage.hooks.push(AttachedHook { observe: Some(Observe::ForcedSignal), hook });
        let missing = |hook: &str, observe| Uncovered {
            observe,
            hook: hook.to_owned(),
            reason: "why".into(),
            causes: "what".into(),
        };
        told.coverage.uncovered = vec![
            missing("kprobe notify_change", Some(Observe::Shrink)),
            missing("kprobe of_tomorrow", None),
        ];
        let head = head(&told);
        let (read, _) = open(head.as_slice()).unwrap();
        assert_eq!(read, told);
    }

    fn example_outputs() -> Outputs {
        let path = b"a\xff\"".to_vec();
        let reader = Ancestor { id: ProcessId { tgid: 7, start: 8 }, comm: path.clone() };
        let stdout =
            Output::Pipe { inode: 9, path: Some(path), reader: Some(reader), outside: true };
        Outputs { stdout: Some(stdout), stderr: Some(Output::Null), at_start: true, at_end: false }
    }

    fn example_notes() -> Vec<Input> {
        let id = ProcessId { tgid: 7, start: 8 };
        let bytes = || b"a\xff\"".to_vec();
        let process = Process {
            comm: Some(b"a".to_vec()),
            id,
            exe: Some(bytes()),
            cgroup: None,
            cmdline: Some(vec![bytes(), Vec::new()]),
            ancestors: vec![Ancestor { id, comm: bytes() }],
            late: true,
            unasked: Some(Unasked::User),
            outputs: Some(Box::new(example_outputs())),
            names: None,
            login_user: None,
            timers: Vec::new(),
        };
        let mount = Mount {
            dev: Dev { major: 1, minor: 2 },
            root: bytes(),
            point: bytes(),
            fstype: bytes(),
            source: bytes(),
            address: Some(bytes()),
            backing: Some(bytes()),
        };
        let (dev, exe, by) = (mount.dev, Some(bytes()), ServedBy::SharedConnection);
        let server = Server { id, comm: bytes(), exe, by };
        let key = BurstKey { tgid: 1, inode: 2, handler: Handler::Unattributed };
        let coverage = Coverage {
            hooks: vec![AttachedHook { observe: Some(Observe::Shrink), hook: "x".into() }],
            uncovered: Vec::new(),
        };
        vec![
            Fact::Process(Box::new(process)).into(),
            Fact::Mounts(vec![mount.clone()]).into(),
            Fact::View(View { victim: id, via: 3, mounts: vec![mount] }).into(),
            Fact::FuseServer(FuseServer { dev, time: 8, process: Some(server) }).into(),
            Fact::FuseServer(FuseServer { dev, time: 9, process: None }).into(),
            Fact::User(User { uid: 1000, name: "ada".to_owned() }).into(),
            Fact::Triggers(Triggers {
                unit: "geo.service".to_owned(),
                timers: vec!["geo.timer".to_owned()],
            })
            .into(),
            Fact::Container(Box::new(ContainerNames {
                cgroup: bytes(),
                id: Some("ab".to_owned()),
                ..ContainerNames::default()
            }))
            .into(),
            WatchNote::Clock(ClockOffset(-5)).into(),
            WatchNote::Burst(Burst { key, count: u64::MAX }).into(),
            WatchNote::Coverage(coverage).into(),
            WatchNote::Asked(id).into(),
            WatchNote::Command { tgid: 9, reaper: Some(8) }.into(),
            WatchNote::Advanced.into(),
            WatchNote::Ended { reason: "so".into() }.into(),
        ]
    }

    #[test]
    fn what_user_space_found_out_comes_back_as_it_was() {
        let host =
            host(&format!(r#"{{"layout":{BASE_LAYOUT},"since":1,"wall":2,"page_size":4096}}"#));
        let mut stream = head(&host);
        for (i, input) in example_notes().iter().enumerate() {
            stream.extend(unnumbered_record(input, i as u64).unwrap().unwrap());
        }
        let (_, records) = open(stream.as_slice()).unwrap();
        assert!(records.has_advances());
        let read: Vec<_> = records.map(|record| record.unwrap()).collect();
        let expected = example_notes().into_iter().enumerate();
        let expected = expected.map(|(i, input)| (Stamp::unnumbered(i as u64), Some(input)));
        assert_eq!(read, expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_fact_that_lacks_a_field_is_damage_and_its_place_is_told() {
        let host =
            host(&format!(r#"{{"layout":{BASE_LAYOUT},"since":1,"wall":2,"page_size":4096}}"#));
        let mut stream = head(&host);
        let at = stream.len();
        let mut bytes = unnumbered_record(&example_notes()[0], 3).unwrap().unwrap();
        let cut = bytes.len() - 12;
        bytes.truncate(cut);
        bytes.push(b'}');
        let len = (bytes.len() - 4) as u32;
        bytes[..4].copy_from_slice(&len.to_le_bytes());
        bytes[8..12].copy_from_slice(&len.to_le_bytes());
        stream.extend(bytes);
        let (_, mut records) = open(stream.as_slice()).unwrap();
        let error = format!("{:#}", records.next().unwrap().unwrap_err());
        assert!(error.starts_with(&format!("at byte {at}")), "{error}");
    }
}
