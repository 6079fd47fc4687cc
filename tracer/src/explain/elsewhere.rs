//! Who shrank the file on another host: an incident on a network file system, joined to the shrinks that the histories
//! of other hosts have of it. Pure.
use crate::{
    contract::{Elsewhere, Incident, Remote, Truncation, Untrusted},
    model::{
        cause::{CauseKind, Confidence},
        remote::is_loopback,
    },
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
    touched: u64,
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
    pub fn inode(&self) -> u64 {
        self.incident.file.as_ref().map_or(0, |file| file.inode)
    }

    /// Between which times the shrink must lie, by its own clock. Ns since the epoch.
    pub fn times(&self) -> (i64, i64) {
        // When this host learnt of it, if it did.
        let cause = &self.incident.cause;
        let learnt = cause.time.unwrap_or(self.incident.time).min(self.incident.time).0;
        (learnt.saturating_sub(LONGEST), learnt.saturating_add(CLOCKS))
    }

    /// Who did it, of the shrinks that other hosts have recorded of the inode of this number: the latest that took
    /// the page that was touched.
    pub fn culprit(&self, shrinks: &[Truncation]) -> Option<Elsewhere> {
        let (since, until) = self.times();
        let did = |shrink: &&Truncation| {
            (since..=until).contains(&shrink.time.0)
                && shrink.boot_id != self.incident.boot_id
                && shrink.culprit.is_some()
                && shrink.new_size <= self.touched
                && self.touched < shrink.old_size
                && self.is(shrink)
        };
        let learnt = until.saturating_sub(CLOCKS);
        let before = |shrink: &&Truncation| shrink.time.0 <= learnt;
        let latest = shrinks.iter().filter(did).filter(before).max_by_key(|shrink| shrink.time);
        // Only by clocks that differ can a later one have done it.
        let shrink =
            latest.or_else(|| shrinks.iter().filter(did).min_by_key(|shrink| shrink.time))?;
        let before_ns = self.incident.time.0.saturating_sub(shrink.time.0);
        let remote = shrink.file.remote.clone()?;
        Some(Elsewhere {
            id: shrink.id.clone(),
            host: shrink.host.clone(),
            boot_id: shrink.boot_id.clone(),
            confidence: Confidence::Likely.into(),
            summary: self.summary(shrink, before_ns, &remote).into(),
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

    /// Whether a shrink was of this file, as far as server, export and number of the inode tell.
    fn is(&self, shrink: &Truncation) -> bool {
        let (Some(theirs), Some(file)) = (&shrink.file.remote, &self.incident.file) else {
            return false;
        };
        let (Some(fstype), Some(their_fstype)) = (&file.fstype, &shrink.file.fstype) else {
            return false;
        };
        let family = family(&fstype.0);
        if shrink.file.inode != file.inode || family != self::family(&their_fstype.0) {
            return false;
        }
        let tunnels = self.through_tunnels(theirs);
        let address = self.remote.address.is_some() && self.remote.address == theirs.address;
        let same_server = self.remote.server == theirs.server || address || tunnels;
        let (ours, their) = (&self.remote.export.0, &theirs.export.0);
        // What is less than certain must bear the same name: behind a tunnel may be any server; an export may hold
        // another file system; a client of CIFS may make up numbers (noserverino), and so does many a server of FUSE.
        let doubtful = tunnels || ours != their || family == b"cifs" || family.starts_with(b"fuse");
        let named = || {
            let name = last(file.path.as_ref());
            name.is_some() && name == last(shrink.file.path.as_ref())
        };
        let soon = self.incident.time.0.abs_diff(shrink.time.0) <= UNNAMED;
        same_server && related(ours, their) && (named() || (!doubtful && soon))
    }

    /// Whether both hosts have mounted it from themselves.
    fn through_tunnels(&self, theirs: &Remote) -> bool {
        is_loopback(&self.remote.server.0) && is_loopback(&theirs.server.0)
    }

    fn summary(&self, shrink: &Truncation, before: i64, theirs: &Remote) -> String {
        let between = duration(before.unsigned_abs());
        let when = if before < 0 { "later" } else { "earlier" };
        let mut text = format!(
            "shrunk on another host, {} → {}, {between} {when} by the clocks of two hosts, which may differ",
            size(shrink.old_size),
            size(shrink.new_size),
        );
        if self.through_tunnels(theirs) {
            text.push_str("; both reach the server through a tunnel, taken for the same one by inode and name");
        }
        if self
            .incident
            .victim
            .start_time
            .is_some_and(|start| start.since(shrink.time) > CLOCKS as u64)
        {
            text.push_str("; the victim started after that: it mapped more than there was, or it had grown again");
        }
        text
    }
}

/// Types that are versions of one.
fn family(fstype: &[u8]) -> &[u8] {
    match fstype {
        b"nfs4" => b"nfs",
        b"smb3" | b"smb2" => b"cifs",
        other => other,
    }
}

/// Whether one export may hold the other: it is the same, or below it, or named from another root (NFSv4 has one of
/// its own).
fn related(one: &[u8], other: &[u8]) -> bool {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    let rest = long.strip_prefix(short);
    short == b"/"
        || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        || (short.starts_with(b"/") && long.ends_with(short))
}

/// The last name of a path.
fn last(path: Option<&Untrusted>) -> Option<&[u8]> {
    path?.0.rsplit(|b| *b == b'/').next().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{
        Fault, File, Hex, Mapping, Mount, ShrunkFile, Time,
        samples::{full_incident, incident},
    };

    const SECOND: i64 = 1_000_000_000;

    fn text(text: &str) -> Untrusted {
        Untrusted(text.as_bytes().to_vec())
    }

    fn mounted(source: &str, address: Option<&str>) -> Mount {
        let address = address.map(text);
        Mount { point: text("/efs"), source: Some(text(source)), address }
    }

    /// Page 19 of /efs/geo/live, inode 12 of `source`, was touched, 98 bytes into it.
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
            owner_pid: None,
            count: 1,
            threads: 1,
        });
        incident.file = Some(File {
            path: Some(text("/efs/geo/live")),
            dev: "0:45".into(),
            inode: 12,
            generation: 0,
            fstype: Some(text(fstype)),
            size: 4_096,
            nlink: 1,
            deleted: false,
            mount: Some(mount),
            mapping: Mapping { start: Hex(0x1000), end: Hex(0x3000), file_offset: 0 },
            path_why: None,
            host_path: None,
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
        assert_eq!((told.inode(), told.touched), (12, 19 * 4_096));
        let ours = |source| shrink("nfs4", source, 2, TAKEN);
        let found = told.culprit(&[ours("10.0.0.1:/geo/")]).expect("the same file");
        assert_eq!((found.before_ns, found.confidence.known()), (2 * SECOND, Confidence::Likely));
        assert!(
            found.summary.contains("2.0 s earlier by the clocks of two hosts"),
            "{}",
            found.summary
        );
        assert!(joined(&reader, shrink("nfs", "10.0.0.1:/geo", 2, TAKEN)), "another version");
        assert!(joined(&reader, ours("10.0.0.1:/")), "mounted from above, of the same name");
        assert!(joined(&reader, ours("10.0.0.1:/srv/export/geo")), "by its own root");
        assert!(!joined(&reader, ours("10.0.0.1:/geography")), "another export");
        assert!(!joined(&reader, ours("10.0.0.2:/geo")), "another server");
        assert!(!joined(&reader, shrink("cifs", "//10.0.0.1/geo", 2, TAKEN)), "another protocol");
        let other = |change: fn(&mut Truncation)| {
            let mut shrink = ours("10.0.0.1:/geo");
            change(&mut shrink);
            joined(&reader, shrink)
        };
        assert!(!other(|shrink| shrink.file.inode = 13), "another file");
        assert!(!other(|shrink| shrink.boot_id = "boot".into()), "this host, which would know");
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
            shrink.file.path = Some(text("/srv/x/other"));
            assert!(!joined(&reader, shrink.clone()), "{source}");
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
        assert!(found.is_some_and(|found| found.summary.contains("1.0 s later by the clocks")));
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
