//! Writers' files across a fork: the child neither writes them nor keeps them locked.
//!
//! A child shares its parent's mappings, and its copy of a locked descriptor keeps the lock after
//! the parent's death. A handler that runs in the child before all other code corrects both: it
//! replaces each writer's mapping by a private copy of the file, so that handles keep working
//! without an effect on the parent, and closes the descriptors. The system copies a page at the
//! first store to it; until then the page shows the values of the parent.
//!
//! The lock belongs to the open file, not to the descriptor, and on Linux a mapping keeps its open
//! file. A file is therefore opened twice, once to be locked and once to be mapped; otherwise the
//! child's private copy would keep its parent's lock.
//!
//! A child made without the handlers (`vfork`, `_Fork`, a bare `clone`) should only call `exec`,
//! which ends both mappings and descriptors, or `_exit`. Its process id shows that the files are not
//! its own: it neither unlocks nor removes them.
//!
//! A program may close descriptors that it does not know, as daemons do, and their numbers may be
//! those of other files then. Before each use a descriptor is compared with the file.
#![allow(unsafe_code)] // Registers handlers, and maps in them; each block has its proof.

use std::io;
use std::os::fd::{BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize};

use mmstats_system::docs;
use rustix::mm::{MapFlags, ProtFlags};

use super::fork_gate;
use super::mapping_table::{Entry, Fds, Range, TableLock, slots};
use super::os_error::{failed, os_error};
use super::stat::file_id;
use crate::{Error, ErrorKind, FileId, Result};

pub use super::fork_gate::{Inhibitor, inhibit};

#[doc = docs!(fork::forked)]
#[must_use]
pub fn forked() -> bool {
    generation() > 0
}

#[doc = docs!(fork::generation)]
#[must_use]
#[inline]
pub fn generation() -> u64 {
    GENERATION.load(Relaxed) as u64
}

/// An entry in the table of mapped files, with the descriptors of a writer's file.
#[derive(Debug)]
pub(super) struct Registration {
    /// `None` only during drop.
    entry: Option<Entry>,
    /// Identity of a writer's file.
    id: Option<FileId>,
    /// The process that registered it.
    process: u32,
}

impl Registration {
    /// Opens a writer's file twice, by `first` and `again`, and registers it; no fork happens in
    /// between.
    pub(super) fn open(
        operation: &'static str,
        path: &Path,
        first: impl FnOnce() -> rustix::io::Result<OwnedFd>,
        again: impl FnOnce() -> rustix::io::Result<OwnedFd>,
    ) -> Result<Self> {
        let failed = failed(operation, path);
        let held = TableLock::hold();
        install(&held).map_err(|error| os_error(operation, Some(path), error))?;
        let lock = first().map_err(&failed)?;
        let id = file_id(&rustix::fs::fstat(&lock).map_err(&failed)?);
        let map = again().map_err(&failed)?;
        if file_id(&rustix::fs::fstat(&map).map_err(&failed)?) != id {
            return Err(Error::new(operation, path, ErrorKind::Replaced));
        }
        let full = || Error::new(operation, path, ErrorKind::OutOfMemory);
        let entry = Entry::new(&held).ok_or_else(full)?;
        entry.slot().set_fds(Fds { lock: lock.into_raw_fd(), map: map.into_raw_fd() }, id);
        Ok(Self { entry: Some(entry), id: Some(id), process: std::process::id() })
    }

    /// Registers the mapping of an observed file.
    pub(super) fn without_file(operation: &'static str, path: &Path) -> Result<Self> {
        let full = || Error::new(operation, path, ErrorKind::OutOfMemory);
        let entry = Entry::new(&TableLock::hold()).ok_or_else(full)?;
        Ok(Self { entry: Some(entry), id: None, process: std::process::id() })
    }

    /// Descriptor with the lock.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Forked`] in another process, [`ErrorKind::DescriptorClosed`] if the program has
    /// closed it.
    pub(super) fn lock_fd(&self) -> core::result::Result<BorrowedFd<'_>, ErrorKind> {
        self.own(self.fds()?.lock)
    }

    /// Descriptor to map.
    ///
    /// # Errors
    ///
    /// As [`lock_fd`](Self::lock_fd).
    pub(super) fn map_fd(&self) -> core::result::Result<BorrowedFd<'_>, ErrorKind> {
        self.own(self.fds()?.map)
    }

    fn fds(&self) -> core::result::Result<Fds, ErrorKind> {
        let fds = self.entry.as_ref().and_then(|entry| entry.slot().fds());
        fds.filter(|_| !self.is_foreign()).ok_or(ErrorKind::Forked)
    }

    /// `fd`, if it is still a descriptor of the file.
    fn own(&self, fd: RawFd) -> core::result::Result<BorrowedFd<'_>, ErrorKind> {
        match (self.id, identity(fd)) {
            // SAFETY: the descriptor is open, as just found: `open` stored it in the slot, and only
            // the drop of `self` and the handler in a child close it. The handler runs while the
            // only thread of the child is inside `fork`, not in a function that borrowed it. Only a
            // program that closes descriptors of others closes it.
            (Some(id), Some(found)) if id == found => Ok(unsafe { BorrowedFd::borrow_raw(fd) }),
            _ => Err(ErrorKind::DescriptorClosed),
        }
    }

    /// Whether this process is a child of the one that registered it, made without the handlers.
    fn is_foreign(&self) -> bool {
        let this = std::process::id();
        self.process != this && PROCESS.load(Relaxed) != this
    }

    /// Identity of a writer's file.
    pub(super) const fn file_id(&self) -> Option<FileId> {
        self.id
    }

    /// Sets the mapped range.
    pub(super) fn set_range(&self, base: NonNull<u8>, len: usize, writable: bool) {
        if let Some(entry) = &self.entry {
            entry.slot().set_range(base, len, writable);
        }
    }

    /// Replaces the mapping of a writer's file by a private copy, once: a second copy, here or in a
    /// child, would undo later stores.
    pub(super) fn detach(&self) -> rustix::io::Result<()> {
        // No fork between the copy and its record.
        let _held = TableLock::hold();
        let slot = self.entry.as_ref().map(Entry::slot);
        match slot.and_then(|slot| Some((slot, slot.range()?, slot.fds()?))) {
            Some((slot, range, fds)) if !slot.is_private() => {
                let id = identity(fds.map);
                if id.is_some() && id == self.id {
                    copy_over(range, fds.map)?;
                } else {
                    copy_by_memory(range)?;
                }
                slot.set_private();
                Ok(())
            }
            // A forked child, or copied already.
            _ => Ok(()),
        }
    }

    /// Hides the range from the handlers; must be called before it is unmapped.
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
        if self.is_foreign() {
            // The entry stays: the table may be locked for ever, by a thread that this process does
            // not have, and another process may share the descriptors.
            return;
        }
        // No fork between removing the descriptors from the table and closing them.
        let held = TableLock::hold();
        let fds = self.entry.take().and_then(|entry| entry.release(&held));
        if let (Some(fds), Some(id)) = (fds, self.id) {
            close_ours(fds.lock, |found| found == id);
            close_ours(fds.map, |found| found == id);
        }
    }
}

/// Closes `fd` if it is a descriptor of a file with the right identity.
fn close_ours(fd: RawFd, is_ours: impl Fn(FileId) -> bool) {
    if identity(fd).is_some_and(is_ours) {
        // SAFETY: the descriptor is open and of our file, as just checked; it was removed from
        // the slot, so it is not closed a second time.
        unsafe { rustix::io::close(fd) };
    }
}

/// Identity of the file with descriptor `fd`; `None` if there is none. A bare system call.
fn identity(fd: RawFd) -> Option<FileId> {
    // SAFETY: `F_GETFD` changes nothing; for a number that is no descriptor it is an error.
    let is_open = unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0;
    if !is_open {
        return None;
    }
    // SAFETY: the descriptor is open, as just checked, and borrowed for one `fstat`.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    rustix::fs::fstat(borrowed).ok().map(|stat| file_id(&stat))
}

/// Registers the handlers, once.
fn install(_held: &TableLock) -> io::Result<()> {
    if INSTALLED.load(Relaxed) {
        return Ok(());
    }
    // SAFETY: the handlers are functions that are not unloaded while they are registered (the C
    // library removes the handlers of a library that is unloaded).
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
    PROCESS.store(std::process::id(), Relaxed);
    INSTALLED.store(true, Relaxed);
    Ok(())
}

unsafe extern "C" fn before_fork() {
    fork_gate::close();
    TableLock::hold_for_fork();
}

unsafe extern "C" fn after_fork_in_parent() {
    fork_gate::open_in_parent();
    TableLock::release_in_parent();
}

/// Restricted to operations that are safe in the child of a program with threads: atomics and bare
/// system calls, no allocation, no lock.
unsafe extern "C" fn after_fork_in_child() {
    fork_gate::open_in_child();
    GENERATION.fetch_add(1, Relaxed);
    PROCESS.store(std::process::id(), Relaxed);
    for slot in slots() {
        let Some(fds) = slot.take_fds() else { continue };
        if let Some(range) = slot.range().filter(|_| !slot.is_private()) {
            let is_ours = identity(fds.map).is_some_and(|id| slot.has_id(id));
            make_private(range, is_ours.then_some(fds.map));
        }
        // After a fork without the lock (`TableLock::hold_for_fork`) the table may hold a number
        // that was not inherited.
        close_ours(fds.map, |id| slot.has_id(id));
        close_ours(fds.lock, |id| slot.has_id(id));
    }
    TableLock::release_in_child();
}

/// Replaces the shared mapping by a private copy of the file; if memory is short, by zeros; if that
/// fails too, the mapping stays as it is.
fn make_private(range: Range, fd: Option<RawFd>) {
    let copied = match fd {
        Some(fd) => copy_over(range, fd),
        None => copy_by_memory(range),
    };
    if copied.is_err() {
        let flags = MapFlags::PRIVATE | MapFlags::FIXED;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: as in `copy_over`, but with zeros, which are valid for atomics too.
        let _ = unsafe {
            rustix::mm::mmap_anonymous(range.base.as_ptr().cast(), range.len, protection, flags)
        };
    }
}

/// Replaces the shared mapping by a private copy of the file.
fn copy_over(range: Range, fd: RawFd) -> rustix::io::Result<()> {
    let flags = MapFlags::PRIVATE | MapFlags::FIXED;
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    let place = range.base.as_ptr().cast();
    // SAFETY: the descriptor is open; a child has inherited it.
    let file = unsafe { BorrowedFd::borrow_raw(fd) };
    // SAFETY:
    // - the range is a whole mapping of a writer (`Slot::set_range`), so nothing else is
    //   replaced;
    // - it stays mapped, readable and writable, with the same bytes: the system replaces a
    //   mapping atomically, so a concurrent access finds one or the other.
    unsafe { rustix::mm::mmap(place, range.len, protection, flags, file, 0) }.map(drop)
}

/// Replaces the shared mapping by private memory with the same bytes, for a file whose descriptor
/// the program has closed. Bytes that another thread stores meanwhile are lost.
fn copy_by_memory(range: Range) -> rustix::io::Result<()> {
    let (flags, protection) = (MapFlags::PRIVATE, ProtFlags::READ | ProtFlags::WRITE);
    let place = range.base.as_ptr();
    // SAFETY: the system chooses the address, so no other memory is replaced.
    let copy =
        unsafe { rustix::mm::mmap_anonymous(std::ptr::null_mut(), range.len, protection, flags) }?;
    let copy = copy.cast::<u8>();
    copy_bytes(place, copy, range.len);
    #[cfg(target_os = "linux")] // can move a mapping
    {
        let fixed = rustix::mm::MremapFlags::MAYMOVE;
        // SAFETY:
        // - the range is a whole mapping of a writer, and nothing else is replaced (`copy_over`);
        // - the copy was mapped above, is not used otherwise, and has the same length.
        unsafe { rustix::mm::mremap_fixed(copy.cast(), range.len, range.len, fixed, place.cast()) }
            .map(drop)
    }
    #[cfg(not(target_os = "linux"))] // copied back
    {
        let flags = flags | MapFlags::FIXED;
        // SAFETY: as in `copy_over`, but with zeros, which are valid for atomics too.
        unsafe { rustix::mm::mmap_anonymous(place.cast(), range.len, protection, flags) }?;
        copy_bytes(copy, place, range.len);
        // SAFETY: mapped above, and no longer in use.
        unsafe { rustix::mm::munmap(copy.cast(), range.len) }
    }
}

/// Copies mapped bytes from one mapping to another one.
fn copy_bytes(from: *const u8, to: *mut u8, len: usize) {
    for offset in 0..len {
        // SAFETY: inside the mapping.
        let byte = unsafe { from.add(offset) };
        // SAFETY: mapped; any bit pattern is an `AtomicU8`; other threads access it atomically.
        let byte = unsafe { &*byte.cast::<AtomicU8>() };
        // SAFETY: inside the mapping.
        let copy = unsafe { to.add(offset) };
        // SAFETY: as for `byte`.
        unsafe { &*copy.cast::<AtomicU8>() }.store(byte.load(Relaxed), Relaxed);
    }
}

static GENERATION: AtomicUsize = AtomicUsize::new(0);
static INSTALLED: AtomicBool = AtomicBool::new(false);
/// The process that registered the handlers, or the last child in which they ran: the entries that it
/// inherited are its own.
static PROCESS: AtomicU32 = AtomicU32::new(0);

#[cfg(test)]
mod tests {
    use super::super::mapping_table::taken;
    use super::*;

    #[test]
    fn registration_dropped_in_forked_child_frees_its_entry() {
        let _alone = fork_gate::tests::alone();
        install(&TableLock::hold()).unwrap();
        let path = Path::new("x.mmst");
        let outer = Registration::without_file("test", path).unwrap();
        // SAFETY: the child takes no lock of another thread, and ends.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let before = taken();
            let inner = Registration::without_file("test", path);
            drop((outer, inner));
            // SAFETY: ends the child, without the exit handlers of the test harness.
            unsafe { libc::_exit(i32::from(taken() + 1 == before)) };
        }
        let mut status = 0;
        // SAFETY: `status` has room for an int.
        assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 1, "status {status:x}");
    }
}
