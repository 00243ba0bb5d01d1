//! Which fields combine: KINDS.md section 2.

use std::sync::Arc;

use mmstats_core::{Aggregation, Kind, Properties};

use super::shape::Shape;

/// Whether the kind of a field is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Status {
    /// A field of format 3.
    Typed,
    /// A field of format 1, which has no kinds.
    Untyped,
    Damaged,
}

impl Status {
    /// Type and number of elements of a field.
    pub(super) const fn shape(self, properties: Properties) -> Shape {
        match self {
            Self::Damaged => Shape::Damaged,
            Self::Typed | Self::Untyped => Shape::new(properties),
        }
    }

    /// Name of the kind, or why there is none.
    pub(super) const fn kind_name(self, properties: Properties) -> &'static str {
        match (self, properties.kind()) {
            (Self::Damaged, _) => "damaged",
            (_, Some(kind)) => kind.name(),
            (Self::Untyped, None) => "untyped",
            (Self::Typed, None) => "unknown",
        }
    }
}

/// The properties that values must share to combine, besides label, unit, attributes and detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Combining {
    shape: Shape,
    /// Code of the kind, known or not.
    kind: u8,
    aggregation: Aggregation,
    status: Status,
    /// Code of the type of values in a histogram, number of values of a window; 0 for other kinds.
    values: u32,
    has_detail: bool,
}

impl Combining {
    pub(super) const fn new(properties: Properties, status: Status) -> Self {
        let (kind, aggregation) = (properties.kind(), properties.aggregation());
        let (shape, values) = match (kind, status.shape(properties)) {
            // Histograms with other buckets combine.
            (Some(Kind::Histogram), Shape::Array(ty, _)) => {
                (Shape::Array(ty, 0), properties.param().to_le_bytes()[1] as u32)
            }
            (Some(Kind::Window), shape) => (shape, properties.param()),
            (_, shape) => (shape, 0),
        };
        let has_detail = matches!(kind, Some(Kind::State | Kind::Rate));
        Self { shape, kind: properties.kind_code(), aggregation, status, values, has_detail }
    }

    /// Whether the details must be equal too: names of states, windows of a rate.
    pub(super) const fn has_detail(&self) -> bool {
        self.has_detail
    }
}

/// Identity of a field. Values combine only if the keys of their fields are equal: label,
/// attributes, unit, type, kind, rule, and the names of states, the windows of a rate, the number of
/// values of a window or the type of the values in a histogram.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldKey {
    combining: Combining,
    /// Label, unit, attributes and detail.
    strings: [Arc<str>; 4],
}

impl FieldKey {
    pub(super) const fn new(combining: Combining, strings: [Arc<str>; 4]) -> Self {
        Self { combining, strings }
    }
}

/// Fields with the same label that combine, if their other properties allow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Grouping {
    /// Those with the same attributes.
    #[default]
    Series,
    /// Those with any attributes: all of a family.
    Family,
}

impl Grouping {
    /// Leaves attributes out if they do not decide.
    pub(super) const fn strings(self, strings: [&[u8]; 4]) -> [&[u8]; 4] {
        let [label, unit, attributes, detail] = strings;
        match self {
            Self::Series => [label, unit, attributes, detail],
            Self::Family => [label, unit, &[], detail],
        }
    }
}
