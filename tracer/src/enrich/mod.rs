//! What only /proc and the file systems know, asked at once, because the process may be gone a
//! moment later, and never for long.
pub mod cgroups;
pub mod containers;
pub mod deadline;
mod elf;
pub mod enricher;
mod go;
pub mod holders;
pub mod lines;
pub mod lookup;
pub mod mappers;
pub mod mount_table;
mod open;
pub mod origin;
pub mod outputs;
pub mod place;
pub mod process;
pub mod samples;
pub mod server;
pub mod symbolize;
pub mod target;
pub mod throttle;
pub mod unwind;
pub mod view;
mod worker;

#[cfg(test)]
mod damaged;
