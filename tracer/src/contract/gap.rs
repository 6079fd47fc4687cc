//! When nobody was watching, or what was seen was lost: what a history knows of itself.
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    contract::{Label, Time},
    model::observe::{Observe, observe_of_hook},
};

/// A time when nobody was watching, or when what was seen was lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Gap {
    /// Host name. OpenTelemetry: `host.name`.
    pub host: Label,
    /// /proc/sys/kernel/random/boot_id, of the boot in which it was noticed.
    pub boot_id: Label,
    /// Its start.
    pub since: Time,
    /// Its end.
    pub until: Time,
    /// Why, a sentence.
    #[serde(rename = "why")]
    pub reason: GapReason,
    /// Events, calls or incidents lost, where they could be counted.
    pub lost: Option<u64>,
}

/// Why there is a gap. Written as a sentence, which is also what a history keeps: the sentences stay what
/// they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GapReason {
    /// The recorder was stopped.
    Stopped,
    /// The host was started anew.
    Rebooted,
    /// The recorder was killed, or died.
    Killed,
    /// Events are missing from a CPU's numbering.
    Events { cpu: u32 },
    /// Calls of a hook that its program was not run for, because it was running already: most would
    /// not have been worth an event.
    Calls {
        /// Form and function: `tp_btf sched_process_exec`.
        hook: Label,
        /// What it would have seen, if that is known.
        observe: Option<Observe>,
    },
    /// Shrinks of files on network file systems, which nobody mapped on their own host: too many at once.
    Shrinks,
    /// Incidents that found no room on their way to the disk.
    QueueFull,
    /// Incidents that the disk did not take, when there was no more room in memory.
    DiskFull,
    /// Somebody removed the history below the recorder, and what it had kept since it was started.
    Removed,
    /// Incidents of whoever had most, which went so that others' stay within the history's largest size.
    Room,
    /// What a later version, or somebody else, wrote.
    Other(Label),
}

const STOPPED: &str = "the recorder was stopped";
const REBOOTED: &str = "the host was started anew";
const KILLED: &str = "the recorder was killed";
const QUEUE_FULL: &str = "incidents on their way to the disk";
const DISK_FULL: &str = "incidents, while the disk took nothing and memory was full";
const REMOVED: &str = "the history was removed";
const ROOM: &str = "incidents of whoever had most, forgotten for room (--keep-size)";
const SHRINKS: &str = "shrinks of files on network file systems, too many at once";
const EVENTS: &str = "events of CPU ";
/// How the reasons of losses begin, of which there may be one a minute.
pub const LOSSES: [&str; 3] = [EVENTS, CALLS.0, SHRINKS];
const CALLS: (&str, &str) = ("calls of ", ", few of which matter");

impl fmt::Display for GapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str(STOPPED),
            Self::Rebooted => f.write_str(REBOOTED),
            Self::Killed => f.write_str(KILLED),
            Self::Events { cpu } => write!(f, "{EVENTS}{cpu}"),
            // What version 1 had hooks for is known by their names.
            Self::Calls { hook, observe } => {
                match observe.filter(|_| observe_of_hook(hook) != *observe) {
                    None => write!(f, "{}{hook}{}", CALLS.0, CALLS.1),
                    Some(observe) => write!(f, "{}{hook} ({}){}", CALLS.0, observe.word(), CALLS.1),
                }
            }
            Self::Shrinks => f.write_str(SHRINKS),
            Self::QueueFull => f.write_str(QUEUE_FULL),
            Self::DiskFull => f.write_str(DISK_FULL),
            Self::Removed => f.write_str(REMOVED),
            Self::Room => f.write_str(ROOM),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl From<Label> for GapReason {
    fn from(sentence: Label) -> Self {
        match &*sentence {
            STOPPED => return Self::Stopped,
            REBOOTED => return Self::Rebooted,
            KILLED => return Self::Killed,
            SHRINKS => return Self::Shrinks,
            QUEUE_FULL => return Self::QueueFull,
            DISK_FULL => return Self::DiskFull,
            REMOVED => return Self::Removed,
            ROOM => return Self::Room,
            _ => {}
        }
        let hook = sentence.strip_prefix(CALLS.0).and_then(|rest| rest.strip_suffix(CALLS.1));
        if let Some(hook) = hook {
            let named = hook.strip_suffix(')').and_then(|rest| rest.rsplit_once(" ("));
            let named = named.and_then(|(hook, word)| Some((hook, Observe::from_word(word)?)));
            return match named {
                Some((hook, observe)) => Self::Calls { hook: hook.into(), observe: Some(observe) },
                None => Self::Calls { hook: hook.into(), observe: observe_of_hook(hook) },
            };
        }
        // Only a number as we write it, so that what was read is written again as it was.
        let cpu =
            sentence.strip_prefix(EVENTS).filter(|cpu| cpu.bytes().all(|b| b.is_ascii_digit()));
        match cpu.and_then(|cpu| cpu.parse().ok()) {
            Some(cpu) => Self::Events { cpu },
            None => Self::Other(sentence),
        }
    }
}

impl Serialize for GapReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GapReason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Label::deserialize(deserializer).map(Self::from)
    }
}

impl Gap {
    /// Whether it may hide something of a series of deaths: any time when nobody was watching; of calls
    /// that nobody looked at, those that tell of ends and, if no restart was seen, of restarts.
    pub fn concerns(&self, restarted: bool) -> bool {
        let observe = match self.reason {
            GapReason::Calls { observe, .. } => observe,
            // Nobody on this host maps such a file.
            GapReason::Shrinks => return false,
            _ => return true,
        };
        match observe {
            Some(Observe::Exit) => true,
            Some(Observe::Exec | Observe::Fork) => !restarted,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every sentence there is.
    #[test]
    fn sentences_are_read_as_they_are_written() {
        let calls = |hook: &str, observe| GapReason::Calls { hook: hook.into(), observe };
        let cases = [
            ("the recorder was stopped", GapReason::Stopped),
            ("the host was started anew", GapReason::Rebooted),
            ("the recorder was killed", GapReason::Killed),
            ("events of CPU 3", GapReason::Events { cpu: 3 }),
            (
                "calls of tp_btf sched_process_exec, few of which matter",
                calls("tp_btf sched_process_exec", Some(Observe::Exec)),
            ),
            (
                "calls of kprobe taskstats_exit (exit), few of which matter",
                calls("kprobe taskstats_exit", Some(Observe::Exit)),
            ),
            ("calls of fexit news (to us), few of which matter", calls("fexit news (to us)", None)),
            ("shrinks of files on network file systems, too many at once", GapReason::Shrinks),
            ("incidents on their way to the disk", GapReason::QueueFull),
            ("incidents, while the disk took nothing and memory was full", GapReason::DiskFull),
            ("events of CPU +3", GapReason::Other("events of CPU +3".into())),
            ("incidents of whoever had most, forgotten for room (--keep-size)", GapReason::Room),
            ("the history was removed", GapReason::Removed),
            ("the moon was full", GapReason::Other("the moon was full".into())),
        ];
        for (sentence, reason) in cases {
            let json = serde_json::to_string(sentence).expect("JSON");
            assert_eq!(serde_json::from_str::<GapReason>(&json).expect("a reason"), reason);
            assert_eq!(serde_json::to_string(&reason).expect("JSON"), json);
        }
    }

    #[test]
    fn calls_concern_a_series_by_their_hook() {
        let gap = |reason| Gap {
            host: "host".into(),
            boot_id: "boot".into(),
            since: Time(0),
            until: Time(1),
            reason,
            lost: None,
        };
        let calls = |hook: &str| {
            gap(GapReason::from(Label::from(format!("calls of {hook}, few of which matter"))))
        };
        for restarted in [false, true] {
            assert!(gap(GapReason::Killed).concerns(restarted));
            assert!(gap(GapReason::Other("calls of a friend".into())).concerns(restarted));
            assert!(calls("fentry taskstats_exit").concerns(restarted));
            assert!(calls("kprobe taskstats_exit (exit)").concerns(restarted));
            assert!(!calls("fentry notify_change").concerns(restarted));
            assert_eq!(calls("tp_btf sched_process_fork").concerns(restarted), !restarted);
        }
    }
}
