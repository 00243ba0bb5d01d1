//! What a field shall be, before it has a place.

use core::fmt;

use crate::buckets::{Buckets, HISTOGRAM_SLOT};
use crate::descriptor::RawDescriptor;
use crate::layout::{
    ATOMIC_CELL, CELL_HEAD, MAX_ATTRIBUTES, MAX_CAPACITY, MAX_DETAIL, MAX_ELEMENTS, MAX_HELP,
    MAX_KEY, MAX_LABEL, MAX_SLOT, MAX_SLOT_BITS, MAX_STATE, MAX_UNIT, field_state, round_up,
    string_size,
};
use crate::properties::Properties;
use crate::read::{MAX_STATES, MAX_WINDOWS};
use crate::types::{Aggregation, DataType, Kind, Level, Storage};

/// A constant value.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Constant<'a> {
    /// u32.
    U32(u32),
    /// u64.
    U64(u64),
    /// i64.
    I64(i64),
    /// f64.
    F64(f64),
    /// bool.
    Bool(bool),
    /// Text of at most 1,048,560 bytes.
    Text(&'a str),
    /// Bytes, at most 1,048,560.
    Bytes(&'a [u8]),
}

impl Constant<'_> {
    const fn ty(&self) -> DataType {
        match self {
            Self::U32(_) => DataType::U32,
            Self::U64(_) => DataType::U64,
            Self::I64(_) => DataType::I64,
            Self::F64(_) => DataType::F64,
            Self::Bool(_) => DataType::Bool,
            Self::Text(_) => DataType::Text,
            Self::Bytes(_) => DataType::Bytes,
        }
    }

    /// The value as bytes in the order of the format: a scalar's 8, or text and bytes.
    pub(crate) const fn scalar_bytes(&self) -> Option<[u8; 8]> {
        let bits = match *self {
            Self::U32(v) => v as u64,
            Self::U64(v) => v,
            Self::I64(v) => v.cast_unsigned(),
            Self::F64(v) => v.to_bits(),
            Self::Bool(v) => v as u64,
            Self::Text(_) | Self::Bytes(_) => return None,
        };
        Some(bits.to_le_bytes())
    }

    pub(crate) const fn tail(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
            _ => &[],
        }
    }
}

/// What a field shall be: made by a constructor for its kind, refined by methods.
///
/// ```
/// use mmstats_core::{DataType, FieldSpec};
/// const REQUESTS: FieldSpec<'_> = FieldSpec::counter("requests").help("Requests served.");
/// const LOAD: FieldSpec<'_> = FieldSpec::gauge("load", DataType::F64).unit("ratio");
/// # assert_eq!(REQUESTS.label, "requests");
/// # assert_eq!(LOAD.properties.ty(), Some(DataType::F64));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FieldSpec<'a> {
    /// The name: 1 to 255 bytes.
    pub label: &'a str,
    /// The unit, an OpenMetrics base unit where one fits, or empty: at most 63 bytes.
    pub unit: &'a str,
    /// One or more sentences, or empty: at most 4,096 bytes.
    pub help: &'a str,
    /// Keys and values: at most 4,096 bytes in all.
    pub attributes: &'a [(&'a str, &'a str)],
    /// The names of states, or the windows of a rate in seconds.
    pub details: &'a [&'a str],
    /// Type, kind, aggregation, level, count, flags, parameter and slots.
    pub properties: Properties,
    /// The value, if it never changes.
    pub constant: Option<Constant<'a>>,
}

impl<'a> FieldSpec<'a> {
    /// A field with these properties, and nothing else but a label.
    #[must_use]
    pub const fn new(label: &'a str, properties: Properties) -> Self {
        Self {
            label,
            unit: "",
            help: "",
            attributes: &[],
            details: &[],
            properties,
            constant: None,
        }
    }

    /// A u64 that only grows; summed.
    #[must_use]
    pub const fn counter(label: &'a str) -> Self {
        Self::new(label, Properties::new(DataType::U64, Kind::Counter, Aggregation::Sum))
    }

    /// A scalar that goes up and down; summed. Has no value until one is set.
    #[must_use]
    pub const fn gauge(label: &'a str, ty: DataType) -> Self {
        Self::new(label, Properties::new(ty, Kind::Gauge, Aggregation::Sum).with_optional())
    }

    /// Text of at most `capacity` bytes; shown for each lane.
    #[must_use]
    pub const fn text(label: &'a str, capacity: u32) -> Self {
        let text = Properties::new(DataType::Text, Kind::Gauge, Aggregation::Each);
        Self::new(label, text.with_count(capacity).with_optional())
    }

    /// At most `capacity` bytes; shown for each lane.
    #[must_use]
    pub const fn bytes(label: &'a str, capacity: u32) -> Self {
        let bytes = Properties::new(DataType::Bytes, Kind::Gauge, Aggregation::Each);
        Self::new(label, bytes.with_count(capacity).with_optional())
    }

    /// `count` scalars published together; summed one by one.
    #[must_use]
    pub const fn array(label: &'a str, ty: DataType, count: u32) -> Self {
        let scalars = Properties::new(ty, Kind::Gauge, Aggregation::Sum);
        Self::new(label, scalars.with_array(count).with_optional())
    }

    /// Count, sum, minimum, maximum and last of durations in nanoseconds.
    #[must_use]
    pub const fn timer(label: &'a str) -> Self {
        let timer = Properties::new(DataType::U64, Kind::Timer, Aggregation::Sum);
        Self::new(label, timer.with_array(5)).unit("nanoseconds")
    }

    /// One of the states `names`, by its number: 1 to 1,024 names of 1 to 63 bytes, each once.
    /// Combined by counting the lanes in each state. Has no value until one is set.
    #[must_use]
    pub const fn state(label: &'a str, names: &'a [&'a str]) -> Self {
        let state = Properties::new(DataType::U32, Kind::State, Aggregation::Sum);
        Self::new(label, state.with_optional()).details(names)
    }

    /// How values are distributed.
    #[must_use]
    pub const fn histogram(label: &'a str, buckets: Buckets) -> Self {
        let histogram = Properties::new(DataType::U64, Kind::Histogram, Aggregation::Sum)
            .with_array(buckets.elements())
            .with_param(buckets.param())
            // A reader takes about 100 ns for 300 buckets; a writer that does nothing else
            // makes 30 changes in that time.
            .with_slot_bits(5);
        Self::new(label, histogram)
    }

    /// The mean of all values: an f64 count and an f64 sum.
    #[must_use]
    pub const fn average(label: &'a str) -> Self {
        let average = Properties::new(DataType::F64, Kind::Average, Aggregation::Sum);
        Self::new(label, average.with_array(2))
    }

    /// The mean of the last `values` (1 to 32,766) values, of type u64, i64 or f64.
    #[must_use]
    pub const fn window(label: &'a str, ty: DataType, values: u32) -> Self {
        // Twice the room, so that a reader has time for all of them.
        let slot_bits = ring_for(values.saturating_mul(2));
        let window = Properties::new(ty, Kind::Window, Aggregation::Sum);
        Self::new(label, window.with_param(values).with_slot_bits(slot_bits))
    }

    /// The last `entries` (1 to 65,535; rounded up to a power of 2 less 1) lines of at most
    /// `capacity` bytes, with their times.
    #[must_use]
    pub const fn events(label: &'a str, entries: u32, capacity: u32) -> Self {
        let slot_bits = ring_for(entries.saturating_add(1));
        let events = Properties::new(DataType::Text, Kind::Events, Aggregation::Each);
        Self::new(label, events.with_count(capacity).with_slot_bits(slot_bits))
    }

    /// Checkpoints, at most every `interval` milliseconds, of the u64 counter that is added
    /// just before with [`Writer::add_all`](super::Writer::add_all). `windows` are 1 to 8
    /// numbers of seconds, each at most `entries * interval`; 127 `entries` are kept.
    #[must_use]
    pub const fn rate(label: &'a str, interval: u32, windows: &'a [&'a str]) -> Self {
        let rate = Properties::new(DataType::U64, Kind::Rate, Aggregation::Sum)
            .with_array(2)
            .with_param(interval)
            .with_slot_bits(7);
        Self::new(label, rate).details(windows)
    }

    /// A moment, in nanoseconds since 1970-01-01 UTC; the newest is shown, as an age.
    #[must_use]
    pub const fn timestamp(label: &'a str) -> Self {
        let timestamp = Properties::new(DataType::U64, Kind::Timestamp, Aggregation::Max);
        Self::new(label, timestamp.with_optional())
    }

    /// A value that never changes.
    #[must_use]
    pub const fn info(label: &'a str, value: Constant<'a>) -> Self {
        let mut info = Properties::new(value.ty(), Kind::Info, Aggregation::Each);
        let len = value.tail().len();
        // Longer ones are refused by `check`, which compares with the limit.
        if matches!(value, Constant::Text(_) | Constant::Bytes(_)) {
            #[allow(clippy::cast_possible_truncation)]
            let count = if len > u32::MAX as usize { u32::MAX } else { len as u32 };
            info = info.with_count(if count == 0 { 1 } else { count });
        }
        let mut spec = Self::new(label, info);
        spec.constant = Some(value);
        spec
    }

    const fn details(mut self, details: &'a [&'a str]) -> Self {
        self.details = details;
        self
    }

    /// Sets the unit.
    #[must_use]
    pub const fn unit(mut self, unit: &'a str) -> Self {
        self.unit = unit;
        self
    }

    /// Sets the help text.
    #[must_use]
    pub const fn help(mut self, help: &'a str) -> Self {
        self.help = help;
        self
    }

    /// Sets the attributes.
    #[must_use]
    pub const fn attributes(mut self, attributes: &'a [(&'a str, &'a str)]) -> Self {
        self.attributes = attributes;
        self
    }

    /// Sets the rule for combining lanes and processes.
    #[must_use]
    pub const fn aggregation(mut self, aggregation: Aggregation) -> Self {
        self.properties = self.properties.with_aggregation(aggregation);
        self
    }

    /// Sets the level.
    #[must_use]
    pub const fn level(mut self, level: Level) -> Self {
        self.properties = self.properties.with_level(level);
        self
    }

    /// Sets the kind, for a gauge that describes (`Kind::Info`) or an array of counters.
    #[must_use]
    pub const fn kind(mut self, kind: Kind) -> Self {
        self.properties = self.properties.with_kind(kind);
        self
    }

    /// Checks the rules of the format that need no place.
    ///
    /// # Errors
    ///
    /// The first rule that this specification breaks.
    pub fn check(&self) -> Result<(), SpecError> {
        if self.label.is_empty() || self.label.len() > MAX_LABEL {
            return Err(SpecError::Label { len: self.label.len() });
        }
        if self.unit.len() > MAX_UNIT {
            return Err(SpecError::Unit { len: self.unit.len() });
        }
        if self.help.len() > MAX_HELP {
            return Err(SpecError::Help { len: self.help.len() });
        }
        let len = self.attributes_len();
        if len > MAX_ATTRIBUTES {
            return Err(SpecError::Attributes { len });
        }
        for (index, (key, value)) in self.attributes.iter().enumerate() {
            let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
            let bad = key.is_empty()
                || key.len() > MAX_KEY
                || !key.bytes().all(word)
                || value.contains('\0')
                || self.attributes[..index].iter().any(|(other, _)| other == key);
            if bad {
                return Err(SpecError::Attribute { index });
            }
        }
        let properties = self.properties;
        let (count, array) = (properties.count(), properties.is_array());
        let (Some(ty), Some(kind), Some(_)) = (
            properties.ty(),
            properties.kind(),
            Aggregation::from_code(properties.aggregation_code()),
        ) else {
            return Err(SpecError::UnknownCode);
        };
        let limit = if ty.is_scalar() { MAX_SLOT / ty.size() } else { MAX_CAPACITY };
        let single = ty.is_scalar() && !array;
        if count == 0 || count > limit || (single && count != 1) {
            return Err(SpecError::Count { count, limit: if single { 1 } else { limit } });
        }
        let fits = ty.fits(kind, count, array)
            && kind.stored(self.storage())
            && (self.storage() != Storage::Journal || count <= MAX_ELEMENTS);
        if (array && !ty.is_scalar()) || !fits {
            return Err(SpecError::KindType { kind, ty });
        }
        if self.fits_kind(kind) { Ok(()) } else { Err(SpecError::Param { kind }) }
    }

    /// [`FieldSpec::check`] for a field that is added just after `before`.
    pub(crate) fn check_after(&self, before: Option<&Self>) -> Result<(), SpecError> {
        let counter = before.is_some_and(|spec| {
            let properties = spec.properties;
            properties.is_kind(Kind::Counter)
                && properties.ty() == Some(DataType::U64)
                && !properties.is_array()
        });
        if self.properties.is_kind(Kind::Rate) && !counter {
            return Err(SpecError::Param { kind: Kind::Rate });
        }
        self.check()
    }

    /// Whether parameter, details and ring are as the kind asks.
    fn fits_kind(&self, kind: Kind) -> bool {
        let (param, ring) = (self.properties.param(), self.properties.ring());
        let names = |limit: usize, good: fn(&str) -> bool| {
            let mut rest = self.details;
            (1..=limit).contains(&rest.len())
                && self.details_len() <= MAX_DETAIL
                && self.details.iter().all(|name| {
                    rest = rest.get(1..).unwrap_or(&[]);
                    good(name) && !rest.contains(name)
                })
        };
        let slots = ring.map_or(0, |bits| 1_u32.checked_shl(bits.into()).unwrap_or(0));
        let ring_fits = ring.is_none_or(|bits| (1..=MAX_SLOT_BITS).contains(&bits));
        ring_fits
            && match kind {
                Kind::State => names(MAX_STATES, |name| {
                    !name.is_empty() && name.len() <= MAX_STATE && !name.contains('\0')
                }),
                Kind::Histogram => Buckets::from_param(param, self.properties.count())
                    .is_some_and(|buckets| buckets.are_writable()),
                Kind::Window => param >= 1 && param.saturating_add(2) <= slots,
                Kind::Events => slots >= 2,
                Kind::Rate => {
                    let seconds = |text: &str| {
                        let digits = text.bytes().all(|b| b.is_ascii_digit());
                        digits && (1..=6).contains(&text.len()) && text.bytes().any(|b| b != b'0')
                    };
                    param >= 1 && slots > 2 && names(MAX_WINDOWS, seconds)
                }
                _ => true,
            }
    }

    /// Bytes of the encoded details.
    pub(crate) const fn details_len(&self) -> usize {
        let (mut len, mut rest) = (self.details.len().saturating_sub(1), self.details);
        while let [item, others @ ..] = rest {
            len += item.len();
            rest = others;
        }
        len
    }

    /// Bytes of the encoded attributes.
    pub(crate) const fn attributes_len(&self) -> usize {
        let (mut len, mut rest) = (self.attributes.len().saturating_sub(1), self.attributes);
        while let [(key, value), others @ ..] = rest {
            len += key.len() + value.len() + 1;
            rest = others;
        }
        len
    }

    /// How the value is stored by a writer of this word size.
    #[must_use]
    pub const fn storage(&self) -> Storage {
        if self.constant.is_some() {
            return Storage::Constant;
        }
        let properties = self.properties;
        if properties.is_kind(Kind::Histogram) {
            return Storage::Journal;
        }
        let word = usize::BITS / 8;
        match properties.ty() {
            Some(ty)
                if ty.is_scalar()
                    && ty.size() <= word
                    && !properties.is_array()
                    && properties.ring().is_none() =>
            {
                Storage::Atomic
            }
            _ => Storage::Latched,
        }
    }

    /// Bytes of a slot; a multiple of 8. `self` was checked.
    pub(crate) const fn slot_bytes(&self) -> u32 {
        if matches!(self.storage(), Storage::Journal) {
            return HISTOGRAM_SLOT;
        }
        let Some(size) = self.properties.value_size() else { return u32::MAX };
        let Some(size) = round_up(size, 8) else { return u32::MAX };
        size.saturating_add(self.lead())
    }

    /// Bytes before the value in a slot.
    pub(crate) const fn lead(&self) -> u32 {
        if self.properties.is_kind(Kind::Events) { 8 } else { 0 }
    }

    /// The number of slots as a power of 2.
    pub(crate) const fn slot_bits(&self, slot_size: u32) -> u8 {
        match self.properties.ring() {
            Some(bits) => bits,
            None => slot_bits_for(slot_size),
        }
    }

    /// The descriptor of this field without strings: with a cell of its own at `place`, or as a
    /// member of a group. `self` was checked.
    pub(super) const fn descriptor(&self, place: u32, group: Option<Group>) -> RawDescriptor {
        let (storage, slot_size, member) = match group {
            Some(group) => (Storage::Latched, group.slot_size, group.member),
            None if self.storage().has_slots() => (self.storage(), self.slot_bytes(), self.lead()),
            None => (self.storage(), 0, self.lead()),
        };
        let slot_bits = if storage.has_slots() { self.slot_bits(slot_size) } else { 0 };
        RawDescriptor {
            label: 0,
            unit: 0,
            help: 0,
            attributes: 0,
            properties: self.properties.with_member(group.is_some()).with_slot_bits(slot_bits),
            storage: storage.code(),
            place,
            slot_size,
            member,
            detail: 0,
            state: field_state::LIVE,
            checksum: 0,
        }
    }

    /// Bytes that the field, on its own, takes in each lane. `self` was checked.
    pub(crate) const fn lane_bytes(&self) -> u32 {
        match self.storage() {
            Storage::Constant => 0,
            Storage::Atomic => ATOMIC_CELL,
            Storage::Latched | Storage::Journal => {
                let slot_size = self.slot_bytes();
                let slots = slot_size.saturating_mul(1 << self.slot_bits(slot_size));
                let journal = matches!(self.storage(), Storage::Journal);
                let tail = if journal { self.properties.count().saturating_mul(8) } else { 0 };
                CELL_HEAD.saturating_add(slots).saturating_add(tail)
            }
        }
    }

    /// Most bytes that the field takes in the heap. `self` was checked.
    pub(crate) const fn heap_bytes(&self) -> u32 {
        let mut bytes = string_size(self.label.len())
            + string_size(self.unit.len())
            + string_size(self.help.len())
            + string_size(self.attributes_len())
            + string_size(self.details_len());
        if let Some(value) = &self.constant {
            // Up to 4 bytes bring the value to a multiple of 8.
            bytes += 4 + 8 + value.tail().len().next_multiple_of(8);
        }
        #[allow(clippy::cast_possible_truncation)] // Compared just before.
        if bytes > u32::MAX as usize { u32::MAX } else { bytes as u32 }
    }
}

/// Place of a field in the slot of its group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    /// Size of the slot in bytes.
    pub(super) slot_size: u32,
    /// Offset of the value in the slot.
    pub(super) member: u32,
}

/// Slots of a latched cell as a power of 2: 2 slots up to 32 bytes and 4 above.
const fn slot_bits_for(slot_size: u32) -> u8 {
    if slot_size <= 32 { 1 } else { 2 }
}

/// Bytes of a latched cell that keeps the last value only.
pub(crate) const fn cell_bytes(slot_size: u32) -> u32 {
    CELL_HEAD.saturating_add(slot_size.saturating_mul(1 << slot_bits_for(slot_size)))
}

/// The smallest ring of at least `slots` slots and 4, as a power of 2. `check` refuses one
/// that is too large.
const fn ring_for(slots: u32) -> u8 {
    let bits = u32::BITS - slots.saturating_sub(1).leading_zeros();
    #[allow(clippy::cast_possible_truncation)] // At most 32.
    if bits < 2 { 2 } else { bits as u8 }
}

/// Which rule a [`FieldSpec`] breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpecError {
    /// The label is empty or longer than 255 bytes.
    Label {
        /// Its length in bytes.
        len: usize,
    },
    /// The unit is longer than 63 bytes.
    Unit {
        /// Its length in bytes.
        len: usize,
    },
    /// The help is longer than 4,096 bytes.
    Help {
        /// Its length in bytes.
        len: usize,
    },
    /// The attributes take more than 4,096 bytes.
    Attributes {
        /// Their length in bytes.
        len: usize,
    },
    /// A key is empty, too long, repeated or has a character that keys may not have, or a
    /// value has a zero byte.
    Attribute {
        /// Which attribute, from 0.
        index: usize,
    },
    /// The number of elements, or the capacity, is 0 or too large.
    Count {
        /// The number.
        count: u32,
        /// The largest that is allowed.
        limit: u32,
    },
    /// The data type, kind or aggregation is not one of this version.
    UnknownCode,
    /// The kind does not allow the type.
    KindType {
        /// The kind.
        kind: Kind,
        /// The type.
        ty: DataType,
    },
    /// The names, windows, buckets or number of values are not as the kind asks.
    Param {
        /// The kind.
        kind: Kind,
    },
    /// A group of no fields, of a constant, or larger than a slot can be.
    Group {
        /// Number of members.
        members: usize,
    },
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label { len } => write!(f, "a label has 1 to {MAX_LABEL} bytes, not {len}"),
            Self::Unit { len } => write!(f, "a unit has at most {MAX_UNIT} bytes, not {len}"),
            Self::Help { len } => write!(f, "a help text has at most {MAX_HELP} bytes, not {len}"),
            Self::Attributes { len } => {
                write!(f, "attributes take at most {MAX_ATTRIBUTES} bytes, not {len}")
            }
            Self::Attribute { index } => {
                write!(
                    f,
                    "attribute {index}: a key is 1 to {MAX_KEY} of A-Z a-z 0-9 _ . - and unique, a value has no zero byte"
                )
            }
            Self::Count { count, limit } => {
                write!(f, "a count of 1 to {limit} is possible here, not {count}")
            }
            Self::UnknownCode => f.write_str("an unknown data type, kind or aggregation"),
            Self::KindType { kind, ty } => write!(f, "a {kind} cannot be of type {ty}"),
            Self::Param { kind } => f.write_str(match kind {
                Kind::State => {
                    "a state set has 1 to 1024 different names of 1 to 63 bytes, 4096 in all"
                }
                Kind::Histogram => "a histogram has buckets of scale -4 to 6",
                Kind::Window => "a window has 1 to 32767 values",
                Kind::Events => "a ring has 1 to 65535 events",
                Kind::Rate => {
                    "a rate follows a u64 counter, has an interval, and windows of 1 to 999999 s"
                }
                _ => "a parameter that the kind does not have",
            }),
            Self::Group { members } => {
                write!(
                    f,
                    "a group of {members} fields is empty, too large or has a constant or a ring"
                )
            }
        }
    }
}

impl core::error::Error for SpecError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_is_checked() {
        let long = std::string::String::from_utf8(std::vec![b'x'; 5000]).unwrap();
        let ok = FieldSpec::counter("a");
        assert_eq!(ok.check(), Ok(()));
        assert_eq!(FieldSpec::counter("").check(), Err(SpecError::Label { len: 0 }));
        assert_eq!(FieldSpec::counter(&long[..256]).check(), Err(SpecError::Label { len: 256 }));
        assert_eq!(ok.unit(&long[..64]).check(), Err(SpecError::Unit { len: 64 }));
        assert_eq!(ok.help(&long[..4097]).check(), Err(SpecError::Help { len: 4097 }));
        assert_eq!(ok.help(&long[..4096]).check(), Ok(()));
        for bad in [("", "v"), ("a=b", "v"), ("a", "nul\0")] {
            assert_eq!(ok.attributes(&[bad]).check(), Err(SpecError::Attribute { index: 0 }));
        }
        let twice = [("a", "1"), ("a", "2")];
        assert_eq!(ok.attributes(&twice).check(), Err(SpecError::Attribute { index: 1 }));
        let text = FieldSpec::text("t", 0);
        assert_eq!(text.check(), Err(SpecError::Count { count: 0, limit: MAX_CAPACITY }));
        assert!(FieldSpec::text("t", MAX_CAPACITY + 1).check().is_err());
        assert!(FieldSpec::array("t", DataType::U64, MAX_SLOT / 8 + 1).check().is_err());
        assert!(FieldSpec::array("t", DataType::Text, 2).check().is_err());
        assert!(FieldSpec::gauge("t", DataType::I64).kind(Kind::Counter).check().is_err());
        assert_eq!(FieldSpec::timer("t").check(), Ok(()));
    }

    #[test]
    fn sizes() {
        assert_eq!(FieldSpec::timer("t").lane_bytes(), 8 + 4 * 40);
        assert_eq!(FieldSpec::text("t", 20).lane_bytes(), 8 + 2 * 32);
        assert_eq!(FieldSpec::text("t", 25).lane_bytes(), 8 + 4 * 40);
        assert_eq!(FieldSpec::gauge("t", DataType::U8).lane_bytes(), 8);
        let info = FieldSpec::info("sys.pid", Constant::U32(7));
        assert_eq!((info.lane_bytes(), info.heap_bytes()), (0, 12 + 12));
    }
}
