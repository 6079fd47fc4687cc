//! Where the output of a process led that has ended, by what the kernel told of its descriptors then.
use std::num::NonZeroUsize;

use lru::LruCache;

use super::{Behind, Seen};
use crate::{
    host::unix_diag::Claimed,
    model::{
        output::{LastOutput, LastOutputs, OpenFile, Output},
        task::ProcessId,
    },
};

/// Processes whose end is still to be told: it follows at once.
const ENDING: NonZeroUsize = NonZeroUsize::new(256).expect("not 0");

/// What was told of descriptors, until the end of their process is.
pub struct Ending(LruCache<ProcessId, LastOutputs>);

impl Default for Ending {
    fn default() -> Self {
        Self(LruCache::new(ENDING))
    }
}

impl Ending {
    pub fn add(&mut self, output: LastOutput) {
        self.0.get_or_insert_mut(output.id, LastOutputs::default).add(output);
    }

    /// Standard output and standard error of a process that ended so; in the mount namespace `host` paths are the host's.
    pub fn take(&mut self, id: ProcessId, code: u32, host: Option<u32>) -> Option<Seen> {
        let last = self.0.pop(&id)?;
        let outputs = last.outputs(code);
        let one = |output: &Option<Output>, file: Option<Option<OpenFile>>| {
            behind(output.as_ref()?, &file??, host)
        };
        let behind = [one(&outputs.stdout, last.stdout), one(&outputs.stderr, last.stderr)];
        outputs.is_known().then_some(Seen { outputs, behind })
    }
}

/// What it has to be held against the host for.
fn behind(output: &Output, file: &OpenFile, host: Option<u32>) -> Option<Behind> {
    match output {
        Output::File { .. } => {
            file.mount_of_path().filter(|_| host == Some(file.mnt_ns)).map(Behind::Mount)
        }
        Output::Socket { .. } => {
            let (name, inode, dev) = file.bound.as_ref()?;
            Claimed::by(name, *inode, *dev).map(Behind::Journal)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::file::Dev,
        testing::{SINCE, open_file},
    };

    const ID: ProcessId = ProcessId { tgid: 7, start: SINCE };
    const KILLED: u32 = 7;

    fn behind(file: OpenFile) -> Option<Behind> {
        let mut ending = Ending::default();
        ending.add(LastOutput { id: ID, stdout: false, stderr: true, file: Some(file) });
        let [_, behind] = ending.take(ID, KILLED, Some(1)).expect("it is known").behind;
        assert!(ending.take(ID, KILLED, Some(1)).is_none(), "it is told once");
        behind
    }

    #[test]
    fn whose_paths_they_are() {
        assert!(matches!(behind(open_file(libc::S_IFREG, &["log"])), Some(Behind::Mount(9))));
        assert!(behind(OpenFile { mnt_ns: 2, ..open_file(libc::S_IFREG, &["log"]) }).is_none());
    }

    #[test]
    fn a_journal_by_its_name() {
        let bound = |name: &[u8]| {
            let bound = Some((name.to_vec(), 5, Dev { major: 0, minor: 25 }));
            behind(OpenFile { bound, ..open_file(libc::S_IFSOCK, &["log"]) })
        };
        assert!(matches!(bound(b"/run/systemd/journal/stdout"), Some(Behind::Journal(_))));
        assert!(bound(b"/run/x/journal/stdout").is_none());
        assert!(bound(b"\xff").is_none());
    }
}
