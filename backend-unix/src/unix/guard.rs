//! A file that is truncated while it is mapped makes its lost pages fault with SIGBUS.
//!
//! The handler looks the address up in the table of mapped files. If it is in one, it
//! puts pages of zeros from there to the end of the mapping, marks the mapping
//! [damaged](crate::Mapping::is_damaged) and returns: the access then reads zeros. Any
//! other SIGBUS goes to whoever handled it before, or ends the process as ever.
//!
//! A handler that somebody installs later, and that does not pass signals on, puts this
//! out of action; see [`is_installed`].
#![allow(unsafe_code)] // Handles a signal; each block has its proof.

use std::ffi::{c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use rustix::mm::{MapFlags, ProtFlags};

use super::codes::os_error;
use super::table::{Lock, Range, slots};
use crate::{Error, Result};

/// Installs the handler, once for the life of the process.
///
/// [`open`](crate::open) does this by itself, because without it a truncated file would
/// end the observer. A writer may ask for it: then a writer's own file, truncated by
/// somebody, does not end the program either.
///
/// # Errors
///
/// Where the system refuses.
pub fn install() -> Result<()> {
    // Not `Once`: a fork in another thread would leave it half-done for ever.
    let _held = Lock::hold();
    if INSTALLED.load(Relaxed) {
        return Ok(());
    }
    PAGE_SIZE.store(rustix::param::page_size(), Relaxed);
    let previous = exchange(None).map_err(refused)?;
    // Before the handler, which needs it.
    let previous = PREVIOUS.get_or_init(|| previous);
    exchange(Some(&action(previous))).map_err(refused)?;
    INSTALLED.store(true, Relaxed);
    Ok(())
}

/// Whether the handler is in place now: installed, and not replaced by somebody since.
#[must_use]
pub fn is_installed() -> bool {
    exchange(None).is_ok_and(|now| now.sa_sigaction == handler_address())
}

/// Our action: what the previous one blocks and wants is kept.
fn action(previous: &libc::sigaction) -> libc::sigaction {
    let mut action = *previous;
    action.sa_sigaction = handler_address();
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    action.sa_flags |= previous.sa_flags & (libc::SA_NODEFER | libc::SA_RESTART);
    action
}

/// Installs `new`, if any, and returns what was there before.
fn exchange(new: Option<&libc::sigaction>) -> io::Result<libc::sigaction> {
    let mut old = MaybeUninit::uninit();
    let new = new.map_or(ptr::null(), ptr::from_ref);
    // SAFETY:
    // - `new` is null or valid, and its handler has the form that its flags say;
    // - `old` has room for a `sigaction`.
    let code = unsafe { libc::sigaction(libc::SIGBUS, new, old.as_mut_ptr()) };
    if code != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `sigaction` succeeded, so it has filled `old`.
    Ok(unsafe { old.assume_init() })
}

/// Does only what is safe in a signal handler: atomics and bare system calls.
unsafe extern "C" fn on_sigbus(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the system passes a valid `info` to a handler with SA_SIGINFO, and nobody
    // changes it meanwhile.
    let facts = unsafe { &*info };
    let code = facts.si_code;
    // Somebody sent it, unless the code is positive; then there is no address.
    if code > 0 {
        // SAFETY: a SIGBUS that the system raised has an address.
        let address = unsafe { facts.si_addr() }.addr();
        for slot in slots() {
            let Some(range) = slot.range() else { continue };
            if contains(range, address) && replace(range, address) {
                slot.set_damaged();
                return;
            }
        }
    }
    pass_on(signal, info, context, code);
}

fn contains(range: Range, address: usize) -> bool {
    // A page that is only partly ours is mapped whole.
    let start = range.base.addr().get();
    let end = start + range.len.next_multiple_of(PAGE_SIZE.load(Relaxed));
    (start..end).contains(&address)
}

/// Puts zeros in the place of the page with `address` and all that follow.
fn replace(range: Range, address: usize) -> bool {
    let page = PAGE_SIZE.load(Relaxed);
    let offset = (address - range.base.addr().get()) / page * page;
    let len = range.len.next_multiple_of(page) - offset;
    let protection =
        if range.writable { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::READ };
    // SAFETY: the address is in the mapping, so the start of its page is too.
    let place = unsafe { range.base.add(offset) };
    // SAFETY:
    // - the range from `place` is the rest of one mapping of this crate, which is in use,
    //   as somebody has just touched it; nothing else is replaced;
    // - it stays mapped, with the same protection; the bytes become zeros, which are
    //   valid for the atomics that read them.
    let mapped = unsafe {
        rustix::mm::mmap_anonymous(
            place.as_ptr().cast(),
            len,
            protection,
            MapFlags::PRIVATE | MapFlags::FIXED,
        )
    };
    mapped.is_ok()
}

/// Gives a signal that is not ours to whoever handled it before.
fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void, code: c_int) {
    let previous = PREVIOUS.get();
    let handler = previous.map_or(libc::SIG_DFL, |previous| previous.sa_sigaction);
    let flags = previous.map_or(0, |previous| previous.sa_flags);
    match handler {
        libc::SIG_IGN if code <= 0 => {}
        libc::SIG_DFL | libc::SIG_IGN => {
            let mut default = action_of_nobody(previous);
            default.sa_sigaction = libc::SIG_DFL;
            let _ = exchange(Some(&default));
            if code <= 0 {
                // SAFETY: raising a signal has no precondition; it comes when the handler
                // returns. A fault comes again by itself, with its true cause.
                unsafe { libc::raise(signal) };
            }
        }
        handler if flags & libc::SA_SIGINFO != 0 => {
            type Full = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
            // SAFETY: not one of the two numbers above, so it is a function; with
            // SA_SIGINFO it has this form.
            let handler = unsafe { std::mem::transmute::<libc::sighandler_t, Full>(handler) };
            // SAFETY: called as the system would, with what the system gave.
            unsafe { handler(signal, info, context) };
        }
        handler => {
            type Short = unsafe extern "C" fn(c_int);
            // SAFETY: not one of the two numbers above, so it is a function; without
            // SA_SIGINFO it has this form.
            let handler = unsafe { std::mem::transmute::<libc::sighandler_t, Short>(handler) };
            // SAFETY: called as the system would.
            unsafe { handler(signal) };
        }
    }
}

fn action_of_nobody(previous: Option<&libc::sigaction>) -> libc::sigaction {
    // SAFETY: a `sigaction` is plain numbers; all zero is the default action without flags.
    let zero = || unsafe { MaybeUninit::zeroed().assume_init() };
    let mut action = previous.copied().unwrap_or_else(zero);
    action.sa_flags = 0;
    action
}

fn handler_address() -> libc::sighandler_t {
    on_sigbus as *const () as libc::sighandler_t
}

fn refused(error: io::Error) -> Error {
    os_error("handle SIGBUS", None, error)
}

/// Changed under the lock.
static INSTALLED: AtomicBool = AtomicBool::new(false);
static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();
/// In bytes; set before the handler is installed.
static PAGE_SIZE: AtomicUsize = AtomicUsize::new(1);
