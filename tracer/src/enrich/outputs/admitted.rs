//! How many victims are looked at.
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Victims a second that are looked at, and those of one user: who makes thousands of them makes them all alike.
const VICTIMS: u32 = 50;
const VICTIMS_OF_USER: u32 = 20;
const SECOND: Duration = Duration::from_secs(1);

/// How many were admitted since a second began, and of each user.
pub(super) struct Admitted {
    since: Instant,
    all: u32,
    users: BTreeMap<u32, u32>,
}

impl Admitted {
    pub(super) fn begin() -> Self {
        Self { since: Instant::now(), all: 0, users: BTreeMap::new() }
    }

    /// One more of a user; whether there is room for it.
    pub(super) fn one_more(&mut self, uid: u32) -> bool {
        if self.since.elapsed() > SECOND {
            *self = Self::begin();
        }
        if self.all == VICTIMS {
            return false;
        }
        let of_user = self.users.entry(uid).or_default();
        let room = *of_user < VICTIMS_OF_USER;
        *of_user += u32::from(room);
        self.all += u32::from(room);
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of one user not so many that nobody else has any.
    #[test]
    fn only_so_many_are_looked_at() {
        let mut admitted = Admitted::begin();
        let mut of = |uid| (0..1_000).filter(|_| admitted.one_more(uid)).count();
        assert_eq!([1000, 1001, 1002, 1003].map(&mut of), [20, 20, 10, 0]);
        for _ in 0..1_000 {
            admitted.one_more(7);
        }
        assert!(admitted.users.len() <= VICTIMS as usize + 1);
        admitted.since -= 2 * SECOND;
        assert!(admitted.one_more(1000));
    }
}
