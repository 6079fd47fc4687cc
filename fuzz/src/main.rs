//! One target with libFuzzer: WHYBUS_FUZZ names it, the arguments are libFuzzer's (`cargo xtask fuzz`).
#![no_main]

use std::sync::OnceLock;

use fuzz::{Target, target};
use libfuzzer_sys::fuzz_target;

fn chosen() -> Target {
    static TARGET: OnceLock<Target> = OnceLock::new();
    *TARGET.get_or_init(|| {
        let name = std::env::var("WHYBUS_FUZZ").unwrap_or_default();
        target(&name).unwrap_or_else(|| panic!("WHYBUS_FUZZ names no target: `{name}`"))
    })
}

fuzz_target!(|bytes: &[u8]| chosen()(bytes));
