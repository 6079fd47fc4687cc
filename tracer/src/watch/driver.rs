//! The one way through a watch, live or replayed: inputs in, what they tell out to the sink.
use anyhow::Result;

use crate::{
    correlate::{
        engine::Engine,
        incident::Incident,
        update::{Counts, Update},
    },
    model::{
        cause::CauseKind,
        fault::BurstKey,
        host::Host,
        input::{Input, Stamp, WatchNote},
        task::Actor,
    },
    select::selection::Selection,
    sink::Sink,
};

/// Engine, selection and sink.
pub struct Driver<'a> {
    engine: Engine,
    selection: &'a Selection,
    sink: &'a mut dyn Sink,
    /// The command of `trace -- CMD`, and who adopts for it: only it and its descendants are reported.
    command: Option<(u32, Option<u32>)>,
    /// Starts those that parse files for us: what becomes of them is told in other words.
    parser: Option<u32>,
    /// Incidents that passed the selection.
    reported: u64,
    /// Those of them whose cause is not `unknown`.
    explained: u64,
    /// Those of these whose cause is only likely.
    likely: u64,
    /// Those that are proven, as far as what is missing would not have told otherwise.
    incomplete: u64,
}

impl<'a> Driver<'a> {
    /// Begins, and says what is watched.
    ///
    /// # Errors
    /// Where the sink takes nothing.
    pub fn start(host: Host, selection: &'a Selection, sink: &'a mut dyn Sink) -> Result<Self> {
        sink.watching(&host)?;
        Ok(Self {
            engine: Engine::new(host),
            selection,
            sink,
            command: None,
            parser: None,
            reported: 0,
            explained: 0,
            likely: 0,
            incomplete: 0,
        })
    }

    pub fn host(&self) -> &Host {
        self.engine.host()
    }

    /// Incidents reported so far.
    pub fn reported(&self) -> u64 {
        self.reported
    }

    /// Whether nothing becomes due without another input.
    pub fn is_idle(&self) -> bool {
        self.engine.idle()
    }

    /// Whether time has anything to decide.
    pub fn holds_anything(&self) -> bool {
        self.engine.holds_anything()
    }

    /// Faults that loop, whose counts are to be read.
    pub fn bursts(&self) -> Vec<BurstKey> {
        self.engine.bursts()
    }

    /// Takes one input in.
    ///
    /// # Errors
    /// Where the sink takes nothing more.
    pub fn push(&mut self, stamp: Stamp, input: Input) -> Result<()> {
        match &input {
            Input::Watch(WatchNote::Command { tgid, reaper }) => {
                self.command = Some((*tgid, *reaper));
            }
            Input::Watch(WatchNote::Parser { tgid }) => self.parser = Some(*tgid),
            Input::Watch(WatchNote::Coverage(coverage)) => {
                let host = Host { coverage: coverage.clone(), ..self.engine.host().clone() };
                self.sink.watching(&host)?;
            }
            _ => {}
        }
        self.engine.push(stamp, input);
        Ok(())
    }

    /// Moves time on to `now` (ns since boot) and reports what has become due.
    ///
    /// # Errors
    /// Where the sink takes nothing more.
    pub fn advance(&mut self, now: u64) -> Result<()> {
        let updates = self.engine.advance(now);
        self.report(&updates)
    }

    /// Reports all that is open, and the end.
    ///
    /// # Errors
    /// Where the sink takes nothing more.
    pub fn end(&mut self, now: u64, reason: &str) -> Result<()> {
        let updates = self.engine.finish();
        self.report(&updates)?;
        // What was asked for counts, not what else happened.
        let counts = Counts {
            incidents: self.reported,
            explained: self.explained,
            likely: self.likely,
            incomplete: self.incomplete,
            ..self.engine.counts()
        };
        self.sink.end(&counts, self.engine.host(), now, reason)
    }

    /// A second or so has passed.
    pub fn tick(&mut self, now: u64) {
        self.sink.tick(now, &self.engine.counts(), self.engine.host());
    }

    fn report(&mut self, updates: &[Update]) -> Result<()> {
        for update in updates {
            let ours = match update {
                Update::Incident(incident) | Update::Change(incident) => self.is_ours(incident),
                Update::Truncation(_) => self.command.is_none(),
                Update::Loss(_) | Update::Missed { .. } => true,
            };
            if ours && self.selection.passes(update, self.engine.host().clock) {
                if let Update::Incident(incident) = update {
                    self.reported += 1;
                    self.explained += u64::from(incident.cause.class != CauseKind::Unknown);
                    self.likely += u64::from(incident.cause.is_likely());
                    self.incomplete += u64::from(incident.is_proven_in_part());
                }
                self.sink.update(update, self.engine.host())?;
            }
        }
        Ok(())
    }

    /// Whether the victim is none of our own, and the traced command or descends from it.
    fn is_ours(&self, incident: &Incident) -> bool {
        let Actor { task, ancestors, .. } = &incident.victim;
        let parent = ancestors.first().map(|parent| parent.id.tgid);
        if self.parser.is_some_and(|own| task.id.tgid == own || parent == Some(own)) {
            return false;
        }
        let Some((root, reaper)) = self.command else { return true };
        let process = incident.victim_process.as_ref();
        let by_proc = process.map(|process| process.ancestors.as_slice()).unwrap_or_default();
        task.id.tgid == root
            || ancestors.iter().chain(by_proc).map(|ancestor| ancestor.id.tgid).any(|ancestor| {
                // Of ours all but those that parse are of the command.
                ancestor == root || Some(ancestor) == reaper
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{input::KernelEvent, process::ExitScope},
        testing::{self, child_of},
    };

    /// The processes whose ends were told.
    #[derive(Default)]
    struct Victims(Vec<u32>);

    impl Sink for Victims {
        fn watching(&mut self, _host: &Host) -> Result<()> {
            Ok(())
        }

        fn update(&mut self, update: &Update, _host: &Host) -> Result<()> {
            if let Update::Incident(incident) = update {
                self.0.push(incident.victim.task.id.tgid);
            }
            Ok(())
        }

        fn end(&mut self, _: &Counts, _: &Host, _: u64, _: &str) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_end_of_who_parses_is_no_incident() {
        let deaths = ExitScope { signals: 1 << 11, ..ExitScope::default() };
        let host = Host { deaths, ..testing::host() };
        let (selection, mut sink) = (Selection::default(), Victims::default());
        let mut driver = Driver::start(host, &selection, &mut sink).expect("a sink");
        let note = Input::Watch(WatchNote::Parser { tgid: 50 });
        driver.push(Stamp::unnumbered(testing::SINCE), note).expect("a sink");
        die(&mut driver, &[(50, 99), (51, 50), (52, 99)]);
        driver.end(testing::SINCE + 60_000_000_000, "it is over").expect("a sink");
        assert_eq!(sink.0, [52]);
    }

    /// Whose parent has ended is ours by then, and the command's all the same.
    #[test]
    fn who_was_adopted_is_of_the_command() {
        let deaths = ExitScope { signals: 1 << 11, ..ExitScope::default() };
        let host = Host { deaths, ..testing::host() };
        let (selection, mut sink) = (Selection::default(), Victims::default());
        let mut driver = Driver::start(host, &selection, &mut sink).expect("a sink");
        for note in
            [WatchNote::Command { tgid: 60, reaper: Some(40) }, WatchNote::Parser { tgid: 50 }]
        {
            driver.push(Stamp::unnumbered(testing::SINCE), note.into()).expect("a sink");
        }
        die(&mut driver, &[(50, 40), (51, 50), (60, 40), (61, 60), (62, 40), (63, 1)]);
        driver.end(testing::SINCE + 60_000_000_000, "it is over").expect("a sink");
        assert_eq!(sink.0, [60, 61, 62]);
    }

    /// Processes, each of a parent, that SIGSEGV ends.
    fn die(driver: &mut Driver<'_>, processes: &[(u32, u32)]) {
        for (tgid, parent) in processes.iter().copied() {
            let time = testing::SINCE + u64::from(tgid);
            let mut death = testing::exit(time, 11);
            death.actor = testing::actor(tgid);
            death.actor.ancestors = child_of(parent);
            death.exit.id = death.actor.task.id;
            let event = Input::Kernel(KernelEvent::ProcessExit(Box::new(death)));
            driver.push(Stamp::unnumbered(time), event).expect("a sink");
        }
    }
}
