//! A restart loop as one story: the same program in the same place, dying again and again.
use serde::Serialize;

use crate::{contract::Incident, model::cgroup::place};

/// What incidents of one restart loop have in common: host and boot, program, and the place it is
/// started in: the pod whose containers follow one another, the unit that systemd starts again, or else
/// its parent.
pub fn key(incident: &Incident) -> u64 {
    let victim = &incident.victim;
    let cgroup = victim.cgroup.as_ref().map(|cgroup| &cgroup.0[..]).unwrap_or_default();
    let parent = victim.ppid.unwrap_or(0).to_le_bytes();
    let service = victim.unit.as_ref().map(|unit| &unit.0[..]);
    let service = service.filter(|unit| unit.ends_with(b".service"));
    let place = place(cgroup).or(service).unwrap_or(&parent);
    let parts = [incident.host.as_bytes(), incident.boot_id.as_bytes(), &victim.comm.0, place];
    hash(&parts)
}

/// FNV-1a, the parts kept apart. On disk: stays what it is.
pub fn hash(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in part.iter().chain(b"\0") {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
    hash
}

/// One end in a story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessExit {
    /// Ns since the epoch.
    pub time: i64,
    pub class: String,
    /// As a shell has it; `None` where the process did not end, or nobody saw it.
    pub status: Option<u32>,
    /// How many this stands for.
    pub times: u64,
    /// From the end to the restart.
    pub restart_ns: Option<u64>,
}

/// A story in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Incidents, and how many ends they stand for.
    pub incidents: u64,
    pub deaths: u64,
    /// Ns since the epoch, of those looked at.
    #[serde(skip)]
    pub first: i64,
    #[serde(skip)]
    pub last: i64,
    pub restarts: Option<Spread>,
    /// How often each cause, the most frequent first.
    pub causes: Vec<Cause>,
    /// More happened than was looked at for the spread and the causes.
    pub partial: bool,
}

/// Delays from end to restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Spread {
    pub count: u64,
    pub min_ns: u64,
    pub median_ns: u64,
    pub max_ns: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    pub class: String,
    pub status: Option<u32>,
    pub count: u64,
}

/// Sums up what was looked at, oldest first, of `incidents` in all.
pub fn summary(looked_at: &[ProcessExit], incidents: u64) -> Summary {
    let ended = looked_at.iter().filter(|death| death.status.is_some());
    let mut causes: Vec<Cause> = Vec::new();
    for ProcessExit { class, status, .. } in looked_at {
        match causes.iter_mut().find(|known| known.class == *class && known.status == *status) {
            Some(known) => known.count += 1,
            None => causes.push(Cause { class: class.clone(), status: *status, count: 1 }),
        }
    }
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.count));
    let mut delays: Vec<u64> = looked_at.iter().filter_map(|death| death.restart_ns).collect();
    delays.sort_unstable();
    let restarts = delays.first().zip(delays.last()).map(|(min, max)| Spread {
        count: delays.len() as u64,
        min_ns: *min,
        median_ns: delays[(delays.len() - 1) / 2],
        max_ns: *max,
    });
    // Of bus errors `times` counts faults, not ends.
    let plain = |death: &&ProcessExit| death.class == "exited";
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

    fn death(time: i64, class: &str, status: u32, restart_ns: Option<u64>) -> ProcessExit {
        ProcessExit { time, class: class.to_owned(), status: Some(status), times: 1, restart_ns }
    }

    #[test]
    fn a_loop_in_numbers() {
        let deaths = [
            death(1, "truncated", 135, Some(30)),
            death(2, "truncated", 135, Some(10)),
            death(3, "exited", 1, Some(20)),
            ProcessExit { times: 5, ..death(4, "exited", 1, None) },
        ];
        let told = summary(&deaths, 9);
        assert_eq!((told.incidents, told.deaths, told.partial), (9, 8, true));
        let spread = Spread { count: 3, min_ns: 10, median_ns: 20, max_ns: 30 };
        assert_eq!(told.restarts, Some(spread));
        let causes: Vec<_> = told.causes.iter().map(|c| (c.class.as_str(), c.count)).collect();
        assert_eq!(causes, [("truncated", 2), ("exited", 2)]);
        assert_eq!(summary(&[], 0).restarts, None);
    }

    #[test]
    fn parts_are_kept_apart() {
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
    }
}
