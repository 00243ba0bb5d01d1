//! Declarations of fields, which a publisher writes into each of its files.

use std::sync::Arc;

use mmstats_core::{
    FieldId, FieldSpec, Geometry, Memory, Properties, SpecError, WriteError, Writer,
};

use super::options::AnyOptions;
use super::value::Value;
use crate::error::Error;
use crate::strings::Strings;

/// Label of the constant after the fields that a persistent program declared at its start.
pub(crate) const DECLARED: &str = "sys.declared";

/// A [`FieldSpec`] that owns its strings.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq)]
pub struct FieldDeclaration {
    /// Label, key, value, key, value, ...
    name: Strings,
    /// Shared with the declaration before, if equal.
    description: Arc<Description>,
}

/// All of a declaration but the name.
#[derive(Debug, Clone, PartialEq)]
struct Description {
    properties: Properties,
    unit: String,
    help: String,
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

    /// Label and attributes.
    pub(crate) const fn name(&self) -> &Strings {
        &self.name
    }

    /// The name for a map: label, key, value, key, value, ...
    pub(crate) fn key(&self) -> Vec<String> {
        self.name.iter().map(str::to_owned).collect()
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

    pub(crate) fn unit(&self) -> &str {
        &self.description.unit
    }

    pub(crate) fn help(&self) -> &str {
        &self.description.help
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

/// Calls `work` with the specs of `fields`.
fn with_specs<R>(fields: &[FieldDeclaration], work: impl FnOnce(&[FieldSpec<'_>]) -> R) -> R {
    let lists: Vec<_> = fields.iter().map(|f| (f.attributes(), f.details())).collect();
    let specs: Vec<_> = fields.iter().zip(&lists).map(|(f, (a, d))| f.spec(a, d)).collect();
    work(&specs)
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
    /// Adds the room for the fields to `geometry`.
    pub(crate) fn measure(&self, geometry: &mut Geometry) -> Result<(), SpecError> {
        match self {
            Self::Field(field) => geometry.add(&field.spec(&field.attributes(), &field.details())),
            Self::Sequence(fields) => with_specs(fields, |specs| geometry.add_all(specs)),
            Self::Group(members) => with_specs(members, |specs| geometry.add_group(specs)),
        }
    }

    /// The error of a rule that this declaration breaks.
    pub(crate) fn refused(&self, error: SpecError) -> Error {
        let label = self.fields().first().map(|field| field.label().to_owned());
        Error::Field { label: label.unwrap_or_default(), error }
    }

    /// Writes the fields into an image; returns the number of the first.
    pub(crate) fn write<M: Memory>(&self, writer: &mut Writer<M>) -> Result<FieldId, WriteError> {
        match self {
            Self::Field(field) => writer.add(&field.spec(&field.attributes(), &field.details())),
            Self::Sequence(fields) => with_specs(fields, |specs| writer.add_all(specs)),
            Self::Group(members) => with_specs(members, |specs| writer.add_group(specs)),
        }
    }

    pub(crate) fn fields(&self) -> &[FieldDeclaration] {
        match self {
            Self::Field(field) => std::slice::from_ref(field),
            Self::Sequence(fields) | Self::Group(fields) => fields,
        }
    }

    /// Whether this is a constant of FORMAT.md section 11.
    pub(crate) fn is_standard(&self) -> bool {
        let standard = |field: &FieldDeclaration| {
            field.description.value.is_some() && field.label().starts_with("sys.")
        };
        matches!(self, Self::Field(field) if standard(field) && field.label() != DECLARED)
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
