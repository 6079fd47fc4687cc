//! Reads the frozen globals. Every read is volatile: the compiler must not fold the placeholder
//! in, and the verifier, which knows a frozen map's bytes, prunes what they rule out.
use tracer_common::config::Config;

#[unsafe(no_mangle)]
pub static CONFIG: Config = Config::NONE;

#[inline(always)]
pub fn read(field: &'static u32) -> u32 {
    // SAFETY: a reference; volatile because the loader rewrites what it points to.
    unsafe { core::ptr::from_ref(field).read_volatile() }
}

/// Whether a system call is among [`Config::populating`].
#[inline(always)]
pub fn is_one_that_populates(call: u32) -> bool {
    let mut i = 0;
    while i < CONFIG.populating.len() {
        if read(&CONFIG.populating[i]) == call {
            return true;
        }
        i += 1;
    }
    false
}

/// Whether a file system is among [`Config::shared`], by its `s_magic`.
#[inline(always)]
pub fn is_shared(magic: u64) -> bool {
    let mut i = 0;
    while i < CONFIG.shared.len() {
        let shared = read(&CONFIG.shared[i]);
        if shared != 0 && shared as u64 == magic {
            return true;
        }
        i += 1;
    }
    false
}

/// One field of [`Config`].
macro_rules! config {
    ($field:ident) => {
        $crate::globals::read(&$crate::globals::CONFIG.$field)
    };
}

/// One offset of this kernel.
macro_rules! off {
    ($field:ident) => {
        $crate::globals::read(&$crate::globals::CONFIG.offsets.$field)
    };
}

pub(crate) use {config, off};
