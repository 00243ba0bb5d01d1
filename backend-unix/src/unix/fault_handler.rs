//! Handler for SIGBUS, which the lost pages of a file raise that was truncated while mapped.
//!
//! The handler searches the address in the table of mapped files. If it finds it, it maps zeros
//! from there to the end of the mapping, marks the mapping [damaged](crate::Mapping::is_damaged)
//! and returns: the access then reads zeros. Any other SIGBUS goes to the previous handler, or ends
//! the process.
//!
//! A handler installed later that does not chain to this one disables it; see [`is_installed`].
#![allow(unsafe_code)] // Handles a signal; each block has its proof.

use std::ffi::{c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use mmstats_system::docs;
use rustix::mm::{MapFlags, ProtFlags};

use super::mapping_table::{Range, TableLock, slots};
use super::os_error::os_error;
use crate::{Error, Result};

#[doc = docs!(fault_handler::install)]
pub fn install() -> Result<()> {
    // Not `Once`: a fork in another thread would leave it incomplete for ever.
    let _held = TableLock::hold();
    if INSTALLED.load(Relaxed) {
        return Ok(());
    }
    PAGE_SIZE.store(rustix::param::page_size(), Relaxed);
    let previous = exchange(None).map_err(refused)?;
    // Before the handler, which uses it.
    let previous = PREVIOUS.get_or_init(|| previous);
    exchange(Some(&action(previous))).map_err(refused)?;
    INSTALLED.store(true, Relaxed);
    Ok(())
}

#[doc = docs!(fault_handler::is_installed)]
#[must_use]
pub fn is_installed() -> bool {
    exchange(None).is_ok_and(|now| now.sa_sigaction == handler_address())
}

/// The action to install, with the signal mask and flags of the previous one.
fn action(previous: &libc::sigaction) -> libc::sigaction {
    let mut action = *previous;
    action.sa_sigaction = handler_address();
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    action.sa_flags |= previous.sa_flags & (libc::SA_NODEFER | libc::SA_RESTART);
    action
}

/// Installs `new`, if any, and returns the previous action.
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

/// Restricted to operations that are safe in a signal handler: atomics and bare system calls.
unsafe extern "C" fn on_sigbus(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the system passes a valid `info` to a handler with SA_SIGINFO, and does not change
    // it meanwhile.
    let facts = unsafe { &*info };
    let code = facts.si_code;
    // A positive code means a fault, which has an address; other codes mean a sent signal.
    if code > 0 {
        // SAFETY: a SIGBUS that a fault raised has an address.
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
    // The last page is mapped whole.
    let start = range.base.addr().get();
    let end = start + range.len.next_multiple_of(PAGE_SIZE.load(Relaxed));
    (start..end).contains(&address)
}

/// Maps zeros over the page with `address` and all pages after it.
fn replace(range: Range, address: usize) -> bool {
    let page = PAGE_SIZE.load(Relaxed);
    let offset = (address - range.base.addr().get()) / page * page;
    let len = range.len.next_multiple_of(page) - offset;
    let protection =
        if range.writable { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::READ };
    // SAFETY: the address is in the mapping, so the start of its page is too.
    let place = unsafe { range.base.add(offset) };
    // SAFETY:
    // - the range from `place` is the rest of one mapping of this crate, which is in use, as a
    //   thread has just accessed it; nothing else is replaced;
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

/// Passes a signal on to the previous handler.
fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void, code: c_int) {
    let previous = PREVIOUS.get();
    let handler = previous.map_or(libc::SIG_DFL, |previous| previous.sa_sigaction);
    let flags = previous.map_or(0, |previous| previous.sa_flags);
    match handler {
        libc::SIG_IGN if code <= 0 => {}
        libc::SIG_DFL | libc::SIG_IGN => {
            let _ = exchange(Some(&default_action(previous)));
            if code <= 0 {
                // SAFETY: raising a signal has no precondition; it is delivered when the handler
                // returns. A fault recurs by itself, with its true cause.
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

/// The default action, with the signal mask of `previous`.
fn default_action(previous: Option<&libc::sigaction>) -> libc::sigaction {
    // SAFETY: a `sigaction` is plain numbers; all zero is the default action without flags.
    let zero = || unsafe { MaybeUninit::zeroed().assume_init() };
    let mut action = previous.copied().unwrap_or_else(zero);
    action.sa_sigaction = libc::SIG_DFL;
    action.sa_flags = 0;
    action
}

fn handler_address() -> libc::sighandler_t {
    on_sigbus as *const () as libc::sighandler_t
}

fn refused(error: io::Error) -> Error {
    os_error("handle SIGBUS", None, error)
}

/// Written under the lock.
static INSTALLED: AtomicBool = AtomicBool::new(false);
static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();
/// In bytes; set before the handler is installed.
static PAGE_SIZE: AtomicUsize = AtomicUsize::new(1);
