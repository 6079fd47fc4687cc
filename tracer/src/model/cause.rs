//! What a cause is called, how sure we are of it, and what became of the victim.

/// Declares the causes: each with the name it has in JSON and in histories, which stays what it is.
macro_rules! causes {
    ($($(#[$doc:meta])* $kind:ident: $name:literal,)*) => {
        /// Cause classes. What else is to be known of each stands in its rule's row
        /// (`correlate::rules`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum CauseKind {
            $($(#[$doc])* $kind,)*
        }

        impl CauseKind {
            /// Every one, in the order of the enum.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// What JSON and histories call it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
}

impl CauseKind {
    /// Whether it is a cause of bus errors, and not of other ends only.
    pub fn is_of_bus_errors(self) -> bool {
        use CauseKind::{Aborted, Exited, OomKilled, Overwritten, Signal};
        !matches!(self, Overwritten | Signal | Aborted | OomKilled | Exited)
    }
}

causes! {
    Truncated: "truncated",
    TruncatedBySelf: "truncated-by-self",
    ShrunkElsewhere: "shrunk-elsewhere",
    TruncatedBeforeWatch: "truncated-before-watch",
    MappedPastEnd: "mapped-past-end",
    NoSpace: "no-space",
    Quota: "quota",
    ShmFull: "shm-full",
    HugePages: "hugepages",
    ReadError: "read-error",
    WriteError: "write-error",
    StaleHandle: "stale-handle",
    FuseGone: "fuse-gone",
    SpecialMapping: "special-mapping",
    DeviceMapping: "device-mapping",
    Userfaultfd: "userfaultfd",
    MemoryFailure: "memory-failure",
    Misaligned: "misaligned",
    Sent: "sent",
    OtherKernel: "other-kernel",
    /// The same, in code of a file that somebody wrote over.
    Overwritten: "overwritten",
    /// A signal other than SIGBUS, by what the process executed.
    Signal: "signal",
    Aborted: "aborted",
    OomKilled: "oom-killed",
    Exited: "exited",
    /// None of these; the reason is in the summary.
    Unknown: "unknown",
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
