//! A field's description that the reader owns.

use mmstats_core::read::{Attributes, parse_attributes};
use mmstats_core::{Aggregation, Kind, Level};

use super::reference::{FieldRef, Shape};

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
    use mmstats_core::DataType;

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
