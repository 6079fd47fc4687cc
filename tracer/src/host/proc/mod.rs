//! Files of proc(5).
pub mod maps;
pub mod mountinfo;
