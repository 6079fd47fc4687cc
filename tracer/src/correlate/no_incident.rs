//! What looks like a bus error that somebody suffered from, and is none.
use crate::{
    correlate::{
        open::{OpenIncident, REPORT_DELAY},
        report::Reporter,
    },
    model::{
        fault::{Fault, Handler, Mode},
        observe::Observe,
        signal::Disposition,
        signal_name::SIGBUS,
    },
};

/// include/trace/events/signal.h
const TRACE_SIGNAL_IGNORED: i32 = 1;

/// Whether a page was not to be had because whoever waited for it was being killed (mm/filemap.c filemap_read_folio and
/// fs/btrfs/space-info.c wait_reserve_ticket wait killably).
fn was_given_up(fault: &Fault) -> bool {
    // include/linux/errno.h: ERESTARTSYS to ERESTARTNOHAND, ERESTART_RESTARTBLOCK.
    let errno = fault.read_errno.or(fault.refusal.errno);
    errno.is_some_and(|errno| matches!(errno, -4 | -514..=-512 | -516))
}

impl Reporter<'_> {
    /// Whether its fault was tried again and then went well: handlers of persistent memory give up with SIGBUS
    /// before they are called once more (fs/ext4/file.c ext4_dax_huge_fault after ENOSPC, fs/fuse/dax.c
    /// __fuse_dax_fault after EAGAIN), and no signal follows. Or whether its read was given up because the process
    /// was being killed: what kills it is told, and it ignores any other signal.
    pub fn came_to_nothing(&self, open: &OpenIncident) -> bool {
        let incident = &open.incident;
        if incident.disposition.is_some() {
            return false;
        }
        let of_user = |fault: &&Fault| fault.mode == Mode::User;
        let Some(fault) = incident.fault.as_ref().filter(of_user) else { return false };
        let given_up = was_given_up(fault)
            && incident.exit.is_none_or(|exit| exit.code & 0x7f != SIGBUS as u32);
        match &incident.signal {
            Some(signal) => given_up && signal.result == TRACE_SIGNAL_IGNORED,
            None => {
                let to = incident.last.saturating_add(REPORT_DELAY);
                (given_up || fault.handler == Handler::DaxIomapFault)
                    && self.host.coverage.sees(Observe::SignalGenerated)
                    && self.loss.lost_between(incident.first, to) == 0
                    && self.loss.until() < incident.first
            }
        }
    }

    /// Whether journald touched a journal that it has itself unlinked and emptied, as it does with the oldest ones while it still
    /// maps them: its handler takes that (src/shared/mmap-cache.c mmap_cache_process_sigbus), and nobody else can open the file.
    pub fn is_of_journald(&self, open: &OpenIncident) -> bool {
        let incident = &open.incident;
        let victim = &incident.victim.task;
        let Some(fault) = incident.fault.as_ref().filter(|fault| fault.inode.nlink == 0) else {
            return false;
        };
        let shrinks = self.shrinks.before(fault, incident.first);
        victim.comm == b"systemd-journal"
            && victim.uid == 0
            && incident.disposition == Some(Disposition::Handler)
            && incident.exit.is_none_or(|exit| exit.code == 0)
            && !shrinks.is_empty()
            && shrinks.iter().all(|shrink| shrink.actor.task.id.same(victim.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        correlate::{engine::Engine, update::Update},
        model::{
            host::Host,
            input::{KernelEvent, Stamp},
            process::{ExitFilter, ExitScope},
            signal::{Deliver, Signal},
        },
        testing::*,
    };

    /// A fault on persistent memory whose handler is called again, and the same with a signal.
    #[test]
    fn a_fault_that_is_tried_again_is_no_incident() {
        let incidents = |signalled: bool, watched: bool| {
            let mut host = host();
            let hook = |observe| AttachedHook { observe: Some(observe), hook: String::new() };
            if watched {
                host.coverage.hooks = vec![hook(Observe::SignalGenerated)];
            }
            let mut engine = Engine::new(host);
            let (mut fault, time) = (fault(0, 4_096), SINCE + 1);
            fault.handler = Handler::DaxIomapFault;
            engine.push(
                Stamp { cpu: 0, ring: 0, seq: 1, time },
                KernelEvent::Fault(Box::new(fault)).into(),
            );
            if signalled {
                let event = KernelEvent::Signal(Box::new(signal(2)));
                engine.push(Stamp { cpu: 0, ring: 0, seq: 2, time: time + 1 }, event.into());
            }
            let updates = engine.finish();
            updates.iter().filter(|update| matches!(update, Update::Incident(_))).count()
        };
        assert_eq!(incidents(false, true), 0);
        assert_eq!(incidents(true, true), 1);
        assert_eq!(incidents(false, false), 1, "nobody would have seen the signal");
    }

    #[test]
    fn a_read_given_up_by_who_is_being_killed_is_no_incident() {
        let told = |mut fault: Fault, expected: CauseKind, mode: Mode, result: i32| {
            let mut engine = Engine::new(host());
            let time = SINCE + 1;
            fault.mode = mode;
            let kill = Signal { number: 9, ..signal(0) };
            let bus = Signal { forced: true, result, ..signal(2) };
            let mut events = vec![
                KernelEvent::Signal(Box::new(kill)),
                KernelEvent::Fault(Box::new(fault)),
                KernelEvent::ProcessExit(Box::new(exit(time + 9, 9))),
            ];
            if mode == Mode::User {
                events.insert(2, KernelEvent::Signal(Box::new(bus)));
            }
            for (seq, event) in (1..).zip(events) {
                engine.push(Stamp { cpu: 0, ring: 0, seq, time: time + seq }, event.into());
            }
            let class = |update: Update| match update {
                Update::Incident(incident) => Some(incident.cause.class),
                _ => None,
            };
            engine.finish().into_iter().filter_map(class).any(|class| class == expected)
        };
        let told = |errno, mode, result| {
            let read = Fault { read_errno: Some(errno), ..fault(0, 4_096) };
            let written = refused(Refusal { errno: Some(errno), ..Refusal::default() });
            let both = [(read, CauseKind::ReadError), (written, CauseKind::WriteError)];
            let [read, written] = both.map(|(fault, class)| told(fault, class, mode, result));
            assert_eq!(read, written, "{errno}");
            read
        };
        assert!(!told(-4, Mode::User, TRACE_SIGNAL_IGNORED));
        assert!(told(-5, Mode::User, TRACE_SIGNAL_IGNORED));
        // A server in user space may answer EINTR: the signal is not ignored, or a system call fails.
        assert!(told(-4, Mode::User, 0));
        assert!(told(-4, Mode::Kernel, 0));
    }

    #[test]
    fn what_journald_deletes_is_no_incident_of_a_recorder() {
        let told = |exits: ExitFilter, comm: &str, nlink: u32, by: u32| {
            let mut engine =
                Engine::new(Host { deaths: ExitScope { signals: 0, exits }, ..host() });
            let (mut fault, time) = (fault(0, 0), SINCE + 9);
            (fault.actor.task.comm, fault.actor.task.uid) = (comm.as_bytes().to_vec(), 0);
            fault.inode.nlink = nlink;
            let target = fault.actor.clone();
            let raised = Signal { forced: true, target: target.task.clone(), ..signal(2) };
            let act =
                Shrink { end: Some(SINCE + 3), ret: Some(0), ..shrink(by, SINCE + 2, 16_384, 0) };
            let events = [
                KernelEvent::Shrink(Box::new(act)),
                KernelEvent::Fault(Box::new(fault)),
                KernelEvent::Signal(Box::new(raised)),
                KernelEvent::Deliver(Box::new(Deliver {
                    target,
                    disposition: Disposition::Handler,
                })),
            ];
            for (seq, event) in (1..).zip(events) {
                engine.push(Stamp { cpu: 0, ring: 0, seq, time: time + seq }, event.into());
            }
            !engine.advance(time + 3_000_000_000).is_empty()
        };
        let (lasting, journald) = (ExitFilter::Lasting, "systemd-journal");
        assert!(!told(lasting, journald, 0, VICTIM));
        assert!(
            told(ExitFilter::All, journald, 0, VICTIM)
                && told(ExitFilter::None, journald, 0, VICTIM)
        );
        assert!(told(lasting, "geo", 0, VICTIM), "another program");
        assert!(told(lasting, journald, 1, VICTIM), "a file that is there");
        assert!(told(lasting, journald, 0, 2), "somebody else's doing");
    }
}
