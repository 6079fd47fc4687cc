//! Whom a signal did not end though it came: who handles it and exits has the status of that exit.
use anyhow::Result;

use crate::{
    model::{
        cause::{CauseKind, Outcome},
        signal_name as signals,
    },
    select::{
        field::Field,
        pattern::BUS_ERRORS,
        selection::{Selection, Term, Values},
    },
    sink::{speak::say, stdout::history_style},
    store::sqlite::read::Reader,
    text::format::grouped,
};

/// Incidents that are looked at; of more it is said that there are more.
const LOOKED_AT: usize = 1_000;

/// Says of each signal that was asked for by `--exit` who had it and did not end by it, with the way to those.
///
/// # Errors
/// Where the history cannot be read.
pub fn caught(reader: &Reader, selection: &Selection) -> Result<()> {
    let Some(asked) = selection.terms.iter().find(|term| is_exit(term)) else { return Ok(()) };
    let Values::Numbers(statuses) = &asked.values else { return Ok(()) };
    for status in statuses.iter().copied().filter(|status| (129..160).contains(status)) {
        let signal = status - 128;
        let others = others(selection, signal);
        let found = reader.select(&others, LOOKED_AT)?;
        let had = |number: i32| u32::try_from(number) == Ok(signal);
        let sent = found.iter().filter_map(|one| one.signal.as_ref());
        let count = sent.filter(|sent| had(sent.number)).count();
        if count == 0 {
            continue;
        }
        let more = if found.len() == LOOKED_AT { "at least " } else { "" };
        let name = signals::name(signal.cast_signed());
        let (count, listed) = (grouped(count as u64), grouped(found.len() as u64));
        let how = "a handler exits with a status of its own, or goes on";
        let command =
            format!("`whybus list{} -n 0{}`", others.typed(), history_style(false, 1).flags);
        if signal.cast_signed() == signals::SIGBUS {
            let outcomes = found.iter().map(|one| one.outcome.known());
            let outlived = [Outcome::Survived, Outcome::Exited, Outcome::Efault];
            let no_end = outcomes.filter(|outcome| outlived.contains(outcome)).count();
            if no_end == 0 {
                continue;
            }
            if no_end != found.len() {
                say(format_args!(
                    "{} of {more}{listed} more bus errors ended no process by {name} ({how}; or a system call failed instead): {command}",
                    grouped(no_end as u64)
                ));
                continue;
            }
            say(format_args!(
                "{more}{listed} more {} no process by {name} ({how}; or a system call failed instead): {command}",
                if found.len() == 1 { "bus error ended" } else { "bus errors ended" }
            ));
        } else if count == listed {
            say(format_args!(
                "{more}{count} more had {name} and did not end by it ({how}): {command}"
            ));
        } else {
            say(format_args!(
                "{more}{count} of the {listed} that {command} lists had {name} and did not end by it ({how})"
            ));
        }
    }
    Ok(())
}

fn is_exit(term: &Term) -> bool {
    term.filter.field == Field::Exit && !term.not
}

/// Who ended otherwise, of the classes that such a signal makes.
fn others(selection: &Selection, signal: u32) -> Selection {
    let class = match signal.cast_signed() {
        signals::SIGBUS => BUS_ERRORS,
        signals::SIGABRT => CauseKind::Aborted.name(),
        _ => CauseKind::Signal.name(),
    };
    let mut others = selection.clone();
    others.terms.retain(|term| !is_exit(term));
    if !others.terms.iter().any(|term| term.filter.field == Field::Class && !term.not) {
        others = others.with(Term::of_names(Field::Class, &[class.to_owned()]));
    }
    others.with(Term::of_numbers(Field::Exit, &[128 + signal]).negated())
}
