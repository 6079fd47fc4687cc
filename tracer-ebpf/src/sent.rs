//! Signals that processes send one another. A few of each are told as they are generated. Of the others nobody may ever
//! die: the last one of each target is kept until that ends, so that no chatter takes the room of what decides an
//! answer. Whom something is not known of any more is noted there, or by its pid and user.
use aya_ebpf::{
    bindings::{BPF_EXIST, BPF_NOEXIST},
    helpers::{bpf_get_current_pid_tgid, bpf_get_current_uid_gid},
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray},
};
use tracer_common::{
    event::{Signal, origin, ring},
    log::Hook,
    maps::{
        DELIVERIES_OF_PROCESS, DELIVERIES_OF_USER, Forgotten, KEPT_OF_USER, SIGNALS_OF_PAIR,
        SIGNALS_OF_USER, SIGNALS_WITHIN, signal_count,
    },
};

use crate::{
    bursts::increment,
    emit::{claim, emit, is_owned, now},
    log::log,
    read::{Ptr, Read},
    scratch::{SIGNAL_LATE, Scratch},
    task,
};

const SIGBUS: i32 = 7;
const SIGKILL: i32 = 9;

/// What is counted from when the first of a while was seen.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Window {
    since: u64,
    count: u64,
}

/// By sender and target. Its entries may push one another out: users have a bound of their own.
#[map]
static SIGNAL_PAIRS: LruHashMap<u64, Window> = LruHashMap::with_max_entries(4096, 0);
/// By user of the sender.
#[map]
static SIGNAL_USERS: LruHashMap<u32, Window> = LruHashMap::with_max_entries(1024, 0);
/// SIGBUS that did not end its process, by process, and by user.
#[map]
static DELIVERIES: LruHashMap<u32, Window> = LruHashMap::with_max_entries(4096, 0);
#[map]
static DELIVERIES_BY_USER: LruHashMap<u32, Window> = LruHashMap::with_max_entries(1024, 0);
/// The last signal that was not told, by the tgid of its target, with the user whose share it takes (`owner`, and
/// [`INCOMPLETE`]). Given back when the target ends, and never pushed out.
#[map]
static SIGNALS_KEPT: HashMap<u32, Scratch<Signal>> = HashMap::with_max_entries(2048, 0);
/// How many of these each user has.
#[map]
static KEPT_BY_USER: LruHashMap<u32, u64> = LruHashMap::with_max_entries(1024, 0);
/// When a signal was not even kept, by the last bits of its target's tgid.
#[map]
static SIGNALS_LEFT: Array<Forgotten> = Array::with_max_entries(LEFT, 0);
/// By [`signal_count`].
#[map]
static SIGNAL_COUNTS: PerCpuArray<u64> = PerCpuArray::with_max_entries(signal_count::COUNT, 0);

const LEFT: u32 = 8192;
/// Beside the user of a kept signal: another one to the same target gave way to it.
const INCOMPLETE: u64 = 1 << 32;

#[inline(always)]
fn count(of: u32) {
    if let Some(count) = SIGNAL_COUNTS.get_ptr_mut(of) {
        // SAFETY: a map value of this CPU.
        unsafe { *count += 1 };
    }
}

/// Counts one of `key`; whether it is among the first `most` of a while.
#[inline(always)]
pub fn fits<K>(map: &LruHashMap<K, Window>, key: K, most: u64) -> bool {
    let now = now();
    if let Some(window) = map.get_ptr_mut(&key) {
        // SAFETY: a map value; what a race of CPUs loses are a few.
        unsafe {
            if now.wrapping_sub((*window).since) < SIGNALS_WITHIN {
                increment(&raw mut (*window).count, 1);
                return (&raw const (*window).count).read_volatile() <= most;
            }
        }
    }
    let _ = map.insert(&key, &Window { since: now, count: 1 }, 0);
    true
}

/// Counts a signal that the current process, of `user`, sends to another; whether it is to be told at once.
#[inline(always)]
pub fn admits(target: u32, user: u32) -> bool {
    let sender = bpf_get_current_pid_tgid() >> 32;
    fits(&SIGNAL_PAIRS, sender << 32 | target as u64, SIGNALS_OF_PAIR)
        && fits(&SIGNAL_USERS, user, SIGNALS_OF_USER)
}

/// Counts a SIGBUS that the current process handles or ignores; whether that is to be told. Of a fault that was told
/// (`of_fault`) it is whatever other processes of its user handle.
#[inline(always)]
pub fn admits_delivery(of_fault: bool) -> bool {
    let process = (bpf_get_current_pid_tgid() >> 32) as u32;
    let user = bpf_get_current_uid_gid() as u32;
    let admitted = fits(&DELIVERIES, process, DELIVERIES_OF_PROCESS)
        && (of_fault || fits(&DELIVERIES_BY_USER, user, DELIVERIES_OF_USER));
    if !admitted {
        count(signal_count::DELIVERIES);
    }
    admitted
}

/// Whether a signal is kept for this process.
#[inline(always)]
pub fn is_kept(tgid: u32) -> bool {
    SIGNALS_KEPT.get_ptr(&tgid).is_some()
}

/// Keeps a claimed `signal` to `target` until that ends; `user` sent it.
#[inline(always)]
pub unsafe fn keep<R: Read>(scratch: *mut Scratch<Signal>, target: Ptr, signal: i32, user: u32) {
    // SAFETY: a claimed scratch; map values; `R` copes with any pointer.
    unsafe {
        // It ends of no signal any more, and its entry would be given back by nobody.
        if task::has_ended::<R>(target) {
            return;
        }
        let tgid = task::tgid::<R>(target);
        // What it says of its target may be another's.
        if !is_owned(scratch) {
            return leave::<R>(target, signal);
        }
        let event = &raw mut (*scratch).value;
        (*event).address = (*event).header.time;
        (*event).origin |= origin::KEPT;
        match SIGNALS_KEPT.get_ptr(&tgid) {
            Some(kept) => {
                let same = (*kept).value.target.start_time == (*event).target.start_time;
                let before = (*kept).value.signal;
                if same && before == SIGKILL {
                    // Nothing survives it.
                    return count(signal_count::KEPT);
                }
                (*scratch).owner = if same { (*kept).owner } else { (*kept).owner as u32 as u64 };
                if same && before != signal {
                    count_left(tgid, before);
                    (*scratch).owner |= INCOMPLETE;
                }
                // Not where it ends meanwhile, and gives it back.
                let _ = SIGNALS_KEPT.insert(&tgid, &*scratch, BPF_EXIST as u64);
            }
            None => {
                (*scratch).owner = user as u64;
                if !has_share(user)
                    || SIGNALS_KEPT.insert(&tgid, &*scratch, BPF_NOEXIST as u64).is_err()
                {
                    return leave::<R>(target, signal);
                }
                add_to_share(user);
                if task::has_ended::<R>(target) {
                    give_back(tgid, user);
                }
            }
        }
        count(signal_count::KEPT);
        log!(Hook::SignalGenerate, SignalKept, signal, tgid);
    }
}

/// A signal is not known of any more.
#[inline(always)]
fn count_left(tgid: u32, signal: i32) {
    count(signal_count::LEFT);
    log!(Hook::SignalGenerate, SignalLeft, signal, tgid);
}

/// The same of one whose target has nothing kept, which is marked.
#[inline(always)]
unsafe fn leave<R: Read>(target: Ptr, signal: i32) {
    // SAFETY: a map value; `R` copes with any pointer.
    unsafe {
        let tgid = task::tgid::<R>(target);
        count_left(tgid, signal);
        if let Some(left) = SIGNALS_LEFT.get_ptr_mut(tgid & (LEFT - 1)) {
            (*left).note(now(), task::user::<R>(target));
        }
    }
}

// Where a user is pushed out of the map, and comes back, what it gives back may be more than what is counted: below 0 is
// none, as signed.

#[inline(always)]
fn has_share(user: u32) -> bool {
    // SAFETY: a map value.
    KEPT_BY_USER.get_ptr(&user).is_none_or(|kept| unsafe { *kept as i64 } < KEPT_OF_USER as i64)
}

#[inline(always)]
fn add_to_share(user: u32) {
    if KEPT_BY_USER.get_ptr(&user).is_some()
        || KEPT_BY_USER.insert(&user, &1, BPF_NOEXIST as u64).is_err()
    {
        change_share(user, 1);
    }
}

#[inline(always)]
fn change_share(user: u32, by: u64) {
    if let Some(kept) = KEPT_BY_USER.get_ptr_mut(&user) {
        // SAFETY: a map value.
        unsafe {
            if by == 1 || *kept as i64 > 0 {
                increment(kept, by);
            }
        }
    }
}

/// Gives the entry of a process back, once, to the user whose share it takes.
#[inline(always)]
fn give_back(tgid: u32, user: u32) {
    if SIGNALS_KEPT.remove(&tgid).is_ok() {
        change_share(user, u64::MAX);
    }
}

/// The current process, which began at `start`, has ended with `code`: sends what is kept for it, and gives 1 if a
/// signal to it may have been left out. `by` is the place of [`SIGNAL_LATE`].
///
/// The verifier walks a global function by itself, and takes numbers only.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn whybus_tell_kept(start: u64, code: u64, by: u64) -> u64 {
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    // SAFETY: map values; a claimed scratch.
    unsafe {
        let incomplete = send(tgid, start, code, by as u32).unwrap_or(false);
        let user = bpf_get_current_uid_gid() as u32;
        let left = SIGNALS_LEFT.get_ptr(tgid & (LEFT - 1));
        (incomplete || left.is_some_and(|left| (*left).concerns(user, start))) as u64
    }
}

/// Sends what is kept, and whether another one gave way to it.
#[inline(always)]
unsafe fn send(tgid: u32, start: u64, code: u64, by: u32) -> Option<bool> {
    let kept = SIGNALS_KEPT.get_ptr(&tgid)?;
    // SAFETY: a map value; a claimed scratch.
    unsafe {
        let owner = (*kept).owner;
        let signal = &raw const (*kept).value;
        let of_this = start == 0 || (*signal).target.start_time == start;
        // Of a SIGBUS that was survived nothing is told any more.
        let told = (*signal).signal != SIGBUS || code & 0x7f == SIGBUS as u64;
        if of_this
            && told
            && code != 0
            && let Some(scratch) = claim::<Signal, _>(&SIGNAL_LATE, by, ring::CRITICAL)
        {
            let event = &raw mut (*scratch).value;
            let header = (*event).header;
            core::ptr::copy_nonoverlapping(signal, event, 1);
            (*event).header = header;
            emit(scratch, size_of::<Signal>() as u32);
        }
        give_back(tgid, owner as u32);
        Some(of_this && owner & INCOMPLETE != 0)
    }
}

/// Sends what is kept for the current process, which has ended; whether a signal to it may have been left out.
#[inline(always)]
pub fn tell_kept(start: u64, code: u32, by: u32) -> bool {
    whybus_tell_kept(start, code as u64, by as u64) != 0
}
