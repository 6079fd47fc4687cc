//! The probes: one module a hook group under `probes/`, each fills one event of
//! `tracer_common::event` and hands it to [`emit::emit`]. Nothing here decides anything.
//!
//! Beside them stand the readers of kernel structs (`task`, `inode`, `path`), the owners of maps, whose
//! values nobody else touches (`bursts`, `calls`, `ended`, `oom_decision`, `outputs`, `pressure`, `program`, `refusals`, `sent`, `shrinks`, `sizes`, `stack`, `thread`,
//! `victims`), and
//! `form`: how a program is called, so that a body is written once for every way to hook a function; `arch` knows where
//! the processors keep arguments.
//!
//! Rust gives no CO-RE relocations, so every offset comes from [`globals`]; what the verifiers
//! of 5.10 to 7.3 accept is written down in `docs/decisions/0002-typed-loads.md`.
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]
#![no_std]
#![no_main]

mod arch;
mod bursts;
mod calls;
mod emit;
mod ended;
mod form;
mod globals;
mod inode;
mod log;
mod oom_decision;
mod outputs;
mod path;
mod policy;
mod pressure;
mod probes;
mod program;
mod read;
mod refusals;
mod scratch;
mod sent;
mod shrinks;
mod sizes;
mod stack;
mod task;
mod thread;
mod victims;

#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
