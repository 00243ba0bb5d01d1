//! What a thread knows of the metrics that it has used: found without a lock.

use std::cell::RefCell;
use std::sync::Weak;

use hashbrown::HashTable;
use metrics::Key;
use mmstats::Registry;

/// What a thread knows of one recorder.
pub(crate) struct Cache {
    /// The recorder.
    id: u64,
    registry: Weak<Registry>,
    pub(crate) counters: Of<metrics::Counter, mmstats::Counter>,
    pub(crate) gauges: Of<metrics::Gauge, ()>,
    pub(crate) histograms: Of<metrics::Histogram, mmstats::Histogram<f64>>,
}

/// What it knows of metrics of one kind: the facade's objects by key, and its own handles by
/// number of the field.
///
/// The objects are this thread's own: counting the references to a common one would be the
/// contention that lanes are there to avoid.
pub(crate) struct Of<M, H> {
    table: HashTable<(Key, M)>,
    handles: Vec<Option<H>>,
}

impl<M, H> Default for Of<M, H> {
    fn default() -> Self {
        Self { table: HashTable::new(), handles: Vec::new() }
    }
}

impl<M: Clone, H> Of<M, H> {
    #[inline]
    pub(crate) fn find(&self, key: &Key) -> Option<M> {
        let (_, known) = self.table.find(key.get_hash(), |(known, _)| known == key)?;
        Some(known.clone())
    }

    pub(crate) fn insert(&mut self, key: &Key, metric: M) {
        let hash = |(key, _): &(Key, M)| key.get_hash();
        self.table.insert_unique(key.get_hash(), (key.to_retained(), metric), hash);
    }

    #[inline]
    pub(crate) fn handle(&self, index: usize) -> Option<&H> {
        self.handles.get(index)?.as_ref()
    }

    pub(crate) fn keep(&mut self, index: usize, handle: H) {
        if self.handles.len() <= index {
            self.handles.resize_with(index + 1, || None);
        }
        self.handles[index] = Some(handle);
    }
}

thread_local! {
    static CACHES: RefCell<Vec<Cache>> = const { RefCell::new(Vec::new()) };
}

/// Looks something up in this thread's cache for recorder `id`. `None` also while the thread
/// ends.
#[inline]
pub(crate) fn look<R>(id: u64, work: impl FnOnce(&Cache) -> Option<R>) -> Option<R> {
    let found = CACHES.try_with(|caches| {
        let caches = caches.try_borrow().ok()?;
        work(caches.iter().find(|cache| cache.id == id)?)
    });
    found.ok()?
}

/// Changes this thread's cache for recorder `id`, which is made if there is none.
pub(crate) fn change(id: u64, registry: &Weak<Registry>, work: impl FnOnce(&mut Cache)) {
    let gone = CACHES.try_with(|caches| {
        let Ok(mut caches) = caches.try_borrow_mut() else { return Vec::new() };
        if let Some(cache) = caches.iter_mut().find(|cache| cache.id == id) {
            work(cache);
            return Vec::new();
        }
        // Those of recorders that are gone keep files mapped.
        let gone = caches.extract_if(.., |cache| cache.registry.strong_count() == 0).collect();
        let mut cache = Cache {
            id,
            registry: registry.clone(),
            counters: Of::default(),
            gauges: Of::default(),
            histograms: Of::default(),
        };
        work(&mut cache);
        caches.push(cache);
        gone
    });
    // Only now, while nothing is borrowed.
    drop(gone);
}
