//! A saved stream through the driver: it reports what was reported live, byte for byte.
use std::io::BufRead;

use anyhow::Result;

use crate::{
    model::{
        host::Host,
        input::{Input, WatchNote},
    },
    select::selection::Selection,
    sink::Sink,
    watch::driver::Driver,
    wire::stream::Records,
};

/// In streams that do not say when time moved on (version 1): how much older than a record those behind it
/// may be. A busy host reads its rings late, one after the other. Ns.
const LATE: u64 = 1_000_000_000;

/// What a replay came to.
#[derive(Debug)]
pub struct Replayed {
    /// Incidents that were reported.
    pub incidents: u64,
    /// Records that were skipped because their kind, or its version, is not known here.
    pub unknown: u64,
    /// Where the stream stopped being readable, if it did.
    pub damage: Option<anyhow::Error>,
}

/// Replays `records` as far as they can be read.
///
/// # Errors
/// Where the sink takes nothing more.
pub fn replay<R: BufRead>(
    host: Host,
    records: Records<R>,
    selection: &Selection,
    sink: &mut dyn Sink,
) -> Result<Replayed> {
    let has_advances = records.has_advances();
    let mut now = host.since;
    let mut driver = Driver::start(host, selection, sink)?;
    let mut damage = None;
    let mut unknown: u64 = 0;
    for record in records {
        let (stamp, input) = match record {
            Ok(record) => record,
            Err(error) => {
                damage = Some(error);
                break;
            }
        };
        // What was learnt of an event stands behind it: never judged without.
        if !has_advances && !matches!(input, Some(Input::Fact(_) | Input::Watch(_))) {
            driver.advance(now.saturating_sub(LATE))?;
        }
        // Times of a foreign file may be anything: they only ever move us forward.
        now = now.max(stamp.time);
        match input {
            None => unknown += 1,
            Some(Input::Watch(WatchNote::Advanced)) => driver.advance(stamp.time)?,
            Some(Input::Watch(WatchNote::Ended { reason })) => {
                driver.end(stamp.time, &reason)?;
                return Ok(Replayed { incidents: driver.reported(), unknown, damage: None });
            }
            Some(input) => driver.push(stamp, input)?,
        }
    }
    driver.end(now, "the stream ended")?;
    Ok(Replayed { incidents: driver.reported(), unknown, damage })
}
