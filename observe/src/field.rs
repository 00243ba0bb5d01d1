//! A field's description, whatever format its file has.

use std::fmt;

use mmstats_core::read::{Attributes, Field, HeapStr, parse_attributes};
use mmstats_core::{Aggregation, DataType, Kind, Level, Storage};

use crate::heap::Heap;
use crate::one::Record;
use crate::problem::Damage;

/// A field of a file: its description, borrowed from the file without a copy.
#[derive(Debug, Clone, Copy)]
pub struct FieldRef<'a> {
    index: u32,
    inner: Inner<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Inner<'a> {
    Three { field: &'a Field, heap: &'a Heap, retired: bool },
    One(&'a Record),
    Damaged(Damage),
}

impl<'a> FieldRef<'a> {
    pub(crate) const fn three(index: u32, field: &'a Field, heap: &'a Heap, retired: bool) -> Self {
        Self { index, inner: Inner::Three { field, heap, retired } }
    }

    pub(crate) const fn one(index: u32, record: &'a Record) -> Self {
        Self { index, inner: Inner::One(record) }
    }

    pub(crate) const fn damaged(index: u32, damage: Damage) -> Self {
        Self { index, inner: Inner::Damaged(damage) }
    }

    fn string(&self, which: impl FnOnce(&Field) -> HeapStr) -> &'a str {
        match self.inner {
            Inner::Three { field, heap, .. } => heap.string(which(field)),
            Inner::One(_) | Inner::Damaged(_) => "",
        }
    }

    const fn field(&self) -> Option<&'a Field> {
        match self.inner {
            Inner::Three { field, .. } => Some(field),
            Inner::One(_) | Inner::Damaged(_) => None,
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
            Inner::One(record) => &record.label,
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
            Inner::Three { field, .. } => field.ty(),
            Inner::One(record) => Some(record.ty),
            Inner::Damaged(_) => None,
        }
    }

    /// Type and number of elements, to be shown.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        match self.inner {
            Inner::Three { field, .. } => match field.ty() {
                None => Shape::Unknown(field.raw().properties.ty_code()),
                Some(ty) if field.is_array() => Shape::Array(ty, field.count()),
                Some(ty) => Shape::One(ty),
            },
            Inner::One(record) => Shape::One(record.ty),
            Inner::Damaged(_) => Shape::Damaged,
        }
    }

    /// What the value means; `None` if it is damaged or not known. Format 1 does not say.
    #[must_use]
    pub const fn kind(&self) -> Option<Kind> {
        match self.inner {
            Inner::Three { field, .. } => field.kind(),
            Inner::One(_) | Inner::Damaged(_) => None,
        }
    }

    /// The name of the kind; besides those of the format `untyped` (format 1: take it for
    /// a gauge), `unknown` and `damaged`.
    #[must_use]
    pub const fn kind_name(&self) -> &'static str {
        match (self.inner, self.kind()) {
            (_, Some(kind)) => kind.name(),
            (Inner::One(_), _) => "untyped",
            (Inner::Three { .. }, _) => "unknown",
            (Inner::Damaged(_), _) => "damaged",
        }
    }

    /// How its values combine over lanes and programs.
    #[must_use]
    pub const fn aggregation(&self) -> Aggregation {
        match self.inner {
            Inner::Three { field, .. } => field.aggregation(),
            Inner::One(record) => record.aggregation,
            Inner::Damaged(_) => Aggregation::Each,
        }
    }

    /// How much it matters.
    #[must_use]
    pub const fn level(&self) -> Level {
        match self.inner {
            Inner::Three { field, .. } => field.level(),
            Inner::One(_) | Inner::Damaged(_) => Level::Info,
        }
    }

    /// Where the value is kept; `None` if it is damaged, not known, or of format 1.
    #[must_use]
    pub const fn storage(&self) -> Option<Storage> {
        match self.inner {
            Inner::Three { field, .. } => field.storage(),
            Inner::One(_) | Inner::Damaged(_) => None,
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
            Inner::Three { field, .. } => field.count(),
            Inner::One(record) => record.count,
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
        matches!(self.inner, Inner::Three { retired: true, .. })
    }

    /// The rule that its description breaks, if it does; the other fields are still good.
    #[must_use]
    pub const fn damage(&self) -> Option<Damage> {
        match self.inner {
            Inner::Damaged(damage) => Some(damage),
            Inner::Three { .. } | Inner::One(_) => None,
        }
    }

    /// Label, unit and attributes, to be compared.
    pub(crate) fn names(&self) -> [&'a [u8]; 3] {
        match self.inner {
            Inner::Three { field, heap, .. } => {
                [field.label(), field.unit(), field.attributes()].map(|s| heap.string_bytes(s))
            }
            Inner::One(record) => [record.label.as_bytes(), &[], &[]],
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

/// A field's description that belongs to nobody: what fields of many files have in common.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FieldInfo {
    /// The label.
    pub label: String,
    /// The unit; empty if there is none.
    pub unit: String,
    /// The help text of the first file; empty if there is none.
    pub help: String,
    /// `key=value` items with a zero byte between.
    pub attributes: String,
    /// Type and number of elements.
    pub shape: Shape,
    /// What the value means.
    pub kind: Option<Kind>,
    /// The name of the kind: see [`FieldRef::kind_name`].
    pub kind_name: &'static str,
    /// How the values combine.
    pub aggregation: Aggregation,
    /// How much it matters, to the first file.
    pub level: Level,
    /// Whether it is constant, in the first file.
    pub constant: bool,
    /// See [`FieldRef::class`].
    class: (Shape, u8, String),
}

impl FieldInfo {
    /// Keys and values.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'_> {
        parse_attributes(&self.attributes)
    }

    /// As [`FieldRef::class`].
    pub(crate) fn class(&self) -> (Shape, u8, &str) {
        (self.class.0, self.class.1, &self.class.2)
    }

    /// Whether the values of `field` belong to this one.
    pub(crate) fn is(&self, field: &FieldRef<'_>) -> bool {
        let [label, unit, attributes] = field.names();
        let (shape, ty, detail) = field.class();
        self.class.0 == shape
            && self.class.1 == ty
            && is_same(self.class.2.as_bytes(), detail.as_bytes())
            && self.kind == field.kind()
            && self.aggregation == field.aggregation()
            && is_same(self.label.as_bytes(), label)
            && is_same(self.unit.as_bytes(), unit)
            && is_same(self.attributes.as_bytes(), attributes)
            && self.kind_name == field.kind_name()
    }

    /// Whether the values of both belong together.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.class == other.class
            && self.label == other.label
            && self.kind_name == other.kind_name
            && self.aggregation == other.aggregation
            && self.unit == other.unit
            && self.attributes == other.attributes
    }
}

/// Whether two short names are the same: `==` calls a function that takes longer than the
/// names do.
#[inline]
fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let words = a.iter().zip(b).all(|(a, b)| u64::from_ne_bytes(*a) == u64::from_ne_bytes(*b));
    words && a_rest.iter().zip(b_rest).all(|(a, b)| a == b)
}

impl From<&FieldRef<'_>> for FieldInfo {
    fn from(field: &FieldRef<'_>) -> Self {
        Self {
            label: field.label().to_owned(),
            unit: field.unit().to_owned(),
            help: field.help().to_owned(),
            attributes: field.attributes_text().to_owned(),
            shape: field.shape(),
            kind: field.kind(),
            kind_name: field.kind_name(),
            aggregation: field.aggregation(),
            level: field.level(),
            constant: field.is_constant(),
            class: {
                let (shape, ty, detail) = field.class();
                (shape, ty, detail.to_owned())
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A description is another one if anything differs that tells fields apart, even where
    /// the hashes of both are the same.
    #[test]
    fn descriptions_are_the_same_if_every_part_is() {
        let info = FieldInfo {
            label: "n".to_owned(),
            unit: "bytes".to_owned(),
            help: String::new(),
            attributes: "a=1".to_owned(),
            shape: Shape::One(DataType::U64),
            kind: Some(Kind::Counter),
            kind_name: "counter",
            aggregation: Aggregation::Sum,
            level: Level::Info,
            constant: false,
            class: (Shape::One(DataType::U64), 0, String::new()),
        };
        let with = |change: fn(&mut FieldInfo)| {
            let mut other = info.clone();
            change(&mut other);
            info.same(&other)
        };
        assert!(with(|_| {}));
        assert!(with(|other| other.help.push('h')) && with(|other| other.level = Level::Debug));
        let changes: [fn(&mut FieldInfo); 8] = [
            |other| other.label.push('n'),
            |other| other.unit.clear(),
            |other| other.attributes.push('1'),
            |other| other.kind_name = "gauge",
            |other| other.aggregation = Aggregation::Max,
            |other| other.class.0 = Shape::One(DataType::U32),
            |other| other.class.1 = 1,
            |other| other.class.2.push('d'),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            assert!(!with(change), "change {number}");
        }
    }

    #[test]
    fn names_are_the_same_if_every_byte_is() {
        let name = b"app.requests.served";
        for len in 0..=name.len() {
            assert!(is_same(&name[..len], &name[..len]));
            assert!(!is_same(&name[..len], &[name, b".".as_slice()].concat()));
            for at in 0..len {
                let mut other = name[..len].to_vec();
                other[at] ^= 1;
                assert!(!is_same(&name[..len], &other), "{at} of {len}");
            }
        }
    }
}
