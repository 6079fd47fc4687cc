//! What a cause is, beside its name: one row a cause, in the file of its rule.
use crate::{
    correlate::evidence::{Evidence, Verdict},
    model::{
        cause::{CauseKind, Confidence},
        observe::Observe,
    },
};

/// What is to be known of a cause without any evidence.
#[derive(Debug)]
pub struct Cause {
    pub kind: CauseKind,
    /// Of what probes see, what must be seen for this cause to be told, any one of them, where it is
    /// met at all.
    pub observes: &'static [Observe],
    /// What has not been seen and what an answer rests on therefore, where no act was seen.
    pub rests_on: Option<Absence>,
    /// Whether its answer depends on the file system, which is shown with its mount.
    pub shows_mount: bool,
    pub signal_from: SignalFrom,
    /// What to do about it, unless its rule knows better.
    pub advice: &'static str,
}

/// What to do about a bus error of unknown cause on a host that is NOT READY.
pub const ADVICE_NOT_READY: &str = "this host does not let whybus watch what it takes to say why: `sudo whybus doctor` \
                                    names what is missing, and what to do";

/// What to do about a signal, in advice that may name who sent it.
pub const SENDER: &str = "ask whoever sent the signal";

/// Begins the summary of a signal that the kernel sent on its own, and not on behalf of a process that it names.
pub const BY_KERNEL: &str = "sent by the kernel";
pub const ON_BEHALF: &str = " on behalf of";
/// The same of what the process itself did, which its own kill(2) may look like.
pub const RAISED: &str = "raised by the kernel";

/// Begins the advice that rests on where a program failed; left out where that is not known.
pub const WHERE_IT_FAILED: &str = "the function and library named are where it failed; ";

/// What is to be raised, in advice that may name the unit or container it is of.
pub const MEMORY_LIMIT: &str = "the limit of that memory cgroup";

/// What has not been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// No act that would explain the fault, if there was a fault.
    OfAct,
    /// No fault before the signal, unless another process sent it: a handler may raise it again.
    OfFault,
}

/// Where the signal comes from that a victim of this cause gets, if it gets one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalFrom {
    /// The kernel raises it for what the victim did: a fault, a trap.
    Fault,
    /// A process sends it, the victim itself perhaps: the culprit.
    Process,
    /// The victim sends it to itself.
    Itself,
    /// The OOM killer; the culprit asked for memory.
    OomKiller,
    /// There is none: the victim exits.
    NoSignal,
    Unknown,
}

impl Cause {
    /// A verdict of this cause, without an act.
    pub fn verdict(&self, confidence: Confidence, summary: impl Into<String>) -> Verdict {
        Verdict::new(self.kind, confidence, summary, self.advice)
    }

    /// Whether its culprit did it, and did not only ask for memory.
    pub fn is_act(&self) -> bool {
        self.signal_from != SignalFrom::OomKiller
    }
}

/// How one or several causes are recognised.
#[derive(Debug)]
pub struct Rule {
    pub causes: &'static [Cause],
    /// Claims the evidence for one of `causes`, or passes.
    pub evaluate: fn(&Evidence<'_>) -> Option<Verdict>,
}
