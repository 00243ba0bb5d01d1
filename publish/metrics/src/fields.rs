//! The fields of all metrics of a publisher, by identity.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use hashbrown::{HashMap, HashSet};
use metrics::{Key, Level};
use mmstats::{Counter, Error, FieldOptions, Histogram, Kind, Registry, SharedGauge};

use crate::naming::{Description, FieldName, Identity};

/// Maximum number of names of metrics, and of combinations that an overflow field tells apart: names
/// made of data must not fill the memory.
const MAX_NAMES: usize = 10_000;
/// Maximum number of refused names that are told apart. Of further ones each use counts.
const MAX_REFUSED: usize = 10 * MAX_NAMES;

/// Descriptions by kind and name of their metrics.
type Descriptions = HashMap<(Kind, String), Description>;

/// The fields of all metrics of a publisher. Recorders of one publisher share them.
#[derive(Default)]
pub(crate) struct Fields {
    descriptions: Descriptions,
    /// Number of fields of each name, and the description that they were made with.
    families: HashMap<(Kind, String), (usize, Description)>,
    /// Hashes of the names beyond the limit of `families`.
    refused: HashSet<u64>,
    pub(crate) counters: FieldsOfKind<mmstats::Key<Counter>>,
    pub(crate) gauges: FieldsOfKind<SharedGauge<f64>>,
    pub(crate) histograms: FieldsOfKind<mmstats::Key<Histogram<f64>>>,
    /// The largest values given to `absolute` by combinations that share an overflow field.
    largest: HashMap<Identity, Arc<AtomicU64>>,
}

/// The fields of one kind; `None` where the publisher refused the field.
pub(crate) struct FieldsOfKind<F> {
    by_identity: HashMap<Identity, Option<Found<F>>>,
    /// Fields of combinations beyond the cap, by name of the metric.
    overflow: HashMap<String, Option<Found<F>>>,
    /// Number of the next field.
    next: u32,
}

impl<F> Default for FieldsOfKind<F> {
    fn default() -> Self {
        Self { by_identity: HashMap::new(), overflow: HashMap::new(), next: 0 }
    }
}

/// The field of a metric.
#[derive(Clone)]
pub(crate) struct Found<F> {
    /// Its number among those of its kind.
    pub(crate) number: u32,
    pub(crate) field: F,
    /// The largest value that this metric was given by `absolute`.
    /// `None` for the field of an overflow: see [`Fields::largest`].
    pub(crate) largest: Option<Arc<AtomicU64>>,
    /// Whether later searches for the metric find the same field.
    pub(crate) stays: bool,
}

/// The field of a kind, and how it is added.
pub(crate) trait MetricField: Clone {
    const KIND: Kind;
    type Handle: 'static;

    /// Options of a field with this description.
    fn options(_description: &Description) -> FieldOptions<Self::Handle> {
        FieldOptions::new()
    }

    fn edit(settings: &Settings) -> &Edit<Self::Handle>;

    fn fields(fields: &mut Fields) -> &mut FieldsOfKind<Self>;

    fn add(
        registry: &Registry,
        label: &str,
        options: FieldOptions<Self::Handle>,
    ) -> Result<Self, Error>;
}

impl MetricField for mmstats::Key<Counter> {
    const KIND: Kind = Kind::Counter;
    type Handle = Counter;

    fn edit(settings: &Settings) -> &Edit<Counter> {
        &*settings.counters
    }

    fn fields(fields: &mut Fields) -> &mut FieldsOfKind<Self> {
        &mut fields.counters
    }

    fn add(
        registry: &Registry,
        label: &str,
        options: FieldOptions<Counter>,
    ) -> Result<Self, Error> {
        registry.add(label, options)
    }
}

impl MetricField for SharedGauge<f64> {
    const KIND: Kind = Kind::Gauge;
    type Handle = Self;

    fn edit(settings: &Settings) -> &Edit<Self> {
        &*settings.gauges
    }

    fn fields(fields: &mut Fields) -> &mut FieldsOfKind<Self> {
        &mut fields.gauges
    }

    fn add(registry: &Registry, label: &str, options: FieldOptions<Self>) -> Result<Self, Error> {
        registry.shared(label, options)
    }
}

impl MetricField for mmstats::Key<Histogram<f64>> {
    const KIND: Kind = Kind::Histogram;
    type Handle = Histogram<f64>;

    fn options(description: &Description) -> FieldOptions<Histogram<f64>> {
        let (low, high) = description.range();
        FieldOptions::new().range(low, high)
    }

    fn edit(settings: &Settings) -> &Edit<Histogram<f64>> {
        &*settings.histograms
    }

    fn fields(fields: &mut Fields) -> &mut FieldsOfKind<Self> {
        &mut fields.histograms
    }

    fn add(
        registry: &Registry,
        label: &str,
        options: FieldOptions<Histogram<f64>>,
    ) -> Result<Self, Error> {
        registry.add(label, options)
    }
}

/// Changes the options of a field, given the name of the metric.
pub(crate) type Edit<H> = dyn Fn(&str, FieldOptions<H>) -> FieldOptions<H> + Send + Sync;

/// Settings of a recorder.
#[derive(Clone)]
pub(crate) struct Settings {
    /// Maximum number of combinations of labels of a name.
    pub(crate) cap: usize,
    pub(crate) counters: Arc<Edit<Counter>>,
    pub(crate) gauges: Arc<Edit<SharedGauge<f64>>>,
    pub(crate) histograms: Arc<Edit<Histogram<f64>>>,
}

impl Fields {
    /// Remembers the description of a metric for when its fields are made. `false` if the metric has
    /// fields that were made with another one, or there are too many descriptions.
    pub(crate) fn describe(&mut self, kind: Kind, name: &str, description: Description) -> bool {
        let name = (kind, name.to_owned());
        if let Some((_, made_with)) = self.families.get(&name) {
            return *made_with == description;
        }
        if self.descriptions.len() >= MAX_NAMES && !self.descriptions.contains_key(&name) {
            return false;
        }
        self.descriptions.insert(name, description);
        true
    }

    /// The descriptions of metrics, also of those that have no field yet.
    pub(crate) fn descriptions(&self) -> &Descriptions {
        &self.descriptions
    }

    /// Takes descriptions over from another publisher. Those given for this one stay.
    pub(crate) fn inherit(&mut self, descriptions: Descriptions) {
        for (name, description) in descriptions {
            if self.descriptions.len() < MAX_NAMES && !self.families.contains_key(&name) {
                self.descriptions.entry(name).or_insert(description);
            }
        }
    }

    /// The field of a metric; added if there is none and the limits allow it. `Err` if there is none.
    pub(crate) fn find<F: MetricField>(
        &mut self,
        key: &Key,
        importance: &Level,
        settings: &Settings,
        registry: &Registry,
    ) -> Result<Found<F>, Refused> {
        let identity = Identity::new(key);
        if let Some(found) = F::fields(self).by_identity.get(&identity) {
            return found.clone().ok_or(Refused { counts: false });
        }
        let family = (F::KIND, identity.name.clone());
        let count = self.families.get(&family).map(|(count, _)| *count);
        if count.is_none() && self.families.len() >= MAX_NAMES {
            return Err(Refused { counts: self.refuse(&family) });
        }
        if count.unwrap_or(0) >= settings.cap {
            return self.find_overflow(&identity.name, importance, settings, registry);
        }
        let names = identity.field_names(F::KIND.name());
        let found = self.add::<F>(&identity.name, &names, false, importance, settings, registry);
        self.families.get_mut(&family).expect("added above").0 += 1;
        F::fields(self).by_identity.insert(identity, found.clone());
        found.ok_or(Refused { counts: true })
    }

    /// Whether a use of a name beyond the limit counts: the first one does, and each one where names can
    /// no longer be told apart.
    fn refuse(&mut self, family: &(Kind, String)) -> bool {
        let hash = self.families.hasher().hash_one(family);
        if self.refused.len() < MAX_REFUSED {
            return self.refused.insert(hash);
        }
        !self.refused.contains(&hash)
    }

    /// The field that combinations beyond the cap share.
    fn find_overflow<F: MetricField>(
        &mut self,
        metric: &str,
        importance: &Level,
        settings: &Settings,
        registry: &Registry,
    ) -> Result<Found<F>, Refused> {
        if let Some(found) = F::fields(self).overflow.get(metric) {
            return found.clone().ok_or(Refused { counts: false });
        }
        let names = FieldName::overflow(metric, F::KIND.name());
        let found = self.add::<F>(metric, &names, true, importance, settings, registry);
        F::fields(self).overflow.insert(metric.to_owned(), found.clone());
        found.ok_or(Refused { counts: true })
    }

    /// The largest value that a counter was given by `absolute`: of each combination of its own, also
    /// of those that share an overflow field. `None` if there are too many of these.
    pub(crate) fn largest(&mut self, key: &Key) -> Option<Arc<AtomicU64>> {
        let identity = Identity::new(key);
        if let Some(Some(found)) = self.counters.by_identity.get(&identity) {
            return found.largest.clone();
        }
        if self.largest.len() >= MAX_NAMES && !self.largest.contains_key(&identity) {
            return None;
        }
        Some(Arc::clone(self.largest.entry(identity).or_default()))
    }

    /// Adds a field under the first of the names that no other field has.
    fn add<F: MetricField>(
        &mut self,
        metric: &str,
        names: &[FieldName],
        is_overflow: bool,
        importance: &Level,
        settings: &Settings,
        registry: &Registry,
    ) -> Option<Found<F>> {
        let family = (F::KIND, metric.to_owned());
        let description = self.descriptions.get(&family).cloned().unwrap_or_default();
        let options = description.options(F::options(&description), importance);
        let options = F::edit(settings)(metric, options);
        self.families.entry(family).or_insert((0, description));
        for name in names {
            match F::add(registry, &name.label, name.options(options.clone())) {
                Ok(field) => {
                    let next = &mut F::fields(self).next;
                    let number = *next;
                    *next += 1;
                    let largest = (!is_overflow).then(Arc::default);
                    return Some(Found { number, field, largest, stays: !is_overflow });
                }
                // A metric of another kind, or a field of the program's own, has the name.
                Err(Error::Duplicate { .. }) => {}
                Err(_) => return None,
            }
        }
        None
    }
}

/// A metric that has no field.
#[derive(Debug)]
pub(crate) struct Refused {
    /// Whether it counts as one more.
    pub(crate) counts: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_names_are_counted_without_a_limit() {
        let mut fields = Fields::default();
        let mut refuse = |n: usize| fields.refuse(&(Kind::Counter, format!("name.{n}")));
        let many = MAX_REFUSED + 1_000;
        assert_eq!((0..many).filter(|n| refuse(*n)).count(), many);
        assert_eq!((0..MAX_REFUSED).filter(|n| refuse(*n)).count(), 0);
        // These are not told apart.
        assert_eq!((MAX_REFUSED..many).filter(|n| refuse(*n)).count(), 1_000);
    }

    #[test]
    fn description_without_room_is_refused() {
        let mut fields = Fields::default();
        let mut describe =
            |name: &str| fields.describe(Kind::Counter, name, Description::new(None, "Help."));
        assert!((0..MAX_NAMES).all(|n| describe(&format!("name.{n}"))));
        assert!(describe("name.7") && !describe("one more"));
    }
}
