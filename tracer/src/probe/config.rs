//! The globals of one kernel and one watch. Pure.
use tracer_common::{LAYOUT, config::Config};

use crate::{
    model::process::{ExitFilter, ExitScope},
    probe::kernel::KernelInfo,
};

/// What the programs are told before they are loaded: `page_size` is in bytes, `exits` are the signals
/// and exits asked for; every n-th event is dropped on purpose if `fail_every` is not 0.
pub fn config(kernel: &KernelInfo, page_size: u64, exits: ExitScope, fail_every: u32) -> Config {
    Config {
        layout: LAYOUT,
        task: kernel.allowed.task(),
        read_kernel: u32::from(kernel.allowed.read_kernel),
        read_user: kernel.allowed.read_user(),
        fail_every,
        signals: exits.signals,
        exits: u32::from(exits.exits != ExitFilter::None),
        page_shift: page_size.trailing_zeros(),
        offsets: kernel.offsets,
    }
}
