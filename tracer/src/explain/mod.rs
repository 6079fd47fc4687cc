//! From incidents to words and stories: what happened in which order, what it was not, how often. Pure.
pub mod changed;
pub mod differences;
pub mod elsewhere;
pub mod frames;
pub mod next;
pub mod others;
pub mod outputs;
pub mod phrase;
pub mod ruled_out;
pub mod same_file;
pub mod story;
pub mod timeline;
pub mod whereabouts;
