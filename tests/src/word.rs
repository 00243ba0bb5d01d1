//! A number in memory that two processes share, and that outlives its writer.
#![allow(unsafe_code)] // Maps a file; each block has its proof.

use std::fs::File;
use std::io;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use rustix::mm::{MapFlags, ProtFlags};

/// A mapped file of one word, without the code under test.
#[derive(Debug)]
pub struct SharedWord(NonNull<AtomicU64>);

impl SharedWord {
    /// The word in the file at `path`, which is made if it is missing.
    ///
    /// # Errors
    ///
    /// If it cannot be opened or mapped.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file =
            File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        file.set_len(SIZE as u64)?;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY:
        // - the place is chosen by the system, so nothing else is replaced;
        // - only its test truncates the file, after its end.
        let base = unsafe {
            let none = std::ptr::null_mut();
            rustix::mm::mmap(none, SIZE, protection, MapFlags::SHARED, &file, 0)
        }?;
        NonNull::new(base.cast()).map(Self).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }

    /// The word.
    #[must_use]
    pub fn get(&self) -> &AtomicU64 {
        // SAFETY:
        // - the mapping has a page at least, starts at a page, and lives as long as `self`;
        // - other processes that map the file use it as an atomic too.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for SharedWord {
    fn drop(&mut self) {
        // SAFETY: the mapping has this size, is ours, and no reference to it is left.
        let _ = unsafe { rustix::mm::munmap(self.0.as_ptr().cast(), SIZE) };
    }
}

// SAFETY: the word is an atomic, and the mapping belongs to no thread.
unsafe impl Send for SharedWord {}
// SAFETY: the same; only the atomic is shared.
unsafe impl Sync for SharedWord {}

/// In bytes: a page.
const SIZE: usize = 4096;
