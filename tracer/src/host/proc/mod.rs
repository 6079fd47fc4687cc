//! Files of proc(5).
pub mod fdinfo;
pub mod maps;
pub mod mountinfo;
