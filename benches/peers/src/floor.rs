//! Updates by hand: the stores of the format, without checks.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::time::Instant;

use mmstats_benches::work::loops::{TEXTS, spread};

/// A cell of four slots of `N` words.
#[repr(align(64))]
pub(crate) struct Latch<const N: usize> {
    seq: AtomicU32,
    slots: [[AtomicU64; N]; 4],
}

impl<const N: usize> Default for Latch<N> {
    fn default() -> Self {
        let slots = std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0)));
        Self { seq: AtomicU32::new(0), slots }
    }
}

impl<const N: usize> Latch<N> {
    #[inline(always)]
    fn publish(&self, fill: impl FnOnce(&[AtomicU64; N], &[AtomicU64; N])) {
        let seq = self.seq.load(Ordering::Relaxed);
        let next = seq.wrapping_add(1);
        fence(Ordering::Release);
        fill(&self.slots[seq as usize % 4], &self.slots[next as usize % 4]);
        self.seq.store(next, Ordering::Release);
    }
}

fn load(word: &AtomicU64) -> u64 {
    word.load(Ordering::Relaxed)
}

fn store(word: &AtomicU64, value: u64) {
    word.store(value, Ordering::Relaxed);
}

#[inline(never)]
pub(crate) fn counter(word: &AtomicU64, n: u64) {
    for _ in 0..n {
        store(word, load(word) + 1);
    }
}

thread_local! {
    static OWN: Cell<Option<&'static AtomicU64>> = const { Cell::new(None) };
}

/// A counter that is found by a thread-local pointer.
#[inline(never)]
pub(crate) fn thread_local(n: u64) {
    #[inline(never)]
    fn one() {
        if let Some(word) = OWN.get() {
            store(word, load(word) + 1);
        }
    }
    if OWN.get().is_none() {
        OWN.set(Some(Box::leak(Box::default())));
    }
    for _ in 0..n {
        one();
    }
}

#[inline(always)]
fn record(timer: &Latch<5>, nanos: u64) {
    timer.publish(|last, slot| {
        store(&slot[0], load(&last[0]) + 1);
        store(&slot[1], load(&last[1]) + nanos);
        store(&slot[2], load(&last[2]).min(nanos));
        store(&slot[3], load(&last[3]).max(nanos));
        store(&slot[4], nanos);
    });
}

#[inline(never)]
pub(crate) fn timer(timer: &Latch<5>, n: u64) {
    (0..n).for_each(|i| record(timer, i));
}

/// Two reads of the clock and a `fetch_add`.
#[inline(never)]
pub(crate) fn section(word: &AtomicU64, n: u64) {
    for _ in 0..n {
        let start = Instant::now();
        let nanos = start.elapsed().subsec_nanos();
        word.fetch_add(nanos.into(), Ordering::Relaxed);
    }
}

/// Slots and elements of a histogram.
pub(crate) struct Journal {
    slots: Latch<5>,
    elements: Vec<AtomicU64>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { slots: Latch::default(), elements: (0..512).map(|_| AtomicU64::new(0)).collect() }
    }
}

/// Buckets of equal width within an octave: 8 of them.
#[inline(always)]
fn bucket(value: u64) -> usize {
    let value = value | 8;
    let octave = 63 - value.leading_zeros();
    (octave as usize) * 8 + ((value >> (octave - 3)) & 7) as usize
}

#[inline(never)]
pub(crate) fn histogram(journal: &Journal, n: u64) {
    for i in 0..n {
        let value = spread(i);
        let index = bucket(value);
        let element = &journal.elements[index];
        let after = load(element) + 1;
        journal.slots.publish(|last, slot| {
            store(&slot[0], load(&last[0]) + 1);
            store(&slot[1], after << 16 | index as u64);
            store(&slot[2], load(&last[2]) + value);
            store(&slot[3], load(&last[3]).min(value));
            store(&slot[4], load(&last[4]).max(value));
            element.store(after, Ordering::Release);
        });
    }
}

#[inline(never)]
pub(crate) fn text(cell: &Latch<9>, n: u64) {
    for i in 0..n {
        let text = TEXTS[usize::from(i & 1 == 1)].as_bytes();
        cell.publish(|_, slot| {
            store(&slot[0], text.len() as u64);
            for (to, word) in slot[1..].iter().zip(text.as_chunks::<8>().0) {
                store(to, u64::from_le_bytes(*word));
            }
        });
    }
}
