//! Tables: rows that are in use: FORMAT.md section 6, PROTOCOL.md section 11.

use super::cell::SlotReader;
use super::field::{Field, ROW_HEAD};
use super::text;
use super::verdict::Verdict;
use crate::layout::table as t;
use crate::protocol;
use crate::region::{Source, SourceWord};
use crate::types::{DataType, Storage};

/// The rows of a table that are in use. Each row is whole; the rows are not of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table<'a> {
    used: u64,
    refused: Option<u64>,
    /// The copies of all rows; those of rows that are not in use mean nothing.
    copies: &'a [u8],
    /// Size of a copy in bytes.
    size: u32,
    /// Capacity of a text in bytes.
    capacity: u32,
}

impl<'a> Table<'a> {
    /// A bit for each row, from row 0 in the lowest: whether it is in use.
    #[must_use]
    pub const fn used(&self) -> u64 {
        self.used
    }

    /// Number of times that no row was free, so that what began then is not shown. `None` on a machine
    /// that has no load of 8 bytes.
    #[must_use]
    pub const fn refused(&self) -> Option<u64> {
        self.refused
    }

    /// The rows in use in the order of their places. One is contended if its writer replaced the text
    /// during each attempt, or damaged.
    pub fn rows(&self) -> impl Iterator<Item = (u32, Verdict<TableRow<'a>>)> + use<'a> {
        let this = *self;
        (0..u64::BITS)
            .filter(move |row| this.used >> row & 1 != 0)
            .map(move |row| (row, this.row(row)))
    }

    fn row(&self, row: u32) -> Verdict<TableRow<'a>> {
        let from = row as usize * self.size as usize;
        let copy = self.copies.get(from..).and_then(|rest| rest.get(..self.size as usize));
        let Some((head, slot)) = copy.and_then(|copy| copy.split_at_checked(ROW_HEAD as usize))
        else {
            return Verdict::NoRoom;
        };
        let at = head.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        if at == 0 {
            return Verdict::Contended;
        }
        let Some((head, text)) = slot.split_at_checked(t::VALUE as usize) else {
            return Verdict::NoRoom;
        };
        let word = |at: u32| {
            let bytes = head.get(at as usize..).and_then(<[u8]>::first_chunk);
            bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
        };
        let (since, number) = (word(t::SINCE), word(t::NUMBER));
        let at = at.saturating_add(t::VALUE);
        text::decode_bytes(self.capacity, text, at).and_then(|(bytes, cut)| {
            text::decode_utf8(bytes, at).map(|text| TableRow { since, number, text, cut })
        })
    }
}

/// A row of a table in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableRow<'a> {
    since: u64,
    number: u64,
    text: &'a str,
    cut: bool,
}

impl<'a> TableRow<'a> {
    /// The time of the begin in nanoseconds since 1970-01-01 UTC; `None` if it is not known.
    #[must_use]
    pub const fn since(&self) -> Option<u64> {
        if self.since == 0 { None } else { Some(self.since) }
    }

    /// Number of the use in this table, from 1: what began later has a higher one.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The text.
    #[must_use]
    pub const fn text(&self) -> &'a str {
        self.text
    }

    /// Whether the writer cut the text to fit.
    #[must_use]
    pub const fn cut(&self) -> bool {
        self.cut
    }
}

/// Copies the rows in use of the table whose cell is at `cell`; none if the lane has no owner. `out`
/// must have [`Field::buffer_size`] bytes.
pub(super) fn read<'b, S: Source + ?Sized>(
    source: &S,
    field: &Field,
    cell: u32,
    owned: bool,
    out: &'b mut [u8],
) -> Verdict<Table<'b>> {
    if field.storage() != Some(Storage::Table) || field.ty() != Some(DataType::Text) {
        return Verdict::Unknown;
    }
    let Some(out) = out.get_mut(..field.buffer_size()) else { return Verdict::NoRoom };
    let size = field.slot_size().saturating_add(ROW_HEAD);
    let used = if owned { rows_in_use(source, field, cell) } else { 0 };
    let first = cell.saturating_add(t::ROWS);
    let row_size = t::row_size(field.slots(), field.slot_size());
    for (row, copy) in (0..).zip(out.chunks_exact_mut(size as usize)) {
        if used >> row & 1 == 0 {
            continue;
        }
        let Some((head, slot)) = copy.split_first_chunk_mut::<{ ROW_HEAD as usize }>() else {
            continue;
        };
        let mut reader =
            SlotReader::new(source, first.saturating_add(row_size.saturating_mul(row)), slot);
        let number = protocol::read(&mut reader, field.slots());
        let at = number.map_or(0, |n| reader.slot(n & field.slots().wrapping_sub(1)));
        *head = u64::from(at).to_le_bytes();
    }
    // After the rows: what was refused before a row began is counted.
    let refused = source.load64(cell.saturating_add(t::REFUSED));
    Verdict::Consistent(Table { used, refused, copies: out, size, capacity: field.count() })
}

/// A bit for each row in use.
fn rows_in_use<S: Source + ?Sized>(source: &S, field: &Field, cell: u32) -> u64 {
    let word = |at: u32| {
        let offset = cell.saturating_add(t::USED).saturating_add(at);
        u64::from(protocol::load_rows(&SourceWord { source, offset }))
    };
    let high = if field.rows() > u32::BITS { word(4) << u32::BITS } else { 0 };
    // Bits past the last row mean nothing. A table has at least one row.
    (word(0) | high) & u64::MAX >> (u64::BITS - field.rows().clamp(1, u64::BITS))
}
