//! The fields of all metrics of a recorder, by name.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};

use hashbrown::HashMap;
use metrics::{Key, Level};
use mmstats::{Counter, Error, Field, FieldOptions, Histogram, Kind, Registry, SharedGauge};

use crate::cache::{Cache, Metrics};
use crate::naming::{Description, Name};

/// Maximum number of names of metrics: names made of data must not fill the memory.
const MAX_NAMES: usize = 10_000;

/// The fields of all metrics.
#[derive(Default)]
pub(crate) struct Fields {
    descriptions: HashMap<(Kind, String), Description>,
    /// Number of fields of each name.
    combinations: HashMap<(Kind, String), usize>,
    pub(crate) counters: FieldsByName<Arc<ThreadField<Counter>>>,
    pub(crate) gauges: FieldsByName<SharedGauge<f64>>,
    pub(crate) histograms: FieldsByName<Arc<ThreadField<Histogram<f64>>>>,
    refused: Option<mmstats::Key<Counter>>,
}

/// The fields of one kind; `None` where the publisher refused the field.
pub(crate) type FieldsByName<F> = HashMap<Name, Option<F>>;

/// A field with a value for each thread.
pub(crate) struct ThreadField<H> {
    /// Its number among those of its kind.
    pub(crate) number: usize,
    pub(crate) key: mmstats::Key<H>,
    /// The largest value given to `absolute`.
    pub(crate) largest: AtomicU64,
}

/// The field of a metric, for handles of type `H`.
pub(crate) trait MetricField<H>: Clone {
    /// Adds a field; `number` is its number among those of its kind.
    fn add(
        registry: &Registry,
        label: String,
        options: FieldOptions<H>,
        number: usize,
    ) -> Result<Self, Error>;
}

impl<H: Field> MetricField<H> for Arc<ThreadField<H>> {
    fn add(
        registry: &Registry,
        label: String,
        options: FieldOptions<H>,
        number: usize,
    ) -> Result<Self, Error> {
        let key = registry.add(label, options)?;
        Ok(Self::new(ThreadField { number, key, largest: AtomicU64::new(0) }))
    }
}

impl MetricField<Self> for SharedGauge<f64> {
    fn add(
        registry: &Registry,
        label: String,
        options: FieldOptions<Self>,
        _number: usize,
    ) -> Result<Self, Error> {
        registry.shared(label, options)
    }
}

/// A type of metric of the facade.
pub(crate) trait Metric: Clone {
    const KIND: Kind;
    /// Suffix of the label where a metric of another kind has the name.
    const SUFFIX: &'static str;
    type Handle: 'static;
    type Field: MetricField<Self::Handle>;

    fn fields(fields: &mut Fields) -> &mut FieldsByName<Self::Field>;

    /// Options of a field without a description.
    fn options() -> FieldOptions<Self::Handle> {
        FieldOptions::new()
    }

    fn edit(settings: &Settings) -> &Edit<Self::Handle>;

    /// The metric with this field.
    fn new(recorder: u64, registry: &Weak<Registry>, field: Self::Field) -> Self;

    /// A metric that ignores updates.
    fn noop() -> Self;

    fn cached(cache: &Cache) -> &Metrics<Self, Self::Handle>;
    fn cached_mut(cache: &mut Cache) -> &mut Metrics<Self, Self::Handle>;
}

/// The field of a metric.
pub(crate) struct Lookup<F> {
    /// `None` where the publisher refused it.
    pub(crate) field: Option<F>,
    /// Whether later lookups of the metric give the same field.
    pub(crate) remember: bool,
}

/// Changes the options of a field, given the name of the metric.
pub(crate) type Edit<H> = dyn Fn(&str, FieldOptions<H>) -> FieldOptions<H> + Send + Sync;

/// Settings of a recorder.
pub(crate) struct Settings {
    /// Caches of threads hold weak references to it.
    pub(crate) registry: Arc<Registry>,
    /// Maximum number of combinations of labels of a name.
    pub(crate) cap: usize,
    pub(crate) counters: Box<Edit<Counter>>,
    pub(crate) gauges: Box<Edit<SharedGauge<f64>>>,
    pub(crate) histograms: Box<Edit<Histogram<f64>>>,
}

impl Fields {
    /// Remembers the description of a metric for when its field is made.
    pub(crate) fn describe(&mut self, kind: Kind, name: &str, description: Description) {
        let name = (kind, name.to_owned());
        if self.descriptions.len() < MAX_NAMES || self.descriptions.contains_key(&name) {
            self.descriptions.insert(name, description);
        }
    }

    /// The field of a metric; added if there is none and the limits allow it.
    pub(crate) fn find<M: Metric>(
        &mut self,
        key: &Key,
        importance: &Level,
        settings: &Settings,
    ) -> Lookup<M::Field> {
        let name = Name::new(key);
        if let Some(field) = M::fields(self).get(&name) {
            return Lookup { field: field.clone(), remember: true };
        }
        let family = (M::KIND, name.label.clone());
        let count = self.combinations.get(&family).copied();
        let (name, remember) = match count {
            None if self.combinations.len() >= MAX_NAMES => {
                self.count_refused(&settings.registry);
                return Lookup { field: None, remember: false };
            }
            count if count.unwrap_or(0) >= settings.cap => (Name::overflow(&name.label), false),
            _ => (name, true),
        };
        // The overflow field, if this is not its first use.
        if let Some(field) = M::fields(self).get(&name) {
            return Lookup { field: field.clone(), remember };
        }
        let options = self.options::<M>(key.name(), importance);
        let options = name.options(M::edit(settings)(key.name(), options));
        let field = self.add::<M>(&name, &options, &settings.registry).ok();
        if field.is_none() {
            self.count_refused(&settings.registry);
        }
        *self.combinations.entry(family).or_default() += 1;
        M::fields(self).insert(name, field.clone());
        Lookup { field, remember }
    }

    fn options<M: Metric>(&self, name: &str, importance: &Level) -> FieldOptions<M::Handle> {
        let description = self.descriptions.get(&(M::KIND, name.to_owned()));
        description.cloned().unwrap_or_default().options(M::options(), importance)
    }

    fn add<M: Metric>(
        &mut self,
        name: &Name,
        options: &FieldOptions<M::Handle>,
        registry: &Registry,
    ) -> Result<M::Field, Error> {
        let number = M::fields(self).len();
        let add = |label| M::Field::add(registry, label, options.clone(), number);
        add(name.label.clone()).or_else(|error| match error {
            // A metric of another kind, or a field of the program's own, has the name.
            Error::Duplicate { .. } => add(name.with_suffix(M::SUFFIX).label),
            error => Err(error),
        })
    }

    /// Counts a metric without a field, in the field `metrics.refused`.
    fn count_refused(&mut self, registry: &Registry) {
        let key = match self.refused {
            Some(key) => key,
            None => {
                let help = "Metrics that could not be given a field.";
                let options = FieldOptions::new().help(help);
                // Without room for this field the publisher counts the refusals.
                let Ok(key) = registry.add::<Counter>("metrics.refused", options) else { return };
                *self.refused.insert(key)
            }
        };
        let _ = registry.with(|lane| lane.attach(key).map(|refused| refused.incr()));
    }
}
