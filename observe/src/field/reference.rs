//! A field's description, whatever format its file has.

use std::fmt;

use mmstats_core::read::{Attributes, Field, HeapStr, parse_attributes};
use mmstats_core::{Aggregation, DataType, Kind, Level, Storage};

use super::heap::Heap;
use crate::problem::Damage;

/// A field of a file: its description, borrowed from the file without a copy.
#[derive(Debug, Clone, Copy)]
pub struct FieldRef<'a> {
    index: u32,
    inner: Inner<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Inner<'a> {
    Image { field: &'a Field, heap: &'a Heap, retired: bool },
    Legacy { label: &'a str, ty: DataType, count: u32, aggregation: Aggregation },
    Damaged(Damage),
}

impl<'a> FieldRef<'a> {
    /// A field of format 3.
    pub(crate) const fn from_image(
        index: u32,
        field: &'a Field,
        heap: &'a Heap,
        retired: bool,
    ) -> Self {
        Self { index, inner: Inner::Image { field, heap, retired } }
    }

    /// A field of format 1.
    pub(crate) const fn from_legacy(
        index: u32,
        label: &'a str,
        ty: DataType,
        count: u32,
        aggregation: Aggregation,
    ) -> Self {
        Self { index, inner: Inner::Legacy { label, ty, count, aggregation } }
    }

    /// A field whose description breaks a rule.
    pub(crate) const fn damaged(index: u32, damage: Damage) -> Self {
        Self { index, inner: Inner::Damaged(damage) }
    }

    fn string(&self, which: impl FnOnce(&Field) -> HeapStr) -> &'a str {
        match self.inner {
            Inner::Image { field, heap, .. } => heap.string(which(field)),
            Inner::Legacy { .. } | Inner::Damaged(_) => "",
        }
    }

    const fn field(&self) -> Option<&'a Field> {
        match self.inner {
            Inner::Image { field, .. } => Some(field),
            Inner::Legacy { .. } | Inner::Damaged(_) => None,
        }
    }

    /// Its number in the file.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index as usize
    }

    /// The label: 1 to 255 bytes, anything but control over what a terminal does with it;
    /// escape it. Empty if the field is damaged.
    #[must_use]
    pub fn label(&self) -> &'a str {
        match self.inner {
            Inner::Legacy { label, .. } => label,
            _ => self.string(Field::label),
        }
    }

    /// The unit; empty if there is none.
    #[must_use]
    pub fn unit(&self) -> &'a str {
        self.string(Field::unit)
    }

    /// The help text; empty if there is none.
    #[must_use]
    pub fn help(&self) -> &'a str {
        self.string(Field::help)
    }

    /// Keys and values.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        parse_attributes(self.attributes_text())
    }

    /// The attributes as they are in the file: `key=value` items with a zero byte between.
    #[must_use]
    pub fn attributes_text(&self) -> &'a str {
        self.string(Field::attributes)
    }

    /// Type of the value or of its elements; `None` if it is not known or damaged.
    #[must_use]
    pub const fn ty(&self) -> Option<DataType> {
        match self.inner {
            Inner::Image { field, .. } => field.ty(),
            Inner::Legacy { ty, .. } => Some(ty),
            Inner::Damaged(_) => None,
        }
    }

    /// Type and number of elements, to be shown.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        match self.inner {
            Inner::Image { field, .. } => match field.ty() {
                None => Shape::Unknown(field.raw().properties.ty_code()),
                Some(ty) if field.is_array() => Shape::Array(ty, field.count()),
                Some(ty) => Shape::One(ty),
            },
            Inner::Legacy { ty, .. } => Shape::One(ty),
            Inner::Damaged(_) => Shape::Damaged,
        }
    }

    /// What the value means; `None` if it is damaged or not known. Format 1 does not say.
    #[must_use]
    pub const fn kind(&self) -> Option<Kind> {
        match self.inner {
            Inner::Image { field, .. } => field.kind(),
            Inner::Legacy { .. } | Inner::Damaged(_) => None,
        }
    }

    /// The name of the kind; besides those of the format `untyped` (format 1: take it for
    /// a gauge), `unknown` and `damaged`.
    #[must_use]
    pub const fn kind_name(&self) -> &'static str {
        match (self.inner, self.kind()) {
            (_, Some(kind)) => kind.name(),
            (Inner::Legacy { .. }, _) => "untyped",
            (Inner::Image { .. }, _) => "unknown",
            (Inner::Damaged(_), _) => "damaged",
        }
    }

    /// How its values combine over lanes and programs.
    #[must_use]
    pub const fn aggregation(&self) -> Aggregation {
        match self.inner {
            Inner::Image { field, .. } => field.aggregation(),
            Inner::Legacy { aggregation, .. } => aggregation,
            Inner::Damaged(_) => Aggregation::Each,
        }
    }

    /// How much it matters.
    #[must_use]
    pub const fn level(&self) -> Level {
        match self.inner {
            Inner::Image { field, .. } => field.level(),
            Inner::Legacy { .. } | Inner::Damaged(_) => Level::Info,
        }
    }

    /// Where the value is kept; `None` if it is damaged, not known, or of format 1.
    #[must_use]
    pub const fn storage(&self) -> Option<Storage> {
        match self.inner {
            Inner::Image { field, .. } => field.storage(),
            Inner::Legacy { .. } | Inner::Damaged(_) => None,
        }
    }

    /// Whether its one value never changes.
    #[must_use]
    pub const fn is_constant(&self) -> bool {
        matches!(self.storage(), Some(Storage::Constant))
    }

    /// Whether the value is an array of scalars.
    #[must_use]
    pub const fn is_array(&self) -> bool {
        matches!(self.shape(), Shape::Array(..))
    }

    /// Number of elements, or capacity of text and bytes in bytes.
    #[must_use]
    pub const fn count(&self) -> u32 {
        match self.inner {
            Inner::Image { field, .. } => field.count(),
            Inner::Legacy { count, .. } => count,
            Inner::Damaged(_) => 0,
        }
    }

    /// Whether a lane may have no value.
    #[must_use]
    pub const fn is_optional(&self) -> bool {
        match self.field() {
            Some(field) => field.is_optional(),
            None => false,
        }
    }

    /// The parameter, whose meaning the kind gives; 0 where there is none.
    #[must_use]
    pub const fn param(&self) -> u32 {
        match self.field() {
            Some(field) => field.param(),
            None => 0,
        }
    }

    /// The items of the detail: the names of states, the windows of a rate in seconds.
    pub fn details(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let detail = self.string(Field::detail);
        detail.split('\0').filter(|item| !item.is_empty())
    }

    /// What must be the same for values to combine, besides names, kind and rule: histograms
    /// of other buckets combine, those of other values do not, nor do states of other names.
    pub(crate) fn class(&self) -> (Shape, u8, &'a str) {
        match (self.kind(), self.shape()) {
            (Some(Kind::Histogram), Shape::Array(ty, _)) => {
                (Shape::Array(ty, 0), self.param().to_le_bytes()[1], "")
            }
            (Some(Kind::State), shape) => (shape, 0, self.string(Field::detail)),
            (_, shape) => (shape, 0, ""),
        }
    }

    /// Whether it was retired, as of the last refresh: it has no value any more.
    #[must_use]
    pub const fn is_retired(&self) -> bool {
        matches!(self.inner, Inner::Image { retired: true, .. })
    }

    /// The rule that its description breaks, if it does; the other fields are still good.
    #[must_use]
    pub const fn damage(&self) -> Option<Damage> {
        match self.inner {
            Inner::Damaged(damage) => Some(damage),
            Inner::Image { .. } | Inner::Legacy { .. } => None,
        }
    }

    /// Label, unit and attributes, to be compared.
    pub(crate) fn names(&self) -> [&'a [u8]; 3] {
        match self.inner {
            Inner::Image { field, heap, .. } => {
                [field.label(), field.unit(), field.attributes()].map(|s| heap.string_bytes(s))
            }
            Inner::Legacy { label, .. } => [label.as_bytes(), &[], &[]],
            Inner::Damaged(_) => [&[]; 3],
        }
    }
}

/// Type and number of elements of a value.
///
/// ```
/// use mmstats_observe::{DataType, Shape};
/// assert_eq!(Shape::One(DataType::Text).to_string(), "text");
/// assert_eq!(Shape::Array(DataType::U64, 5).to_string(), "u64[5]");
/// assert_eq!(Shape::Unknown(77).to_string(), "unknown(77)");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shape {
    /// One scalar, text or bytes.
    One(DataType),
    /// An array of so many scalars.
    Array(DataType, u32),
    /// A type with a code that this version does not know.
    Unknown(u8),
    /// The description is damaged.
    Damaged,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(ty) => ty.fmt(f),
            Self::Array(ty, count) => f.pad(&format!("{ty}[{count}]")),
            Self::Unknown(code) => f.pad(&format!("unknown({code})")),
            Self::Damaged => f.pad("damaged"),
        }
    }
}
