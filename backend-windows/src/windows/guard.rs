//! A mapped file whose medium or server goes away makes its pages fault with
//! `EXCEPTION_IN_PAGE_ERROR`. (Windows itself refuses to make a mapped file smaller.)
//!
//! The handler looks the address up in the table of mapped files. If it is in one, it unmaps
//! the file, puts zeros in its place, marks the mapping [damaged](crate::Mapping::is_damaged)
//! and lets the access be tried again: it then reads zeros. A thread that touches the range in
//! between waits. Any other exception goes its way as ever.
//!
//! Between the two steps another thread could be given the address; then the exception goes
//! its way too, and ends the process. There is no step that does both on every Windows.
#![allow(unsafe_code)] // Handles exceptions; each block has its proof.

use std::sync::{Mutex, PoisonError};

use windows_sys::Win32::Foundation as code;
use windows_sys::Win32::System::Diagnostics::Debug as debug;
use windows_sys::Win32::System::Memory as win;

use super::mapping::zeros;
use super::table::{Answer, Range, Replacing, ask};
use crate::{Error, ErrorKind, Result};

/// Installs the handler, once for the life of the process.
///
/// [`open`](crate::open) does this by itself, because without it a file that goes away would
/// end the observer. A writer may ask for it.
///
/// # Errors
///
/// Where the system refuses.
pub fn install() -> Result<()> {
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if *installed {
        return Ok(());
    }
    // The first of all handlers, since later ones may take an exception for their own.
    // SAFETY: the handler is a function that is never unloaded while it is registered.
    let handle = unsafe { debug::AddVectoredExceptionHandler(1, Some(on_exception)) };
    if handle.is_null() {
        return Err(Error::pathless("handle exceptions", ErrorKind::OutOfMemory));
    }
    *installed = true;
    Ok(())
}

/// Whether the handler is in place.
#[must_use]
pub fn is_installed() -> bool {
    *INSTALLED.lock().unwrap_or_else(PoisonError::into_inner)
}

unsafe extern "system" fn on_exception(pointers: *mut debug::EXCEPTION_POINTERS) -> i32 {
    // SAFETY: the system passes valid pointers to a handler, and nobody changes what is behind
    // them meanwhile.
    let record = unsafe { (*pointers).ExceptionRecord };
    // SAFETY: as above.
    let record = unsafe { &*record };
    // An access violation is what a thread meets between the two steps of another one. (And
    // wine says so where the file is gone.)
    let ours = [code::EXCEPTION_IN_PAGE_ERROR, code::EXCEPTION_ACCESS_VIOLATION];
    // Both have at least two numbers: what was tried, and where.
    let [tried, address, ..] = record.ExceptionInformation;
    if !ours.contains(&record.ExceptionCode) || record.NumberParameters < 2 {
        return SEARCH;
    }
    let survived = match ask(address) {
        Answer::Foreign => false,
        // Somebody else was faster.
        Answer::Replaced(range) => may(range, tried) && is_there(range, address),
        Answer::Ours(replacing) if may(replacing.range, tried) => replace(replacing),
        // A store to what cannot be written is a fault like any other one.
        Answer::Ours(replacing) => {
            replacing.give_back();
            false
        }
    };
    if survived { AGAIN } else { SEARCH }
}

/// Puts zeros in the place of a whole mapping.
fn replace(replacing: Replacing) -> bool {
    let Range { base, len, writable } = replacing.range;
    let view = win::MEMORY_MAPPED_VIEW_ADDRESS { Value: base.as_ptr().cast() };
    // SAFETY: the range is a view of this crate, which is in use, as somebody has just touched
    // it, and only this thread may replace it.
    let unmapped = unsafe { win::UnmapViewOfFile(view) } != 0;
    let protection = if writable { win::PAGE_READWRITE } else { win::PAGE_READONLY };
    let replaced = unmapped && zeros(base.as_ptr(), len, protection).is_ok();
    replacing.done(replaced);
    replaced
}

/// Whether an access is one that the range is for.
const fn may(range: Range, tried: usize) -> bool {
    tried == READ || (tried == WRITE && range.writable)
}

/// Whether there are pages at an address.
fn is_there(range: Range, address: usize) -> bool {
    let mut info = win::MEMORY_BASIC_INFORMATION::default();
    let size = size_of::<win::MEMORY_BASIC_INFORMATION>();
    let at = range.base.as_ptr().with_addr(address).cast_const().cast();
    // SAFETY: only asks; `info` has room for the answer.
    let known = unsafe { win::VirtualQuery(at, &raw mut info, size) } != 0;
    known && info.State == win::MEM_COMMIT
}

/// Changed once.
static INSTALLED: Mutex<bool> = Mutex::new(false);
/// `EXCEPTION_CONTINUE_EXECUTION`: the access is tried again.
const AGAIN: i32 = -1;
/// `EXCEPTION_CONTINUE_SEARCH`: the next handler is asked.
const SEARCH: i32 = 0;
/// What was tried.
const READ: usize = 0;
const WRITE: usize = 1;
