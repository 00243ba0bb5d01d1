//! Table of the mapped files of this process, readable by the SIGBUS handler and the fork handlers.
//!
//! A slot consists of atomics in memory that is never freed. Slots are taken and released under
//! [`TableLock`], which is also held across `fork`, so that a child sees no half-made entry. The
//! SIGBUS handler cannot take a lock; it relies on `turn`.

use std::cell::Cell;
use std::os::fd::RawFd;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicUsize, fence};

use super::backoff::{FORK_ROUNDS, pause};
use crate::FileId;

/// A mapped file, or one that is about to be mapped.
#[derive(Debug)]
pub(super) struct Slot {
    taken: AtomicBool,
    /// Odd while `base` and `len` are valid; every change raises it.
    turn: AtomicUsize,
    base: AtomicPtr<u8>,
    /// In bytes.
    len: AtomicUsize,
    writable: AtomicBool,
    /// The mapping is a private copy of the file.
    private: AtomicBool,
    /// A page was lost and replaced by zeros.
    damaged: AtomicBool,
    /// Descriptors of a writer's file; -1 for readers and in forked children.
    lock_fd: AtomicI32,
    map_fd: AtomicI32,
    /// Identity of a writer's file: device and index, without their upper half on small machines.
    id: [AtomicUsize; 2],
}

/// A mapped range, as the SIGBUS handler sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub(super) base: NonNull<u8>,
    pub(super) len: usize,
    pub(super) writable: bool,
}

impl Slot {
    const fn new() -> Self {
        Self {
            taken: AtomicBool::new(false),
            turn: AtomicUsize::new(0),
            base: AtomicPtr::new(ptr::null_mut()),
            len: AtomicUsize::new(0),
            writable: AtomicBool::new(false),
            private: AtomicBool::new(false),
            damaged: AtomicBool::new(false),
            lock_fd: AtomicI32::new(NO_FD),
            map_fd: AtomicI32::new(NO_FD),
            id: [const { AtomicUsize::new(0) }; 2],
        }
    }

    /// Sets the mapped range; from here on the handlers see it.
    pub(super) fn set_range(&self, base: NonNull<u8>, len: usize, writable: bool) {
        self.base.store(base.as_ptr(), Relaxed);
        self.len.store(len, Relaxed);
        self.writable.store(writable, Relaxed);
        self.private.store(false, Relaxed);
        self.damaged.store(false, Relaxed);
        // Must be Release, because a handler that sees the odd turn must see the range;
        // partner: the first load in `range`.
        self.turn.store(self.turn.load(Relaxed).wrapping_add(1) | 1, Release);
    }

    /// Hides the range from the handlers, before it is unmapped.
    fn clear_range(&self) {
        let turn = self.turn.load(Relaxed);
        self.turn.store(turn.wrapping_add(turn & 1), Relaxed);
        // Must be Release, because a handler that sees the next range must see that the
        // turn has changed; partner: the fence in `range`.
        fence(Release);
        self.len.store(0, Relaxed);
    }

    /// The mapped range, if there is one and it is not changing at the moment.
    pub(super) fn range(&self) -> Option<Range> {
        // Must be Acquire; partner: the store in `set_range`.
        let turn = self.turn.load(Acquire);
        let base = NonNull::new(self.base.load(Relaxed))?;
        let len = self.len.load(Relaxed);
        let writable = self.writable.load(Relaxed);
        // Must be Acquire; partner: the fence in `clear_range`.
        fence(Acquire);
        let steady = turn % 2 == 1 && turn == self.turn.load(Relaxed);
        (steady && len > 0).then_some(Range { base, len, writable })
    }

    /// Records that a private copy is mapped. The caller holds the lock.
    pub(super) fn set_private(&self) {
        self.private.store(true, Relaxed);
    }

    /// Whether a private copy is mapped.
    pub(super) fn is_private(&self) -> bool {
        self.private.load(Relaxed)
    }

    /// Records that bytes of the range were lost.
    pub(super) fn set_damaged(&self) {
        self.damaged.store(true, Relaxed);
    }

    /// Descriptors of a writer's file; `None` in a forked child.
    pub(super) fn fds(&self) -> Option<Fds> {
        let (lock, map) = (self.lock_fd.load(Relaxed), self.map_fd.load(Relaxed));
        // One without the other is possible only in a child that was forked without the lock.
        (lock != NO_FD && map != NO_FD).then_some(Fds { lock, map })
    }

    /// Whether a writer's file has this identity.
    pub(super) fn has_id(&self, id: FileId) -> bool {
        identity(id) == self.id.each_ref().map(|half| half.load(Relaxed))
    }

    /// Stores descriptors of the file `id`. The caller holds the lock.
    pub(super) fn set_fds(&self, fds: Fds, id: FileId) {
        let [device, index] = identity(id);
        self.id[0].store(device, Relaxed);
        self.id[1].store(index, Relaxed);
        self.lock_fd.store(fds.lock, Relaxed);
        self.map_fd.store(fds.map, Relaxed);
    }

    /// Takes the descriptors; the caller closes them.
    pub(super) fn take_fds(&self) -> Option<Fds> {
        let fds = self.fds();
        self.lock_fd.store(NO_FD, Relaxed);
        self.map_fd.store(NO_FD, Relaxed);
        fds
    }
}

#[allow(clippy::cast_possible_truncation)] // the lower half still tells files apart
const fn identity(id: FileId) -> [usize; 2] {
    [id.device as usize, id.index as usize]
}

/// Descriptors of a writer's file, opened separately: on Linux a mapping keeps its open file, and
/// a lock on that, even after the descriptor is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fds {
    /// Locked, never mapped.
    pub(super) lock: RawFd,
    /// Mapped, never locked.
    pub(super) map: RawFd,
}

/// A taken slot.
#[derive(Debug)]
pub(super) struct Entry(&'static Slot);

impl Entry {
    /// Takes a slot.
    pub(super) fn new(_held: &TableLock) -> Option<Self> {
        let start = NEXT.load(Relaxed);
        let mut end = capacity();
        // Grows when half full, so that a free slot is found quickly.
        if TAKEN.load(Relaxed) >= end / 2 && grow(end) {
            end = capacity();
        }
        let index = (start..end)
            .chain(0..start.min(end))
            .find(|&index| slot(index).is_some_and(|slot| !slot.taken.load(Relaxed)))?;
        let slot = slot(index)?;
        slot.taken.store(true, Relaxed);
        TAKEN.fetch_add(1, Relaxed);
        NEXT.store(index + 1, Relaxed);
        Some(Self(slot))
    }

    /// The slot.
    pub(super) const fn slot(&self) -> &'static Slot {
        self.0
    }

    /// Hides the range from the handlers.
    pub(super) fn clear_range(&self) {
        self.0.clear_range();
    }

    /// Whether bytes of the range were lost.
    pub(super) fn is_damaged(&self) -> bool {
        self.0.damaged.load(Relaxed)
    }

    /// Releases the slot; returns the descriptors unless a fork handler took them.
    pub(super) fn release(self, _held: &TableLock) -> Option<Fds> {
        self.0.clear_range();
        let fds = self.0.take_fds();
        self.0.taken.store(false, Relaxed);
        TAKEN.fetch_sub(1, Relaxed);
        fds
    }
}

/// Number of taken slots.
#[cfg(test)]
pub(super) fn taken() -> usize {
    TAKEN.load(Relaxed)
}

/// All slots, taken or not. Takes no lock and allocates nothing.
pub(super) fn slots() -> impl Iterator<Item = &'static Slot> {
    CHUNKS.iter().filter_map(OnceLock::get).flatten()
}

/// Process-wide lock, held by a thread that opens, closes or registers a writer's file, or forks.
#[derive(Debug)]
pub(super) struct TableLock(());

impl TableLock {
    /// Waits for the lock.
    pub(super) fn hold() -> Self {
        let mut round = 0_u32;
        // Threads that fork have priority: they wait for a limited time only.
        while FORKING.load(Relaxed) > 0 || !try_lock() {
            pause(round);
            round = round.saturating_add(1);
        }
        Self(())
    }

    /// Before a fork: takes the lock, but gives up after about 0.2 s, since a holder may be blocked
    /// by a slow file system. The child may then inherit two more descriptors.
    pub(super) fn hold_for_fork() {
        FORKING.fetch_add(1, Relaxed);
        let taken = (0..FORK_ROUNDS).any(|round| {
            let taken = try_lock();
            if !taken {
                pause(round);
            }
            taken
        });
        FORKING.fetch_sub(1, Relaxed);
        HELD_FOR_FORK.set(taken);
    }

    /// After a fork, in the parent.
    pub(super) fn release_in_parent() {
        if HELD_FOR_FORK.replace(false) {
            HELD.store(false, Release);
        }
    }

    /// After a fork, in the child, which has no other thread.
    pub(super) fn release_in_child() {
        HELD_FOR_FORK.set(false);
        FORKING.store(0, Relaxed);
        HELD.store(false, Release);
    }
}

impl Drop for TableLock {
    fn drop(&mut self) {
        // Must be Release, because the next holder must see the changes made under the lock;
        // partner: the exchange in `try_lock`.
        HELD.store(false, Release);
    }
}

fn try_lock() -> bool {
    // Must be Acquire; partner: the store in `TableLock::drop`.
    HELD.compare_exchange(false, true, Acquire, Relaxed).is_ok()
}

fn slot(index: usize) -> Option<&'static Slot> {
    // Chunk k has FIRST << k slots, so those before it have FIRST * (2^k - 1).
    let chunk = (index / FIRST + 1).ilog2() as usize;
    let start = FIRST * ((1 << chunk) - 1);
    CHUNKS.get(chunk)?.get()?.get(index - start)
}

fn capacity() -> usize {
    CHUNKS.iter().map_while(OnceLock::get).map(|chunk| chunk.len()).sum()
}

/// Adds a chunk behind the first `capacity` slots. The caller holds the lock, so that no fork
/// happens meanwhile.
fn grow(capacity: usize) -> bool {
    let chunk = (capacity / FIRST + 1).ilog2() as usize;
    let Some(place) = CHUNKS.get(chunk) else { return false };
    let slots = (0..FIRST << chunk).map(|_| Slot::new()).collect();
    place.set(slots).is_ok()
}

/// Slots of the first chunk; each further one is twice as large.
const FIRST: usize = 64;
/// In total more slots than memory can hold.
const CHUNKS_MAX: usize = if usize::BITS < 64 { 20 } else { 34 };
const NO_FD: RawFd = -1;

static CHUNKS: [OnceLock<Box<[Slot]>>; CHUNKS_MAX] = [const { OnceLock::new() }; CHUNKS_MAX];
/// Start of the search for a free slot.
static NEXT: AtomicUsize = AtomicUsize::new(0);
static TAKEN: AtomicUsize = AtomicUsize::new(0);
static HELD: AtomicBool = AtomicBool::new(false);
/// Threads that wait for the lock in order to fork.
static FORKING: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static HELD_FOR_FORK: Cell<bool> = const { Cell::new(false) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn entry_new_beyond_first_chunk_gets_distinct_slots() {
        let entries: Vec<_> =
            (0..FIRST * 5).map(|_| Entry::new(&TableLock::hold()).unwrap()).collect();
        let mut addresses: Vec<_> = entries.iter().map(|e| ptr::from_ref(e.slot())).collect();
        addresses.sort_unstable();
        addresses.dedup();
        assert_eq!(addresses.len(), FIRST * 5);
        let all: Vec<_> = slots().map(ptr::from_ref).collect();
        assert!(addresses.iter().all(|address| all.contains(address)));
        let before = capacity();
        for entry in entries {
            assert_eq!(entry.release(&TableLock::hold()), None);
        }
        let again = Entry::new(&TableLock::hold()).unwrap();
        let (fds, id) = (Fds { lock: 7, map: 8 }, FileId { device: 1, index: 2 });
        again.slot().set_fds(fds, id);
        assert!(again.slot().has_id(id));
        assert!(!again.slot().has_id(FileId { index: 3, ..id }));
        assert_eq!(capacity(), before);
        assert_eq!(again.slot().fds(), Some(fds));
        let slot = again.slot();
        assert_eq!(again.release(&TableLock::hold()), Some(fds));
        assert_eq!(slot.fds(), None);
    }

    #[test]
    fn hold_for_fork_of_a_held_lock_gives_up() {
        let held = TableLock::hold();
        let start = std::time::Instant::now();
        TableLock::hold_for_fork();
        // Rounds are counted, and each may take long on a busy machine.
        assert!(start.elapsed() < Duration::from_secs(120));
        // It does not release the lock of another thread.
        TableLock::release_in_parent();
        assert!(!try_lock());
        drop(held);
        TableLock::hold_for_fork();
        assert!(!try_lock());
        TableLock::release_in_parent();
        drop(TableLock::hold());
    }

    #[test]
    fn range_is_visible_between_set_and_clear() {
        let entry = Entry::new(&TableLock::hold()).unwrap();
        let slot = entry.slot();
        assert!(slot.range().is_none());
        let base = NonNull::from(&mut [0_u8; 8]).cast();
        slot.set_range(base, 8, true);
        let range = slot.range().unwrap();
        assert_eq!((range.base, range.len, range.writable), (base, 8, true));
        slot.set_damaged();
        assert!(entry.is_damaged());
        entry.clear_range();
        assert!(slot.range().is_none());
        slot.set_range(base, 8, false);
        assert!(!entry.is_damaged());
        entry.release(&TableLock::hold());
        assert!(slot.range().is_none());
    }
}
