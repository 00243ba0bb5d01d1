//! The types of handles, and the declarations of fields, which a publisher writes into each of
//! its files.

use std::sync::Arc;

use mmstats_core as core;
use mmstats_core::{
    AttachError, FieldId, FieldSpec, Geometry, Memory, Properties, Tenants, WriteError, Writer,
};

use super::options::{AnyOptions, Value};
use crate::claim::Keep;
use crate::error::Error;
use crate::strings::Strings;

/// Label of the constant after the fields that a persistent program declared at its start.
pub(crate) const DECLARED: &str = "sys.declared";

/// Labels of the fields that describe a lane: thread id and thread name of its owner, and the time
/// of its last copy.
pub(crate) const LANE_FIELDS: [&str; 3] = ["sys.tid", "sys.thread", "sys.mirrored"];

/// A type of handle, which a [`Schema`](crate::Schema) declares and a [`Lane`](crate::Lane)
/// attaches. The handles of this crate implement it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handle of a field",
    label = "no handle",
    note = "in a struct with `#[derive(Stats)]` a `Family` needs `#[stats(labels(\"...\"))]`, and \
            a set of handles needs `#[stats(nested)]`"
)]
pub trait Field: Sized {
    /// The descriptors of one field.
    #[doc(hidden)]
    fn declaration(label: String, options: AnyOptions) -> Declaration;

    /// The handle in `lane`; `field` is the first of its descriptors.
    #[doc(hidden)]
    fn attach(lane: &core::Lane<Keep>, field: FieldId) -> Result<Self, AttachError>;
}

/// A type of handle that all threads of the program share, which
/// [`Publisher::add_shared`](crate::Publisher::add_shared) declares and
/// [`Publisher::attach_shared`](crate::Publisher::attach_shared) attaches. The shared handles of this crate
/// implement it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handle of the whole program",
    label = "a handle of one thread",
    note = "`SharedField<{Self}>` is one"
)]
pub trait SharedHandle: Sized {
    /// The descriptors of one field.
    #[doc(hidden)]
    fn declaration(label: String, options: AnyOptions) -> Declaration;

    /// The handle in `lane`, which all threads share; `field` is the first of its descriptors.
    #[doc(hidden)]
    fn attach(lane: &core::Lane<Keep>, field: FieldId) -> Result<Self, AttachError>;
}

/// A [`FieldSpec`] that owns its strings.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq)]
pub struct FieldDeclaration {
    name: Strings,
    /// Shared with the declaration before, if equal.
    pub(super) description: Arc<Description>,
}

/// Label and attributes of a field.
pub(crate) type FieldName = (String, Vec<(String, String)>);

/// All of a declaration but the name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Description {
    properties: Properties,
    pub(super) unit: String,
    pub(super) help: String,
    value: Option<Value>,
    details: Vec<String>,
}

impl FieldDeclaration {
    /// Joins `spec`, which the type of the handle gives, with the `options` of the program.
    pub(crate) fn new(label: String, spec: &FieldSpec<'_>, options: AnyOptions) -> Self {
        let attributes = options.attributes.iter().flat_map(|(k, v)| [k.as_str(), v.as_str()]);
        let mut properties = spec.properties;
        if let Some(value) = &options.value {
            properties = FieldSpec::info("", value.constant()).properties;
        }
        if let Some(kind) = options.kind.or(spec.properties.kind()) {
            properties = properties.with_kind(kind);
        }
        let aggregation = options.aggregation.unwrap_or(spec.properties.aggregation());
        let description = Description {
            properties: properties.with_aggregation(aggregation).with_level(options.level),
            unit: options.unit.unwrap_or_else(|| spec.unit.to_owned()),
            help: options.help,
            value: options.value,
            details: spec.details.iter().map(|&detail| detail.to_owned()).collect(),
        };
        let name = Strings::new([label.as_str()].into_iter().chain(attributes));
        Self { name, description: Arc::new(description) }
    }

    pub(crate) fn label(&self) -> &str {
        self.name.first()
    }

    /// Label, key, value, key, value, ...
    pub(crate) const fn name(&self) -> &Strings {
        &self.name
    }

    /// Whether both have the same values: all but help and level are equal.
    pub(crate) fn continues(&self, other: &Self) -> bool {
        let level = self.description.properties.level();
        let description = Description {
            help: self.description.help.clone(),
            properties: other.description.properties.with_level(level),
            ..(*other.description).clone()
        };
        self.name == other.name && *self.description == description
    }

    /// The same field with these attributes instead.
    pub(crate) fn with_attributes(&self, attributes: &[(&str, &str)]) -> Self {
        let attributes = attributes.iter().flat_map(|&(key, value)| [key, value]);
        let name = Strings::new([self.label()].into_iter().chain(attributes));
        Self { name, description: Arc::clone(&self.description) }
    }

    /// Label and attributes.
    pub(crate) fn owned_name(&self) -> FieldName {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        (self.label().to_owned(), self.attributes().iter().map(owned).collect())
    }

    fn attributes(&self) -> Vec<(&str, &str)> {
        let mut strings = self.name.iter().skip(1);
        let pair = || Some((strings.next()?, strings.next()?));
        std::iter::from_fn(pair).collect()
    }

    fn details(&self) -> Vec<&str> {
        self.description.details.iter().map(String::as_str).collect()
    }

    /// The form that the core writes, with the results of [`Self::attributes`] and
    /// [`Self::details`].
    fn spec<'a>(
        &'a self,
        attributes: &'a [(&'a str, &'a str)],
        details: &'a [&'a str],
    ) -> FieldSpec<'a> {
        let Description { properties, unit, help, value, .. } = &*self.description;
        FieldSpec {
            unit,
            help,
            attributes,
            details,
            constant: value.as_ref().map(Value::constant),
            ..FieldSpec::new(self.label(), *properties)
        }
    }
}

/// The declaration of one handle: one field, or several with consecutive numbers.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq)]
pub enum Declaration {
    /// One field.
    Field(FieldDeclaration),
    /// Fields that one handle updates one by one.
    Sequence(Vec<FieldDeclaration>),
    /// Fields that one handle publishes together.
    Group(Vec<FieldDeclaration>),
}

impl Declaration {
    /// Adds the room for the fields to `geometry`; an error if they break a rule.
    pub(crate) fn measure(&self, geometry: &mut Geometry) -> Result<(), Error> {
        let measured = self.with_specs(|specs| match self {
            Self::Field(_) | Self::Sequence(_) => geometry.add_all(specs),
            Self::Group(_) => geometry.add_group(specs),
        });
        measured.map_err(|error| Error::Field { label: self.label().to_owned(), error })
    }

    /// Writes the fields into an image; returns the number of the first.
    pub(crate) fn write<M: Memory>(&self, writer: &mut Writer<M>) -> Result<FieldId, WriteError> {
        self.with_specs(|specs| match self {
            Self::Field(_) | Self::Sequence(_) => writer.add_all(specs),
            Self::Group(_) => writer.add_group(specs),
        })
    }

    /// Writes the fields into an image, in a room of their own with `heap` bytes of heap.
    pub(crate) fn write_room<M: Memory>(
        &self,
        writer: &mut Writer<M>,
        heap: u32,
    ) -> Result<FieldId, WriteError> {
        self.with_tenants(|tenants| writer.add_room(tenants, heap))
    }

    /// Writes the fields into the room of retired ones from number `first` on.
    pub(crate) fn write_again<M: Memory>(
        &self,
        writer: &mut Writer<M>,
        first: FieldId,
        heap: u32,
    ) -> Result<(), WriteError> {
        self.with_tenants(|tenants| writer.reuse(first, tenants, heap))
    }

    /// Calls `work` with the fields as tenants of a room.
    pub(crate) fn with_tenants<R>(&self, work: impl FnOnce(Tenants<'_>) -> R) -> R {
        let is_group = matches!(self, Self::Group(_));
        self.with_specs(|specs| work(Tenants { specs, is_group }))
    }

    /// Calls `work` with the fields in the form that the core measures and writes.
    fn with_specs<R>(&self, work: impl FnOnce(&[FieldSpec<'_>]) -> R) -> R {
        let fields = self.fields();
        let lists: Vec<_> = fields.iter().map(|f| (f.attributes(), f.details())).collect();
        let specs: Vec<_> = fields.iter().zip(&lists).map(|(f, (a, d))| f.spec(a, d)).collect();
        work(&specs)
    }

    /// The label of the first field.
    pub(crate) fn label(&self) -> &str {
        self.fields().first().map_or("", FieldDeclaration::label)
    }

    pub(crate) fn fields(&self) -> &[FieldDeclaration] {
        match self {
            Self::Field(field) => std::slice::from_ref(field),
            Self::Sequence(fields) | Self::Group(fields) => fields,
        }
    }

    /// Whether this is a constant of FILES.md section 2.
    pub(crate) fn is_standard(&self) -> bool {
        let standard = |field: &FieldDeclaration| {
            field.description.value.is_some() && field.label().starts_with("sys.")
        };
        matches!(self, Self::Field(field) if standard(field) && field.label() != DECLARED)
    }

    /// Whether this is the standard field that `other` is too, perhaps of another process.
    pub(crate) fn is_standard_as(&self, other: &Self) -> bool {
        (self.is_standard() || self.lane_field().is_some()) && self.label() == other.label()
    }

    /// The position in [`LANE_FIELDS`], if this describes a lane.
    pub(crate) fn lane_field(&self) -> Option<usize> {
        let Self::Field(field) = self else { return None };
        LANE_FIELDS.iter().position(|label| *label == field.label())
    }

    /// Number of fields.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.fields().len()).unwrap_or(u32::MAX)
    }

    /// Shares the description with `other`, if they are equal.
    pub(crate) fn share(&mut self, other: &Self) {
        if let (Self::Field(this), Self::Field(other)) = (self, other)
            && this.description == other.description
        {
            this.description = Arc::clone(&other.description);
        }
    }
}
