//! So many threads may hang on what one user has, and so many on what all have: nobody's processes end the look-ups of
//! others.
use crate::{
    enrich::target::Target,
    model::{
        fact::Unasked,
        task::{ProcessId, Task},
    },
};

/// Threads that ask, at most.
pub(super) const THREADS: usize = 8;
/// Of these, so many may hang on files of programs.
pub(super) const CODE: usize = 3;
/// Of these, so many may hang on files of one user's programs, and as many on all else of that user.
pub(super) const OF_USER: usize = 2;
/// Of these, so many may hang on root's, who runs most of a host, and what is in containers.
pub(super) const OF_ROOT: usize = 4;
/// Of these, so many may hang on users other than root: who is one may have many uids.
pub(super) const OF_OTHERS: usize = 5;
/// Of these, so many may hang on users: the last one asks about what the host itself has.
pub(super) const OF_USERS: usize = THREADS - 1;

/// What is asked about, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    pub target: Target,
    /// `None` where it is the host's, or not known.
    pub uid: Option<u32>,
}

impl From<Target> for Subject {
    fn from(target: Target) -> Self {
        Self { target, uid: None }
    }
}

/// The process that waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    pub id: ProcessId,
    /// Whose it is, if known.
    pub uid: Option<u32>,
}

/// Of the host's own files, or where nobody's process can make a thread hang.
impl From<ProcessId> for About {
    fn from(id: ProcessId) -> Self {
        Self { id, uid: None }
    }
}

impl From<&Task> for About {
    fn from(task: &Task) -> Self {
        Self { id: task.id, uid: Some(task.uid) }
    }
}

/// A part of the threads.
struct Share {
    /// So many may hang.
    most: usize,
    /// Whether the second of two takes of the share that the first would take of.
    joins: fn(&Subject, &Subject) -> bool,
    unasked: Unasked,
}

const SHARES: [Share; 6] = [
    Share {
        most: OF_USER,
        joins: |a, b| {
            let both = a.uid == b.uid && a.target.is_code() == b.target.is_code();
            both && a.uid.is_some_and(|uid| uid != 0)
        },
        unasked: Unasked::User,
    },
    Share {
        most: OF_ROOT,
        joins: |a, b| [a, b].iter().all(|subject| subject.uid == Some(0)),
        unasked: Unasked::User,
    },
    Share {
        most: CODE,
        joins: |a, b| a.target.is_code() && b.target.is_code(),
        unasked: Unasked::Others,
    },
    Share {
        most: OF_OTHERS,
        joins: |a, b| [a, b].iter().all(|subject| subject.uid.is_some_and(|uid| uid != 0)),
        unasked: Unasked::Others,
    },
    Share {
        most: OF_USERS,
        joins: |a, b| a.uid.is_some() && b.uid.is_some(),
        unasked: Unasked::Others,
    },
    Share { most: THREADS, joins: |_, _| true, unasked: Unasked::Others },
];

/// Why nobody is asked about `subject` now, if as many of one of its shares are `taken` as there may be.
pub(super) fn taken<'a>(
    subject: &Subject,
    taken: impl Iterator<Item = &'a Subject> + Clone,
) -> Option<Unasked> {
    let full = |share: &&Share| {
        (share.joins)(subject, subject)
            && taken.clone().filter(|other| (share.joins)(subject, other)).count() >= share.most
    };
    SHARES.iter().find(full).map(|share| share.unasked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(uid: Option<u32>, code: bool) -> Subject {
        let id = ProcessId { tgid: 1, start: 0 };
        Subject { target: if code { Target::Code(id) } else { Target::Process(id) }, uid }
    }

    #[test]
    fn nobody_takes_the_shares_of_others() {
        use Unasked::{Others, User};
        let hanging = |of_each: &[(Option<u32>, bool, usize)]| -> Vec<Subject> {
            let each = |&(uid, code, n)| std::iter::repeat_n(of(uid, code), n);
            of_each.iter().flat_map(each).collect()
        };
        let (host, root, alice, bob) = (None, Some(0), Some(1), Some(2));
        for (hang, asked, refused) in [
            (hanging(&[(alice, false, 1)]), of(alice, false), None),
            (hanging(&[(alice, false, 2)]), of(alice, false), Some(User)),
            (hanging(&[(alice, false, 2)]), of(alice, true), None),
            (hanging(&[(alice, false, 2), (alice, true, 2)]), of(bob, false), None),
            (hanging(&[(alice, false, 2), (alice, true, 2)]), of(bob, true), None),
            (hanging(&[(alice, true, 2), (bob, true, 1)]), of(bob, true), Some(Others)),
            (
                hanging(&[(alice, false, 2), (bob, false, 2), (bob, true, 1)]),
                of(Some(3), false),
                Some(Others),
            ),
            (hanging(&[(alice, false, 2), (bob, false, 2), (bob, true, 1)]), of(root, false), None),
            (
                hanging(&[(alice, false, 2), (bob, false, 3), (root, false, 2)]),
                of(root, true),
                Some(Others),
            ),
            (
                hanging(&[(alice, false, 2), (bob, false, 3), (root, false, 2)]),
                of(host, false),
                None,
            ),
            (hanging(&[(root, false, 3)]), of(root, false), None),
            (hanging(&[(root, false, 3), (root, true, 1)]), of(root, false), Some(User)),
            (hanging(&[(root, false, 4)]), of(alice, false), None),
            (hanging(&[(host, false, 8)]), of(host, false), Some(Others)),
        ] {
            assert_eq!(taken(&asked, hang.iter()), refused, "{asked:?} beside {hang:?}");
        }
    }
}
