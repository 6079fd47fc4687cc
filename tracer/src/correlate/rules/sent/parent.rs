//! Who was the parent of a process when it was sent a signal.
use crate::{
    correlate::supervisor::adopts,
    model::{signal::Signal, task::Ancestor},
};

/// Whether the sender may have been the parent of a process that has these `parents` at its end: whoever ends leaves its
/// children to a service manager that it comes from itself. Most families stay in one cgroup.
pub fn may_have_been_parent(signal: &Signal, parents: &[Ancestor]) -> bool {
    let (sender, target) = (&signal.sender, &signal.target);
    let of_same = |now: &Ancestor| sender.ancestors.iter().any(|above| above.id.same(now.id));
    parents.first().is_some_and(|now| adopts(now) && of_same(now))
        && sender.task.id.start <= target.id.start
        && sender.task.cgroup.is_some()
        && sender.task.cgroup == target.cgroup
}

#[cfg(test)]
mod tests {
    use crate::{
        model::{signal::Signal, task::Ancestor},
        testing::*,
    };

    /// Who kills its child and exits is gone when the child ends, and init is its parent then.
    #[test]
    fn a_parent_that_has_ended_since_may_have_been_one() {
        let mut killed = Signal { number: 9, ..signal(0) };
        killed.target.cgroup = Some(7);
        killed.target.id.start += 5;
        killed.sender.task.cgroup = Some(7);
        let init = Ancestor { id: actor(1).task.id, comm: b"init".to_vec() };
        killed.sender.ancestors = vec![init.clone()];
        let mut death = exit(9, 9);
        death.actor.ancestors = vec![init];
        let said =
            |signal: &Signal, death: &ProcessExit| evaluate(&of_death(death, Some(signal))).summary;
        let parent =
            "sent by kill(2), by another process (its parent, perhaps, if that has ended since)";
        assert_eq!(said(&killed, &death), parent);
        let plain = "sent by kill(2), by another process";
        let mut younger = killed.clone();
        younger.sender.task.id.start += 9;
        assert_eq!(said(&younger, &death), plain, "a child is younger than its parent");
        let mut elsewhere = killed.clone();
        elsewhere.sender.task.cgroup = Some(8);
        assert_eq!(said(&elsewhere, &death), plain, "another service");
        death.actor.ancestors = child_of(50);
        killed.sender.ancestors = child_of(50);
        assert_eq!(said(&killed, &death), plain, "a shell adopts nobody");
    }
}
