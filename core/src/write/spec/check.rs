//! The rules of the format that do not depend on the place of a field: FORMAT.md section 4.

use core::fmt;

use super::FieldSpec;
use crate::buckets::Buckets;
use crate::layout::{
    MAX_ATTRIBUTES, MAX_CAPACITY, MAX_DETAIL, MAX_ELEMENTS, MAX_HELP, MAX_KEY, MAX_LABEL, MAX_ROWS,
    MAX_SLOT, MAX_SLOT_BITS, MAX_STATE, MAX_STATES, MAX_UNIT, MAX_WINDOWS, is_key_byte, is_window,
};
use crate::types::{Aggregation, DataType, Kind, Storage};

impl FieldSpec<'_> {
    /// Checks the rules of the format that do not depend on the place of the field.
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
            let bad = key.is_empty()
                || key.len() > MAX_KEY
                || !key.bytes().all(is_key_byte)
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
        let fits = kind.allows_type(ty, count, array)
            && kind.allows_storage(self.storage())
            && (self.storage() != Storage::Journal || count <= MAX_ELEMENTS);
        if (array && !ty.is_scalar()) || !fits {
            return Err(SpecError::KindType { kind, ty });
        }
        if self.fits_kind(kind) { Ok(()) } else { Err(SpecError::Param { kind }) }
    }

    /// [`FieldSpec::check`] of a field that is added just after `before`.
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

    /// Whether parameter, details and number of slots fit the kind.
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
                Kind::Activity => (1..=MAX_ROWS).contains(&param),
                Kind::Rate => {
                    let windows = |text: &str| is_window(text.as_bytes());
                    param >= 1 && slots > 2 && names(MAX_WINDOWS, windows)
                }
                _ => true,
            }
    }
}

/// Rule that a [`FieldSpec`] breaks.
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
        /// Number of the attribute, from 0.
        index: usize,
    },
    /// The number of elements, or the capacity, is 0 or too large.
    Count {
        /// The number.
        count: u32,
        /// The largest allowed number.
        limit: u32,
    },
    /// The code of data type, kind or aggregation is unknown.
    UnknownCode,
    /// The kind does not allow the type.
    KindType {
        /// The kind.
        kind: Kind,
        /// The type.
        ty: DataType,
    },
    /// Names, windows, buckets or number of values do not fit the kind.
    Param {
        /// The kind.
        kind: Kind,
    },
    /// A group is empty, larger than a slot, or has a constant or a ring.
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
                Kind::Activity => "an activity has 1 to 64 rows",
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
