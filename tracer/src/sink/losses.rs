//! Events that were lost, gathered before they become gaps of a history: whoever makes events be lost shall not fill it.
use std::collections::BTreeMap;

use crate::contract::{Gap, Label, Loss, Time};

/// How often what was lost becomes gaps, ns: a minute.
const OFTEN: i64 = 60_000_000_000;

/// Losses that are not gaps yet, by CPU and boot.
#[derive(Default)]
pub struct Losses {
    open: BTreeMap<(u32, Label), Gap>,
    /// When they became gaps last, ns since the epoch.
    noted: Option<i64>,
}

impl Losses {
    /// One more.
    pub fn add(&mut self, loss: &Loss, gap: Gap) {
        let same = |known: &mut Gap| {
            known.since.0 = known.since.0.min(gap.since.0);
            known.until.0 = known.until.0.max(gap.until.0);
            known.lost = known.lost.zip(gap.lost).map(|(all, more)| all.saturating_add(more));
        };
        let key = (loss.cpu, gap.boot_id.clone());
        self.open.entry(key).and_modify(same).or_insert(gap);
    }

    /// Those that are due `now`: a loss after a quiet minute at once, others a minute later.
    pub fn due(&mut self, now: Time) -> Vec<Gap> {
        let soon = self.noted.is_some_and(|at| (0..OFTEN).contains(&now.0.saturating_sub(at)));
        if soon || self.open.is_empty() {
            return Vec::new();
        }
        self.noted = Some(now.0);
        self.all()
    }

    /// All of them.
    pub fn all(&mut self) -> Vec<Gap> {
        std::mem::take(&mut self.open).into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{GapReason, Record, samples::every_kind};

    #[test]
    fn losses_of_a_minute_are_one_gap_a_cpu() {
        let loss = every_kind().into_iter().find_map(|record| match record {
            Record::Loss(loss) => Some(loss),
            _ => None,
        });
        let mut loss = loss.expect("a sample");
        let second = 1_000_000_000;
        let mut losses = Losses::default();
        let mut gaps = Vec::new();
        for i in 0..300 {
            loss.cpu = (i % 2) as u32;
            let gap = Gap {
                host: "host".into(),
                boot_id: "boot".into(),
                since: Time(i * second),
                until: Time(i * second + 1),
                reason: GapReason::Events { cpu: loss.cpu },
                lost: Some(3),
            };
            losses.add(&loss, gap);
            gaps.extend(losses.due(Time(i * second + 2)));
        }
        assert_eq!(gaps[0].lost, Some(3), "the first at once");
        assert_eq!(gaps.len(), 9, "then two a minute: {gaps:?}");
        gaps.extend(losses.all());
        assert_eq!(gaps.iter().filter_map(|gap| gap.lost).sum::<u64>(), 900);
        assert_eq!(losses.all(), []);
    }
}
