//! The metrics that one thread has used, found without a lock.

use std::cell::RefCell;
use std::sync::Weak;

use hashbrown::HashTable;
use metrics::Key;
use mmstats::{Registry, SharedGauge};

/// The metrics of one recorder that one thread has used.
pub(crate) struct Cache {
    recorder: u64,
    registry: Weak<Registry>,
    pub(crate) counters: Metrics<metrics::Counter, mmstats::Counter>,
    pub(crate) gauges: Metrics<metrics::Gauge, SharedGauge<f64>>,
    pub(crate) histograms: Metrics<metrics::Histogram, mmstats::Histogram<f64>>,
}

/// The metrics of one type.
pub(crate) struct Metrics<M, H> {
    /// Objects of the facade by key.
    ///
    /// Each thread has objects of its own, because all threads would write the reference count
    /// of a shared one.
    objects: HashTable<(Key, M)>,
    /// This thread's handles by number of the field; none for gauges, which have no lanes.
    handles: Vec<Option<H>>,
}

impl<M: Clone, H> Metrics<M, H> {
    const fn new() -> Self {
        Self { objects: HashTable::new(), handles: Vec::new() }
    }

    #[inline]
    pub(crate) fn object(&self, key: &Key) -> Option<M> {
        let (_, metric) = self.objects.find(key.get_hash(), |(known, _)| known == key)?;
        Some(metric.clone())
    }

    pub(crate) fn insert_object(&mut self, key: &Key, metric: M) {
        let hash = |(key, _): &(Key, M)| key.get_hash();
        self.objects.insert_unique(key.get_hash(), (key.to_retained(), metric), hash);
    }

    #[inline]
    pub(crate) fn handle(&self, number: usize) -> Option<&H> {
        self.handles.get(number)?.as_ref()
    }

    pub(crate) fn insert_handle(&mut self, number: usize, handle: H) {
        if self.handles.len() <= number {
            self.handles.resize_with(number + 1, || None);
        }
        self.handles[number] = Some(handle);
    }
}

thread_local! {
    static CACHES: RefCell<Vec<Cache>> = const { RefCell::new(Vec::new()) };
}

/// Calls `read` with this thread's cache of a recorder. `None` if there is none, and while the
/// thread ends.
#[inline]
pub(crate) fn read<R>(recorder: u64, read: impl FnOnce(&Cache) -> Option<R>) -> Option<R> {
    let result = CACHES.try_with(|caches| {
        let caches = caches.try_borrow().ok()?;
        read(caches.iter().find(|cache| cache.recorder == recorder)?)
    });
    result.ok()?
}

/// Calls `write` with this thread's cache of a recorder, which is made if there is none. Does
/// nothing while the thread ends.
pub(crate) fn write(recorder: u64, registry: &Weak<Registry>, write: impl FnOnce(&mut Cache)) {
    let ended = CACHES.try_with(|caches| {
        let Ok(mut caches) = caches.try_borrow_mut() else { return Vec::new() };
        if let Some(cache) = caches.iter_mut().find(|cache| cache.recorder == recorder) {
            write(cache);
            return Vec::new();
        }
        // The handles of ended recorders keep files mapped.
        let ended = caches.extract_if(.., |cache| cache.registry.strong_count() == 0).collect();
        let mut cache = Cache {
            recorder,
            registry: registry.clone(),
            counters: Metrics::new(),
            gauges: Metrics::new(),
            histograms: Metrics::new(),
        };
        write(&mut cache);
        caches.push(cache);
        ended
    });
    // Dropped while nothing is borrowed: a destructor may use a metric.
    drop(ended);
}
