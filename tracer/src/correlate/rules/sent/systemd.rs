//! What a signal may mean that a systemd sends.
use crate::model::{
    signal::Signal,
    signal_name::{SIGABRT, SIGHUP, SIGINT, SIGKILL, SIGTERM, name},
};

/// What it may mean that a systemd sends it to a process of one of its units: the host's, or a user's own. Nothing of
/// another sender.
pub fn means(signal: &Signal) -> String {
    let sender = &signal.sender.task;
    let parent = signal.sender.ancestors.first();
    let of_user =
        parent.is_some_and(|parent| parent.id.tgid == 1) && sender.uid == signal.target.uid;
    if signal.code > 0 || sender.comm != b"systemd" || !(sender.id.tgid == 1 || of_user) {
        return String::new();
    }
    match signal.number {
        SIGABRT => {
            ": systemd may do so if a unit's watchdog is not fed in time (WatchdogSec=); its journal says so".to_owned()
        }
        SIGKILL => {
            ": systemd may do so if a unit does not stop in time (TimeoutStopSec=), or if it is told to kill \
             it; its journal says why"
                .to_owned()
        }
        SIGHUP | SIGINT | SIGTERM => {
            ": systemd may do so to stop a unit, or to restart it; its journal says why".to_owned()
        }
        number => {
            let name = name(number);
            format!(
                ": systemd does so if it is asked to (`systemctl kill --signal={name}`), or if the unit names that \
                 signal (KillSignal=, WatchdogSignal= and the like)"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::signal;

    #[test]
    fn what_systemd_means_by_it() {
        for (number, why) in [
            (6, "WatchdogSec="),
            (9, "TimeoutStopSec="),
            (15, "to stop a unit"),
            (7, "systemctl kill --signal=SIGBUS"),
            (11, "systemctl kill --signal=SIGSEGV"),
        ] {
            let mut signal = Signal { number, ..signal(0) };
            signal.sender.task.comm = b"systemd".to_vec();
            signal.target.id.tgid = 50;
            assert_eq!(means(&signal), "", "anybody can take that name");
            signal.sender.task.id.tgid = 1;
            assert!(means(&signal).contains(why), "{}", means(&signal));
            signal.sender.task.comm = b"init".to_vec();
            assert_eq!(means(&signal), "");
        }
    }
}
