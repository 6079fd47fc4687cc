//! One module a group of hooks.
mod cgroup;
mod crash;
mod exit;
mod fault;
mod oom;
mod open;
mod refusal;
mod shrink;
mod shrink_remote;
mod signal;
mod start;
mod unattributed;
