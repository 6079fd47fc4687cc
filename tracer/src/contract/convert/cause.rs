//! The cause, and where in its program the victim failed.
use super::{
    at,
    process::{mappers, process},
    text,
};
use crate::{
    contract::{Cause, Chosen, Frame, Hex, Label, Memory, Oom, Other, Stack},
    correlate::incident::Incident,
    model::{
        cause::CauseKind,
        fact::Place,
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
    let frame = incident.place.as_ref().map(touching).or_else(|| fatal(incident))?;
    Some(Stack { user: vec![frame] })
}

/// The instruction that touched the page.
fn touching(place: &Place) -> Frame {
    let symbol = place.symbol.as_ref();
    Frame {
        ip: Hex(place.ip),
        symbol: symbol.map(|symbol| text(&symbol.name)),
        symbol_offset: symbol.map(|symbol| symbol.offset),
        module: Some(text(&place.module)),
        module_offset: Some(place.offset),
        build_id: place.build_id.as_deref().map(hex),
    }
}

fn hex(id: &[u8]) -> Label {
    id.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

/// The instruction that a signal other than SIGBUS ended the process at.
fn fatal(incident: &Incident) -> Option<Frame> {
    let crashed = matches!(incident.cause.class, CauseKind::Signal | CauseKind::Overwritten);
    let death = incident.death.as_ref().filter(|_| crashed)?;
    let signal = incident.signal.as_ref()?;
    let raised = death.fault.filter(|raised| raised.signal == signal.number && signal.forced)?;
    let module = death.module.as_ref();
    let symbol = incident.symbol.as_ref();
    Some(Frame {
        ip: Hex(raised.ip?),
        symbol: symbol.map(|symbol| text(&symbol.name)),
        symbol_offset: symbol.map(|symbol| symbol.offset),
        module: incident.module_path.as_deref().map(text),
        module_offset: module.map(|module| module.offset),
        build_id: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::fact::Symbol,
        testing::{VICTIM, actor},
    };

    #[test]
    fn a_bus_error_has_the_place_that_proc_told() {
        let mut incident = Incident::new("a".into(), 1, actor(VICTIM), ClockOffset(0));
        assert_eq!(stack(&incident), None);
        let victim = incident.victim.task.id;
        let symbol = Some(Symbol { victim, name: b"geo_lookup".to_vec(), offset: 3 });
        let (module, build_id) = (b"/usr/bin/geo".to_vec(), Some(vec![0x0a, 0xff]));
        incident.place = Some(Place { victim, ip: 9, module, offset: 7, symbol, build_id });
        let frame = Frame {
            ip: Hex(9),
            symbol: Some(text(b"geo_lookup")),
            symbol_offset: Some(3),
            module: Some(text(b"/usr/bin/geo")),
            module_offset: Some(7),
            build_id: Some("0aff".into()),
        };
        assert_eq!(stack(&incident), Some(Stack { user: vec![frame] }));
    }
}
