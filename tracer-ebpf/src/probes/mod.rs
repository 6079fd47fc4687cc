//! One module a hook group.
mod exit;
mod fault;
mod shrink;
mod signal;
mod start;
