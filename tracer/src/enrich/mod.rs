//! What only /proc knows, read at once, because the process may be gone a moment later.
pub mod container;
pub mod mount;
pub mod process;
pub mod space;
