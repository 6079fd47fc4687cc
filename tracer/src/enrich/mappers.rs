//! Who maps a file that is being shrunk: asked at once, of the whole host, on a thread of its own.
use std::{
    collections::HashMap,
    fs,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{
    enrich::{process, server::Servers},
    host::{
        clock::thread_time,
        privilege,
        proc::{maps::parse, mountinfo},
    },
    model::{
        fact::Mappers, file::Dev, magic::FUSE_SUPER_MAGIC, server::FuseServer, shrink::Shrink,
    },
};

/// Shrinks that wait to be looked at.
const WAITING: usize = 16;
/// One look at all processes takes no longer: on a busy host a hundred took a second.
const LONGEST: Duration = Duration::from_secs(3);
/// After a look nobody looks for nine times as long as it ran: a tenth of one CPU at most.
const REST: u32 = 9;
/// Mappers that are told.
const MOST: usize = 64;

/// One file is looked for no more often than this.
const AGAIN: Duration = Duration::from_secs(1);
/// Files remembered for that.
const FILES: usize = 256;

/// What is looked for.
struct WatchOptions {
    inode: u64,
    begin: u64,
    new_size: u64,
    files: Vec<(Dev, u64)>,
    /// The FUSE file system whose server is looked for, too.
    fuse: Option<Dev>,
}

/// Who serves the file, if it is on FUSE, and who maps it.
type Found = (Option<FuseServer>, Mappers);

/// The thread that looks.
pub struct MapperScanner {
    /// When each inode was looked for last.
    asked: HashMap<u64, Instant>,
    wanted: SyncSender<WatchOptions>,
    found: UnboundedReceiver<Found>,
}

impl MapperScanner {
    pub fn start() -> Self {
        let (wanted, requests) = sync_channel(WAITING);
        let (answers, found) = unbounded_channel();
        // Without the thread every request is refused, and counted.
        let _ = privilege::spawn("whybus-lookout", move || serve(&requests, &answers));
        Self { asked: HashMap::new(), wanted, found }
    }

    /// Asks who maps the file of `shrink`; false if that was asked a moment ago, or too many wait.
    pub fn ask(&mut self, shrink: &Shrink) -> bool {
        let ptr = shrink.inode.ptr;
        if self.asked.get(&ptr).is_some_and(|last| last.elapsed() < AGAIN) {
            return false;
        }
        if self.asked.len() == FILES {
            self.asked.retain(|_, last| last.elapsed() < AGAIN);
        }
        if self.asked.len() < FILES {
            self.asked.insert(ptr, Instant::now());
        }
        let id = shrink.inode.id;
        let files = std::iter::once((id.dev, id.ino)).chain(shrink.outer).collect();
        let Shrink { begin, new_size, .. } = *shrink;
        let fuse = (shrink.inode.magic == FUSE_SUPER_MAGIC).then_some(id.dev);
        let wanted = WatchOptions { inode: shrink.inode.ptr, begin, new_size, files, fuse };
        self.wanted.try_send(wanted).is_ok()
    }

    /// The next answer; never ends.
    pub async fn next(&mut self) -> Found {
        match self.found.recv().await {
            Some(found) => found,
            None => std::future::pending().await,
        }
    }
}

fn serve(requests: &Receiver<WatchOptions>, answers: &UnboundedSender<Found>) {
    let servers = Servers::default();
    for wanted in requests {
        // What it ran, not how long others kept it from running: a busy host is not looked at less for that.
        let started = thread_time();
        // Nobody waits for this thread, nor may it hang.
        let find = |dev| servers.find(dev, wanted.begin, &mountinfo::read(), false);
        // First of all who maps it: a victim may die at once.
        let mappers = look(&wanted);
        let server = wanted.fuse.and_then(find);
        if answers.send((server, mappers)).is_err() {
            return;
        }
        thread::sleep(Duration::from_nanos(thread_time().saturating_sub(started)) * REST);
    }
}

fn look(wanted: &WatchOptions) -> Mappers {
    let started = Instant::now();
    let mut found = Mappers {
        inode: wanted.inode,
        begin: wanted.begin,
        processes: Vec::new(),
        path: None,
        why: None,
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    for (looked_at, pid) in pids.enumerate() {
        if started.elapsed() > LONGEST || found.processes.len() == MOST {
            found.why = Some(format!("only {looked_at} processes were checked"));
            break;
        }
        let Ok(text) = fs::read(format!("/proc/{pid}/maps")) else { continue };
        let lost = parse(&text).filter(|mapping| {
            let reach = mapping.file_offset.saturating_add(mapping.end - mapping.start);
            wanted.files.contains(&(mapping.dev, mapping.inode)) && reach > wanted.new_size
        });
        let lost: Vec<_> = lost.collect();
        let code = lost.iter().any(|mapping| mapping.executable);
        if let Some(mapping) = lost.into_iter().next()
            && let Some(mapper) = process::mapper(pid, code)
        {
            found.processes.push(mapper);
            found.path.get_or_insert(mapping.path);
        }
    }
    found
}
