//! The recorder of the facade.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Key, KeyName, Metadata, SetRecorderError, SharedString, Unit};
use mmstats::recorder_support::Mutex;
use mmstats::{Counter, FieldOptions, Histogram, Kind, Registry, SharedGauge};

use crate::cache;
use crate::fields::{Fields, Metric, Settings};
use crate::naming::Description;

/// Publishes metrics as fields of a publisher.
///
/// ```
/// use mmstats::{Lane, Options};
/// use mmstats_metrics::Recorder;
///
/// let publisher = Options::new().start::<Lane>()?;
/// let recorder = Recorder::new(&publisher.registry()).cap(100).histograms(|name, options| {
///     match name {
///         "body.size" => options.unit("bytes").range(1.0, 1e9).error(0.1),
///         _ => options,
///     }
/// });
/// metrics::with_local_recorder(&recorder, || {
///     metrics::histogram!("body.size").record(1024.0);
/// });
/// # Ok::<(), mmstats::Error>(())
/// ```
pub struct Recorder {
    id: u64,
    settings: Settings,
    /// No other thread holds this lock during a fork. Boxed so that the error of `install`, which
    /// returns the recorder, is small.
    fields: Box<Mutex<Fields>>,
}

/// The next [`Recorder::id`].
static NEXT: AtomicU64 = AtomicU64::new(0);

impl Recorder {
    /// A recorder that publishes through `registry`.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        let settings = Settings {
            registry: Arc::new(registry.clone()),
            cap: 1_000,
            counters: Box::new(|_, options| options),
            gauges: Box::new(|_, options| options),
            histograms: Box::new(|_, options| options),
        };
        Self { id: NEXT.fetch_add(1, Ordering::Relaxed), settings, fields: Box::default() }
    }

    /// Maximum number of combinations of labels of a metric. Combinations beyond it share one
    /// more field, with the attribute `overflow="true"` alone. Default: 1,000.
    #[must_use]
    pub fn cap(mut self, combinations: usize) -> Self {
        self.settings.cap = combinations;
        self
    }

    /// Sets the options of counters: `edit` gets the name of a metric and the options from its
    /// description, before its field is made.
    #[must_use]
    pub fn counters(
        mut self,
        edit: impl Fn(&str, FieldOptions<Counter>) -> FieldOptions<Counter> + Send + Sync + 'static,
    ) -> Self {
        self.settings.counters = Box::new(edit);
        self
    }

    /// Sets the options of gauges, as [`Recorder::counters`] does for counters.
    #[must_use]
    pub fn gauges(
        mut self,
        edit: impl Fn(&str, FieldOptions<SharedGauge<f64>>) -> FieldOptions<SharedGauge<f64>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.settings.gauges = Box::new(edit);
        self
    }

    /// Sets the options of histograms, their range and error for instance, as
    /// [`Recorder::counters`] does for counters.
    #[must_use]
    pub fn histograms(
        mut self,
        edit: impl Fn(&str, FieldOptions<Histogram<f64>>) -> FieldOptions<Histogram<f64>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.settings.histograms = Box::new(edit);
        self
    }

    /// Makes this the recorder of the program.
    ///
    /// # Errors
    ///
    /// If the program has one already.
    pub fn install(self) -> Result<(), SetRecorderError<Self>> {
        metrics::set_global_recorder(self)
    }

    fn describe(&self, kind: Kind, name: &KeyName, unit: Option<Unit>, help: &str) {
        let description = Description::new(unit, help);
        self.fields.lock().describe(kind, name.as_str(), description);
    }

    /// The metric from this thread's cache; otherwise it is made and put there.
    #[inline]
    fn register<M: Metric>(&self, key: &Key, metadata: &Metadata<'_>) -> M {
        match cache::read(self.id, |cache| M::cached(cache).object(key)) {
            Some(metric) => metric,
            None => self.make(key, metadata),
        }
    }

    #[cold]
    fn make<M: Metric>(&self, key: &Key, metadata: &Metadata<'_>) -> M {
        let lookup = self.fields.lock().find::<M>(key, metadata.level(), &self.settings);
        let registry = Arc::downgrade(&self.settings.registry);
        let metric = lookup.field.map_or_else(M::noop, |field| M::new(self.id, &registry, field));
        if lookup.remember {
            cache::write(self.id, &registry, |cache| {
                M::cached_mut(cache).insert_object(key, metric.clone());
            });
        }
        metric
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(Kind::Counter, &key, unit, &description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(Kind::Gauge, &key, unit, &description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(Kind::Histogram, &key, unit, &description);
    }

    #[inline]
    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> metrics::Counter {
        self.register(key, metadata)
    }

    #[inline]
    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> metrics::Gauge {
        self.register(key, metadata)
    }

    #[inline]
    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> metrics::Histogram {
        self.register(key, metadata)
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("registry", &self.settings.registry)
            .finish_non_exhaustive()
    }
}
