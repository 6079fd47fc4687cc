//! The cause, and where in its program the victim failed.
use super::{
    at,
    process::{mappers, process},
    text,
};
use crate::{
    contract::{
        Cause, Chosen, Frame, Hex, Label, Memory, Module, Oom, Other, Replacement, Stack, Time,
        Untrusted,
    },
    correlate::incident::Incident,
    model::{
        self,
        cause::CauseKind,
        fact::Place,
        file::DELETED,
        oom::{OomKill, RanOut},
        shrink::{Shrink, how},
        stack::{Cut, STACK_LOST},
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
        culprit_stack: incident.culprit_stack.as_ref().and_then(captured).map(without_addresses),
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

/// Where it failed, as far as that is known.
pub(super) fn stack(incident: &Incident) -> Option<Stack> {
    let told = incident.place.as_ref().map(touching).or_else(|| fatal(incident));
    let Some(mut stack) = incident.stack.as_deref().and_then(captured) else {
        let cut = if incident.stack_lost { STACK_LOST } else { INNERMOST };
        let user: Vec<Frame> = told.into_iter().collect();
        let said = incident.stack_lost || !user.is_empty();
        return said.then(|| Stack { user, cut: Some(cut.into()) });
    };
    // What was asked while the process was there may know its file where the stack does not.
    let better = |told: &Frame, known: &Frame| {
        // Of the dead it was asked by path, which may lead to a file that was written over since.
        let asked_of_the_living = incident.place.is_some();
        // Of a stack that nobody had the time to look at nothing else is known.
        let unread = incident.stack.as_ref().is_some_and(|stack| stack.cut == Some(Cut::Parser));
        let asked_by_path = unread && told.module == known.module;
        let named = (asked_of_the_living || asked_by_path)
            && told.symbol.is_some()
            && known.symbol.is_none();
        told.ip == known.ip && (known.module.is_none() || named)
    };
    if let Some(innermost) = stack.user.first_mut()
        && let Some(told) = told.filter(|told| better(told, innermost))
    {
        *innermost = told;
    }
    Some(stack)
}

fn captured(stack: &model::stack::Stack) -> Option<Stack> {
    let user: Vec<Frame> = stack.frames.iter().map(frame).collect();
    (!user.is_empty()).then(|| Stack { user, cut: stack.cut.map(|cut| cut_short(cut).into()) })
}

/// The files that its stack ran through; `exe` is what its program is called, and `told` its stack with what was asked
/// while it was there: of a file that is gone by its end nothing else tells the build.
pub(super) fn modules(
    incident: &Incident,
    exe: Option<&Untrusted>,
    told: Option<&Stack>,
) -> Vec<Module> {
    let build_id = |path: &[u8]| {
        let mut frames = told?.user.iter();
        let of_it = |frame: &&Frame| frame.module.as_ref().is_some_and(|name| name.0 == path);
        frames.find(|frame| of_it(frame) && frame.build_id.is_some())?.build_id.clone()
    };
    let program = exe.map(|exe| exe.0.strip_suffix(DELETED).unwrap_or(&exe.0));
    let files = incident.stack.iter().flat_map(|stack| &stack.modules);
    files
        .map(|file| Module {
            path: text(&file.path),
            program: program == Some(&file.path[..]),
            build_id: file.build_id.as_deref().map(hex).or_else(|| build_id(&file.path)),
            changed: Time(file.changed),
            written: file.written.map(Time),
            removed: file.removed,
            replaced_by: file.replaced_by.as_ref().map(|other| Replacement {
                build_id: other.build_id.as_deref().map(hex),
                changed: Time(other.changed),
            }),
        })
        .collect()
}

/// Of a process that may live: what its address space looks like stays its own, and so does a word of its memory that the
/// kernel took for the address of code that was made there.
fn without_addresses(mut stack: Stack) -> Stack {
    stack.user.iter_mut().for_each(|frame| frame.ip = None);
    stack
}

/// Why there is one frame alone.
const INNERMOST: &str = "no stack captured; innermost frame only";

fn cut_short(cut: Cut) -> &'static str {
    match cut {
        Cut::Many => "more than 64 frames",
        Cut::Captured => "outer frames lie beyond the captured 16 KiB",
        Cut::Parser => "its programs' files were not read in time",
        Cut::Unwind => "no usable unwind information",
    }
}

fn frame(frame: &model::stack::Frame) -> Frame {
    Frame {
        ip: Some(Hex(frame.ip)),
        symbol: frame.symbol.as_deref().map(text),
        symbol_offset: frame.symbol_offset,
        module: frame.module.as_deref().map(text),
        module_offset: frame.offset,
        build_id: frame.build_id.as_deref().map(hex),
        module_address: frame.address.map(Hex),
        source: frame.source.as_deref().map(text),
        line: frame.line,
        inlined: frame.inlined,
    }
}

/// The instruction that touched the page.
fn touching(place: &Place) -> Frame {
    let symbol = place.symbol.as_ref();
    Frame {
        ip: Some(Hex(place.ip)),
        symbol: symbol.map(|symbol| text(&symbol.name)),
        symbol_offset: symbol.map(|symbol| symbol.offset),
        module: Some(text(&place.module)),
        module_offset: Some(place.offset),
        build_id: place.build_id.as_deref().map(hex),
        module_address: place.address.map(Hex),
        ..Frame::default()
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
        ip: Some(Hex(raised.ip?)),
        symbol: symbol.map(|symbol| text(&symbol.name)),
        symbol_offset: symbol.map(|symbol| symbol.offset),
        module: incident.module_path.as_deref().map(text),
        module_offset: module.map(|module| module.offset),
        ..Frame::default()
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
        let (offset, address) = (7, Some(0x1007));
        incident.place = Some(Place { victim, ip: 9, module, offset, address, symbol, build_id });
        let frame = Frame {
            ip: Some(Hex(9)),
            symbol: Some(text(b"geo_lookup")),
            symbol_offset: Some(3),
            module: Some(text(b"/usr/bin/geo")),
            module_offset: Some(7),
            build_id: Some("0aff".into()),
            module_address: Some(Hex(0x1007)),
            ..Frame::default()
        };
        assert_eq!(
            stack(&incident),
            Some(Stack { user: vec![frame], cut: Some(INNERMOST.into()) })
        );
    }
}
