//! Fields of an image that was read, with what decides whether their values continue in another.

use mmstats_core::read::{Cursor, Field, Header, parse_attributes};
use mmstats_core::{FieldSpec, Kind, Properties, Source};

use crate::error::Error;
use crate::schema::declaration::FieldDeclaration;
use crate::schema::options::AnyOptions;

/// Label and attributes.
pub(super) type Name = (String, String);

/// Properties that must be equal for a value to continue.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Signature {
    properties: Properties,
    unit: String,
    detail: String,
}

impl Signature {
    /// The signature of a field whose value continues byte by byte.
    pub(super) fn new<S: Source + ?Sized>(source: &S, field: &Field) -> Self {
        Self::with(source, field, field.properties().value_properties())
    }

    /// The signature of a field whose values are combined with those of other programs.
    pub(super) fn combined<S: Source + ?Sized>(source: &S, field: &Field) -> Self {
        Self::with(source, field, field.properties().combined_properties())
    }

    fn with<S: Source + ?Sized>(source: &S, field: &Field, properties: Properties) -> Self {
        Self {
            properties,
            unit: field.unit().read(source, &mut [0; 63]).to_owned(),
            detail: field.detail().read(source, &mut [0; 4096]).to_owned(),
        }
    }

    pub(super) fn describe(&self) -> String {
        let properties = self.properties;
        let kind = properties.kind().map_or("field", Kind::name);
        let ty = properties.ty().map_or("?", mmstats_core::DataType::name);
        let unit = if self.unit.is_empty() { String::new() } else { format!(" in {}", self.unit) };
        format!("a {kind} of {ty} ({}, {:#x}){unit}", properties.count(), properties.param())
    }
}

pub(super) fn name<S: Source + ?Sized>(source: &S, field: &Field) -> Name {
    (
        field.label().read(source, &mut [0; 255]).to_owned(),
        field.attributes().read(source, &mut [0; 4096]).to_owned(),
    )
}

/// Label and attributes in a message.
pub(super) fn display((label, attributes): &Name) -> String {
    if attributes.is_empty() {
        return label.clone();
    }
    let pairs: Vec<_> =
        parse_attributes(attributes).map(|(key, value)| format!("{key}={value}")).collect();
    format!("{label}{{{}}}", pairs.join(","))
}

/// The undamaged fields of an image, which may not be live yet.
pub(super) fn fields<S: Source + ?Sized>(source: &S) -> Result<(Header, Vec<Field>), Error> {
    let header = Header::read(source).map_err(Error::image)?;
    let mut cursor = Cursor::new();
    let mut fields = Vec::new();
    while let Some((_, field)) = cursor.next(source, &header) {
        fields.extend(field);
    }
    Ok((header, fields))
}

/// The declaration that a field was made from, with these properties.
pub(super) fn declaration<S: Source + ?Sized>(
    source: &S,
    field: &Field,
    properties: Properties,
    (label, attributes): &Name,
    signature: &Signature,
) -> Option<FieldDeclaration> {
    let details: Vec<&str> =
        signature.detail.split('\0').filter(|detail| !detail.is_empty()).collect();
    let _known = (properties.ty()?, properties.kind()?);
    let spec = FieldSpec { details: &details, ..FieldSpec::new(label, properties) };
    let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    let options = AnyOptions {
        unit: Some(signature.unit.clone()),
        help: field.help().read(source, &mut [0; 4096]).to_owned(),
        level: properties.level(),
        aggregation: Some(properties.aggregation()),
        attributes: parse_attributes(attributes).map(own).collect(),
        ..AnyOptions::default()
    };
    Some(FieldDeclaration::new(label.clone(), &spec, options))
}
