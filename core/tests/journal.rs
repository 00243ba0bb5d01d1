//! A journal of plain words, read between any two stores of its writer.
//!
//! `loom_journal` explores orders of memory. Here the order is fixed, so that many more changes and
//! numbers are tried.

use std::cell::RefCell;

use mmstats_core::protocol::{
    JournalError, ReadJournal, Site, WriteJournal, change, pack, read_journal, repair,
};

const ELEMENTS: usize = 3;
const UNITS: usize = 3;

/// The memory of a journal. An index past its end is a fault of the protocol and panics.
#[derive(Debug, Clone, PartialEq)]
struct Words {
    seq: u32,
    elements: [u64; ELEMENTS],
    slots: Vec<[u64; UNITS]>,
}

#[derive(Debug, Clone, Copy)]
enum Store {
    Unit {
        slot: usize,
        unit: usize,
        value: u64,
    },
    /// One half of an element, the low one first.
    Half {
        index: usize,
        high: bool,
        value: u64,
    },
    Seq(u32),
}

impl Words {
    /// A complete journal with these elements, after `seq` changes.
    fn new(slots: usize, seq: u32, elements: [u64; ELEMENTS]) -> Self {
        let total = elements.iter().fold(0_u64, |sum, element| sum.wrapping_add(*element));
        let mut words = Self { seq, elements, slots: vec![[0xEE; UNITS]; slots] };
        words.slots[seq as usize % slots] = [total, pack(0, elements[0]), 0];
        words
    }

    fn apply(&mut self, store: Store) {
        match store {
            Store::Unit { slot, unit, value } => self.slots[slot][unit] = value,
            Store::Half { index, high, value } => {
                let mask = if high { !0 << 32 } else { u64::from(u32::MAX) };
                self.elements[index] = self.elements[index] & !mask | value & mask;
            }
            Store::Seq(n) => self.seq = n,
        }
    }
}

/// A writer, and its stores in order.
struct Writer {
    words: RefCell<Words>,
    stores: RefCell<Vec<Store>>,
}

impl Writer {
    fn new(words: Words) -> Self {
        Self { words: RefCell::new(words), stores: RefCell::new(Vec::new()) }
    }

    fn apply(&self, store: Store) {
        self.words.borrow_mut().apply(store);
        self.stores.borrow_mut().push(store);
    }

    /// As a handle; unit 2 has the number of the change.
    fn change(&self, index: u32, more: u64) {
        let n = self.seq().wrapping_add(1);
        change(self, index, more, |slot| slot.set(2, n.into()));
    }
}

impl WriteJournal for Writer {
    fn seq(&self) -> u32 {
        self.words.borrow().seq
    }
    fn fence(&self, site: Site) {
        assert_eq!(site, Site::WriterEnter);
    }
    fn load(&self, n: u32, unit: usize) -> u64 {
        let words = self.words.borrow();
        words.slots[n as usize % words.slots.len()][unit]
    }
    fn store(&self, n: u32, unit: usize, value: u64) {
        let slot = n as usize % self.words.borrow().slots.len();
        self.apply(Store::Unit { slot, unit, value });
    }
    fn element(&self, index: u32) -> u64 {
        self.words.borrow().elements[index as usize]
    }
    fn set_element(&self, index: u32, value: u64, site: Site) {
        assert_eq!(site, Site::WriterElement);
        for high in [false, true] {
            self.apply(Store::Half { index: index as usize, high, value });
        }
    }
    fn set_seq(&self, n: u32, site: Site) {
        assert_eq!(site, Site::WriterSeq);
        self.apply(Store::Seq(n));
    }
}

/// A reader. Before load number `when` the writer does that many more stores.
struct Reader<'a> {
    words: Words,
    stores: std::slice::Iter<'a, Store>,
    loads: usize,
    moments: [(usize, usize); 2],
    elements: [u64; ELEMENTS],
    slot: [u64; UNITS],
}

impl Reader<'_> {
    fn tick(&mut self) {
        for (when, stores) in self.moments {
            if when == self.loads {
                self.stores.by_ref().take(stores).for_each(|store| self.words.apply(*store));
            }
        }
        self.loads += 1;
    }

    fn unit(&mut self, slot: u32, unit: usize) -> u64 {
        self.tick();
        self.words.slots[slot as usize][unit]
    }
}

impl ReadJournal for Reader<'_> {
    fn seq(&mut self) -> u32 {
        self.tick();
        self.words.seq
    }
    fn fence(&mut self, _: Site) {}
    fn load_elements(&mut self) {
        for index in 0..ELEMENTS {
            self.tick();
            let low = self.words.elements[index] & u64::from(u32::MAX);
            self.tick();
            self.elements[index] = self.words.elements[index] >> 32 << 32 | low;
        }
    }
    fn load_slot(&mut self, slot: u32) {
        self.slot = [0, 1, 2].map(|unit| self.unit(slot, unit));
    }
    fn load_change(&mut self, slot: u32) -> [u64; 2] {
        [0, 1].map(|unit| self.unit(slot, unit))
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
}

fn read<'a>(
    words: &Words,
    stores: &'a [Store],
    moments: [(usize, usize); 2],
) -> (Result<u32, JournalError>, Reader<'a>) {
    let mut reader = Reader {
        words: words.clone(),
        stores: stores.iter(),
        loads: 0,
        moments,
        elements: [0; ELEMENTS],
        slot: [0; UNITS],
    };
    let slots = u32::try_from(words.slots.len()).unwrap();
    (read_journal(&mut reader, slots), reader)
}

/// Elements near a carry: into the upper half, past the 48 bits of a slot, and past 64 bits.
const BEGIN: [u64; ELEMENTS] = [u32::MAX as u64, (1 << 48) - 1, u64::MAX];
/// Changes of `BEGIN`: of each element, of one twice, up and down.
const CHANGES: [(u32, u64); 4] = [(0, 1), (1, 1), (2, 2), (1, u64::MAX)];

/// The stores of `CHANGES`, and the elements after each change.
fn history(begin: &Words) -> (Vec<Store>, Vec<[u64; ELEMENTS]>) {
    let writer = Writer::new(begin.clone());
    let mut states = vec![begin.elements];
    for (index, more) in CHANGES {
        writer.change(index, more);
        states.push(writer.words.borrow().elements);
    }
    (writer.stores.into_inner(), states)
}

/// Elements and number of a read belong to the same change, at any position of the writer.
#[test]
fn read_returns_one_moment() {
    for (slots, seq) in [(2, 7), (4, 7), (4, u32::MAX - 1), (8, 0)] {
        let begin = Words::new(slots, seq, BEGIN);
        let (stores, states) = history(&begin);
        let mut seen = [0; CHANGES.len() + 1];
        for first in 0..16 {
            for second in (first..24).step_by(5) {
                for (some, more) in
                    (0..=stores.len()).flat_map(|some| [0, 1, 3, 6, 13].map(|more| (some, more)))
                {
                    let moments = [(first, some), (second, more)];
                    let (answer, reader) = read(&begin, &stores, moments);
                    let n = answer.unwrap_or_else(|e| panic!("{e:?}: {slots} {moments:?}"));
                    let after = n.wrapping_sub(seq);
                    seen[after as usize] += 1;
                    assert_eq!(reader.elements, states[after as usize], "{slots} {moments:?}");
                    assert_eq!(reader.sum(), reader.total());
                    let which = if after == 0 { 0 } else { n.into() };
                    assert_eq!(reader.slot[2], which, "the rest of the slot");
                }
            }
        }
        assert!(seen.iter().all(|times| *times > 100), "{seen:?}");
    }
}

#[test]
fn read_always_overtaken_is_contended() {
    struct Hurried(u32);
    impl ReadJournal for Hurried {
        fn seq(&mut self) -> u32 {
            self.0 += 3;
            self.0
        }
        fn fence(&mut self, _: Site) {}
        fn load_elements(&mut self) {}
        fn load_slot(&mut self, _: u32) {}
        fn load_change(&mut self, _: u32) -> [u64; 2] {
            [0; 2]
        }
        fn element(&self, _: u32) -> Option<u64> {
            Some(0)
        }
        fn set_element(&mut self, _: u32, _: u64) {}
        fn sum(&self) -> u64 {
            0
        }
        fn total(&self) -> u64 {
            0
        }
    }
    assert_eq!(read_journal(&mut Hurried(0), 4), Err(JournalError::Contended));
}

/// Elements that do not add up are not explained by a pending change.
#[test]
fn read_wrong_total_is_damaged() {
    let good = Words::new(4, 5, [10, 20, 30]);
    for (index, next) in [(0, [61, pack(0, 12)]), (2, [0; 2]), (1, [61, pack(9, 21)])] {
        let mut bad = good.clone();
        bad.elements[index] += 5;
        bad.slots[6 % 4][..2].copy_from_slice(&next);
        let (answer, reader) = read(&bad, &[], [(0, 0); 2]);
        assert_eq!(answer, Err(JournalError::Total), "{index}");
        assert_eq!(reader.total(), 60);
    }
}

/// The writer dies after any of its stores, and the next one during `repair`. Then the last
/// complete change is read, and a new one has another number.
#[test]
fn repair_reverts_incomplete_change() {
    let elements = u32::try_from(ELEMENTS).unwrap();
    for slots in [2_u32, 4] {
        let begin = Words::new(slots as usize, 7, BEGIN);
        let (stores, states) = history(&begin);
        for died in 0..=stores.len() {
            let mut left = begin.clone();
            stores[..died].iter().for_each(|store| left.apply(*store));
            let complete = states[(left.seq - 7) as usize];
            let writer = Writer::new(left.clone());
            repair(&writer, elements, slots);
            let mended = writer.words.borrow().clone();
            assert_eq!((mended.elements, mended.seq), (complete, left.seq + slots), "{died}");
            let repairs = writer.stores.borrow().clone();
            // Only the number, if there is nothing to revert.
            assert_eq!(repairs.len() == 1, left.elements == complete, "{died}");
            for again in 0..=repairs.len() {
                let mut left = left.clone();
                repairs[..again].iter().for_each(|store| left.apply(*store));
                let writer = Writer::new(left);
                repair(&writer, elements, slots);
                assert_eq!(writer.words.borrow().elements, complete, "{died} {again}");
                writer.change(1, 5);
                let words = writer.words.borrow().clone();
                let (answer, reader) = read(&words, &[], [(0, 0); 2]);
                assert_eq!(answer, Ok(words.seq));
                assert_eq!(reader.elements[1], complete[1].wrapping_add(5));
            }
        }
    }
}

#[test]
fn repair_index_past_end_is_ignored() {
    let elements = u32::try_from(ELEMENTS).unwrap();
    for index in [elements, elements + 1, 0xFFFF] {
        let mut bad = Words::new(4, 5, [10, 20, 30]);
        bad.elements[1] = 21;
        bad.slots[6 % 4][1] = pack(index, 21);
        let writer = Writer::new(bad);
        repair(&writer, elements, 4);
        assert_eq!(writer.words.borrow().elements, [10, 21, 30]);
    }
}

/// Index of the element, and the low 48 bits of its value.
#[test]
fn pack_index_and_low_bits() {
    assert_eq!(pack(2, 4), 0x4_0002);
    assert_eq!(pack(0xFFFF, 0x1234_5678_9ABC_DEF0), 0x5678_9ABC_DEF0_FFFF);
}
