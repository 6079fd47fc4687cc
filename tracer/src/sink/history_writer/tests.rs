//! The disk is full, locked or gone, and comes back.
use std::path::Path;

use super::*;

fn options(state_dir: &Path) -> HistoryOptions {
    HistoryOptions {
        state_dir: state_dir.to_owned(),
        group: None,
        keep: Duration::from_secs(86_400),
        keep_size: 1 << 30,
    }
}

#[test]
fn why_nobody_was_watching() {
    let beat = |stopped| Heartbeat {
        pid: 1,
        boot_id: "a".into(),
        since: 0,
        seen: 1,
        stopped,
        steady_ns: 0,
        verdict: None,
    };
    assert_eq!(absence(&beat(true), "b"), GapReason::Stopped);
    assert_eq!(absence(&beat(false), "b"), GapReason::Rebooted);
    assert_eq!(absence(&beat(false), "a"), GapReason::Killed);
}

#[test]
fn a_disk_that_recovers_as_we_end_is_told_what_was_lost() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut writer = HistoryWriter::new(options(dir.path()));
    writer.open().expect("a history");
    writer.take(Message::Begin { host: "h".into(), boot_id: "b".into(), since: 1 });
    writer.failed(&Error::from(std::io::Error::from(std::io::ErrorKind::StorageFull)));
    writer.dropped = 7;
    writer.flush_at_end();
    writer.end(now());
    let reader = crate::store::sqlite::read::Reader::open(dir.path()).expect("a reader");
    let gaps = reader.gaps(i64::MIN, i64::MAX, 0).expect("gaps");
    assert!(gaps.iter().any(|gap| gap.lost == Some(7)), "{gaps:?}");
}

/// Whoever may read the history can lock the file that its readers share, and no more than that: what happens
/// meanwhile waits, and `status` says so.
#[test]
fn a_reader_that_holds_a_lock_ends_nothing() {
    use crate::{
        contract::samples::incident,
        model::cause::CauseKind,
        store::{lock::last_heartbeat, sqlite::read::Reader},
    };
    use std::{fs::File, os::fd::AsRawFd as _};

    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut writer = HistoryWriter::new(options(dir.path()));
    writer.open().expect("a history");
    writer.take(Message::Begin { host: "h".into(), boot_id: "b".into(), since: 1 });
    writer.flush(false);
    // As one who may only read can: the locks of WAL mode are these bytes (walformat.html).
    let shared = File::open(dir.path().join("history.db-shm")).expect("it is there");
    let mut lock: libc::flock = no_lock();
    (lock.l_type, lock.l_start, lock.l_len) = (libc::F_RDLCK as i16, 120, 8);
    // SAFETY: an open file, and a lock as this command takes it. Of a descriptor, so that it holds against this very
    // process, too.
    let held = unsafe { libc::fcntl(shared.as_raw_fd(), libc::F_OFD_SETLK, &lock) };
    assert_eq!(held, 0, "nobody else has it");
    let mut one = incident(CauseKind::Sent, 9);
    one.time = Time(7);
    writer.take(Message::Keep(Entry::Incident(Box::new(one))));
    writer.flush(false);
    assert!(writer.failing.is_some() && writer.waiting.len() == 1);
    writer.take(Message::Beat(now()));
    let said = last_heartbeat(dir.path()).and_then(|beat| beat.verdict).expect("a verdict");
    assert_eq!(said.readiness.known(), Readiness::NotReady);
    assert!(said.summary.is_some_and(|why| why.contains("locked")));
    // Nor does it keep a recorder from starting.
    drop(writer);
    let mut writer = HistoryWriter::new(options(dir.path()));
    if let Err(error) = writer.open() {
        assert!(error.may_pass(), "{error:?}");
        writer.failed(&error);
    }
    let mut other = incident(CauseKind::Sent, 9);
    other.time = Time(8);
    writer.take(Message::Begin { host: "h".into(), boot_id: "b".into(), since: 1 });
    writer.take(Message::Keep(Entry::Incident(Box::new(other))));
    writer.flush(true);
    drop(shared);
    writer.flush_at_end();
    assert!(writer.failing.is_none() && writer.waiting.is_empty());
    let reader = Reader::open(dir.path()).expect("a reader");
    assert_eq!(reader.extent().expect("readable").0, 1);
}

#[test]
fn a_directory_that_is_removed_is_made_anew() {
    use crate::store::{lock::running_recorder, sqlite::read::Reader};

    let top = tempfile::tempdir().expect("a temporary directory");
    let dir = top.path().join("state");
    let mut writer = HistoryWriter::new(options(&dir));
    writer.open().expect("a history");
    writer.take(Message::Begin { host: "h".into(), boot_id: "b".into(), since: 1 });
    writer.flush(false);
    std::fs::remove_dir_all(&dir).expect("ours");
    let now = now();
    writer.take(Message::Beat(now));
    writer.flush(false);
    assert!(running_recorder(&dir, now).is_some());
    let gaps = Reader::open(&dir).expect("a reader").gaps(i64::MIN, i64::MAX, 0).expect("gaps");
    assert!(
        gaps.iter().any(|gap| gap.reason == GapReason::Removed && gap.until.0 == now),
        "{gaps:?}"
    );
    // Nothing is amiss with one that is in its place.
    writer.take(Message::Beat(now));
    assert!(writer.store.is_some());
}

fn no_lock() -> libc::flock {
    // SAFETY: numbers, of which 0 is one.
    unsafe { std::mem::zeroed() }
}

/// A history of version 9 may hold a million: a service manager waits two minutes for a start.
#[test]
fn an_older_history_is_counted_beside_recording() {
    use crate::{contract::samples::incident, model::cause::CauseKind};

    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut writer = HistoryWriter::new(options(dir.path()));
    writer.open().expect("a history");
    writer.take(Message::Begin { host: "h".into(), boot_id: "b".into(), since: 1 });
    for n in 0..1_500 {
        let mut one = incident(CauseKind::Sent, 9);
        (one.id, one.time) = (format!("019aa4d2-6f31-7abc-8def-{n:012x}").into(), Time(n));
        writer.take(Message::Keep(Entry::Incident(Box::new(one))));
    }
    writer.flush(false);
    writer.end(now());
    drop(writer);
    let db = rusqlite::Connection::open(dir::history(dir.path())).expect("ours");
    db.execute_batch("DROP TABLE tally; PRAGMA user_version = 9").expect("ours");
    let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a number");
    let mut writer = HistoryWriter::new(options(dir.path()));
    writer.open().expect("an older history");
    assert_eq!(number("SELECT coalesce(sum(incidents), 0) FROM tally WHERE kind = 0"), 0);
    let (sender, receiver) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || writer.keep(&receiver));
    let deadline = Instant::now() + Duration::from_secs(60);
    while number("SELECT count(*) FROM tally WHERE kind = -1") != 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(sender);
    thread.join().expect("its end");
    assert_eq!(number("SELECT incidents FROM tally WHERE kind = 0"), 1_500);
}
