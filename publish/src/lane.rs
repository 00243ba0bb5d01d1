//! The lane of one thread.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::backend::Mapping;
use mmstats_core as core;
use mmstats_core::{Kept, Region};

use crate::error::Error;
use crate::family::FamilyKey;
use crate::fields::{Field, Gauge};
use crate::local::Local;
use crate::parts::{Closer, Fallback, Shared};
use crate::schema::Key;
use crate::segment::Address;
use crate::series::Family;

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

impl Claim {
    /// Claims a lane of `segment`; returns its number and memory too.
    pub(crate) fn new(
        shared: &Arc<Shared>,
        segment: usize,
        fallback: Fallback,
    ) -> Result<(Self, u32, Arc<Mapping>), Error> {
        let (part, index, mapping) = shared.claim(segment, fallback)?;
        Ok((Self { shared: Arc::clone(shared), part, index }, index, mapping))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.shared.hand_back(self.part, self.index);
    }
}

/// A thread's own lane: the source of its handles.
///
/// It and its handles stay on the thread that got it. When the last of them is dropped,
/// the lane is handed back, in each file that it has a place in: counters, timers, histograms,
/// averages and events stay for the next thread; gauges, texts and states return to "no value".
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
pub struct Lane(Rc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    fallback: Fallback,
    /// In the first segment.
    first: core::Lane<Keep>,
    /// In the others, claimed when a field there is attached.
    further: RefCell<Vec<Option<core::Lane<Keep>>>>,
    /// Shows the owner's thread id for as long as the lane is owned.
    _tid: Option<Gauge<u64>>,
}

impl Lane {
    pub(crate) fn claim(shared: &Arc<Shared>, fallback: Fallback) -> Result<Self, Error> {
        let first = claim(shared, 0, fallback)?;
        let mut tid = None;
        if let (Some(key), Some(id)) = (shared.tid_key(), crate::backend::process::thread_id()) {
            let gauge = Gauge::<u64>::attach(&first, key.address.id).map_err(Error::Attach)?;
            gauge.set(id);
            tid = Some(gauge);
        }
        let shared = Arc::clone(shared);
        let further = RefCell::default();
        Ok(Self(Rc::new(Inner { shared, fallback, first, further, _tid: tid })))
    }

    /// The lane that this thread has for all that is called with [`Publisher::with`]; the
    /// first call claims it.
    ///
    /// [`Publisher::with`]: crate::Publisher::with
    pub(crate) fn of_thread(shared: &Arc<Shared>, closer: &Arc<Closer>) -> Self {
        thread_local! {
            static LANES: Local<Lane> = const { Local::new() };
        }
        let make = || {
            let claim = || Self::claim(shared, Fallback::Always);
            // A file may be truncated just while a lane in it is claimed; the next one is in
            // another file then.
            claim().or_else(|_| claim()).unwrap_or_else(|error| {
                // Only when the process has no memory left for a private image.
                panic!("no memory for a lane: {error}")
            })
        };
        // When the thread is ending, a lane for this one call.
        LANES
            .try_with(|lanes| lanes.find(shared.id(), closer, make, Self::share))
            .unwrap_or_else(|_| make())
    }

    /// The same lane once more, on the same thread.
    pub(crate) fn share(&self) -> Self {
        Self(Rc::clone(&self.0))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    /// The handle of a field.
    ///
    /// A field that was added at run time may lie in another file; the lane takes room there
    /// when its first handle is made.
    ///
    /// # Errors
    ///
    /// If the key comes from another publisher and does not fit; or if all lanes of a further
    /// file are taken and no other can be opened.
    pub fn attach<H: Field>(&self, key: Key<H>) -> Result<H, Error> {
        let Address { segment, id } = key.address;
        if segment == 0 {
            return H::attach(&self.0.first, id).map_err(Error::Attach);
        }
        let segment = segment as usize;
        let mut further = self.0.further.borrow_mut();
        if let Some(Some(lane)) = further.get(segment) {
            return H::attach(lane, id).map_err(Error::Attach);
        }
        let lane = claim(&self.0.shared, segment, self.0.fallback)?;
        if further.len() <= segment {
            further.resize_with(segment + 1, || None);
        }
        H::attach(further[segment].insert(lane), id).map_err(Error::Attach)
    }

    /// The handles of a family.
    ///
    /// # Errors
    ///
    /// As [`Lane::attach`].
    pub fn family<H: Field, const N: usize>(
        &self,
        key: FamilyKey<H, N>,
    ) -> Result<Family<H, N>, Error> {
        Family::attach(self, key)
    }

    /// The number of the lane within its file: of those with the first fields.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.0.first.index()
    }
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane").field("index", &self.index()).finish_non_exhaustive()
    }
}

fn claim(
    shared: &Arc<Shared>,
    segment: usize,
    fallback: Fallback,
) -> Result<core::Lane<Keep>, Error> {
    let (claim, index, mapping) = Claim::new(shared, segment, fallback)?;
    let keep: Keep = Rc::new(Kept::new(mapping, claim));
    let region = Region::new(keep).map_err(|e| Error::Image(e.to_string()))?;
    Ok(core::Lane::new(region, index))
}
