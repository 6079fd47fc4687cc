//! Which plain exits are worth telling. Shells, and what they run, fail all day; services do not.
//! Pure.
use crate::{
    correlate::bounded::BoundedMap,
    model::{Bytes, process::ProcessExit, task::ProcessId},
};

/// A process that lived as long is no helper of a script. Ns.
const LASTING: u64 = 1_000_000_000;
/// As many failures of the same program under the same parent are a loop.
const LOOP: usize = 3;
/// Failures further apart than this are no loop. Ns.
const FORGET: u64 = 600_000_000_000;
/// Once a loop has been told so often, one a [`LASTING`] is enough; the rest is counted.
const TOLD: usize = 10;
/// Loops watched at a time.
const LOOPS: usize = 256;

/// What fails, by parent and name.
pub struct CrashLoops {
    loops: BoundedMap<(ProcessId, u64), Loop>,
}

#[derive(Default)]
struct Loop {
    comm: Bytes,
    /// Too few yet to be told.
    kept: Vec<ProcessExit>,
    told: usize,
    /// When one was told last, or failed.
    last: u64,
    /// Since then, not told.
    counted: u64,
}

impl Default for CrashLoops {
    fn default() -> Self {
        Self { loops: BoundedMap::new(LOOPS) }
    }
}

impl CrashLoops {
    /// Takes in an exit with a status other than 0; gives what is to be told, each with how many
    /// exits it stands for.
    pub fn failed(&mut self, death: ProcessExit) -> Vec<(ProcessExit, u64)> {
        let task = &death.actor.task;
        let lived = death.exit.time.saturating_sub(task.id.start);
        let parent = death.actor.ancestors.first().map(|parent| parent.id);
        let main = task.ns_tgid == Some(1) || parent.is_some_and(|parent| parent.tgid == 1);
        let lasting = main || task.id.start != 0 && lived >= LASTING;
        let Some(parent) = parent else {
            return if lasting { vec![(death, 1)] } else { Vec::new() };
        };
        let time = death.exit.time;
        let failing = self.loops.entry((parent, hash(&task.comm)));
        if failing.comm != task.comm || time.saturating_sub(failing.last) > FORGET {
            *failing = Loop { comm: task.comm.clone(), ..Loop::default() };
        }
        if failing.told == 0 && !lasting && failing.kept.len() + 1 < LOOP {
            failing.last = time;
            failing.kept.push(death);
            return Vec::new();
        }
        failing.counted += 1;
        if failing.told >= TOLD && time.saturating_sub(failing.last) < LASTING {
            return Vec::new();
        }
        failing.told += 1;
        failing.last = time;
        let count = std::mem::take(&mut failing.counted);
        let kept = std::mem::take(&mut failing.kept);
        kept.into_iter().map(|death| (death, 1)).chain([(death, count)]).collect()
    }

    /// How many loops were forgotten because there were too many.
    pub fn evicted(&self) -> u64 {
        self.loops.evicted()
    }
}

/// FNV-1a: keys are small, and compared in full afterwards.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{STARTED, child_of, exit};

    const MS: u64 = 1_000_000;

    fn child(lived: u64, parent: u32) -> ProcessExit {
        let mut death = exit(STARTED + lived, 1 << 8);
        death.actor.ancestors = child_of(parent);
        death
    }

    fn told(failing: &mut CrashLoops, death: ProcessExit) -> Vec<u64> {
        failing.failed(death).into_iter().map(|(_, count)| count).collect()
    }

    #[test]
    fn helpers_of_a_script_are_not_told_and_services_are() {
        let mut failing = CrashLoops::default();
        assert_eq!(told(&mut failing, child(5 * MS, 50)), Vec::<u64>::new());
        assert_eq!(told(&mut failing, child(1000 * MS, 51)), [1]);
        assert_eq!(told(&mut failing, child(5 * MS, 1)), [1]);
    }

    #[test]
    fn the_third_failure_tells_the_first_two() {
        let mut failing = CrashLoops::default();
        assert_eq!(told(&mut failing, child(MS, 50)), Vec::<u64>::new());
        assert_eq!(told(&mut failing, child(2 * MS, 50)), Vec::<u64>::new());
        assert_eq!(told(&mut failing, child(3 * MS, 50)), [1, 1, 1]);
        assert_eq!(told(&mut failing, child(4 * MS, 50)), [1]);
    }

    #[test]
    fn a_fast_loop_is_counted() {
        let mut failing = CrashLoops::default();
        let counts: Vec<u64> = (0..1000)
            .flat_map(|i| told(&mut failing, child(i * 10 * MS % (999 * MS), 50)))
            .collect();
        assert!(counts.len() <= TOLD + LOOP, "{counts:?}");
        let mut failing = CrashLoops::default();
        let exits = (1..=100_u64).map(|i| child(i * 100 * MS, 50));
        let counts: Vec<u64> = exits.flat_map(|exit| told(&mut failing, exit)).collect();
        assert!(counts.len() < 30, "{counts:?}");
        assert!(counts.iter().sum::<u64>() > 90, "{counts:?}");
    }
}
