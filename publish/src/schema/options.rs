//! Options of a field.

use mmstats_core::{Aggregation, Buckets, Kind, Level};

use super::value::Value;

/// What can be said of a field besides its label and type.
///
/// ```
/// use mmstats::{Counter, FieldOptions, Schema};
///
/// let mut schema = Schema::new();
/// schema.add::<Counter>(
///     "http.requests",
///     FieldOptions::new().help("Requests served.").attribute("code", "200"),
/// );
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
