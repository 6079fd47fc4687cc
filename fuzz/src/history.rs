//! What stands in histories and in lines that are imported, and how it is shown.
use whybus::{
    cmd::import::{Line, entry},
    contract::{Incident, Record, Truncation, json},
    render::{human, json as line_of, list, list::Shown, oneline, style::Style, warning},
    store::sqlite::{
        body::{pack, unpack},
        write::Entry,
    },
    text::escape::inert,
};

/// Nothing that is printed acts on a terminal.
#[track_caller]
pub fn printed(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).expect("what is printed is UTF-8");
    assert!(text.lines().all(inert), "acts on a terminal: {text:?}");
}

/// A record in every form that it is printed in.
pub fn shown(record: &Record) {
    printed(&line_of(record));
    match record {
        Record::Incident(incident) | Record::Update(incident) => of_incident(incident),
        Record::Truncation(told) => printed(&warning::truncation(told, &Style::plain(true, true))),
        Record::Gap(gap) => printed(human::gap(gap, &Style::plain(true, true)).as_bytes()),
        _ => {}
    }
}

fn of_incident(incident: &Incident) {
    let style = Style::plain(true, true);
    printed(&human::incident(incident, &style));
    printed(&human::incident(incident, &Style { width: Some(60), ..Style::plain(false, false) }));
    printed(&human::update(incident, &style));
    printed(&oneline::incident(incident, &style));
    let _ = list::row(incident, &Shown::ALL, &style, 0);
    printed(list::csv_row(incident, &Shown::ALL, 0).as_bytes());
}

/// A line as `whybus import` takes it: what is kept of it is shown, and read again as what it is.
pub fn import(bytes: &[u8]) {
    let Line::Entry(entry) = entry(bytes) else { return };
    let record = match entry {
        Entry::Incident(incident) => Record::from(*incident),
        Entry::Warning(told) => Record::Truncation(told),
        Entry::Gap(gap) => Record::Gap(gap),
        Entry::Run(run) => Record::Run(run),
    };
    shown(&record);
    let line = json::to_vec(&record);
    let again: Record = json::from_slice(&line).expect("what we write we read");
    assert_eq!(json::to_vec(&again), line, "{record:?}");
}

/// A body of a history.
pub fn body(bytes: &[u8]) {
    if let Some(incident) = unpack::<Incident>(bytes) {
        let record = Record::from(incident);
        shown(&record);
        assert!(unpack::<Incident>(&pack(&record)).is_some(), "{record:?}");
    }
    if let Some(told) = unpack::<Truncation>(bytes) {
        shown(&Record::Truncation(Box::new(told)));
    }
}
