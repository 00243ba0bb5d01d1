//! The time of day of this process, which it may set without touching the machine's.
//!
//! The standard library asks the C library's `clock_gettime`. A program that has a function
//! of this name is asked instead, and this one moves what the C library says.
#![allow(unsafe_code)] // Stands in for a function of the C library; each block has its proof.

use std::ffi::c_int;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

/// From here on the time of day is `seconds` ahead of the machine's; behind, if negative.
pub(crate) fn set(seconds: i64) {
    AHEAD.store(seconds, Ordering::Relaxed);
}

type Function = unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> c_int;

/// # Safety
///
/// As of the C library's: `time` is a place for a time.
// SAFETY: the name is that of a function of the C library, and so is what it does.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int {
    let Some(function) = *ORIGINAL.get_or_init(original) else { return -1 };
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

/// The function that has the name in the C library.
fn original() -> Option<Function> {
    // SAFETY: the name is a C string, and the handle one that the C library knows.
    let found = unsafe { libc::dlsym(libc::RTLD_NEXT, c"clock_gettime".as_ptr()) };
    // SAFETY: what has this name is a function of this type, or there is none.
    unsafe { std::mem::transmute::<*mut libc::c_void, Option<Function>>(found) }
}

static AHEAD: AtomicI64 = AtomicI64::new(0);
static ORIGINAL: OnceLock<Option<Function>> = OnceLock::new();
