//! The fields of a publisher, collected before its files exist.

use std::collections::HashSet;
use std::marker::PhantomData;

use mmstats_core::{
    Aggregation, Constant, DataType, FieldId, FieldSpec, Geometry, Kind, Level, Memory, Recent,
    SpecError, WriteError, Writer,
};

use crate::error::Error;
use crate::fields::{Field, Value};

/// A field of a publisher, to be attached as a handle of type `H` in each thread.
///
/// ```compile_fail
/// # let mut schema = mmstats::Schema::new();
/// let key: mmstats::Key<mmstats::Counter> = schema.add("requests", Default::default());
/// let other: mmstats::Key<mmstats::Flag> = key;
/// ```
pub struct Key<H> {
    pub(crate) id: FieldId,
    handle: PhantomData<fn() -> H>,
}

impl<H> Clone for Key<H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for Key<H> {}

impl<H> std::fmt::Debug for Key<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Key").field(&self.id.index()).finish()
    }
}

/// What can be said of a field besides its label and type.
///
/// ```
/// # use mmstats::{Counter, FieldOptions, Schema};
/// let mut schema = Schema::new();
/// let ok = schema.add::<Counter>(
///     "http.requests",
///     FieldOptions::new().help("Requests served.").attribute("code", "200"),
/// );
/// # let _ = ok;
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FieldOptions {
    pub(crate) unit: Option<String>,
    pub(crate) help: String,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) aggregation: Option<Aggregation>,
    pub(crate) level: Level,
    pub(crate) kind: Option<Kind>,
    pub(crate) value: Option<Value>,
}

impl FieldOptions {
    /// Nothing said.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The unit: an `OpenMetrics` base unit (`seconds`, `bytes`, `ratio`, ...) where one
    /// fits. At most 63 bytes.
    #[must_use]
    pub fn unit(mut self, unit: impl Into<String>) -> Self {
        self.unit = Some(unit.into());
        self
    }

    /// A sentence or more for whoever reads the value. At most 4,096 bytes.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// One more key and value. A key is 1 to 63 of `A-Z a-z 0-9 _ . -`.
    #[must_use]
    pub fn attribute(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((key.into(), value.into()));
        self
    }

    /// How the values of lanes and processes combine, if not as the handle's type does.
    #[must_use]
    pub fn aggregation(mut self, aggregation: Aggregation) -> Self {
        self.aggregation = Some(aggregation);
        self
    }

    /// How much the field matters.
    #[must_use]
    pub fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// The constant of an [`Info`](crate::Info).
    #[must_use]
    pub fn value(mut self, value: impl Into<Value>) -> Self {
        self.value = Some(value.into());
        self
    }

    pub(crate) fn kind(mut self, kind: Kind) -> Self {
        self.kind = Some(kind);
        self
    }
}

/// A [`FieldSpec`] that owns its strings.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq)]
pub struct Owned {
    pub(crate) label: String,
    options: FieldOptions,
    ty: DataType,
    kind: Kind,
    aggregation: Aggregation,
    count: u32,
    array: bool,
    optional: bool,
    unit: String,
}

impl Owned {
    /// `spec` says what the type of the handle says; `options` what the program adds.
    pub(crate) fn new(label: String, spec: &FieldSpec<'_>, options: FieldOptions) -> Self {
        Self {
            label,
            ty: spec.ty,
            kind: options.kind.unwrap_or(spec.kind),
            aggregation: options.aggregation.unwrap_or(spec.aggregation),
            count: spec.count,
            array: spec.array,
            optional: spec.optional,
            unit: options.unit.clone().unwrap_or_else(|| spec.unit.to_owned()),
            options,
        }
    }

    /// Calls `use_it` with the borrowed form.
    pub(crate) fn with_spec<R>(&self, use_it: impl FnOnce(&FieldSpec<'_>) -> R) -> R {
        let attributes: Vec<(&str, &str)> =
            self.options.attributes.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let mut spec = match &self.options.value {
            Some(value) => FieldSpec::info(&self.label, value.constant()),
            None => FieldSpec {
                ty: self.ty,
                count: self.count,
                array: self.array,
                optional: self.optional,
                ..FieldSpec::counter(&self.label)
            },
        };
        spec.kind = self.kind;
        spec.aggregation = self.aggregation;
        spec.unit = &self.unit;
        spec.help = &self.options.help;
        spec.attributes = &attributes;
        spec.level = self.options.level;
        use_it(&spec)
    }
}

/// Calls `use_it` with the borrowed form of all members.
fn with_specs<R>(owned: &[Owned], use_it: &mut dyn FnMut(&[FieldSpec<'_>]) -> R) -> R {
    fn gather<R>(
        rest: &[Owned],
        specs: &mut Vec<FieldSpec<'_>>,
        use_it: &mut dyn FnMut(&[FieldSpec<'_>]) -> R,
    ) -> R {
        let Some((first, rest)) = rest.split_first() else { return use_it(specs) };
        first.with_spec(|spec| {
            // A vector of the shorter lifetime, so that the new element fits.
            let mut longer: Vec<FieldSpec<'_>> = specs.clone();
            longer.push(*spec);
            gather(rest, &mut longer, use_it)
        })
    }
    gather(owned, &mut Vec::new(), use_it)
}

/// What a [`Field`] asks for: one field, or a group.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// A field.
    One(Owned),
    /// Fields published together.
    Group(Vec<Owned>),
}

impl Item {
    pub(crate) fn measure(&self, geometry: &mut Geometry) -> Result<(), SpecError> {
        match self {
            Self::One(owned) => owned.with_spec(|spec| geometry.add(spec)),
            Self::Group(members) => with_specs(members, &mut |specs| geometry.add_group(specs)),
        }
    }

    pub(crate) fn write<M: Memory>(&self, writer: &mut Writer<M>) -> Result<FieldId, WriteError> {
        match self {
            Self::One(owned) => owned.with_spec(|spec| writer.add(spec)),
            Self::Group(members) => with_specs(members, &mut |specs| writer.add_group(specs)),
        }
    }

    pub(crate) fn fields(&self) -> &[Owned] {
        match self {
            Self::One(owned) => std::slice::from_ref(owned),
            Self::Group(members) => members,
        }
    }
}

/// Fields declared one by one, or by `#[derive(Stats)]`.
///
/// Mistakes (a label twice, a text that is too long) are reported when the publisher
/// starts, so that declaring needs no error handling.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    pub(crate) items: Vec<Item>,
    fields: u32,
}

impl Schema {
    /// No fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares a field for handles of type `H`.
    pub fn add<H: Field>(&mut self, label: impl Into<String>, options: FieldOptions) -> Key<H> {
        self.push(H::item(label.into(), options))
    }

    pub(crate) fn push<H>(&mut self, item: Item) -> Key<H> {
        let id = FieldId::from_index(self.fields);
        let count = u32::try_from(item.fields().len()).unwrap_or(u32::MAX);
        self.fields = self.fields.saturating_add(count);
        self.items.push(item);
        Key { id, handle: PhantomData }
    }

    /// Number of fields; the members of a group count one by one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields as usize
    }

    /// Whether there are no fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields == 0
    }

    /// Whether two fields have the same name.
    pub(crate) fn check_names(&self) -> Result<(), Error> {
        let mut seen = HashSet::with_capacity(self.len());
        for field in self.items.iter().flat_map(Item::fields) {
            if !seen.insert((&field.label, &field.options.attributes)) {
                return Err(Error::Duplicate { label: field.label.clone() });
            }
        }
        Ok(())
    }

    /// The room for all fields, or the first mistake in one.
    pub(crate) fn measure(&self, lanes: u32) -> Result<Geometry, Error> {
        let mut geometry = Geometry::new(lanes);
        let mut recent = Recent::new();
        for item in &self.items {
            item.measure(&mut geometry).map_err(|error| Error::Field {
                label: item.fields().first().map(|f| f.label.clone()).unwrap_or_default(),
                error,
            })?;
            for field in item.fields() {
                geometry.share(&mut recent, &field.unit);
                geometry.share(&mut recent, &field.options.help);
            }
        }
        Ok(geometry)
    }

    pub(crate) fn write<M: Memory>(&self, writer: &mut Writer<M>) -> Result<(), WriteError> {
        self.items.iter().try_for_each(|item| item.write(writer).map(drop))
    }
}

/// `value` as the format keeps it.
impl Value {
    pub(crate) fn constant(&self) -> Constant<'_> {
        match self {
            Self::U32(v) => Constant::U32(*v),
            Self::U64(v) => Constant::U64(*v),
            Self::I64(v) => Constant::I64(*v),
            Self::F64(v) => Constant::F64(*v),
            Self::Bool(v) => Constant::Bool(*v),
            Self::Text(v) => Constant::Text(v),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Counter, Gauge, Info};

    #[test]
    fn mistakes_are_named() {
        let mut schema = Schema::new();
        schema.add::<Counter>("a", FieldOptions::new());
        schema.add::<Gauge<i64>>("a", FieldOptions::new());
        let error = schema.check_names().unwrap_err();
        assert_eq!(error.to_string(), "two fields are called \"a\" with the same attributes");

        let mut schema = Schema::new();
        schema.add::<Counter>("a", FieldOptions::new().attribute("code", "200"));
        schema.add::<Counter>("a", FieldOptions::new().attribute("code", "500"));
        assert!(schema.check_names().is_ok() && schema.measure(1).is_ok());
        schema.add::<Counter>("", FieldOptions::new());
        let error = schema.measure(1).unwrap_err();
        assert_eq!(error.to_string(), "field \"\": a label has 1 to 255 bytes, not 0");
    }

    #[test]
    fn an_info_needs_a_value() {
        let mut schema = Schema::new();
        schema.add::<Info>("version", FieldOptions::new().value("1.2"));
        assert_eq!(schema.measure(1).unwrap().cells, 0);
    }
}
