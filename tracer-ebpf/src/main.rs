//! The probes: one module a hook group under `probes/`, each fills one event of
//! `tracer_common::event` and hands it to [`emit::emit`]. Nothing here decides anything.
//!
//! Rust gives no CO-RE relocations, so every offset comes from [`globals`]; what the verifiers
//! of 5.10 to 7.3 accept is written down in `docs/decisions/0002-typed-loads.md`.
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]
#![no_std]
#![no_main]

mod emit;
mod globals;
mod inode;
mod maps;
mod path;
mod probes;
mod read;
mod task;

#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
