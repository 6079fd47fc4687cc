//! Reads a field of a kernel struct at a run-time offset, in one of two ways.
use core::{hint::black_box, mem::MaybeUninit};

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;

/// An address in the kernel. In typed programs the verifier knows what it points to.
pub type Ptr = *const u8;

/// Whether a pointer is null that is followed elsewhere, too: of that LLVM concludes that it is not, and drops the test,
/// if it sees that it is one. In the kernel a null pointer reads as zero.
#[inline(always)]
pub fn is_null(pointer: Ptr) -> bool {
    black_box(pointer as u64) == 0
}

/// How a kernel pointer is followed.
pub trait Read {
    /// Reads the `T` at `base + offset`; zero where nothing can be read.
    unsafe fn get<T: Copy>(base: Ptr, offset: u32) -> T;
}

/// Plain loads through pointers the verifier has a type for: no helper, and allowed under
/// confidentiality lockdown. The load must match a field in offset and size.
pub struct Typed;

impl Read for Typed {
    #[inline(always)]
    unsafe fn get<T: Copy>(base: Ptr, offset: u32) -> T {
        // SAFETY: checked by the verifier; a bad address reads as zero
        // (kernel: BPF_PROBE_MEM, kernel/bpf/verifier.c convert_ctx_accesses).
        unsafe { base.add(offset as usize).cast::<T>().read_volatile() }
    }
}

/// `bpf_probe_read_kernel`, for pointers without a type.
pub struct Probe;

impl Read for Probe {
    #[inline(always)]
    unsafe fn get<T: Copy>(base: Ptr, offset: u32) -> T {
        let mut value = MaybeUninit::<T>::zeroed();
        // SAFETY: the helper checks the address and zeroes the target on failure.
        unsafe {
            bpf_probe_read_kernel(
                value.as_mut_ptr().cast(),
                size_of::<T>() as u32,
                (base as u64).wrapping_add(offset as u64) as *const _,
            );
            value.assume_init()
        }
    }
}
