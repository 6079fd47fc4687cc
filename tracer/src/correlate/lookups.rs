//! What was looked up after an incident's fault or end.
use std::ops::ControlFlow;

use crate::{
    correlate::incident::Incident,
    model::{
        fact::{Commit, Fact, HugeLimit, HugePages, Mapped, MemoryLimit, Quota, Space},
        task::ProcessId,
    },
};

/// What was looked up first after an incident's fault.
#[derive(Debug, Clone, Default)]
pub struct Lookups {
    pub space: Option<Space>,
    pub quota: Option<Quota>,
    pub huge_pages: Option<HugePages>,
    pub commit: Option<Commit>,
    pub huge_limit: Option<HugeLimit>,
    pub mapped: Option<Mapped>,
    pub memory: Option<MemoryLimit>,
}

impl Lookups {
    /// Takes in what was looked up, if it is about `incident`. `Break` if it is about no other.
    pub fn learn(&mut self, incident: &mut Incident, fact: &Fact) -> ControlFlow<()> {
        let of = |victim: ProcessId| incident.victim.task.id.same(victim);
        match fact {
            Fact::Space(space)
                if incident.fault.as_ref().is_some_and(|f| f.inode.id.dev == space.dev) =>
            {
                self.space.get_or_insert(*space);
            }
            Fact::Quota(quota) if of(quota.victim) => {
                self.quota.get_or_insert(*quota);
            }
            Fact::HugePages(pages) if pages.victim.is_none_or(of) => {
                self.huge_pages.get_or_insert(*pages);
            }
            Fact::Commit(commit) => {
                self.commit.get_or_insert(*commit);
            }
            Fact::HugeLimit(limit) if of(limit.victim) => {
                self.huge_limit.get_or_insert_with(|| limit.clone());
            }
            Fact::OomKills { victim, count } if of(*victim) => {
                incident.oom_kills.get_or_insert(*count);
            }
            Fact::BoundDriver(driver) if of(driver.victim) => {
                incident.driver = Some(driver.clone())
            }
            Fact::Mapped(mapped) if of(mapped.victim) && incident.fault.is_none() => {
                let address = incident.signal.as_ref().map(|signal| signal.address);
                if address == Some(mapped.address) {
                    self.mapped = Some(mapped.clone());
                    return ControlFlow::Break(());
                }
            }
            Fact::Place(place)
                if of(place.victim)
                    && incident.fault.as_ref().is_some_and(|f| f.ip == Some(place.ip)) =>
            {
                incident.place.get_or_insert_with(|| place.clone());
            }
            Fact::Stack(stack) if of(stack.process) && incident.is_ended_by(stack) => {
                incident.stack = Some(stack.clone());
                return ControlFlow::Break(());
            }
            Fact::Symbol(symbol) if of(symbol.victim) => {
                incident.symbol = Some(symbol.clone());
                return ControlFlow::Break(());
            }
            Fact::MemoryLimit(limit) if of(limit.victim) => {
                self.memory = Some(limit.clone());
                return ControlFlow::Break(());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
