//! Writers' files across a fork: the child must not write them, nor keep them locked.
//!
//! A program may fork while it publishes. The child then shares the mapping, and its
//! copy of the locked descriptor keeps the lock alive after the parent's death. A handler
//! that runs in the child, before anything else does, mends both: it puts a private copy
//! of the file in the place of each writer's mapping, so that handles go on working and
//! touch nobody, and closes the descriptors. The copy is made page by page, by the first
//! store to each; until then a page shows what the parent publishes.
//!
//! The lock belongs to the open file, not to the descriptor, and on Linux a mapping keeps
//! the open file it was made from. So a file is opened twice, once to be locked and once
//! to be mapped; otherwise the child's private copy would keep its parent's lock.
//!
//! A child made without the handlers (`vfork`, `_Fork`, a bare `clone`) gets none of
//! this. It should do nothing but `exec`, which ends both the mapping and the
//! descriptors, or `_exit`.
#![allow(unsafe_code)] // Registers handlers, and maps in them; each block has its proof.

use std::io;
use std::os::fd::{BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use rustix::mm::{MapFlags, ProtFlags};

use super::codes::os_error;
use super::gate;
use super::table::{Entry, Fds, Lock, Range, slots};
use super::{failed, file_id};
use crate::{Error, ErrorKind, FileId, Result};

pub use super::gate::{Held, hold};

/// Whether this process was forked off one that had opened a file for writing.
///
/// Handles inherited from the parent then work on a private copy; to be seen, the child
/// must publish anew.
#[must_use]
pub fn forked() -> bool {
    generation() > 0
}

/// How many forks lie between this process and the one that first opened a file for
/// writing. A publisher that notes the number at creation, and finds another one later,
/// is in a child.
///
/// One load; made to be asked often.
#[must_use]
pub fn generation() -> u64 {
    GENERATION.load(Relaxed) as u64
}

/// A place in the table of mapped files, and for a writer the descriptors of its file.
#[derive(Debug)]
pub(super) struct Registration {
    /// Taken at drop.
    entry: Option<Entry>,
    /// Of a writer's file.
    id: Option<FileId>,
}

impl Registration {
    /// Opens a writer's file twice and registers it, with no fork in between.
    pub(super) fn open(
        operation: &'static str,
        path: &Path,
        first: impl FnOnce() -> rustix::io::Result<OwnedFd>,
        again: impl FnOnce() -> rustix::io::Result<OwnedFd>,
    ) -> Result<Self> {
        let failed = failed(operation, path);
        let held = Lock::hold();
        install(&held).map_err(|error| os_error(operation, Some(path), error))?;
        let lock = first().map_err(&failed)?;
        let id = file_id(&rustix::fs::fstat(&lock).map_err(&failed)?);
        let map = again().map_err(&failed)?;
        if file_id(&rustix::fs::fstat(&map).map_err(&failed)?) != id {
            return Err(Error::new(operation, path, ErrorKind::Replaced));
        }
        let full = || Error::new(operation, path, ErrorKind::OutOfMemory);
        let entry = Entry::new(&held).ok_or_else(full)?;
        entry.slot().set_fds(Fds { lock: lock.into_raw_fd(), map: map.into_raw_fd() });
        Ok(Self { entry: Some(entry), id: Some(id) })
    }

    /// Registers a mapping of a file that somebody else writes.
    pub(super) fn without_file(operation: &'static str, path: &Path) -> Result<Self> {
        let full = || Error::new(operation, path, ErrorKind::OutOfMemory);
        let entry = Entry::new(&Lock::hold()).ok_or_else(full)?;
        Ok(Self { entry: Some(entry), id: None })
    }

    /// The descriptor to lock, unless this process was forked off the writer.
    pub(super) fn lock_fd(&self) -> Option<BorrowedFd<'_>> {
        let fd = self.entry.as_ref()?.slot().fds()?.lock;
        // SAFETY: the descriptor is open: `open` put it into the slot, and only the drop of
        // `self` and the handler in a child close it. The handler runs when the only
        // thread of the child is inside `fork`, not in a function that borrowed it.
        Some(unsafe { BorrowedFd::borrow_raw(fd) })
    }

    /// The descriptor to map, unless this process was forked off the writer.
    pub(super) fn map_fd(&self) -> Option<BorrowedFd<'_>> {
        let fd = self.entry.as_ref()?.slot().fds()?.map;
        // SAFETY: as in `lock_fd`.
        Some(unsafe { BorrowedFd::borrow_raw(fd) })
    }

    /// The identity of a writer's file.
    pub(super) const fn file_id(&self) -> Option<FileId> {
        self.id
    }

    /// Says what is mapped.
    pub(super) fn set_range(&self, base: NonNull<u8>, len: usize, writable: bool) {
        if let Some(entry) = &self.entry {
            entry.slot().set_range(base, len, writable);
        }
    }

    /// Puts a private copy of a writer's file in the place of what is mapped, once; a
    /// second copy, here or in a child, would undo what was stored since.
    pub(super) fn detach(&self) -> rustix::io::Result<()> {
        // No fork between the copy and the note about it.
        let _held = Lock::hold();
        let slot = self.entry.as_ref().map(Entry::slot);
        match slot.and_then(|slot| Some((slot, slot.range()?, slot.fds()?))) {
            Some((slot, range, fds)) if !slot.is_private() => {
                copy_over(range, fds.map)?;
                slot.set_private();
                Ok(())
            }
            // This process was forked off the writer, or has its copy already.
            _ => Ok(()),
        }
    }

    /// Must be called before the range is unmapped.
    pub(super) fn clear_range(&self) {
        if let Some(entry) = &self.entry {
            entry.clear_range();
        }
    }

    /// Whether bytes of the range were lost.
    pub(super) fn is_damaged(&self) -> bool {
        self.entry.as_ref().is_some_and(Entry::is_damaged)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // No fork between taking the descriptors out of the table and closing them.
        let held = Lock::hold();
        let fds = self.entry.take().and_then(|entry| entry.release(&held));
        if let (Some(fds), Some(id)) = (fds, self.id) {
            close_ours(fds.lock, id);
            close_ours(fds.map, id);
        }
    }
}

/// Closes `fd` if it is a descriptor of the file `id`.
///
/// A program that closes all descriptors, as daemons do, has closed ours too, and the
/// number may be somebody else's by now.
fn close_ours(fd: RawFd, id: FileId) {
    // SAFETY: `F_GETFD` only asks; for a number that is no descriptor it is an error.
    let is_open = unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0;
    if !is_open {
        return;
    }
    // SAFETY: the descriptor is open, as just seen, and used for one question.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    if rustix::fs::fstat(borrowed).is_ok_and(|stat| file_id(&stat) == id) {
        // SAFETY: the descriptor is open and was ours, as just seen; it was taken out of
        // the slot, so nobody closes it a second time.
        unsafe { rustix::io::close(fd) };
    }
}

/// Registers the handlers, once.
fn install(_held: &Lock) -> io::Result<()> {
    if INSTALLED.load(Relaxed) {
        return Ok(());
    }
    // SAFETY: the handlers are functions that are never unloaded while they are registered
    // (the C library forgets the handlers of a library that is unloaded).
    let code = unsafe {
        libc::pthread_atfork(
            Some(before_fork),
            Some(after_fork_in_parent),
            Some(after_fork_in_child),
        )
    };
    if code != 0 {
        return Err(io::Error::from_raw_os_error(code));
    }
    INSTALLED.store(true, Relaxed);
    Ok(())
}

unsafe extern "C" fn before_fork() {
    gate::close();
    Lock::hold_for_fork();
}

unsafe extern "C" fn after_fork_in_parent() {
    gate::open_in_parent();
    Lock::release_in_parent();
}

/// Does only what is safe in the child of a program with threads: atomics and bare
/// system calls, no allocation, no lock.
unsafe extern "C" fn after_fork_in_child() {
    gate::open_in_child();
    GENERATION.fetch_add(1, Relaxed);
    for slot in slots() {
        let Some(fds) = slot.take_fds() else { continue };
        if let Some(range) = slot.range().filter(|_| !slot.is_private()) {
            make_private(range, fds.map);
        }
        // `libc::close`, since it bears a descriptor that is not there: without the lock
        // (`Lock::hold_for_fork`) the table may know one that did not come along.
        // SAFETY: the descriptor came with the fork, and was taken out of the slot, so
        // nobody closes it a second time.
        unsafe { libc::close(fds.map) };
        // SAFETY: as above.
        unsafe { libc::close(fds.lock) };
    }
    Lock::release_in_child();
}

/// Puts a private copy of the file in the place of the shared mapping. Where that fails,
/// for want of memory, zeros; and where that fails too, the mapping stays as it is.
fn make_private(range: Range, fd: RawFd) {
    if copy_over(range, fd).is_err() {
        let flags = MapFlags::PRIVATE | MapFlags::FIXED;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: as in `copy_over`, with other bytes: zeros are valid for atomics too.
        let _ = unsafe {
            rustix::mm::mmap_anonymous(range.base.as_ptr().cast(), range.len, protection, flags)
        };
    }
}

/// Puts a private copy of the file in the place of the shared mapping.
fn copy_over(range: Range, fd: RawFd) -> rustix::io::Result<()> {
    let flags = MapFlags::PRIVATE | MapFlags::FIXED;
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    let place = range.base.as_ptr().cast();
    // SAFETY: the descriptor is open; in a child it came with the fork.
    let file = unsafe { BorrowedFd::borrow_raw(fd) };
    // SAFETY:
    // - the range is a whole mapping of a writer (`Slot::set_range`), so nothing else is
    //   replaced;
    // - it stays mapped, readable and writable, with the same bytes: the system replaces a
    //   mapping in one step, so whoever uses it at this moment finds one or the other.
    unsafe { rustix::mm::mmap(place, range.len, protection, flags, file, 0) }.map(drop)
}

static GENERATION: AtomicUsize = AtomicUsize::new(0);
static INSTALLED: AtomicBool = AtomicBool::new(false);
