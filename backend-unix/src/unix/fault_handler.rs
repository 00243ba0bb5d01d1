//! Handler for SIGBUS, which the lost pages of a file raise that was truncated while mapped.
//!
//! The handler searches the address in the table of mapped files. If it finds it, it maps zeros
//! from there to the end of the mapping, marks the mapping [damaged](crate::Mapping::is_damaged)
//! and returns: the access then reads zeros. Any other SIGBUS goes to the previous handler, or ends
//! the process.
//!
//! A handler that was installed later comes first. If it restores this one and raises the signal
//! again, as Python's `faulthandler` does, the signal has no address: the handler then asks the
//! system for pages that were lost, and replaces them. Each [`install`] that finds another handler
//! with SA_NODEFER goes in front of it again. One without SA_NODEFER stays in front: a signal that it
//! raises arrives when it has returned, and looks like a new one. In front of it this handler would
//! pass on to it each signal that it has raised, without end. A later handler that neither restores nor
//! calls this one disables it; see [`is_installed`].
#![allow(unsafe_code)] // Handles a signal; each block has its proof.

use std::ffi::{c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use mmstats_system::docs;
use rustix::mm::{MapFlags, ProtFlags};

use super::mapping_table::{Range, TableLock, slots};
use super::os_error::os_error;
use crate::{Error, Result};

#[doc = docs!(fault_handler::install)]
pub fn install() -> Result<()> {
    // Not `Once`: a fork in another thread would leave it incomplete for ever.
    let _held = TableLock::hold();
    let now = exchange(None).map_err(refused)?;
    let count = COUNT.load(Relaxed);
    if now.sa_sigaction == handler_address() {
        return Ok(());
    }
    let is_handler = ![libc::SIG_DFL, libc::SIG_IGN].contains(&now.sa_sigaction);
    if count > 0 && is_handler && now.sa_flags & libc::SA_NODEFER == 0 {
        // It may restore this one and raise the signal again: see the module.
        return Ok(());
    }
    // From that number of installations on a later handler stays in front.
    let Some(place) = PREVIOUS.get(count) else { return Ok(()) };
    PAGE_SIZE.store(rustix::param::page_size(), Relaxed);
    // Before the handler, which uses it. Set already if the exchange below was refused once.
    let previous = place.get_or_init(|| now);
    // Must be Release: a handler that loads the number must see the action; partner: `pass_on`.
    COUNT.store(count + 1, Release);
    exchange(Some(&action(previous))).map(drop).map_err(|error| {
        COUNT.store(count, Relaxed);
        refused(error)
    })
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
    } else {
        // SAFETY: a signal that a process sent has the id of that process.
        let sender = unsafe { facts.si_pid() };
        // SAFETY: has no precondition.
        let own = unsafe { libc::getpid() };
        // Another handler may have raised the signal of a fault of ours again.
        if sender == own && keeping_errno(replace_lost_pages) {
            return;
        }
    }
    pass_on(signal, info, context, code);
}

/// Calls `action`; the interrupted code finds its `errno` unchanged.
fn keeping_errno<T>(action: impl FnOnce() -> T) -> T {
    #[cfg(any(target_os = "illumos", target_os = "solaris"))]
    use libc::___errno as place;
    // POSIX names no function; the libraries name it differently.
    #[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
    use libc::__errno as place;
    // As above.
    #[cfg(any(target_os = "linux", target_os = "dragonfly", target_os = "hurd"))]
    use libc::__errno_location as place;
    // As above.
    #[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
    use libc::__error as place;
    // SAFETY: has no precondition.
    let place = unsafe { place() };
    // SAFETY: the number of this thread.
    let errno = unsafe { *place };
    let result = action();
    // SAFETY: as above.
    unsafe { *place = errno };
    result
}

/// Replaces the lost pages of all mappings; `false` if there are none.
///
/// A truncated file loses its last pages. Pages that a failing device lost before pages that are
/// there are not found.
fn replace_lost_pages() -> bool {
    let page = PAGE_SIZE.load(Relaxed);
    let mut found = false;
    for slot in slots() {
        let Some(range) = slot.range() else { continue };
        let (start, count) = (range.base.addr().get(), range.len.div_ceil(page));
        let is_lost = |index: usize| !is_readable(start + index * page);
        if !is_lost(count - 1) {
            continue;
        }
        // All pages before `low` are there, the page `high` is lost.
        let (mut low, mut high) = (0, count - 1);
        while low < high {
            let middle = low.midpoint(high);
            if is_lost(middle) { high = middle } else { low = middle + 1 }
        }
        if replace(range, start + high * page) {
            slot.set_damaged();
            found = true;
        }
    }
    found
}

/// Whether the page at `address` can be read, by a system call that reads it: an error where an
/// access would raise SIGBUS.
fn is_readable(address: usize) -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))] // copies the set before it refuses
    {
        const NO_ACTION: c_int = -1;
        const SET_SIZE: usize = 8;
        // SAFETY: no signal mask changes, as there is no action -1; the kernel checks the address
        // when it copies the set of signals from there.
        let refused = unsafe {
            libc::syscall(
                libc::SYS_rt_sigprocmask,
                NO_ACTION,
                address,
                ptr::null_mut::<c_void>(),
                SET_SIZE,
            )
        };
        refused == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::EFAULT)
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))] // by a pipe
    {
        let mut ends = [0; 2];
        // SAFETY: `ends` has room for two descriptors.
        if unsafe { libc::pipe(ends.as_mut_ptr()) } != 0 {
            return true;
        }
        // SAFETY: the system checks the address.
        let written = unsafe { libc::write(ends[1], ptr::without_provenance(address), 1) };
        for end in ends {
            // SAFETY: opened above.
            unsafe { libc::close(end) };
        }
        written == 1
    }
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
    // Must be Acquire; partner: the store in `install`.
    let count = COUNT.load(Acquire);
    // A handler in front of which this one was installed again may call this one.
    let passing = (count > 1).then(Passing::enter);
    let depth = passing.as_ref().map_or(0, |passing| passing.depth);
    let previous = count.checked_sub(1 + depth).and_then(|index| PREVIOUS.get(index)?.get());
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

/// A signal that this thread passes on at the moment.
struct Passing {
    entry: Option<&'static PassingEntry>,
    /// How often this handler was called by one that it had called.
    depth: usize,
    outer: usize,
}

/// Thread, stack address and depth of a signal that is passed on; no thread: 0.
struct PassingEntry([AtomicUsize; 3]);

impl Passing {
    fn enter() -> Self {
        #[allow(clippy::cast_possible_truncation)] // As wide as a pointer, or a pointer.
        // SAFETY: has no precondition.
        let thread = unsafe { libc::pthread_self() } as usize;
        let place = 0_u8;
        let frame = ptr::from_ref(&place).addr();
        let own = PASSING.iter().find(|entry| entry.0[0].load(Relaxed) == thread);
        // The entry of a handler that left by `longjmp` is not deeper in the stack.
        if let Some(entry) = own.filter(|entry| frame < entry.0[1].load(Relaxed)) {
            let (depth, outer) = (entry.0[2].load(Relaxed) + 1, entry.0[1].load(Relaxed));
            entry.0[1].store(frame, Relaxed);
            entry.0[2].store(depth, Relaxed);
            return Self { entry: Some(entry), depth, outer };
        }
        let take = |entry: &&PassingEntry| {
            entry.0[0].compare_exchange(0, thread, Relaxed, Relaxed).is_ok()
        };
        let entry = own.or_else(|| PASSING.iter().find(take));
        if let Some(entry) = entry {
            entry.0[1].store(frame, Relaxed);
            entry.0[2].store(0, Relaxed);
        }
        Self { entry, depth: 0, outer: 0 }
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        let Some(entry) = self.entry else { return };
        if let Some(depth) = self.depth.checked_sub(1) {
            entry.0[2].store(depth, Relaxed);
            entry.0[1].store(self.outer, Relaxed);
        } else {
            entry.0[0].store(0, Relaxed);
        }
    }
}

/// Maximum number of installations.
const INSTALLATIONS: usize = 16;
/// The actions that this one replaced, from the first to the last.
static PREVIOUS: [OnceLock<libc::sigaction>; INSTALLATIONS] =
    [const { OnceLock::new() }; INSTALLATIONS];
/// Number of installations; written under the lock.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// Threads that pass a signal on. A further one does not notice that it is called again.
static PASSING: [PassingEntry; 32] =
    [const { PassingEntry([const { AtomicUsize::new(0) }; 3]) }; 32];
/// In bytes; set before the handler is installed.
static PAGE_SIZE: AtomicUsize = AtomicUsize::new(1);
