//! A time of day of this process, apart from the clock of the machine.
//!
//! The standard library calls `clock_gettime` of the C library. A program that defines a function of
//! this name is called instead; this one adds an offset. Programs of 32 bits call
//! `__clock_gettime64`, with seconds of 64 bits.
#![allow(unsafe_code)] // Stands in for a function of the C library; each block has its proof.

use std::ffi::{CStr, c_int};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

/// Sets the time of day to `seconds` ahead of the machine's; behind it, if negative.
pub(crate) fn set(seconds: i64) {
    AHEAD.store(seconds, Ordering::Relaxed);
}

/// # Safety
///
/// As for the C library's function: `time` points to a writable time.
// SAFETY: the function has the name, the signature and the behaviour of the C library's function.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int {
    type Function = unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> c_int;
    static ORIGINAL: OnceLock<Option<Function>> = OnceLock::new();
    let function = ORIGINAL.get_or_init(|| {
        let found = original(c"clock_gettime");
        // SAFETY: what has this name is a function of this type, or there is none.
        unsafe { std::mem::transmute::<*mut libc::c_void, Option<Function>>(found) }
    });
    let Some(function) = function else { return -1 };
    // SAFETY: the caller's promise is the one that is asked for here.
    let code = unsafe { function(clock, time) };
    if code == 0 && clock == libc::CLOCK_REALTIME {
        // SAFETY: the call has just written there.
        let time = unsafe { &mut *time };
        #[allow(clippy::useless_conversion)] // 32 bits on some machines of 32 bits.
        let ahead = libc::time_t::try_from(AHEAD.load(Ordering::Relaxed)).unwrap_or(0);
        time.tv_sec += ahead;
    }
    code
}

/// # Safety
///
/// As for the C library's function: `time` points to a writable time that begins with the seconds.
// SAFETY: the function has the name, the signature and the behaviour of the C library's function.
#[cfg(all(target_env = "gnu", target_pointer_width = "32"))] // there is none elsewhere
#[unsafe(no_mangle)]
unsafe extern "C" fn __clock_gettime64(clock: libc::clockid_t, time: *mut i64) -> c_int {
    type Function = unsafe extern "C" fn(libc::clockid_t, *mut i64) -> c_int;
    static ORIGINAL: OnceLock<Option<Function>> = OnceLock::new();
    let function = ORIGINAL.get_or_init(|| {
        let found = original(c"__clock_gettime64");
        // SAFETY: what has this name is a function of this type, or there is none.
        unsafe { std::mem::transmute::<*mut libc::c_void, Option<Function>>(found) }
    });
    let Some(function) = function else { return -1 };
    // SAFETY: the caller's promise is the one that is asked for here.
    let code = unsafe { function(clock, time) };
    if code == 0 && clock == libc::CLOCK_REALTIME {
        // SAFETY: the call has just written there.
        unsafe { *time += AHEAD.load(Ordering::Relaxed) };
    }
    code
}

/// The function that has the name in the C library; null if there is none.
fn original(name: &CStr) -> *mut libc::c_void {
    // SAFETY: the name is a C string, and the handle one that the C library knows.
    unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) }
}

static AHEAD: AtomicI64 = AtomicI64::new(0);
