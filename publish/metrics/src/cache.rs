//! The metrics that one thread has used, found without a lock.

use std::cell::RefCell;
use std::sync::Weak;

use hashbrown::HashTable;
use metrics::Key;
use mmstats::Registry;

/// The metrics of one recorder that one thread has used.
pub(crate) struct Cache {
    recorder: u64,
    registry: Weak<Registry>,
    pub(crate) counters: Metrics<metrics::Counter>,
    pub(crate) gauges: Metrics<metrics::Gauge>,
    pub(crate) histograms: Metrics<metrics::Histogram>,
    pub(crate) counter_handles: Handles<mmstats::Counter>,
    pub(crate) histogram_handles: Handles<mmstats::Histogram<f64>>,
}

/// Objects of the facade by key.
///
/// Each thread has objects of its own, because all threads would write the reference count of a
/// shared one.
pub(crate) struct Metrics<M>(HashTable<(Key, M)>);

impl<M: Clone> Metrics<M> {
    #[inline]
    pub(crate) fn find(&self, key: &Key) -> Option<M> {
        let (_, metric) = self.0.find(key.get_hash(), |(known, _)| known == key)?;
        Some(metric.clone())
    }

    pub(crate) fn insert(&mut self, key: &Key, metric: M) {
        let hash = |(key, _): &(Key, M)| key.get_hash();
        self.0.insert_unique(key.get_hash(), (key.to_retained(), metric), hash);
    }
}

/// This thread's handles by number of the field.
pub(crate) struct Handles<H>(Vec<Option<H>>);

impl<H> Handles<H> {
    #[inline]
    pub(crate) fn get(&self, number: usize) -> Option<&H> {
        self.0.get(number)?.as_ref()
    }

    pub(crate) fn insert(&mut self, number: usize, handle: H) {
        if self.0.len() <= number {
            self.0.resize_with(number + 1, || None);
        }
        self.0[number] = Some(handle);
    }
}

impl Cache {
    fn new(recorder: u64, registry: &Weak<Registry>) -> Self {
        Self {
            recorder,
            registry: registry.clone(),
            counters: Metrics(HashTable::new()),
            gauges: Metrics(HashTable::new()),
            histograms: Metrics(HashTable::new()),
            counter_handles: Handles(Vec::new()),
            histogram_handles: Handles(Vec::new()),
        }
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
        let mut cache = Cache::new(recorder, registry);
        write(&mut cache);
        caches.push(cache);
        ended
    });
    // Dropped while nothing is borrowed: a destructor may use a metric.
    drop(ended);
}
