//! From what the engine has to report to the contract.
mod cause;
mod file;
mod output;
mod process;
mod signature;

use crate::{
    contract::{
        self, Blind, End, Hex, Label, Loss, Missed, Record, Remote, Restart, ShrunkFile, Time,
        Truncation, Untrusted, Watching,
    },
    correlate::{
        cause::ADVICE_NOT_READY,
        incident::{self, Incident},
        readiness::{not_told, readiness, summary},
        update::{Counts, Loss as Lost, Update},
    },
    model::{
        self,
        cause::CauseKind,
        host::Host,
        observe::{Coverage, Readiness, Uncovered},
        process::ExitScope,
        remote::is_shared,
        shrink::{ShrinkKind, how},
        signal::Disposition,
        signal_name as signals,
        signal_name::SIGBUS,
        time::ClockOffset,
    },
    probe::refusal,
};
use cause::{cause, modules, stack};
use file::{fault, file, server, server_why};
use output::outputs;
use process::{ancestor, mappers, process as seen_process};
use signature::signature;

/// What the engine reports, as it leaves the process.
pub fn update_record(update: &Update, host: &Host) -> Record {
    match update {
        Update::Incident(incident) => reported_incident(incident, host, false).into(),
        Update::Change(incident) => reported_incident(incident, host, true).into(),
        Update::Truncation(truncation) => {
            Record::Truncation(Box::new(reported_truncation(truncation, host)))
        }
        Update::Loss(lost) => Record::Loss(loss(lost, host)),
        Update::Missed { time, hook, calls, .. } => Record::Missed(Missed {
            time: at(host.clock, *time),
            hook: hook.as_str().into(),
            calls: *calls,
        }),
    }
}

/// What is watched.
pub fn watching_record(host: &Host) -> Record {
    let Coverage { hooks, uncovered } = &host.coverage;
    Record::Watching(Watching {
        time: at(host.clock, host.since),
        verdict: Some(readiness(&host.coverage).into()),
        summary: summary(&host.coverage).map(Label::from),
        host: host.name.as_str().into(),
        boot_id: host.boot_id.as_str().into(),
        kernel: host.release.as_str().into(),
        hooks: hooks.iter().map(|hook| hook.hook.as_str().into()).collect(),
        blind: uncovered.iter().map(blind).collect(),
    })
}

/// A hook that is missing, as it leaves the process.
pub fn blind(missing: &Uncovered) -> Blind {
    let (reason, fix) = refusal::split(&missing.reason);
    Blind {
        hook: missing.hook.as_str().into(),
        reason: reason.into(),
        fix: fix.map(Label::from),
        causes: missing.causes.as_str().into(),
    }
}

/// The end of a watch, at `now` (ns since boot).
pub fn end_record(counts: &Counts, host: &Host, now: u64, reason: &str) -> Record {
    Record::End(End {
        time: at(host.clock, now),
        reason: reason.into(),
        watched_ns: now.saturating_sub(host.since),
        incidents: counts.incidents,
        explained: counts.explained,
        likely: counts.likely,
        incomplete: counts.incomplete,
        events: counts.events,
        lost: counts.lost,
        missed: counts.missed,
        truncations: counts.truncations,
        not_warned: counts.not_warned,
        not_recorded: counts.not_recorded,
        signals_kept: counts.signals.kept,
        signals_left: counts.signals.left,
        signals_handled: counts.signals.handled,
        stacks_lost: counts.stacks_lost,
        files_unread: counts.files_unread,
        not_told: not_told(&host.coverage).map(Label::from),
        only_bus_errors: host.deaths == ExitScope::default(),
    })
}

fn loss(lost: &Lost, host: &Host) -> Loss {
    Loss {
        time: at(host.clock, lost.to),
        from: at(host.clock, lost.from),
        cpu: lost.cpu,
        ring: ring(lost.ring).into(),
        lost: lost.count,
    }
}

/// An incident as the contract has it. Its times are those of the wall clock as it was reported first.
pub fn reported_incident(incident: &Incident, host: &Host, updated: bool) -> contract::Incident {
    let clock = incident.clock;
    let victim = contract::Process {
        thread_comm: Some(text(&incident.victim.task.thread_comm)),
        tid: Some(incident.victim.task.tid),
        ..seen_process(&incident.victim, incident.victim_process.as_ref(), clock)
    };
    let output = outputs(incident, &victim).map(Box::new);
    let victim = contract::Process { output, ..victim };
    let contained = victim.container.is_some() || victim.pod.is_some();
    let stack = stack(incident);
    let modules = modules(incident, victim.exe.as_ref(), stack.as_ref());
    contract::Incident {
        updated,
        id: incident.id.as_str().into(),
        number: incident.number,
        time: at(clock, incident.first),
        last: at(clock, incident.last),
        boot_ns: incident.first,
        host: host.name.as_str().into(),
        boot_id: host.boot_id.as_str().into(),
        victim,
        fault: fault(incident, host),
        file: file(incident, host, contained),
        cause: cause(incident, host.page_size),
        signal: signal(incident),
        outcome: incident.outcome.into(),
        exit: incident.exit.map(|exit| {
            let signal = exit.code & 0x7f;
            contract::Exit {
                signal: (signal != 0).then_some(signal),
                code: (signal == 0).then_some(exit.code >> 8 & 0xff),
                core: exit.code & 0x80 != 0,
                time: at(clock, exit.time),
            }
        }),
        restart: restart(incident),
        signature: stack.as_ref().and_then(signature),
        stack,
        modules,
        advice: advice(incident, host).into(),
        complete: incident.is_complete(),
        lost: incident.lost,
        blind: incident.blind.iter().map(|hook| hook.as_str().into()).collect(),
        count: (incident.fault.is_none() && incident.count > 1).then_some(incident.count),
        oom_kills: incident.oom_kills,
    }
}

/// What to do about it. Where what decides bus errors is not watched, that is what to mend first.
fn advice(incident: &Incident, host: &Host) -> &'static str {
    let blind = readiness(&host.coverage) == Readiness::NotReady;
    let bus_error = incident.fault.is_some()
        || incident.signal.as_ref().is_some_and(|signal| signal.number == SIGBUS);
    if blind && bus_error && incident.cause.class == CauseKind::Unknown {
        ADVICE_NOT_READY
    } else {
        incident.advice()
    }
}

/// A warning as the contract has it.
fn reported_truncation(truncation: &incident::Truncation, host: &Host) -> Truncation {
    let shrink = &truncation.shrink;
    let inode = &shrink.inode;
    let culprit = (shrink.how != ShrinkKind::Remote)
        .then(|| seen_process(&shrink.actor, truncation.process.as_ref(), host.clock));
    let mount = truncation.mount.as_ref().filter(|_| is_shared(inode.magic));
    let remote = mount.and_then(|mount| {
        let model::file::Mount { point, source, address, fstype, .. } = mount;
        let (source, address) = (Some(text(source)), address.as_deref().map(text));
        Remote::of(fstype, &contract::Mount { point: text(point), source, address, backing: None })
    });
    Truncation {
        id: truncation.id.as_str().into(),
        time: at(host.clock, shrink.begin),
        host: host.name.as_str().into(),
        boot_id: host.boot_id.as_str().into(),
        file: ShrunkFile {
            path: truncation.path.as_deref().map(text),
            dev: inode.id.dev.to_string().into(),
            inode: inode.id.ino,
            generation: inode.id.generation,
            fstype: mount.map(|mount| text(&mount.fstype)),
            remote,
            server: server(truncation.server.as_ref(), host.clock),
            server_why: server_why(truncation.server.as_ref()),
        },
        how: how(shrink.how).into(),
        old_size: inode.size,
        new_size: shrink.new_size,
        culprit,
        at_risk: mappers(truncation, None, host.clock),
        at_risk_why: truncation.why.as_deref().map(Into::into),
    }
}

fn signal(incident: &Incident) -> Option<contract::Signal> {
    let signal = incident.signal.as_ref()?;
    let disposition = |disposition| match disposition {
        Disposition::Default => "default",
        Disposition::Ignore => "ignored",
        Disposition::Handler => "handler",
    };
    Some(contract::Signal {
        number: signal.number,
        name: signals::name(signal.number).into(),
        code: signal.code,
        code_name: signals::code_name(signal.number, signal.code).map(Into::into),
        address: (signal.code > 0 && signal.code != 0x80).then_some(Hex(signal.address)),
        disposition: incident.disposition.map(|told| disposition(told).into()),
    })
}

fn restart(incident: &Incident) -> Option<Restart> {
    let restart = incident.restart.as_ref()?;
    let ended = incident.exit.map_or(incident.last, |exit| exit.time);
    let start = restart.id.start;
    Some(Restart {
        pid: restart.id.tgid,
        start_time: (start != 0).then(|| at(incident.clock, start)),
        time: at(incident.clock, restart.time),
        after_ns: restart.time.saturating_sub(ended),
        by: restart.by.as_ref().map(ancestor),
        forked: restart.forked,
        same_arguments: restart.same_arguments,
    })
}

fn ring(ring: u16) -> &'static str {
    match ring {
        tracer_common::event::ring::CRITICAL => "decisive",
        _ => "chatty",
    }
}

/// Bytes of unknown origin.
pub(super) fn text(bytes: &[u8]) -> Untrusted {
    Untrusted(bytes.to_vec())
}

/// `ns` since boot as a time of day.
pub(super) fn at(clock: ClockOffset, ns: u64) -> Time {
    Time(clock.realtime(ns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        correlate::evidence::Verdict,
        model::{cause::Confidence, observe::Observe, time::ClockOffset},
        testing::{actor, fault, host, lacking},
    };

    /// Nobody can say more of it where nobody could see it: first of all the host is to be mended.
    #[test]
    fn what_cannot_be_told_on_a_host_that_is_not_ready_leads_to_doctor() {
        let mut incident = Incident::new(String::new(), 1, actor(7), ClockOffset::default());
        incident.fault = Some(fault(3, 0));
        let advice = CauseKind::Unknown.cause().advice;
        incident.cause = Verdict::new(CauseKind::Unknown, Confidence::Unknown, "", advice);
        let of = |host: &Host| reported_incident(&incident, host, false).advice.to_string();
        assert!(
            of(&lacking(&[Observe::FileFault, Observe::ForcedSignal]))
                .contains("`sudo whybus doctor`")
        );
        for ready in [host(), lacking(&[Observe::OomKill])] {
            assert!(of(&ready).contains("file an issue"), "{}", of(&ready));
        }
    }
}
