//! Where standard output and standard error of a process led.
use serde::{Deserialize, Serialize};

use crate::{
    model::{
        Bytes,
        file::{DELETED, Dev, Inode, Path, program},
        task::{Ancestor, ProcessId},
    },
    text::base64,
};

/// What the kernel told of one or both as the process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastOutput {
    pub id: ProcessId,
    pub stdout: bool,
    pub stderr: bool,
    /// `None` if it was closed.
    pub file: Option<OpenFile>,
}

/// A file as a process has it open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenFile {
    pub inode: Inode,
    pub writable: bool,
    /// It has a position, and something was written or read before that.
    pub moved: bool,
    /// Which one it is, of a device.
    pub device: Dev,
    /// The mount namespace of the process.
    pub mnt_ns: u32,
    /// The mount through which it was opened (`mnt_id` of /proc/PID/fdinfo).
    pub mount: Option<u32>,
    pub path: Path,
    /// Of a Unix socket: what its other end is bound to, by whoever bound it, and the file that was made so.
    pub bound: Option<(Bytes, u64, Dev)>,
}

/// include/uapi/linux/magic.h
const PIPEFS_MAGIC: u64 = 0x5049_5045;
/// /dev/null, by its number (Documentation/admin-guide/devices.txt).
const NULL: Dev = Dev { major: 1, minor: 3 };

impl OpenFile {
    /// Where it leads, as far as the kernel alone says.
    fn led(&self) -> Option<Output> {
        self.writable.then_some(())?;
        let inode = self.inode.id.ino;
        let path = || {
            let name = program(&self.path)?;
            Some(name.strip_suffix(DELETED).unwrap_or(&name).to_vec())
        };
        Some(match self.inode.mode & libc::S_IFMT {
            libc::S_IFIFO => {
                let path = if self.inode.magic == PIPEFS_MAGIC { None } else { Some(path()?) };
                Output::Pipe { inode, path, reader: None, outside: false }
            }
            libc::S_IFSOCK => Output::Socket { inode },
            libc::S_IFCHR if self.device == NULL => Output::Null,
            libc::S_IFCHR | libc::S_IFBLK => match Output::called(&path()?, false) {
                Output::File { path, .. } => Output::Device { path },
                device => device,
            },
            libc::S_IFREG => {
                let deleted = self.path.deleted || self.path.pseudo;
                Output::File { path: path()?, deleted, of_host: false, written: self.moved }
            }
            _ => return None,
        })
    }

    /// The mount of its path, where that is known whole.
    pub fn mount_of_path(&self) -> Option<u32> {
        self.mount.filter(|_| !self.path.cut && !self.path.name_missing)
    }
}

/// What the kernel told of both as the process ended; the inner `None` is one that was closed.
#[derive(Debug, Default)]
pub struct LastOutputs {
    pub stdout: Option<Option<OpenFile>>,
    pub stderr: Option<Option<OpenFile>>,
}

impl LastOutputs {
    pub fn add(&mut self, told: LastOutput) {
        if told.stdout {
            self.stdout = Some(told.file.clone());
        }
        if told.stderr {
            self.stderr = Some(told.file);
        }
    }

    /// Where they led, of a process that ended so.
    pub fn outputs(&self, code: u32) -> Outputs {
        // Programs close their outputs as the last thing they do.
        let killed = code & 0x7f != 0;
        let one = |told: &Option<Option<OpenFile>>| match told.as_ref()? {
            Some(file) => file.led(),
            None => killed.then_some(Output::Closed),
        };
        let (stdout, stderr) = (one(&self.stdout), one(&self.stderr));
        Outputs { stdout, stderr, at_start: false, at_end: true }
    }
}

/// Both, as /proc said while the process had them, or the kernel as it ended; `None` of what is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<Output>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<Output>,
    /// It was looked at as it began to run its program, not as it faulted or ended.
    #[serde(default)]
    pub at_start: bool,
    /// The kernel told it as the process ended: nothing could change any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_end: bool,
}

impl Outputs {
    /// Takes over what was learnt later: a daemon may have opened a log since it started.
    pub fn learn(&mut self, other: Self) {
        if self.at_start != other.at_start {
            if self.at_start && other.is_known() {
                let before = std::mem::replace(self, other);
                self.remember(&before);
            }
            return;
        }
        // What /proc says may come after what was so in the end.
        let (last, before) = match self.at_end && !other.at_end {
            true => (std::mem::take(self), other),
            false => (other, std::mem::take(self)),
        };
        let mut both = Self { at_end: last.at_end || before.at_end, ..last };
        both.remember(&before);
        both.stdout = both.stdout.or(before.stdout);
        both.stderr = both.stderr.or(before.stderr);
        *self = both;
    }

    /// Who reads from a pipe may be gone when the last one that writes has ended: it is who it was before.
    fn remember(&mut self, before: &Self) {
        let pairs = [(&mut self.stdout, &before.stdout), (&mut self.stderr, &before.stderr)];
        for (now, before) in pairs {
            if let Some(Output::Pipe { inode, reader, outside, .. }) = now
                && let Some(Output::Pipe { inode: of, reader: by, outside: was, .. }) = before
                && inode == of
                && (reader.is_none() || reader == by)
            {
                *outside |= was;
                *reader = reader.take().or_else(|| by.clone());
            }
        }
    }

    pub fn is_known(&self) -> bool {
        self.stdout.is_some() || self.stderr.is_some()
    }
}

/// Where one of them led.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// It was not open.
    Closed,
    /// /dev/null
    Null,
    /// Whatever has a path that is not below /dev: a file, or a FIFO.
    File {
        /// As its process sees it.
        #[serde(with = "base64")]
        path: Bytes,
        /// Its link says that it has no name any more; or the name ends so.
        deleted: bool,
        /// Whoever walks the path on the host gets to that file.
        #[serde(default)]
        of_host: bool,
        /// It has a position, as only files have, and something was written before that.
        #[serde(default)]
        written: bool,
    },
    Terminal {
        #[serde(with = "base64")]
        path: Bytes,
    },
    /// Any other device.
    Device {
        #[serde(with = "base64")]
        path: Bytes,
    },
    /// systemd-journald of the host.
    Journal {
        /// Of another than the main one (`LogNamespace=`).
        namespace: Option<String>,
    },
    Pipe {
        inode: u64,
        /// A FIFO's.
        #[serde(with = "base64")]
        path: Option<Bytes>,
        /// Whoever is known to hold its other end.
        reader: Option<Ancestor>,
        /// That one is known to run outside the victim's container.
        #[serde(default)]
        outside: bool,
    },
    Socket {
        inode: u64,
    },
}

impl Output {
    /// What a path is by the place that it has: below /dev are devices, but for what is in its tmpfs.
    pub fn called(path: &[u8], null: bool) -> Self {
        let kept = || path.to_vec();
        let Some(device) = path.strip_prefix(b"/dev/").filter(|name| !name.starts_with(b"shm/"))
        else {
            let stripped = path.strip_suffix(DELETED);
            let (path, deleted) = (stripped.unwrap_or(path).to_vec(), stripped.is_some());
            return Self::File { path, deleted, of_host: false, written: false };
        };
        let digits = |name: &[u8]| name.iter().all(u8::is_ascii_digit);
        let word = |name: &[u8]| name.iter().all(u8::is_ascii_alphanumeric);
        let terminal = device == b"console"
            || device.strip_prefix(b"pts/").is_some_and(digits)
            || device.strip_prefix(b"tty").is_some_and(word);
        match device {
            b"null" if null => Self::Null,
            _ if terminal => Self::Terminal { path: kept() },
            _ => Self::Device { path: kept() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ProcessId, open_file};

    const KILLED: u32 = 7;

    #[test]
    fn who_read_from_a_pipe_read_from_it_in_the_end() {
        let by = Some(Ancestor { id: ProcessId { tgid: 9, start: 1 }, comm: b"conmon".to_vec() });
        let pipe = |reader: &Option<Ancestor>, outside, inode| {
            Some(Output::Pipe { inode, path: None, reader: reader.clone(), outside })
        };
        let at = |stdout, at_start, at_end| Outputs { stdout, stderr: None, at_start, at_end };
        for at_start in [true, false] {
            for (last, expected) in [
                (pipe(&by, false, 7), pipe(&by, true, 7)),
                (pipe(&None, false, 7), pipe(&by, true, 7)),
                (pipe(&None, false, 8), pipe(&None, false, 8)),
            ] {
                let mut known = at(pipe(&by, true, 7), at_start, false);
                known.learn(at(last, false, true));
                assert_eq!(known.stdout, expected);
            }
        }
    }

    #[test]
    fn each_type_of_file() {
        let log = open_file(libc::S_IFREG, &["var", "log"]);
        let file = |deleted, written| {
            let path = b"/var/log".to_vec();
            Some(Output::File { path, deleted, of_host: false, written })
        };
        assert_eq!(log.led(), file(false, true));
        assert_eq!(OpenFile { moved: false, ..log.clone() }.led(), file(false, false));
        let deleted = Path { deleted: true, ..log.path.clone() };
        assert_eq!(OpenFile { path: deleted, ..log.clone() }.led(), file(true, true));
        assert_eq!(OpenFile { writable: false, ..log.clone() }.led(), None);
        let cut = Path { cut: true, ..log.path.clone() };
        assert_eq!(OpenFile { path: cut, ..log }.mount_of_path(), None);
        let null = OpenFile { device: NULL, ..open_file(libc::S_IFCHR, &["srv", "x"]) };
        assert_eq!(null.led(), Some(Output::Null), "whatever it is called");
        let other = OpenFile { device: Dev { major: 5, minor: 3 }, ..null };
        assert_eq!(other.led(), Some(Output::Device { path: b"/srv/x".to_vec() }));
        let terminal = open_file(libc::S_IFCHR, &["dev", "pts", "0"]);
        assert_eq!(terminal.led(), Some(Output::Terminal { path: b"/dev/pts/0".to_vec() }));
        let pipe = |path| Some(Output::Pipe { inode: 12, path, reader: None, outside: false });
        assert_eq!(open_file(libc::S_IFIFO, &["run", "f"]).led(), pipe(Some(b"/run/f".to_vec())));
        let mut nameless = open_file(libc::S_IFIFO, &[]);
        nameless.inode.magic = PIPEFS_MAGIC;
        assert_eq!(nameless.led(), pipe(None));
        assert_eq!(open_file(libc::S_IFDIR, &["run"]).led(), None);
        assert_eq!(open_file(libc::S_IFREG, &[]).led(), None, "its path is not known");
    }

    #[test]
    fn what_a_program_closes_as_it_exits_was_open() {
        let id = ProcessId { tgid: 7, start: 1 };
        let mut last = LastOutputs::default();
        last.add(LastOutput { id, stdout: true, stderr: true, file: None });
        let killed = last.outputs(KILLED);
        assert_eq!([killed.stdout, killed.stderr], [Some(Output::Closed), Some(Output::Closed)]);
        assert!(!last.outputs(3 << 8).is_known());
        let file = Some(open_file(libc::S_IFCHR, &["dev", "pts", "0"]));
        last.add(LastOutput { id, stdout: false, stderr: true, file });
        let one = last.outputs(3 << 8);
        assert!(one.stdout.is_none() && one.stderr.is_some() && one.at_end);
    }

    #[test]
    fn a_path_is_what_its_place_is_for() {
        let kind = |path: &str| match Output::called(path.as_bytes(), true) {
            Output::Null => "null",
            Output::Terminal { .. } => "terminal",
            Output::Device { .. } => "device",
            Output::File { deleted: true, .. } => "deleted",
            _ => "file",
        };
        let terminals = ["/dev/pts/0", "/dev/tty", "/dev/ttyS0", "/dev/console"];
        assert!(terminals.iter().all(|path| kind(path) == "terminal"));
        assert_eq!(
            ["/dev/null", "/dev/kmsg", "/dev/pts/a"].map(kind),
            ["null", "device", "device"]
        );
        assert_eq!(
            ["/dev/shm/l", "/srv/dev/null", "/l (deleted)"].map(kind),
            ["file", "file", "deleted"]
        );
        let broken = Output::Device { path: b"/dev/null".to_vec() };
        assert_eq!(Output::called(b"/dev/null", false), broken, "somebody put a file there");
    }

    #[test]
    fn of_two_looks_the_later_one_says_whose_file_it_is() {
        let at = |of_host| {
            let (path, deleted, written) = (b"/l".to_vec(), false, true);
            let file = Output::File { path, deleted, of_host, written };
            Outputs { stderr: Some(file), ..Outputs::default() }
        };
        let mut known = at(true);
        known.learn(at(false));
        assert_eq!(known, at(false));
    }

    #[test]
    fn what_the_kernel_told_in_the_end_stands() {
        let proc = Outputs {
            stdout: Some(Output::Socket { inode: 1 }),
            stderr: Some(Output::Closed),
            ..Outputs::default()
        };
        let end = Outputs { stderr: Some(Output::Null), at_end: true, ..Outputs::default() };
        let both = Outputs { stdout: proc.stdout.clone(), ..end.clone() };
        for (first, then) in [(&proc, &end), (&end, &proc)] {
            let mut known = first.clone();
            known.learn(then.clone());
            assert_eq!(known, both);
        }
        let mut start = Outputs { at_start: true, ..proc };
        start.learn(end.clone());
        assert_eq!(start, end);
    }

    #[test]
    fn what_is_seen_at_the_end_counts() {
        let at = |at_start, stderr| Outputs { stderr, at_start, ..Outputs::default() };
        let learnt = |first: &Outputs, then: &Outputs| {
            let mut known = first.clone();
            known.learn(then.clone());
            known
        };
        let (start, end) = (at(true, Some(Output::Null)), at(false, Some(Output::Closed)));
        assert_eq!([learnt(&start, &end), learnt(&end, &start)], [end.clone(), end.clone()]);
        assert_eq!(learnt(&start, &at(false, None)), start);
        assert_eq!(learnt(&end, &at(false, None)), end);
    }
}
