//! The metrics of the facade: each update goes to the handle of its thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use metrics::{CounterFn, GaugeFn, HistogramFn, Key, Level};
use mmstats::{Counter, Histogram, Registry, SharedGauge};

use crate::cache::{self, Cache, Handles};
use crate::fields::{Found, MetricField};
use crate::objects::{ObjectTable, Objects};
use crate::target::{Loss, Shared, epoch};

/// A type of metric of the facade.
pub(crate) trait Metric: Clone {
    type Field: MetricField;

    /// The metric that updates the field.
    fn new(updates: Arc<Updates<Self>>) -> Self;

    /// A metric that ignores updates.
    fn noop() -> Self;

    /// This thread's handle.
    fn attach(registry: &Registry, field: &Self::Field) -> Option<Handle<Self>>;

    fn handles(cache: &Cache) -> &Handles<Handle<Self>>;
    fn handles_mut(cache: &mut Cache) -> &mut Handles<Handle<Self>>;
    fn objects(objects: &Objects) -> &ObjectTable<Self>;
    fn objects_mut(objects: &mut Objects) -> &mut ObjectTable<Self>;
}

type Handle<M> = <<M as Metric>::Field as MetricField>::Handle;

/// The members of [`Metric`] that choose by the type of the metric.
macro_rules! members {
    ($all:ident) => {
        fn new(updates: Arc<Updates<Self>>) -> Self {
            Self::from_arc(updates)
        }

        fn noop() -> Self {
            Self::noop()
        }

        #[inline]
        fn handles(cache: &Cache) -> &Handles<Handle<Self>> {
            &cache.$all
        }

        fn handles_mut(cache: &mut Cache) -> &mut Handles<Handle<Self>> {
            &mut cache.$all
        }

        #[inline]
        fn objects(objects: &Objects) -> &ObjectTable<Self> {
            &objects.$all
        }

        fn objects_mut(objects: &mut Objects) -> &mut ObjectTable<Self> {
            &mut objects.$all
        }
    };
}

impl Metric for metrics::Counter {
    type Field = mmstats::Key<Counter>;

    members!(counters);

    fn attach(registry: &Registry, field: &Self::Field) -> Option<Counter> {
        registry.with(|lane| lane.attach(*field)).ok()
    }
}

impl Metric for metrics::Gauge {
    type Field = SharedGauge<f64>;

    members!(gauges);

    fn attach(_registry: &Registry, field: &Self::Field) -> Option<SharedGauge<f64>> {
        Some(field.clone())
    }
}

impl Metric for metrics::Histogram {
    type Field = mmstats::Key<Histogram<f64>>;

    members!(histograms);

    fn attach(registry: &Registry, field: &Self::Field) -> Option<Histogram<f64>> {
        registry.with(|lane| lane.attach(*field)).ok()
    }
}

/// The object behind a metric of the facade.
pub(crate) struct Updates<M: Metric> {
    recorder: u64,
    /// Finds the field again after a fork, while the recorder exists.
    shared: Weak<Shared>,
    key: Key,
    level: Level,
    /// The epoch, and in the low 32 bits the number of the field in it.
    place: AtomicU64,
    /// The epoch in which the metric was made, and the largest value given to `absolute` in it.
    made: u32,
    largest: Option<Arc<AtomicU64>>,
    metric: std::marker::PhantomData<fn() -> M>,
}

fn place(epoch: u32, number: u32) -> u64 {
    u64::from(epoch) << 32 | u64::from(number)
}

impl<M: Metric> Updates<M> {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        epoch: u32,
        key: &Key,
        level: Level,
        found: &Found<M::Field>,
    ) -> Self {
        Self {
            recorder: shared.id,
            shared: Arc::downgrade(shared),
            key: key.to_retained(),
            level,
            place: AtomicU64::new(place(epoch, found.number)),
            made: epoch,
            largest: found.largest.clone(),
            metric: std::marker::PhantomData,
        }
    }

    /// Calls `update` with this thread's handle; `count` is the number of updates in it.
    #[inline]
    fn with(&self, count: u64, update: impl Fn(&Handle<M>)) {
        let now = epoch();
        let place = self.place.load(Ordering::Relaxed);
        #[allow(clippy::cast_possible_truncation)] // The low half.
        let number = place as u32;
        if place >> 32 == u64::from(now) {
            let call = |cache: &Cache| M::handles(cache).get(number).map(&update);
            if cache::read(self.recorder, now, call).is_some() {
                return;
            }
        }
        self.attach(count, &update);
    }

    /// The first update on a thread or after a fork, and updates while the thread ends.
    #[cold]
    #[inline(never)]
    fn attach(&self, count: u64, update: &impl Fn(&Handle<M>)) {
        let Some(shared) = self.shared.upgrade() else { return };
        let found = shared.find::<M::Field>(&self.key, &self.level);
        let handle = found.and_then(|(current, found)| {
            Some((M::attach(&current.registry, &found.field)?, found.number, current.epoch))
        });
        let Some((handle, number, now)) = handle else { return shared.lose(Loss::Update, count) };
        update(&handle);
        cache::write(self.recorder, now, &self.shared, |cache| {
            M::handles_mut(cache).insert(number, handle);
        });
        self.place.store(place(now, number), Ordering::Relaxed);
        shared.publish_losses();
    }
}

impl CounterFn for Updates<metrics::Counter> {
    #[inline]
    fn increment(&self, value: u64) {
        self.with(1, |counter| counter.add(value));
    }

    /// Adds the part of `value` above the largest one of this metric so far. So the counter never
    /// goes back when threads report out of order, and increments are kept.
    fn absolute(&self, value: u64) {
        let before = match &self.largest {
            Some(largest) if self.made == epoch() => largest.fetch_max(value, Ordering::Relaxed),
            _ => {
                let Some(shared) = self.shared.upgrade() else { return };
                let Some(largest) = shared.largest(&self.key, &self.level) else {
                    return shared.lose(Loss::Update, 1);
                };
                largest.fetch_max(value, Ordering::Relaxed)
            }
        };
        if value > before {
            self.increment(value - before);
        }
    }
}

impl HistogramFn for Updates<metrics::Histogram> {
    #[inline]
    fn record(&self, value: f64) {
        self.with(1, |histogram| histogram.record(value));
    }

    fn record_many(&self, value: f64, count: usize) {
        self.with(count as u64, |histogram| histogram.record_many(value, count as u64));
    }
}

/// A gauge of the facade has one value for the whole program, the last one set.
impl GaugeFn for Updates<metrics::Gauge> {
    fn increment(&self, value: f64) {
        self.with(1, |gauge| gauge.add(value));
    }

    fn decrement(&self, value: f64) {
        self.with(1, |gauge| gauge.sub(value));
    }

    fn set(&self, value: f64) {
        self.with(1, |gauge| gauge.set(value));
    }
}
