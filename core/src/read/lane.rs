//! Values of one lane: FORMAT.md sections 6 and 7, PROTOCOL.md section 2.

use super::cell::{SlotReader, copy_value};
use super::decode::{decode_slot, decode_value, no_state};
use super::error::ValueError;
use super::field::Field;
use super::header::Header;
use super::journal::{self, Histogram, Journal};
use super::scalar::{Scalar, narrow, scalar, wide};
use super::table::{self, Table};
use super::value::{Reading, Value, WindowSum};
use super::verdict::Verdict;
use crate::layout::{header as h, lane, lane_state};
use crate::protocol;
use crate::region::{Source, SourceWord};
use crate::types::{Kind, Storage};

/// State of a claimed lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LaneState {
    /// A writer owns it, or died owning it.
    Owned,
    /// Handed back by its writer.
    HandedBack,
}

/// A claimed lane.
///
/// Methods take the image, not a copy of its metadata, and a field of the same image. They do not
/// check [`Field::retired`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lane {
    index: u32,
    base: u32,
    state: LaneState,
}

impl Lane {
    /// Opens lane `index`; absent if it was never claimed. Optional values read through the result
    /// belong to the owner at the time of this call or to a later one.
    #[inline]
    pub fn open<S: Source + ?Sized>(source: &S, header: &Header, index: u32) -> Verdict<Self> {
        let lanes_used = SourceWord { source, offset: h::LANES_USED };
        if index >= header.lane_capacity() || index >= protocol::load_lanes_used(&lanes_used) {
            return Verdict::Absent;
        }
        // No overflow: the last lane ends at or before `file_size`.
        let base = index.saturating_mul(header.lane_stride()).saturating_add(header.lanes_offset());
        let offset = base.saturating_add(lane::STATE);
        let state = match protocol::load_lane_state(&SourceWord { source, offset }) {
            lane_state::UNUSED => return Verdict::Absent,
            lane_state::OWNED => LaneState::Owned,
            lane_state::FREE => LaneState::HandedBack,
            found => return Verdict::Damaged(ValueError::LaneState { offset, found }),
        };
        Verdict::Consistent(Self { index, base, state })
    }

    /// Number of the lane.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// Offset of the lane in the image.
    #[must_use]
    pub const fn offset(&self) -> u32 {
        self.base
    }

    /// State at the time of [`Lane::open`].
    #[must_use]
    pub const fn state(&self) -> LaneState {
        self.state
    }

    /// Number of times that the lane was claimed.
    pub fn owners<S: Source + ?Sized>(&self, source: &S) -> u32 {
        source.load32(self.base.saturating_add(lane::OWNERS))
    }

    /// Number of samples of the lane's owners that were not recorded: not finite, negative where
    /// the field has none, or too large to be added. `None` on a machine that has no load of 8
    /// bytes.
    pub fn samples_refused<S: Source + ?Sized>(&self, source: &S) -> Option<u64> {
        source.load64(self.base.saturating_add(lane::SAMPLES_REFUSED))
    }

    /// Whether the lane has a value of `field`. Values loaded after this call are at least as new.
    #[inline]
    pub fn has<S: Source + ?Sized>(&self, source: &S, field: &Field) -> bool {
        if !field.properties().is_optional() {
            return true;
        }
        self.presence(source, field.index()) >> (field.index() % 32) & 1 != 0
    }

    /// The word of presence bits that field `index` belongs to; its bit is `index % 32`. `index`
    /// must be below the image's capacity. Values loaded after this call are at least as new.
    #[inline]
    pub fn presence<S: Source + ?Sized>(&self, source: &S, index: u32) -> u32 {
        let word = (index / 32).saturating_mul(4).saturating_add(lane::PRESENCE);
        let offset = self.base.saturating_add(word);
        protocol::load_presence(&SourceWord { source, offset })
    }

    /// The value of an atomic field; `Unknown` for other fields.
    #[inline]
    pub fn scalar<S: Source + ?Sized>(&self, source: &S, field: &Field) -> Verdict<Scalar> {
        let (Some(ty), Some(Storage::Atomic)) = (field.ty(), field.storage()) else {
            return Verdict::Unknown;
        };
        if !self.has(source, field) {
            return Verdict::Absent;
        }
        let offset = self.base.saturating_add(field.place());
        let scalar = if ty.size() == 8 {
            let Some(word) = source.load64(offset) else { return Verdict::Contended };
            wide(ty, word).ok_or(0)
        } else {
            let word = source.load32(offset);
            narrow(ty, word).ok_or(word)
        };
        match scalar {
            Ok(Scalar::U64(found)) if no_state(field, found) => {
                // State sets have at most 32 bits.
                let found = u32::try_from(found).unwrap_or(u32::MAX);
                Verdict::Damaged(ValueError::Range { offset, found, ty })
            }
            Ok(scalar) => Verdict::Consistent(scalar),
            Err(found) => Verdict::Damaged(ValueError::Range { offset, found, ty }),
        }
    }

    /// The value of a field of any storage. `out` must have [`Field::buffer_size`] bytes;
    /// an atomic field needs none.
    #[inline]
    pub fn read<'b, S: Source + ?Sized>(
        &self,
        source: &S,
        field: &Field,
        out: &'b mut [u8],
    ) -> Reading<'b> {
        match field.storage() {
            Some(Storage::Atomic) => self.scalar(source, field).map(Value::from),
            Some(Storage::Latched) if field.kind() == Some(Kind::Window) => {
                self.window(source, field, out)
            }
            Some(Storage::Latched) => self.latched(source, field, out),
            Some(Storage::Constant) => constant(source, field, out),
            Some(Storage::Journal) => {
                let journal = self.read_journal(source, field, out);
                journal.map(|journal| match journal::histogram(field, journal) {
                    Verdict::Consistent(histogram) => Value::Histogram(histogram),
                    _ => Value::Array(journal.elements()),
                })
            }
            Some(Storage::Table) => self.read_table(source, field, out).map(Value::Table),
            None => Verdict::Unknown,
        }
    }

    /// The rows of a table that are in use now; `Unknown` for other fields. A lane that was handed
    /// back has none. `out` must have [`Field::buffer_size`] bytes.
    pub fn read_table<'b, S: Source + ?Sized>(
        &self,
        source: &S,
        field: &Field,
        out: &'b mut [u8],
    ) -> Verdict<Table<'b>> {
        let owned = self.state == LaneState::Owned;
        table::read(source, field, self.base.saturating_add(field.place()), owned, out)
    }

    /// The sum of the newest values of a window, all from one moment.
    fn window<'b, S: Source + ?Sized>(
        &self,
        source: &S,
        field: &Field,
        out: &mut [u8],
    ) -> Reading<'b> {
        let Some(ty) = field.ty() else { return Verdict::Unknown };
        if !self.has(source, field) {
            return Verdict::Absent;
        }
        for _ in 0..protocol::ATTEMPTS {
            let newest = self.newest(source, field);
            let count = newest.min(field.properties().param());
            if count == 0 {
                return Verdict::Absent;
            }
            let mut sum = WindowSum::default();
            // From the oldest to the newest.
            for back in (0..count).rev() {
                let slot = self.read_number(source, field, newest.wrapping_sub(back), out);
                match slot.and_then(|slot| {
                    scalar(ty, slot.bytes()).map_or(Verdict::NoRoom, Verdict::Consistent)
                }) {
                    Verdict::Consistent(value) => sum.add(value),
                    // The writer has overwritten this slot: try again.
                    Verdict::Absent => break,
                    other => return other.and_then(|_| Verdict::NoRoom),
                }
            }
            if sum.count() == count {
                return Verdict::Consistent(Value::Window(sum));
            }
        }
        Verdict::Contended
    }

    fn latched<'b, S: Source + ?Sized>(
        &self,
        source: &S,
        field: &Field,
        out: &'b mut [u8],
    ) -> Reading<'b> {
        let Some(ty) = field.ty() else { return Verdict::Unknown };
        let Some(out) = out.get_mut(..field.buffer_size()) else { return Verdict::NoRoom };
        if !self.has(source, field) {
            return Verdict::Absent;
        }
        let capacity = if ty.is_scalar() { None } else { Some(field.count()) };
        match self.load(source, field, field.member(), capacity, out) {
            Some((_, at)) => decode_value(field, out, at.saturating_add(field.member())),
            None => Verdict::Contended,
        }
    }

    /// A whole slot of the cell of a latched field: the values of all members of its group,
    /// published together. `out` must have [`Field::slot_size`] bytes.
    ///
    /// The verdict is absent if `field` itself has no value. If other members are optional, call
    /// [`Lane::has`] for each of them before this call.
    pub fn read_slot<'b, S: Source + ?Sized>(
        &self,
        source: &S,
        field: &Field,
        out: &'b mut [u8],
    ) -> Verdict<Slot<'b>> {
        if field.storage() != Some(Storage::Latched) {
            return Verdict::Unknown;
        }
        let Some(out) = out.get_mut(..field.slot_size() as usize) else { return Verdict::NoRoom };
        if !self.has(source, field) {
            return Verdict::Absent;
        }
        match self.load(source, field, 0, None, out) {
            Some((number, at)) => Verdict::Consistent(Slot { bytes: out, at, number }),
            None => Verdict::Contended,
        }
    }

    /// Elements and slot of a journal, from one moment. `Unknown` for other fields. `out` must have
    /// [`Field::buffer_size`] bytes.
    pub fn read_journal<'b, S: Source + ?Sized>(
        &self,
        source: &S,
        field: &Field,
        out: &'b mut [u8],
    ) -> Verdict<Journal<'b>> {
        journal::read(source, field, self.base.saturating_add(field.place()), out)
    }

    /// A histogram. `Unknown` for other fields. `out` must have [`Field::buffer_size`] bytes.
    pub fn read_histogram<'b, S: Source + ?Sized>(
        &self,
        source: &S,
        field: &Field,
        out: &'b mut [u8],
    ) -> Verdict<Histogram<'b>> {
        self.read_journal(source, field, out).and_then(|journal| journal::histogram(field, journal))
    }

    /// Number of the newest value of a latched field, modulo 2^32; 0 if there is none. Values
    /// loaded after this call are at least as new.
    pub fn newest<S: Source + ?Sized>(&self, source: &S, field: &Field) -> u32 {
        if field.storage() != Some(Storage::Latched) {
            return 0;
        }
        let cell = self.base.saturating_add(field.place());
        let slot_size = field.slot_size();
        let out = &mut [];
        protocol::newest(&mut SlotReader::with_size(source, cell, slot_size, out))
    }

    /// The slot of value number `number` of a latched field, which must not be newer than a result
    /// of [`Lane::newest`]. `out` must have [`Field::slot_size`] bytes.
    ///
    /// The verdict is absent if a newer value has overwritten the slot, or `number` is 0: the last
    /// [`Field::slots`] minus 1 values can be read.
    pub fn read_number<'b, S: Source + ?Sized>(
        &self,
        source: &S,
        field: &Field,
        number: u32,
        out: &'b mut [u8],
    ) -> Verdict<Slot<'b>> {
        if field.storage() != Some(Storage::Latched) {
            return Verdict::Unknown;
        }
        let slot_size = field.slot_size();
        let Some(out) = out.get_mut(..slot_size as usize) else { return Verdict::NoRoom };
        let cell = self.base.saturating_add(field.place());
        let mut reader = SlotReader::with_size(source, cell, slot_size, out);
        if number == 0 || !protocol::read_number(&mut reader, field.slots(), number) {
            return Verdict::Absent;
        }
        let at = reader.slot(number & field.slots().wrapping_sub(1));
        Verdict::Consistent(Slot { bytes: out, at, number })
    }

    /// Runs the protocol. Returns the number of the value and the offset of its slot.
    #[inline]
    fn load<S: Source + ?Sized>(
        &self,
        source: &S,
        field: &Field,
        from: u32,
        capacity: Option<u32>,
        out: &mut [u8],
    ) -> Option<(u32, u32)> {
        let cell = self.base.saturating_add(field.place());
        let slot_size = field.slot_size();
        let mut reader = SlotReader::of_part(source, cell, slot_size, from, capacity, out);
        let number = protocol::read(&mut reader, field.slots())?;
        Some((number, reader.slot(number & field.slots().wrapping_sub(1))))
    }
}

/// Copy of a whole slot of a latched cell, consistent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot<'a> {
    bytes: &'a [u8],
    at: u32,
    number: u32,
}

impl<'a> Slot<'a> {
    /// The bytes of the slot.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Offset of the slot in the image.
    #[must_use]
    pub const fn offset(&self) -> u32 {
        self.at
    }

    /// Number of the publish, modulo 2^32; 0 if nothing was published yet.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// The value of one member of the group.
    #[must_use]
    pub fn value(&self, field: &Field) -> Reading<'a> {
        decode_slot(field, self.bytes, self.at)
    }
}

/// The value of a constant field, which lies outside of the lanes. `out` must have
/// [`Field::buffer_size`] bytes. `source` may be a copy of the metadata.
pub fn constant<'b, S: Source + ?Sized>(
    source: &S,
    field: &Field,
    out: &'b mut [u8],
) -> Reading<'b> {
    let (Some(ty), Some(Storage::Constant)) = (field.ty(), field.storage()) else {
        return Verdict::Unknown;
    };
    let Some(out) = out.get_mut(..field.buffer_size()) else { return Verdict::NoRoom };
    let capacity = if ty.is_scalar() { None } else { Some(field.count()) };
    copy_value(source, field.place(), capacity, out);
    decode_value(field, out, field.place())
}
