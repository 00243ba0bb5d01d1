//! The facade's objects: where an update finds the handle of its thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use metrics::{CounterFn, GaugeFn, HistogramFn};
use mmstats::{Field, Key, Registry, SharedGauge};

use crate::threads::{self, Cache};

/// A field with a value for each thread.
#[derive(Debug)]
pub(crate) struct Place<H> {
    /// Its number among those of its kind.
    pub(crate) index: usize,
    pub(crate) key: Key<H>,
    /// The largest value that a counter was set to.
    pub(crate) absolute: AtomicU64,
}

/// What the facade holds of such a field.
pub(crate) struct Series<H> {
    /// The recorder.
    pub(crate) id: u64,
    /// Where new threads get their handles, while the recorder is there.
    pub(crate) registry: Weak<Registry>,
    pub(crate) place: Arc<Place<H>>,
}

/// A handle that threads keep.
pub(crate) trait Kept: Field {
    fn get(cache: &Cache, index: usize) -> Option<&Self>;
    fn keep(cache: &mut Cache, index: usize, handle: Self);
}

impl Kept for mmstats::Counter {
    #[inline]
    fn get(cache: &Cache, index: usize) -> Option<&Self> {
        cache.counters.handle(index)
    }

    fn keep(cache: &mut Cache, index: usize, handle: Self) {
        cache.counters.keep(index, handle);
    }
}

impl Kept for mmstats::Histogram<f64> {
    #[inline]
    fn get(cache: &Cache, index: usize) -> Option<&Self> {
        cache.histograms.handle(index)
    }

    fn keep(cache: &mut Cache, index: usize, handle: Self) {
        cache.histograms.keep(index, handle);
    }
}

impl<H: Kept> Series<H> {
    /// Calls `work` with this thread's handle.
    #[inline]
    fn with(&self, work: impl Fn(&H)) {
        let done = threads::look(self.id, |cache| H::get(cache, self.place.index).map(&work));
        if done.is_none() {
            self.first(&work);
        }
    }

    /// The first time on a thread, or while it ends.
    #[cold]
    #[inline(never)]
    fn first(&self, work: &impl Fn(&H)) {
        // Without a place in the field's file there is nothing to update; the publisher says
        // why.
        let Some(registry) = self.registry.upgrade() else { return };
        let Ok(handle) = registry.with(|lane| lane.attach(self.place.key)) else { return };
        work(&handle);
        threads::change(self.id, &self.registry, |cache| H::keep(cache, self.place.index, handle));
    }
}

impl CounterFn for Series<mmstats::Counter> {
    #[inline]
    fn increment(&self, value: u64) {
        self.with(|counter| counter.add(value));
    }

    /// What is above the largest value so far is added. So threads that bring an outside
    /// counter's value never take one back, and what others count besides is not lost.
    fn absolute(&self, value: u64) {
        let before = self.place.absolute.fetch_max(value, Ordering::Relaxed);
        if value > before {
            self.increment(value - before);
        }
    }
}

impl HistogramFn for Series<mmstats::Histogram<f64>> {
    #[inline]
    fn record(&self, value: f64) {
        self.with(|histogram| histogram.record(value));
    }

    fn record_many(&self, value: f64, count: usize) {
        self.with(|histogram| (0..count).for_each(|_| histogram.record(value)));
    }
}

/// A gauge belongs to the program, not to a thread: whoever sets it last is right.
pub(crate) struct Common(pub(crate) SharedGauge<f64>);

impl GaugeFn for Common {
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
