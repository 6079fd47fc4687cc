//! Who shrank the file on another host: an incident on a network file system, joined to the shrinks that histories
//! have of it. Pure.
use crate::{
    contract::{Elsewhere, Incident, Remote, Truncation},
    explain::same_file::{FileKey, Match, matched},
    model::cause::{CauseKind, Confidence},
    text::format::{duration, size},
};

/// Within this time, ns, a shrink of an inode by another name is taken for one of the same file: numbers are used
/// again, but not at once. Hard links have other names.
const UNNAMED: u64 = 60_000_000_000;
/// By as much the clocks of two hosts may differ, ns: a shrink may seem to come after what it caused.
const CLOCKS: i64 = 5_000_000_000;
/// Shrinks of longer before are not looked at, ns: a reader may touch the page, or learn the size, late.
const LONGEST: i64 = 3_600_000_000_000;

/// The file of an incident that other hosts may have shrunk.
pub struct SharedFile<'a> {
    incident: &'a Incident,
    remote: Remote,
    /// The first byte of the page that was touched.
    pub touched: u64,
}

/// Whose a recorded shrink is, as an incident's host sees it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The same host since it was started: of another recorder, or one that has forgotten it.
    SameBoot,
    /// The same host by its name, before it was started.
    EarlierBoot,
    AnotherHost,
}

impl<'a> SharedFile<'a> {
    /// The file of an incident, if nobody here is known to have shrunk it and its server is known.
    pub fn of(incident: &'a Incident) -> Option<Self> {
        use CauseKind::{MappedPastEnd, ReadError, ShrunkElsewhere, TruncatedBeforeWatch, Unknown};
        let may = [MappedPastEnd, ReadError, ShrunkElsewhere, TruncatedBeforeWatch, Unknown];
        if incident.cause.culprit.is_some() || !may.contains(&incident.cause.class.known()) {
            return None;
        }
        let fault = incident.fault.as_ref()?;
        // Who truncates a file makes no server answer with an error.
        if incident.cause.class.known() == ReadError && fault.read_errno.is_some() {
            return None;
        }
        let file = incident.file.as_ref()?;
        let remote = Remote::of(&file.fstype.as_ref()?.0, file.mount.as_ref()?)?;
        let (page, offset) = (fault.pgoff, fault.file_offset?);
        // Pages are as large as the greatest power of two that many of them leave room for.
        let size = offset.checked_div(page).and_then(|most| most.checked_ilog2());
        let touched = size.map_or(0, |log| page.saturating_mul(1 << log));
        Some(Self { incident, remote, touched })
    }

    /// What its server calls it.
    pub fn key(&self) -> FileKey<'_> {
        let file = self.incident.file.as_ref();
        let inode = file.map_or(0, |file| file.inode);
        FileKey::new(inode, &self.remote, file.and_then(|file| file.path.as_ref()))
    }

    /// Between which times the shrink must lie, by its own clock. Ns since the epoch.
    pub fn times(&self) -> (i64, i64) {
        // When this host learnt of it, if it did.
        let cause = &self.incident.cause;
        let learnt = cause.time.unwrap_or(self.incident.time).min(self.incident.time).0;
        (learnt.saturating_sub(LONGEST), learnt.saturating_add(CLOCKS))
    }

    /// Who did it, of the shrinks that are recorded of the inode of this number: the latest that took the page that
    /// was touched.
    pub fn culprit(&self, shrinks: &[Truncation]) -> Option<Elsewhere> {
        let (since, until) = self.times();
        let did = |shrink: &&Truncation| {
            (since..=until).contains(&shrink.time.0)
                && self.may_be_by(shrink)
                && shrink.culprit.is_some()
                && shrink.new_size <= self.touched
                && self.touched < shrink.old_size
                && self.matched(shrink).is_some()
        };
        let learnt = until.saturating_sub(CLOCKS);
        let before = |shrink: &&Truncation| shrink.time.0 <= learnt;
        let latest = shrinks.iter().filter(did).filter(before).max_by_key(|shrink| shrink.time);
        // Only by clocks that differ can a later one have done it.
        let shrink =
            latest.or_else(|| shrinks.iter().filter(did).min_by_key(|shrink| shrink.time))?;
        let before_ns = self.incident.time.0.saturating_sub(shrink.time.0);
        let matched = self.matched(shrink)?;
        let remote = shrink.file.remote.clone()?;
        Some(Elsewhere {
            id: shrink.id.clone(),
            host: shrink.host.clone(),
            boot_id: shrink.boot_id.clone(),
            confidence: Confidence::Likely.into(),
            summary: self.summary(shrink, before_ns, matched).into(),
            how: shrink.how.clone(),
            old_size: shrink.old_size,
            new_size: shrink.new_size,
            time: shrink.time,
            before_ns,
            path: shrink.file.path.clone(),
            remote,
            culprit: shrink.culprit.clone()?,
        })
    }

    /// By a process of this host only if nothing proves that it was done elsewhere, and by one clock before.
    fn may_be_by(&self, shrink: &Truncation) -> bool {
        let Incident { cause, time, .. } = self.incident;
        self.origin(shrink) == Origin::AnotherHost
            || (cause.confidence.known() != Confidence::Proven && shrink.time <= *time)
    }

    /// A host has its name and, until it is started again, the id of its boot. One of the same name that shrank
    /// something since this boot began is another one.
    fn origin(&self, shrink: &Truncation) -> Origin {
        let Incident { boot_id, host, time, boot_ns, .. } = self.incident;
        let started = time.0.saturating_sub_unsigned(*boot_ns);
        if shrink.boot_id == *boot_id {
            Origin::SameBoot
        } else if shrink.host == *host && shrink.time.0 < started {
            Origin::EarlierBoot
        } else {
            Origin::AnotherHost
        }
    }

    fn matched(&self, shrink: &Truncation) -> Option<Match> {
        let soon = self.incident.time.0.abs_diff(shrink.time.0) <= UNNAMED;
        matched(self.incident.file.as_ref()?, &self.remote, shrink, soon)
    }

    fn summary(&self, shrink: &Truncation, before: i64, matched: Match) -> String {
        let between = duration(before.unsigned_abs());
        let (place, when) = match (self.origin(shrink), before) {
            (Origin::SameBoot, _) => ("the same host", format!("{between} before the fault")),
            (Origin::EarlierBoot, _) => (
                "the same host, by its name, before it was started again",
                format!("{between} before the fault by its clock"),
            ),
            (Origin::AnotherHost, 0..) => (
                "another host",
                format!(
                    "{between} before the fault by the clocks of the two hosts, which may differ"
                ),
            ),
            (Origin::AnotherHost, _) => (
                "another host",
                format!(
                    "{between} after the fault by the clocks of the two hosts, which may differ: it may have \
                     been before"
                ),
            ),
        };
        let (old, new) = (size(shrink.old_size), size(shrink.new_size));
        let by = matched.by();
        let mut text = format!("shrunk on {place}, {old} → {new}, {when}; the same file {by}");
        let start = self.incident.victim.start_time;
        if start.is_some_and(|start| start.since(shrink.time) > CLOCKS as u64) {
            text.push_str("; the victim started after that: it mapped more than there was, or it had grown again");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{
        Fault, File, Hex, Mapping, Mount, ShrunkFile, Time, Untrusted,
        samples::{full_incident, incident},
    };

    const SECOND: i64 = 1_000_000_000;

    fn text(text: &str) -> Untrusted {
        Untrusted(text.as_bytes().to_vec())
    }

    fn mounted(source: &str, address: Option<&str>) -> Mount {
        let address = address.map(text);
        Mount { point: text("/efs"), source: Some(text(source)), address, backing: None }
    }

    /// Page 19 of /efs/x/live, inode 12 of `source`, was touched, 98 bytes into it.
    fn victim(fstype: &str, mount: Mount) -> Incident {
        let mut incident = incident(CauseKind::ShrunkElsewhere, 7);
        incident.fault = Some(Fault {
            access: None,
            mode: "user".into(),
            address: Hex(0x1062),
            address_exact: true,
            ip: None,
            file_offset: Some(19 * 4_096 + 98),
            pgoff: 19,
            mapping: None,
            handler: "filemap_fault".into(),
            read_errno: None,
            write_errno: None,
            driver: None,
            owner_pid: None,
            count: 1,
            threads: 1,
        });
        incident.file = Some(File {
            path: Some(text("/efs/x/live")),
            dev: "0:45".into(),
            inode: 12,
            generation: 0,
            fstype: Some(text(fstype)),
            size: 4_096,
            nlink: 1,
            deleted: false,
            mount: Some(mount),
            mapping: Mapping { start: Hex(0x1000), end: Hex(0x3000), file_offset: 0 },
            sized: None,
            path_why: None,
            host_path: None,
            volume: None,
            server: None,
            server_why: None,
        });
        incident
    }

    /// One of the same file on another host, so many seconds before.
    fn shrink(fstype: &str, source: &str, before: i64, sizes: (u64, u64)) -> Truncation {
        let mount = mounted(source, None);
        let host = format!("updater-{before}");
        Truncation {
            id: "019aa4d2-6f31-7abc-8def-0123456789ad".into(),
            time: Time(victim(fstype, mount.clone()).time.0 - before * SECOND),
            host: host.as_str().into(),
            boot_id: host.as_str().into(),
            file: ShrunkFile {
                path: Some(text("/srv/x/live")),
                dev: "0:50".into(),
                inode: 12,
                generation: 0,
                fstype: Some(text(fstype)),
                remote: Remote::of(fstype.as_bytes(), &mount),
                server: None,
                server_why: None,
            },
            how: "open(O_TRUNC)".into(),
            old_size: sizes.0,
            new_size: sizes.1,
            culprit: Some(full_incident().victim),
            at_risk: Vec::new(),
            at_risk_why: None,
        }
    }

    const TAKEN: (u64, u64) = (102_400, 0);

    fn by(incident: &Incident, shrinks: &[Truncation]) -> Option<String> {
        Some(SharedFile::of(incident)?.culprit(shrinks)?.host.to_string())
    }

    fn joined(incident: &Incident, shrink: Truncation) -> bool {
        by(incident, &[shrink]).is_some()
    }

    #[test]
    fn it_is_the_same_file_by_server_export_and_inode() {
        let nfs = |source| victim("nfs4", mounted(source, None));
        let reader = nfs("10.0.0.1:/geo");
        let told = SharedFile::of(&reader).expect("a file of a server");
        assert_eq!((told.key().inode, told.touched), (12, 19 * 4_096));
        let ours = |source| shrink("nfs4", source, 2, TAKEN);
        let found = told.culprit(&[ours("10.0.0.1:/geo/")]).expect("the same file");
        assert_eq!((found.before_ns, found.confidence.known()), (2 * SECOND, Confidence::Likely));
        assert!(
            found.summary.contains("2.0 s before the fault by the clocks of the two hosts"),
            "{}",
            found.summary
        );
        assert!(joined(&reader, shrink("nfs", "10.0.0.1:/geo", 2, TAKEN)), "another version");
        assert!(found.summary.ends_with("by server, export and inode number"), "{}", found.summary);
        assert!(!joined(&reader, ours("10.0.0.1:/geography")), "another export");
        assert!(!joined(&reader, ours("10.0.0.2:/geo")), "another server");
        assert!(!joined(&reader, shrink("cifs", "//10.0.0.1/geo", 2, TAKEN)), "another protocol");
        let other = |change: fn(&mut Truncation)| {
            let mut shrink = ours("10.0.0.1:/geo");
            change(&mut shrink);
            joined(&reader, shrink)
        };
        assert!(!other(|shrink| shrink.file.inode = 13), "another file");
        assert!(!other(|shrink| shrink.culprit = None), "nobody");
        assert!(other(|shrink| shrink.file.path = Some(text("/srv/hard-link"))));
        assert!(
            !other(|shrink| {
                shrink.file.path = Some(text("/srv/other"));
                shrink.file.remote = Remote::of(b"nfs", &mounted("10.0.0.1:/", None));
            }),
            "an export may hold another file system, which counts its inodes by itself"
        );
    }

    /// Exports of one server may be different file systems, which count their inodes by themselves.
    #[test]
    fn another_export_must_have_the_same_path() {
        let is = |ours: &str, (fstype, theirs): (&str, &str), path: &str| {
            let mut shrink = shrink(fstype, theirs, 2, TAKEN);
            shrink.file.path = Some(text(path));
            joined(&victim("nfs4", mounted(ours, None)), shrink)
        };
        let (geo, root) = ("nas:/geo", "nas:/");
        assert!(is(geo, ("nfs4", root), "/mnt/geo/x/live"), "mounted from above");
        assert!(
            !is(geo, ("nfs4", root), "/mnt/x/live") && !is(geo, ("nfs4", root), "/mnt/y/x/live")
        );
        assert!(is(root, ("nfs4", "nas:/x"), "/mnt/live"), "from below");
        assert!(!is(root, ("nfs4", "nas:/y"), "/mnt/live"), "of the same name");
        // Version 4 may have a root of its own, and version 3 has none.
        let export = "nas:/srv/export/geo";
        assert!(is(geo, ("nfs", export), "/mnt/x/live"));
        assert!(!is(geo, ("nfs", export), "/mnt/y/live"));
        assert!(!is(geo, ("nfs4", export), "/mnt/x/live"), "both have the same");
        assert!(
            is(root, ("nfs", "nas:/srv"), "/mnt/x/live")
                && is(root, ("nfs", "nas:/srv/x"), "/live")
        );
        assert!(!is(root, ("nfs", "nas:/srv/y"), "/mnt/live"));
    }

    /// A recorder or a host that was started again has not seen what the history has.
    #[test]
    fn what_this_host_did_before_counts() {
        let mut reader = victim("nfs4", mounted("nas:/geo", None));
        reader.cause.confidence = Confidence::Likely.into();
        let own = |host: &str, boot: &str, before| {
            let mut shrink = shrink("nfs4", "nas:/geo", before, TAKEN);
            (shrink.host, shrink.boot_id) = (host.into(), boot.into());
            shrink
        };
        let told = |reader: &Incident, shrink| {
            let found = SharedFile::of(reader)?.culprit(&[shrink])?;
            Some(found.summary.split(',').next().unwrap_or_default().to_owned())
        };
        let told = |reader: &Incident, shrink| told(reader, shrink).unwrap_or_default();
        // It was started 187 s before.
        assert_eq!(told(&reader, own("host", "boot", 100)), "shrunk on the same host");
        assert_eq!(told(&reader, own("host", "boot", -1)), "", "by one clock after it");
        assert_eq!(told(&reader, own("host", "former", 200)), "shrunk on the same host");
        assert_eq!(told(&reader, own("host", "former", 100)), "shrunk on another host");
        assert_eq!(told(&reader, own("other", "former", 200)), "shrunk on another host");
        // Its server said when it was done elsewhere.
        reader.cause.confidence = Confidence::Proven.into();
        assert_eq!(told(&reader, own("host", "boot", 100)), "");
        assert_eq!(told(&reader, own("host", "former", 200)), "");
        assert_eq!(told(&reader, own("other", "former", 200)), "shrunk on another host");
    }

    #[test]
    fn an_alias_is_known_by_its_address() {
        let reader = victim("nfs4", mounted("files.example:/geo", Some("10.0.0.1")));
        let mut alias = shrink("nfs4", "nas:/geo", 1, TAKEN);
        assert!(!joined(&reader, alias.clone()));
        alias.file.remote.as_mut().expect("a server").address = Some(text("10.0.0.1"));
        assert!(joined(&reader, alias));
    }

    #[test]
    fn what_may_be_another_file_must_bear_the_same_name() {
        for (fstype, source) in
            [("nfs4", "127.0.0.1:/"), ("cifs", "//nas/geo"), ("fuse.sshfs", "me@host:/geo")]
        {
            let reader = victim(fstype, mounted(source, None));
            let mut shrink = shrink(fstype, source, 1, TAKEN);
            assert!(joined(&reader, shrink.clone()), "{source}");
            for other in ["/srv/x/other", "/srv/y/live"] {
                shrink.file.path = Some(text(other));
                assert!(!joined(&reader, shrink.clone()), "{source}");
            }
            shrink.file.path = None;
            assert!(!joined(&reader, shrink), "{source}");
        }
    }

    #[test]
    fn clocks_differ_but_not_by_any_time() {
        let reader = victim("nfs4", mounted("nas:/geo", None));
        let at = |before| joined(&reader, shrink("nfs4", "nas:/geo", before, TAKEN));
        assert!(at(0) && at(-5) && at(3_600));
        assert!(!at(-6) && !at(3_601));
        // It was learnt long before the page was touched.
        let mut late = reader.clone();
        late.cause.time = Some(Time(late.time.0 - 1_000 * SECOND));
        assert!(joined(&late, shrink("nfs4", "nas:/geo", 4_600, TAKEN)));
        assert!(
            !joined(&late, shrink("nfs4", "nas:/geo", 900, TAKEN)),
            "learnt before it was done"
        );
        let found = SharedFile::of(&reader)
            .and_then(|file| file.culprit(&[shrink("nfs4", "nas:/geo", -1, TAKEN)]));
        assert!(
            found
                .is_some_and(|found| found.summary.contains("1.0 s after the fault by the clocks"))
        );
    }

    #[test]
    fn the_latest_that_took_the_page_did_it() {
        let reader = victim("nfs4", mounted("nas:/geo", None));
        let at = |before, sizes| shrink("nfs4", "nas:/geo", before, sizes);
        let page = 19 * 4_096;
        let all = [
            at(1, (4_096, 0)),
            at(2, (page, 4_096)),
            at(3, (102_400, page + 1)),
            at(4, (page + 1, page)),
            at(5, (102_400, 0)),
        ];
        assert_eq!(by(&reader, &all).as_deref(), Some("updater-4"));
        assert_eq!(by(&reader, &all[..3]), None, "none took it");
    }

    #[test]
    fn one_that_is_explained_is_left_alone() {
        let mut reader = victim("nfs4", mounted("nas:/geo", None));
        assert!(SharedFile::of(&victim("ext4", mounted("/dev/vda", None))).is_none());
        reader.cause.class = CauseKind::StaleHandle.into();
        assert!(SharedFile::of(&reader).is_none());
        reader.cause.class = CauseKind::ShrunkElsewhere.into();
        assert!(SharedFile::of(&reader).is_some());
        reader.cause.culprit = Some(full_incident().victim);
        assert!(SharedFile::of(&reader).is_none());
    }

    #[test]
    fn numbers_of_a_hostile_import_do_no_harm() {
        let mut reader = victim("nfs4", mounted("nas:/geo", None));
        reader.time = Time(i64::MIN);
        reader.victim.start_time = Some(Time(i64::MAX));
        let fault = reader.fault.as_mut().expect("a fault");
        (fault.pgoff, fault.file_offset) = (u64::MAX, Some(u64::MAX));
        let mut far = shrink("nfs4", "nas:/geo", 0, (u64::MAX, 0));
        far.time = Time(i64::MAX);
        assert_eq!(by(&reader, &[far]), None);
        reader.time = Time(i64::MAX);
        assert_eq!(SharedFile::of(&reader).map(|file| file.times().1), Some(i64::MAX));
    }
}
