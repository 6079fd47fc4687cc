//! Asks what may hang, and waits only so long. A process can put its arguments on a FUSE mapping
//! whose server never answers, and a mount can be dead: whoever asks sleeps in the kernel.
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
        mpsc::{self, SyncSender},
    },
    thread,
    time::Duration,
};

use crate::model::{file::Dev, task::ProcessId};

/// Threads that hang before nobody is asked any more.
const HANGING: usize = 8;
/// Subjects remembered to hang whoever asks about them.
const KNOWN: usize = 1024;

type Question = Box<dyn FnOnce() + Send>;

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    Process(ProcessId),
    FileSystem(Dev),
}

/// A thread that asks, replaced when it hangs.
#[derive(Default)]
pub struct DeadlineExecutor {
    worker: Option<SyncSender<Question>>,
    /// Threads that are hanging now.
    hanging: Arc<AtomicUsize>,
    /// What made one hang: not asked about again.
    known: HashSet<Target>,
}

/// Of one question: who of the two is done with it first.
const OPEN: u8 = 0;
const ANSWERED: u8 = 1;
const GIVEN_UP: u8 = 2;

impl DeadlineExecutor {
    /// What `ask` gives within `deadline`.
    pub fn within<T: Send + 'static>(
        &mut self,
        about: Target,
        deadline: Duration,
        ask: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        if self.known.contains(&about) {
            return None;
        }
        let (answer, wait) = mpsc::sync_channel(1);
        let state = Arc::new(AtomicU8::new(OPEN));
        let (theirs, hanging) = (Arc::clone(&state), Arc::clone(&self.hanging));
        let question: Question = Box::new(move || {
            let _ = answer.send(ask());
            if theirs.swap(ANSWERED, Ordering::AcqRel) == GIVEN_UP {
                hanging.fetch_sub(1, Ordering::AcqRel);
            }
        });
        let worker = match self.worker.take() {
            Some(worker) => worker,
            None if self.hanging.load(Ordering::Acquire) >= HANGING => return None,
            None => spawn()?,
        };
        worker.send(question).ok()?;
        let answer = wait.recv_timeout(deadline).ok();
        if answer.is_some() {
            self.worker = Some(worker);
            return answer;
        }
        self.hanging.fetch_add(1, Ordering::AcqRel);
        if state.swap(GIVEN_UP, Ordering::AcqRel) == ANSWERED {
            self.hanging.fetch_sub(1, Ordering::AcqRel);
        }
        if self.known.len() == KNOWN {
            self.known.clear();
        }
        self.known.insert(about);
        None
    }
}

fn spawn() -> Option<SyncSender<Question>> {
    let (sender, questions) = mpsc::sync_channel::<Question>(1);
    let asking = move || questions.into_iter().for_each(|question| question());
    thread::Builder::new().name("whybus-ask".to_owned()).spawn(asking).ok()?;
    Some(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn process(tgid: u32) -> Target {
        Target::Process(ProcessId { tgid, start: 0 })
    }

    #[test]
    fn who_hangs_is_left_alone_and_others_are_asked() {
        let mut patience = DeadlineExecutor::default();
        assert_eq!(patience.within(process(1), LONG, || 1), Some(1));
        let (hold, hanging) = mpsc::channel::<()>();
        let hang = move || hanging.recv().is_ok();
        assert_eq!(patience.within(process(2), Duration::from_millis(10), hang), None);
        assert_eq!(patience.within(process(2), LONG, || 2), None);
        assert_eq!(patience.within(process(3), LONG, || 3), Some(3));
        assert_eq!(patience.hanging.load(Ordering::Acquire), 1);
        drop(hold);
        while patience.hanging.load(Ordering::Acquire) != 0 {
            thread::yield_now();
        }
    }

    #[test]
    fn too_many_that_hang_are_enough() {
        let mut patience = DeadlineExecutor::default();
        patience.hanging.store(HANGING, Ordering::Release);
        assert_eq!(patience.within(process(1), LONG, || 1), None);
    }
}
