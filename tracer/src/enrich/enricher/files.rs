//! Questions about the files of an act: the one that was mapped, and those of the program.
use super::Enricher;
use crate::{
    enrich::{
        lookup::{self, Here},
        place, stack,
        target::Target,
        view,
    },
    model::{fact::Fact, fault::Fault, file::Mount, input::WatchNote, stack::Sample, task::Actor},
};

impl Enricher {
    /// Asks where in its program a fault happened: of several of one kind the first.
    pub(super) fn place(&mut self, fault: &Fault, time: u64) -> Option<WatchNote> {
        fault.ip.filter(|_| fault.nth == 1)?;
        let (asked, id, parser) = (fault.clone(), fault.actor.task.id, self.parser.clone());
        let ask = move || place::of_fault(&asked, &parser).map(Fact::Place).into_iter().collect();
        Some(self.ask(Target::Code(id), &fault.actor.task, time, ask, Vec::new()))
    }

    /// Asks for the frames of the stacks that were captured as a process ended, or began an act then.
    pub(super) fn stacks(&mut self, actor: &Actor, act: Option<u64>, time: u64) -> Vec<WatchNote> {
        let id = actor.task.id;
        let samples = self.samples.take(id, act);
        let ask = |sample: Box<Sample>| {
            let (ancestors, parser) = (actor.ancestors.clone(), self.parser.clone());
            let otherwise = vec![Fact::Stack(Box::new(stack::innermost_only(&sample)))];
            let ask =
                move || vec![Fact::Stack(Box::new(stack::frames(&sample, &ancestors, &parser)))];
            self.ask(Target::Stack(id), &actor.task, time, ask, otherwise)
        };
        samples.into_iter().map(ask).collect()
    }

    /// Asks how the victim of a fault sees its file, where it lives in another mount namespace.
    pub(super) fn view(&mut self, fault: &Fault, time: u64) -> Option<WatchNote> {
        let own = self.mnt_ns;
        fault.mnt_ns.filter(|theirs| Some(*theirs) != own)?;
        let (asked, id) = (fault.clone(), fault.actor.task.id);
        let ask = move || view::read(&asked, own).map(Fact::View).into_iter().collect();
        Some(self.ask(Target::Mounts(id), &fault.actor.task, time, ask, Vec::new()))
    }

    pub(super) fn fault(&mut self, fault: &Fault, time: u64) -> WatchNote {
        let Self { mnt_ns: own, page_size, .. } = *self;
        let (asked, mounts) = (fault.clone(), self.mounts.clone());
        let cgroups = self.cgroups.clone();
        let ask = move || {
            // A device number alone is reused: who mounts what is read again for each fault.
            let here = Here { own, page_size, mounts: mounts.refresh(), cgroups };
            lookup::of_fault(&asked, &here)
        };
        let target = Target::FileSystem(fault.inode.id.dev);
        self.ask(
            target,
            &fault.actor.task,
            time,
            ask,
            lookup::unanswered(fault).into_iter().collect(),
        )
    }

    /// Asks which process serves the file system of a fault.
    pub(super) fn server(&mut self, fault: &Fault, time: u64) -> WatchNote {
        let (asked, own) = (fault.clone(), self.mnt_ns);
        let (servers, mounts) = (self.servers.clone(), self.mounts.clone());
        let dev = fault.inode.id.dev;
        let ask = move || {
            let theirs = view::read(&asked, own).map(|view| view.mounts);
            let ours = mounts.refresh();
            let mounts: Vec<Mount> =
                ours.iter().cloned().chain(theirs.into_iter().flatten()).collect();
            let server = servers.find(dev, time, &mounts, true);
            server.map(Fact::FuseServer).into_iter().collect()
        };
        self.ask(Target::Server(dev), &fault.actor.task, time, ask, Vec::new())
    }
}
