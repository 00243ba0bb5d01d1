//! Mapped memory: the only place that maps, and the only owner of mapped bytes.
//!
//! # What a mapping promises
//!
//! - **Range**: `len()` bytes from `base()` are mapped from creation to drop. The
//!   system maps whole pages, so there may be more behind; nobody uses them.
//! - **Alignment**: to 64 KiB for a file, to a page for private memory, hence to 64 bytes.
//! - **Provenance**: the pointer comes from the system and is valid for the whole range.
//! - **Other writers**: files of [`open`](crate::open) are written by other processes at
//!   any time; so nothing here ever makes a reference to the bytes. Files of
//!   [`create`](crate::create) are written by this process alone, unless somebody with
//!   the same rights ignores the lock.
//! - **Truncation**: Windows refuses to make a mapped file smaller. What remains is a
//!   file whose medium or server goes away (and under wine, whose Linux side truncates it):
//!   then [`guard`](crate::guard) puts zeros there and marks the mapping
//!   [damaged](Mapping::is_damaged).
//! - **Full file systems**: the space behind a writer's mapping is allocated and every
//!   page was written before anybody sees it.
//! - **Lifetime**: unmapped at drop. Handles keep an `Arc<Mapping>`.
//!
//! See the documentation of [`MapViewOfFile`] and [`VirtualProtect`].
//!
//! [`MapViewOfFile`]: https://learn.microsoft.com/windows/win32/api/memoryapi/nf-memoryapi-mapviewoffile
//! [`VirtualProtect`]: https://learn.microsoft.com/windows/win32/api/memoryapi/nf-memoryapi-virtualprotect
#![allow(unsafe_code)] // Maps and unmaps memory; each block has its proof.

use std::fs::File;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};

use mmstats_core::Memory;
use windows_sys::Win32::System::Memory as win;

use super::codes::os_error;
use super::handle::{check, delete_it};
use super::table::{Entry, PAGE, Range, There};
use crate::{Error, ErrorKind, FileId, Result};

/// Mapped memory that holds, or will hold, an image.
///
/// It is [`Memory`] for `mmstats_core`, and so is an `Arc` of it. There is no way to the
/// bytes but the pointer of [`Memory::base`]. Only a [writable](Self::is_writable) one
/// may be given to a writer.
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<u8>,
    len: usize,
    writable: bool,
    /// None for private memory, which needs no looking after.
    entry: Option<Entry>,
    /// A file that could not be removed while it is mapped, to be removed after.
    doomed: Mutex<Option<(PathBuf, FileId)>>,
}

// SAFETY:
// - Range, presence: the system returned `base` for `len` bytes, and only `drop` unmaps them.
//   A section of `len` bytes keeps the file from getting smaller; the guard replaces pages
//   that are lost all the same. Writers' files are allocated, written and locked.
// - Alignment: the system maps whole pages, and pages are multiples of 64 bytes.
// - Stability: both fields are set once.
// - Provenance: `base` is the pointer that the system returned.
// - Access: this crate makes no reference to the bytes, and touches them only while it
//   prepares a file that nobody else has yet, by atomics.
// - Atomicity: the pages of the cache and private ones are ordinary RAM. Devices are refused.
unsafe impl Memory for Mapping {
    fn base(&self) -> NonNull<u8> {
        self.base
    }
    fn len(&self) -> usize {
        self.len
    }
}

// SAFETY: a mapping belongs to the process, not to a thread, and may be unmapped by any.
unsafe impl Send for Mapping {}
// SAFETY: `&Mapping` gives a pointer and plain values out; the methods are system calls
// that may run at the same time.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes of a file that was opened for reading and writing, for its writer.
    pub(super) fn of_writer(
        file: &File,
        len: usize,
        operation: &'static str,
        path: &Path,
    ) -> Result<Self> {
        Self::of_file(file, len, true, operation, path)
    }

    /// Maps `len` bytes of an observed file, read-only.
    pub(super) fn of_observer(file: &File, len: usize, path: &Path) -> Result<Self> {
        Self::of_file(file, len, false, "map", path)
    }

    fn of_file(
        file: &File,
        len: usize,
        writable: bool,
        operation: &'static str,
        path: &Path,
    ) -> Result<Self> {
        let base = map_file(file, len, writable)
            .map_err(|error| os_error(operation, Some(path), error))?;
        let range = Range { base, len, writable };
        // From here on dropped, that is unmapped, if anything fails.
        let mut mapping = Self { base, len, writable, entry: None, doomed: Mutex::default() };
        let full = || Error::new(operation, path, ErrorKind::OutOfMemory);
        mapping.entry = Some(Entry::new(range).ok_or_else(full)?);
        Ok(mapping)
    }

    /// Whether a writer may use it.
    #[must_use]
    pub const fn is_writable(&self) -> bool {
        self.writable
    }

    /// Whether bytes were lost: the file's medium or server went away, and zeros were read in
    /// their place. What was read before and after is worth nothing.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.entry.as_ref().is_some_and(Entry::is_damaged)
    }

    /// Writes every page once without changing it, so that no later store has to wait for one.
    pub(super) fn populate(&self) {
        for offset in (0..self.len).step_by(PAGE) {
            // SAFETY: `offset` is less than `len`, so inside the mapping.
            let byte = unsafe { self.base.add(offset) };
            // SAFETY:
            // - aligned and valid: a mapped byte; any bit pattern is an `AtomicU8`;
            // - writable: only writers' mappings are populated;
            // - no data race: nobody else writes this file, others read atomically.
            let byte = unsafe { byte.cast::<AtomicU8>().as_ref() };
            // An exchange writes even where the value stays; a failed one means that
            // somebody else has just written.
            let value = byte.load(Relaxed);
            let _ = byte.compare_exchange(value, value, Relaxed, Relaxed);
        }
    }

    /// Cuts the mapping off from the file: each page is copied by the next store to it.
    ///
    /// (wine 8 says that it does this, and goes on sharing.)
    pub(super) fn detach(&self) -> io::Result<()> {
        let mut before = 0;
        // SAFETY:
        // - the range is mapped, it is that of `self`, and stays mapped with the same bytes,
        //   readable and writable for whoever uses it at this moment;
        // - a view that may be written may be made one that is copied at a write.
        check(unsafe {
            win::VirtualProtect(
                self.base.as_ptr().cast(),
                self.len,
                win::PAGE_WRITECOPY,
                &raw mut before,
            )
        })
    }

    /// Starts writing the bytes to the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        // SAFETY: the range is mapped, it is that of `self`.
        check(unsafe { win::FlushViewOfFile(self.base.as_ptr().cast(), self.len) })
    }

    /// Sees to it that a file which cannot be removed while it is mapped is removed after.
    pub(super) fn doom(&self, path: PathBuf, id: FileId) {
        *self.doomed.lock().unwrap_or_else(PoisonError::into_inner) = Some((path, id));
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // Before the address is free for others.
        let there = match &self.entry {
            Some(entry) => entry.clear(),
            None => There::Zeros,
        };
        let address = self.base.as_ptr().cast();
        let unmapped = match there {
            There::File if self.entry.is_some() => {
                let view = win::MEMORY_MAPPED_VIEW_ADDRESS { Value: address };
                // SAFETY:
                // - the view was mapped by this value and is unmapped nowhere else: the guard
                //   says so in `there` if it did;
                // - nobody uses it any more: users hold the mapping (`Memory`).
                unsafe { win::UnmapViewOfFile(view) }
            }
            // SAFETY: as above, for pages that were allocated, by `private` or by the guard.
            There::Zeros => unsafe { win::VirtualFree(address, 0, win::MEM_RELEASE) },
            _ => 1,
        };
        debug_assert!(unmapped != 0, "unmap: {}", io::Error::last_os_error());
        let doomed = self.doomed.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some((path, id)) = doomed.take() {
            // If somebody else has it mapped, it stays under a name that `sweep` knows.
            let _ = delete_it(&path, id);
        }
    }
}

/// Memory of this process alone, all zero, for a program that publishes nothing or has to
/// go on without a file.
///
/// ```
/// # #[cfg(windows)] {
/// use mmstats_core::Memory;
/// let memory = mmstats_windows::private(4096)?;
/// assert_eq!(memory.len(), 4096);
/// assert!(memory.is_writable());
/// # }
/// # Ok::<(), mmstats_windows::Error>(())
/// ```
///
/// # Errors
///
/// Where `size` is 0, or there is no memory.
pub fn private(size: u32) -> Result<Mapping> {
    const OPERATION: &str = "map private memory";
    if size == 0 {
        return Err(Error::pathless(OPERATION, ErrorKind::Empty));
    }
    let len = size as usize;
    let base = zeros(ptr::null_mut(), len, win::PAGE_READWRITE)
        .map_err(|error| os_error(OPERATION, None, error))?;
    Ok(Mapping { base, len, writable: true, entry: None, doomed: Mutex::default() })
}

/// Pages of zeros, at an address that is not in use, or where the system likes (null).
pub(super) fn zeros(
    place: *mut u8,
    len: usize,
    protection: win::PAGE_PROTECTION_FLAGS,
) -> io::Result<NonNull<u8>> {
    // SAFETY: nothing that is in use is touched: the call fails where something is.
    let address = unsafe {
        win::VirtualAlloc(place.cast(), len, win::MEM_RESERVE | win::MEM_COMMIT, protection)
    };
    NonNull::new(address.cast()).ok_or_else(io::Error::last_os_error)
}

/// Maps the first `len` bytes of a file, shared with everybody who maps it.
fn map_file(file: &File, len: usize, writable: bool) -> io::Result<NonNull<u8>> {
    let (protection, access) = if writable {
        (win::PAGE_READWRITE, win::FILE_MAP_READ | win::FILE_MAP_WRITE)
    } else {
        (win::PAGE_READONLY, win::FILE_MAP_READ)
    };
    let size = u32::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the handle is open; no attributes and no name are given. The section is as large
    // as the file at least, or this fails for an observer: it cannot make the file larger.
    let section = unsafe {
        win::CreateFileMappingW(file.as_raw_handle(), ptr::null(), protection, 0, size, ptr::null())
    };
    if section.is_null() {
        return Err(io::Error::last_os_error());
    }
    // The view keeps the section.
    // SAFETY: the system has just opened it, and nobody else has it.
    let section = unsafe { OwnedHandle::from_raw_handle(section) };
    // SAFETY: the system chooses the place, so that no other memory is touched. The bytes may
    // change at any time; nothing but `Mapping` refers to them.
    let view = unsafe { win::MapViewOfFile(section.as_raw_handle(), access, 0, 0, len) };
    NonNull::new(view.Value.cast()).ok_or_else(io::Error::last_os_error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn private_memory_is_whole_and_zero() {
        let mapping = Arc::new(private(10_000).unwrap());
        assert_eq!(mapping.len(), 10_000);
        assert_eq!(mapping.base().addr().get() % 64, 0);
        mapping.populate();
        let region = mmstats_core::Region::new(Arc::clone(&mapping)).unwrap();
        let mut bytes = vec![1; 9_999];
        mmstats_core::Source::copy(&region, 0, &mut bytes[..9_992]);
        assert!(bytes[..9_992].iter().all(|&b| b == 0));
        assert!(mapping.is_writable() && !mapping.is_damaged());
    }

    /// What was stored cannot be seen without a power cut; that it is asked for can.
    #[test]
    fn what_is_not_mapped_cannot_be_stored() {
        // Windows maps nothing in the first 64 KiB.
        let base = NonNull::new(ptr::without_provenance_mut(PAGE)).unwrap();
        let doomed = Mutex::default();
        let mapping = Mapping { base, len: PAGE, writable: true, entry: None, doomed };
        let stored = mapping.sync();
        // Nothing is there to be unmapped.
        std::mem::forget(mapping);
        stored.unwrap_err();
    }

    #[test]
    fn touching_changes_nothing() {
        let mapping = private(3 * 65_536 + 1).unwrap();
        for offset in 0..mapping.len() {
            // SAFETY: inside the mapping.
            let byte = unsafe { mapping.base().add(offset) };
            // SAFETY: a mapped byte of our own.
            unsafe { byte.write(u8::try_from(offset % 251).unwrap()) };
        }
        mapping.populate();
        for offset in 0..mapping.len() {
            // SAFETY: inside the mapping.
            let byte = unsafe { mapping.base().add(offset) };
            // SAFETY: a mapped byte of our own.
            assert_eq!(usize::from(unsafe { byte.read() }), offset % 251);
        }
    }

    #[test]
    fn nothing_is_refused() {
        assert_eq!(private(0).unwrap_err().kind(), ErrorKind::Empty);
    }
}
