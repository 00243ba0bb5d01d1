//! The numbers that describe a field: FORMAT.md section 4, without strings and places.

use crate::layout::{MAX_SLOT_BITS, flags};
use crate::types::{Aggregation, DataType, Kind, Level};

/// Data type, kind, aggregation, level, count, flags, parameter and slots of a field.
///
/// [`FieldSpec`](crate::FieldSpec), [`RawDescriptor`](crate::RawDescriptor) and
/// [`Field`](crate::read::Field) carry this one value. It holds the codes of the format, so that
/// codes of later versions survive; the accessors decode them. It has no strings, storage class and
/// places.
///
/// ```
/// use mmstats_core::{Aggregation, DataType, Kind, Properties};
///
/// const PEAKS: Properties =
///     Properties::new(DataType::F64, Kind::Gauge, Aggregation::Max).with_array(4);
/// assert_eq!((PEAKS.ty(), PEAKS.count()), (Some(DataType::F64), 4));
/// assert_eq!(PEAKS.value_size(), Some(32));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Properties {
    ty: u8,
    kind: u8,
    aggregation: u8,
    level: u8,
    slot_bits: u8,
    flags: u16,
    count: u32,
    param: u32,
}

impl Properties {
    /// One value that is always there, at level [`Level::Info`].
    #[must_use]
    pub const fn new(ty: DataType, kind: Kind, aggregation: Aggregation) -> Self {
        Self {
            ty: ty.code(),
            kind: kind.code(),
            aggregation: aggregation.code(),
            level: Level::Info.code(),
            slot_bits: 0,
            flags: 0,
            count: 1,
            param: 0,
        }
    }

    /// [`Properties::new`] without a kind, for formats that have none: the code is 0.
    #[must_use]
    pub const fn without_kind(ty: DataType, aggregation: Aggregation) -> Self {
        Self { kind: 0, ..Self::new(ty, Kind::Gauge, aggregation) }
    }

    /// Decodes the words of a descriptor at `TYPE`, `COUNT`, `SLOT_BITS` and `PARAM`; the
    /// storage class in the first one is left out.
    #[inline(always)]
    pub(crate) const fn from_words(ty: u32, count: u32, slots: u32, param: u32) -> Self {
        let [ty, kind, aggregation, _] = ty.to_le_bytes();
        let [slot_bits, level, low, high] = slots.to_le_bytes();
        let flags = u16::from_le_bytes([low, high]);
        Self { ty, kind, aggregation, level, slot_bits, flags, count, param }
    }

    /// The word of a descriptor at `TYPE`.
    pub(crate) const fn type_word(self, storage: u8) -> u32 {
        u32::from_le_bytes([self.ty, self.kind, self.aggregation, storage])
    }

    /// The word of a descriptor at `SLOT_BITS`.
    pub(crate) const fn slots_word(self) -> u32 {
        let [low, high] = self.flags.to_le_bytes();
        u32::from_le_bytes([self.slot_bits, self.level, low, high])
    }

    /// All codes as four numbers, from which [`from_codes`](Self::from_codes) makes the same properties.
    #[must_use]
    pub const fn codes(self) -> [u32; 4] {
        [self.type_word(0), self.count, self.slots_word(), self.param]
    }

    /// The properties with these [`codes`](Self::codes); any numbers will do.
    #[must_use]
    pub const fn from_codes([ty, count, slots, param]: [u32; 4]) -> Self {
        Self::from_words(ty, count, slots, param)
    }

    /// Data type of the value or of its elements; `None` if the code is unknown.
    #[inline]
    #[must_use]
    pub const fn ty(self) -> Option<DataType> {
        DataType::from_code(self.ty)
    }

    /// Code of the data type.
    #[inline]
    #[must_use]
    pub const fn ty_code(self) -> u8 {
        self.ty
    }

    /// Meaning of the value; `None` if the code is unknown.
    #[inline]
    #[must_use]
    pub const fn kind(self) -> Option<Kind> {
        Kind::from_code(self.kind)
    }

    /// Code of the kind.
    #[inline]
    #[must_use]
    pub const fn kind_code(self) -> u8 {
        self.kind
    }

    /// Whether the kind is `kind`: [`Properties::kind`] for constant expressions.
    #[inline]
    #[must_use]
    pub const fn is_kind(self, kind: Kind) -> bool {
        self.kind == kind.code()
    }

    /// Rule for combining values; [`Aggregation::Each`] if the code is unknown.
    #[inline]
    #[must_use]
    pub const fn aggregation(self) -> Aggregation {
        match Aggregation::from_code(self.aggregation) {
            Some(rule) => rule,
            None => Aggregation::Each,
        }
    }

    /// Code of the rule for combining values.
    #[inline]
    #[must_use]
    pub const fn aggregation_code(self) -> u8 {
        self.aggregation
    }

    /// Level of detail; [`Level::Debug`] if the code is unknown.
    #[inline]
    #[must_use]
    pub const fn level(self) -> Level {
        Level::from_code(self.level)
    }

    /// Number of elements, or capacity of text and bytes in bytes; 1 for a scalar.
    #[inline]
    #[must_use]
    pub const fn count(self) -> u32 {
        self.count
    }

    /// Parameter of the kind; 0 if the kind has none.
    #[inline]
    #[must_use]
    pub const fn param(self) -> u32 {
        self.param
    }

    /// Bits of [`layout::flags`](crate::layout::flags).
    #[inline]
    #[must_use]
    pub const fn flags(self) -> u16 {
        self.flags
    }

    #[inline]
    const fn has(self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// Whether the value is an array of scalars.
    #[inline]
    #[must_use]
    pub const fn is_array(self) -> bool {
        self.has(flags::ARRAY)
    }

    /// Whether a lane may have no value.
    #[inline]
    #[must_use]
    pub const fn is_optional(self) -> bool {
        self.has(flags::OPTIONAL)
    }

    /// Whether the field is published together with others.
    #[inline]
    #[must_use]
    pub const fn is_member(self) -> bool {
        self.has(flags::MEMBER)
    }

    /// Number of slots as a power of 2; 0 if there are none, or if the writer is to choose.
    #[inline]
    #[must_use]
    pub const fn slot_bits(self) -> u8 {
        self.slot_bits
    }

    /// Number of slots; 0 if there are none, or more than the format allows.
    #[inline]
    #[must_use]
    pub const fn slots(self) -> u32 {
        if self.slot_bits == 0 || self.slot_bits > MAX_SLOT_BITS { 0 } else { 1 << self.slot_bits }
    }

    /// [`Properties::slot_bits`] of a kind that keeps more than the last value: histogram,
    /// events, window, rate. `None` for other kinds, whose writer chooses the number of slots.
    #[inline]
    #[must_use]
    pub const fn ring(self) -> Option<u8> {
        match self.kind() {
            Some(Kind::Histogram | Kind::Events | Kind::Window | Kind::Rate)
                if self.slot_bits != 0 =>
            {
                Some(self.slot_bits)
            }
            _ => None,
        }
    }

    /// Size of a value in bytes, with the length words of text and bytes, without padding.
    /// `None` if the type is unknown or the size has more than 32 bits.
    #[inline]
    #[must_use]
    pub const fn value_size(self) -> Option<u32> {
        match self.ty() {
            Some(ty) => ty.value_size(self.count),
            None => None,
        }
    }

    /// The properties that decide what the bytes of a value mean: type, kind, count, flags and
    /// parameter. Fields that are equal in these can take over each other's values.
    #[inline]
    #[must_use]
    pub const fn value_properties(self) -> Self {
        Self { aggregation: 0, level: 0, slot_bits: 0, ..self }
    }

    /// The properties that a program declares: without the flag of group members, unknown flags,
    /// and slots that the writer chose.
    #[inline]
    #[must_use]
    pub const fn declared(self) -> Self {
        let slot_bits = match self.ring() {
            Some(bits) => bits,
            None => 0,
        };
        self.with_member(false).with_slot_bits(slot_bits)
    }

    /// Whether a value counts what was done, so that it outlives its writer: of counters, timers,
    /// histograms and averages, unless lanes are shown one by one. Of a counter the rule is sum,
    /// min or max.
    #[must_use]
    pub const fn is_cumulative(self) -> bool {
        match self.kind() {
            Some(Kind::Counter) => {
                matches!(self.aggregation(), Aggregation::Sum | Aggregation::Min | Aggregation::Max)
            }
            Some(Kind::Timer | Kind::Histogram | Kind::Average) => {
                !matches!(self.aggregation(), Aggregation::Each)
            }
            _ => false,
        }
    }

    /// The properties that decide which values combine, of a field on its own: without OPTIONAL,
    /// MEMBER, level and slots.
    #[must_use]
    pub const fn combined_properties(self) -> Self {
        let flags = self.flags & flags::ARRAY;
        Self { level: 0, slot_bits: 0, flags, ..self }
    }

    /// With another kind.
    #[inline]
    #[must_use]
    pub const fn with_kind(self, kind: Kind) -> Self {
        Self { kind: kind.code(), ..self }
    }

    /// With another rule for combining values.
    #[inline]
    #[must_use]
    pub const fn with_aggregation(self, aggregation: Aggregation) -> Self {
        Self { aggregation: aggregation.code(), ..self }
    }

    /// With another level.
    #[inline]
    #[must_use]
    pub const fn with_level(self, level: Level) -> Self {
        Self { level: level.code(), ..self }
    }

    /// With another count.
    #[inline]
    #[must_use]
    pub const fn with_count(self, count: u32) -> Self {
        Self { count, ..self }
    }

    /// As an array of `count` elements.
    #[inline]
    #[must_use]
    pub const fn with_array(self, count: u32) -> Self {
        Self { flags: self.flags | flags::ARRAY, count, ..self }
    }

    /// As a value that may be missing.
    #[inline]
    #[must_use]
    pub const fn with_optional(self) -> Self {
        Self { flags: self.flags | flags::OPTIONAL, ..self }
    }

    /// With another parameter.
    #[inline]
    #[must_use]
    pub const fn with_param(self, param: u32) -> Self {
        Self { param, ..self }
    }

    /// With another number of slots, as a power of 2. A writer looks at it for histograms, events,
    /// windows and rates only.
    #[inline]
    #[must_use]
    pub const fn with_slot_bits(self, slot_bits: u8) -> Self {
        Self { slot_bits, ..self }
    }

    /// As a writer stores them: as a member of a group or not, without unknown flags.
    pub(crate) const fn with_member(self, member: bool) -> Self {
        let flags = self.flags & (flags::OPTIONAL | flags::ARRAY);
        Self { flags: flags | if member { flags::MEMBER } else { 0 }, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_unknown_codes_survive() {
        let (ty, slots) = (u32::from_le_bytes([99, 98, 97, 0]), 0x8007_6011);
        let read = Properties::from_words(ty, 5, slots, 6);
        assert_eq!(
            (read.ty(), read.kind(), read.ty_code(), read.kind_code()),
            (None, None, 99, 98)
        );
        assert_eq!((read.aggregation(), read.aggregation_code()), (Aggregation::Each, 97));
        assert_eq!(read.level(), Level::Debug);
        assert!(read.is_array() && read.is_optional() && read.is_member());
        assert_eq!((read.type_word(7), read.slots_word()), (ty | 7 << 24, slots));
        assert_eq!((read.count(), read.param(), read.value_size()), (5, 6, None));
    }

    #[test]
    fn slots_power_of_two_up_to_limit() {
        for (slot_bits, slots) in [(0, 0), (1, 2), (2, 4), (16, 65_536), (17, 0), (255, 0)] {
            let properties = Properties::default().with_slot_bits(slot_bits);
            assert_eq!(properties.slots(), slots, "{slot_bits}");
        }
    }

    #[test]
    fn ring_only_of_kinds_that_keep_values() {
        for &kind in Kind::ALL {
            let properties = Properties::new(DataType::U64, kind, Aggregation::Sum);
            assert_eq!(properties.ring(), None, "{kind}");
            let keeps = matches!(kind, Kind::Histogram | Kind::Events | Kind::Window | Kind::Rate);
            assert_eq!(properties.with_slot_bits(3).ring(), keeps.then_some(3), "{kind}");
        }
    }
}
