//! What the history looks like in SQLite, and how an older one becomes that.
//!
//! An incident is its JSON (`body`, compressed: see `body.rs`) and the columns it can be found by. Names are numbers, so that a pattern is matched against each name once, not against a
//! million rows, and so that an index entry is small. Every column one can filter by has an index
//! that goes on by time, which is how incidents are listed.
use rusqlite::Connection;

/// `user_version` of what this build writes.
pub const VERSION: i64 = 11;
/// `application_id`: "whyb".
pub const APPLICATION: i64 = 0x7768_7962;

/// What brings a history from one version to the next; a new one goes through all.
const MIGRATIONS: [&str; VERSION as usize] = ["
CREATE TABLE boot(
    id INTEGER PRIMARY KEY,
    boot_id TEXT NOT NULL,
    host TEXT NOT NULL,
    UNIQUE(boot_id, host)
);
-- Names of one kind (comm, path, …); see `select::field::NameKind`.
CREATE TABLE name(
    id INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    text BLOB NOT NULL,
    UNIQUE(kind, text)
);
CREATE TABLE incident(
    seq INTEGER PRIMARY KEY,
    -- The UUID, its last 6 bytes first: people name it by how those begin.
    id BLOB NOT NULL UNIQUE,
    -- Ns since the epoch, as the clock stood; ns since boot orders within a boot.
    time INTEGER NOT NULL,
    boot INTEGER NOT NULL REFERENCES boot(id),
    boot_ns INTEGER NOT NULL,
    -- Victim; names by number.
    pid INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    comm INTEGER NOT NULL,
    -- Tells the unit and the container, too.
    cgroup INTEGER,
    -- File and culprit.
    path INTEGER,
    by_pid INTEGER,
    by_comm INTEGER,
    class INTEGER NOT NULL,
    -- As a shell has it: the status, or 128 and the signal.
    status INTEGER,
    -- How many this stands for; ns from the end to the restart.
    times INTEGER NOT NULL,
    restart_ns INTEGER,
    -- What belongs to one restart loop has the same number (contract::series).
    story INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX incident_time ON incident(time);
CREATE INDEX incident_boot ON incident(boot, time);
CREATE INDEX incident_pid ON incident(pid, time);
CREATE INDEX incident_uid ON incident(uid, time);
CREATE INDEX incident_comm ON incident(comm, time);
CREATE INDEX incident_cgroup ON incident(cgroup, time) WHERE cgroup IS NOT NULL;
CREATE INDEX incident_path ON incident(path, time) WHERE path IS NOT NULL;
CREATE INDEX incident_by_pid ON incident(by_pid, time) WHERE by_pid IS NOT NULL;
CREATE INDEX incident_by_comm ON incident(by_comm, time) WHERE by_comm IS NOT NULL;
CREATE INDEX incident_class ON incident(class, time);
CREATE INDEX incident_status ON incident(status, time) WHERE status IS NOT NULL;
-- By the kernel's clock: a story is of one boot, and the wall clock may be set meanwhile.
CREATE INDEX incident_story ON incident(story, boot_ns, time, class, status, times, restart_ns);
-- Runs of a recorder.
CREATE TABLE watch(
    id INTEGER PRIMARY KEY,
    boot INTEGER NOT NULL REFERENCES boot(id),
    pid INTEGER NOT NULL,
    since INTEGER NOT NULL,
    -- Ns since the epoch; null while it runs, and if it never got to say so.
    until INTEGER
);
-- Times when nobody was watching, or when what was seen was lost.
CREATE TABLE gap(
    id INTEGER PRIMARY KEY,
    boot INTEGER NOT NULL REFERENCES boot(id),
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    why TEXT NOT NULL,
    -- Events or incidents lost; null where nobody could count.
    lost INTEGER,
    UNIQUE(boot, since, until, why)
);
CREATE INDEX gap_until ON gap(until);
", "
-- Early warnings: a mapped file was shrunk, and who may crash next. Few beside incidents: found by time.
CREATE TABLE warning(
    -- As of an incident.
    id BLOB PRIMARY KEY,
    time INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX warning_time ON warning(time);
", "
-- Of files on the network, by the number of the inode, which every host knows: what happened on one is joined to
-- what came of it on another.
ALTER TABLE warning ADD COLUMN inode INTEGER;
-- Of which kind it is, see retain.rs: 0 if somebody on its own host was at risk.
ALTER TABLE warning ADD COLUMN elsewhere INTEGER NOT NULL DEFAULT 0;
CREATE INDEX warning_inode ON warning(inode, time) WHERE inode IS NOT NULL;
CREATE INDEX warning_elsewhere ON warning(elsewhere, time);
", "
-- What tells files of one inode number apart, and which bytes one lost: see explain/same_file.rs. Null in rows of before.
ALTER TABLE warning ADD COLUMN server BLOB;
ALTER TABLE warning ADD COLUMN address BLOB;
ALTER TABLE warning ADD COLUMN export BLOB;
ALTER TABLE warning ADD COLUMN name BLOB;
ALTER TABLE warning ADD COLUMN old_size INTEGER;
ALTER TABLE warning ADD COLUMN new_size INTEGER;
", "
-- Its host is known by that, and is forgotten with it. Null in rows of before, and then no boot is forgotten.
ALTER TABLE warning ADD COLUMN boot INTEGER REFERENCES boot(id);
CREATE INDEX warning_boot ON warning(boot);
", "
-- What the container or pod of a cgroup is called, and its image: a path has the id, which no other has; of one without,
-- as containerd's `/default/web`, there may be several. Goes with the cgroup.
CREATE TABLE cgroup_name(
    cgroup INTEGER NOT NULL REFERENCES name(id) ON DELETE CASCADE,
    kind INTEGER NOT NULL,
    text BLOB NOT NULL,
    UNIQUE(cgroup, kind, text)
);
", "
-- By how an id begins: what people type, and how much of it tells incidents apart.
CREATE INDEX incident_start ON incident(substr(id, 7));
", "
-- What failed, where, and in which build (`Incident::signature`). Null in rows of before.
ALTER TABLE incident ADD COLUMN signature INTEGER;
CREATE INDEX incident_signature ON incident(signature, time) WHERE signature IS NOT NULL;
", "
-- Until when incidents may be missing because they were forgotten, ns since the epoch: one row, or none where nothing was. An
-- older history whose first row is gone has forgotten it.
CREATE TABLE forgotten(id INTEGER PRIMARY KEY CHECK (id = 1), until INTEGER NOT NULL);
INSERT INTO forgotten(id, until) SELECT 1, min(time) FROM incident HAVING min(seq) > 1;
", "
-- How many incidents have which value, of which class, and the times of the first and last of them: see tally.rs.
CREATE TABLE tally(
    -- The column, by its number there.
    kind INTEGER NOT NULL,
    value INTEGER NOT NULL,
    class INTEGER NOT NULL,
    incidents INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY(kind, value, class)
) WITHOUT ROWID;
-- What is there already is counted by and by: a million take minutes on a slow disk.
INSERT INTO tally(kind, value, class, incidents, first, last)
SELECT -1, 0, 0, 0, 0, 0 WHERE EXISTS (SELECT 1 FROM incident);
", "
-- Who only shares a path is told apart (see place.rs). What was joined before stays together, and nobody joins it: what
-- stands behind the path is nobody else's, whatever was imported.
UPDATE name SET text = CAST(text || x'00' || hex(randomblob(16)) AS BLOB) WHERE id IN (SELECT cgroup FROM cgroup_name);
"];

/// Brings a new or older history to [`VERSION`], in one transaction.
///
/// # Errors
/// Where SQLite cannot write.
pub fn migrate(db: &mut Connection) -> rusqlite::Result<()> {
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let Some(steps) = usize::try_from(version).ok().and_then(|done| MIGRATIONS.get(done..)) else {
        return Ok(());
    };
    if steps.is_empty() {
        return Ok(());
    }
    let transaction = db.transaction()?;
    for step in steps {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        contract::{Container, Incident, Untrusted, samples::incident},
        model::cause::CauseKind,
        select::{
            field::Field,
            selection::{Selection, Term},
        },
        store::{
            Error,
            sqlite::{
                read::Reader,
                write::{Entry, Store},
            },
            state_dir,
        },
    };

    fn in_root(n: u32, id: &str) -> Incident {
        let mut one = incident(CauseKind::Sent, 9);
        one.id = format!("019aa4d2-6f31-7abc-8def-{n:012x}").into();
        one.victim.cgroup = Some(Untrusted(b"/".to_vec()));
        one.victim.pod = None;
        let (runtime, name, image) = (None, None, None);
        one.victim.container =
            (!id.is_empty()).then(|| Container { id: id.into(), runtime, name, image });
        one
    }

    fn put(home: &Path, all: Vec<Incident>) {
        let mut store = Store::open(home, false).expect("ours").0;
        let entries = all.into_iter().map(|one| Ok::<_, Error>(Entry::Incident(Box::new(one))));
        store.put(entries).expect("room");
    }

    /// As version 10 left it; `sql` puts the names back.
    fn back_to_10(home: &Path, sql: &str) {
        let db = Connection::open(state_dir::history(home)).expect("ours");
        db.execute_batch(sql).expect("ours");
        db.pragma_update(None, "user_version", 10).expect("ours");
    }

    fn found(home: &Path, field: Field, name: &str) -> usize {
        let reader = Reader::open(home).expect("readable");
        let term = Term::of_names(field, &[name.to_owned()]);
        reader.select(&Selection::default().with(term), 0).expect("readable").len()
    }

    #[test]
    fn nobody_joins_what_version_10_had_joined() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = dir.path();
        state_dir::prepare(home, None).expect("a directory");
        put(home, vec![in_root(1, "web")]);
        back_to_10(home, "UPDATE name SET text = CAST('/' AS BLOB) WHERE kind = 2");
        put(home, vec![in_root(2, ""), in_root(3, "web"), in_root(4, "db")]);
        let found = |field, name| found(home, field, name);
        assert_eq!((found(Field::Container, "web"), found(Field::Container, "db")), (2, 1));
        assert_eq!(found(Field::Cgroup, "/"), 4);
    }

    /// Version 10 took an imported path with a NUL as it was.
    #[test]
    fn no_name_that_was_imported_is_in_the_way() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = dir.path();
        state_dir::prepare(home, None).expect("a directory");
        let unit = "/system.slice/web.service";
        let of_unit = |n, id| {
            let mut one = in_root(n, id);
            one.victim.cgroup = Some(Untrusted(unit.into()));
            one
        };
        put(home, vec![of_unit(1, "web"), of_unit(2, "db"), of_unit(3, "")]);
        // The first is `unit`, the others are that and a NUL, and that and a NUL and the number of the first.
        let set = |text: &str, like: &str| {
            format!(
                "UPDATE name SET text = CAST('{unit}' || {text} AS BLOB) WHERE kind = 2 AND {like};"
            )
        };
        let number = "(SELECT cgroup FROM cgroup_name WHERE text = CAST('web' AS BLOB))";
        let sql = set(&format!("x'00' || {number}"), "id NOT IN (SELECT cgroup FROM cgroup_name)")
            + &set("x'00'", "instr(text, CAST('db' AS BLOB))")
            + &set("''", &format!("id = {number}"));
        back_to_10(home, &sql);
        put(home, vec![of_unit(4, ""), of_unit(5, "web"), of_unit(6, "db")]);
        let found = |field, name| found(home, field, name);
        assert_eq!((found(Field::Cgroup, unit), found(Field::Unit, "web")), (6, 6));
        assert_eq!((found(Field::Container, "web"), found(Field::Container, "db")), (2, 2));
    }
}
