//! Opening the database file, for the writer and for readers.
use std::{path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig, ffi, limits::Limit};

/// Leaves the -wal and -shm files where they are when we close: without them, whoever may not write
/// to the directory cannot read a history in WAL mode.
pub fn keep_wal(db: &Connection) {
    let mut on: std::ffi::c_int = 1;
    // SAFETY: an open connection, its main database, and an int as this control takes it.
    unsafe {
        ffi::sqlite3_file_control(
            db.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_PERSIST_WAL,
            (&raw mut on).cast(),
        );
    }
}

/// Nothing runs that a history brings along, whoever wrote it: no trigger, no view, no function in its schema. And
/// nothing in it is larger than what we write.
///
/// # Errors
/// Where SQLite does not take it.
pub fn distrust(db: &Connection) -> rusqlite::Result<()> {
    /// Bytes of one value: an incident of 4 MiB, which does not get smaller.
    const LARGEST: i32 = 8 << 20;
    for (config, on) in [
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
    ] {
        db.set_db_config(config, on)?;
    }
    db.set_limit(Limit::SQLITE_LIMIT_LENGTH, LARGEST)?;
    Ok(())
}

/// Whether what should be one of our tables is computed instead.
///
/// # Errors
/// Where SQLite cannot read.
pub fn has_false_tables(db: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'view'
         AND name IN ('boot', 'name', 'cgroup_name', 'incident', 'watch', 'gap', 'warning', 'forgotten',
             'tally'))";
    db.query_row(sql, [], |row| row.get(0))
}

/// Opens a history for reading.
///
/// # Errors
/// Where it cannot be read.
pub fn read_only(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = |name: &Path, flags| -> rusqlite::Result<Connection> {
        let db = Connection::open_with_flags(name, flags)?;
        distrust(&db)?;
        db.busy_timeout(Duration::from_secs(2))?;
        db.pragma_update(None, "cache_size", -16_384)?;
        db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
        Ok(db)
    };
    let error = match open(path, flags) {
        Ok(db) => return Ok(db),
        Err(error) => error,
    };
    // In WAL mode a reader needs the files beside the history. If they are gone (it was copied here)
    // nobody writes to it, and it can be read as it is.
    let mut beside = path.as_os_str().to_owned();
    let mut shared = beside.clone();
    beside.push("-wal");
    shared.push("-shm");
    let shared = Path::new(&shared);
    let wal = std::fs::metadata(&beside).map(|wal| wal.len());
    // An empty one is a recorder's that writes, if there is also what its readers share.
    let copied = wal.is_err() || wal.is_ok_and(|len| len == 0) && !shared.exists();
    let cannot =
        matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly));
    if !(copied && cannot) {
        return Err(error);
    }
    let mut uri = String::from("file:");
    for byte in std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()) {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(*byte));
            }
            other => uri.push_str(&format!("%{other:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    open(Path::new(&uri), flags | OpenFlags::SQLITE_OPEN_URI)
}
