//! The latched cell under loom: the very source of `protocol`, on loom's atomics.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p mmstats-core --release --test loom_latch`
//!
//! Each model has one writer with two or three publishes of two words, and one or two
//! readers. For every [`Site`] there is a mutant that weakens it and that loom must
//! refuse; a model that accepts its mutants proves nothing.
#![cfg(loom)]

use std::sync::Mutex;

use loom::sync::Arc;
use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use loom::sync::atomic::{AtomicU32, AtomicU64, fence};
use mmstats_core::protocol::{ReadCell, Site, WriteCell, publish, read};

/// What the writers stored last. They ask here and not in loom's atomics: loom remembers
/// only the last load of each, so a writer's own load would hide the reader's, and loom
/// would not try to put the store between them.
struct Stored<const S: usize> {
    seq: u32,
    slots: [[u64; 2]; S],
}

/// A latched cell of `S` slots of two words.
struct Cell<const S: usize> {
    stored: Mutex<Stored<S>>,
    seq: AtomicU32,
    slots: [[AtomicU64; 2]; S],
    /// The site that is weakened to Relaxed.
    weak: Option<Site>,
}

impl<const S: usize> Cell<S> {
    fn new(weak: Option<Site>) -> Arc<Self> {
        let slots = std::array::from_fn(|_| [AtomicU64::new(0), AtomicU64::new(0)]);
        let stored = Mutex::new(Stored { seq: 0, slots: [[0; 2]; S] });
        Arc::new(Self { stored, seq: AtomicU32::new(0), slots, weak })
    }
}

/// The writer; it dies after `stores` stores (all later ones are lost).
struct Writer<const S: usize> {
    cell: Arc<Cell<S>>,
    stores: std::cell::Cell<u32>,
}

impl<const S: usize> Writer<S> {
    fn lives(&self) -> bool {
        let left = self.stores.get();
        self.stores.set(left.saturating_sub(1));
        left > 0
    }
}

impl<const S: usize> WriteCell for Writer<S> {
    type Word = u64;

    fn seq(&self) -> u32 {
        self.cell.stored.lock().unwrap().seq
    }

    fn fence(&self, site: Site) {
        if self.cell.weak != Some(site) {
            fence(Release);
        }
    }

    fn store(&self, n: u32, index: usize, word: u64) {
        if self.lives() {
            self.cell.slots[n as usize % S][index].store(word, Relaxed);
            self.cell.stored.lock().unwrap().slots[n as usize % S][index] = word;
        }
    }

    fn load(&self, n: u32, index: usize) -> u64 {
        self.cell.stored.lock().unwrap().slots[n as usize % S][index]
    }

    fn set_seq(&self, n: u32, site: Site) {
        if self.lives() {
            let order = if self.cell.weak == Some(site) { Relaxed } else { Release };
            self.cell.seq.store(n, order);
            self.cell.stored.lock().unwrap().seq = n;
        }
    }
}

struct Reader<'a, const S: usize> {
    cell: &'a Cell<S>,
    words: [u64; 2],
}

impl<const S: usize> ReadCell for Reader<'_, S> {
    fn seq(&mut self) -> u32 {
        self.cell.seq.load(Relaxed)
    }

    fn fence(&mut self, site: Site) {
        if self.cell.weak != Some(site) {
            fence(Acquire);
        }
    }

    fn load_slot(&mut self, slot: u32) {
        for (to, from) in self.words.iter_mut().zip(&self.cell.slots[slot as usize]) {
            *to = from.load(Relaxed);
        }
    }

    fn pause(&mut self) {
        loom::thread::yield_now();
    }
}

/// Value number n is the pair (n, 10 n): anything else is torn or was never published.
fn check<const S: usize>(cell: &Cell<S>, least: u32) -> u32 {
    let mut reader = Reader { cell, words: [0; 2] };
    // Contended is an honest answer; then nothing is known.
    let Some(n) = read(&mut reader, S as u32) else { return least };
    let [a, b] = reader.words;
    assert_eq!((a, b), (u64::from(n), 10 * u64::from(n)), "torn or older value");
    assert!(n >= least, "value {n} after value {least}");
    n
}

fn write<const S: usize>(cell: Arc<Cell<S>>, publishes: u32, stores: u32) {
    let writer = Writer { cell, stores: std::cell::Cell::new(stores) };
    for _ in 0..publishes {
        publish(&writer, |slot| {
            let n = slot.last(0) + 1;
            slot.set(0, n);
            slot.set(1, 10 * n);
        });
    }
}

fn model<const S: usize>(weak: Option<Site>, publishes: u32, readers: u32, reads: u32) {
    let mut builder = loom::model::Builder::new();
    // One reader is explored in full; two would take minutes.
    builder.preemption_bound = if readers > 1 { Some(2) } else { Some(3) };
    builder.check(move || {
        let cell = Cell::<S>::new(weak);
        let others: Vec<_> = (1..readers)
            .map(|_| {
                let cell = Arc::clone(&cell);
                loom::thread::spawn(move || {
                    check(&cell, 0);
                })
            })
            .collect();
        let writer = {
            let cell = Arc::clone(&cell);
            loom::thread::spawn(move || write(cell, publishes, u32::MAX))
        };
        let mut least = 0;
        for _ in 0..reads {
            least = check(&cell, least);
        }
        writer.join().unwrap();
        others.into_iter().for_each(|reader| reader.join().unwrap());
        assert_eq!(check(&cell, least), publishes, "the last value stays");
    });
}

#[test]
fn two_slots_three_publishes() {
    model::<2>(None, 3, 1, 1);
}

#[test]
fn four_slots_five_publishes() {
    model::<4>(None, 5, 1, 1);
}

#[test]
fn successive_reads_do_not_go_back() {
    model::<2>(None, 2, 1, 2);
}

#[test]
fn two_readers() {
    model::<2>(None, 2, 2, 1);
}

/// A writer that dies after any of its stores leaves the last complete value.
#[test]
fn death_after_every_store() {
    const PUBLISHES: u32 = 3;
    for stores in 0..=PUBLISHES * 3 {
        loom::model(move || {
            let cell = Cell::<2>::new(None);
            let writer = {
                let cell = Arc::clone(&cell);
                loom::thread::spawn(move || write(cell, PUBLISHES, stores))
            };
            writer.join().unwrap();
            // Each publish is two payload stores and one of seq.
            assert_eq!(check(&cell, 0), stores / 3);
            // A new writer goes on from there.
            write(Arc::clone(&cell), 1, u32::MAX);
            assert_eq!(check(&cell, 0), stores / 3 + 1);
        });
    }
}

macro_rules! mutant {
    ($($name:ident: $site:ident;)*) => {
        $(
            #[test]
            #[should_panic(expected = "torn or older value")]
            fn $name() {
                model::<2>(Some(Site::$site), 3, 1, 1);
            }
        )*

        /// A new site without a mutant does not pass.
        #[test]
        fn every_site_has_a_mutant() {
            assert_eq!([$(Site::$site),*], Site::ALL[..4], "those of a latched cell");
        }
    };
}

mutant! {
    without_the_writers_fence: WriterEnter;
    without_release_on_seq: WriterSeq;
    without_the_readers_first_fence: ReaderEnter;
    without_the_readers_second_fence: ReaderExit;
}
