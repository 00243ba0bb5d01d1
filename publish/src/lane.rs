//! The lane of one thread.

use std::rc::Rc;
use std::sync::Arc;

use mmstats_core::{Kept, Region};
use mmstats_unix::Mapping;

use crate::error::Error;
use crate::fields::{Field, Gauge};
use crate::parts::Shared;
use crate::schema::Key;

/// What a handle keeps alive: the mapping, and the claim on the lane.
///
/// It is an `Rc`, so a handle cannot leave its thread; the last one hands the lane back.
pub type Keep = Rc<Kept<Arc<Mapping>, Claim>>;

/// A claim on a lane; dropping it hands the lane back.
#[derive(Debug)]
pub struct Claim {
    shared: Arc<Shared>,
    part: usize,
    index: u32,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.shared.hand_back(self.part, self.index);
    }
}

/// A thread's own lane: the source of its handles.
///
/// It and its handles stay on the thread that got it. When the last of them is dropped,
/// the lane is handed back: counters and timers stay for the next thread, gauges and
/// texts return to "no value".
///
/// ```compile_fail
/// fn needs_send<T: Send>() {}
/// needs_send::<mmstats::Lane>();
/// ```
///
/// ```compile_fail
/// fn needs_send<T: Send>() {}
/// needs_send::<mmstats::Counter>();
/// ```
///
/// ```compile_fail
/// fn needs_sync<T: Sync>() {}
/// needs_sync::<mmstats::Counter>();
/// ```
#[derive(Debug)]
pub struct Lane {
    inner: mmstats_core::Lane<Keep>,
    // Shows the owner's thread id for as long as the lane is owned.
    _tid: Option<Gauge<u64>>,
}

impl Lane {
    pub(crate) fn claim(shared: &Arc<Shared>) -> Result<Self, Error> {
        let (part, index, mapping) = shared.claim()?;
        let claim = Claim { shared: Arc::clone(shared), part, index };
        let keep: Keep = Rc::new(Kept::new(mapping, claim));
        let region = Region::new(keep).map_err(|e| Error::Image(e.to_string()))?;
        let mut lane = Self { inner: mmstats_core::Lane::new(region, index), _tid: None };
        if let (Some(key), Some(id)) = (shared.tid_key(), mmstats_unix::process::thread_id()) {
            let tid: Gauge<u64> = lane.attach(key)?;
            tid.set(id);
            lane._tid = Some(tid);
        }
        Ok(lane)
    }

    /// The same lane once more, on the same thread.
    pub(crate) fn share(&self) -> Self {
        let inner = mmstats_core::Lane::new(self.inner.region().clone(), self.inner.index());
        Self { inner, _tid: self._tid.clone() }
    }

    pub(crate) const fn inner(&self) -> &mmstats_core::Lane<Keep> {
        &self.inner
    }

    /// The handle of a field that was declared in a [`Schema`](crate::Schema).
    ///
    /// # Errors
    ///
    /// If the key comes from the schema of another publisher and does not fit.
    pub fn attach<H: Field>(&self, key: Key<H>) -> Result<H, Error> {
        H::attach(self, key).map_err(Error::Attach)
    }

    /// The number of the lane within its file.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.inner.index()
    }
}
