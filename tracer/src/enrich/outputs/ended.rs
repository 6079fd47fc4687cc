//! Where the output of a process led that has ended, by what the kernel told of its descriptors then.
use std::num::NonZeroUsize;

use lru::LruCache;

use super::{Behind, Seen, called};
use crate::{
    host::unix_diag::Claimed,
    model::{
        file::{DELETED, Dev, program},
        output::{LastOutput, OpenFile, Output, Outputs},
        task::ProcessId,
    },
};

/// Processes whose end is still to be told: it follows at once.
const ENDING: NonZeroUsize = NonZeroUsize::new(256).expect("not 0");
/// include/uapi/linux/magic.h
const PIPEFS_MAGIC: u64 = 0x5049_5045;
/// /dev/null, by its number (Documentation/admin-guide/devices.txt).
const NULL: Dev = Dev { major: 1, minor: 3 };

/// What was told of descriptors, until the end of their process is.
pub struct Ending(LruCache<ProcessId, [Option<LastOutput>; 2]>);

impl Default for Ending {
    fn default() -> Self {
        Self(LruCache::new(ENDING))
    }
}

impl Ending {
    pub fn add(&mut self, output: LastOutput) {
        let both = self.0.get_or_insert_mut(output.id, Default::default);
        let [out, err] = both;
        for (place, told) in [(out, output.stdout), (err, output.stderr)] {
            if told {
                *place = Some(output.clone());
            }
        }
    }

    /// Standard output and standard error of a process that ended so, which lives in the mount namespace `host` if its
    /// paths are the host's.
    pub fn take(&mut self, id: ProcessId, code: u32, host: Option<u32>) -> Option<Seen> {
        let [out, err] = self.0.pop(&id)?;
        // Programs close their outputs as the last thing they do.
        let closed = code & 0x7f != 0;
        let one = |told: Option<LastOutput>| match told?.file {
            Some(file) => led(&file, host),
            None => closed.then_some((Output::Closed, None)),
        };
        let (stdout, out) = one(out).unzip();
        let (stderr, err) = one(err).unzip();
        let outputs = Outputs { stdout, stderr, at_end: true, ..Outputs::default() };
        let behind = [out.flatten(), err.flatten()];
        outputs.is_known().then_some(Seen { outputs, behind })
    }
}

fn led(file: &OpenFile, host: Option<u32>) -> Option<(Output, Option<Behind>)> {
    file.writable.then_some(())?;
    let inode = file.inode.id.ino;
    let path = || {
        let name = program(&file.path)?;
        Some(name.strip_suffix(DELETED).unwrap_or(&name).to_vec())
    };
    let output = match file.inode.mode & libc::S_IFMT {
        libc::S_IFIFO => {
            let path = if file.inode.magic == PIPEFS_MAGIC { None } else { Some(path()?) };
            Output::Pipe { inode, path, reader: None, outside: false }
        }
        libc::S_IFSOCK => {
            let bound = file.bound.as_ref();
            let journal = bound.and_then(|(name, inode, dev)| Claimed::by(name, *inode, *dev));
            return Some((Output::Socket { inode }, journal.map(Behind::Journal)));
        }
        libc::S_IFCHR if file.device == NULL => Output::Null,
        libc::S_IFCHR | libc::S_IFBLK => match called(&path()?, false) {
            Output::File { path, .. } => Output::Device { path },
            device => device,
        },
        libc::S_IFREG => {
            let deleted = file.path.deleted || file.path.pseudo;
            let output =
                Output::File { path: path()?, deleted, of_host: false, written: file.moved };
            let whole = !file.path.cut && !file.path.name_missing && host == Some(file.mnt_ns);
            return Some((output, file.mount.filter(|_| whole).map(Behind::Mount)));
        }
        _ => return None,
    };
    Some((output, None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::file::Path,
        testing::{SINCE, inode},
    };

    const ID: ProcessId = ProcessId { tgid: 7, start: SINCE };
    const KILLED: u32 = 7;
    const STATUS: u32 = 3 << 8;

    fn open(kind: u32, path: &[&str]) -> OpenFile {
        let names = path.iter().map(|name| name.as_bytes().to_vec()).collect();
        let mut inode = inode(100);
        inode.mode = kind | 0o600;
        OpenFile {
            inode,
            writable: true,
            moved: true,
            device: Dev { major: 0, minor: 0 },
            mnt_ns: 1,
            mount: Some(9),
            path: Path { names, ..Path::default() },
            bound: None,
        }
    }

    fn told(file: Option<OpenFile>, code: u32) -> Option<Seen> {
        let mut ending = Ending::default();
        ending.add(LastOutput { id: ID, stdout: false, stderr: true, file });
        ending.take(ID, code, Some(1))
    }

    fn stderr(file: OpenFile) -> Option<Output> {
        told(Some(file), KILLED)?.outputs.stderr
    }

    #[test]
    fn each_type_of_file() {
        let log = open(libc::S_IFREG, &["var", "log"]);
        let file = |deleted, written| {
            let path = b"/var/log".to_vec();
            Some(Output::File { path, deleted, of_host: false, written })
        };
        assert_eq!(stderr(log.clone()), file(false, true));
        assert_eq!(stderr(OpenFile { moved: false, ..log.clone() }), file(false, false));
        let deleted = Path { deleted: true, ..log.path.clone() };
        assert_eq!(stderr(OpenFile { path: deleted, ..log.clone() }), file(true, true));
        assert_eq!(stderr(OpenFile { writable: false, ..log }), None);
        let device = Dev { major: 1, minor: 3 };
        let null = OpenFile { device, ..open(libc::S_IFCHR, &["srv", "x"]) };
        assert_eq!(stderr(null.clone()), Some(Output::Null), "whatever it is called");
        let other = OpenFile { device: Dev { major: 5, minor: 3 }, ..null };
        assert_eq!(stderr(other), Some(Output::Device { path: b"/srv/x".to_vec() }));
        let terminal = open(libc::S_IFCHR, &["dev", "pts", "0"]);
        assert_eq!(stderr(terminal), Some(Output::Terminal { path: b"/dev/pts/0".to_vec() }));
        let pipe = |path| Some(Output::Pipe { inode: 12, path, reader: None, outside: false });
        let fifo = open(libc::S_IFIFO, &["run", "f"]);
        assert_eq!(stderr(fifo), pipe(Some(b"/run/f".to_vec())));
        let mut nameless = open(libc::S_IFIFO, &[]);
        nameless.inode.magic = PIPEFS_MAGIC;
        assert_eq!(stderr(nameless), pipe(None));
        assert_eq!(stderr(open(libc::S_IFDIR, &["run"])), None);
        assert_eq!(stderr(open(libc::S_IFREG, &[])), None, "its path is not known");
    }

    #[test]
    fn whose_paths_they_are() {
        let log = open(libc::S_IFREG, &["var", "log"]);
        let mount = |file: OpenFile| {
            let [_, behind] = told(Some(file), KILLED)?.behind;
            behind.map(|behind| matches!(behind, Behind::Mount(9)))
        };
        assert_eq!(mount(log.clone()), Some(true));
        assert_eq!(mount(OpenFile { mnt_ns: 2, ..log.clone() }), None);
        let cut = Path { cut: true, ..log.path.clone() };
        assert_eq!(mount(OpenFile { path: cut, ..log }), None);
    }

    #[test]
    fn a_journal_by_its_name() {
        let bound = |name: &[u8]| {
            let bound = Some((name.to_vec(), 5, Dev { major: 0, minor: 25 }));
            let socket = OpenFile { bound, ..open(libc::S_IFSOCK, &[]) };
            let [_, behind] = told(Some(socket), KILLED)?.behind;
            behind.map(|behind| matches!(behind, Behind::Journal(_)))
        };
        assert_eq!(bound(b"/run/systemd/journal/stdout"), Some(true));
        assert_eq!(bound(b"/run/x/journal/stdout"), None);
        assert_eq!(bound(b"\xff"), None);
    }

    #[test]
    fn what_a_program_closes_as_it_exits_was_open() {
        let closed = |code| told(None, code).map(|seen| seen.outputs.stderr);
        assert_eq!(closed(KILLED), Some(Some(Output::Closed)));
        assert_eq!(closed(STATUS), None);
    }

    #[test]
    fn both_may_be_one() {
        let mut ending = Ending::default();
        let file = Some(open(libc::S_IFCHR, &["dev", "pts", "0"]));
        ending.add(LastOutput { id: ID, stdout: true, stderr: true, file });
        let seen = ending.take(ID, KILLED, None).expect("both");
        assert!(seen.outputs.stdout.is_some() && seen.outputs.at_end);
        assert_eq!(seen.outputs.stdout, seen.outputs.stderr);
        assert!(ending.take(ID, KILLED, None).is_none(), "it is told once");
    }
}
