//! Table of the mapped files of this process, readable by the exception handler.
//!
//! A slot consists of atomics in memory that is never freed. Slots are taken and released under a
//! lock. The handler takes no lock; it owns a slot while the state of the slot is `REPLACING`.

use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicUsize};
use std::sync::{Mutex, OnceLock, PoisonError};

/// A mapped file.
#[derive(Debug)]
pub(super) struct Slot {
    /// `FREE`, `MAPPED`, `REPLACING`, `REPLACED` or `LOST`.
    state: AtomicU8,
    base: AtomicPtr<u8>,
    /// In bytes.
    len: AtomicUsize,
    writable: AtomicBool,
}

/// A mapped range.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub(super) base: NonNull<u8>,
    pub(super) len: usize,
    pub(super) writable: bool,
}

/// State of the mapping at an address that cannot be accessed.
#[derive(Debug)]
pub(super) enum Lookup {
    /// In no mapping of this crate.
    Foreign,
    /// Zeros have replaced the file.
    Replaced(Range),
    /// The file is still mapped; the caller must replace it or give it back.
    Mapped(Replacing),
}

/// Exclusive permission to replace a range; must end in `done` or `give_back`.
#[derive(Debug)]
pub(super) struct Replacing {
    slot: &'static Slot,
    pub(super) range: Range,
}

impl Replacing {
    /// Records the result: zeros are mapped (`replaced`), or nothing is.
    pub(super) fn done(self, replaced: bool) {
        // Must be Release, because a thread that waited must see the new pages; partner: the load
        // in `Slot::look_up`.
        self.slot.state.store(if replaced { REPLACED } else { LOST }, Release);
    }

    /// Records that the file is still mapped.
    pub(super) fn give_back(self) {
        self.slot.state.store(MAPPED, Release);
    }
}

impl Slot {
    const fn new() -> Self {
        Self {
            state: AtomicU8::new(FREE),
            base: AtomicPtr::new(ptr::null_mut()),
            len: AtomicUsize::new(0),
            writable: AtomicBool::new(false),
        }
    }

    fn range(&self) -> Option<Range> {
        let base = NonNull::new(self.base.load(Relaxed))?;
        Some(Range { base, len: self.len.load(Relaxed), writable: self.writable.load(Relaxed) })
    }

    /// Looks `address` up in this slot. Waits while another thread replaces the range.
    fn look_up(&'static self, address: usize) -> Option<Lookup> {
        loop {
            // Must be Acquire; partners: the stores in `Entry::new` and `Replacing::done`.
            let state = self.state.load(Acquire);
            if matches!(state, FREE | LOST) || !self.range()?.contains(address) {
                return None;
            }
            match state {
                REPLACED => return self.range().map(Lookup::Replaced),
                REPLACING => std::thread::yield_now(),
                _ if self.state.compare_exchange(MAPPED, REPLACING, AcqRel, Relaxed).is_ok() => {
                    // From here on no other thread changes the slot. It may belong to another
                    // mapping since the first check.
                    let range = self.range()?;
                    if range.contains(address) {
                        return Some(Lookup::Mapped(Replacing { slot: self, range }));
                    }
                    self.state.store(MAPPED, Release);
                    return None;
                }
                _ => {}
            }
        }
    }
}

impl Range {
    /// The last page is mapped whole.
    fn contains(self, address: usize) -> bool {
        let start = self.base.addr().get();
        (start..start + self.len.next_multiple_of(PAGE)).contains(&address)
    }
}

/// Looks an address up. Takes no lock and allocates nothing.
pub(super) fn look_up(address: usize) -> Lookup {
    let slots = CHUNKS.iter().map_while(OnceLock::get).flatten();
    slots.filter_map(|slot| slot.look_up(address)).next().unwrap_or(Lookup::Foreign)
}

/// A taken slot.
#[derive(Debug)]
pub(super) struct Entry(&'static Slot);

impl Entry {
    /// Takes a slot for a mapped range; `None` if there is no memory.
    pub(super) fn new(range: Range) -> Option<Self> {
        let mut unused = UNUSED.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = unused.pop().or_else(|| {
            unused.extend(grow()?);
            unused.pop()
        })?;
        slot.base.store(range.base.as_ptr(), Relaxed);
        slot.len.store(range.len, Relaxed);
        slot.writable.store(range.writable, Relaxed);
        // Must be Release, because a handler that sees the state must see the range; partner:
        // the load in `Slot::look_up`.
        slot.state.store(MAPPED, Release);
        Some(Self(slot))
    }

    /// Whether zeros have replaced the file.
    pub(super) fn is_damaged(&self) -> bool {
        loop {
            // Must be Acquire, because reads after this must see the zeros; partner: the store in
            // `Replacing::done`.
            match self.0.state.load(Acquire) {
                // Zeros can be read before the handler says so; it finishes soon.
                REPLACING => std::thread::yield_now(),
                state => return matches!(state, REPLACED | LOST),
            }
        }
    }

    /// Hides the range from the handler; returns its contents.
    pub(super) fn clear(&self) -> Contents {
        loop {
            // Must be Acquire, because the caller must find the mapping as the handler left it; partner:
            // the store in `Replacing::done`.
            match self.0.state.load(Acquire) {
                MAPPED => {
                    let cleared = self.0.state.compare_exchange(MAPPED, FREE, AcqRel, Relaxed);
                    if cleared.is_ok() {
                        return Contents::File;
                    }
                }
                // The handler finishes soon.
                REPLACING => std::thread::yield_now(),
                REPLACED => {
                    self.0.state.store(FREE, Release);
                    return Contents::Zeros;
                }
                _ => return Contents::Nothing,
            }
        }
    }
}

/// Contents of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contents {
    File,
    Zeros,
    Nothing,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.clear();
        self.0.state.store(FREE, Release);
        UNUSED.lock().unwrap_or_else(PoisonError::into_inner).push(self.0);
    }
}

/// Adds a chunk of slots, twice as large as the last. The caller holds the lock.
fn grow() -> Option<impl Iterator<Item = &'static Slot>> {
    let chunk = CHUNKS.iter().position(|chunk| chunk.get().is_none())?;
    let slots = (0..FIRST << chunk).map(|_| Slot::new()).collect();
    Some(CHUNKS[chunk].get_or_init(|| slots).iter())
}

const FREE: u8 = 0;
const MAPPED: u8 = 1;
/// A handler is replacing the file.
const REPLACING: u8 = 2;
const REPLACED: u8 = 3;
/// The file was unmapped, and zeros could not be mapped.
const LOST: u8 = 4;
/// Slots of the first chunk.
const FIRST: usize = 64;
/// In total more slots than a process can have mappings.
const CHUNKS_MAX: usize = 20;
/// Page size of all processors that Windows supports, in bytes.
pub(super) const PAGE: usize = 4096;

static CHUNKS: [OnceLock<Box<[Slot]>>; CHUNKS_MAX] = [const { OnceLock::new() }; CHUNKS_MAX];
/// Free slots.
static UNUSED: Mutex<Vec<&'static Slot>> = Mutex::new(Vec::new());

#[cfg(test)]
mod tests {
    use super::*;

    fn range(at: usize, len: usize) -> Range {
        let base = NonNull::new(ptr::without_provenance_mut(at)).unwrap();
        Range { base, len, writable: true }
    }

    #[test]
    fn look_up_finds_taken_ranges_only() {
        let entries: Vec<_> =
            (1..=FIRST * 5).map(|at| Entry::new(range(at << 30, 5000)).unwrap()).collect();
        for at in 1..=FIRST * 5 {
            let Lookup::Mapped(found) = look_up((at << 30) + 8191) else { panic!("{at}") };
            assert_eq!(found.range.base.addr().get(), at << 30);
            found.give_back();
            assert!(matches!(look_up((at << 30) + 8192), Lookup::Foreign));
        }
        drop(entries);
        assert!(matches!(look_up(1 << 30), Lookup::Foreign));
        let again = Entry::new(range(1 << 30, 1)).unwrap();
        assert_eq!(again.clear(), Contents::File);
    }

    #[test]
    fn look_up_of_a_range_under_replacement_waits() {
        let entry = Entry::new(range(7 << 40, 4096)).unwrap();
        assert!(!entry.is_damaged());
        let Lookup::Mapped(replacing) = look_up(7 << 40) else { panic!() };
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| matches!(look_up((7 << 40) + 1), Lookup::Replaced(_)));
            replacing.done(true);
            assert!(waits.join().unwrap());
        });
        assert!(entry.is_damaged());
        assert_eq!(entry.clear(), Contents::Zeros);

        let entry = Entry::new(range(8 << 40, 4096)).unwrap();
        let Lookup::Mapped(replacing) = look_up(8 << 40) else { panic!() };
        replacing.done(false);
        assert!(matches!(look_up(8 << 40), Lookup::Foreign));
        assert_eq!(entry.clear(), Contents::Nothing);
    }
}
