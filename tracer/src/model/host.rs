//! The host that is watched.
use crate::model::{observe::Coverage, process::ExitScope, time::ClockOffset};

/// The host on which a history is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Here {
    pub name: String,
    pub boot_id: String,
}

impl Here {
    /// Whether that host is this one: in a container it may go by another name.
    pub fn is(&self, name: &str, boot_id: &str) -> bool {
        self.name == name || self.boot_id == boot_id
    }
}

/// What the stream was recorded on; constant while watching.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    pub name: String,
    pub boot_id: String,
    pub release: String,
    /// When watching was complete.
    pub since: u64,
    /// CLOCK_REALTIME − CLOCK_BOOTTIME, ns.
    pub clock: ClockOffset,
    pub page_size: u64,
    /// CPUs online as the watch began; `None` in older streams.
    pub cpus: Option<u64>,
    /// The tracer's own tgid.
    pub pid: u32,
    /// Mount namespace of the tracer, if known.
    pub mnt_ns: Option<u32>,
    /// That of the first process, which is the host's: a unit may give the tracer one of its own
    /// (`ProtectHome=`). `None` in older streams.
    pub init_mnt_ns: Option<u32>,
    pub deaths: ExitScope,
    pub coverage: Coverage,
}
