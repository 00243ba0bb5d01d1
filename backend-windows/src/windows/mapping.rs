//! Mapped memory. Only this module maps, and only it owns mapped bytes.
//!
//! # Guarantees of a mapping
//!
//! - **Range**: `len()` bytes from `base()` are mapped from creation to drop. The system maps whole
//!   pages; bytes after the range are not used.
//! - **Alignment**: to 64 KiB for a file, to a page for private memory, hence to 64 bytes.
//! - **Provenance**: the pointer comes from the system and is valid for the whole range.
//! - **Other writers**: other processes write the files of [`open`](crate::open) at any time, so
//!   this crate never makes a reference to the bytes. Only this process writes the files of
//!   [`create`](crate::create), unless a program of the same user ignores the lock.
//! - **Truncation**: Windows refuses to truncate a mapped file. If its medium or server fails (or a
//!   Linux program truncates it under wine), the [`fault_handler`](crate::fault_handler) maps zeros
//!   there and marks the mapping [damaged](Mapping::is_damaged).
//! - **Full file systems**: the space of a writer's mapping is allocated, and every page was
//!   written, before publication.
//! - **Lifetime**: unmapped at drop. Handles hold an `Arc<Mapping>`.
//! - **Read-only mappings** have a type of their own, of which no writer can be made:
//!
//! ```no_run
//! let file = mmstats_windows::open("x.mmst".as_ref()).unwrap();
//! let _ = mmstats_core::View::new(std::sync::Arc::clone(file.mapping()));
//! ```
//!
//! ```compile_fail
//! let file = mmstats_windows::open("x.mmst".as_ref()).unwrap();
//! let _ = mmstats_core::Region::new(std::sync::Arc::clone(file.mapping()));
//! ```
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

use mmstats_core::{Memory, ReadMemory};
use mmstats_system::docs;
use windows_sys::Win32::System::Memory as win;

use super::handle::delete_by_id;
use super::mapping_table::{Contents, Entry, PAGE, Range};
use super::os_error::os_error;
use super::win32::check;
use crate::{Error, ErrorKind, FileId, Result};

#[doc = docs!(Mapping)]
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<u8>,
    len: usize,
    /// `None` for private memory, which the handler need not know.
    entry: Option<Entry>,
    /// File to remove at drop, because it could not be removed while mapped.
    removal: Mutex<Option<(PathBuf, FileId)>>,
}

#[doc = docs!(ObservedMapping)]
#[derive(Debug)]
pub struct ObservedMapping(
    /// Private, because its bytes are not writable.
    Mapping,
);

// SAFETY:
// - Range, presence: the system returned `base` for `len` bytes, and only `drop` unmaps them.
//   A section of `len` bytes prevents the truncation of the file; the fault handler replaces pages
//   that are lost all the same. Writers' files are allocated, written and locked.
// - Alignment: the system maps whole pages, and pages are multiples of 64 bytes.
// - Stability: both fields are set once.
// - Provenance: `base` is the pointer that the system returned.
// - Access: this crate makes no reference to the bytes, and accesses them only while it prepares a
//   file that no other process has yet, by atomics.
// - Atomicity: the pages of the cache and private ones are ordinary RAM. Devices are refused.
unsafe impl Memory for Mapping {
    fn base(&self) -> NonNull<u8> {
        self.base
    }
    fn len(&self) -> usize {
        self.len
    }
}

// SAFETY: as for `Mapping`; the bytes are readable.
unsafe impl ReadMemory for ObservedMapping {
    fn base(&self) -> NonNull<u8> {
        self.0.base
    }
    fn len(&self) -> usize {
        self.0.len
    }
}

// SAFETY: a mapping belongs to the process, not to a thread, and any thread may unmap it.
unsafe impl Send for Mapping {}
// SAFETY: `&Mapping` gives access to a pointer and plain values; the methods are system calls that
// may run concurrently.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes of a file that was opened for reading and writing, for its writer.
    pub(super) fn for_writer(
        file: &File,
        len: usize,
        operation: &'static str,
        path: &Path,
    ) -> Result<Self> {
        Self::of_file(file, len, true, operation, path)
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
        // Unmapped by its drop if the next step fails.
        let mut mapping = Self { base, len, entry: None, removal: Mutex::default() };
        let full = || Error::new(operation, path, ErrorKind::OutOfMemory);
        mapping.entry = Some(Entry::new(range).ok_or_else(full)?);
        Ok(mapping)
    }

    #[doc = docs!(Mapping::is_damaged)]
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.entry.as_ref().is_some_and(Entry::is_damaged)
    }

    /// Writes every page without changing it, so that no later store faults.
    pub(super) fn populate(&self) {
        for offset in (0..self.len).step_by(PAGE) {
            // SAFETY: `offset` is less than `len`, so inside the mapping.
            let byte = unsafe { self.base.add(offset) };
            // SAFETY:
            // - aligned and valid: a mapped byte; any bit pattern is an `AtomicU8`;
            // - writable: only writers' mappings are populated;
            // - no data race: no other process writes this file, observers read atomically.
            let byte = unsafe { byte.cast::<AtomicU8>().as_ref() };
            // An exchange writes even if the value stays; it fails only if another thread has just
            // written.
            let value = byte.load(Relaxed);
            let _ = byte.compare_exchange(value, value, Relaxed, Relaxed);
        }
    }

    /// Makes the mapping private: the system copies each page at the next store to it.
    ///
    /// (wine 8 reports success and keeps sharing.)
    pub(super) fn detach(&self) -> io::Result<()> {
        let mut before = 0;
        // SAFETY:
        // - the range is that of `self`: it stays mapped with the same bytes, readable and writable
        //   for concurrent accesses;
        // - copy on write is permitted for a writable view.
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

    /// Removes the file at drop, since it cannot be removed while mapped.
    pub(super) fn remove_at_drop(&self, path: PathBuf, id: FileId) {
        *self.removal.lock().unwrap_or_else(PoisonError::into_inner) = Some((path, id));
    }
}

impl ObservedMapping {
    /// Maps `len` bytes of an observed file, read-only.
    pub(super) fn new(file: &File, len: usize, path: &Path) -> Result<Self> {
        Mapping::of_file(file, len, false, "map", path).map(Self)
    }

    #[doc = docs!(Mapping::is_damaged)]
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.0.is_damaged()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // Before the address can be reused.
        let contents = match &self.entry {
            Some(entry) => entry.clear(),
            None => Contents::Zeros,
        };
        let address = self.base.as_ptr().cast();
        let unmapped = match contents {
            Contents::File if self.entry.is_some() => {
                let view = win::MEMORY_MAPPED_VIEW_ADDRESS { Value: address };
                // SAFETY:
                // - the view was mapped by this value and is unmapped nowhere else: `contents` would
                //   tell if the fault handler had unmapped it;
                // - it is no longer in use: users hold the mapping (`Memory`).
                unsafe { win::UnmapViewOfFile(view) }
            }
            // SAFETY: as above, for pages allocated by `private` or by the fault handler.
            Contents::Zeros => unsafe { win::VirtualFree(address, 0, win::MEM_RELEASE) },
            _ => 1,
        };
        debug_assert!(unmapped != 0, "unmap: {}", io::Error::last_os_error());
        let removal = self.removal.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some((path, id)) = removal.take() {
            // If another process has it mapped, it keeps a name that `sweep` removes.
            let _ = delete_by_id(&path, id);
        }
    }
}

#[doc = docs!(private)]
pub fn private(size: u32) -> Result<Mapping> {
    const OPERATION: &str = "map private memory";
    if size == 0 {
        return Err(Error::without_path(OPERATION, ErrorKind::Empty));
    }
    let len = size as usize;
    let base = zeros(ptr::null_mut(), len, win::PAGE_READWRITE)
        .map_err(|error| os_error(OPERATION, None, error))?;
    Ok(Mapping { base, len, entry: None, removal: Mutex::default() })
}

/// Allocates pages of zeros at an unused address, or where the system chooses (null).
pub(super) fn zeros(
    address: *mut u8,
    len: usize,
    protection: win::PAGE_PROTECTION_FLAGS,
) -> io::Result<NonNull<u8>> {
    // SAFETY: no memory in use is replaced: the call fails if there is any.
    let address = unsafe {
        win::VirtualAlloc(address.cast(), len, win::MEM_RESERVE | win::MEM_COMMIT, protection)
    };
    NonNull::new(address.cast()).ok_or_else(io::Error::last_os_error)
}

/// Maps the first `len` bytes of a file, shared.
fn map_file(file: &File, len: usize, writable: bool) -> io::Result<NonNull<u8>> {
    let (protection, access) = if writable {
        (win::PAGE_READWRITE, win::FILE_MAP_READ | win::FILE_MAP_WRITE)
    } else {
        (win::PAGE_READONLY, win::FILE_MAP_READ)
    };
    let size = u32::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the handle is open; no attributes and no name are given. For an observer it fails if
    // the file is smaller than the section, because a read-only handle cannot extend it.
    let section = unsafe {
        win::CreateFileMappingW(file.as_raw_handle(), ptr::null(), protection, 0, size, ptr::null())
    };
    if section.is_null() {
        return Err(io::Error::last_os_error());
    }
    // The view keeps the section.
    // SAFETY: the system has just opened the handle, and nothing else owns it.
    let section = unsafe { OwnedHandle::from_raw_handle(section) };
    // SAFETY: the system chooses the address, so no other memory is replaced. The bytes may change
    // at any time; only `Mapping` refers to them.
    let view = unsafe { win::MapViewOfFile(section.as_raw_handle(), access, 0, 0, len) };
    NonNull::new(view.Value.cast()).ok_or_else(io::Error::last_os_error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn private_memory_is_zero_aligned_and_writable() {
        let mapping = Arc::new(private(10_000).unwrap());
        assert_eq!(mapping.len(), 10_000);
        assert_eq!(mapping.base().addr().get() % 64, 0);
        mapping.populate();
        let region = mmstats_core::Region::new(Arc::clone(&mapping)).unwrap();
        let mut bytes = vec![1; 9_999];
        mmstats_core::Source::copy(&region, 0, &mut bytes[..9_992]);
        assert!(bytes[..9_992].iter().all(|&b| b == 0));
        assert!(!mapping.is_damaged());
    }

    /// A flush is invisible without a power cut; its failure is visible.
    #[test]
    fn sync_of_unmapped_range_fails() {
        // Windows maps nothing in the first 64 KiB.
        let base = NonNull::new(ptr::without_provenance_mut(PAGE)).unwrap();
        let removal = Mutex::default();
        let mapping = Mapping { base, len: PAGE, entry: None, removal };
        let stored = mapping.sync();
        // There is nothing to unmap.
        std::mem::forget(mapping);
        stored.unwrap_err();
    }

    #[test]
    fn populate_changes_no_byte() {
        let mapping = private(3 * 65_536 + 1).unwrap();
        for offset in 0..mapping.len() {
            // SAFETY: inside the mapping.
            let byte = unsafe { mapping.base().add(offset) };
            // SAFETY: a mapped byte of this test.
            unsafe { byte.write(u8::try_from(offset % 251).unwrap()) };
        }
        mapping.populate();
        for offset in 0..mapping.len() {
            // SAFETY: inside the mapping.
            let byte = unsafe { mapping.base().add(offset) };
            // SAFETY: a mapped byte of this test.
            assert_eq!(usize::from(unsafe { byte.read() }), offset % 251);
        }
    }

    #[test]
    fn private_of_size_0_is_empty() {
        assert_eq!(private(0).unwrap_err().kind(), ErrorKind::Empty);
    }
}
