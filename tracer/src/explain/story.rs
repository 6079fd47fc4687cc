//! A restart loop as one story: the same program in the same place, dying again and again.
use std::collections::{BTreeSet, HashSet};

use crate::{
    contract::{
        Before, CauseCount, Elsewhere, Gap, Incident, Label, RestartSpread, Story, Time,
        series::SeriesExit,
    },
    explain::{
        differences::differences, phrase::ADVICE_ELSEWHERE, ruled_out::ruled_out, timeline::steps,
    },
    model::cause::CauseKind,
};

/// A series in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Incidents, and how many ends they stand for.
    pub incidents: u64,
    pub deaths: u64,
    /// Ns since the epoch, of those looked at.
    pub first: i64,
    pub last: i64,
    pub restarts: Option<RestartSpread>,
    /// How often each cause, the most frequent first.
    pub causes: Vec<CauseCount>,
    /// More happened than was looked at for the spread and the causes.
    pub partial: bool,
}

/// The story of a series: its numbers, its latest incident in full, the gaps near it, and in what the last of its deaths
/// differ.
pub fn story(
    latest: Incident,
    elsewhere: Option<Elsewhere>,
    before: Option<Before>,
    summary: Summary,
    gaps: Vec<Gap>,
    deaths_in_full: &[Incident],
) -> Story {
    let Summary { incidents, deaths, first, last, restarts, mut causes, partial } = summary;
    for cause in &mut causes {
        cause.signal = signal_of(cause, deaths_in_full.iter().chain([&latest]));
    }
    Story {
        incidents,
        deaths,
        first: Time(first),
        last: Time(last),
        partial,
        restarts,
        watched_after_ns: None,
        pids: pids(deaths_in_full, incidents),
        causes,
        differences: differences(deaths_in_full).into_iter().map(Label::from).collect(),
        timeline: steps(&latest, elsewhere.as_ref()),
        ruled_out: ruled_out(&latest),
        gaps,
        advice: match elsewhere {
            Some(_) => ADVICE_ELSEWHERE.into(),
            None => latest.advice.clone(),
        },
        elsewhere: elsewhere.map(Box::new),
        before: before.map(Box::new),
        incident: latest,
    }
}

/// The pids of all of a story, if these are all and few.
fn pids(deaths: &[Incident], incidents: u64) -> Vec<u32> {
    /// More make no command that anybody reads.
    const FEW: usize = 12;
    let pids: BTreeSet<u32> = deaths.iter().map(|one| one.victim.pid).collect();
    match deaths.len() as u64 == incidents && pids.len() <= FEW {
        true => pids.into_iter().collect(),
        false => Vec::new(),
    }
}

/// Which signal it was, where the status does not say so: a handler made it of it. None where it was not always the same, or
/// not all of these deaths were compared.
fn signal_of<'a>(cause: &CauseCount, deaths: impl Iterator<Item = &'a Incident>) -> Option<Label> {
    let status = cause.status.filter(|_| &*cause.class == CauseKind::Signal.name())?;
    let same = |one: &&Incident| {
        one.cause.class.name() == &*cause.class && one.death_status() == Some(status)
    };
    let (mut compared, mut ids) = (0, HashSet::new());
    let deaths = deaths.filter(same).filter(|one| ids.insert(&*one.id));
    let deaths = deaths.inspect(|_| compared += 1);
    let signals = deaths.filter_map(|one| one.signal.as_ref());
    let mut signals = signals.filter(|one| one.number.unsigned_abs().saturating_add(128) != status);
    let first = signals.next()?;
    let same = signals.all(|one| one.number == first.number);
    (same && compared == cause.count).then(|| first.name.clone())
}

/// Sums up what was looked at, oldest first, of `incidents` in all.
pub fn summary(looked_at: &[SeriesExit], incidents: u64) -> Summary {
    let ended = looked_at.iter().filter(|death| death.status.is_some());
    let mut causes: Vec<CauseCount> = Vec::new();
    for SeriesExit { class, status, .. } in looked_at {
        match causes.iter_mut().find(|known| &*known.class == class && known.status == *status) {
            Some(known) => known.count += 1,
            None => causes.push(CauseCount {
                class: class.as_str().into(),
                status: *status,
                signal: None,
                count: 1,
            }),
        }
    }
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.count));
    let mut delays: Vec<u64> = looked_at.iter().filter_map(|death| death.restart_ns).collect();
    delays.sort_unstable();
    let restarts = delays.first().zip(delays.last()).map(|(min, max)| RestartSpread {
        count: delays.len() as u64,
        min_ns: *min,
        median_ns: delays[(delays.len() - 1) / 2],
        max_ns: *max,
    });
    // Of bus errors `times` counts faults, not ends.
    let plain = |death: &&SeriesExit| death.class == "exited";
    let more: u64 = looked_at.iter().filter(plain).map(|death| death.times.saturating_sub(1)).sum();
    Summary {
        incidents,
        deaths: ended.count() as u64 + more,
        first: looked_at.first().map_or(0, |death| death.time),
        last: looked_at.last().map_or(0, |death| death.time),
        restarts,
        causes,
        partial: incidents > looked_at.len() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn death(time: i64, class: &str, status: u32, restart_ns: Option<u64>) -> SeriesExit {
        SeriesExit { time, class: class.to_owned(), status: Some(status), times: 1, restart_ns }
    }

    #[test]
    fn a_loop_in_numbers() {
        let deaths = [
            death(1, "truncated", 135, Some(30)),
            death(2, "truncated", 135, Some(10)),
            death(3, "exited", 1, Some(20)),
            SeriesExit { times: 5, ..death(4, "exited", 1, None) },
        ];
        let told = summary(&deaths, 9);
        assert_eq!((told.incidents, told.deaths, told.partial), (9, 8, true));
        let spread = RestartSpread { count: 3, min_ns: 10, median_ns: 20, max_ns: 30 };
        assert_eq!(told.restarts, Some(spread));
        let causes: Vec<_> = told.causes.iter().map(|c| (&*c.class, c.count)).collect();
        assert_eq!(causes, [("truncated", 2), ("exited", 2)]);
        assert_eq!(summary(&[], 0).restarts, None);
    }
}
