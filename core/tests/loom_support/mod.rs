//! Shared parts of the loom tests: bounds of the exploration, mutants, and a word and a latched cell on
//! loom's atomics.
#![allow(dead_code)] // Each test uses a part.
#![allow(unreachable_pub)] // A module of tests.

use std::cell::Cell as Local;
use std::sync::Mutex;

use loom::sync::Arc;
use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use loom::sync::atomic::{AtomicU32, AtomicU64, fence};
use mmstats_core::protocol::{
    Bound, ClaimWord, ReadCell, ReadWord, SharedWord, Site, WriteCell, WriteWord, publish,
};

/// Runs a model in all executions with at most `preemptions` preemptions.
///
/// `MMSTATS_LOOM_PREEMPTIONS` overrides the number; `all` runs every execution, which ends in
/// reasonable time for the tests named in `tests/README.md`.
pub fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = match std::env::var("MMSTATS_LOOM_PREEMPTIONS") {
        Ok(all) if all == "all" => None,
        Ok(number) => Some(number.parse().expect("MMSTATS_LOOM_PREEMPTIONS: a number, or all")),
        Err(_) => Some(preemptions),
    };
    builder.max_branches = 10_000;
    builder.check(model);
}

/// A mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Nothing.
    None,
    /// The order at this site is weakened to Relaxed.
    Site(Site),
    /// This bound has another value.
    Bound(Bound, u32),
}

impl Mutant {
    /// Whether this site is not weakened.
    pub fn keeps(self, site: Site) -> bool {
        self != Self::Site(site)
    }

    /// The order of a store.
    pub fn release(self, site: Site) -> loom::sync::atomic::Ordering {
        if self.keeps(site) { Release } else { Relaxed }
    }

    /// The order of a read-modify-write that takes something over.
    pub fn acquire(self, site: Site) -> loom::sync::atomic::Ordering {
        if self.keeps(site) { Acquire } else { Relaxed }
    }

    pub fn fence_release(self, site: Site) {
        if self.keeps(site) {
            fence(Release);
        }
    }

    pub fn fence_acquire(self, site: Site) {
        if self.keeps(site) {
            fence(Acquire);
        }
    }

    pub fn bound(self, bound: Bound, exact: u32) -> u32 {
        match self {
            Self::Bound(other, value) if other == bound => value,
            _ => exact,
        }
    }
}

/// A word of an image. Writers load from `stored`, not from loom's atomic: loom remembers only the
/// last load of an atomic, so a writer's load would hide that of the reader.
pub struct Word {
    word: AtomicU32,
    stored: std::sync::atomic::AtomicU32,
    mutant: Mutant,
}

impl Word {
    pub fn new(value: u32, mutant: Mutant) -> Self {
        Self { word: AtomicU32::new(value), stored: value.into(), mutant }
    }
}

impl WriteWord for &Word {
    fn load(&self) -> u32 {
        self.stored.load(Relaxed)
    }

    fn store(&self, value: u32) {
        self.word.store(value, Relaxed);
        self.stored.store(value, Relaxed);
    }

    fn publish(&self, value: u32, site: Site) {
        self.word.store(value, self.mutant.release(site));
        self.stored.store(value, Relaxed);
    }

    fn fence(&self, site: Site) {
        self.mutant.fence_release(site);
    }
}

impl SharedWord for &Word {
    fn load(&self) -> u32 {
        self.stored.load(Relaxed)
    }

    fn set(&self, bit: u32, site: Site) {
        self.word.fetch_or(bit, self.mutant.release(site));
        self.stored.fetch_or(bit, Relaxed);
    }

    fn clear(&self, bit: u32) {
        self.word.fetch_and(!bit, Relaxed);
        self.stored.fetch_and(!bit, Relaxed);
    }
}

impl ClaimWord for &Word {
    fn exchange(&self, old: u32, new: u32, site: Site) -> bool {
        let done = self.word.compare_exchange(old, new, self.mutant.acquire(site), Relaxed).is_ok();
        if done {
            self.stored.store(new, Relaxed);
        }
        done
    }

    fn give_back(&self, bit: u32, site: Site) {
        self.word.fetch_and(!bit, self.mutant.release(site));
        self.stored.fetch_and(!bit, Relaxed);
    }
}

impl ReadWord for Word {
    fn load(&self) -> u32 {
        self.word.load(Relaxed)
    }

    fn fence(&self, site: Site) {
        self.mutant.fence_acquire(site);
    }
}

/// Value `n` has the words n, 10 n, ...: others are torn or were never published.
pub fn words_of<const W: usize>(n: u32) -> [u64; W] {
    let mut power = 1;
    [(); W].map(|()| {
        let word = u64::from(n) * power;
        power *= 10;
        word
    })
}

/// Last stores of the writers, which load from here instead of loom's atomics: loom remembers only
/// the last load of an atomic, so a writer's load would hide the reader's, and loom would not order
/// the store between them.
struct Stored<const S: usize, const W: usize> {
    seq: u32,
    slots: [[u64; W]; S],
}

/// A latched cell of `S` slots of `W` words.
pub struct Cell<const S: usize, const W: usize> {
    stored: Mutex<Stored<S, W>>,
    pub seq: AtomicU32,
    pub slots: [[AtomicU64; W]; S],
    pub mutant: Mutant,
}

impl<const S: usize, const W: usize> Cell<S, W> {
    /// A cell whose newest value is number `seq`; 0 for a fresh cell.
    pub fn new(mutant: Mutant, seq: u32) -> Arc<Self> {
        let mut slots = [[0; W]; S];
        if seq != 0 {
            for back in 0..S as u32 {
                let n = seq.wrapping_sub(back);
                slots[n as usize % S] = words_of(n);
            }
        }
        Arc::new(Self {
            seq: AtomicU32::new(seq),
            slots: slots.map(|slot| slot.map(AtomicU64::new)),
            stored: Mutex::new(Stored { seq, slots }),
            mutant,
        })
    }
}

/// A writer that dies after `stores` stores: later ones are lost.
pub struct Writer<const S: usize, const W: usize> {
    cell: Arc<Cell<S, W>>,
    stores: Local<u32>,
    /// Number of values that it skips.
    pub skips: Local<u32>,
}

impl<const S: usize, const W: usize> Writer<S, W> {
    pub fn new(cell: &Arc<Cell<S, W>>, stores: u32) -> Self {
        Self { cell: Arc::clone(cell), stores: Local::new(stores), skips: Local::new(0) }
    }

    fn lives(&self) -> bool {
        let left = self.stores.get();
        self.stores.set(left.saturating_sub(1));
        left > 0
    }

    /// Publishes the next values.
    pub fn publish(&self, values: u32) {
        for _ in 0..values {
            let n = WriteCell::seq(self).wrapping_add(1);
            publish(self, |slot| {
                (0..).zip(words_of::<W>(n)).for_each(|(index, word)| slot.set(index, word));
            });
            self.skips.set(0);
        }
    }
}

impl<const S: usize, const W: usize> WriteCell for Writer<S, W> {
    type Word = u64;

    fn seq(&self) -> u32 {
        self.cell.stored.lock().unwrap().seq.wrapping_add(self.skips.get())
    }

    fn fence(&self, site: Site) {
        self.cell.mutant.fence_release(site);
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
            self.cell.seq.store(n, self.cell.mutant.release(site));
            self.cell.stored.lock().unwrap().seq = n;
        }
    }
}

/// A reader, with its copy of a slot.
pub struct Reader<'a, const S: usize, const W: usize> {
    pub cell: &'a Cell<S, W>,
    pub words: [u64; W],
}

impl<'a, const S: usize, const W: usize> Reader<'a, S, W> {
    pub fn new(cell: &'a Cell<S, W>) -> Self {
        Self { cell, words: [0; W] }
    }

    /// Checks that the copy is value `n`.
    pub fn holds(&self, n: u32) {
        assert_eq!(self.words, words_of(n), "torn or older value than {n}");
    }
}

impl<const S: usize, const W: usize> ReadCell for Reader<'_, S, W> {
    fn seq(&mut self) -> u32 {
        self.cell.seq.load(Relaxed)
    }

    fn fence(&mut self, site: Site) {
        self.cell.mutant.fence_acquire(site);
    }

    fn load_slot(&mut self, slot: u32) {
        for (to, from) in self.words.iter_mut().zip(&self.cell.slots[slot as usize]) {
            *to = from.load(Relaxed);
        }
    }

    // No yield: loom would run the writer to its end and never explore a second refusal.
    fn pause(&mut self) {}

    fn bound(&self, bound: Bound, exact: u32) -> u32 {
        self.cell.mutant.bound(bound, exact)
    }
}

/// Tests that must fail, one for each site and bound of these lists. A site or bound without a
/// mutant fails a test.
#[macro_export]
macro_rules! mutants {
    (
        expected = $expected:literal;
        sites [$($sites:expr),*] {
            $($site_name:ident: $site:ident, $site_model:expr;)*
        }
        bounds [$($bounds:expr),*] {
            $($bound_name:ident: $bound:ident = $value:expr, $bound_model:expr;)*
        }
    ) => {
        $(
            #[test]
            #[should_panic(expected = $expected)]
            fn $site_name() {
                $site_model(Mutant::Site(Site::$site));
            }
        )*
        $(
            #[test]
            #[should_panic(expected = $expected)]
            fn $bound_name() {
                $bound_model(Mutant::Bound(Bound::$bound, $value));
            }
        )*

        #[test]
        fn sites_and_bounds_have_mutants() {
            let sites: &[&[Site]] = &[$($sites),*];
            let mut ours = vec![$(Site::$site),*];
            ours.dedup();
            assert_eq!(ours, sites.concat());
            let bounds: &[&[Bound]] = &[$($bounds),*];
            let mut ours = vec![$(Bound::$bound),*] as Vec<Bound>;
            ours.dedup();
            assert_eq!(ours, bounds.concat());
        }
    };
}
