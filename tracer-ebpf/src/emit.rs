//! The one way out: claims a scratch, numbers the event, sends it, counts what found no room.
use aya_ebpf::{
    helpers::{
        bpf_get_current_pid_tgid, bpf_get_smp_processor_id,
        generated::{bpf_ktime_get_boot_ns, bpf_ringbuf_output},
    },
    macros::map,
    maps::{PerCpuArray, RingBuf},
};
use tracer_common::{
    event::{Event, Header, ring},
    log::Hook,
    maps::RingState,
};

use crate::{globals::config, log::log, pressure::has_room, scratch::Scratch};

const CRITICAL_BYTES: u32 = 1 << 20;
const BULK_BYTES: u32 = 2 << 20;

/// What decides an answer: faults, fatal signals, exits of victims.
#[map]
static CRITICAL: RingBuf = RingBuf::with_byte_size(CRITICAL_BYTES, 0);
/// What is merely frequent: shrinks of mapped files, starts.
#[map]
static BULK: RingBuf = RingBuf::with_byte_size(BULK_BYTES, 0);
/// Numbering and losses, one a ring.
#[map]
static RINGS: PerCpuArray<RingState> = PerCpuArray::with_max_entries(ring::COUNT as u32, 0);

/// ns since boot (CLOCK_BOOTTIME).
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: takes no arguments.
    unsafe { bpf_ktime_get_boot_ns() }
}

/// Claims a program's scratch on this CPU and clears the first `T`, so that no field carries the last event.
#[inline(always)]
pub fn claim<T: Event, S>(
    map: &PerCpuArray<Scratch<S>>,
    program: u32,
    ring: u16,
) -> Option<*mut Scratch<S>> {
    let scratch = map.get_ptr_mut(program)?;
    let words = size_of::<T>() / 8;
    // SAFETY: a map value, `T` stands at the start of `S`; the header at the start of `T`.
    unsafe {
        let value = (&raw mut (*scratch).value).cast::<u64>();
        let mut i = 0;
        while i < words {
            value.add(i).write_volatile(0);
            i += 1;
        }
        let header = value.cast::<Header>();
        (*header).kind = T::KIND.number;
        (*header).version = T::KIND.version;
        (*header).ring = ring;
        (*header).len = size_of::<T>() as u32;
        (*header).time = now();
        (&raw mut (*scratch).owner).write_volatile(tag(header));
    }
    Some(scratch)
}

/// Who fills a scratch: the thread, and when it began.
#[inline(always)]
unsafe fn tag(header: *const Header) -> u64 {
    // SAFETY: points into the claimed scratch.
    bpf_get_current_pid_tgid() ^ unsafe { (*header).time }.rotate_left(20)
}

/// Whether a scratch is still what this program claimed: another one may have run in between.
#[inline(always)]
pub unsafe fn is_owned<S>(scratch: *mut Scratch<S>) -> bool {
    // SAFETY: a claimed scratch starts with a header.
    unsafe {
        let header = (&raw const (*scratch).value).cast::<Header>();
        (&raw const (*scratch).owner).read_volatile() == tag(header)
    }
}

/// Sends `len` bytes of the claimed event. False if it was lost, which is counted either way.
#[inline(always)]
pub unsafe fn emit<S>(scratch: *mut Scratch<S>, len: u32) -> bool {
    // SAFETY: a claimed scratch starts with a header.
    unsafe {
        let header = (&raw mut (*scratch).value).cast::<Header>();
        let ring = (*header).ring;
        let Some(state) = RINGS.get_ptr_mut(ring as u32) else {
            return false;
        };
        let seq = (*state).seq + 1;
        (*state).seq = seq;
        (*header).seq = seq;
        (*header).len = len;
        (*header).cpu = bpf_get_smp_processor_id();
        let fail_every = config!(fail_every);
        let fail = fail_every != 0 && seq % fail_every as u64 == 0;
        if fail || !is_owned(scratch) {
            (*state).lost += 1;
            if fail {
                log!(Hook::Any, EventDropped, (*header).kind, seq);
            } else {
                log!(Hook::Any, EventTorn, (*header).kind, seq);
            }
            return false;
        }
        let (target, bytes) = match ring {
            ring::CRITICAL => (&raw const CRITICAL, CRITICAL_BYTES),
            _ => (&raw const BULK, BULK_BYTES),
        };
        if !has_room(target, bytes as u64, (*header).time) {
            (*state).lost += 1;
            log!(Hook::Any, EventOverShare, (*header).kind, seq);
            return false;
        }
        let sent = bpf_ringbuf_output(target.cast_mut().cast(), header.cast(), len as u64, 0);
        if sent != 0 {
            (*state).lost += 1;
            log!(Hook::Any, EventRefused, (*header).kind, seq);
        }
        sent == 0
    }
}
