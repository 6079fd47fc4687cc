//! A watch: what is read goes through one driver to the sinks.
pub mod live;
