//! Handler for `EXCEPTION_IN_PAGE_ERROR`, which the pages of a mapped file raise when its medium or
//! server fails. (Windows refuses to truncate a mapped file.)
//!
//! The handler looks the address up in the table of mapped files. If it finds it, it unmaps the
//! file, maps zeros at the same address, marks the mapping [damaged](crate::Mapping::is_damaged) and
//! retries the access, which then reads zeros. A thread that accesses the range in between waits.
//! Any other exception goes to the next handler.
//!
//! Between unmapping and mapping another thread could allocate the address; then the exception goes
//! to the next handler, and ends the process. No call does both steps on every version of Windows.
#![allow(unsafe_code)] // Handles exceptions; each block has its proof.

use std::sync::{Mutex, PoisonError};

use mmstats_system::docs;
use windows_sys::Win32::Foundation as code;
use windows_sys::Win32::System::Diagnostics::Debug as debug;
use windows_sys::Win32::System::Memory as win;

use super::mapping::zeros;
use super::mapping_table::{Lookup, Range, Replacing, look_up};
use crate::{Error, ErrorKind, Result};

#[doc = docs!(fault_handler::install)]
pub fn install() -> Result<()> {
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if *installed {
        return Ok(());
    }
    // As the first handler, since others may claim the exception.
    // SAFETY: the handler is a function that is never unloaded while it is registered.
    let handle = unsafe { debug::AddVectoredExceptionHandler(1, Some(on_exception)) };
    if handle.is_null() {
        return Err(Error::without_path("handle exceptions", ErrorKind::OutOfMemory));
    }
    *installed = true;
    Ok(())
}

#[doc = docs!(fault_handler::is_installed)]
#[must_use]
pub fn is_installed() -> bool {
    *INSTALLED.lock().unwrap_or_else(PoisonError::into_inner)
}

unsafe extern "system" fn on_exception(pointers: *mut debug::EXCEPTION_POINTERS) -> i32 {
    // SAFETY: the system passes valid pointers to a handler, and does not change their targets
    // meanwhile.
    let record = unsafe { (*pointers).ExceptionRecord };
    // SAFETY: as above.
    let record = unsafe { &*record };
    // An access between the two steps of another thread is an access violation. (And wine raises it
    // instead of an in-page error.)
    let handled = [code::EXCEPTION_IN_PAGE_ERROR, code::EXCEPTION_ACCESS_VIOLATION];
    // Both have at least two parameters: access and address.
    let [access, address, ..] = record.ExceptionInformation;
    if !handled.contains(&record.ExceptionCode) || record.NumberParameters < 2 {
        return CONTINUE_SEARCH;
    }
    let survived = match look_up(address) {
        Lookup::Foreign => false,
        // Another thread was faster.
        Lookup::Replaced(range) => permits(range, access) && is_committed(range, address),
        Lookup::Mapped(replacing) if permits(replacing.range, access) => replace(replacing),
        // A store to a read-only mapping is an ordinary fault.
        Lookup::Mapped(replacing) => {
            replacing.give_back();
            false
        }
    };
    if survived { CONTINUE_EXECUTION } else { CONTINUE_SEARCH }
}

/// Maps zeros over a whole mapping.
fn replace(replacing: Replacing) -> bool {
    let Range { base, len, writable } = replacing.range;
    let view = win::MEMORY_MAPPED_VIEW_ADDRESS { Value: base.as_ptr().cast() };
    // SAFETY: the range is a view of this crate, which is in use, as a thread has just accessed it,
    // and only this thread may replace it.
    let unmapped = unsafe { win::UnmapViewOfFile(view) } != 0;
    let protection = if writable { win::PAGE_READWRITE } else { win::PAGE_READONLY };
    let replaced = unmapped && zeros(base.as_ptr(), len, protection).is_ok();
    replacing.done(replaced);
    replaced
}

/// Whether the protection of the range permits the access.
const fn permits(range: Range, access: usize) -> bool {
    access == READ || (access == WRITE && range.writable)
}

/// Whether a page is committed at the address.
fn is_committed(range: Range, address: usize) -> bool {
    let mut info = win::MEMORY_BASIC_INFORMATION::default();
    let size = size_of::<win::MEMORY_BASIC_INFORMATION>();
    let at = range.base.as_ptr().with_addr(address).cast_const().cast();
    // SAFETY: a query; `info` has room for the answer.
    let known = unsafe { win::VirtualQuery(at, &raw mut info, size) } != 0;
    known && info.State == win::MEM_COMMIT
}

/// Whether the handler is installed; it stays installed.
static INSTALLED: Mutex<bool> = Mutex::new(false);
/// `EXCEPTION_CONTINUE_EXECUTION`: the access is retried.
const CONTINUE_EXECUTION: i32 = -1;
/// `EXCEPTION_CONTINUE_SEARCH`: the next handler is called.
const CONTINUE_SEARCH: i32 = 0;
/// Kinds of access.
const READ: usize = 0;
const WRITE: usize = 1;
