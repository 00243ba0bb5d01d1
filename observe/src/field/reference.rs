//! A field's description, borrowed from its file.

use std::sync::Arc;

use mmstats_core::read::{Attributes, Field, HeapStr, parse_attributes};
use mmstats_core::{Properties, Storage};

use super::combining::{Combining, FieldKey, Status};
use super::heap::Heap;
use super::pool::shared;
use super::shape::Shape;
use crate::problem::Damage;

/// A field of a file: its description, borrowed from the file without a copy.
#[derive(Debug, Clone, Copy)]
pub struct FieldRef<'a> {
    index: u32,
    properties: Properties,
    source: Source<'a>,
}

/// Source of the strings, by format.
#[derive(Debug, Clone, Copy)]
enum Source<'a> {
    Image { field: &'a Field, heap: &'a Heap, retired: bool },
    Legacy { label: &'a str },
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
        let properties = field.properties();
        Self { index, properties, source: Source::Image { field, heap, retired } }
    }

    /// A field of format 1.
    pub(crate) const fn from_legacy(index: u32, label: &'a str, properties: Properties) -> Self {
        Self { index, properties, source: Source::Legacy { label } }
    }

    /// A field whose description breaks a rule.
    pub(crate) fn damaged(index: u32, damage: Damage) -> Self {
        Self { index, properties: Properties::default(), source: Source::Damaged(damage) }
    }

    fn string(&self, which: impl FnOnce(&Field) -> HeapStr) -> &'a str {
        match self.source {
            Source::Image { field, heap, .. } => heap.string(which(field)),
            Source::Legacy { .. } | Source::Damaged(_) => "",
        }
    }

    /// Number of the field in the file.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index as usize
    }

    /// The label, 1 to 255 bytes; empty if the field is damaged. It has no control characters,
    /// but may have others that disturb a terminal: escape it.
    #[must_use]
    pub fn label(&self) -> &'a str {
        match self.source {
            Source::Legacy { label } => label,
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

    /// The attributes, as keys and values.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        parse_attributes(self.attributes_text())
    }

    /// The attributes as in the file: `key=value` items, separated by zero bytes.
    #[must_use]
    pub fn attributes_text(&self) -> &'a str {
        self.string(Field::attributes)
    }

    /// The items of the detail: the names of states, the windows of a rate in seconds.
    pub fn details(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.detail_text().split('\0').filter(|item| !item.is_empty())
    }

    /// The items of the detail, separated by zero bytes.
    pub(crate) fn detail_text(&self) -> &'a str {
        self.string(Field::detail)
    }

    /// Type, kind, rule, level, count, flags and parameter. No type and no kind if they are
    /// unknown or the field is damaged; no kind in format 1.
    #[must_use]
    pub const fn properties(&self) -> Properties {
        self.properties
    }

    /// Type and number of elements.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.status().shape(self.properties)
    }

    /// Name of the kind in the format, or `untyped` (of format 1: treat it as a gauge),
    /// `unknown` or `damaged`.
    #[must_use]
    pub const fn kind_name(&self) -> &'static str {
        self.status().kind_name(self.properties)
    }

    /// Storage class of the value; `None` if it is damaged, unknown, or of format 1.
    #[must_use]
    pub const fn storage(&self) -> Option<Storage> {
        match self.source {
            Source::Image { field, .. } => field.storage(),
            Source::Legacy { .. } | Source::Damaged(_) => None,
        }
    }

    /// Whether the field has one value that never changes.
    #[must_use]
    pub const fn is_constant(&self) -> bool {
        matches!(self.storage(), Some(Storage::Constant))
    }

    /// Whether the field was retired, as of the last refresh: it has no value any more.
    #[must_use]
    pub const fn is_retired(&self) -> bool {
        matches!(self.source, Source::Image { retired: true, .. })
    }

    /// The rule that the description breaks; `None` for a good field.
    #[must_use]
    pub const fn damage(&self) -> Option<Damage> {
        match self.source {
            Source::Damaged(damage) => Some(damage),
            Source::Image { .. } | Source::Legacy { .. } => None,
        }
    }

    /// Identity of the fields of a family: see
    /// [`FieldInfo::family_key`](crate::FieldInfo::family_key).
    #[must_use]
    pub fn family_key(&self) -> FieldKey {
        let combining = self.combining();
        let detail = if combining.has_detail() { self.detail_text() } else { "" };
        let [label, unit] = [self.label(), self.unit()].map(Arc::from);
        FieldKey::new(combining, [label, unit, Arc::default(), shared(detail)])
    }

    pub(super) const fn status(&self) -> Status {
        match self.source {
            Source::Image { .. } => Status::Typed,
            Source::Legacy { .. } => Status::Untyped,
            Source::Damaged(_) => Status::Damaged,
        }
    }

    /// The properties that values must share to combine.
    pub(crate) const fn combining(&self) -> Combining {
        Combining::new(self.properties, self.status())
    }

    /// The strings that values must share to combine: label, unit, attributes, and the detail
    /// if it counts.
    pub(crate) fn combining_strings(&self) -> [&'a [u8]; 4] {
        match self.source {
            Source::Image { field, heap, .. } => {
                let detail =
                    if self.combining().has_detail() { field.detail() } else { HeapStr::default() };
                [field.label(), field.unit(), field.attributes(), detail]
                    .map(|string| heap.string_bytes(string))
            }
            Source::Legacy { label } => [label.as_bytes(), &[], &[], &[]],
            Source::Damaged(_) => [&[]; 4],
        }
    }
}
