//! What user space looked up, by whom it is about; and what cgroups are called.
use crate::{
    correlate::bounded::BoundedMap,
    model::{
        Bytes,
        cgroup::{CgroupMade, CgroupPath, ROOT_CGROUP, service},
        container::subject,
        fact::{Fact, Process, Triggers, User, View},
        file::{DELETED, Dev, Mount},
        names::{ContainerNames, is_word},
        server::FuseServer,
        shrink::Shrink,
        stack::Stack,
        task::{Actor, ProcessId, Task},
    },
};

/// Processes of which it is remembered what /proc told.
const PROCESSES: usize = 2_048;
/// Cgroups whose names are remembered, also when they are gone.
const CGROUPS: usize = 8_192;
/// Containers and pods whose names are remembered, also when they are gone.
const CONTAINERS: usize = 4_096;
/// Bytes of the longest path that is remembered (PATH_MAX).
const CGROUP_PATH: usize = 4_096;
/// Victims whose mounts are remembered, where they are not ours.
const VIEWS: usize = 64;
/// FUSE file systems of which it is remembered who serves them.
const SERVERS: usize = 64;
/// Acts whose stacks are remembered.
const ACTS: usize = 128;
/// Users whose names are remembered, and services that timers start.
const USERS: usize = 512;
const SERVICES: usize = 512;
/// Timers of one of them.
const TIMERS: usize = 16;
/// An answer about a server holds for events this much earlier or later, ns: not each of them is asked about, and the
/// number of a device may soon be another's.
const SERVES: u64 = 500_000_000;

/// Facts that outlive the question they answer.
pub struct FactCache {
    processes: BoundedMap<ProcessId, Process>,
    /// Paths by id.
    cgroups: BoundedMap<u64, Bytes>,
    /// By the path of the cgroup that was made for them.
    containers: BoundedMap<Bytes, ContainerNames>,
    views: BoundedMap<ProcessId, View>,
    /// The latest answer of each.
    servers: BoundedMap<Dev, FuseServer>,
    /// By who did it, and when that began.
    acts: BoundedMap<(ProcessId, u64), Stack>,
    users: BoundedMap<u32, String>,
    /// By the service that they start.
    timers: BoundedMap<String, Vec<String>>,
    mounts: Vec<Mount>,
}

impl Default for FactCache {
    fn default() -> Self {
        Self {
            processes: BoundedMap::new(PROCESSES),
            cgroups: BoundedMap::new(CGROUPS),
            containers: BoundedMap::new(CONTAINERS),
            views: BoundedMap::new(VIEWS),
            servers: BoundedMap::new(SERVERS),
            acts: BoundedMap::new(ACTS),
            users: BoundedMap::new(USERS),
            timers: BoundedMap::new(SERVICES),
            mounts: Vec::new(),
        }
    }
}

impl FactCache {
    /// Takes in what outlives its question; gives back what is for others.
    pub fn learn(&mut self, fact: Fact) -> Option<Fact> {
        match fact {
            Fact::Process(process) => self.process_seen(*process),
            Fact::Cgroup(found) => self.cgroup_found(found),
            Fact::Container(names) => self.container_found(*names),
            Fact::View(view) => self.view_seen(view),
            Fact::Mounts(mounts) => self.mounts = mounts,
            Fact::FuseServer(server) => self.server_found(server),
            Fact::Stack(stack) if stack.act.is_some() => {
                self.acts.insert((stack.process, stack.act.unwrap_or_default()), *stack);
            }
            Fact::User(User { uid, name }) if is_word(&name) => self.users.insert(uid, name),
            Fact::Triggers(Triggers { unit, mut timers }) => {
                timers.retain(|timer| is_word(timer));
                timers.truncate(TIMERS);
                self.timers.insert(unit, timers);
            }
            other => return Some(other),
        }
        None
    }

    /// What /proc told of a process. Asked twice, it may run another program, or be gone: what was known
    /// stays then.
    fn process_seen(&mut self, process: Process) {
        match self.processes.get_mut(&process.id) {
            Some(known) => known.learn(process),
            None => self.processes.insert(process.id, process),
        }
    }

    /// The kernel told what a cgroup is called: as it was made, or renamed.
    pub fn cgroup_made(&mut self, made: CgroupMade) {
        let Some(path) = made.path.filter(|path| is_path(path)) else {
            // Known and told of again: renamed, to what is not told (lockdown). It is looked up anew.
            if let Some(old) = self.cgroups.peek(&made.id).cloned() {
                let inside = |rest: &[u8]| rest.is_empty() || rest.starts_with(b"/");
                self.cgroups.remove_all(|path| path.strip_prefix(&old[..]).is_some_and(inside));
            }
            return;
        };
        if let Some(old) = self.cgroups.peek(&made.id).filter(|old| **old != path).cloned() {
            // What lies below goes with it, and nobody tells of that.
            for below in self.cgroups.values_mut() {
                let rest = below.strip_prefix(&old[..]).filter(|rest| rest.starts_with(b"/"));
                if let Some(rest) = rest {
                    *below = [&path[..], rest].concat();
                }
            }
            self.cgroups.remove_all(|path| !is_path(path));
        }
        // Another container at the same path has other names.
        self.containers.remove(&path);
        self.cgroups.insert(made.id, path);
    }

    /// What a cgroup is called was looked up. What the kernel told stays.
    fn cgroup_found(&mut self, found: CgroupPath) {
        if self.cgroups.get(&found.id).is_none() && is_path(&found.path) {
            self.cgroups.insert(found.id, found.path);
        }
    }

    /// What a container or a pod is called. What was known stays, for what is gone says less.
    fn container_found(&mut self, found: ContainerNames) {
        if !found.is_sound() {
            return;
        }
        match self.containers.get_mut(&found.cgroup) {
            Some(known) => known.learn(found),
            None => self.containers.insert(found.cgroup.clone(), found),
        }
    }

    /// What the container of a cgroup is called.
    fn names(&mut self, path: &[u8]) -> Option<Box<ContainerNames>> {
        let names = self.containers.get(&subject(path)?.path.to_vec())?;
        Some(Box::new(names.within(path)))
    }

    fn view_seen(&mut self, view: View) {
        self.views.insert(view.victim, view);
    }

    /// Somebody has looked who serves a file system. A later answer wins.
    fn server_found(&mut self, found: FuseServer) {
        if self.servers.get(&found.dev).is_none_or(|known| known.time <= found.time) {
            self.servers.insert(found.dev, found);
        }
    }

    /// What is known of the process of a task that an answer is about: in the cgroup that the task was in, with
    /// the program that it ran.
    pub fn process(&mut self, task: &Task) -> Option<Process> {
        let mut known = self.processes.get(&task.id).cloned();
        // Under another name it ran another program, which nobody could look up any more.
        let renamed =
            |known: &&mut Process| known.comm.as_ref().is_some_and(|comm| *comm != task.comm);
        if let Some(known) = known.as_mut().filter(renamed) {
            (known.exe, known.cmdline) = (None, None);
        }
        if let Some(exe) = &task.exe {
            let known = known.get_or_insert_with(|| Process::unknown(task.id));
            let path = |exe: &[u8]| exe.strip_suffix(DELETED).unwrap_or(exe).to_vec();
            // It ran another program by the time it was looked at, and these are the arguments of that.
            if known.exe.as_deref().is_some_and(|found| path(found) != path(exe)) {
                known.cmdline = None;
            }
            known.exe = Some(exe.clone());
        }
        let known = match task.cgroup.and_then(|id| self.cgroup_path(id)) {
            Some(path) => {
                let process = known.unwrap_or_else(|| Process::unknown(task.id));
                Some(Process { cgroup: Some(path), ..process })
            }
            None => known,
        };
        known.map(|process| {
            let names = process.cgroup.as_deref().and_then(|path| self.names(path));
            let unit = process.cgroup.as_deref().and_then(service);
            let timers = unit.and_then(|unit| self.timers.get(&unit.to_owned())).cloned();
            Process { names, timers: timers.unwrap_or_default(), ..process }
        })
    }

    /// The stack of whoever shrank a file, as the act began.
    pub fn act(&mut self, shrink: &Shrink) -> Option<&Stack> {
        self.acts.get(&(shrink.actor.task.id, shrink.begin))
    }

    /// The same of whoever did it, and what the user is called who logged in for it.
    pub fn actor(&mut self, actor: &Actor) -> Option<Process> {
        let known = self.process(&actor.task);
        let Some(name) = actor.login.uid.and_then(|uid| self.users.get(&uid).cloned()) else {
            return known;
        };
        let known = known.unwrap_or_else(|| Process::unknown(actor.task.id));
        Some(Process { login_user: Some(name), ..known })
    }

    /// The path of a cgroup, by its id.
    pub fn cgroup_path(&mut self, id: u64) -> Option<Bytes> {
        match id {
            ROOT_CGROUP => Some(b"/".to_vec()),
            id => self.cgroups.get(&id).cloned(),
        }
    }

    /// The path of a task's cgroup, where many are looked through: it does not keep any of them.
    pub fn cgroup(&self, task: &Task) -> Option<&[u8]> {
        let path = task.cgroup.and_then(|id| self.cgroups.peek(&id));
        path.or_else(|| self.processes.peek(&task.id)?.cgroup.as_ref()).map(Vec::as_slice)
    }

    /// How a victim sees its mounts, where they are not ours.
    pub fn view(&self, victim: ProcessId) -> Option<&View> {
        self.views.peek(&victim)
    }

    /// Who served a FUSE file system at `time`, ns since boot, if somebody has looked about then.
    pub fn server(&self, dev: Dev, time: u64) -> Option<&FuseServer> {
        self.servers.peek(&dev).filter(|found| found.time.abs_diff(time) <= SERVES)
    }

    /// Our own mounts.
    pub fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    /// How many processes, cgroups, containers, views and servers were forgotten because there were too many.
    pub fn evicted(&self) -> u64 {
        let facts = self.processes.evicted() + self.cgroups.evicted() + self.containers.evicted();
        facts + self.views.evicted() + self.servers.evicted() + self.acts.evicted()
    }
}

/// Whether a cgroup may be called so; a foreign stream may say anything.
fn is_path(path: &[u8]) -> bool {
    path.starts_with(b"/") && path.len() <= CGROUP_PATH
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::actor;

    fn task(tgid: u32, cgroup: Option<u64>) -> Task {
        Task { cgroup, ..actor(tgid).task }
    }

    fn process(tgid: u32, cgroup: Option<&[u8]>) -> Process {
        let cgroup = cgroup.map(<[u8]>::to_vec);
        Process { cgroup, ..Process::unknown(task(tgid, None).id) }
    }

    fn made(id: u64, path: &[u8]) -> CgroupMade {
        CgroupMade { id, path: Some(path.to_vec()) }
    }

    fn found(id: u64, path: &[u8]) -> CgroupPath {
        CgroupPath { id, path: path.to_vec() }
    }

    #[test]
    fn a_process_asked_for_again_and_again_keeps_its_facts() {
        let mut facts = FactCache::default();
        let hot = process(1, Some(b"/hot"));
        facts.process_seen(hot.clone());
        for tgid in 2..2 + PROCESSES as u32 {
            facts.process_seen(process(tgid, None));
            assert_eq!(facts.process(&task(1, None)), Some(hot.clone()), "after {tgid}");
        }
        let longest_ago = facts.process(&task(2, None));
        assert_eq!(longest_ago, None, "who was asked for longest ago goes");
        assert_eq!(facts.evicted(), 1);
    }

    #[test]
    fn what_was_known_of_a_process_stays() {
        let mut facts = FactCache::default();
        facts.process_seen(process(1, Some(b"/pod")));
        facts.process_seen(process(1, None));
        assert_eq!(facts.cgroup(&task(1, None)), Some(&b"/pod"[..]));
    }

    /// A shell forks, and the child runs a program.
    #[test]
    fn a_program_is_that_of_the_last_exec() {
        let mut facts = FactCache::default();
        let known = |exe: Option<&[u8]>| Process {
            exe: exe.map(<[u8]>::to_vec),
            cmdline: exe.map(|exe| vec![exe.to_vec()]),
            ..process(1, None)
        };
        facts.process_seen(known(Some(b"/bin/bash")));
        facts.process_seen(known(Some(b"/bin/reader")));
        facts.process_seen(known(None));
        assert_eq!(facts.process(&task(1, None)), Some(known(Some(b"/bin/reader"))));
    }

    /// A shell execs a program that is gone before anybody can ask what it was.
    #[test]
    fn the_program_of_an_earlier_exec_is_not_told_of_the_next() {
        let mut facts = FactCache::default();
        let shell = Process {
            exe: Some(b"/bin/dash".to_vec()),
            cmdline: Some(vec![b"sh".to_vec()]),
            comm: Some(b"sh".to_vec()),
            ..process(1, None)
        };
        facts.process_seen(shell.clone());
        let named = |comm: &[u8]| Task { comm: comm.to_vec(), ..task(1, None) };
        assert_eq!(facts.process(&named(b"sh")), Some(shell));
        let next = facts.process(&named(b"instant")).expect("its ancestors");
        assert_eq!((next.exe, next.cmdline), (None, None));
    }

    /// Looked up in /proc after an exec(2) that kept the name.
    #[test]
    fn what_the_kernel_told_of_a_program_wins() {
        let told = Process {
            exe: Some(b"/opt/cut".to_vec()),
            cmdline: Some(vec![b"-s".to_vec()]),
            ..process(1, Some(b"/"))
        };
        let at = |exe: Option<&[u8]>| {
            let mut facts = FactCache::default();
            facts.process_seen(told.clone());
            let task = Task { exe: exe.map(<[u8]>::to_vec), ..task(1, None) };
            facts.process(&task).map(|known| (known.exe, known.cmdline))
        };
        assert_eq!(at(None), Some((told.exe.clone(), told.cmdline.clone())));
        assert_eq!(at(Some(b"/usr/bin/cut")), Some((Some(b"/usr/bin/cut".to_vec()), None)));
        let unlinked = Some(b"/opt/cut (deleted)".to_vec());
        assert_eq!(at(unlinked.as_deref()), Some((unlinked.clone(), told.cmdline.clone())));
    }

    #[test]
    fn a_program_needs_no_look_at_proc() {
        let task = Task { exe: Some(b"/bin/instant".to_vec()), ..task(1, None) };
        let known = FactCache::default().process(&task).expect("its program");
        assert_eq!(known, Process { exe: task.exe, ..process(1, None) });
    }

    #[test]
    fn to_be_looked_through_keeps_nobody() {
        let mut facts = FactCache::default();
        for tgid in 1..=PROCESSES as u32 {
            facts.process_seen(process(tgid, Some(b"/")));
        }
        assert!(facts.cgroup(&task(1, None)).is_some());
        facts.process_seen(process(0, None));
        assert_eq!(facts.cgroup(&task(1, None)), None);
    }

    /// A manager forks, and the child is moved before it runs anything: what it was forked in says nothing of
    /// where it died.
    #[test]
    fn a_process_is_told_in_the_cgroup_of_each_act() {
        let mut facts = FactCache::default();
        facts.cgroup_found(found(4, b"/init.scope"));
        facts.cgroup_made(made(2, b"/system.slice/geo.service"));
        let cgroup = |facts: &mut FactCache, id| facts.process(&task(1, id))?.cgroup;
        assert_eq!(cgroup(&mut facts, Some(4)), Some(b"/init.scope".to_vec()));
        assert_eq!(cgroup(&mut facts, Some(2)), Some(b"/system.slice/geo.service".to_vec()));
        assert_eq!(cgroup(&mut facts, Some(3)), None);
        assert_eq!(cgroup(&mut facts, None), None);
        assert_eq!(cgroup(&mut facts, Some(ROOT_CGROUP)), Some(b"/".to_vec()));
    }

    #[test]
    fn what_the_kernel_told_of_a_cgroup_stays() {
        let mut facts = FactCache::default();
        facts.cgroup_made(made(1, b"/a"));
        facts.cgroup_found(found(1, b"/elsewhere"));
        assert_eq!(facts.cgroup(&task(1, Some(1))), Some(&b"/a"[..]));
    }

    #[test]
    fn a_process_has_the_names_of_its_container() {
        let mut facts = FactCache::default();
        let cgroup = format!("/docker/{}", "0123456789abcdef".repeat(4)).into_bytes();
        let inside = [&cgroup[..], b"/init"].concat();
        facts.cgroup_made(made(2, &inside));
        let names = |name: Option<&str>, image: Option<&str>| ContainerNames {
            cgroup: cgroup.clone(),
            id: Some("0123456789abcdef".repeat(4)),
            name: name.map(str::to_owned),
            image: image.map(str::to_owned),
            ..ContainerNames::default()
        };
        let called = |facts: &mut FactCache| {
            let names = facts.process(&task(1, Some(2)))?.names?;
            Some((names.name, names.image))
        };
        assert_eq!(called(&mut facts), None);
        facts.learn(Fact::Container(Box::new(names(Some("web"), None))));
        // Asked again when the container is gone.
        facts.learn(Fact::Container(Box::new(names(None, Some("x:1")))));
        let both = Some((Some("web".to_owned()), Some("x:1".to_owned())));
        assert_eq!(called(&mut facts), both);
        let of_another = ContainerNames { cgroup: b"/x".to_vec(), ..names(Some("evil"), None) };
        let unprintable = names(Some("a b"), None);
        for unsound in [of_another, unprintable] {
            facts.learn(Fact::Container(Box::new(unsound)));
        }
        assert_eq!(called(&mut facts), both);
        // Another one is made where it was.
        facts.cgroup_made(made(3, &cgroup));
        assert_eq!(called(&mut facts), None);
    }

    #[test]
    fn what_lies_below_a_renamed_cgroup_is_renamed_with_it() {
        let mut facts = FactCache::default();
        let paths: [&[u8]; 4] = [b"/a", b"/a/b", b"/ab", b"/c/a/b"];
        for (id, path) in (1..).zip(paths) {
            facts.cgroup_made(made(id, path));
        }
        facts.cgroup_made(made(1, b"/new"));
        let renamed: [&[u8]; 4] = [b"/new", b"/new/b", b"/ab", b"/c/a/b"];
        for (id, path) in (1..).zip(renamed) {
            assert_eq!(facts.cgroup(&task(1, Some(id))), Some(path));
        }
    }

    #[test]
    fn a_cgroup_renamed_to_what_is_not_told_is_looked_up_anew() {
        let mut facts = FactCache::default();
        for (id, path) in [(2, &b"/a"[..]), (3, b"/a/b"), (4, b"/ab")] {
            facts.cgroup_found(found(id, path));
        }
        facts.cgroup_made(CgroupMade { id: 2, path: None });
        let known = |facts: &FactCache, id| facts.cgroup(&task(1, Some(id))).map(<[u8]>::to_vec);
        assert_eq!([2, 3, 4].map(|id| known(&facts, id)), [None, None, Some(b"/ab".to_vec())]);
        facts.cgroup_found(found(2, b"/new"));
        assert_eq!(known(&facts, 2), Some(b"/new".to_vec()));
    }

    #[test]
    fn an_answer_about_a_server_is_of_its_time() {
        let mut facts = FactCache::default();
        let (dev, s) = (Dev { major: 0, minor: 48 }, 1_000_000_000);
        let at = |time| Fact::FuseServer(FuseServer { dev, time, process: None });
        for time in [10 * s, 20 * s, 15 * s] {
            assert_eq!(facts.learn(at(time)), None);
        }
        let known = [10 * s, 20 * s - SERVES - 1, 20 * s - SERVES, 20 * s + SERVES];
        let known = known.map(|time| facts.server(dev, time).is_some());
        assert_eq!(known, [false, false, true, true]);
        assert!(facts.server(Dev { major: 0, minor: 49 }, 20 * s).is_none());
    }

    #[test]
    fn paths_do_not_grow_without_bound() {
        let mut facts = FactCache::default();
        facts.cgroup_made(made(1, b"/a"));
        facts.cgroup_made(made(2, b"/a/b"));
        let long = [b"/a/", &[b'x'; CGROUP_PATH - 3][..]].concat();
        facts.cgroup_made(made(1, &long));
        assert_eq!(facts.cgroup(&task(1, Some(1))), Some(&long[..]));
        assert_eq!(facts.cgroup(&task(1, Some(2))), None);
        facts.cgroup_made(made(3, &[&long[..], b"x"].concat()));
        facts.cgroup_found(found(4, b""));
        assert_eq!([3, 4].map(|id| facts.cgroup(&task(1, Some(id)))), [None, None]);
    }

    #[test]
    fn cgroups_are_forgotten_and_counted() {
        let mut facts = FactCache::default();
        for id in 0..=CGROUPS as u64 {
            facts.cgroup_made(made(id, b"/x"));
        }
        assert_eq!(facts.cgroup(&task(1, Some(0))), None);
        assert_eq!(facts.evicted(), 1);
    }
}
