//! The last values of a latched cell under loom: `newest` and `read_number`.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p mmstats-core --release --test loom_ring`
#![cfg(loom)]
#![allow(clippy::cast_possible_truncation)] // Small constants.

mod loom_support;

use loom::sync::Arc;
use loom_support::{Cell, Mutant, Reader, Writer, explore};
use mmstats_core::protocol::{Bound, Site, newest, read_number};

/// Loads the newest number, then the values that are older by `ages`, in this order. Values found
/// must be right. Returns how many were found, and the newest number.
fn check<const S: usize, const W: usize>(
    cell: &Cell<S, W>,
    least: u32,
    ages: impl IntoIterator<Item = u32>,
) -> (u32, u32) {
    let mut reader = Reader::new(cell);
    let last = newest(&mut reader);
    assert!(last.wrapping_sub(least).cast_signed() >= 0, "torn: {last} after {least}");
    let mut found = 0;
    for age in ages {
        let n = last.wrapping_sub(age);
        if read_number(&mut reader, S as u32, n) {
            reader.holds(n);
            found += 1;
        }
    }
    (last, found)
}

/// All ages from the oldest on, and one past it.
fn ages<const S: usize>() -> impl Iterator<Item = u32> {
    (0..S as u32).rev()
}

fn model<const S: usize, const W: usize>(
    mutant: Mutant,
    from: u32,
    publishes: u32,
    ages_looked_at: &'static [u32],
) {
    explore(2, move || {
        let cell = Cell::<S, W>::new(mutant, from);
        let writer = {
            let writer = Writer::new(&cell, u32::MAX);
            loom::thread::spawn(move || writer.publish(publishes))
        };
        let (least, _) = check(&cell, from, ages_looked_at.iter().copied());
        writer.join().unwrap();
        let all = (from.wrapping_add(publishes), S as u32 - 1);
        let found = check(&cell, least, ages::<S>());
        assert_eq!(found, all, "torn: all values but the oldest can be read");
    });
}

#[test]
fn two_slots() {
    model::<2, 2>(Mutant::None, 2, 3, &[0]);
    model::<2, 2>(Mutant::None, 2, 2, &[1, 0]);
}

#[test]
fn four_slots() {
    for age in [&[0], &[1], &[2], &[3]] {
        model::<4, 2>(Mutant::None, 4, 4, age);
    }
    model::<4, 1>(Mutant::None, 4, 3, &[2, 1, 0]);
}

#[test]
fn the_number_wraps_around() {
    for from in [u32::MAX - 2, u32::MAX] {
        model::<4, 2>(Mutant::None, from, 3, &[2, 0]);
    }
}

/// A writer dies after any of its stores and another one continues; all complete values can be
/// read.
#[test]
fn death_after_every_store() {
    for stores in 0..=6 {
        explore(2, move || {
            let cell = Cell::<4, 2>::new(Mutant::None, 4);
            let writers = {
                let cell = Arc::clone(&cell);
                loom::thread::spawn(move || {
                    Writer::new(&cell, stores).publish(2);
                    Writer::new(&cell, u32::MAX).publish(1);
                })
            };
            let (least, _) = check(&cell, 4, [2]);
            writers.join().unwrap();
            assert_eq!(check(&cell, least, ages::<4>()), (5 + stores / 3, 3), "torn");
        });
    }
}

fn newest_one(mutant: Mutant) {
    model::<4, 2>(mutant, 4, 4, &[0]);
}

fn oldest_one(mutant: Mutant) {
    model::<4, 2>(mutant, 4, 4, &[2]);
}

/// Also one that must not be found.
fn too_old(mutant: Mutant) {
    model::<4, 2>(mutant, 4, 4, &[3]);
}

mutants! {
    expected = "torn";
    sites [Site::LATCH] {
        without_the_writers_fence: WriterEnter, oldest_one;
        without_release_on_seq: WriterSeq, newest_one;
        without_the_readers_first_fence: ReaderEnter, newest_one;
        without_the_readers_second_fence: ReaderExit, oldest_one;
    }
    bounds [&[Bound::Ring]] {
        a_value_too_old: Ring = 3, too_old;
        a_value_too_few: Ring = 1, newest_one;
    }
}
