//! Histories that somebody else has written: whatever is in one, reading it ends soon, in little memory, with a sentence.
mod common;

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rusqlite::Connection;

use common::{binary, text, whybus};

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/streams/newest.json");

/// A history that was recorded, and then changed by that SQL.
fn changed(dir: &Path, sql: &str) -> PathBuf {
    let state = dir.join("state");
    let out = whybus(["import", RECORDED, "--state-dir"]).arg(&state).output().expect("it runs");
    assert!(out.status.success(), "{}", text(&out.stderr));
    let db = Connection::open(state.join("history.db")).expect("a history");
    db.execute_batch(sql).expect("it is changed");
    state
}

/// What a verb says and ends with, in at most so long and in so many bytes of address space.
fn bounded(words: &[&str], state: &Path) -> (Option<i32>, String) {
    const PATIENCE: Duration = Duration::from_secs(20);
    let mut command = Command::new("sh");
    command.args(["-c", r#"ulimit -v 600000; exec "$0" "$@""#]).arg(binary());
    command.args(words).arg("--state-dir").arg(state);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    let began = Instant::now();
    while child.try_wait().expect("ours").is_none() {
        if began.elapsed() > PATIENCE {
            child.kill().expect("ours");
            panic!("{words:?} took longer than {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("UTF-8");
    (child.wait().expect("ours").code(), said)
}

const READERS: [&[&str]; 4] = [&["list"], &["why", "reader"], &["stats"], &["export"]];

#[test]
fn a_view_in_place_of_a_table_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let endless = "PRAGMA foreign_keys = OFF; DROP TABLE incident; CREATE VIEW incident AS
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
         SELECT i AS seq, i AS time, i AS pid, i AS uid, i AS comm, i AS cgroup, i AS path, i AS by_pid,
             i AS by_comm, i AS class, i AS status, i AS times, i AS restart_ns, i AS story, i AS boot,
             i AS boot_ns, x'' AS id, x'' AS body FROM n";
    let state = changed(dir.path(), endless);
    for verb in READERS {
        let (status, said) = bounded(verb, &state);
        assert_eq!(status, Some(66), "{verb:?}: {said}");
        assert!(said.contains("is a database of another program"), "{verb:?}: {said}");
    }
    let (status, said) = bounded(&["import", RECORDED], &state);
    assert_eq!(status, Some(66), "{said}");
}

#[test]
fn a_value_that_is_too_large_takes_no_memory() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let large = "PRAGMA page_size; UPDATE incident SET body = zeroblob(300000000) WHERE seq = 3";
    let state = changed(dir.path(), large);
    for verb in READERS {
        let (status, said) = bounded(verb, &state);
        assert!(matches!(status, Some(0 | 66 | 70)), "{verb:?}: {status:?} {said}");
    }
}

#[test]
fn a_trigger_does_not_run_in_the_writer() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let trigger = "CREATE TRIGGER grab AFTER INSERT ON incident BEGIN DELETE FROM incident; END;
         DELETE FROM incident WHERE seq > 1";
    let state = changed(dir.path(), trigger);
    let out = whybus(["import", RECORDED, "--state-dir"]).arg(&state).output().expect("it runs");
    assert!(out.status.success(), "{}", text(&out.stderr));
    let db = Connection::open(state.join("history.db")).expect("a history");
    let count = db.query_row("SELECT count(*) FROM incident", [], |row| row.get::<_, i64>(0));
    assert!(count.expect("a count") > 10, "the trigger deleted them");
}

#[test]
fn a_fifo_in_place_of_the_history_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let state = dir.path().join("state");
    std::fs::create_dir(&state).expect("room");
    let made = Command::new("mkfifo").arg(state.join("history.db")).status().expect("mkfifo");
    assert!(made.success());
    for verb in READERS {
        let (status, said) = bounded(verb, &state);
        assert_eq!(status, Some(66), "{verb:?}: {said}");
        assert!(said.contains("is not a regular file"), "{verb:?}: {said}");
    }
}

/// Whoever reads slowly does not keep the writer from moving what it wrote into the history.
#[test]
fn a_stalled_export_does_not_pin_what_is_written() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let state = changed(dir.path(), "SELECT 1");
    let mut export = whybus(["export", "--state-dir"])
        .arg(&state)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut some = [0; 4096];
    export.stdout.as_mut().expect("piped").read_exact(&mut some).expect("an export");
    // The pipe is full by then.
    std::thread::sleep(Duration::from_millis(500));
    let db = Connection::open(state.join("history.db")).expect("a history");
    db.busy_timeout(Duration::ZERO).expect("ours");
    db.execute_batch("UPDATE incident SET times = times").expect("it is written");
    let checkpoint =
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    let busy = checkpoint.expect("a checkpoint");
    export.kill().expect("ours");
    export.wait().expect("ours");
    assert_eq!(busy, 0, "a reader held it up");
}

/// Command lines stand in a stream, and may have passwords.
#[test]
fn a_writer_cannot_be_made_to_follow_a_link() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let state = changed(dir.path(), "SELECT 1");
    let lock = state.join("lock");
    std::fs::remove_file(&lock).expect("it is there");
    std::os::unix::fs::symlink(dir.path().join("elsewhere"), &lock).expect("a link");
    let (status, said) = bounded(&["import", RECORDED], &state);
    assert_eq!(status, Some(66), "{said}");
    assert!(!dir.path().join("elsewhere").exists());
}
