//! Where standard output and standard error of a process led.
use serde::{Deserialize, Serialize};

use crate::{
    model::{
        Bytes,
        file::{Dev, Inode, Path},
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
                *self = other;
            }
            return;
        }
        // What /proc says may come after what was so in the end.
        let (last, before) = match self.at_end && !other.at_end {
            true => (std::mem::take(self), other),
            false => (other, std::mem::take(self)),
        };
        *self = Self {
            stdout: last.stdout.or(before.stdout),
            stderr: last.stderr.or(before.stderr),
            at_start: last.at_start,
            at_end: last.at_end || before.at_end,
        };
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

#[cfg(test)]
mod tests {
    use super::*;

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
