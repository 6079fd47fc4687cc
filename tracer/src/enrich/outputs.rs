//! Where standard output and standard error of a victim led: as the kernel told when it ended, or else as a link of /proc
//! says while it has them. No file is looked at behind one, for whoever serves it may never answer.
mod admitted;
mod ended;
mod reader;

use std::{
    fs,
    io::{self, Read as _},
    num::NonZeroUsize,
    os::unix::{ffi::OsStringExt as _, fs::MetadataExt as _},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use lru::LruCache;

use crate::{
    enrich::view,
    host::{
        proc::mountinfo,
        unix_diag::{Claimed, UnixDiag},
    },
    model::{
        Bytes,
        output::{Output, Outputs},
        process::ProcessExit,
        task::{Ancestor, Task},
    },
};

use admitted::Admitted;
pub use ended::Ending;

const SECOND: Duration = Duration::from_secs(1);
/// Bytes that are read of a descriptor's state.
const FDINFO: u64 = 512;
/// Permissions of a link of /proc/PID/fd: for what the file was opened.
const READS: u32 = 0o400;
const WRITES: u32 = 0o200;
/// Pipes whose other end is remembered for a second.
const PIPES: NonZeroUsize = NonZeroUsize::new(64).expect("not 0");

/// Looks, on whichever thread.
#[derive(Clone)]
pub struct Outlets(Arc<Shared>);

struct Shared {
    diag: UnixDiag,
    /// The mount namespace whose paths everybody sees: that of the first process. Ours may be another.
    host: Option<u32>,
    /// The first process' mounts, as they are read.
    mounts: Mutex<Option<(Instant, Arc<Bytes>)>>,
    /// /dev/null is what it is called.
    null: bool,
    readers: Mutex<LruCache<u64, (Instant, Option<Reader>)>>,
    /// Who faults or ends, and who starts.
    admitted: [Mutex<Admitted>; 2],
}

/// Who reads from a pipe, and its cgroups as it was found: it may end with the last one that writes.
#[derive(Clone)]
struct Reader {
    process: Ancestor,
    cgroups: Vec<Bytes>,
}

/// Who is looked at, and who may read from its pipes.
pub struct Victim {
    task: Task,
    /// Nearest first.
    ancestors: Vec<u32>,
    /// It only starts, after others of its program have ended: it may be gone at once when it ends as they did.
    at_start: bool,
    /// What the kernel told as it ended.
    ended: Option<Seen>,
    /// Whether it is looked for who reads from its pipes.
    admitted: bool,
}

impl Victim {
    /// What is known without looking anywhere.
    pub fn known(&self) -> Option<Box<Outputs>> {
        self.ended.as_ref().map(|seen| Box::new(seen.outputs.clone()))
    }
}

/// What links said, before others are asked about it.
pub struct Seen {
    outputs: Outputs,
    behind: [Option<Behind>; 2],
}

impl Seen {
    /// It is known of the process itself, whoever has its pid by now.
    pub fn is_of_the_kernel(&self) -> bool {
        self.outputs.at_end
    }
}

/// What has to be held against the host.
enum Behind {
    /// The mount through which a file was opened.
    Mount(u32),
    /// What the other end of a socket is called.
    Journal(Claimed),
}

impl Outlets {
    pub fn start() -> Self {
        let diag = UnixDiag::default();
        let host = view::of_init();
        let null = fs::metadata("/dev/null").is_ok_and(|meta| meta.rdev() == libc::makedev(1, 3));
        let readers = Mutex::new(LruCache::new(PIPES));
        Self(Arc::new(Shared {
            diag,
            host,
            mounts: Mutex::default(),
            null,
            readers,
            admitted: [Admitted::begin(), Admitted::begin()].map(Mutex::new),
        }))
    }

    /// A victim, if it is one of those that are looked at.
    pub fn admit(&self, actor: (&Task, &[Ancestor]), at_start: bool) -> Option<Victim> {
        let (task, ancestors) = actor;
        let mut admitted =
            self.0.admitted[usize::from(at_start)].lock().unwrap_or_else(PoisonError::into_inner);
        admitted.one_more(task.uid).then(|| {
            let ancestors = ancestors.iter().map(|ancestor| ancestor.id.tgid).collect();
            Victim { task: task.clone(), ancestors, at_start, ended: None, admitted: true }
        })
    }

    /// A victim that has ended: each of which the kernel told something.
    pub fn ended(&self, exit: &ProcessExit, ending: &mut Ending) -> Option<Victim> {
        let ended = ending.take(exit.exit.id, exit.exit.code, self.0.host);
        let victim = self.admit((&exit.actor.task, &exit.actor.ancestors), false);
        let Some(ended) = ended else { return victim };
        let victim = victim.unwrap_or_else(|| Victim {
            task: exit.actor.task.clone(),
            ancestors: Vec::new(),
            at_start: false,
            ended: None,
            admitted: false,
        });
        Some(Victim { ended: Some(ended), ..victim })
    }

    /// What it had open; whether it was the victim, the caller has to look afterwards.
    pub fn of(&self, victim: &mut Victim) -> Option<Seen> {
        if let Some(ended) = victim.ended.take() {
            return Some(ended);
        }
        let Task { id, tid, .. } = &victim.task;
        // A first thread that has ended has no descriptors any more, and the others have them.
        let base = format!("/proc/{}/task/{tid}", id.tgid);
        let [out, err] = links(&base);
        let theirs = view::namespace(format!("{base}/ns/mnt").as_ref());
        let of_host = theirs.is_some() && self.0.host == theirs;
        let one = |number, link: Option<Link>| link.and_then(|link| self.one(&base, number, &link));
        let (stdout, out) = one(1, out).unzip();
        let (stderr, err) = one(2, err).unzip();
        let kept = |behind: &Behind| of_host || !matches!(behind, Behind::Mount(_));
        let behind = [out, err].map(|behind| behind.flatten().filter(kept));
        let outputs = Outputs { stdout, stderr, at_start: victim.at_start, at_end: false };
        outputs.is_known().then_some(Seen { outputs, behind })
    }

    /// Adds whether the host has files by the same paths, which sockets are its journal's, and who has the other ends of pipes. That takes longer, and
    /// outlives the victim. `cgroup` is the path of the victim's.
    pub fn complete(
        &self,
        seen: Seen,
        victim: &Victim,
        ancestors: &[Ancestor],
        cgroup: Option<&[u8]>,
    ) -> Box<Outputs> {
        let Seen { mut outputs, behind } = seen;
        let both = [&mut outputs.stdout, &mut outputs.stderr].into_iter().zip(behind);
        for (output, behind) in both.filter_map(|(output, behind)| Some((output.as_mut()?, behind)))
        {
            match (&mut *output, behind) {
                (Output::File { path, of_host, .. }, Some(Behind::Mount(mount))) => {
                    *of_host = self.mount_of_host(path) == Some(mount);
                }
                (Output::Socket { .. }, Some(Behind::Journal(claimed))) => {
                    if let Some(namespace) = claimed.of_host() {
                        *output = Output::Journal { namespace };
                    }
                }
                // Of a FIFO the number is one of its own file system, not of those that pipes have.
                (Output::Pipe { inode, path: None, reader, outside }, _) => {
                    let found = self.reader(*inode, victim, ancestors);
                    *outside = found
                        .as_ref()
                        .zip(cgroup)
                        .is_some_and(|(found, cgroup)| reader::is_outside(&found.cgroups, cgroup));
                    *reader = found.map(|found| found.process);
                }
                _ => {}
            }
        }
        Box::new(outputs)
    }

    /// Where a descriptor leads whose link reads so.
    fn one(&self, base: &str, number: u32, link: &Link) -> Option<(Output, Option<Behind>)> {
        let Link::To(path) = link else { return Some((Output::Closed, None)) };
        let name = format!("{base}/fd/{number}");
        opened_for(name.as_ref(), WRITES).then_some(())?;
        // No path begins so: they begin with a slash.
        if let Some(inode) = numbered(path, "pipe:[") {
            return Some((Output::Pipe { inode, path: None, reader: None, outside: false }, None));
        }
        if let Some(inode) = numbered(path, "socket:[") {
            let claimed = self.0.diag.journal(inode);
            return Some((Output::Socket { inode }, claimed.map(Behind::Journal)));
        }
        path.starts_with(b"/").then_some(())?;
        let mut output = Output::called(path, self.0.null);
        let Output::File { written, .. } = &mut output else { return Some((output, None)) };
        let mut text = String::new();
        let file = fs::File::open(format!("{base}/fdinfo/{number}"));
        let _ = file.and_then(|file| file.take(FDINFO).read_to_string(&mut text));
        *written = field(&text, "pos:").is_some_and(|at| at > 0);
        let mount = field(&text, "mnt_id:").and_then(|id| u32::try_from(id).ok());
        // What was looked at is still what the link names.
        (read(&name).ok()? == *path).then_some((output, mount.map(Behind::Mount)))
    }

    /// The mount through which whoever walks a path on the host opens it.
    fn mount_of_host(&self, path: &[u8]) -> Option<u32> {
        let mut known = self.0.mounts.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|(since, _)| since.elapsed() >= SECOND) {
            *known = mountinfo::text(1).map(|text| (Instant::now(), Arc::new(text)));
        }
        let text = known.as_ref().map(|(_, text)| Arc::clone(text))?;
        drop(known);
        mountinfo::opened_through(&text, path)
    }

    /// Who holds the other end of a pipe, among those who most likely do.
    fn reader(&self, pipe: u64, victim: &Victim, ancestors: &[Ancestor]) -> Option<Reader> {
        let lock = || self.0.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, reader)) = lock().get(&pipe)
            && since.elapsed() < SECOND
        {
            return reader.clone();
        }
        if !victim.admitted {
            return None;
        }
        let reader = reader::look_for(pipe, victim, ancestors).map(|process| {
            let cgroups = reader::cgroups(process.id.tgid);
            Reader { process, cgroups }
        });
        lock().put(pipe, (Instant::now(), reader.clone()));
        reader
    }
}

/// What a link of /proc/PID/fd says.
#[derive(Debug, PartialEq, Eq)]
enum Link {
    To(Bytes),
    /// There is none, though the process still had its descriptors.
    Closed,
}

/// Those of descriptors 1 and 2; `None` where nothing is known. A process that ends loses all descriptors at once, and
/// then has none of them: that one is closed is known only by another that is seen open after that.
fn links(base: &str) -> [Option<Link>; 2] {
    let look = |number: u32| read(&format!("{base}/fd/{number}"));
    let (out, err) = (look(1), look(2));
    let gone = |found: &io::Result<Bytes>| {
        found.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    let open = |numbers: &[u32]| numbers.iter().any(|number| look(*number).is_ok());
    // Who opens another log may have none for an instant.
    let out_closed = gone(&out) && gone(&look(1)) && (err.is_ok() || open(&[0, 2]));
    let err_closed = gone(&err) && gone(&look(2)) && open(&[0, 1]);
    let told = |found: io::Result<Bytes>, closed: bool| {
        found.ok().map(Link::To).or(closed.then_some(Link::Closed))
    };
    [told(out, out_closed), told(err, err_closed)]
}

fn read(link: &str) -> io::Result<Bytes> {
    Ok(fs::read_link(link)?.into_os_string().into_vec())
}

/// 7 of `pipe:[7]`.
fn numbered(link: &[u8], before: &str) -> Option<u64> {
    std::str::from_utf8(link).ok()?.strip_prefix(before)?.strip_suffix(']')?.parse().ok()
}

/// A number of /proc/PID/fdinfo.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
}

/// The permissions of the link say that, not those of what it leads to.
fn opened_for(link: &Path, what: u32) -> bool {
    fs::symlink_metadata(link).is_ok_and(|meta| meta.mode() & what != 0)
}

#[cfg(test)]
mod tests {
    use std::{
        os::fd::AsRawFd as _,
        process::{Child, Command, Stdio},
    };

    use super::*;
    use crate::{
        enrich::process::{self, Stat},
        testing::actor,
    };

    struct Sleeper(Child);

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// Of a process that a shell starts with such redirections.
    fn told(redirect: &str, stdout: Stdio) -> Outputs {
        let script = format!("exec sleep 60 {redirect}");
        let child = Command::new("sh").args(["-c", &script]).stdout(stdout).spawn();
        let child = Sleeper(child.expect("a shell"));
        let pid = child.0.id();
        let until = Instant::now() + Duration::from_secs(10);
        // Until it sleeps the loader opens libraries, under numbers that are free.
        let sleeps = || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
            stat.is_ok_and(|stat| stat.contains(" (sleep) S "))
        };
        while !sleeps() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        *of(pid).expect("it is there")
    }

    fn of(pid: u32) -> Option<Box<Outputs>> {
        let outlets = Outlets::start();
        let mut actor = actor(pid);
        actor.task.tid = pid;
        let mut victim = outlets.admit((&actor.task, &[]), false).expect("the first");
        let seen = outlets.of(&mut victim)?;
        Some(outlets.complete(
            seen,
            &victim,
            &process::ancestors(std::process::id(), u64::MAX),
            None,
        ))
    }

    /// Path of a file, whether its link says that it was deleted, and whether somebody wrote to it.
    fn file(output: Option<Output>) -> (Bytes, bool, bool) {
        let Some(Output::File { path, deleted, written, .. }) = output else {
            panic!("{output:?}");
        };
        (path, deleted, written)
    }

    #[test]
    fn files_and_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = dir.path().join("log");
        let redirect = format!(">/dev/null 2>>'{}'", log.display());
        let told = told(&redirect, Stdio::null());
        assert_eq!(told.stdout, Some(Output::Null));
        assert_eq!(file(told.stderr), (log.into_os_string().into_vec(), false, false));
    }

    #[test]
    fn a_log_that_was_removed_is_said_to_be() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = dir.path().join("log");
        let mut opened = fs::File::create(&log).expect("room");
        io::Write::write_all(&mut opened, b"said\n").expect("room");
        fs::remove_file(&log).expect("it is there");
        let told = told("2>&1", opened.into());
        assert_eq!(told.stdout, told.stderr);
        assert_eq!(file(told.stderr), (log.into_os_string().into_vec(), true, true));
    }

    #[test]
    fn nothing_is_said_into_what_is_open_for_reading() {
        let told = told("2</etc/passwd", Stdio::null());
        assert_eq!((told.stdout, told.stderr), (Some(Output::Null), None));
    }

    /// Of a FIFO only the path is known; whoever has a pipe of that number need not have it.
    #[test]
    fn of_what_has_a_path_no_other_end_is_looked_for() {
        let outlets = Outlets::start();
        let (reader, _writer) = io::pipe().expect("a pipe");
        let inode = fs::read_link(format!("/proc/self/fd/{}", reader.as_raw_fd())).expect("a link");
        let inode = numbered(inode.as_os_str().as_encoded_bytes(), "pipe:[").expect("a number");
        let victim = outlets.admit((&actor(1).task, &[]), false).expect("the first");
        let own = process::ancestors(std::process::id(), u64::MAX);
        let complete = |path: Option<Bytes>| {
            let pipe = Output::Pipe { inode, path, reader: None, outside: false };
            let outputs = Outputs { stderr: Some(pipe), ..Outputs::default() };
            let seen = Seen { outputs, behind: [None, None] };
            outlets.complete(seen, &victim, &own, None).stderr
        };
        let named =
            |output: &Option<Output>| matches!(output, Some(Output::Pipe { reader: Some(_), .. }));
        assert!(named(&complete(None)));
        assert!(!named(&complete(Some(b"/run/fifo".to_vec()))));
    }

    #[test]
    fn what_is_closed_is_known_by_what_is_open() {
        let told = told("2>&-", Stdio::null());
        assert_eq!((told.stdout, told.stderr), (Some(Output::Null), Some(Output::Closed)));
    }

    #[test]
    fn who_reads_from_a_pipe_is_named() {
        let told = told("2>/dev/null", Stdio::piped());
        let Some(Output::Pipe { reader: Some(reader), path: None, .. }) = told.stdout else {
            panic!("{told:?}");
        };
        assert_eq!(reader.id.tgid, std::process::id());
    }

    /// A zombie has no descriptors: nothing was closed.
    #[test]
    fn of_who_has_ended_nothing_is_known() {
        let mut child = Command::new("true").spawn().expect("a program");
        let pid = child.id();
        let until = Instant::now() + Duration::from_secs(10);
        while Stat::read(pid).is_some_and(|stat| stat.state != b'Z') && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(of(pid), None);
        child.wait().expect("its end");
        assert_eq!(of(pid), None);
    }
}
