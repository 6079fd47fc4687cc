//! Which plain exits are worth telling. Shells, and what they run, fail all day; services do not.
//! Pure.
use crate::{
    correlate::{
        bounded::BoundedMap,
        supervisor::{answers, lost_a_client, passes_on, shell, supervised},
    },
    model::{Bytes, process::ProcessExit, task::ProcessId},
};

/// A command of a shell that failed sooner only answered a question, as `grep -q` does. Ns.
const ANSWER: u64 = 250_000_000;
/// The status of a child whose execve(2) failed.
const NOT_RUN: u32 = 127;
/// As many failures of the same program with the same arguments under the same parent are a loop.
const LOOP: usize = 3;
/// Of a loop that is reported already, one exit in this time is reported. Ns.
const PACE: u64 = 1_000_000_000;
/// Failures further apart than this are no loop. Ns.
const FORGET: u64 = 600_000_000_000;
/// Once a loop has been reported so often, one a [`PACE`] is enough; the rest is counted.
const TOLD: usize = 10;
/// So many connections to one sshd(8) that come to nothing within [`HOUR`] are told, once: one is nothing, and whoever scans the
/// internet comes all day, but it is the same where nobody can log in any more.
const LOGINS: u64 = 20;
/// Ns.
const HOUR: u64 = 3_600_000_000_000;
/// Loops watched at a time.
const LOOPS: usize = 256;

/// What fails, by parent, name and arguments.
pub struct CrashLoops {
    loops: BoundedMap<(ProcessId, u64), Loop>,
}

#[derive(Default)]
struct Loop {
    comm: Bytes,
    cmdline: Option<Vec<Bytes>>,
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
        if passes_on(&task.comm) {
            return Vec::new();
        }
        let time = death.exit.time;
        let main = supervised(&death.actor);
        let Some(parent) = death.actor.ancestors.first() else {
            return if main { vec![(death, 1)] } else { Vec::new() };
        };
        let soon = shell(&parent.comm) && time.saturating_sub(task.id.start) < ANSWER;
        // As the children of system(3) and posix_spawn(3) say that there is no such program: a try.
        let status = death.exit.code >> 8 & 0xff;
        let not_run = status == NOT_RUN && task.comm == parent.comm;
        let lost = lost_a_client(&task.comm, parent, status);
        if !main && (soon || not_run || answers(&task.comm)) {
            return Vec::new();
        }
        if lost && !main {
            let parent = parent.id;
            return self.lost_client(parent, death);
        }
        let failing = self.loops.entry((parent.id, hash(&death)));
        let same = failing.comm == task.comm && failing.cmdline == death.actor.cmdline;
        if !same || time.saturating_sub(failing.last) > FORGET {
            let (comm, cmdline) = (task.comm.clone(), death.actor.cmdline.clone());
            *failing = Loop { comm, cmdline, ..Loop::default() };
        }
        if failing.told == 0 && !main && failing.kept.len() + 1 < LOOP {
            failing.last = time;
            failing.kept.push(death);
            return Vec::new();
        }
        failing.counted += 1;
        if failing.told >= TOLD && time.saturating_sub(failing.last) < PACE {
            return Vec::new();
        }
        failing.told += 1;
        failing.last = time;
        let count = std::mem::take(&mut failing.counted);
        let kept = std::mem::take(&mut failing.kept);
        kept.into_iter().map(|death| (death, 1)).chain([(death, count)]).collect()
    }

    /// One of `parent`'s connections came to nothing; whose it was to be, its arguments say, and that differs.
    fn lost_client(&mut self, parent: ProcessId, death: ProcessExit) -> Vec<(ProcessExit, u64)> {
        let (task, time) = (&death.actor.task, death.exit.time);
        let failing = self.loops.entry((parent, 0));
        if failing.comm != task.comm || time.saturating_sub(failing.last) > HOUR {
            // What was not told of an hour that was told of is told with the next one.
            let counted = if failing.told == 0 { 0 } else { failing.counted };
            *failing = Loop { comm: task.comm.clone(), last: time, counted, ..Loop::default() };
        }
        failing.counted += 1;
        if failing.told != 0 || failing.counted < LOGINS {
            return Vec::new();
        }
        failing.told = 1;
        vec![(death, std::mem::take(&mut failing.counted))]
    }

    /// How many loops were forgotten because there were too many.
    pub fn evicted(&self) -> u64 {
        self.loops.evicted()
    }
}

/// FNV-1a of name and arguments: keys are small, and compared in full afterwards.
fn hash(death: &ProcessExit) -> u64 {
    let arguments = death.actor.cmdline.iter().flatten();
    let words = std::iter::once(&death.actor.task.comm).chain(arguments);
    words.flat_map(|word| word.iter().chain(&[0])).fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
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

    /// Of a parent that is no shell.
    fn of(mut death: ProcessExit, parent: &str, arguments: &[&str]) -> ProcessExit {
        death.actor.ancestors[0].comm = parent.as_bytes().to_vec();
        death.actor.cmdline = Some(arguments.iter().map(|a| a.as_bytes().to_vec()).collect());
        death
    }

    #[test]
    fn commands_of_a_shell_are_not_told_and_services_are() {
        let mut failing = CrashLoops::default();
        for i in 1..100 {
            assert_eq!(told(&mut failing, child(i * MS, 50)), Vec::<u64>::new(), "grep -q");
        }
        // On a loaded host it takes its time.
        for i in 1..100 {
            let mut grep = child(i * 1000 * MS, 50);
            grep.actor.task.comm = b"grep".to_vec();
            assert_eq!(told(&mut failing, grep), Vec::<u64>::new());
        }
        // As long as one likes: a single failure is the shell's business.
        assert_eq!(told(&mut failing, child(5000 * MS, 51)), Vec::<u64>::new());
        assert_eq!(told(&mut failing, child(5 * MS, 1)), [1]);
        assert_eq!(told(&mut failing, of(child(5 * MS, 52), "supervisord", &["geo"])), [1]);
        let mut main = child(5 * MS, 53);
        main.actor.task.ns_tgid = Some(1);
        assert_eq!(told(&mut failing, main), [1], "the main process of a container");
    }

    #[test]
    fn the_third_failure_tells_the_first_two() {
        let mut failing = CrashLoops::default();
        let worker = |lived| of(child(lived * MS, 50), "master", &["worker"]);
        assert_eq!(told(&mut failing, worker(1)), Vec::<u64>::new());
        assert_eq!(told(&mut failing, worker(2)), Vec::<u64>::new());
        assert_eq!(told(&mut failing, worker(3)), [1, 1, 1]);
        assert_eq!(told(&mut failing, worker(4)), [1]);
        // A shell that runs a program again and again supervises it, too.
        let again = |lived| child(lived * MS, 60);
        let counts = [300, 600, 900].map(|lived| told(&mut failing, again(lived)).len());
        assert_eq!(counts, [0, 0, 3]);
    }

    /// A script that is run by its first line has a name of its own.
    #[test]
    fn a_script_that_waits_is_not_told() {
        let mut failing = CrashLoops::default();
        for i in 1..10 {
            let mut ready = of(child(i * 4000 * MS, 50), "wait-for-db", &["pg_isready", "-q"]);
            ready.actor.task.comm = b"pg_isready".to_vec();
            assert_eq!(told(&mut failing, ready), Vec::<u64>::new());
        }
    }

    /// useradd(8) tries nscd(8) and sss_cache(8) after each of its steps.
    #[test]
    fn a_program_that_is_not_there_is_not_told() {
        let mut failing = CrashLoops::default();
        for i in 1..10 {
            let mut try_it = of(child(i * 20 * MS, 50), "useradd", &["useradd", "alice"]);
            try_it.actor.task.comm = b"useradd".to_vec();
            try_it.exit.code = 127 << 8;
            assert_eq!(told(&mut failing, try_it), Vec::<u64>::new());
        }
    }

    /// Whoever scans the internet connects and goes away, thousands of times a day; where nobody can log in it is the same.
    #[test]
    fn many_who_do_not_log_in_are_told_once_an_hour() {
        let told = |comm: &str, parent: &str, status: u32, sessions: u64, apart: u64| {
            let mut failing = CrashLoops::default();
            let session = |i: u64| {
                let arguments = [["sshd: root [priv]", "sshd: alice [priv]"][i as usize % 2]];
                let mut session = of(child(i * apart * MS, 50), parent, &arguments);
                session.actor.task.comm = comm.as_bytes().to_vec();
                session.exit.code = status << 8;
                session
            };
            (1..=sessions).flat_map(|i| told(&mut failing, session(i))).collect::<Vec<u64>>()
        };
        for (comm, parent) in [("sshd", "sshd"), ("sshd-session", "sshd")] {
            assert_eq!(told(comm, parent, 255, LOGINS - 1, 700), Vec::<u64>::new());
            // One a minute: 61 in the first hour and what is left of them with the next.
            assert_eq!(told(comm, parent, 255, 100, 60_000), [20, 42]);
            // As whoever looks every five minutes whether it is there.
            assert_eq!(told(comm, parent, 255, 1_000, 300_000), Vec::<u64>::new());
        }
        assert_eq!(told("sshd", "sshd", 1, 9, 700).len(), 9);
        assert_eq!(told("sshd", "bash", 255, 9, 700).len(), 9);
    }

    #[test]
    fn other_arguments_are_no_loop() {
        let mut failing = CrashLoops::default();
        for file in ["a", "b", "c", "d", "e"] {
            let check = of(child(MS, 50), "make", &["cc", file]);
            assert_eq!(told(&mut failing, check), Vec::<u64>::new(), "{file}");
        }
    }

    #[test]
    fn a_shim_that_passes_a_status_on_does_not_fail() {
        let mut conmon = child(5000 * MS, 1);
        conmon.actor.task.comm = b"conmon".to_vec();
        assert_eq!(told(&mut CrashLoops::default(), conmon), Vec::<u64>::new());
    }

    #[test]
    fn a_fast_loop_is_counted() {
        let worker = |lived| of(child(lived, 50), "master", &["worker"]);
        let mut failing = CrashLoops::default();
        let counts: Vec<u64> =
            (0..1000).flat_map(|i| told(&mut failing, worker(i * 10 * MS % (999 * MS)))).collect();
        assert!(counts.len() <= TOLD + LOOP, "{counts:?}");
        let mut failing = CrashLoops::default();
        let exits = (1..=100_u64).map(|i| worker(i * 100 * MS));
        let counts: Vec<u64> = exits.flat_map(|exit| told(&mut failing, exit)).collect();
        assert!(counts.len() < 30, "{counts:?}");
        assert!(counts.iter().sum::<u64>() > 90, "{counts:?}");
    }
}
