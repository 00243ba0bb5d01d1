//! A journal under loom: the source of `protocol` on loom's atomics.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p mmstats-core --release --test loom_journal`
//!
//! One writer, or two in succession of which the first dies, and one reader. A unit of each slot
//! encodes all elements after the change, so that the result of a read can be checked. Each
//! [`Site`] and [`Bound`] of a journal has a mutant that must fail.
#![cfg(loom)]
#![allow(clippy::cast_possible_truncation)] // Halves, and small constants.

mod loom_support;

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard};

use loom::sync::Arc;
use loom::sync::atomic::Ordering::Relaxed;
use loom::sync::atomic::{AtomicU32, AtomicU64};
use loom_support::{Mutant, explore};
use mmstats_core::protocol::{
    Bound, JournalError, ReadJournal, Site, WriteJournal, change, pack, read_journal, repair,
};

/// Number of elements of each journal.
const ELEMENTS: usize = 2;
/// Units of a slot: total, change, and all elements encoded.
const UNITS: usize = 3;

/// All elements encoded in one unit.
fn picture(elements: [u64; ELEMENTS]) -> u64 {
    elements[0].wrapping_mul(1_000_003).wrapping_add(elements[1])
}

/// An element: stored whole, or in two halves as by a 32-bit writer.
enum Element {
    Whole(AtomicU64),
    Halves([AtomicU32; 2]),
}

impl Element {
    fn new(value: u64, halves: bool) -> Self {
        if halves {
            Self::Halves([AtomicU32::new(value as u32), AtomicU32::new((value >> 32) as u32)])
        } else {
            Self::Whole(AtomicU64::new(value))
        }
    }

    fn load(&self) -> u64 {
        match self {
            Self::Whole(word) => word.load(Relaxed),
            Self::Halves([low, high]) => {
                let low = low.load(Relaxed);
                u64::from(high.load(Relaxed)) << 32 | u64::from(low)
            }
        }
    }
}

/// Last stores of the writers, which load from here instead of loom's atomics: loom remembers only
/// the last load of an atomic, so a writer's load would hide the reader's, and loom would not order
/// the store between them.
struct Stored<const S: usize> {
    seq: u32,
    slots: [[u64; UNITS]; S],
    elements: [u64; ELEMENTS],
}

/// A journal of `S` slots.
struct Journal<const S: usize> {
    stored: Mutex<Stored<S>>,
    seq: AtomicU32,
    slots: [[AtomicU64; UNITS]; S],
    elements: [Element; ELEMENTS],
    mutant: Mutant,
}

impl<const S: usize> Journal<S> {
    /// After S changes, the last with the number `seq`: 2 of element 0 and S - 2 of element 1, so
    /// that all slots have a change. Element 1 started with `first`.
    fn new(mutant: Mutant, seq: u32, first: u64, halves: bool) -> Arc<Self> {
        let after = |changes: u64| [changes.min(2), first + changes.saturating_sub(2)];
        let mut slots = [[0; UNITS]; S];
        for back in 0..S as u32 {
            let changes = u64::from(S as u32 - back);
            let elements = after(changes);
            let index = u32::from(changes > 2);
            let total = elements[0] + elements[1];
            slots[seq.wrapping_sub(back) as usize % S] =
                [total, pack(index, elements[index as usize]), picture(elements)];
        }
        let stored = Stored { seq, slots, elements: after(S as u64) };
        Arc::new(Self {
            seq: AtomicU32::new(stored.seq),
            slots: stored.slots.map(|slot| slot.map(AtomicU64::new)),
            elements: stored.elements.map(|value| Element::new(value, halves)),
            mutant,
            stored: Mutex::new(stored),
        })
    }

    /// Without a mutant.
    fn sound() -> Arc<Self> {
        Self::new(Mutant::None, S as u32, 0, false)
    }

    fn stored(&self) -> MutexGuard<'_, Stored<S>> {
        self.stored.lock().unwrap()
    }
}

/// A writer that dies after `stores` stores: later ones are lost.
struct Writer<const S: usize> {
    journal: Arc<Journal<S>>,
    stores: Cell<u32>,
    /// Whether seq is not stored.
    keeps_seq: Cell<bool>,
}

impl<const S: usize> Writer<S> {
    fn new(journal: &Arc<Journal<S>>, stores: u32) -> Self {
        let journal = Arc::clone(journal);
        Self { journal, stores: Cell::new(stores), keeps_seq: Cell::new(false) }
    }

    fn lives(&self) -> bool {
        let left = self.stores.get();
        self.stores.set(left.saturating_sub(1));
        left > 0
    }

    fn change(&self, index: u32, more: u64) {
        let mut after = [0, 1].map(|index| self.element(index));
        after[index as usize] = after[index as usize].wrapping_add(more);
        change(self, index, more, |slot| slot.set(2, picture(after)));
    }

    /// Changes these elements in order.
    fn run(&self, changes: &[u32]) {
        changes.iter().for_each(|index| self.change(*index, 1));
    }
}

impl<const S: usize> WriteJournal for Writer<S> {
    fn seq(&self) -> u32 {
        self.journal.stored().seq
    }

    fn fence(&self, site: Site) {
        self.journal.mutant.fence_release(site);
    }

    fn load(&self, n: u32, unit: usize) -> u64 {
        self.journal.stored().slots[n as usize % S][unit]
    }

    fn store(&self, n: u32, unit: usize, value: u64) {
        if self.lives() {
            self.journal.slots[n as usize % S][unit].store(value, Relaxed);
            self.journal.stored().slots[n as usize % S][unit] = value;
        }
    }

    fn element(&self, index: u32) -> u64 {
        self.journal.stored().elements[index as usize]
    }

    fn set_element(&self, index: u32, value: u64, site: Site) {
        let order = self.journal.mutant.release(site);
        let index = index as usize;
        match &self.journal.elements[index] {
            Element::Whole(word) if self.lives() => {
                word.store(value, order);
                self.journal.stored().elements[index] = value;
            }
            Element::Halves([low, _]) if self.lives() => {
                low.store(value as u32, order);
                let mask = u64::from(u32::MAX);
                let mixed = self.element(index as u32) & !mask | value & mask;
                self.journal.stored().elements[index] = mixed;
            }
            _ => return,
        }
        if let Element::Halves([_, high]) = &self.journal.elements[index]
            && self.lives()
        {
            high.store((value >> 32) as u32, order);
            self.journal.stored().elements[index] = value;
        }
    }

    fn set_seq(&self, n: u32, site: Site) {
        if !self.keeps_seq.get() && self.lives() {
            self.journal.seq.store(n, self.journal.mutant.release(site));
            self.journal.stored().seq = n;
        }
    }
}

struct Reader<'a, const S: usize> {
    journal: &'a Journal<S>,
    elements: [u64; ELEMENTS],
    slot: [u64; UNITS],
    /// Number of slots loaded since the elements.
    looks: usize,
}

impl<const S: usize> ReadJournal for Reader<'_, S> {
    fn seq(&mut self) -> u32 {
        self.journal.seq.load(Relaxed)
    }

    fn fence(&mut self, site: Site) {
        self.journal.mutant.fence_acquire(site);
    }

    fn load_elements(&mut self) {
        self.looks = 0;
        for (to, from) in self.elements.iter_mut().zip(&self.journal.elements) {
            *to = from.load();
        }
    }

    fn load_slot(&mut self, slot: u32) {
        for (to, from) in self.slot.iter_mut().zip(&self.journal.slots[slot as usize]) {
            *to = from.load(Relaxed);
        }
    }

    fn load_change(&mut self, slot: u32) -> [u64; 2] {
        self.looks += 1;
        assert!(self.looks < S, "torn: it looks at more slots than it can know");
        [0, 1].map(|unit| self.journal.slots[slot as usize][unit].load(Relaxed))
    }

    fn element(&self, index: u32) -> Option<u64> {
        self.elements.get(index as usize).copied()
    }

    fn set_element(&mut self, index: u32, value: u64) {
        self.elements[index as usize] = value;
    }

    fn sum(&self) -> u64 {
        self.elements.iter().fold(0, |sum, element| sum.wrapping_add(*element))
    }

    fn total(&self) -> u64 {
        self.slot[0]
    }

    // No yield: loom would run the writer to its end and never explore a second refusal.
    fn pause(&mut self) {}

    fn bound(&self, bound: Bound, exact: u32) -> u32 {
        self.journal.mutant.bound(bound, exact)
    }
}

/// Reads once. Returns the total, at least `least`; contended is allowed.
fn check<const S: usize>(journal: &Journal<S>, least: u64) -> u64 {
    let mut reader = Reader { journal, elements: [0; ELEMENTS], slot: [0; UNITS], looks: 0 };
    match read_journal(&mut reader, S as u32) {
        Err(JournalError::Contended) => return least,
        Err(JournalError::Total) => panic!("torn: taken for damaged"),
        Ok(_) => {}
    }
    let [total, _, all] = reader.slot;
    assert_eq!(picture(reader.elements), all, "torn: {:?} of {total}", reader.elements);
    assert_eq!(reader.sum(), total, "torn: the total");
    assert!(total >= least, "torn: {total} after {least}");
    total
}

/// One writer changes these elements in order, one reader reads.
fn model<const S: usize>(mutant: Mutant, changes: &'static [u32], reads: u32) {
    model_from::<S>(mutant, S as u32, changes, reads);
}

/// The same after change number `seq`.
fn model_from<const S: usize>(mutant: Mutant, seq: u32, changes: &'static [u32], reads: u32) {
    explore(3, move || {
        let journal = Journal::<S>::new(mutant, seq, 0, false);
        let writer = {
            let writer = Writer::new(&journal, u32::MAX);
            loom::thread::spawn(move || writer.run(changes))
        };
        let mut least = S as u64;
        for _ in 0..reads {
            least = check(&journal, least);
        }
        writer.join().unwrap();
        assert_eq!(check(&journal, least), (S + changes.len()) as u64, "torn: the last value");
    });
}

#[test]
fn two_slots() {
    model::<2>(Mutant::None, &[0, 1], 1);
}

#[test]
fn four_slots() {
    model::<4>(Mutant::None, &[0, 1, 0], 1);
}

#[test]
fn successive_reads_do_not_go_back() {
    model::<4>(Mutant::None, &[0, 1], 2);
}

#[test]
fn two_readers() {
    explore(2, || {
        let journal = Journal::<4>::sound();
        let writer = {
            let writer = Writer::new(&journal, u32::MAX);
            loom::thread::spawn(move || writer.run(&[0, 1]))
        };
        let other = {
            let journal = Arc::clone(&journal);
            loom::thread::spawn(move || check(&journal, 4))
        };
        let least = check(&journal, 4).max(other.join().unwrap());
        writer.join().unwrap();
        assert_eq!(check(&journal, least), 6, "torn: the last value");
    });
}

/// The number wraps to 0 during a read.
#[test]
fn the_number_wraps_around() {
    for seq in [u32::MAX - 1, u32::MAX] {
        model_from::<4>(Mutant::None, seq, &[0, 1], 1);
    }
}

/// Each element crosses a multiple of 2^32, and is stored and loaded in halves.
#[test]
fn halves() {
    explore(2, || {
        let journal = Journal::<4>::new(Mutant::None, 4, u64::from(u32::MAX - 2), true);
        let writer = {
            let writer = Writer::new(&journal, u32::MAX);
            loom::thread::spawn(move || writer.run(&[0, 1]))
        };
        check(&journal, 0);
        writer.join().unwrap();
        check(&journal, u64::from(u32::MAX) + 4);
    });
}

/// Number of stores of a change.
const STORES: u32 = UNITS as u32 + 2;

/// A writer dies after any of its stores during a read; the previous value stays.
#[test]
fn death_after_every_store() {
    for stores in 0..=2 * STORES {
        explore(3, move || {
            let journal = Journal::<4>::sound();
            let writer = {
                let writer = Writer::new(&journal, stores);
                loom::thread::spawn(move || writer.run(&[0, 1]))
            };
            let least = check(&journal, 4);
            writer.join().unwrap();
            assert_eq!(check(&journal, least), u64::from(4 + stores / STORES), "torn");
        });
    }
}

/// The first writer dies after `stores` stores of a change of element 0, the second one after
/// `more` stores of its repair; a third one changes element 1. One reader reads meanwhile.
fn succession<const S: usize>(stores: u32, more: u32, keeps_seq: bool) {
    explore(3, move || {
        let journal = Journal::<S>::sound();
        let writers = {
            let journal = Arc::clone(&journal);
            loom::thread::spawn(move || {
                Writer::new(&journal, stores).run(&[0]);
                for stores in [more, u32::MAX] {
                    let next = Writer::new(&journal, stores);
                    next.keeps_seq.set(keeps_seq);
                    repair(&next, ELEMENTS as u32, S as u32);
                    next.keeps_seq.set(false);
                    if stores == u32::MAX {
                        next.run(&[1]);
                    }
                }
            })
        };
        let least = check(&journal, S as u64);
        writers.join().unwrap();
        assert_eq!(check(&journal, least), S as u64 + u64::from(stores / STORES) + 1, "torn");
    });
}

#[test]
fn the_next_writer_repairs() {
    for stores in 0..=STORES {
        succession::<4>(stores, 0, false);
    }
}

#[test]
fn the_next_writer_dies_while_it_repairs() {
    for more in 1..=2 {
        succession::<4>(STORES - 1, more, false);
    }
}

/// Without a new number a reader takes the slot of the next writer for that of the dead one.
#[test]
#[should_panic(expected = "torn")]
fn without_a_new_number_after_the_repair() {
    succession::<4>(STORES - 1, 0, true);
}

/// One element goes down and another one up, so that the total stays equal.
fn move_over(mutant: Mutant) {
    explore(3, move || {
        let journal = Journal::<4>::new(mutant, 4, 0, false);
        let writer = {
            let writer = Writer::new(&journal, u32::MAX);
            loom::thread::spawn(move || {
                writer.change(1, 1_u64.wrapping_neg());
                writer.change(0, 1);
            })
        };
        check(&journal, 0);
        writer.join().unwrap();
        assert_eq!(check(&journal, 0), 4, "torn: the last value");
    });
}

#[test]
fn elements_go_down_too() {
    move_over(Mutant::None);
}

fn changes(mutant: Mutant) {
    model::<4>(mutant, &[0, 1, 0, 1], 1);
}

mutants! {
    expected = "torn";
    sites [Site::LATCH, Site::JOURNAL] {
        without_the_writers_fence: WriterEnter, changes;
        without_release_on_seq: WriterSeq, changes;
        without_the_readers_first_fence: ReaderEnter, changes;
        without_the_readers_last_fence: ReaderExit, changes;
        without_release_on_the_element: WriterElement, changes;
        without_the_fence_after_the_elements: ReaderElements, move_over;
        without_the_fence_before_the_slots: ReaderSlots, changes;
    }
    bounds [Bound::JOURNAL] {
        one_change_too_many_in_the_elements: JournalMoved = 3, changes;
        one_change_too_many: Journal = 3, changes;
    }
}
