//! The metrics that one thread has used, found without a lock.

use std::cell::RefCell;
use std::sync::Weak;

use mmstats::SharedGauge;
use mmstats::recorder_support::Inside;

use crate::objects::Objects;
use crate::target::Shared;

/// The metrics of one recorder that one thread has used.
pub(crate) struct Cache {
    recorder: u64,
    /// The epoch in which the handles were attached.
    epoch: u32,
    shared: Weak<Shared>,
    /// Each thread has objects of its own, because all threads would write the reference count
    /// of a shared one.
    pub(crate) objects: Objects,
    pub(crate) counters: Handles<mmstats::Counter>,
    pub(crate) gauges: Handles<SharedGauge<f64>>,
    pub(crate) histograms: Handles<mmstats::Histogram<f64>>,
}

/// A thread's handles of one type, by number of the field.
pub(crate) struct Handles<H>(Vec<Option<H>>);

impl<H> Handles<H> {
    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<&H> {
        self.0.get(number as usize)?.as_ref()
    }

    pub(crate) fn insert(&mut self, number: u32, handle: H) {
        let number = number as usize;
        if self.0.len() <= number {
            self.0.resize_with(number + 1, || None);
        }
        self.0[number] = Some(handle);
    }
}

thread_local! {
    static CACHES: RefCell<Vec<Cache>> = const { RefCell::new(Vec::new()) };
}

/// Calls `read` with this thread's cache of a recorder. `None` if there is none of this epoch, while
/// it is changed, and while the thread ends.
#[inline]
pub(crate) fn read<R>(
    recorder: u64,
    epoch: u32,
    read: impl FnOnce(&Cache) -> Option<R>,
) -> Option<R> {
    let result = CACHES.try_with(|caches| {
        let caches = caches.try_borrow().ok()?;
        let is_wanted = |cache: &&Cache| cache.recorder == recorder && cache.epoch == epoch;
        read(caches.iter().find(is_wanted)?)
    });
    result.ok()?
}

/// Calls `write` with this thread's cache of a recorder, which is made if there is none of this
/// epoch. `false` while the thread ends, and if this call interrupted a use of the cache.
pub(crate) fn write(
    recorder: u64,
    epoch: u32,
    shared: &Weak<Shared>,
    write: impl FnOnce(&mut Cache),
) -> bool {
    // It allocates: the program's allocator may use a metric.
    let _inside = Inside::enter();
    let ended = CACHES.try_with(|caches| {
        let mut caches = caches.try_borrow_mut().ok()?;
        let is_wanted = |cache: &&mut Cache| cache.recorder == recorder && cache.epoch == epoch;
        if let Some(cache) = caches.iter_mut().find(is_wanted) {
            write(cache);
            return Some(Vec::new());
        }
        // The handles of ended recorders and of earlier publishers keep files mapped.
        let is_ended =
            |cache: &mut Cache| cache.recorder == recorder || cache.shared.strong_count() == 0;
        let ended = caches.extract_if(.., is_ended).collect();
        let mut cache = Cache {
            recorder,
            epoch,
            shared: shared.clone(),
            objects: Objects::default(),
            counters: Handles(Vec::new()),
            gauges: Handles(Vec::new()),
            histograms: Handles(Vec::new()),
        };
        write(&mut cache);
        caches.push(cache);
        Some(ended)
    });
    // The ended caches are dropped here, while nothing is borrowed: a destructor may use a metric.
    matches!(ended, Ok(Some(_)))
}
