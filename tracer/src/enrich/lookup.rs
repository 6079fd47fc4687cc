//! What is asked about one event of the kernel, all of it within a deadline.
use std::{fs, os::unix::ffi::OsStrExt as _, sync::Arc};

use crate::{
    enrich::{
        cgroups::CgroupNames,
        outputs::{Outlets, Victim},
        process, view,
    },
    host::{fs as space, huge_pages, proc::maps::parse},
    model::{
        cgroup::CgroupPath,
        fact::{BoundDriver, Fact, HugePages, Mapped, Process, Space, View},
        fault::{Fault, Handler},
        file::Mount,
        magic::FUSE_SUPER_MAGIC,
        output::Outputs,
        process::ProcessExit,
        task::{ProcessId, Task},
    },
};

/// Where we stand.
#[derive(Debug, Clone)]
pub struct Here {
    /// Our mount namespace.
    pub own: Option<u32>,
    pub page_size: u64,
    pub mounts: Arc<Vec<Mount>>,
    pub cgroups: CgroupNames,
}

/// What /proc tells of a task's process, its command line if that is `wanted`, where the output of a victim led, and
/// what the cgroup is called that it was in.
pub fn of_process(
    task: &Task,
    wanted: bool,
    cgroups: &CgroupNames,
    mut victim: Option<(Outlets, Victim)>,
) -> Vec<Fact> {
    // First of all: its descriptors go when it goes. That it was this process is seen by its start afterwards.
    let seen = victim.as_mut().and_then(|(outlets, victim)| outlets.of(victim));
    let mut process = process::read(task, wanted);
    let cgroup = task.cgroup.and_then(|id| cgroups.path(id));
    if let (Some(seen), Some((outlets, victim))) = (seen, victim)
        && (process.is_some() || seen.is_of_the_kernel())
    {
        let process = process.get_or_insert_with(|| Process::unknown(task.id));
        let outputs = outlets.complete(seen, &victim, &process.ancestors, cgroup.as_deref());
        process.outputs = Some(outputs);
    }
    let process = process.map(|process| Fact::Process(Box::new(process)));
    let cgroup = task.cgroup.zip(cgroup).map(|(id, path)| Fact::Cgroup(CgroupPath { id, path }));
    cgroup.into_iter().chain(process).collect()
}

/// What is left to say of a process that /proc did not tell of in time: what the kernel told of its output.
pub fn late(id: ProcessId, outputs: Option<Box<Outputs>>) -> Fact {
    Fact::Process(Box::new(Process { outputs, ..Process::late(id) }))
}

/// The room there is where a fault may be for lack of it, and what drives its device.
pub fn of_fault(fault: &Fault, here: &Here) -> Vec<Fact> {
    let Here { mounts, cgroups, .. } = here;
    let mut events = Vec::new();
    if wants_room(fault) {
        events.extend(room(fault, here));
    }
    if fault.handler == Handler::ShmemFault {
        events.extend(space::commit().map(Fact::Commit));
    }
    if fault.handler == Handler::HugetlbFault {
        let (id, pages) = (fault.actor.task.id, huge_pages::pool(fault.inode.id.dev, mounts));
        let cgroup = fault.actor.task.cgroup.and_then(|id| cgroups.path(id));
        let limit = pages
            .zip(cgroup)
            .and_then(|(pages, cgroup)| huge_pages::limit(id, mounts, &cgroup, pages.size));
        let of = |pages| Fact::HugePages(HugePages { victim: Some(id), ..pages });
        events.extend(pages.map(of));
        events.extend(limit.map(Fact::HugeLimit));
    }
    events.extend(bound_driver(fault).map(Fact::BoundDriver));
    events
}

/// OOM kills so far, and, if the end was one, the limit that was reached.
pub fn of_death(death: &ProcessExit, mounts: &[Mount], cgroups: &CgroupNames) -> Vec<Fact> {
    let victim = death.exit.id;
    let count = space::oom_kills().map(|count| Fact::OomKills { victim, count });
    let id = death.actor.task.cgroup.filter(|_| death.oom);
    let limit = id
        .and_then(|id| cgroups.path(id))
        .and_then(|path| space::memory_limit(victim, mounts, &path))
        .map(Fact::MemoryLimit);
    count.into_iter().chain(limit).collect()
}

/// What is left to say of a fault whose file system did not answer in time.
pub fn unanswered(fault: &Fault) -> Option<Fact> {
    let (total, free, free_inodes) = (0, 0, 0);
    let errno = Some(libc::ETIMEDOUT);
    let dev = fault.inode.id.dev;
    wants_room(fault).then_some(Fact::Space(Space { dev, total, free, free_inodes, errno }))
}

fn wants_room(fault: &Fault) -> bool {
    match fault.handler {
        Handler::PageMkwrite | Handler::ShmemFault => true,
        // Before 5.16 no errno tells a dead server from a bad page.
        Handler::FilemapFault => fault.inode.magic == FUSE_SUPER_MAGIC,
        _ => false,
    }
}

/// Which driver the device is bound to.
fn bound_driver(fault: &Fault) -> Option<BoundDriver> {
    let device = fault.mapper.device.filter(|_| fault.inode.device())?;
    let link = fs::read_link(format!("/sys/dev/char/{device}/device/driver")).ok()?;
    let name = link.file_name()?.as_bytes().to_vec();
    Some(BoundDriver { victim: fault.actor.task.id, device, name })
}

/// The file mapped at `address` in a process that got a signal and no fault was told of.
pub fn mapped(victim: ProcessId, address: u64) -> Vec<Fact> {
    let text = fs::read(format!("/proc/{}/maps", victim.tgid)).unwrap_or_default();
    let found = parse(&text).find(|mapping| (mapping.start..mapping.end).contains(&address));
    // Until now these were its mappings, and not those of who got its pid.
    found
        .filter(|_| process::is_there(victim))
        .map(|mapping| Fact::Mapped(Mapped { victim, address, path: mapping.path }))
        .into_iter()
        .collect()
}

/// Room and quota of the fault's file system, through whichever namespace has it mounted.
fn room(fault: &Fault, here: &Here) -> Vec<Fact> {
    let dev = fault.inode.id.dev;
    let ours = here.mounts.iter().find(|mount| mount.dev == dev).cloned();
    let theirs = || {
        let View { via, mounts, .. } = view::read(fault, here.own)?;
        let mount = mounts.into_iter().next()?;
        let mut point = format!("/proc/{via}/root").into_bytes();
        point.extend_from_slice(&mount.point);
        Some((mount, point))
    };
    let found = ours.map(|mount| (mount.clone(), mount.point)).or_else(theirs);
    let Some((mount, point)): Option<(Mount, Vec<u8>)> = found else { return Vec::new() };
    let space = space::read(&fault.inode, &point).map(Fact::Space);
    let quota = matches!(fault.handler, Handler::PageMkwrite | Handler::ShmemFault)
        .then(|| space::quota(fault, &mount, &point, here.page_size))
        .flatten()
        .map(Fact::Quota);
    space.into_iter().chain(quota).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_of_who_got_the_pid_are_not_the_victims() {
        let (tgid, address) = (std::process::id(), mapped as *const () as u64);
        let of = |start| mapped(ProcessId { tgid, start }, address).len();
        assert_eq!((of(0), of(1)), (1, 0));
    }
}
