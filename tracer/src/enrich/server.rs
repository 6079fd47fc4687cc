//! Who serves a FUSE file system. The kernel keeps no process with it, only an open /dev/fuse: whoever holds that is asked
//! about, never the file system itself, which may hang.
use std::{
    collections::BTreeSet,
    fs,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    enrich::{
        holders::{self, Holder, Holders},
        process,
    },
    host::{clock::thread_time, proc::mountinfo},
    model::{
        Bytes,
        file::{Dev, Mount},
        server::{FuseServer, ServedBy, Server},
    },
};

/// One look takes no longer; it is a matter of 5 ms, unless others keep the thread from running. A look that is cut off
/// cannot say that there is only one server, so a busy host gets most of what an answer may take (`timeouts` of
/// deadline.rs).
const LONGEST: Duration = Duration::from_secs(2);
/// After a look nobody looks for nine times as long: a tenth of one CPU at most.
const REST: u32 = 9;

/// Looks for servers, on whichever thread.
#[derive(Debug, Clone, Default)]
pub struct Servers(Arc<Mutex<Lookout>>);

#[derive(Debug, Default)]
struct Lookout {
    /// Until when nobody looks again.
    rest: Option<Instant>,
    /// What was seen before.
    seen: Arc<Seen>,
}

impl Servers {
    /// Who serves the file system of an event at `time`, that `mounts` belong to, among others; `None` if that is not
    /// known. What can hang is asked only of the `patient`.
    pub fn find(&self, dev: Dev, time: u64, mounts: &[Mount], patient: bool) -> Option<FuseServer> {
        let started = Instant::now();
        let answer = match self.rested(started) {
            None => {
                let ran = thread_time();
                let seen = Arc::new(Seen::now(started + LONGEST, patient));
                let answer = seen.choose(dev, mounts);
                let ran = Duration::from_nanos(thread_time().saturating_sub(ran));
                let rest = Some(Instant::now() + ran * REST);
                *self.lock() = Lookout { rest, seen };
                answer
            }
            // Whoever has come or gone since is not known.
            Some(seen) => match seen.choose(dev, mounts) {
                Answer::Process(server) if process::lives(server.id) => Answer::Process(server),
                _ => Answer::Unknown,
            },
        };
        let process = match answer {
            Answer::Unknown => return None,
            Answer::Nobody => None,
            Answer::Process(server) => Some(server),
        };
        Some(FuseServer { dev, time, process })
    }

    /// `None` if it is time to look again, for the one that asks; otherwise what was seen.
    fn rested(&self, now: Instant) -> Option<Arc<Seen>> {
        let mut lookout = self.lock();
        if lookout.rest.is_some_and(|rest| rest > now) {
            return Some(Arc::clone(&lookout.seen));
        }
        // Should the look never end.
        *lookout = Lookout { rest: Some(now + LONGEST * (REST + 1)), seen: Arc::default() };
        None
    }

    fn lock(&self) -> MutexGuard<'_, Lookout> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What there is to judge by.
#[derive(Debug, Default)]
struct Seen {
    holders: Holders,
    /// As the holders see them.
    mounts: Vec<Mount>,
    /// FUSE file systems that the kernel lists, where its list is mounted.
    listed: Vec<u32>,
    /// The kernel tells which connection a descriptor is of: one without is of none.
    tells: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Unknown,
    /// It is known that no process of this host does.
    Nobody,
    Process(Server),
}

impl Seen {
    fn now(deadline: Instant, patient: bool) -> Self {
        let mut mounts = Vec::new();
        let mut holders = holders::look(deadline);
        let tells = kernel_tells() || holders.list.iter().any(Holder::tells);
        if !tells {
            // Of their own namespaces: arguments name the mount point as it is called there.
            for holder in &mut holders.list {
                if Instant::now() >= deadline {
                    holders.complete = false;
                    break;
                }
                let (theirs, whole) = mountinfo::of(holder.id.tgid);
                mounts.extend(theirs.into_iter().filter(|mount| is_fuse(&mount.fstype)));
                holders.complete &= whole;
                if patient {
                    holder.arguments = process::cmdline(holder.id.tgid).unwrap_or_default();
                }
            }
        }
        let listed = fs::read_dir("/sys/fs/fuse/connections").into_iter().flatten().flatten();
        let listed = listed.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        Self { holders, mounts, listed, tells }
    }

    fn choose(&self, dev: Dev, mounts: &[Mount]) -> Answer {
        let mounts: Vec<&Mount> = self.mounts.iter().chain(mounts).collect();
        let of_dev: Vec<&Mount> = mounts.iter().filter(|mount| mount.dev == dev).copied().collect();
        if of_dev.iter().any(|mount| !is_served_here(&mount.fstype)) {
            return Answer::Unknown;
        }
        let Holders { list, complete } = &self.holders;
        // Of a mount that is not known it may be virtiofs, which has its server elsewhere.
        let nobody = match *complete && !of_dev.is_empty() {
            true => Answer::Nobody,
            false => Answer::Unknown,
        };
        if self.tells {
            let serve = |holder: &&Holder| holder.has(connection(dev));
            let services = services(list.iter().filter(serve).collect());
            let by = match services.len() {
                1 => ServedBy::Connection,
                _ => ServedBy::SharedConnection,
            };
            let latest = services.into_iter().max_by_key(|holder| holder.id.start);
            return latest.map_or(nobody, |holder| holder.server(by));
        }
        let services = services(list.iter().collect());
        let file_systems = self.file_systems(dev, &mounts);
        match services.as_slice() {
            [] => return nobody,
            [only] if *complete && file_systems == 1 && !of_dev.is_empty() => {
                return only.server(ServedBy::Alone);
            }
            _ => {}
        }
        // A file system whose server has ended has none: where there are more of them than descriptors, a name is not
        // enough.
        let descriptors: usize = services.iter().map(|holder| holder.connections.len()).sum();
        let only = |by: ServedBy, is: &dyn Fn(&Mount, &Holder) -> bool| {
            let mut found = services.iter().filter(|holder| of_dev.iter().any(|on| is(on, holder)));
            found.next().filter(|_| found.next().is_none()).map(|holder| holder.server(by))
        };
        only(ServedBy::Arguments, &names_mount)
            .or_else(|| only(ServedBy::Name, &is_called).filter(|_| file_systems <= descriptors))
            .unwrap_or(Answer::Unknown)
    }

    /// How many file systems there are that a process of this host serves, or has served.
    fn file_systems(&self, dev: Dev, mounts: &[&Mount]) -> usize {
        let number = |mount: &&Mount| connection(mount.dev);
        let served = mounts.iter().filter(|mount| is_served_here(&mount.fstype)).map(number);
        let mut all: BTreeSet<u32> = served.chain(self.listed.iter().copied()).collect();
        // Its server is the host of this virtual machine.
        for mount in mounts.iter().filter(|mount| mount.fstype == b"virtiofs") {
            all.remove(&number(mount));
        }
        all.insert(connection(dev));
        all.len()
    }
}

impl Holder {
    /// Whether the kernel tells connections.
    fn tells(&self) -> bool {
        self.connections.iter().any(Option::is_some)
    }

    fn has(&self, connection: u32) -> bool {
        self.connections.contains(&Some(connection))
    }

    /// fusermount(1) gives the device to its parent, and waits for its end to unmount (`-o auto_unmount`).
    fn only_passes_on(&self) -> bool {
        self.comm.starts_with(b"fusermount")
    }

    fn server(&self, by: ServedBy) -> Answer {
        let Self { id, comm, exe, .. } = self;
        Answer::Process(Server { id: *id, comm: comm.clone(), exe: exe.clone(), by })
    }
}

/// What the kernel calls the connection of a file system (fs/fuse/inode.c fuse_fill_super_common: `s_dev`).
fn connection(dev: Dev) -> u32 {
    dev.major << 20 | dev.minor
}

fn is_fuse(fstype: &[u8]) -> bool {
    is_served_here(fstype) || fstype == b"virtiofs"
}

/// Whether a file system of this type has its server on the same host.
fn is_served_here(fstype: &[u8]) -> bool {
    let starts = |with: &[u8]| fstype.starts_with(with);
    fstype == b"fuse" || fstype == b"fuseblk" || starts(b"fuse.") || starts(b"fuseblk.")
}

/// From 6.16 on (fs/fuse/dev.c fuse_dev_show_fdinfo).
fn kernel_tells() -> bool {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(16))
}

/// One of each family: children inherit the descriptor of who serves. Not who only passes it on, if there is another;
/// nor the first process of the host, which keeps it for a service of its (sd_pid_notify_with_fds(3)).
fn services(mut holders: Vec<&Holder>) -> Vec<&Holder> {
    let serves = |holder: &&Holder| holder.id.tgid != 1 && !holder.only_passes_on();
    if holders.iter().any(serves) {
        holders.retain(serves);
    }
    let pids: BTreeSet<u32> = holders.iter().map(|holder| holder.id.tgid).collect();
    holders.retain(|holder| !holder.parents.iter().any(|parent| pids.contains(parent)));
    holders
}

/// Whether an argument is where the file system is mounted, or what.
fn names_mount(mount: &Mount, holder: &Holder) -> bool {
    let Mount { root, point, source, .. } = mount;
    let whole = root == b"/";
    // `sshfs` alone is a name.
    let told = source.iter().any(|b| matches!(b, b':' | b'/')) && source != b"/dev/fuse";
    holder.arguments.iter().skip(1).any(|argument| {
        let value = argument.splitn(2, |b| *b == b'=').last().unwrap_or(argument);
        let is = |name: &Bytes| argument == name || value == name.as_slice();
        (whole && is(point)) || (told && is(source))
    })
}

/// Whether it is called as the file system is: `fuse.sshfs`, or by the source where the type says no more.
fn is_called(mount: &Mount, holder: &Holder) -> bool {
    let dot = mount.fstype.iter().position(|b| *b == b'.');
    let name = dot.map_or(&mount.source[..], |dot| &mount.fstype[dot + 1..]);
    let last = |path: &Bytes| path.rsplit(|b| *b == b'/').next().unwrap_or_default().to_vec();
    // TASK_COMM_LEN
    let comm = holder.comm.as_slice() == &name[..name.len().min(15)];
    let program = holder.exe.iter().chain(holder.arguments.iter().take(2));
    !name.is_empty() && (comm || program.map(last).any(|program| program == name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::task::ProcessId;

    const DEV: Dev = Dev { major: 0, minor: 48 };

    fn holder(tgid: u32, arguments: &[&str]) -> Holder {
        let bytes = |text: &&str| text.as_bytes().to_vec();
        let comm = arguments[0].as_bytes().to_vec();
        Holder {
            id: ProcessId { tgid, start: u64::from(tgid) },
            exe: Some([b"/usr/bin/", &comm[..]].concat()),
            comm,
            parents: vec![1],
            connections: vec![None],
            arguments: arguments.iter().map(bytes).collect(),
        }
    }

    fn on(minor: u32, point: &str, fstype: &str, source: &str) -> Mount {
        Mount {
            dev: Dev { major: 0, minor },
            root: b"/".to_vec(),
            point: point.into(),
            fstype: fstype.into(),
            source: source.into(),
            address: None,
            backing: None,
        }
    }

    fn seen(list: Vec<Holder>, mounts: &[Mount]) -> Seen {
        let mounts = mounts.to_vec();
        let tells = list.iter().any(Holder::tells);
        Seen { holders: Holders { list, complete: true }, mounts, listed: Vec::new(), tells }
    }

    fn chosen(seen: &Seen) -> Option<(u32, ServedBy)> {
        match seen.choose(DEV, &[]) {
            Answer::Unknown => None,
            Answer::Nobody => Some((0, ServedBy::Connection)),
            Answer::Process(server) => Some((server.id.tgid, server.by)),
        }
    }

    const NOBODY: Option<(u32, ServedBy)> = Some((0, ServedBy::Connection));

    fn sshfs() -> Mount {
        on(48, "/mnt/a", "fuse.sshfs", "me@host:/data")
    }

    #[test]
    fn a_connection_names_it_for_sure() {
        let with = |tgid, connections: &[Option<u32>]| Holder {
            connections: connections.to_vec(),
            ..holder(tgid, &["x"])
        };
        let of = |list| chosen(&seen(list, &[sshfs(), on(49, "/mnt/b", "fuse.x", "x")]));
        let (mine, other) = (with(7, &[None, Some(48), Some(48)]), with(8, &[Some(49)]));
        assert_eq!(of(vec![mine.clone(), other.clone()]), Some((7, ServedBy::Connection)));
        assert_eq!(of(vec![other.clone(), with(9, &[None])]), NOBODY, "not mounted yet");
        let child = Holder { parents: vec![7, 1], ..with(10, &[Some(48)]) };
        assert_eq!(of(vec![mine.clone(), child]), Some((7, ServedBy::Connection)), "its fork");
        let receiver = with(11, &[Some(48)]);
        assert_eq!(of(vec![mine.clone(), receiver]), Some((11, ServedBy::SharedConnection)));
        let keeper = with(1, &[Some(48)]);
        assert_eq!(of(vec![keeper, mine.clone()]), Some((7, ServedBy::Connection)), "fdstore");
        let helper = Holder { comm: b"fusermount3".to_vec(), ..with(12, &[Some(48)]) };
        assert_eq!(of(vec![helper.clone(), mine]), Some((7, ServedBy::Connection)));
        assert_eq!(
            of(vec![helper, other.clone()]),
            Some((12, ServedBy::Connection)),
            "its parent has ended"
        );
        let mut dead = seen(vec![holder(14, &["x"])], &[sshfs()]);
        dead.tells = true;
        assert_eq!(chosen(&dead), NOBODY, "who has opened it, and mounted nothing");
        let mut part = seen(vec![other], &[sshfs()]);
        part.holders.complete = false;
        assert_eq!(chosen(&part), None, "another may");
        let block = on(5, "/mnt/disk", "fuseblk", "/dev/sda5");
        let block = Mount { dev: Dev { major: 8, minor: 5 }, ..block };
        let ntfs = with(13, &[Some(8 << 20 | 5)]);
        let found = seen(vec![ntfs], &[]).choose(block.dev, &[block]);
        assert!(matches!(found, Answer::Process(server) if server.by == ServedBy::Connection));
    }

    #[test]
    fn the_only_one_serves_the_only_file_system() {
        let only = || seen(vec![holder(7, &["rclone"])], &[sshfs()]);
        assert_eq!(chosen(&only()), Some((7, ServedBy::Alone)));
        let mut doubtful = only();
        doubtful.listed = vec![48, 60];
        assert_eq!(chosen(&doubtful), None, "one in a namespace that nobody looked at");
        let mut doubtful = only();
        doubtful.holders.complete = false;
        assert_eq!(chosen(&doubtful), None, "another may");
        let mut doubtful = only();
        doubtful.mounts.clear();
        assert_eq!(chosen(&doubtful), None, "it may be virtiofs");
        assert_eq!(chosen(&seen(Vec::new(), &[sshfs()])), NOBODY);
        assert_eq!(chosen(&seen(Vec::new(), &[])), None);
        let virtio = on(48, "/mnt/v", "virtiofs", "tag");
        assert_eq!(chosen(&seen(vec![holder(7, &["sshfs"])], &[virtio])), None);
        let beside = on(49, "/mnt/v", "virtiofs", "tag");
        let known = seen(vec![holder(7, &["rclone"])], &[sshfs(), beside]);
        assert_eq!(chosen(&known), Some((7, ServedBy::Alone)));
    }

    #[test]
    fn of_several_the_one_whose_arguments_name_the_mount_is_likely() {
        let others = [sshfs(), on(49, "/mnt/b", "fuse.sshfs", "me@host:/b")];
        let of = |list: &[&[&str]]| {
            let list = (7..).zip(list).map(|(pid, arguments)| holder(pid, arguments)).collect();
            chosen(&seen(list, &others))
        };
        let a: &[&str] = &["sshfs", "me@host:/data", "a"];
        let b: &[&str] = &["sshfs", "me@host:/b", "/mnt/b"];
        assert_eq!(of(&[b, a]), Some((8, ServedBy::Arguments)), "by the source");
        let point: &[&str] = &["sshfs", "--to=/mnt/a"];
        assert_eq!(of(&[b, point]), Some((8, ServedBy::Arguments)));
        assert_eq!(of(&[a, point]), None, "two");
        assert_eq!(of(&[&["gvfsd"], &["sshfs", "rel"]]), Some((8, ServedBy::Name)));
        assert_eq!(of(&[&["sshfs", "x"], &["sshfs", "y"]]), None);
        assert_eq!(of(&[b]), None, "that of the other has ended");
    }

    #[test]
    fn a_name_is_cut_and_may_be_a_script() {
        let long = on(48, "/m", "fuse.a-name-of-20-letters", "x");
        assert!(is_called(&long, &Holder { exe: None, ..holder(7, &["a-name-of-20-le"]) }));
        assert!(is_called(&sshfs(), &holder(7, &["python3", "/opt/sshfs"])));
        assert!(is_called(&on(48, "/m", "fuse", "s3fs"), &holder(7, &["s3fs"])));
        assert!(!is_called(&sshfs(), &holder(7, &["ssh"])));
        assert!(!is_called(&on(48, "/m", "fuse.", ""), &holder(7, &[""])));
    }

    #[test]
    fn after_a_look_there_is_a_rest() {
        let (servers, now) = (Servers::default(), Instant::now());
        assert!(servers.rested(now).is_none());
        assert!(servers.rested(now).is_some(), "another looks");
        assert!(servers.rested(now + LONGEST * (REST + 1)).is_none(), "which never ends");
        let list = vec![Holder { id: ProcessId { tgid: u32::MAX, start: 1 }, ..holder(7, &["x"]) }];
        let dead = Arc::new(seen(list, &[]));
        *servers.lock() = Lookout { rest: Some(now + LONGEST * 1_000), seen: dead };
        assert_eq!(servers.find(DEV, 0, &[sshfs()], true), None, "it has ended since");
    }
}
