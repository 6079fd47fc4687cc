//! Whom the OOM killer kills, and what ran out.
use bytes::Buf;
use tracer_common::event::constraint;

use crate::{
    model::{
        oom::{Counter, MemoryCgroup, OomKill, RanOut},
        task::ProcessId,
    },
    wire::decode::task::task,
};

/// `wire::OomKill`
pub fn oom_kill(b: &mut &[u8]) -> OomKill {
    let start = b.get_u64_le();
    let id = Some(b.get_u64_le()).filter(|id| *id != 0);
    let (memory, memsw) = (counter(b), counter(b));
    let total = b.get_u64_le();
    let chosen = task(b);
    let (tgid, constraint, order) = (b.get_u32_le(), b.get_u32_le(), b.get_i32_le());
    let memsw = (memsw.limit != 0).then_some(memsw);
    let ran_out = match constraint {
        constraint::MEMCG => RanOut::Cgroup(MemoryCgroup { id, memory, memsw }),
        _ if order == -1 => RanOut::Nothing,
        constraint::CPUSET => RanOut::Cpuset,
        constraint::MEMORY_POLICY => RanOut::MemoryPolicy,
        _ => RanOut::Host,
    };
    OomKill { victim: ProcessId { tgid, start }, chosen, ran_out, total }
}

fn counter(b: &mut &[u8]) -> Counter {
    Counter { limit: b.get_u64_le(), used: b.get_u64_le() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::input::KernelEvent,
        wire::decode::{
            decode,
            testing::{bytes, zeroed},
        },
    };
    use tracer_common::event as wire;

    fn decoded(kill: &wire::OomKill) -> OomKill {
        match decode(&bytes(kill, b"")).expect("an event").1 {
            Some(KernelEvent::OomKill(kill)) => *kill,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_field() {
        let mut sent: wire::OomKill = zeroed();
        (sent.tgid, sent.start_time, sent.cgroup) = (1, 2, 3);
        (sent.limit, sent.used, sent.total) = (4, 5, 6);
        (sent.chosen.tgid, sent.chosen.start_time) = (7, 8);
        sent.constraint = constraint::MEMCG;
        let kill = decoded(&sent);
        assert_eq!(kill.victim, ProcessId { tgid: 1, start: 2 });
        assert_eq!((kill.chosen.id, kill.total), (ProcessId { tgid: 7, start: 8 }, 6));
        let memory = Counter { limit: 4, used: 5 };
        let told = MemoryCgroup { id: Some(3), memory, memsw: None };
        assert_eq!(kill.ran_out, RanOut::Cgroup(told));
        // A v1 hierarchy.
        (sent.cgroup, sent.memsw_limit, sent.memsw_used) = (0, 9, 10);
        let memsw = Some(Counter { limit: 9, used: 10 });
        assert_eq!(
            decoded(&sent).ran_out,
            RanOut::Cgroup(MemoryCgroup { id: None, memory, memsw })
        );
    }

    #[test]
    fn what_ran_out() {
        let ran_out = |constraint, order| {
            let mut sent: wire::OomKill = zeroed();
            (sent.constraint, sent.order) = (constraint, order);
            decoded(&sent).ran_out
        };
        assert_eq!(ran_out(constraint::NONE, 0), RanOut::Host);
        assert_eq!(ran_out(constraint::CPUSET, 0), RanOut::Cpuset);
        assert_eq!(ran_out(constraint::MEMORY_POLICY, 3), RanOut::MemoryPolicy);
        assert_eq!(ran_out(constraint::NONE, -1), RanOut::Nothing);
    }
}
