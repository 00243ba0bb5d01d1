//! The recorder of the facade.

use std::sync::{Arc, OnceLock};

use metrics::{Key, KeyName, Metadata, SetRecorderError, SharedString, Unit};
use mmstats::recorder_support::Inside;
use mmstats::{Counter, FieldOptions, Histogram, Kind, Registry, SharedGauge};

use crate::cache;
use crate::metric::{Metric, Updates};
use crate::naming::Description;
use crate::objects::Objects;
use crate::target::{Loss, Shared, epoch};

/// Publishes metrics as fields of a publisher.
///
/// Several recorders of one publisher share its fields. After a fork, and after the publisher was
/// closed, the recorder continues with the publisher of the program ([`mmstats::global`]), once there
/// is one.
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
    shared: Arc<Shared>,
}

/// The recorder of the program, if it is one of this crate.
static INSTALLED: OnceLock<Arc<Shared>> = OnceLock::new();

/// Whether the recorder of the program is one of this crate.
pub(crate) fn is_installed() -> bool {
    INSTALLED.get().is_some()
}

impl Recorder {
    /// A recorder that publishes through `registry`.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        Self { shared: Shared::new(registry) }
    }

    /// Maximum number of combinations of labels of a metric. Combinations beyond it share one
    /// more field, with the attribute `overflow="true"` alone. Default: 1,000.
    #[must_use]
    pub fn cap(self, combinations: usize) -> Self {
        self.shared.set(|settings| settings.cap = combinations);
        self
    }

    /// Sets the options of counters: `edit` gets the name of a metric and the options from its
    /// description, before its field is made. It must not use metrics itself: they are ignored.
    #[must_use]
    pub fn counters(
        self,
        edit: impl Fn(&str, FieldOptions<Counter>) -> FieldOptions<Counter> + Send + Sync + 'static,
    ) -> Self {
        self.shared.set(|settings| settings.counters = Arc::new(edit));
        self
    }

    /// Sets the options of gauges, as [`Recorder::counters`] does for counters.
    #[must_use]
    pub fn gauges(
        self,
        edit: impl Fn(&str, FieldOptions<SharedGauge<f64>>) -> FieldOptions<SharedGauge<f64>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.shared.set(|settings| settings.gauges = Arc::new(edit));
        self
    }

    /// Sets the options of histograms, their range and error for instance, as
    /// [`Recorder::counters`] does for counters.
    #[must_use]
    pub fn histograms(
        self,
        edit: impl Fn(&str, FieldOptions<Histogram<f64>>) -> FieldOptions<Histogram<f64>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.shared.set(|settings| settings.histograms = Arc::new(edit));
        self
    }

    /// Makes this the recorder of the program. If that is a recorder of this crate whose publisher
    /// belongs to the parent process or was closed, it continues with the publisher and the settings
    /// of this one, and metrics that were made before follow.
    ///
    /// # Errors
    ///
    /// If the program has another recorder already.
    pub fn install(self) -> Result<(), SetRecorderError<Self>> {
        if let Some(installed) = INSTALLED.get()
            && !installed.is_live()
        {
            installed.replace_by(&self.shared);
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        metrics::set_global_recorder(self)?;
        let _ = INSTALLED.set(shared);
        Ok(())
    }

    fn describe(&self, kind: Kind, name: &KeyName, unit: Option<Unit>, help: &str) {
        self.shared.describe(kind, name.as_str(), Description::new(unit, help));
    }

    /// The metric from this thread's cache; otherwise it is made and put there.
    #[inline]
    fn register<M: Metric>(&self, key: &Key, metadata: &Metadata<'_>) -> M {
        let find = |cache: &cache::Cache| M::objects(&cache.objects).get(key);
        match cache::read(self.shared.id, epoch(), find) {
            Some(metric) => metric,
            None => self.make(key, metadata),
        }
    }

    #[cold]
    fn make<M: Metric>(&self, key: &Key, metadata: &Metadata<'_>) -> M {
        if Inside::is_entered() {
            self.shared.lose(Loss::Update, 1);
            return M::noop();
        }
        let level = *metadata.level();
        let Some((current, found)) = self.shared.find::<M::Field>(key, &level) else {
            // Not kept: the names of metrics without a field have no limit.
            return M::noop();
        };
        let now = current.epoch;
        let _inside = Inside::enter();
        // An ending thread has no cache. What it makes must not be freed by it: an allocator that
        // counts would make it again.
        let of_ending = |objects: &mut Objects| M::objects(objects).get(key);
        let is_ending = !cache::write(self.shared.id, now, &Arc::downgrade(&self.shared), |_| ());
        if is_ending && let Some(metric) = self.shared.with_objects(of_ending) {
            return metric;
        }
        let metric = M::new(Arc::new(Updates::new(&self.shared, now, key, level, &found)));
        if is_ending {
            let insert = |objects: &mut Objects| {
                M::objects_mut(objects).insert(key, metric.clone());
            };
            self.shared.with_objects(insert);
        } else if found.stays {
            cache::write(self.shared.id, now, &Arc::downgrade(&self.shared), |cache| {
                M::objects_mut(&mut cache.objects).insert(key, metric.clone());
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
        f.debug_struct("Recorder").field("id", &self.shared.id).finish_non_exhaustive()
    }
}
