//! Mapped memory: the only place that maps, and the only owner of mapped bytes.
//!
//! # What a mapping promises
//!
//! - **Range**: `len()` bytes from `base()` are mapped from creation to drop. The
//!   system maps whole pages, so there may be more behind; nobody uses them.
//! - **Alignment**: to a page, hence to 64 bytes.
//! - **Provenance**: the pointer comes from `mmap` and is valid for the whole range.
//! - **Other writers**: files of [`open`](crate::open) are written by other processes at
//!   any time; so nothing here ever makes a reference to the bytes. Files of
//!   [`create`](crate::create) are written by this process alone, unless somebody with
//!   the same user id ignores the lock.
//! - **Truncation and SIGBUS**: a file that is truncated while it is mapped makes the
//!   lost pages fault. [`open`](crate::open) installs [`guard`](crate::guard), which puts
//!   zeros there and marks the mapping [damaged](Mapping::is_damaged). A writer's
//!   mapping is looked after in the same way once `guard::install` was called; on its
//!   own `create` installs no signal handler.
//! - **Full file systems**: the space behind a writer's mapping is allocated and every
//!   page was written before anybody sees it.
//! - **Forks**: see [`fork`](crate::fork). A child's writer mappings are private copies at
//!   the same address.
//! - **Lifetime**: unmapped at drop. Handles keep an `Arc<Mapping>`.
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

use mmstats_core::Memory;
use rustix::io::Errno;
use rustix::mm::{MapFlags, MsyncFlags, ProtFlags};

use super::codes::os_error;
use super::failed;
use super::fork::Registration;
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
    registration: Option<Registration>,
}

// SAFETY:
// - Range, presence: `mmap` returned `base` for `len` bytes, and only `drop` unmaps them.
//   `open` refuses files that are smaller, and installs the guard, which replaces pages
//   that are lost later. Writers' files are allocated, written and locked.
// - Alignment: `mmap` returns whole pages, and pages are multiples of 64 bytes.
// - Stability: both fields are set once.
// - Provenance: `base` is the pointer that `mmap` returned.
// - Access: this crate makes no reference to the bytes, and touches them only while it
//   prepares a file that nobody else has yet, by atomics.
// - Atomicity: page cache and anonymous pages are ordinary RAM. Devices are refused.
unsafe impl Memory for Mapping {
    fn base(&self) -> NonNull<u8> {
        self.base
    }
    fn len(&self) -> usize {
        self.len
    }
}

// SAFETY: a mapping belongs to the process, not to a thread, and `munmap` may be called
// from any thread.
unsafe impl Send for Mapping {}
// SAFETY: `&Mapping` gives a pointer and plain values out; the methods are system calls
// that may run at the same time.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes of the file that `registration` holds open, for its writer.
    pub(super) fn of_writer(
        registration: Registration,
        len: usize,
        operation: &'static str,
        path: &Path,
    ) -> Result<Self> {
        let forked = || Error::new(operation, path, ErrorKind::Forked);
        let base = map_file(registration.map_fd().ok_or_else(forked)?, len, true)
            .map_err(failed(operation, path))?;
        registration.set_range(base, len, true);
        Ok(Self { base, len, writable: true, registration: Some(registration) })
    }

    /// Maps `len` bytes of an observed file, read-only.
    ///
    /// The guard must have been installed.
    pub(super) fn of_observer(fd: BorrowedFd<'_>, len: usize, path: &Path) -> Result<Self> {
        let registration = Registration::without_file("map", path)?;
        let base = map_file(fd, len, false).map_err(failed("map", path))?;
        registration.set_range(base, len, false);
        Ok(Self { base, len, writable: false, registration: Some(registration) })
    }

    /// Whether a writer may use it.
    #[must_use]
    pub const fn is_writable(&self) -> bool {
        self.writable
    }

    /// Whether bytes were lost: the file was truncated, or its device failed, and zeros
    /// were read in their place. What was read before and after is worth nothing.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.registration.as_ref().is_some_and(Registration::is_damaged)
    }

    /// The descriptor with a writer's lock, unless this process was forked off the writer.
    pub(super) fn lock_fd(&self) -> Option<BorrowedFd<'_>> {
        self.registration.as_ref().and_then(Registration::lock_fd)
    }

    /// The identity of a writer's file.
    pub(super) fn file_id(&self) -> Option<FileId> {
        self.registration.as_ref().and_then(Registration::file_id)
    }

    /// Writes every page once without changing it, so that no later store can fail.
    pub(super) fn populate(&self) -> rustix::io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            // An error where a touch would have been a SIGBUS; since Linux 5.14.
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
                // Not known to this kernel, or to what plays its part.
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
            // - no data race: nobody else writes this file, others read atomically.
            let byte = unsafe { byte.cast::<AtomicU8>().as_ref() };
            // An exchange writes even where the value stays; a failed one means that
            // somebody else has just written.
            let value = byte.load(Relaxed);
            let _ = byte.compare_exchange(value, value, Relaxed, Relaxed);
        }
    }

    /// Puts a private copy of a writer's file in the place of the mapping.
    pub(super) fn detach(&self) -> rustix::io::Result<()> {
        self.registration.as_ref().map_or(Ok(()), Registration::detach)
    }

    /// Starts writing the bytes to the file, or waits until that is done.
    pub(super) fn sync(&self, wait: bool) -> rustix::io::Result<()> {
        let flags = if wait { MsyncFlags::SYNC } else { MsyncFlags::ASYNC };
        // SAFETY: the range is mapped, it is that of `self`; no flag invalidates it.
        unsafe { rustix::mm::msync(self.base.as_ptr().cast(), self.len, flags) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // Before the address is free for others.
        if let Some(registration) = &self.registration {
            registration.clear_range();
        }
        // SAFETY:
        // - the range was mapped by this value and is unmapped nowhere else; the fork
        //   handler, `detach` and the guard replace pages, but keep the range mapped;
        // - nobody uses it any more: users hold the mapping (`Memory`).
        let unmapped = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.len) };
        debug_assert!(unmapped.is_ok(), "munmap: {unmapped:?}");
    }
}

/// Memory of this process alone, all zero, for a program that publishes nothing or has to
/// go on without a file.
///
/// A forked child has its own copy.
///
/// ```
/// use mmstats_core::Memory;
/// let memory = mmstats_unix::private(4096)?;
/// assert_eq!(memory.len(), 4096);
/// assert!(memory.is_writable());
/// # Ok::<(), mmstats_unix::Error>(())
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
    // SAFETY: the system chooses the place, so that no other memory is touched.
    let mapped = unsafe {
        rustix::mm::mmap_anonymous(
            ptr::null_mut(),
            len,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE,
        )
    };
    let base = mapped
        .and_then(not_null)
        .map_err(|errno| os_error(OPERATION, None, io::Error::from(errno)))?;
    Ok(Mapping { base, len, writable: true, registration: None })
}

/// Maps the first `len` bytes of a file, shared with everybody who maps it.
fn map_file(fd: impl AsFd, len: usize, writable: bool) -> rustix::io::Result<NonNull<u8>> {
    let protection = if writable { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::READ };
    // SAFETY: the system chooses the place, so that no other memory is touched. The bytes
    // may change and go at any time; nothing but `Mapping` refers to them.
    let mapped =
        unsafe { rustix::mm::mmap(ptr::null_mut(), len, protection, MapFlags::SHARED, fd, 0) };
    mapped.and_then(not_null)
}

/// `mmap` gives no null where it chooses the place itself.
fn not_null(address: *mut std::ffi::c_void) -> rustix::io::Result<NonNull<u8>> {
    NonNull::new(address.cast()).ok_or(Errno::NOMEM)
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
        mapping.populate().unwrap();
        let region = mmstats_core::Region::new(Arc::clone(&mapping)).unwrap();
        let mut bytes = vec![1; 9_999];
        mmstats_core::Source::copy(&region, 0, &mut bytes[..9_992]);
        assert!(bytes[..9_992].iter().all(|&b| b == 0));
        assert!(mapping.is_writable() && !mapping.is_damaged());
        assert!(mapping.lock_fd().is_none());
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
        mapping.touch();
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
