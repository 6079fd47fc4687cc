//! What a history holds from before an incident, on its host. Each question looks at a bounded number of rows.
use rusqlite::{OptionalExtension as _, ToSql, params};

use crate::{
    contract::{
        Before, EarlierBuild, EarlierImage, Gap, GapReason, Incident, Module, Time, Untrusted,
    },
    select::field::NameKind,
    store::{
        Result,
        sqlite::{ended, read::Reader},
    },
    text::escape::named,
};

/// Rows of all hosts that one question looks at, the latest.
const LOOKED_AT: i64 = 10_000;
/// Incidents of one kind that are counted.
const COUNTED: u64 = 1_000;
/// Incidents of one program whose builds are compared, the latest.
const COMPARED: i64 = 100;
/// Gaps that are read, the latest.
const GAPS: usize = 1_000;
/// Builds of one function that are counted together.
const BUILDS: usize = 64;
/// The version of a history that has signatures, and that notes until when it has forgotten.
const SIGNATURES: i64 = 8;
const FORGOTTEN: i64 = 9;
/// What rows have of the host of an incident, in SQL, and the value of `?1` there. Many hosts have no name: of
/// such a one only its boot is known to be the same.
fn of_host(incident: &Incident) -> (&'static str, &str) {
    match named(&incident.host) {
        Some(_) => ("boot IN (SELECT id FROM boot WHERE host = ?1)", &incident.host),
        None => ("boot IN (SELECT id FROM boot WHERE boot_id = ?1)", &incident.boot_id),
    }
}

/// How long spans last together, ns. Those of a history that was imported may overlap.
fn length(mut spans: Vec<(i64, i64)>) -> u64 {
    spans.sort_unstable();
    let (mut sum, mut done) = (0_u64, i64::MIN);
    for (from, to) in spans {
        let from = from.max(done);
        sum = sum.saturating_add(to.saturating_sub(from).max(0).unsigned_abs());
        done = done.max(to);
    }
    sum
}

impl Reader {
    /// What there was before an incident. `own` says whether its host is the one that records here: the history of
    /// another may have forgotten before it was imported.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn before(&self, incident: &Incident, own: bool) -> Result<Before> {
        let began = self.watched_since(incident)?;
        let since = self.reaches_back(incident, began.filter(|_| own))?;
        let now = incident.time.0;
        let (mut unwatched, mut lossy) = (Vec::new(), false);
        let same = |gap: &&Gap| match named(&incident.host) {
            Some(_) => gap.host == incident.host,
            None => gap.boot_id == incident.boot_id,
        };
        for gap in self.gaps(since, now, GAPS)?.iter().filter(same) {
            match (&gap.reason, gap.lost) {
                (GapReason::Calls { .. } | GapReason::Shrinks, _) => {}
                (_, None) => {
                    unwatched.push((gap.since.0.max(since), gap.until.0.min(now)));
                }
                (_, Some(_)) => lossy = true,
            }
        }
        let unwatched_ns = length(unwatched);
        let (alike, alike_last) = self.alike(incident, since)?;
        let (build, image) = self.versions(incident)?;
        let (since, unwatched_unknown) = (Time(since), began.is_none());
        Ok(Before {
            since,
            unwatched_ns,
            unwatched_unknown,
            lossy,
            alike,
            alike_last,
            build,
            image,
        })
    }

    /// When the first run of a recorder began that is known of a host.
    fn watched_since(&self, incident: &Incident) -> Result<Option<i64>> {
        let (of_host, host) = of_host(incident);
        let sql = format!("SELECT min(since) FROM watch WHERE {of_host}");
        Ok(self.db.query_row(&sql, [host], |row| row.get(0))?)
    }

    /// Since when all is there that was recorded of an incident's host; `began` is when that was, if it records here.
    fn reaches_back(&self, incident: &Incident, began: Option<i64>) -> Result<i64> {
        let since = match began {
            Some(began) => began,
            None => {
                let (of_host, host) = of_host(incident);
                let sql = format!("SELECT min(time) FROM incident WHERE {of_host}");
                let earliest = self.db.query_row(&sql, [host], |row| row.get(0))?;
                Option::unwrap_or(earliest, incident.time.0)
            }
        };
        let forgotten = match self.version()? >= FORGOTTEN {
            true => self.db.query_row("SELECT until FROM forgotten", [], |row| row.get(0)),
            // Nothing else says what an older one has forgotten.
            false => self.db.query_row("SELECT min(time) FROM incident", [], |row| row.get(0)),
        };
        let forgotten: Option<i64> = forgotten.optional()?.flatten();
        Ok(since.max(forgotten.unwrap_or(since)).min(incident.time.0))
    }

    fn version(&self) -> Result<i64> {
        Ok(self.db.pragma_query_value(None, "user_version", |row| row.get(0))?)
    }

    /// How many of the same kind there were since a time, and the latest of them.
    fn alike(&self, incident: &Incident, since: i64) -> Result<(u64, Option<Time>)> {
        let numbers = match &incident.signature {
            Some(signature) if self.version()? >= SIGNATURES => {
                let kind = of_any_build(&signature.0);
                let names = self.names(NameKind::Signature)?.into_iter();
                let mut same: Vec<i64> = names
                    .filter(|(_, name)| of_any_build(name) == kind)
                    .map(|(number, _)| number)
                    .collect();
                // The builds that came last.
                same.sort_unstable_by(|a, b| b.cmp(a));
                same.truncate(BUILDS);
                same
            }
            Some(_) => Vec::new(),
            None => return self.alike_by_cause(incident, since),
        };
        let mut found = (0, None);
        for number in numbers {
            let of = self.count_of("signature = ?4", &[&number], incident, since)?;
            found = (found.0 + of.0, found.1.max(of.1));
        }
        Ok((found.0.min(COUNTED), found.1))
    }

    fn alike_by_cause(&self, incident: &Incident, since: i64) -> Result<(u64, Option<Time>)> {
        let comm = self.number_of(NameKind::Comm, &incident.victim.comm.0)?;
        let class = self.number_of(NameKind::CauseKind, incident.cause.class.name().as_bytes())?;
        let (Some(comm), Some(class)) = (comm, class) else { return Ok((0, None)) };
        let status = incident.death_status();
        let death = ended::sql_of_death();
        let condition = format!("comm = ?4 AND +class = ?5 AND {death} IS ?6");
        self.count_of(&condition, &[&comm, &class, &status], incident, since)
    }

    /// How many rows of the incident's host fulfil a condition, from a time to the incident, and the latest.
    fn count_of(
        &self,
        condition: &str,
        values: &[&dyn ToSql],
        incident: &Incident,
        since: i64,
    ) -> Result<(u64, Option<Time>)> {
        let (of_host, host) = of_host(incident);
        let sql = format!(
            "SELECT count(*), max(time) FROM (SELECT time FROM (
                 SELECT time, boot FROM incident WHERE {condition} AND time >= ?2 AND time < ?3
                 ORDER BY time DESC LIMIT {LOOKED_AT}) WHERE {of_host} LIMIT {COUNTED})"
        );
        let bounds: [&dyn ToSql; 3] = [&host, &since, &incident.time.0];
        let values = [&bounds[..], values].concat();
        let pair = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?));
        let (count, last) = self.db.query_row(&sql, &values[..], pair)?;
        Ok((count, last.map(Time)))
    }

    fn number_of(&self, kind: NameKind, text: &[u8]) -> Result<Option<i64>> {
        let sql = "SELECT id FROM name WHERE kind = ?1 AND text = ?2";
        let number = self.db.query_row(sql, params![kind as i64, text], |row| row.get(0));
        Ok(number.optional()?)
    }

    /// The latest incidents of the same program before this one, until one that had another build of it, and one whose
    /// container had another image.
    fn versions(
        &self,
        incident: &Incident,
    ) -> Result<(Option<EarlierBuild>, Option<EarlierImage>)> {
        let (program, image) = (program_of(incident), image_of(incident));
        let build = program.and_then(build_of);
        let comm = self.number_of(NameKind::Comm, &incident.victim.comm.0)?;
        let Some(comm) = comm.filter(|_| build.is_some() || image.is_some()) else {
            return Ok((None, None));
        };
        let (of_host, host) = of_host(incident);
        let mut statement = self.db.prepare_cached(&format!(
            "SELECT seq FROM (SELECT seq, boot FROM incident WHERE comm = ?2 AND time < ?3
                 ORDER BY time DESC LIMIT {LOOKED_AT}) WHERE {of_host} LIMIT {COMPARED}"
        ))?;
        let asked = params![host, comm, incident.time.0];
        let rows = statement.query_map(asked, |row| row.get(0))?;
        let rows: Vec<i64> = rows.collect::<rusqlite::Result<_>>()?;
        let (mut builds, mut images) = (Versions::new(build), Versions::new(image));
        for seq in rows {
            if builds.done() && images.done() {
                break;
            }
            let Some(earlier) = self.body(seq)? else { continue };
            let same = |other: &&Module| program.is_some_and(|own| own.path == other.path);
            builds.look(program_of(&earlier).filter(same).and_then(build_of), earlier.time);
            let same = name_of(&earlier) == name_of(incident);
            images.look(image_of(&earlier).filter(|_| same), earlier.time);
        }
        let own_since = builds.own_since;
        let build = builds.other.map(|(build_id, until)| {
            let build_id = String::from_utf8_lossy(&build_id).into_owned().into();
            EarlierBuild { build_id, until, own_since }
        });
        let own_since = images.own_since;
        let image = images.other.map(|(image, until)| {
            let image = Untrusted(image);
            EarlierImage { image, until, own_since }
        });
        Ok((build, image))
    }
}

/// What an incident's program or container was, compared with what it was before, latest first.
struct Versions {
    own: Option<Vec<u8>>,
    own_since: Option<Time>,
    other: Option<(Vec<u8>, Time)>,
}

impl Versions {
    fn new(own: Option<Vec<u8>>) -> Self {
        Self { own, own_since: None, other: None }
    }

    fn done(&self) -> bool {
        self.own.is_none() || self.other.is_some()
    }

    /// Takes in what an earlier one was, if that is known.
    fn look(&mut self, earlier: Option<Vec<u8>>, time: Time) {
        match (&self.own, earlier) {
            (Some(own), Some(earlier)) if self.other.is_none() => match *own == earlier {
                true => self.own_since = Some(time),
                false => self.other = Some((earlier, time)),
            },
            _ => {}
        }
    }
}

fn program_of(incident: &Incident) -> Option<&Module> {
    incident.modules.iter().find(|module| module.program)
}

fn build_of(program: &Module) -> Option<Vec<u8>> {
    Some(program.build_id.as_ref()?.as_bytes().to_vec())
}

fn image_of(incident: &Incident) -> Option<Vec<u8>> {
    Some(incident.victim.container.as_ref()?.image.as_ref()?.0.clone())
}

/// What its container is called, which stays when it is made anew.
fn name_of(incident: &Incident) -> Option<&[u8]> {
    Some(&incident.victim.container.as_ref()?.name.as_ref()?.0)
}

/// A signature without its build; of a place that has no name all of it, for only one build has that there.
fn of_any_build(signature: &[u8]) -> &[u8] {
    const BUILD: &[u8] = b", build ";
    let at = signature.windows(BUILD.len()).rposition(|word| word == BUILD);
    match at {
        Some(at) if !signature.starts_with(b"+") => &signature[..at],
        _ => signature,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contract::{Container, Label, Run, samples::incident},
        model::cause::CauseKind,
        store::{
            Error,
            sqlite::write::{Entry, Store},
            state_dir,
        },
    };

    const MINUTE: i64 = 60_000_000_000;
    const OWN: &str = "geo_lookup in geo-api, build cd34";
    const OLD: &str = "geo_lookup in geo-api, build ab12";

    #[test]
    fn spans_that_overlap_count_once() {
        assert_eq!(length(vec![(5, 9), (0, 6), (7, 8), (20, 21), (30, 25)]), 10);
        assert_eq!(length(vec![(i64::MIN, i64::MAX), (0, 1)]), i64::MAX.unsigned_abs());
        assert_eq!(length(Vec::new()), 0);
    }

    /// A crash of a build in the `n`-th minute.
    fn nth(n: i64, host: &str, signature: &str, build: &str) -> Incident {
        let mut one = incident(CauseKind::Signal, 11);
        one.id = format!("019aa4d2-6f31-7abc-8def-{n:012x}").into();
        one.time.0 += n * MINUTE;
        one.host = host.into();
        one.signature = Some(Untrusted(signature.into()));
        one.modules = vec![Module {
            path: Untrusted(b"/opt/geo-api".to_vec()),
            program: true,
            build_id: Some(build.into()),
            changed: Time(0),
            written: None,
            removed: false,
            replaced_by: None,
        }];
        one
    }

    fn at(n: i64) -> Time {
        Time(incident(CauseKind::Signal, 11).time.0 + n * MINUTE)
    }

    fn watched(host: &str, since: Time) -> Entry {
        Entry::Run(Run { host: host.into(), boot_id: "boot".into(), pid: 1, since, until: None })
    }

    /// A history of these, in a directory of its own.
    fn holding(entries: Vec<Entry>) -> (tempfile::TempDir, Store, Reader) {
        let home = tempfile::tempdir().expect("a directory");
        state_dir::prepare(home.path(), None).expect("a directory");
        let (mut store, _) = Store::open(home.path(), false).expect("a new one");
        store.put(entries.into_iter().map(Ok::<_, Error>)).expect("room");
        let reader = Reader::open(home.path()).expect("readable");
        (home, store, reader)
    }

    fn entry(incident: Incident) -> Entry {
        Entry::Incident(Box::new(incident))
    }

    #[test]
    fn those_of_the_same_function_on_the_same_host_are_counted() {
        let one = nth(9, "host", OWN, "cd34");
        let (_home, _store, reader) = holding(vec![
            watched("host", at(-60)),
            entry(nth(1, "host", OLD, "ab12")),
            entry(nth(2, "host", OWN, "cd34")),
            entry(nth(3, "other", OWN, "cd34")),
            entry(nth(4, "host", "geo_free in geo-api, build cd34", "cd34")),
            entry(one.clone()),
            entry(nth(10, "host", OWN, "cd34")),
        ]);
        let told = reader.before(&one, true).expect("readable");
        assert_eq!((told.alike, told.alike_last), (2, Some(at(2))));
        assert_eq!((told.since, told.unwatched_ns, told.lossy), (at(-60), 0, false));
        assert!(!told.unwatched_unknown, "its runs are known");
        let build = told.build.expect("another build");
        assert_eq!((&*build.build_id, build.until), ("ab12", at(1)));
        assert_eq!(build.own_since, Some(at(2)), "the first of its own");
        let imported = reader.before(&one, false).expect("readable");
        assert_eq!(imported.since, at(1), "it may have forgotten before it was imported");
        let first = reader.before(&nth(1, "host", OLD, "ab12"), true).expect("readable");
        assert_eq!((first.alike, first.build), (0, None));
        let unknown = reader.before(&nth(0, "host", "+0x7 in x", "a"), true).expect("readable");
        assert_eq!(unknown.alike, 0);
    }

    /// Many machines have no name.
    #[test]
    fn of_a_host_without_a_name_only_its_boot_counts() {
        let of_boot = |n: i64, boot: &str| {
            let mut one = nth(n, "(none)", OWN, "cd34");
            one.boot_id = boot.into();
            one
        };
        let one = of_boot(9, "this");
        let others = [of_boot(1, "other"), of_boot(2, "this"), of_boot(3, "other")];
        let (_home, _store, reader) = holding(others.into_iter().map(entry).collect());
        let told = reader.before(&one, false).expect("readable");
        assert_eq!((told.since, told.alike, told.alike_last), (at(2), 1, Some(at(2))));
    }

    #[test]
    fn without_a_signature_program_cause_and_status_are_compared() {
        let plain = |n: i64, signal: u32, comm: &[u8]| {
            let mut one = incident(CauseKind::Sent, signal);
            one.id = format!("019aa4d2-6f31-7abc-8def-{n:012x}").into();
            one.time.0 += n * MINUTE;
            one.victim.comm.0 = comm.to_vec();
            one
        };
        let one = plain(9, 9, b"geo-api");
        let others = [plain(1, 15, b"geo-api"), plain(2, 9, b"nginx"), plain(3, 9, b"geo-api")];
        let (_home, _store, reader) = holding(others.into_iter().map(entry).collect());
        let told = reader.before(&one, true).expect("readable");
        assert_eq!((told.alike, told.alike_last), (1, Some(at(3))));
        assert_eq!(told.since, at(1), "nobody says since when it was watched");
        assert!(told.unwatched_unknown);
    }

    #[test]
    fn what_a_history_does_not_know_is_said() {
        let gap = |since: i64, until: i64, reason: GapReason, lost: Option<u64>| {
            let (host, boot_id) = ("host".into(), "boot".into());
            let (since, until) = (at(since), at(until));
            Entry::Gap(Gap { host, boot_id, since, until, reason, lost })
        };
        let one = nth(9, "host", OWN, "cd34");
        let (_home, mut store, reader) = holding(vec![
            watched("host", at(-60)),
            gap(-70, -50, GapReason::Stopped, None),
            gap(1, 3, GapReason::Killed, None),
            gap(8, 20, GapReason::Rebooted, None),
            entry(nth(4, "host", OLD, "ab12")),
            entry(one.clone()),
        ]);
        let told = reader.before(&one, true).expect("readable");
        assert_eq!(told.unwatched_ns, (10 + 2 + 1) * MINUTE.unsigned_abs());
        assert!(!told.lossy);
        let room = gap(1, 2, GapReason::Room, Some(7));
        store.put([Ok::<_, Error>(room)]).expect("room");
        assert!(reader.before(&one, true).expect("readable").lossy);
        // The oldest are forgotten, and all before a time.
        while store.retain(at(5).0, u64::MAX).expect("room") {}
        let told = reader.before(&one, true).expect("readable");
        assert_eq!((told.since, told.alike), (at(5), 0));
    }

    #[test]
    fn a_container_of_the_same_name_may_have_had_another_image() {
        let contained = |n: i64, name: &str, image: &str| {
            let text = |text: &str| Some(Untrusted(text.into()));
            let mut one = nth(n, "host", OWN, "cd34");
            let (id, runtime) = (Label::from("0123"), None);
            one.victim.container =
                Some(Container { id, runtime, name: text(name), image: text(image) });
            one
        };
        let one = contained(9, "api", "geo:2");
        let others = [
            contained(1, "api", "geo:1"),
            contained(2, "web", "web:1"),
            contained(3, "api", "geo:2"),
        ];
        let (_home, _store, reader) = holding(others.into_iter().map(entry).collect());
        let image = reader.before(&one, true).expect("readable").image.expect("another");
        assert_eq!((&image.image.0[..], image.until), (&b"geo:1"[..], at(1)));
        assert_eq!(image.own_since, Some(at(3)));
    }
}
