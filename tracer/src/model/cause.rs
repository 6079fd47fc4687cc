//! What a cause is called, how sure we are of it, and what became of the victim.
use crate::model::observe::Observe;

/// Cause classes, as the JSON names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CauseKind {
    Truncated,
    TruncatedBySelf,
    ShrunkElsewhere,
    TruncatedBeforeWatch,
    MappedPastEnd,
    NoSpace,
    Quota,
    ShmFull,
    HugePages,
    ReadError,
    StaleHandle,
    FuseGone,
    SpecialMapping,
    DeviceMapping,
    Userfaultfd,
    MemoryFailure,
    Misaligned,
    Sent,
    OtherKernel,
    /// A signal other than SIGBUS, by what the process executed.
    Signal,
    Aborted,
    OomKilled,
    Exited,
    Unknown,
}

impl CauseKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::TruncatedBySelf => "truncated-by-self",
            Self::ShrunkElsewhere => "shrunk-elsewhere",
            Self::TruncatedBeforeWatch => "truncated-before-watch",
            Self::MappedPastEnd => "mapped-past-end",
            Self::NoSpace => "no-space",
            Self::Quota => "quota",
            Self::ShmFull => "shm-full",
            Self::HugePages => "hugepages",
            Self::ReadError => "read-error",
            Self::StaleHandle => "stale-handle",
            Self::FuseGone => "fuse-gone",
            Self::SpecialMapping => "special-mapping",
            Self::DeviceMapping => "device-mapping",
            Self::Userfaultfd => "userfaultfd",
            Self::MemoryFailure => "memory-failure",
            Self::Misaligned => "misaligned",
            Self::Sent => "sent",
            Self::OtherKernel => "other-kernel",
            Self::Signal => "signal",
            Self::Aborted => "aborted",
            Self::OomKilled => "oom-killed",
            Self::Exited => "exited",
            Self::Unknown => "unknown",
        }
    }
}

impl CauseKind {
    /// Every cause there is a name for.
    pub const NAMED: [Self; 23] = [
        Self::Truncated,
        Self::TruncatedBySelf,
        Self::ShrunkElsewhere,
        Self::TruncatedBeforeWatch,
        Self::MappedPastEnd,
        Self::NoSpace,
        Self::Quota,
        Self::ShmFull,
        Self::HugePages,
        Self::ReadError,
        Self::StaleHandle,
        Self::FuseGone,
        Self::SpecialMapping,
        Self::DeviceMapping,
        Self::Userfaultfd,
        Self::MemoryFailure,
        Self::Misaligned,
        Self::Sent,
        Self::OtherKernel,
        Self::Signal,
        Self::Aborted,
        Self::OomKilled,
        Self::Exited,
    ];

    /// Of what probes see, what must be seen for this cause to be told, any one of them, where it is met at all.
    pub fn observes(self) -> &'static [Observe] {
        match self {
            Self::Truncated | Self::TruncatedBySelf => &[Observe::Shrink, Observe::ShrinkResult],
            Self::ShrunkElsewhere
            | Self::TruncatedBeforeWatch
            | Self::MappedPastEnd
            | Self::ReadError
            | Self::StaleHandle
            | Self::FuseGone => &[Observe::FileFault],
            Self::NoSpace | Self::Quota => &[Observe::PageMkwrite],
            Self::ShmFull => &[Observe::ShmemFault],
            Self::HugePages => &[Observe::HugetlbFault],
            Self::SpecialMapping => &[Observe::SpecialMappingFault],
            Self::DeviceMapping => &[Observe::ForcedSignal],
            Self::Userfaultfd => &[Observe::UserfaultFault],
            Self::MemoryFailure | Self::Misaligned | Self::Sent | Self::OtherKernel => {
                &[Observe::SignalGenerated]
            }
            Self::Signal | Self::Aborted | Self::OomKilled | Self::Exited => &[Observe::Exit],
            Self::Unknown => &[],
        }
    }
}

/// How sure we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confidence {
    /// We saw the act.
    Proven,
    /// The state at the fault says so.
    Likely,
    /// Neither; the reason is in the summary.
    Unknown,
}

impl Confidence {
    pub fn name(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Likely => "likely",
            Self::Unknown => "unknown",
        }
    }
}

/// What became of the victim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The signal ended it.
    Killed,
    /// A handler ran, and the process ended itself soon after.
    Exited,
    /// A handler ran, or the signal was ignored, and it lives on.
    Survived,
    /// No signal: a system call failed with EFAULT.
    Efault,
    /// Not known yet, or never learnt.
    Pending,
}

impl Outcome {
    pub fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Exited => "exited",
            Self::Survived => "survived",
            Self::Efault => "efault",
            Self::Pending => "pending",
        }
    }
}
