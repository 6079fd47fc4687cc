//! The cause, and where in its program the victim failed.
use super::{
    at,
    process::{mappers, process},
    text,
};
use crate::{
    contract::{Cause, Chosen, Frame, Hex, Memory, Oom, Other, Stack},
    correlate::incident::Incident,
    model::{
        cause::CauseKind,
        oom::{OomKill, RanOut},
        shrink::{Shrink, how},
        time::ClockOffset,
    },
};

pub(super) fn cause(incident: &Incident, page_size: u64) -> Cause {
    let clock = incident.clock;
    let verdict = &incident.cause;
    let shrink = verdict.shrink.as_ref();
    let by = incident.culprit_process.as_ref();
    let warning = incident.truncation.as_ref();
    let victim = incident.victim.task.id.tgid;
    Cause {
        class: verdict.class.into(),
        confidence: verdict.confidence.into(),
        summary: verdict.summary.as_str().into(),
        how: shrink.map(|shrink| how(shrink.how).into()),
        old_size: shrink.map(|shrink| shrink.inode.size),
        new_size: shrink.map(|shrink| shrink.new_size),
        time: shrink.map(|shrink| at(clock, shrink.begin)),
        before_ns: shrink.map(|shrink| incident.first.saturating_sub(shrink.begin)),
        path: incident.culprit_path.as_deref().map(text),
        mapped: shrink.map(|shrink| shrink.mapped),
        culprit: incident.culprit().map(|culprit| process(culprit, by, clock)),
        mapping: incident.mapped.as_deref().map(text),
        truncation: warning.map(|warning| warning.id.as_str().into()),
        at_risk: warning.map(|warning| mappers(warning, Some(victim), clock)),
        others: verdict.others.iter().map(|shrink| other(shrink, clock)).collect(),
        memory: incident.memory.as_ref().map(|memory| Memory {
            cgroup: text(&memory.cgroup),
            limit: memory.limit,
            used: memory.used,
        }),
        oom: incident
            .oom
            .as_ref()
            .filter(|_| verdict.class == CauseKind::OomKilled)
            .map(|kill| oom(kill, page_size)),
    }
}

fn oom(kill: &OomKill, page_size: u64) -> Oom {
    let ran_out = match kill.ran_out {
        RanOut::Cgroup(_) => "cgroup",
        RanOut::Host => "host",
        RanOut::Cpuset => "cpuset",
        RanOut::MemoryPolicy => "mempolicy",
        RanOut::Nothing => "sysrq",
    };
    let chosen = &kill.chosen;
    Oom {
        ran_out: ran_out.into(),
        total: kill.total.saturating_mul(page_size),
        chosen: Chosen { pid: chosen.id.tgid, comm: text(&chosen.comm) },
    }
}

fn other(shrink: &Shrink, clock: ClockOffset) -> Other {
    Other {
        pid: shrink.actor.task.id.tgid,
        comm: text(&shrink.actor.task.comm),
        how: how(shrink.how).into(),
        old_size: shrink.inode.size,
        new_size: shrink.new_size,
        time: at(clock, shrink.begin),
    }
}

/// The instruction that failed, if its file is known.
pub(super) fn stack(incident: &Incident) -> Option<Stack> {
    let crashed = matches!(incident.cause.class, CauseKind::Signal | CauseKind::Overwritten);
    let death = incident.death.as_ref().filter(|_| crashed)?;
    let signal = incident.signal.as_ref()?;
    let raised = death.fault.filter(|raised| raised.signal == signal.number && signal.forced)?;
    let module = death.module.as_ref();
    let symbol = incident.symbol.as_ref();
    let frame = Frame {
        ip: Hex(raised.ip?),
        symbol: symbol.map(|symbol| text(&symbol.name)),
        symbol_offset: symbol.map(|symbol| symbol.offset),
        module: incident.module_path.as_deref().map(text),
        module_offset: module.map(|module| module.offset),
    };
    Some(Stack { user: vec![frame] })
}
