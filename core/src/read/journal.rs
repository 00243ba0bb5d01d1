//! Journals: FORMAT.md section 6, PROTOCOL.md.

use super::error::ValueError;
use super::field::Field;
use super::scalar::ArrayView;
use super::verdict::Verdict;
use crate::buckets::Buckets;
use crate::layout::CELL_HEAD;
use crate::protocol::{self, JournalError, ReadJournal, Site};
use crate::region::Source;
use crate::types::{DataType, Storage};

/// Elements and slot of a journal, all from one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Journal<'a> {
    number: u32,
    elements: &'a [u8],
    slot: &'a [u8],
}

impl<'a> Journal<'a> {
    /// Number of the newest change, modulo 2^32. Not a count: a new writer of the lane skips numbers.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// The elements.
    #[must_use]
    pub const fn elements(&self) -> ArrayView<'a> {
        ArrayView::new(DataType::U64, self.elements)
    }

    /// Unit `index` of the slot: unit 0 is the total of the elements, units from 2 belong to the
    /// kind. 0 past the end.
    #[must_use]
    pub fn word(&self, index: usize) -> u64 {
        word(self.slot, index).unwrap_or(0)
    }
}

/// Values of a histogram, all from one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Histogram<'a> {
    journal: Journal<'a>,
    buckets: Buckets,
}

impl<'a> Histogram<'a> {
    /// Number of values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.journal.word(0)
    }

    /// Sum of the values: an integer, or the bits of an f64 if the buckets are of floats.
    #[must_use]
    pub fn sum_bits(&self) -> u64 {
        if self.count() == 0 { 0 } else { self.journal.word(2) }
    }

    /// Minimum, encoded as [`Histogram::sum_bits`]; `None` if there is no value.
    #[must_use]
    pub fn min_bits(&self) -> Option<u64> {
        (self.count() != 0).then(|| self.journal.word(3))
    }

    /// Maximum, encoded as [`Histogram::sum_bits`]; `None` if there is no value.
    #[must_use]
    pub fn max_bits(&self) -> Option<u64> {
        (self.count() != 0).then(|| self.journal.word(4))
    }

    /// The buckets.
    #[must_use]
    pub const fn buckets(&self) -> Buckets {
        self.buckets
    }

    /// Number of values below the range, in each bucket, and above it.
    pub fn counts(&self) -> impl ExactSizeIterator<Item = u64> + use<'a> {
        let words = self.journal.elements.chunks_exact(8);
        words.map(|bytes| bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)))
    }
}

/// Unit `index` of a slot.
fn word(slot: &[u8], index: usize) -> Option<u64> {
    let from = index.checked_mul(8)?;
    slot.get(from..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// Reads a journal whose cell is at `cell`. `out` must have [`Field::buffer_size`] bytes.
pub(super) fn read<'b, S: Source + ?Sized>(
    source: &S,
    field: &Field,
    cell: u32,
    out: &'b mut [u8],
) -> Verdict<Journal<'b>> {
    // Without a known type the number of elements is unknown.
    if field.storage() != Some(Storage::Journal) || field.ty() != Some(DataType::U64) {
        return Verdict::Unknown;
    }
    let Some(out) = out.get_mut(..field.buffer_size()) else { return Verdict::NoRoom };
    let (elements, slot) = out.split_at_mut(field.value_size() as usize);
    let slots = field.slots();
    let mut reader = JournalReader::new(source, cell, slots, elements, slot);
    match protocol::read_journal(&mut reader, slots) {
        Ok(number) => {
            let JournalReader { elements, slot, .. } = reader;
            Verdict::Consistent(Journal { number, elements, slot })
        }
        Err(JournalError::Contended) => Verdict::Contended,
        Err(JournalError::Total) => Verdict::Damaged(ValueError::Total {
            offset: cell,
            found: reader.sum(),
            expected: reader.total(),
        }),
    }
}

/// The journal as a histogram; `Unknown` if the field is none.
pub(super) fn histogram<'b>(field: &Field, journal: Journal<'b>) -> Verdict<Histogram<'b>> {
    match field.buckets() {
        // Rule `kind-param` checked that the slot is large enough.
        Some(buckets) => Verdict::Consistent(Histogram { journal, buckets }),
        None => Verdict::Unknown,
    }
}

/// A journal in a source, and buffers for a copy.
pub(crate) struct JournalReader<'a, 'b, S: ?Sized> {
    source: &'a S,
    cell: u32,
    slot_size: u32,
    /// Offset of element 0.
    tail: u32,
    elements: &'b mut [u8],
    slot: &'b mut [u8],
}

impl<'a, 'b, S: ?Sized> JournalReader<'a, 'b, S> {
    /// The journal at `cell` with `slots` slots, each as long as `slot`.
    pub(crate) fn new(
        source: &'a S,
        cell: u32,
        slots: u32,
        elements: &'b mut [u8],
        slot: &'b mut [u8],
    ) -> Self {
        let slot_size = u32::try_from(slot.len()).unwrap_or(u32::MAX);
        let tail = cell.saturating_add(CELL_HEAD).saturating_add(slots.saturating_mul(slot_size));
        Self { source, cell, slot_size, tail, elements, slot }
    }

    fn slot_at(&self, slot: u32) -> u32 {
        let before = slot.saturating_mul(self.slot_size).saturating_add(CELL_HEAD);
        self.cell.saturating_add(before)
    }
}

impl<S: Source + ?Sized> ReadJournal for JournalReader<'_, '_, S> {
    fn seq(&mut self) -> u32 {
        self.source.load32(self.cell)
    }

    fn fence(&mut self, site: Site) {
        self.source.fence(site);
    }

    fn load_elements(&mut self) {
        self.source.copy(self.tail, self.elements);
    }

    fn load_slot(&mut self, slot: u32) {
        self.source.copy(self.slot_at(slot), self.slot);
    }

    fn load_change(&mut self, slot: u32) -> [u64; 2] {
        let mut bytes = [0; 16];
        self.source.copy(self.slot_at(slot), &mut bytes);
        [0, 1].map(|unit| word(&bytes, unit).unwrap_or(0))
    }

    fn element(&self, index: u32) -> Option<u64> {
        word(self.elements, index as usize)
    }

    fn set_element(&mut self, index: u32, value: u64) {
        let from = index as usize * 8;
        if let Some(bytes) = self.elements.get_mut(from..).and_then(<[u8]>::first_chunk_mut) {
            *bytes = value.to_le_bytes();
        }
    }

    fn sum(&self) -> u64 {
        let (words, _) = self.elements.as_chunks::<8>();
        words.iter().fold(0, |sum, bytes| sum.wrapping_add(u64::from_le_bytes(*bytes)))
    }

    fn total(&self) -> u64 {
        word(self.slot, 0).unwrap_or(0)
    }
}
