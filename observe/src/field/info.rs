//! A field's description that the reader owns.

use std::hash::BuildHasher;
use std::sync::Arc;

use mmstats_core::Properties;
use mmstats_core::read::{Attributes, parse_attributes};

use super::combining::{Combining, FieldKey, Grouping, Status};
use super::pool::shared;
use super::reference::FieldRef;
use super::shape::Shape;

/// Copy of a field's description: the properties that its fields in several files share.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FieldInfo {
    /// The label.
    pub label: String,
    /// The unit; empty if there is none.
    pub unit: String,
    /// The help text in the first file; empty if there is none. Fields with the same share it.
    pub help: Arc<str>,
    /// `key=value` items, separated by zero bytes. Fields with the same share them.
    pub attributes: Arc<str>,
    /// Type, kind, rule, level, count, flags and parameter in the first file.
    pub properties: Properties,
    /// Whether the field is constant in the first file.
    pub constant: bool,
    status: Status,
    combining: Combining,
    /// The detail, if it must be equal to combine; else empty.
    detail: Arc<str>,
}

impl FieldInfo {
    /// A field of format 3 without unit, help and attributes.
    #[must_use]
    pub fn new(label: impl Into<String>, properties: Properties) -> Self {
        Self {
            label: label.into(),
            unit: String::new(),
            help: Arc::default(),
            attributes: Arc::default(),
            properties,
            constant: false,
            status: Status::Typed,
            combining: Combining::new(properties, Status::Typed),
            detail: Arc::default(),
        }
    }

    /// With the items of a detail, separated by zero bytes: the names of states, the windows of a rate. Fields of
    /// other kinds keep none.
    #[must_use]
    pub fn with_detail(self, detail: &str) -> Self {
        let detail = if self.combining.has_detail() { detail } else { "" };
        Self { detail: shared(detail), ..self }
    }

    /// As a field of format 1, which has no kinds.
    #[must_use]
    pub fn untyped(self) -> Self {
        self.with_status(Status::Untyped)
    }

    /// As a field whose description is damaged.
    #[must_use]
    pub fn damaged(self) -> Self {
        self.with_status(Status::Damaged)
    }

    fn with_status(self, status: Status) -> Self {
        Self { status, combining: Combining::new(self.properties, status), ..self }
    }

    /// The items of the detail, separated by zero bytes; empty for kinds other than state and rate.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The items of the detail.
    pub fn details(&self) -> impl Iterator<Item = &str> {
        self.detail.split('\0').filter(|item| !item.is_empty())
    }

    /// The attributes, as keys and values.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'_> {
        parse_attributes(&self.attributes)
    }

    /// Type and number of elements, in the first file.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.status.shape(self.properties)
    }

    /// Name of the kind: see [`FieldRef::kind_name`].
    #[must_use]
    pub const fn kind_name(&self) -> &'static str {
        self.status.kind_name(self.properties)
    }

    /// The identity of the field: fields combine if their keys are equal.
    #[must_use]
    pub fn key(&self) -> FieldKey {
        let strings = [&*self.label, &*self.unit].map(Arc::from);
        let [label, unit] = strings;
        FieldKey::new(self.combining, [label, unit, self.attributes.clone(), self.detail.clone()])
    }

    /// As [`key`](Self::key) without the attributes: fields of a family have equal keys.
    #[must_use]
    pub fn family_key(&self) -> FieldKey {
        Self { attributes: Arc::default(), ..self.clone() }.key()
    }

    fn combining_strings(&self, grouping: Grouping) -> [&[u8]; 4] {
        let strings = [&*self.label, &*self.unit, &*self.attributes, &*self.detail];
        grouping.strings(strings.map(str::as_bytes))
    }

    /// Whether the values of `field` combine with those of this one.
    pub(crate) fn combines_with(&self, grouping: Grouping, field: &FieldRef<'_>) -> bool {
        let (ours, theirs) =
            (self.combining_strings(grouping), grouping.strings(field.combining_strings()));
        self.combining == field.combining()
            && ours.into_iter().zip(theirs).all(|(a, b)| equal(a, b))
    }

    /// Whether the values of both combine.
    pub(crate) fn combines_with_info(&self, grouping: Grouping, other: &Self) -> bool {
        self.combining == other.combining
            && self.combining_strings(grouping) == other.combining_strings(grouping)
    }

    /// A hash that is equal for all fields that combine.
    pub(crate) fn hash_field(
        hasher: &impl BuildHasher,
        grouping: Grouping,
        field: &FieldRef<'_>,
    ) -> u64 {
        hasher.hash_one((field.combining(), grouping.strings(field.combining_strings())))
    }

    /// A hash that is equal for all fields that combine.
    pub(crate) fn hash_info(&self, hasher: &impl BuildHasher, grouping: Grouping) -> u64 {
        hasher.hash_one((self.combining, self.combining_strings(grouping)))
    }
}

/// Whether two short strings are equal: the function that `==` calls takes longer.
#[inline]
fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let words = a.iter().zip(b).all(|(a, b)| u64::from_ne_bytes(*a) == u64::from_ne_bytes(*b));
    words && a_rest.iter().zip(b_rest).all(|(a, b)| a == b)
}

impl From<&FieldRef<'_>> for FieldInfo {
    fn from(field: &FieldRef<'_>) -> Self {
        let combining = field.combining();
        let detail = if combining.has_detail() { field.detail_text() } else { "" };
        Self {
            label: field.label().to_owned(),
            unit: field.unit().to_owned(),
            help: shared(field.help()),
            attributes: shared(field.attributes_text()),
            properties: field.properties(),
            constant: field.is_constant(),
            status: field.status(),
            combining,
            detail: shared(detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use mmstats_core::{Aggregation, DataType, Kind, Level};

    use super::*;

    /// A hash is not enough: every part is compared.
    #[test]
    fn info_combines_if_every_part_is_equal() {
        let info = |properties: Properties, status| FieldInfo {
            label: "n".to_owned(),
            unit: "bytes".to_owned(),
            help: Arc::default(),
            attributes: "a=1".into(),
            properties,
            constant: false,
            status,
            combining: Combining::new(properties, status),
            detail: Arc::default(),
        };
        let counter = Properties::new(DataType::U64, Kind::Counter, Aggregation::Sum);
        let first = info(counter, Status::Typed);
        assert!(first.combines_with_info(Grouping::Series, &first));
        let with = |change: fn(&mut FieldInfo)| {
            let mut other = first.clone();
            change(&mut other);
            let both = first.combines_with_info(Grouping::Series, &other);
            assert_eq!(both, first.key() == other.key());
            both
        };
        let combine = |a: &FieldInfo, b: &FieldInfo| a.combines_with_info(Grouping::Series, b);
        assert!(with(|other| other.help = "h".into()) && with(|other| other.constant = true));
        let changes: [fn(&mut FieldInfo); 4] = [
            |other| other.label.push('n'),
            |other| other.unit.clear(),
            |other| other.attributes = "a=11".into(),
            |other| other.detail = "d".into(),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            assert!(!with(change), "change {number}");
        }
        let with = |properties| combine(&first, &info(properties, Status::Typed));
        assert!(with(counter.with_level(Level::Debug)) && with(counter.with_optional()));
        assert!(with(counter.with_param(7)) && with(counter.with_slot_bits(2)));
        assert!(!with(counter.with_kind(Kind::Gauge)));
        assert!(!with(counter.with_aggregation(Aggregation::Max)));
        assert!(!with(counter.with_array(1)));
        assert!(!with(Properties::new(DataType::U32, Kind::Counter, Aggregation::Sum)));
        assert!(!combine(&first, &info(counter, Status::Untyped)));
        let histogram = |count, param| {
            let properties = Properties::new(DataType::U64, Kind::Histogram, Aggregation::Sum);
            info(properties.with_array(count).with_param(param), Status::Typed)
        };
        assert!(combine(&histogram(9, 0x0102), &histogram(10, 0x0103)));
        assert!(!combine(&histogram(9, 0x0102), &histogram(9, 0x0202)));
        let window = |n| {
            let window = Properties::new(DataType::U64, Kind::Window, Aggregation::Sum);
            info(window.with_param(n), Status::Typed)
        };
        assert!(combine(&window(10), &window(10)) && !combine(&window(10), &window(100)));
        // Of a family only the attributes differ.
        let other = FieldInfo { attributes: "a=2".into(), ..first.clone() };
        assert!(first.combines_with_info(Grouping::Family, &other) && !combine(&first, &other));
        assert_eq!(first.family_key(), other.family_key());
        let other = FieldInfo { unit: "seconds".to_owned(), ..other };
        assert!(!first.combines_with_info(Grouping::Family, &other));
    }

    #[test]
    fn strings_are_equal_if_every_byte_is() {
        let name = b"app.requests.served";
        for len in 0..=name.len() {
            assert!(equal(&name[..len], &name[..len]));
            assert!(!equal(&name[..len], &[name, b".".as_slice()].concat()));
            for at in 0..len {
                let mut other = name[..len].to_vec();
                other[at] ^= 1;
                assert!(!equal(&name[..len], &other), "{at} of {len}");
            }
        }
    }
}
