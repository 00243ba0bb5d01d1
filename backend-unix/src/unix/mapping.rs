//! Mapped memory. Only this module maps, and only it owns mapped bytes.
//!
//! # Guarantees of a mapping
//!
//! - **Range**: `len()` bytes from `base()` are mapped from creation to drop. The system maps whole
//!   pages; bytes after the range are not used.
//! - **Alignment**: to a page, hence to 64 bytes.
//! - **Provenance**: the pointer comes from `mmap` and is valid for the whole range.
//! - **Other writers**: other processes write the files of [`open`](crate::open) at any time, so
//!   this crate never makes a reference to the bytes. Only this process writes the files of
//!   [`create`](crate::create), unless a program of the same user ignores the lock.
//! - **Truncation and SIGBUS**: access to a page beyond the end of a truncated file faults.
//!   [`open`](crate::open) installs the [`fault_handler`](crate::fault_handler), which maps zeros
//!   there and marks the mapping [damaged](Mapping::is_damaged). The handler covers a writer's
//!   mapping too, but `create` does not install it.
//! - **Full file systems**: the space of a writer's mapping is allocated, and every page was
//!   written, before publication.
//! - **Forks**: a child's writer mappings are private copies at the same address; see
//!   [`fork`](crate::fork).
//! - **Lifetime**: unmapped at drop. Handles hold an `Arc<Mapping>`.
//! - **Read-only mappings** have a type of their own, of which no writer can be made:
//!
//! ```no_run
//! let file = mmstats_unix::open("x.mmst".as_ref()).unwrap();
//! let _ = mmstats_core::View::new(std::sync::Arc::clone(file.mapping()));
//! ```
//!
//! ```compile_fail
//! let file = mmstats_unix::open("x.mmst".as_ref()).unwrap();
//! let _ = mmstats_core::Region::new(std::sync::Arc::clone(file.mapping()));
//! ```
//!
//! See the manuals of [Linux], [FreeBSD] and [macOS].
//!
//! [Linux]: https://man7.org/linux/man-pages/man2/mmap.2.html
//! [FreeBSD]: https://man.freebsd.org/cgi/man.cgi?query=mmap&sektion=2
//! [macOS]: https://developer.apple.com/library/archive/documentation/System/Conceptual/ManPages_iPhoneOS/man2/mmap.2.html
#![allow(unsafe_code)] // Maps and unmaps memory; each block has its proof.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;

use mmstats_core::{Memory, ReadMemory};
use mmstats_system::docs;
use rustix::io::Errno;
use rustix::mm::{MapFlags, MsyncFlags, ProtFlags};

use super::fork::Registration;
use super::os_error::{failed, map_failed, os_error};
use crate::{Error, ErrorKind, FileId, Result};

#[doc = docs!(Mapping)]
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<u8>,
    len: usize,
    /// `None` for private memory, which the handlers need not know.
    registration: Option<Registration>,
}

#[doc = docs!(ObservedMapping)]
#[derive(Debug)]
pub struct ObservedMapping(
    /// Private, because its bytes are not writable.
    Mapping,
);

// SAFETY:
// - Range, presence: `mmap` returned `base` for `len` bytes, and only `drop` unmaps them.
//   `open` refuses smaller files, and installs the fault handler, which replaces pages that are
//   lost later. Writers' files are allocated, written and locked.
// - Alignment: `mmap` returns whole pages, and pages are multiples of 64 bytes.
// - Stability: both fields are set once.
// - Provenance: `base` is the pointer that `mmap` returned.
// - Access: this crate makes no reference to the bytes, and accesses them only while it prepares a
//   file that no other process has yet, by atomics.
// - Atomicity: page cache and anonymous pages are ordinary RAM. Devices are refused.
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

// SAFETY: a mapping belongs to the process, not to a thread, and `munmap` may be called
// from any thread.
unsafe impl Send for Mapping {}
// SAFETY: `&Mapping` gives access to a pointer and plain values; the methods are system calls that
// may run concurrently.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes of the file that `registration` holds open, for its writer.
    pub(super) fn for_writer(
        registration: Registration,
        len: usize,
        operation: &'static str,
        path: &Path,
    ) -> Result<Self> {
        let fd = registration.map_fd().map_err(|kind| Error::new(operation, path, kind))?;
        let base = map_file(fd, len, true).map_err(map_failed(operation, path))?;
        registration.set_range(base, len, true);
        Ok(Self { base, len, registration: Some(registration) })
    }

    #[doc = docs!(Mapping::is_damaged)]
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.registration.as_ref().is_some_and(Registration::is_damaged)
    }

    /// Descriptor with a writer's lock.
    ///
    /// # Errors
    ///
    /// As [`Registration::lock_fd`].
    pub(super) fn lock_fd(&self) -> core::result::Result<BorrowedFd<'_>, ErrorKind> {
        self.registration.as_ref().ok_or(ErrorKind::Forked)?.lock_fd()
    }

    /// Identity of a writer's file.
    pub(super) fn file_id(&self) -> Option<FileId> {
        self.registration.as_ref().and_then(Registration::file_id)
    }

    /// Writes every page without changing it, so that no later store can fail.
    pub(super) fn populate(&self, operation: &'static str, path: &Path) -> Result<()> {
        self.write_pages().map_err(|errno| {
            let error = failed(operation, path)(errno);
            // The answer of `madvise` where a store would raise SIGBUS.
            match errno {
                Errno::FAULT => error.with_kind(ErrorKind::NoSpace),
                Errno::AGAIN => error.with_kind(ErrorKind::OutOfMemory),
                _ => error,
            }
        })
    }

    fn write_pages(&self) -> rustix::io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android"))] // can populate
        {
            // Since Linux 5.14; an error where a store would raise SIGBUS.
            // SAFETY:
            // - the range is mapped: it is that of `self`;
            // - populating changes no byte.
            let populated = unsafe {
                rustix::mm::madvise(
                    self.base.as_ptr().cast(),
                    self.len,
                    rustix::mm::Advice::LinuxPopulateWrite,
                )
            };
            match populated {
                Ok(()) => return Ok(()),
                Err(errno @ (Errno::FAULT | Errno::NOMEM)) => return Err(errno),
                // Not supported by this kernel, or by its emulator.
                Err(_) => {}
            }
        }
        self.touch();
        Ok(())
    }

    /// Writes the first byte of every page with its own value.
    fn touch(&self) {
        for offset in (0..self.len).step_by(rustix::param::page_size()) {
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

    /// Reads the bytes of a file from `start` to `end` to their place in private memory.
    pub(super) fn fill(&self, fd: BorrowedFd<'_>, start: u64, end: u64) -> rustix::io::Result<()> {
        debug_assert!(self.registration.is_none(), "private memory");
        let (mut at, end) = (start, end.min(self.len as u64));
        let mut chunk = [0; 1 << 16];
        while at < end {
            let rest = usize::try_from(end - at).unwrap_or(chunk.len()).min(chunk.len());
            let read = match rustix::io::pread(fd, &mut chunk[..rest], at) {
                Ok(0) => break,
                Ok(read) => read,
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno),
            };
            #[allow(clippy::cast_possible_truncation)] // below `len`
            let offset = at as usize;
            // SAFETY: `offset` is less than `end`, so inside the mapping.
            let to = unsafe { self.base.add(offset) };
            // SAFETY:
            // - `chunk` has `read` bytes, and the mapping has them from `offset` on: `read` is at
            //   most `end - at`;
            // - they do not overlap: `chunk` is on the stack;
            // - no data race: the mapping is private memory, not yet shared with another thread.
            unsafe { ptr::copy_nonoverlapping(chunk.as_ptr(), to.as_ptr(), read) };
            at += read as u64;
        }
        Ok(())
    }

    /// Replaces a writer's mapping by a private copy of the file.
    pub(super) fn detach(&self) -> rustix::io::Result<()> {
        self.registration.as_ref().map_or(Ok(()), Registration::detach)
    }

    /// Starts writing the bytes to the file; with `wait`, completes it.
    pub(super) fn sync(&self, wait: bool) -> rustix::io::Result<()> {
        let flags = if wait { MsyncFlags::SYNC } else { MsyncFlags::ASYNC };
        // SAFETY: the range is mapped, it is that of `self`; no flag invalidates it.
        unsafe { rustix::mm::msync(self.base.as_ptr().cast(), self.len, flags) }
    }
}

impl ObservedMapping {
    /// Takes a private copy of an observed file.
    pub(super) const fn from_copy(copy: Mapping) -> Self {
        Self(copy)
    }

    /// Maps `len` bytes of an observed file, read-only.
    ///
    /// The fault handler must have been installed.
    pub(super) fn new(fd: BorrowedFd<'_>, len: usize, path: &Path) -> Result<Self> {
        let registration = Registration::without_file("map", path)?;
        let base = map_file(fd, len, false).map_err(map_failed("map", path))?;
        registration.set_range(base, len, false);
        Ok(Self(Mapping { base, len, registration: Some(registration) }))
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
        if let Some(registration) = &self.registration {
            registration.clear_range();
        }
        // SAFETY:
        // - the range was mapped by this value and is unmapped nowhere else; the fork handler,
        //   `detach` and the fault handler replace pages, but keep the range mapped;
        // - it is no longer in use: users hold the mapping (`Memory`).
        let unmapped = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.len) };
        debug_assert!(unmapped.is_ok(), "munmap: {unmapped:?}");
    }
}

#[doc = docs!(private)]
pub fn private(size: u32) -> Result<Mapping> {
    const OPERATION: &str = "map private memory";
    if size == 0 {
        return Err(Error::without_path(OPERATION, ErrorKind::Empty));
    }
    let len = size as usize;
    // SAFETY: the system chooses the address, so no other memory is replaced.
    let mapped = unsafe {
        rustix::mm::mmap_anonymous(
            ptr::null_mut(),
            len,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE,
        )
    };
    let base = mapped.and_then(not_null).map_err(|errno| {
        let error = os_error(OPERATION, None, io::Error::from(errno));
        if errno == Errno::AGAIN { error.with_kind(ErrorKind::OutOfMemory) } else { error }
    })?;
    Ok(Mapping { base, len, registration: None })
}

/// Maps the first `len` bytes of a file, shared.
fn map_file(fd: impl AsFd, len: usize, writable: bool) -> rustix::io::Result<NonNull<u8>> {
    let protection = if writable { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::READ };
    // SAFETY: the system chooses the address, so no other memory is replaced. The bytes may change
    // or be lost at any time; only `Mapping` refers to them.
    let mapped =
        unsafe { rustix::mm::mmap(ptr::null_mut(), len, protection, MapFlags::SHARED, fd, 0) };
    mapped.and_then(not_null)
}

/// `mmap` returns no null where it chooses the address itself.
fn not_null(address: *mut std::ffi::c_void) -> rustix::io::Result<NonNull<u8>> {
    NonNull::new(address.cast()).ok_or(Errno::NOMEM)
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
        mapping.write_pages().unwrap();
        let region = mmstats_core::Region::new(Arc::clone(&mapping)).unwrap();
        let mut bytes = vec![1; 9_999];
        mmstats_core::Source::copy(&region, 0, &mut bytes[..9_992]);
        assert!(bytes[..9_992].iter().all(|&b| b == 0));
        assert!(!mapping.is_damaged());
        assert!(mapping.lock_fd().is_err());
    }

    #[test]
    fn touch_changes_no_byte() {
        let mapping = private(3 * 65_536 + 1).unwrap();
        for offset in 0..mapping.len() {
            // SAFETY: inside the mapping.
            let byte = unsafe { mapping.base().add(offset) };
            // SAFETY: a mapped byte of this test.
            unsafe { byte.write(u8::try_from(offset % 251).unwrap()) };
        }
        mapping.touch();
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
