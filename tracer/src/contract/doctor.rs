//! What can be watched on a kernel.
use serde::{Deserialize, Serialize};

use crate::contract::{Blind, Label};

/// `whybus doctor`: what would attach here, and what is not known for want of the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Doctor {
    /// Release of the kernel (`uname -r`).
    pub kernel: Label,
    /// Its lockdown mode; null where securityfs does not tell.
    pub lockdown: Option<Label>,
    /// What is attached, each as form and function.
    pub hooks: Vec<Label>,
    /// What could not be attached.
    pub blind: Vec<Blind>,
    /// What culprits and their ancestors are read by.
    pub culprit: Label,
    /// How much of paths is known.
    pub paths: Label,
    /// What is attached once its module is loaded.
    pub pending: Vec<Label>,
    /// Causes that can be told here.
    pub explained: u64,
    /// Causes there are.
    pub total: u64,
    /// Causes that cannot be told here.
    pub unexplained: Vec<Label>,
}
