//! Tables under loom: rows of one writer, and rows that threads claim.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p mmstats-core --release --test loom_table`
//!
//! Runs the functions of `protocol` on loom's atomics. Each of their [`Site`]s has a mutant that must
//! fail.
#![cfg(loom)]
#![allow(clippy::cast_possible_truncation)] // Small constants.

mod loom_support;

use loom::sync::Arc;
use loom::sync::atomic::Ordering::Relaxed;
use loom_support::{Cell, Mutant, Reader, Word, explore};
use mmstats_core::protocol::{
    Bound, Site, WriteCell, WriteWord, claim_row, give_back_row, hide_row, load_rows, lowest_free,
    publish, read, show_claimed_row, show_row,
};

/// With two slots the second load of seq would refuse what is older than the bit.
const SLOTS: usize = 4;

/// A row with slots of two words, `n` and `10 n`.
type Row = Cell<SLOTS, 2>;

/// A row from the side of its writer. `seq` is the writer's last store, or in the form of several
/// threads what it loads.
struct RowWriter<'a> {
    row: &'a Row,
    seq: u32,
}

impl WriteCell for RowWriter<'_> {
    type Word = u64;

    fn seq(&self) -> u32 {
        self.seq
    }

    fn fence(&self, _site: Site) {
        loom::sync::atomic::fence(loom::sync::atomic::Ordering::Release);
    }

    fn store(&self, n: u32, index: usize, word: u64) {
        self.row.slots[n as usize % SLOTS][index].store(word, Relaxed);
    }

    fn load(&self, _n: u32, _index: usize) -> u64 {
        unreachable!("values are stored whole");
    }

    fn set_seq(&self, n: u32, _site: Site) {
        self.row.seq.store(n, loom::sync::atomic::Ordering::Release);
    }
}

struct Table {
    used: Word,
    claimed: Word,
    rows: [Arc<Row>; 2],
}

impl Table {
    fn new(mutant: Mutant) -> Arc<Self> {
        let (used, claimed) = (Word::new(0, mutant), Word::new(0, mutant));
        let rows = [Row::new(mutant, 0), Row::new(mutant, 0)];
        Arc::new(Self { used, claimed, rows })
    }

    /// Publishes value `n` of a row, whose number is `seq`.
    fn put(&self, row: u32, seq: u32, n: u64) {
        let cell = RowWriter { row: &self.rows[row as usize], seq };
        publish(&cell, |slot| {
            slot.set(0, n);
            slot.set(1, 10 * n);
        });
    }

    /// Values of the rows in use; each is whole and one that was begun.
    fn look(&self) -> [Option<u64>; 2] {
        let used = load_rows(&self.used);
        [0, 1].map(|row| {
            if used >> row & 1 == 0 {
                return None;
            }
            let mut reader = Reader::new(&*self.rows[row]);
            // Contended, which is allowed.
            read(&mut reader, SLOTS as u32)?;
            let [n, ten] = reader.words;
            assert!(n > 0 && ten == 10 * n, "broken: row {row} has {n}, {ten}");
            Some(n)
        })
    }
}

/// One writer: rows are begun, changed and ended, and one is used again.
fn one_writer(mutant: Mutant) {
    explore(3, move || {
        let table = Table::new(mutant);
        let writer = {
            let table = Arc::clone(&table);
            loom::thread::spawn(move || {
                let used = &table.used;
                assert_eq!(lowest_free(WriteWord::load(&used), 2), Some(0));
                table.put(0, 0, 1);
                show_row(&used, 1);
                assert_eq!(lowest_free(WriteWord::load(&used), 2), Some(1));
                table.put(1, 0, 2);
                show_row(&used, 2);
                assert_eq!(lowest_free(WriteWord::load(&used), 2), None);
                hide_row(&used, 1);
                table.put(0, 1, 3);
                show_row(&used, 1);
            })
        };
        let [first, second] = table.look();
        assert!(matches!(first, None | Some(1 | 3)), "broken: {first:?}");
        assert!(matches!(second, None | Some(2)), "broken: {second:?}");
        writer.join().unwrap();
        assert_eq!(table.look(), [Some(3), Some(2)], "broken: the last rows");
    });
}

/// The end of one row announces another one: its value was stored before.
fn end_announces(mutant: Mutant) {
    explore(3, move || {
        let table = Table::new(mutant);
        let writer = {
            let table = Arc::clone(&table);
            loom::thread::spawn(move || {
                let used = &table.used;
                table.put(0, 0, 1);
                show_row(&used, 1);
                table.put(1, 0, 2);
                show_row(&used, 2);
                hide_row(&used, 1);
            })
        };
        table.look();
        writer.join().unwrap();
        assert_eq!(table.look(), [None, Some(2)], "broken: the last rows");
    });
}

/// Begins and ends a use of the one claimed row that is free; the number of values before, if there is
/// a free one.
fn begin_and_end(table: &Table, n: u64) -> Option<u32> {
    let (used, claimed) = (&table.used, &table.claimed);
    let row = claim_row(&claimed, 1)?;
    let seq = table.rows[row as usize].seq.load(Relaxed);
    table.put(row, seq, n);
    show_claimed_row(&used, 1 << row);
    give_back_row(&used, &claimed, 1 << row);
    Some(seq)
}

/// Two threads take one row in turn: the second continues from the first one's value.
fn succession(mutant: Mutant) {
    explore(3, move || {
        let table = Table::new(mutant);
        let other = {
            let table = Arc::clone(&table);
            loom::thread::spawn(move || begin_and_end(&table, 1))
        };
        let own = begin_and_end(&table, 2);
        let other = other.join().unwrap();
        match (own, other) {
            (Some(0), Some(1)) | (Some(1), Some(0)) => {}
            (Some(0), None) | (None, Some(0)) => {}
            both => panic!("broken: {both:?} is not one after the other"),
        }
    });
}

/// Two threads with a row each, and a reader.
fn claimed_rows(mutant: Mutant) {
    explore(2, move || {
        let table = Table::new(mutant);
        let threads: Vec<_> = [1, 2]
            .map(|n| {
                let table = Arc::clone(&table);
                loom::thread::spawn(move || {
                    let (used, claimed) = (&table.used, &table.claimed);
                    let row = claim_row(&claimed, 2).expect("broken: no free row");
                    table.put(row, table.rows[row as usize].seq.load(Relaxed), n);
                    show_claimed_row(&used, 1 << row);
                    if n == 1 {
                        give_back_row(&used, &claimed, 1 << row);
                    }
                })
            })
            .into();
        table.look();
        for thread in threads {
            thread.join().unwrap();
        }
        let left: Vec<u64> = table.look().into_iter().flatten().collect();
        assert_eq!(left, [2], "broken: the last rows");
    });
}

#[test]
fn rows_of_one_writer() {
    one_writer(Mutant::None);
    end_announces(Mutant::None);
}

#[test]
fn rows_of_two_threads() {
    succession(Mutant::None);
    claimed_rows(Mutant::None);
}

mutants! {
    expected = "broken";
    sites [Site::TABLE] {
        without_release_on_a_bit: WriterRow, one_writer;
        without_release_on_a_bit_of_threads: WriterRow, claimed_rows;
        without_release_on_an_end: WriterRowEnd, end_announces;
        without_the_readers_fence: ReaderRow, one_writer;
        without_acquire_on_a_claim: WriterClaim, succession;
        without_release_on_giving_back: WriterGiveBack, succession;
    }
    bounds [&[] as &[Bound]] {}
}
