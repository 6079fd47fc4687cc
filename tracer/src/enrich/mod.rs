//! What only /proc and the file systems know, asked at once, because the process may be gone a
//! moment later, and never for long.
pub mod cgroup;
pub mod container;
pub mod facts;
pub mod mappers;
pub mod mount;
pub mod patience;
pub mod process;
pub mod space;
pub mod symbolize;
pub mod view;
