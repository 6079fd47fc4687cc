//! Who took a victim's place: the same program, started soon after by the same supervisor. Pure.
use std::collections::VecDeque;

use crate::{
    correlate::{
        incident::{Incident, Restart},
        supervisor::{forks_to_exec, is_postmaster, shell, supervised},
    },
    model::{
        Bytes,
        cgroup::{ROOT_CGROUP, unit},
        container::place,
        file::InodeId,
        process::{ProcessExit, ProcessStart},
        task::{Actor, Ancestor, Task},
    },
};

/// How long after its end a process may be started again. Ns.
pub const WINDOW: u64 = 600_000_000_000;
/// How long a start waits to be looked at: a forked child may run another program yet, and what /proc
/// says of a process stands behind its event. Ns.
const WAIT: u64 = 200_000_000;
/// Ends that wait for a restart.
const ENDED: usize = 512;
/// Starts that wait to be looked at.
const STARTS: usize = 1_024;

/// An end that may be followed by a restart.
struct Ended {
    id: String,
    time: u64,
    actor: Actor,
    exe: Option<InodeId>,
    /// As it was reported last; `None` before.
    reported: Option<Box<Incident>>,
    restart: Option<Restart>,
}

/// Remembers ends and finds who took the place of who ended.
pub struct RestartMatcher {
    /// Whether starts are seen at all.
    watched: bool,
    ended: VecDeque<Ended>,
    starts: VecDeque<(u64, ProcessStart)>,
    evicted: u64,
}

impl RestartMatcher {
    pub fn new(watched: bool) -> Self {
        Self { watched, ended: VecDeque::new(), starts: VecDeque::new(), evicted: 0 }
    }

    /// How many ends and starts were forgotten because there were too many.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Whether nothing waits to be looked at.
    pub fn settled(&self) -> bool {
        self.starts.is_empty()
    }

    /// Whether nobody waits to be started again, and no start to be looked at.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty() && self.ended.is_empty()
    }

    /// The victim of incident `id` ended.
    pub fn ended(&mut self, id: &str, death: &ProcessExit) {
        if !self.watched {
            return;
        }
        if self.ended.len() == ENDED {
            self.ended.pop_front();
            self.evicted += 1;
        }
        self.ended.push_back(Ended {
            id: id.to_owned(),
            time: death.exit.time,
            actor: death.actor.clone(),
            exe: death.exe,
            reported: None,
            restart: None,
        });
    }

    /// Takes note of an incident as it was reported: what is learnt later is reported of it as it was
    /// then.
    pub fn reported(&mut self, incident: &Incident) {
        let waits = |ended: &&mut Ended| ended.id == incident.id && ended.restart.is_none();
        if let Some(ended) = self.ended.iter_mut().rev().find(waits) {
            ended.reported = Some(Box::new(incident.clone()));
        }
    }

    /// The restart of an incident's victim, if it was seen before the incident is reported.
    pub fn of(&self, id: &str) -> Option<Restart> {
        self.ended.iter().rev().find(|ended| ended.id == id)?.restart.clone()
    }

    /// The incident as it was reported last.
    pub fn last_report(&mut self, id: &str) -> Option<Box<Incident>> {
        self.ended.iter_mut().rev().find(|ended| ended.id == id)?.reported.take()
    }

    /// A process runs a program, or was forked.
    pub fn start(&mut self, time: u64, start: ProcessStart) {
        let id = start.actor.task.id;
        // What it was forked as does not matter any more.
        self.starts.retain(|(_, earlier)| !earlier.forked || earlier.actor.task.id != id);
        if self.starts.len() == STARTS {
            self.starts.pop_front();
            self.evicted += 1;
        }
        self.starts.push_back((time, start));
    }

    /// Restarts that are certain at `now`, by incident. `cgroup` tells the path of a task's cgroup.
    pub fn due<'a>(
        &mut self,
        now: u64,
        cgroup: impl Fn(&Task) -> Option<&'a [u8]>,
    ) -> Vec<(String, Restart)> {
        let Self { ended, starts, .. } = self;
        let mut due = Vec::new();
        starts.retain(|(time, start)| {
            if time.saturating_add(WAIT) > now {
                return true;
            }
            if let Some(ended) = replaced(ended, *time, start, &cgroup) {
                let restart = restart(ended, *time, start);
                ended.restart = Some(restart.clone());
                due.push((ended.id.clone(), restart));
            }
            false
        });
        ended.retain(|ended| ended.time.saturating_add(WINDOW) > now);
        due
    }
}

/// Whom a start replaces: of those that had the same arguments, or else of all, who ended first.
fn replaced<'a, 'b>(
    ended: &'a mut VecDeque<Ended>,
    time: u64,
    start: &ProcessStart,
    cgroup: &impl Fn(&Task) -> Option<&'b [u8]>,
) -> Option<&'a mut Ended> {
    let pod = |actor: &Actor| cgroup(&actor.task).and_then(place);
    let same_pod = |ended: &Ended, start: &ProcessStart| {
        pod(&ended.actor).is_some_and(|was| Some(was) == pod(&start.actor))
    };
    // The manager of all services starts the same program for many of them, which instances of a template are.
    let other_unit = |ended: &Ended, start: &ProcessStart| {
        let unit = |actor: &Actor| cgroup(&actor.task).and_then(unit);
        let units = unit(&ended.actor).zip(unit(&start.actor));
        forks_to_exec(&start.actor) && units.is_some_and(|(was, is)| was != is)
    };
    let fits = |ended: &Ended| {
        ended.restart.is_none()
            && ended.time <= time
            && time - ended.time <= WINDOW
            && same_program(ended, start)
            && !(start.forked && forks_to_exec(&start.actor))
            && !is_another_worker(ended, start)
            && !other_unit(ended, start)
            && same_supervisor(ended, start, same_pod(ended, start))
    };
    let exact = ended.iter().position(|e| fits(e) && same_arguments(e, start) == Some(true));
    let index = exact.or_else(|| ended.iter().position(fits))?;
    ended.get_mut(index)
}

/// The same file; or, where it was replaced meanwhile, one of the same name with the same arguments.
fn same_program(ended: &Ended, start: &ProcessStart) -> bool {
    let (was, is) = (&ended.actor.task, &start.actor.task);
    let same_file = ended.exe.is_some() && ended.exe == start.exe;
    let arguments = same_arguments(ended, start);
    let named = !start.forked && was.comm == is.comm && arguments == Some(true);
    // An interpreter runs many programs: the first argument that is no option tells which.
    let other = match (script(&ended.actor), script(&start.actor)) {
        (Some(was), Some(is)) => was != is,
        _ => false,
    };
    named || same_file && !other
}

/// The first argument, if it is no option; of a shell also the commands behind its `-c`.
fn script(actor: &Actor) -> Option<&Bytes> {
    let arguments = actor.cmdline.as_ref()?;
    let first = arguments.get(1)?;
    let commands = first.starts_with(b"-") && first.ends_with(b"c") && shell(&actor.task.comm);
    if commands { arguments.get(2) } else { Some(first).filter(|first| !first.starts_with(b"-")) }
}

fn same_arguments(ended: &Ended, start: &ProcessStart) -> Option<bool> {
    Some(ended.actor.cmdline.as_ref()? == start.actor.cmdline.as_ref()?)
}

/// Whether a fork is of another kind than who ended, or for another client.
fn is_another_worker(ended: &Ended, start: &ProcessStart) -> bool {
    let of_postmaster = start.actor.ancestors.first().is_some_and(|by| is_postmaster(&by.comm));
    start.forked && of_postmaster && same_arguments(ended, start) != Some(true)
}

/// The same parent with the same arguments; or the same unit or pod, whose arguments may have been changed
/// by then, but only if this is its main process: a script there runs a program with other arguments, too.
fn same_supervisor(ended: &Ended, start: &ProcessStart, same_pod: bool) -> bool {
    let (was, is) = (&ended.actor, &start.actor);
    let arguments = same_arguments(ended, start);
    let parent = match (was.ancestors.first(), is.ancestors.first()) {
        (Some(was), Some(is)) => was.id.same(is.id),
        _ => false,
    };
    let cgroup = was.task.cgroup.filter(|id| *id != ROOT_CGROUP);
    let unit = same_pod || cgroup.is_some() && cgroup == is.task.cgroup;
    // Init starts everybody: what has other arguments must be of the same unit.
    let main = supervised(was) && supervised(is);
    parent && arguments != Some(false) || unit && (arguments == Some(true) || main)
}

fn restart(ended: &Ended, time: u64, start: &ProcessStart) -> Restart {
    let by: Option<Ancestor> = start.actor.ancestors.first().cloned();
    Restart {
        id: start.actor.task.id,
        time,
        by,
        forked: start.forked,
        same_arguments: same_arguments(ended, start),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{file::Dev, task::ProcessId},
        testing::exit,
    };

    const S: u64 = 1_000_000_000;
    const EXE: InodeId = InodeId { dev: Dev { major: 8, minor: 1 }, ino: 9, generation: 1 };

    fn actor(tgid: u32, parent: u32, args: &[&str]) -> Actor {
        let mut actor = exit(0, 0).actor;
        actor.task.id = ProcessId { tgid, start: u64::from(tgid) };
        let id = ProcessId { tgid: parent, start: 7 };
        actor.ancestors = vec![Ancestor { id, comm: b"sv".to_vec() }];
        actor.cmdline = Some(args.iter().map(|arg| arg.as_bytes().to_vec()).collect());
        actor
    }

    fn ended(restarts: &mut RestartMatcher, id: &str, actor: Actor, time: u64) {
        let death = ProcessExit { actor, exe: Some(EXE), ..exit(time, 7) };
        restarts.ended(id, &death);
    }

    fn start(actor: Actor, forked: bool) -> ProcessStart {
        ProcessStart { actor, exe: Some(EXE), forked }
    }

    #[test]
    fn the_same_parent_starts_the_same_program() {
        let mut restarts = RestartMatcher::new(true);
        ended(&mut restarts, "a", actor(10, 5, &["geo", "-x"]), S);
        restarts.start(2 * S, start(actor(11, 6, &["geo", "-x"]), false));
        assert_eq!(restarts.due(2 * S + WAIT, |_| None), []);
        restarts.start(3 * S, start(actor(12, 5, &["geo", "-x"]), false));
        let due = restarts.due(3 * S + WAIT, |_| None);
        assert_eq!((due[0].0.as_str(), due[0].1.id.tgid, due[0].1.time), ("a", 12, 3 * S));
        // Once is enough.
        restarts.start(4 * S, start(actor(13, 5, &["geo", "-x"]), false));
        assert_eq!(restarts.due(4 * S + WAIT, |_| None), []);
    }

    #[test]
    fn another_script_of_the_same_interpreter_is_none() {
        let mut restarts = RestartMatcher::new(true);
        ended(&mut restarts, "a", actor(10, 5, &["python3", "a.py"]), S);
        restarts.start(2 * S, start(actor(11, 5, &["python3", "b.py"]), false));
        assert_eq!(restarts.due(2 * S + WAIT, |_| None), []);
        restarts.start(3 * S, start(actor(12, 5, &["python3", "a.py"]), false));
        assert_eq!(restarts.due(3 * S + WAIT, |_| None)[0].1.same_arguments, Some(true));
    }

    /// ExecStartPre=, several ExecStart=, ExecStopPost=: a unit may run several commands by the same shell.
    #[test]
    fn the_next_command_of_a_unit_is_none() {
        let of = |comm: &str, first: &[&str], second: &[&str]| {
            let actor = |tgid, args: &[&str]| {
                let mut actor = actor(tgid, 1, args);
                (actor.task.cgroup, actor.task.comm) = (Some(77), comm.as_bytes().to_vec());
                actor
            };
            let mut restarts = RestartMatcher::new(true);
            ended(&mut restarts, "a", actor(10, first), S);
            restarts.start(2 * S, start(actor(11, second), false));
            restarts.due(2 * S + WAIT, |_| None).len()
        };
        assert_eq!(of("sh", &["/bin/sh", "-c", "exit 9"], &["/bin/sh", "-c", "clean-up"]), 0);
        assert_eq!(of("bash", &["bash", "-ec", "exit 9"], &["bash", "-ec", "exit 9"]), 1);
        assert_eq!(of("geo", &["geo", "-c", "old.conf"], &["geo", "-c", "new.conf"]), 1);
    }

    #[test]
    fn what_a_service_manager_forks_runs_another_program_yet() {
        let forked = |parent: u32, comm: &str| {
            let child = |tgid| {
                let mut child = actor(tgid, parent, &[]);
                child.cmdline = None;
                child.ancestors[0].comm = comm.as_bytes().to_vec();
                child
            };
            let mut restarts = RestartMatcher::new(true);
            // A child that gave up before it ran the unit's program: it is still systemd.
            ended(&mut restarts, "a", child(10), S);
            restarts.start(2 * S, start(child(11), true));
            restarts.due(2 * S + WAIT, |_| None).len()
        };
        assert_eq!([forked(1, "systemd"), forked(330, "systemd"), forked(5, "nginx")], [0, 0, 1]);
    }

    /// `geo@a` and `geo@b`, or two units that run the same command.
    #[test]
    fn another_unit_of_the_same_manager_takes_nobodys_place() {
        let paths: [&[u8]; 3] = [
            b"/system.slice/system-geo.slice/geo@a.service",
            b"/system.slice/system-geo.slice/geo@a.service/payload",
            b"/system.slice/system-geo.slice/geo@b.service",
        ];
        let of = |parent: u32, second: u64| {
            let actor = |tgid, cgroup| {
                let mut actor = actor(tgid, parent, &["geo"]);
                actor.task.cgroup = Some(cgroup);
                actor
            };
            let mut restarts = RestartMatcher::new(true);
            ended(&mut restarts, "a", actor(10, 100), S);
            restarts.start(2 * S, start(actor(11, second), false));
            let path = |task: &Task| paths.get(task.cgroup? as usize - 100).copied();
            restarts.due(2 * S + WAIT, path).len()
        };
        assert_eq!([of(1, 100), of(1, 101), of(1, 102)], [1, 1, 0]);
        assert_eq!(of(1, 199), 1, "it is not known");
        assert_eq!(of(5, 102), 1, "a supervisor that moves what it starts");
    }

    /// Whose backend was killed starts the process that recovers, next.
    #[test]
    fn a_worker_of_postgres_takes_the_place_of_one_of_its_kind() {
        let of = |parent: &str, first: &str, second: &str| {
            let worker = |tgid, title: &str| {
                let mut worker = actor(tgid, 5, &[title]);
                worker.ancestors[0].comm = parent.as_bytes().to_vec();
                worker.task.cgroup = Some(77);
                worker
            };
            let mut restarts = RestartMatcher::new(true);
            ended(&mut restarts, "a", worker(10, first), S);
            restarts.start(2 * S, start(worker(11, second), true));
            restarts.due(2 * S + WAIT, |_| None).len()
        };
        let (backend, startup) = ("postgres: bob db [local] SELECT", "postgres: startup ");
        assert_eq!(of("postgres", backend, startup), 0);
        assert_eq!(of("postgres", "postgres: checkpointer ", "postgres: checkpointer "), 1);
        assert_eq!(of("nginx", "nginx: worker process", "nginx: master process"), 1);
    }

    #[test]
    fn other_arguments_are_a_restart_of_a_unit_only() {
        let of = |parent: u32, cgroup: u64| {
            let mut restarts = RestartMatcher::new(true);
            let actor = |tgid, args: &[&str]| {
                let mut actor = actor(tgid, parent, args);
                actor.task.cgroup = Some(cgroup);
                actor
            };
            ended(&mut restarts, "a", actor(10, &["geo", "-a"]), S);
            restarts.start(2 * S, start(actor(11, &["geo", "-b"]), false));
            restarts.due(2 * S + WAIT, |_| None).len()
        };
        assert_eq!(of(1, 77), 1, "a unit's main process");
        assert_eq!(of(5, 77), 0, "what a script runs");
        assert_eq!(of(1, ROOT_CGROUP), 0, "of another unit, perhaps");
        // A helper, and what somebody else supervises in the same cgroup.
        let mut restarts = RestartMatcher::new(true);
        let in_unit = |mut actor: Actor| {
            actor.task.cgroup = Some(77);
            actor
        };
        ended(&mut restarts, "a", in_unit(actor(10, 5, &["podman", "import"])), S);
        restarts.start(2 * S, start(in_unit(actor(11, 1, &["podman", "exit"])), false));
        assert_eq!(restarts.due(2 * S + WAIT, |_| None), []);
    }

    #[test]
    fn a_fork_counts_unless_exec_follows() {
        let mut restarts = RestartMatcher::new(true);
        ended(&mut restarts, "a", actor(10, 5, &["worker"]), S);
        let mut child = actor(11, 5, &[]);
        child.cmdline = None;
        restarts.start(2 * S, start(child.clone(), true));
        assert_eq!(restarts.due(2 * S, |_| None), []);
        let mut other = start(child.clone(), false);
        other.exe = None;
        restarts.start(2 * S + 1, other);
        assert_eq!(restarts.due(4 * S + WAIT, |_| None), []);
        restarts.start(5 * S, start(child, true));
        assert_eq!(restarts.due(6 * S + WAIT, |_| None).len(), 1);
    }

    #[test]
    fn the_next_container_of_a_pod_has_another_parent() {
        let pod = |run: u32| format!("/kubepods/pod7/{:064x}", run).into_bytes();
        let (first, second) = (pod(1), pod(2));
        let cgroup = |task: &Task| Some(if task.id.tgid == 10 { &first[..] } else { &second[..] });
        let mut restarts = RestartMatcher::new(true);
        ended(&mut restarts, "a", actor(10, 5, &["geo"]), S);
        restarts.start(2 * S, start(actor(11, 6, &["geo"]), false));
        assert_eq!(restarts.due(2 * S + WAIT, cgroup).len(), 1);
    }

    #[test]
    fn later_than_the_window_is_no_restart() {
        let mut restarts = RestartMatcher::new(true);
        ended(&mut restarts, "a", actor(10, 5, &["geo"]), S);
        let late = S + WINDOW + 1;
        restarts.start(late, start(actor(11, 5, &["geo"]), false));
        assert_eq!(restarts.due(late + WAIT, |_| None), []);
    }
}
