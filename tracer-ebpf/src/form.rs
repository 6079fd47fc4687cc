//! The forms a program may have. A body asks a [`Call`] for its arguments, for the value returned and
//! for the way kernel memory may be read, and is compiled once a form; [`program!`] makes the program.
use aya_ebpf::cty::c_void;

use crate::{
    arch, calls,
    read::{Probe, Read, Typed},
};

/// One call of what is hooked.
pub trait Call: Copy {
    /// How pointers among the arguments are followed.
    type Memory: Read;

    /// What helpers take as `ctx`.
    fn context(self) -> *mut c_void;

    /// Argument `I`, counted from 0. The index is a constant: a computed one is refused from 6.1 on
    /// ("dereference of modified ctx ptr").
    fn arg<const I: usize>(self) -> u64;

    /// What a function of `ARGS` arguments returned.
    fn returned<const ARGS: usize>(self) -> u64;
}

/// fentry, fexit and tp_btf: the arguments are an array, the value returned stands behind the last of
/// them (bpf_get_func_ret needs 5.17), and the verifier has a type for each.
#[derive(Clone, Copy)]
pub struct Trampoline(*mut c_void);

/// raw_tp: the same array without types.
#[derive(Clone, Copy)]
pub struct Raw(*mut c_void);

macro_rules! array {
    ($form:ident, $memory:ty) => {
        impl $form {
            /// # Safety
            /// `ctx` is the context of a program of this form.
            #[inline(always)]
            pub unsafe fn new(ctx: *mut c_void) -> Self {
                Self(ctx)
            }
        }

        impl Call for $form {
            type Memory = $memory;

            #[inline(always)]
            fn context(self) -> *mut c_void {
                self.0
            }

            #[inline(always)]
            fn arg<const I: usize>(self) -> u64 {
                // SAFETY: a context of this form; the verifier knows how many arguments there are.
                unsafe { self.0.cast::<u64>().add(I).read() }
            }

            #[inline(always)]
            fn returned<const ARGS: usize>(self) -> u64 {
                self.arg::<ARGS>()
            }
        }
    };
}
array!(Trampoline, Typed);
array!(Raw, Probe);

/// kprobe and kretprobe: registers.
#[derive(Clone, Copy)]
pub struct Registers(*mut c_void);

impl Registers {
    /// # Safety
    /// `ctx` is the context of a program of this form.
    #[inline(always)]
    pub unsafe fn new(ctx: *mut c_void) -> Self {
        Self(ctx)
    }
}

impl Call for Registers {
    type Memory = Probe;

    #[inline(always)]
    fn context(self) -> *mut c_void {
        self.0
    }

    /// Of a kprobe. Of a kretprobe there are none any more.
    #[inline(always)]
    fn arg<const I: usize>(self) -> u64 {
        // SAFETY: a context of this form.
        unsafe { arch::arg::<I>(self.0) }
    }

    /// Of a kretprobe.
    #[inline(always)]
    fn returned<const ARGS: usize>(self) -> u64 {
        // SAFETY: a context of this form.
        unsafe { arch::returned(self.0) }
    }
}

/// kretprobe, with the arguments that a kprobe has kept.
#[derive(Clone, Copy)]
pub struct Returning {
    ctx: *mut c_void,
    /// All zero if the call was not seen to begin.
    args: [u64; calls::ARGS],
    pub complete: bool,
}

impl Returning {
    /// # Safety
    /// `ctx` is the context of a kretprobe.
    #[inline(always)]
    pub unsafe fn of<const CALL: u32>(ctx: *mut c_void) -> Self {
        // SAFETY: as above.
        match unsafe { calls::take::<CALL>(ctx) } {
            Some(args) => Self { ctx, args, complete: true },
            None => Self { ctx, args: [0; calls::ARGS], complete: false },
        }
    }
}

impl Call for Returning {
    type Memory = Probe;

    #[inline(always)]
    fn context(self) -> *mut c_void {
        self.ctx
    }

    #[inline(always)]
    fn arg<const I: usize>(self) -> u64 {
        const { assert!(I < calls::ARGS) };
        self.args[I]
    }

    #[inline(always)]
    fn returned<const ARGS: usize>(self) -> u64 {
        // SAFETY: a context of this form.
        unsafe { arch::returned(self.ctx) }
    }
}

/// A program: of each `if CONDITION, NAME: BODY` the condition is asked in place, at each call, and the
/// body stands behind it out of line, in the function NAME: a program that uses no callee-saved register
/// and no stack saves a dozen instructions on every call that is of no interest.
///
/// Conditions and bodies are functions of one [`Call`]; the precondition of a body, which is unsafe, is
/// that the program is attached to a hook with the prototype it was written for.
///
/// What hooks a function by a trampoline may name its other form, by kprobes, with the same conditions and bodies:
/// `fentry … => PROGRAM or KPROBE`, `fexit … => PROGRAM or KPROBE, KRETPROBE of CALL` (a name of
/// [`tracer_common::maps::call`]).
macro_rules! program {
    ($(#[$doc:meta])* fentry $function:literal => $program:ident or $called:ident $($body:tt)*) => {
        program!($(#[$doc])* fentry $function => $program $($body)*);
        program!(@kprobe $function, $called $($body)*);
    };
    ($(#[$doc:meta])* fexit $function:literal => $program:ident or $called:ident, $returned:ident of
        $call:ident $($body:tt)*) => {
        program!($(#[$doc])* fexit $function => $program $($body)*);
        program!(@kretprobe $function, $called, $returned, $call $($body)*);
    };
    ($(#[$doc:meta])* fentry $function:literal => $program:ident $($body:tt)*) => {
        program!(@ [aya_ebpf::macros::fentry(function = $function)], FEntryContext, Trampoline, u32,
            [$(#[$doc])*] $program $($body)*);
    };
    ($(#[$doc:meta])* fexit $function:literal => $program:ident $($body:tt)*) => {
        program!(@ [aya_ebpf::macros::fexit(function = $function)], FExitContext, Trampoline, u32,
            [$(#[$doc])*] $program $($body)*);
    };
    ($(#[$doc:meta])* tp_btf $name:literal => $program:ident $($body:tt)*) => {
        program!(@ [aya_ebpf::macros::btf_tracepoint(function = $name)], BtfTracePointContext,
            Trampoline, u32, [$(#[$doc])*] $program $($body)*);
    };
    ($(#[$doc:meta])* raw_tp $name:literal => $program:ident $($body:tt)*) => {
        program!(@ [aya_ebpf::macros::raw_tracepoint(tracepoint = $name)], RawTracePointContext,
            Raw, i32, [$(#[$doc])*] $program $($body)*);
    };
    ($(#[$doc:meta])* kprobe $function:literal => $program:ident $($body:tt)*) => {
        program!(@ [aya_ebpf::macros::kprobe(function = $function)], ProbeContext, Registers, u32,
            [$(#[$doc])*] $program $($body)*);
    };
    ($(#[$doc:meta])* kretprobe $function:literal => $program:ident $($body:tt)*) => {
        program!(@ [aya_ebpf::macros::kretprobe(function = $function)], RetProbeContext, Registers, u32,
            [$(#[$doc])*] $program $($body)*);
    };
    (@ [$attribute:meta], $context:ident, $form:ident, $ret:ty, [$(#[$doc:meta])*]
        $program:ident $(, if $when:expr, $slow:ident: $then:expr)+) => {
        $(#[$doc])*
        #[$attribute]
        pub fn $program(ctx: aya_ebpf::programs::$context) -> $ret {
            let ctx = aya_ebpf::EbpfContext::as_ptr(&ctx);
            // SAFETY: the context of this program.
            let call = unsafe { $crate::form::$form::new(ctx) };
            $(if ($when)(call) {
                return $slow(ctx) as $ret;
            })+
            0
        }

        $(#[inline(never)]
        fn $slow(ctx: *mut aya_ebpf::cty::c_void) -> u32 {
            // SAFETY: the context of this program, which is attached by its prototype.
            unsafe { ($then)($crate::form::$form::new(ctx)) };
            0
        })+
    };
    (@kprobe $function:literal, $called:ident $(, if $when:expr, $slow:ident: $then:expr)+) => {
        #[aya_ebpf::macros::kprobe(function = $function)]
        pub fn $called(ctx: aya_ebpf::programs::ProbeContext) -> u32 {
            // SAFETY: the context of this program, which is attached by its prototype.
            unsafe {
                let call = $crate::form::Registers::new(aya_ebpf::EbpfContext::as_ptr(&ctx));
                $(if ($when)(call) {
                    ($then)(call);
                    return 0;
                })+
            }
            0
        }
    };
    (@kretprobe $function:literal, $called:ident, $returned:ident, $call:ident
        $(, if $when:expr, $slow:ident: $then:expr)+) => {
        #[aya_ebpf::macros::kprobe(function = $function)]
        pub fn $called(ctx: aya_ebpf::programs::ProbeContext) -> u32 {
            let ctx = aya_ebpf::EbpfContext::as_ptr(&ctx);
            // SAFETY: the context of this program.
            unsafe { $crate::calls::keep::<{ tracer_common::maps::call::$call }>(ctx) };
            0
        }

        #[aya_ebpf::macros::kretprobe(function = $function)]
        pub fn $returned(ctx: aya_ebpf::programs::RetProbeContext) -> u32 {
            let ctx = aya_ebpf::EbpfContext::as_ptr(&ctx);
            // SAFETY: the context of this program, which is attached by its prototype.
            unsafe {
                let call = $crate::form::Returning::of::<{ tracer_common::maps::call::$call }>(ctx);
                $(if ($when)(call) {
                    if call.complete {
                        ($then)(call);
                    } else {
                        $crate::calls::count_missed::<{ tracer_common::maps::call::$call }>();
                        $crate::log::log!(
                            tracer_common::log::Hook::of_call(tracer_common::maps::call::$call),
                            CallUnseen
                        );
                    }
                    return 0;
                })+
            }
            0
        }
    };
}

pub(crate) use program;
