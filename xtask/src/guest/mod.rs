//! Guests: kernels and programs from Debian, packed and booted.
pub mod debian;
pub mod facts;
mod foreign;
pub mod kernels;
pub mod packages;
pub mod tree;
pub mod victims;
pub mod vm;
