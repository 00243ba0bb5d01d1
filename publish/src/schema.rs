//! The fields of a publisher, collected before its files exist.

use std::marker::PhantomData;

use mmstats_core::{Aggregation, Buckets, Constant, FieldId, Geometry, Kind, Level, Recent};

use crate::error::Error;
use crate::family::{Declared, FamilyKey};
use crate::fields::{Field, Value};
use crate::item::Item;
use crate::segment::Address;

/// A field of a publisher, to be attached as a handle of type `H` in each thread.
///
/// ```compile_fail
/// # let mut schema = mmstats::Schema::new();
/// let key: mmstats::Key<mmstats::Counter> = schema.add("requests", Default::default());
/// let other: mmstats::Key<mmstats::Flag> = key;
/// ```
pub struct Key<H> {
    pub(crate) address: Address,
    handle: PhantomData<fn() -> H>,
}

impl<H> Key<H> {
    pub(crate) const fn new(address: Address) -> Self {
        Self { address, handle: PhantomData }
    }
}

impl<H> Clone for Key<H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for Key<H> {}

impl<H> std::fmt::Debug for Key<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Address { segment, id } = self.address;
        f.debug_tuple("Key").field(&segment).field(&id.index()).finish()
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
    pub(crate) cap: Option<u32>,
    pub(crate) buckets: Option<Buckets>,
    pub(crate) error: Option<f64>,
    pub(crate) range: Option<(f64, f64)>,
    pub(crate) entries: Option<u32>,
    pub(crate) windows: Vec<u32>,
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

    /// How many combinations of attributes a [`Family`](crate::Family) may have, besides the
    /// one that takes what is beyond. Default: 1,000.
    #[must_use]
    pub fn cap(mut self, combinations: u32) -> Self {
        self.cap = Some(combinations);
        self
    }

    /// The largest relative error of the quantiles of a histogram, from 0.0055 (less is taken
    /// as that) to 0.17. Default: 0.05. Each halving doubles its size.
    #[must_use]
    pub fn error(mut self, error: f64) -> Self {
        self.error = Some(error);
        self
    }

    /// The range of a histogram in which the error holds. Values below and above are counted
    /// too, each in one bucket. Default: 1 to 10^12 for integers, 10^-6 to 10^6 for floats,
    /// 100 ns to an hour for a [`Latency`](crate::Latency), in nanoseconds.
    #[must_use]
    pub fn range(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }

    /// The buckets of a histogram, instead of error and range.
    #[must_use]
    pub fn buckets(mut self, buckets: Buckets) -> Self {
        self.buckets = Some(buckets);
        self
    }

    /// How many lines [`Events`](crate::Events) keep for each thread, rounded up to a power of
    /// two less one. Default: 63.
    #[must_use]
    pub fn entries(mut self, entries: u32) -> Self {
        self.entries = Some(entries);
        self
    }

    /// The windows of a [`Rate`](crate::Rate): 1 to 8 numbers of seconds. Default: 60, 300
    /// and 900.
    #[must_use]
    pub fn windows(mut self, seconds: impl IntoIterator<Item = u32>) -> Self {
        self.windows = seconds.into_iter().collect();
        self
    }

    pub(crate) fn kind(mut self, kind: Kind) -> Self {
        self.kind = Some(kind);
        self
    }
}

/// Fields declared one by one, or by `#[derive(Stats)]`.
///
/// Mistakes (a label twice, a text that is too long) are reported when the publisher
/// starts, so that declaring needs no error handling.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    pub(crate) items: Vec<Item>,
    pub(crate) families: Vec<Declared>,
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

    /// Declares a family: fields of one label that differ in the values of the attributes
    /// `labels` and are made when they are first asked for.
    pub fn add_family<H: Field, const N: usize>(
        &mut self,
        label: impl Into<String>,
        labels: [&str; N],
        options: FieldOptions,
    ) -> FamilyKey<H, N> {
        let (mut declared, overflow) = Declared::new::<H, N>(label.into(), &labels, options);
        declared.overflow = self.push::<H>(overflow).address;
        let key = FamilyKey::new(self.families.len());
        self.families.push(declared);
        key
    }

    fn push<H>(&mut self, item: Item) -> Key<H> {
        let id = FieldId::from_index(self.fields);
        self.fields = self.fields.saturating_add(item.count());
        self.items.push(item);
        Key::new(Address { segment: 0, id })
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

    /// The room for all fields, or the first mistake in one.
    pub(crate) fn measure(&self, lanes: u32) -> Result<Geometry, Error> {
        let mut geometry = Geometry::new(lanes);
        let mut recent = Recent::new();
        for item in &self.items {
            item.measure(&mut geometry).map_err(|error| item.refused(error))?;
            for field in item.fields() {
                geometry.share(&mut recent, field.unit());
                geometry.share(&mut recent, field.help());
            }
        }
        self.families.iter().try_for_each(Declared::check)?;
        Ok(geometry)
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
    use crate::{Counter, Info};

    #[test]
    fn mistakes_are_named() {
        let mut schema = Schema::new();
        schema.add::<Counter>("a", FieldOptions::new().attribute("code", "200"));
        schema.add::<Counter>("a", FieldOptions::new().attribute("code", "500"));
        assert!(schema.measure(1).is_ok());
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
