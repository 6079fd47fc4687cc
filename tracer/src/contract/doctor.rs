//! What can be watched on a kernel.
use serde::{Deserialize, Serialize};

use crate::{
    contract::{Blind, Label, Named},
    model::observe::Readiness,
};

/// `whybus doctor`: what would attach here, and what is not known for want of the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Doctor {
    /// Whether what decides bus errors can be watched; null where that was not tried, for want of privilege.
    #[serde(default)]
    pub verdict: Option<Named<Readiness>>,
    /// What cannot be told here, and why; null where all can.
    #[serde(default)]
    pub summary: Option<Label>,
    /// Release of the kernel (`uname -r`).
    pub kernel: Label,
    /// Its lockdown mode; null where securityfs does not tell.
    pub lockdown: Option<Label>,
    /// What is attached, each as form and function; where that was not tried, what would be.
    pub hooks: Vec<Label>,
    /// What could not be attached.
    pub blind: Vec<Blind>,
    /// In which form each thing is observed.
    #[serde(default)]
    pub observed: Vec<Observed>,
    /// What culprits and their ancestors are read by.
    pub culprit: Label,
    /// How much of paths is known.
    pub paths: Label,
    /// What is attached once its module is loaded.
    pub pending: Vec<Label>,
    /// What watching takes, and whether it was there.
    #[serde(default)]
    pub capabilities: Vec<Capability>,
    /// Causes that can be told here; where that was not tried, at most.
    pub explained: u64,
    /// Causes there are.
    pub total: u64,
    /// Causes that cannot be told here.
    pub unexplained: Vec<Label>,
}

/// A capability (capabilities(7)) that watching takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Capability {
    /// Its name: `CAP_BPF`.
    pub name: Label,
    /// Whether this process has it, or one that does as well.
    pub held: bool,
    /// What follows where it is not there.
    pub without: Label,
}

/// Something that whybus looks at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Observed {
    /// What it is: `file-fault`, `shrink`.
    pub what: Label,
    /// In which form and where: `fexit filemap_fault`; the one that is preferred where there is none.
    pub hook: Label,
    /// Whether it is attached; `not-built` where the kernel was built without, and there is nothing to see.
    #[cfg_attr(test, schemars(extend("x-words" = ["attached", "planned", "waiting", "missing", "not-built"])))]
    pub state: Label,
    /// The module it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<Label>,
    /// What is not known without it.
    pub unknown_without: Label,
    /// Instructions that it adds, about, to a call that it has nothing to tell of; null where it is not attached, and
    /// will not be.
    #[serde(default)]
    pub added_instructions: Option<u64>,
    /// What of the thing cannot be detected in this form; null where nothing is known of.
    #[serde(default)]
    pub undetected: Option<Label>,
}
