//! The objects of the facade: each update goes to the handle of its thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use metrics::{CounterFn, GaugeFn, HistogramFn};
use mmstats::{Field, Key, Registry, SharedGauge};

use crate::cache::{self, Cache, Handles};

/// A field with a value for each thread.
#[derive(Debug)]
pub(crate) struct ThreadField<H> {
    /// Its number among those of its kind.
    number: usize,
    key: Key<H>,
    /// The largest value given to `absolute`.
    largest: AtomicU64,
}

impl<H> ThreadField<H> {
    pub(crate) fn new(number: usize, key: Key<H>) -> Self {
        Self { number, key, largest: AtomicU64::new(0) }
    }
}

/// A counter or histogram of the facade.
pub(crate) struct ThreadMetric<H> {
    recorder: u64,
    /// Attaches the handles of further threads, while the recorder exists.
    registry: Weak<Registry>,
    field: Arc<ThreadField<H>>,
}

/// A handle that a thread's cache keeps.
pub(crate) trait CachedHandle: Field {
    fn handles(cache: &Cache) -> &Handles<Self>;
    fn handles_mut(cache: &mut Cache) -> &mut Handles<Self>;
}

impl CachedHandle for mmstats::Counter {
    #[inline]
    fn handles(cache: &Cache) -> &Handles<Self> {
        &cache.counter_handles
    }

    fn handles_mut(cache: &mut Cache) -> &mut Handles<Self> {
        &mut cache.counter_handles
    }
}

impl CachedHandle for mmstats::Histogram<f64> {
    #[inline]
    fn handles(cache: &Cache) -> &Handles<Self> {
        &cache.histogram_handles
    }

    fn handles_mut(cache: &mut Cache) -> &mut Handles<Self> {
        &mut cache.histogram_handles
    }
}

impl<H: CachedHandle> ThreadMetric<H> {
    pub(crate) fn new(
        recorder: u64,
        registry: &Weak<Registry>,
        field: Arc<ThreadField<H>>,
    ) -> Self {
        Self { recorder, registry: registry.clone(), field }
    }

    /// Calls `update` with this thread's handle.
    #[inline]
    fn with(&self, update: impl Fn(&H)) {
        let number = self.field.number;
        let done = cache::read(self.recorder, |cache| H::handles(cache).get(number).map(&update));
        if done.is_none() {
            self.attach(&update);
        }
    }

    /// The first update on a thread, and updates while it ends.
    #[cold]
    #[inline(never)]
    fn attach(&self, update: &impl Fn(&H)) {
        // Without room in the field's file the update is lost; the publisher reports why.
        let Some(registry) = self.registry.upgrade() else { return };
        let Ok(handle) = registry.with(|lane| lane.attach(self.field.key)) else { return };
        update(&handle);
        cache::write(self.recorder, &self.registry, |cache| {
            H::handles_mut(cache).insert(self.field.number, handle);
        });
    }
}

impl CounterFn for ThreadMetric<mmstats::Counter> {
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

impl HistogramFn for ThreadMetric<mmstats::Histogram<f64>> {
    #[inline]
    fn record(&self, value: f64) {
        self.with(|histogram| histogram.record(value));
    }

    fn record_many(&self, value: f64, count: usize) {
        self.with(|histogram| (0..count).for_each(|_| histogram.record(value)));
    }
}

/// A gauge of the facade: one value for the whole program, the last one set.
pub(crate) struct ProgramGauge(pub(crate) SharedGauge<f64>);

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
