//! Ids of incidents: unique across hosts and boots, and the same whenever the same stream is replayed.
use uuid::Builder;

use crate::model::{host::Host, task::Task};

/// A UUID of version 7 (RFC 9562): the wall clock at `time` (ns since boot), then a hash of boot and
/// victim instead of random bits. `salt` tells apart what happens to one thread at one time.
///
/// Histories hold these ids: the hash stays what it is.
pub fn stable_id(host: &Host, time: u64, task: &Task, salt: u64) -> String {
    let ms = u64::try_from(host.clock.realtime(time)).unwrap_or(0) / 1_000_000;
    let [first, second] = hash(host, time, task, salt).map(u64::to_be_bytes);
    let [high, low, .., version, random] = first;
    let [_, _, node @ ..] = second;
    let mut bytes = [version, random, high, low, 0, 0, 0, 0, 0, 0];
    bytes[4..].copy_from_slice(&node);
    Builder::from_unix_timestamp_millis(ms, &bytes).into_uuid().to_string()
}

/// Two FNV-1a hashes of the same bytes, by different primes.
fn hash(host: &Host, time: u64, task: &Task, salt: u64) -> [u64; 2] {
    let mut hash = [0xcbf2_9ce4_8422_2325_u64, 0x8422_2325_cbf2_9ce4];
    let mut feed = |bytes: &[u8]| {
        for byte in bytes {
            for (lane, prime) in hash.iter_mut().zip([0x100_0000_01b3, 0x100_0000_01b5]) {
                *lane = (*lane ^ u64::from(*byte)).wrapping_mul(prime);
            }
        }
    };
    feed(host.boot_id.as_bytes());
    for number in [time, u64::from(task.tid), task.id.start, salt] {
        feed(&number.to_le_bytes());
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::time::ClockOffset,
        testing::{actor, host},
    };

    /// As they stand in histories.
    #[test]
    fn ids_stay_what_they_are() {
        let task = actor(1).task;
        let id = |wall, time, salt| {
            let host = Host { clock: ClockOffset(wall), ..host() };
            stable_id(&host, time, &task, salt)
        };
        let at = 10_000_000_000;
        assert_eq!(id(1_000_000, at, 12), "00000000-2711-7838-bcfa-38ab6c15381d");
        let wall = 1_785_000_000_000_000_000;
        assert_eq!(id(wall, at, 12), "019f9a4a-a110-7838-bcfa-38ab6c15381d");
        // A clock before 1970, and times that cannot be.
        assert_eq!(id(-5, 1, 12), "00000000-0000-7be0-afa5-70ca772b22a5");
        assert_eq!(id(1_000_000, u64::MAX, u64::MAX), "08637bd0-5af6-7759-9dab-7371429ac400");
    }
}
