//! The metrics of the facade: each update goes to the handle of its thread.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use metrics::{CounterFn, GaugeFn, HistogramFn};
use mmstats::{Counter, Field, FieldOptions, Histogram, Kind, Registry, SharedGauge};

use crate::cache::{self, Cache, Metrics};
use crate::fields::{Edit, Fields, FieldsByName, Metric, Settings, ThreadField};

/// The members of [`Metric`] that choose by the type of the metric.
macro_rules! members {
    ($kind:ident, $suffix:literal, $all:ident) => {
        const KIND: Kind = Kind::$kind;
        const SUFFIX: &'static str = $suffix;

        fn fields(fields: &mut Fields) -> &mut FieldsByName<Self::Field> {
            &mut fields.$all
        }

        fn edit(settings: &Settings) -> &Edit<Self::Handle> {
            &*settings.$all
        }

        fn noop() -> Self {
            Self::noop()
        }

        #[inline]
        fn cached(cache: &Cache) -> &Metrics<Self, Self::Handle> {
            &cache.$all
        }

        fn cached_mut(cache: &mut Cache) -> &mut Metrics<Self, Self::Handle> {
            &mut cache.$all
        }
    };
}

impl Metric for metrics::Counter {
    type Handle = Counter;
    type Field = Arc<ThreadField<Counter>>;

    members!(Counter, "counter", counters);

    fn new(recorder: u64, registry: &Weak<Registry>, field: Self::Field) -> Self {
        Self::from_arc(ThreadMetric::new(recorder, registry, field))
    }
}

impl Metric for metrics::Gauge {
    type Handle = SharedGauge<f64>;
    type Field = SharedGauge<f64>;

    members!(Gauge, "gauge", gauges);

    fn new(_recorder: u64, _registry: &Weak<Registry>, field: Self::Field) -> Self {
        Self::from_arc(Arc::new(ProgramGauge(field)))
    }
}

impl Metric for metrics::Histogram {
    type Handle = Histogram<f64>;
    type Field = Arc<ThreadField<Histogram<f64>>>;

    members!(Histogram, "histogram", histograms);

    fn options() -> FieldOptions<Histogram<f64>> {
        FieldOptions::new().range(1e-6, 1e9)
    }

    fn new(recorder: u64, registry: &Weak<Registry>, field: Self::Field) -> Self {
        Self::from_arc(ThreadMetric::new(recorder, registry, field))
    }
}

/// A counter or histogram of the facade.
struct ThreadMetric<M: Metric> {
    recorder: u64,
    /// Attaches the handles of further threads, while the recorder exists.
    registry: Weak<Registry>,
    field: Arc<ThreadField<M::Handle>>,
}

impl<M: Metric<Handle: Field>> ThreadMetric<M> {
    fn new(
        recorder: u64,
        registry: &Weak<Registry>,
        field: Arc<ThreadField<M::Handle>>,
    ) -> Arc<Self> {
        Arc::new(Self { recorder, registry: registry.clone(), field })
    }

    /// Calls `update` with this thread's handle.
    #[inline]
    fn with(&self, update: impl Fn(&M::Handle)) {
        let number = self.field.number;
        let done = cache::read(self.recorder, |cache| M::cached(cache).handle(number).map(&update));
        if done.is_none() {
            self.attach(&update);
        }
    }

    /// The first update on a thread, and updates while it ends.
    #[cold]
    #[inline(never)]
    fn attach(&self, update: &impl Fn(&M::Handle)) {
        // Without room in the field's file the update is lost; the publisher reports why.
        let Some(registry) = self.registry.upgrade() else { return };
        let Ok(handle) = registry.with(|lane| lane.attach(self.field.key)) else { return };
        update(&handle);
        cache::write(self.recorder, &self.registry, |cache| {
            M::cached_mut(cache).insert_handle(self.field.number, handle);
        });
    }
}

impl CounterFn for ThreadMetric<metrics::Counter> {
    #[inline]
    fn increment(&self, value: u64) {
        self.with(|counter| counter.add(value));
    }

    /// Adds the part of `value` above the largest one so far. So the counter never goes back
    /// when threads report out of order, and increments are kept.
    fn absolute(&self, value: u64) {
        let before = self.field.largest.fetch_max(value, Ordering::Relaxed);
        if value > before {
            self.increment(value - before);
        }
    }
}

impl HistogramFn for ThreadMetric<metrics::Histogram> {
    #[inline]
    fn record(&self, value: f64) {
        self.with(|histogram| histogram.record(value));
    }

    fn record_many(&self, value: f64, count: usize) {
        self.with(|histogram| (0..count).for_each(|_| histogram.record(value)));
    }
}

/// A gauge of the facade: one value for the whole program, the last one set.
struct ProgramGauge(SharedGauge<f64>);

impl GaugeFn for ProgramGauge {
    fn increment(&self, value: f64) {
        self.0.add(value);
    }

    fn decrement(&self, value: f64) {
        self.0.sub(value);
    }

    fn set(&self, value: f64) {
        self.0.set(value);
    }
}
