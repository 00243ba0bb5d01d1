//! A latched cell under loom: the source of `protocol` on loom's atomics.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p mmstats-core --release --test loom_latch`
//!
//! One writer, or two in succession of which the first dies, and one or two readers. Each [`Site`]
//! and [`Bound`] of a latched cell has a mutant that must fail: a model that accepts its mutants
//! proves nothing.
#![cfg(loom)]
#![allow(clippy::cast_possible_truncation)] // Small constants.

mod loom_support;

use loom::sync::Arc;
use loom_support::{Cell, Mutant, Reader, Writer, explore};
use mmstats_core::protocol::{Bound, Site, read};

/// Reads once. Returns the number, at least `least`; `None` if contended, which is allowed.
fn check<const S: usize, const W: usize>(cell: &Cell<S, W>, least: u32) -> u32 {
    let mut reader = Reader::new(cell);
    let Some(n) = read(&mut reader, S as u32) else { return least };
    reader.holds(n);
    assert!(n.wrapping_sub(least).cast_signed() >= 0, "torn: value {n} after value {least}");
    n
}

/// A model.
#[derive(Clone, Copy)]
struct Model {
    mutant: Mutant,
    /// Number of the first value.
    from: u32,
    publishes: u32,
    readers: u32,
    /// Number of reads of each reader.
    reads: u32,
    preemptions: usize,
}

const PLAIN: Model =
    Model { mutant: Mutant::None, from: 0, publishes: 3, readers: 1, reads: 1, preemptions: 3 };

fn model<const S: usize, const W: usize>(model: Model) {
    let Model { mutant, from, publishes, readers, reads, preemptions } = model;
    explore(preemptions, move || {
        let cell = Cell::<S, W>::new(mutant, from);
        let look = move |cell: &Cell<S, W>| (0..reads).fold(from, |least, _| check(cell, least));
        let others: Vec<_> = (1..readers)
            .map(|_| {
                let cell = Arc::clone(&cell);
                loom::thread::spawn(move || look(&cell))
            })
            .collect();
        let writer = {
            let writer = Writer::new(&cell, u32::MAX);
            loom::thread::spawn(move || writer.publish(publishes))
        };
        let least = look(&cell);
        writer.join().unwrap();
        for reader in others {
            reader.join().unwrap();
        }
        assert_eq!(check(&cell, least), from.wrapping_add(publishes), "torn: the last value");
    });
}

#[test]
fn two_slots_of_a_word() {
    model::<2, 1>(PLAIN);
}

#[test]
fn two_slots_of_two_words() {
    model::<2, 2>(PLAIN);
}

#[test]
fn four_slots_of_a_word() {
    model::<4, 1>(Model { publishes: 5, ..PLAIN });
}

#[test]
fn four_slots_of_two_words() {
    model::<4, 2>(Model { publishes: 5, ..PLAIN });
}

const TWO_READERS: Model = Model { publishes: 2, readers: 2, preemptions: 2, ..PLAIN };

#[test]
fn two_slots_of_a_word_two_readers() {
    model::<2, 1>(TWO_READERS);
}

#[test]
fn two_slots_of_two_words_two_readers() {
    model::<2, 2>(TWO_READERS);
}

#[test]
fn four_slots_of_a_word_two_readers() {
    model::<4, 1>(Model { publishes: 4, ..TWO_READERS });
}

#[test]
fn four_slots_of_two_words_two_readers() {
    model::<4, 2>(Model { publishes: 4, ..TWO_READERS });
}

#[test]
fn successive_reads_do_not_go_back() {
    model::<2, 2>(Model { publishes: 2, reads: 2, ..PLAIN });
    model::<4, 1>(Model { publishes: 4, reads: 2, preemptions: 2, ..PLAIN });
}

/// The number wraps to 0 during a read.
#[test]
fn the_number_wraps_around() {
    for from in [u32::MAX - 2, u32::MAX - 1, u32::MAX] {
        model::<2, 2>(Model { from, ..PLAIN });
    }
    model::<4, 2>(Model { from: u32::MAX - 2, publishes: 5, ..PLAIN });
}

/// A writer dies after `stores` stores and another one continues, with one reader. The new one must
/// not skip a number (`skips`).
fn succession<const S: usize, const W: usize>(mutant: Mutant, from: u32, stores: u32, skips: u32) {
    explore(2, move || {
        let cell = Cell::<S, W>::new(mutant, from);
        let writers = {
            let cell = Arc::clone(&cell);
            loom::thread::spawn(move || {
                Writer::new(&cell, stores).publish(2);
                let next = Writer::new(&cell, u32::MAX);
                next.skips.set(skips);
                next.publish(1);
            })
        };
        let least = check(&cell, from);
        writers.join().unwrap();
        let last = from.wrapping_add(stores / (W as u32 + 1) + 1 + skips);
        assert_eq!(check(&cell, least), last, "torn: the last value");
    });
}

/// After each store of two publishes.
fn successions<const S: usize, const W: usize>(from: u32) {
    (0..=2 * (W as u32 + 1)).for_each(|stores| succession::<S, W>(Mutant::None, from, stores, 0));
}

#[test]
fn the_next_writer_goes_on() {
    successions::<2, 1>(0);
    successions::<2, 2>(0);
    successions::<4, 1>(4);
    successions::<4, 2>(4);
    successions::<2, 2>(u32::MAX - 1);
}

/// A new writer loads seq: one that continues two numbers later overwrites the value being read.
#[test]
#[should_panic(expected = "torn")]
fn the_next_writer_leaves_out_a_number() {
    succession::<2, 2>(Mutant::None, 2, 1, 1);
}

/// A writer that dies after any of its stores leaves the last complete value.
#[test]
fn death_after_every_store() {
    fn all<const S: usize, const W: usize>() {
        let stores_of_one = W as u32 + 1;
        for stores in 0..=3 * stores_of_one {
            explore(3, move || {
                let cell = Cell::<S, W>::new(Mutant::None, 0);
                let writer = {
                    let writer = Writer::new(&cell, stores);
                    loom::thread::spawn(move || writer.publish(3))
                };
                let least = check(&cell, 0);
                writer.join().unwrap();
                assert_eq!(check(&cell, least), stores / stores_of_one, "torn: the last value");
            });
        }
    }
    all::<2, 1>();
    all::<2, 2>();
    all::<4, 2>();
}

/// Each refused attempt needs S - 1 publishes: after two of them the third attempt on two slots
/// succeeds.
fn attempts(attempts: u32) {
    explore(3, move || {
        let cell = Cell::<2, 1>::new(Mutant::Bound(Bound::Attempts, attempts), 0);
        let writer = {
            let writer = Writer::new(&cell, u32::MAX);
            loom::thread::spawn(move || writer.publish(2))
        };
        assert!(read(&mut Reader::new(&cell), 2).is_some(), "torn: contended");
        writer.join().unwrap();
    });
}

#[test]
fn a_refusal_takes_a_publish() {
    attempts(3);
}

fn two(mutant: Mutant) {
    model::<2, 2>(Model { mutant, ..PLAIN });
}

fn four(mutant: Mutant) {
    model::<4, 2>(Model { mutant, from: 4, publishes: 5, ..PLAIN });
}

fn few_attempts(mutant: Mutant) {
    let Mutant::Bound(Bound::Attempts, number) = mutant else { unreachable!() };
    attempts(number);
}

mutants! {
    expected = "torn";
    sites [Site::LATCH] {
        without_the_writers_fence: WriterEnter, two;
        without_the_writers_fence_4: WriterEnter, four;
        without_release_on_seq: WriterSeq, two;
        without_release_on_seq_4: WriterSeq, four;
        without_the_readers_first_fence: ReaderEnter, two;
        without_the_readers_first_fence_4: ReaderEnter, four;
        without_the_readers_second_fence: ReaderExit, two;
        without_the_readers_second_fence_4: ReaderExit, four;
    }
    bounds [&[Bound::Latch, Bound::Attempts]] {
        one_publish_too_many: Latch = 1, two;
        one_publish_too_many_4: Latch = 3, four;
        one_attempt_too_few: Attempts = 2, few_attempts;
    }
}
