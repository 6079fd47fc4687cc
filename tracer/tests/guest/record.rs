//! Lines of `-o json`, typed: the only place that knows how a line is read.
use std::{collections::BTreeMap, sync::OnceLock};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use whybus::contract::{End, Incident, Record, Untrusted, json};

/// What one line says.
fn record(line: &str) -> Result<Record> {
    json::from_slice(line.as_bytes()).with_context(|| line.to_owned())
}

/// What each line of a stream says.
///
/// # Errors
/// Where one is no line of ours, or there is none.
pub fn records(stream: &str) -> Result<Vec<Record>> {
    let records: Vec<Record> = stream.lines().map(record).collect::<Result<_>>()?;
    ensure!(!records.is_empty(), "no output");
    Ok(records)
}

/// The last line, which counts.
///
/// # Errors
/// Where it is another.
pub fn end(records: &[Record]) -> Result<&End> {
    match records.last() {
        Some(Record::End(end)) => Ok(end),
        other => bail!("the last line is {other:?}"),
    }
}

/// The incidents, each as it was known last, in the order they happened.
pub fn incidents(records: Vec<Record>) -> Vec<Incident> {
    let mut last = BTreeMap::new();
    for record in records {
        if let Record::Incident(incident) | Record::Update(incident) = record {
            last.insert((incident.time, incident.id.to_string()), *incident);
        }
    }
    last.into_values().collect()
}

/// The same of the lines themselves.
///
/// # Errors
/// Where a line is none of ours.
pub fn incidents_of(stream: &str) -> Result<Vec<Incident>> {
    Ok(incidents(records(stream)?))
}

/// Bytes of unknown origin as one string: what is no UTF-8 as `\xNN`.
pub fn plain(bytes: &Untrusted) -> String {
    let mut out = String::new();
    for chunk in bytes.0.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// Holds every line against the schema that whybus itself prints.
///
/// # Errors
/// Where one does not keep to it, or there are fewer than two.
pub fn valid(stream: &str) -> Result<()> {
    static SCHEMA: OnceLock<(boon::Schemas, boon::SchemaIndex)> = OnceLock::new();
    let (schemas, index) = SCHEMA.get_or_init(|| {
        let schema = serde_json::from_str(whybus::contract::schema::JSON_SCHEMA).expect("JSON");
        let mut schemas = boon::Schemas::new();
        let mut compiler = boon::Compiler::new();
        compiler.enable_format_assertions();
        compiler.add_resource("whybus.json", schema).expect("a schema");
        let index = compiler.compile("whybus.json", &mut schemas).expect("a schema");
        (schemas, index)
    });
    let mut lines = 0;
    for line in stream.lines() {
        let value: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        if let Err(error) = schemas.validate(&value, *index) {
            bail!("{error:#}\n{line}");
        }
        lines += 1;
    }
    ensure!(lines >= 2, "only {lines} lines");
    Ok(())
}

/// Whether a replay printed, byte for byte, what was printed live.
///
/// # Errors
/// With the first line that differs.
pub fn same_bytes(live: &str, replay: &str) -> Result<()> {
    let differs = |(live, replay): &(&str, &str)| live != replay;
    if let Some((live, replay)) = live.lines().zip(replay.lines()).find(differs) {
        bail!("live:   {live}\nreplay: {replay}");
    }
    ensure!(
        live == replay,
        "live {} lines, replay {}",
        live.lines().count(),
        replay.lines().count()
    );
    Ok(())
}
