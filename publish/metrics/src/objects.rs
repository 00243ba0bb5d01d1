//! Objects of the facade, by key.

use hashbrown::HashTable;
use metrics::Key;

/// Objects of the facade.
#[derive(Default)]
pub(crate) struct Objects {
    pub(crate) counters: ObjectTable<metrics::Counter>,
    pub(crate) gauges: ObjectTable<metrics::Gauge>,
    pub(crate) histograms: ObjectTable<metrics::Histogram>,
}

/// Objects of one type, by key.
pub(crate) struct ObjectTable<M>(HashTable<(Key, M)>);

impl<M> Default for ObjectTable<M> {
    fn default() -> Self {
        Self(HashTable::new())
    }
}

impl<M: Clone> ObjectTable<M> {
    #[inline]
    pub(crate) fn get(&self, key: &Key) -> Option<M> {
        let (_, metric) = self.0.find(key.get_hash(), |(known, _)| known == key)?;
        Some(metric.clone())
    }

    pub(crate) fn insert(&mut self, key: &Key, metric: M) {
        let hash = |(key, _): &(Key, M)| key.get_hash();
        self.0.insert_unique(key.get_hash(), (key.to_retained(), metric), hash);
    }
}
