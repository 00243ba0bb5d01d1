//! The mapped files of this process, in a table that an exception handler can walk.
//!
//! A slot is a handful of atomics in memory that is never freed. Slots are taken and given
//! back under a lock; the handler takes none, and owns a slot while its state says so.

use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicUsize};
use std::sync::{Mutex, OnceLock, PoisonError};

/// One mapped file.
#[derive(Debug)]
pub(super) struct Slot {
    /// `FREE` and so on.
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

/// What is to be done where an address cannot be accessed.
#[derive(Debug)]
pub(super) enum Answer {
    /// It is none of ours.
    Foreign,
    /// Zeros have taken the place of the file meanwhile.
    Replaced(Range),
    /// The file is still mapped: it is the caller's to replace.
    Ours(Replacing),
}

/// The right and the duty to put something in the place of a range.
#[derive(Debug)]
pub(super) struct Replacing {
    slot: &'static Slot,
    pub(super) range: Range,
}

impl Replacing {
    /// Says that zeros are there now, or that nothing is.
    pub(super) fn done(self, replaced: bool) {
        // Must be Release, because whoever waited must see the new pages; partner: the load in
        // `Slot::ask`.
        self.slot.state.store(if replaced { REPLACED } else { LOST }, Release);
    }

    /// Says that the file is still there.
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

    /// What is known of `address`. Waits while another thread replaces the range.
    fn ask(&'static self, address: usize) -> Option<Answer> {
        loop {
            // Must be Acquire; partners: the stores in `Entry::new` and `Replacing::done`.
            let state = self.state.load(Acquire);
            if matches!(state, FREE | LOST) || !self.range()?.contains(address) {
                return None;
            }
            match state {
                REPLACED => return self.range().map(Answer::Replaced),
                REPLACING => std::thread::yield_now(),
                _ if self.state.compare_exchange(MAPPED, REPLACING, AcqRel, Relaxed).is_ok() => {
                    // From here on nobody else changes the slot. It may be another mapping's
                    // than the one that was looked at.
                    let range = self.range()?;
                    if range.contains(address) {
                        return Some(Answer::Ours(Replacing { slot: self, range }));
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
    /// A page that is only partly ours is mapped whole.
    fn contains(self, address: usize) -> bool {
        let start = self.base.addr().get();
        (start..start + self.len.next_multiple_of(PAGE)).contains(&address)
    }
}

/// What is known of an address. Takes no lock and allocates nothing.
pub(super) fn ask(address: usize) -> Answer {
    let slots = CHUNKS.iter().map_while(OnceLock::get).flatten();
    slots.filter_map(|slot| slot.ask(address)).next().unwrap_or(Answer::Foreign)
}

/// A slot that belongs to the holder.
#[derive(Debug)]
pub(super) struct Entry(&'static Slot);

impl Entry {
    /// Enters a mapped range; `None` where there is no memory.
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
        // the load in `Slot::ask`.
        slot.state.store(MAPPED, Release);
        Some(Self(slot))
    }

    /// Whether zeros have taken the place of the file.
    pub(super) fn is_damaged(&self) -> bool {
        matches!(self.0.state.load(Relaxed), REPLACED | LOST)
    }

    /// Takes the range out of the handler's sight; answers what is there.
    pub(super) fn clear(&self) -> There {
        loop {
            match self.0.state.load(Acquire) {
                MAPPED => {
                    let cleared = self.0.state.compare_exchange(MAPPED, FREE, AcqRel, Relaxed);
                    if cleared.is_ok() {
                        return There::File;
                    }
                }
                // A handler looks whether an address is in it, and is done in no time.
                REPLACING => std::thread::yield_now(),
                REPLACED => {
                    self.0.state.store(FREE, Release);
                    return There::Zeros;
                }
                _ => return There::Nothing,
            }
        }
    }
}

/// What is mapped at a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum There {
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

/// The slots of a further chunk, twice as large as the last. Under the lock.
fn grow() -> Option<impl Iterator<Item = &'static Slot>> {
    let chunk = CHUNKS.iter().position(|chunk| chunk.get().is_none())?;
    let slots = (0..FIRST << chunk).map(|_| Slot::new()).collect();
    Some(CHUNKS[chunk].get_or_init(|| slots).iter())
}

const FREE: u8 = 0;
const MAPPED: u8 = 1;
/// A handler is at work.
const REPLACING: u8 = 2;
const REPLACED: u8 = 3;
/// The file was unmapped, and nothing could be put there.
const LOST: u8 = 4;
/// Slots of the first chunk.
const FIRST: usize = 64;
/// Together more than any process can map.
const CHUNKS_MAX: usize = 20;
/// The size of a page on every processor that Windows runs on.
pub(super) const PAGE: usize = 4096;

static CHUNKS: [OnceLock<Box<[Slot]>>; CHUNKS_MAX] = [const { OnceLock::new() }; CHUNKS_MAX];
/// Slots that are not in use.
static UNUSED: Mutex<Vec<&'static Slot>> = Mutex::new(Vec::new());

#[cfg(test)]
mod tests {
    use super::*;

    fn range(at: usize, len: usize) -> Range {
        let base = NonNull::new(ptr::without_provenance_mut(at)).unwrap();
        Range { base, len, writable: true }
    }

    #[test]
    fn addresses_are_found_while_they_are_entered() {
        let entries: Vec<_> =
            (1..=FIRST * 5).map(|at| Entry::new(range(at << 30, 5000)).unwrap()).collect();
        for at in 1..=FIRST * 5 {
            let Answer::Ours(found) = ask((at << 30) + 8191) else { panic!("{at}") };
            assert_eq!(found.range.base.addr().get(), at << 30);
            found.give_back();
            assert!(matches!(ask((at << 30) + 8192), Answer::Foreign));
        }
        drop(entries);
        assert!(matches!(ask(1 << 30), Answer::Foreign));
        let again = Entry::new(range(1 << 30, 1)).unwrap();
        assert_eq!(again.clear(), There::File);
    }

    #[test]
    fn a_range_is_replaced_once() {
        let entry = Entry::new(range(7 << 40, 4096)).unwrap();
        assert!(!entry.is_damaged());
        let Answer::Ours(replacing) = ask(7 << 40) else { panic!() };
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| matches!(ask((7 << 40) + 1), Answer::Replaced(_)));
            replacing.done(true);
            assert!(waits.join().unwrap());
        });
        assert!(entry.is_damaged());
        assert_eq!(entry.clear(), There::Zeros);

        let entry = Entry::new(range(8 << 40, 4096)).unwrap();
        let Answer::Ours(replacing) = ask(8 << 40) else { panic!() };
        replacing.done(false);
        assert!(matches!(ask(8 << 40), Answer::Foreign));
        assert_eq!(entry.clear(), There::Nothing);
    }
}
