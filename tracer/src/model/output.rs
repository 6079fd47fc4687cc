//! Where standard output and standard error of a process led.
use serde::{Deserialize, Serialize};

use crate::{
    model::{Bytes, task::Ancestor},
    text::base64,
};

/// Both, as /proc said while the process had them; `None` of what is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<Output>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<Output>,
    /// It was looked at as it began to run its program, not as it faulted or ended.
    #[serde(default)]
    pub at_start: bool,
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
        let Self { stdout, stderr, .. } = other;
        self.stdout = stdout.or(self.stdout.take());
        self.stderr = stderr.or(self.stderr.take());
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
