//! What a history holds from before an incident.
use serde::{Deserialize, Serialize};

use crate::contract::{Label, Time, Untrusted};

/// What the history holds of the incident's host from before it; of one without a name of its boot only, for many have none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Before {
    /// Since when it holds all that was recorded of that host: earlier it is not known what there was.
    pub since: Time,
    /// How long of that nobody was watching, ns.
    pub unwatched_ns: u64,
    /// True where nobody has noted when its host was watched (`-o json` of `trace` or `replay` that was imported): then
    /// `unwatched_ns` is what is known of it. Left out where that was noted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unwatched_unknown: bool,
    /// Some of what happened in that time was lost, or forgotten for room.
    pub lossy: bool,
    /// Incidents of the same kind in that time, 1,000 at most: in the same function of the same file, of whichever build; without
    /// a signature, of the same program with the same cause and status.
    pub alike: u64,
    /// The latest of them.
    pub alike_last: Option<Time>,
    /// The build of the program that died before; left out if no other is known of the latest 100 of its incidents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<EarlierBuild>,
    /// The same of its container's image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<EarlierImage>,
}

/// The build that the program had before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EarlierBuild {
    /// As `build_id` of a frame.
    pub build_id: Label,
    /// The last incident of it.
    pub until: Time,
    /// The first of the incident's own build; left out if that is the incident itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_since: Option<Time>,
}

/// The image that the container of this name had before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EarlierImage {
    /// As `image` of a container.
    pub image: Untrusted,
    /// The last incident of it.
    pub until: Time,
    /// The first of the incident's own image; left out if that is the incident itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_since: Option<Time>,
}
