//! What belongs to the whole program instead of one thread.

use std::sync::{Arc, Weak};

use crate::backend::Mapping;
use mmstats_core as core;
use mmstats_core::{Kept, Region};

use crate::error::Error;
use crate::lane::Claim;
use crate::parts::Shared;

/// What a handle of the whole program keeps alive: the mapping, and the claim on the lane that
/// all such handles of a publisher have in common.
pub type CommonKeep = Arc<Kept<Arc<Mapping>, Claim>>;

/// A scalar of the whole program instead of one for each thread: the last `set` wins.
///
/// For what several threads replace, and no sum over threads can show: the number of the
/// configuration in use, the address of the current leader. It is `Send`, `Sync` and `Clone`.
/// `set` is a plain store; `add` and `sub` are one read-modify-write, the only ones in this
/// crate: threads that do it at a high rate wait for each other. See
/// [`Publisher::shared`](crate::Publisher::shared).
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
pub type SharedGauge<T> = core::SharedGauge<T, CommonKeep>;

/// The lane in each segment that belongs to no thread, while somebody has a handle of it.
#[derive(Debug, Default)]
pub(crate) struct Common(Vec<Known>);

/// Number of the segment and of the lane, and what keeps it.
type Known = (usize, u32, Weak<Kept<Arc<Mapping>, Claim>>);

#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
pub(crate) fn add<T: core::ScalarType>(
    shared: &Arc<Shared>,
    label: String,
    options: crate::schema::FieldOptions,
) -> Result<SharedGauge<T>, Error> {
    use crate::fields::{Field, Gauge};
    let address = shared.add(Gauge::<T>::item(label, options))?;
    let lane = claim(shared, address.segment as usize)?.open()?;
    SharedGauge::attach(&lane, address.id).map_err(Error::Attach)
}

/// A lane of a segment that no thread owns: for what any thread may write, each field of which
/// is written by one at a time.
#[derive(Debug)]
pub(crate) struct CommonLane {
    keep: CommonKeep,
    index: u32,
}

impl CommonLane {
    /// The lane for this thread: like all that writes, it stays there.
    pub(crate) fn open(&self) -> Result<core::Lane<CommonKeep>, Error> {
        let region = Region::new(Arc::clone(&self.keep));
        let region = region.map_err(|e| Error::Image(e.to_string()))?;
        Ok(core::Lane::new(region, self.index))
    }
}

/// The lane of a segment that all such fields have in common; the first claims it.
pub(crate) fn claim(shared: &Arc<Shared>, segment: usize) -> Result<CommonLane, Error> {
    let find = || {
        let state = shared.lock();
        let mut known = state.common.0.iter().filter(|(of, ..)| *of == segment);
        known.find_map(|(_, index, keep)| Some(CommonLane { keep: keep.upgrade()?, index: *index }))
    };
    if let Some(known) = find() {
        return Ok(known);
    }
    let (claim, index, mapping) = Claim::new(shared, segment, shared.fallback())?;
    let keep = Arc::new(Kept::new(mapping, claim));
    let mut state = shared.lock();
    state.common.0.retain(|(.., keep)| keep.strong_count() > 0);
    state.common.0.push((segment, index, Arc::downgrade(&keep)));
    Ok(CommonLane { keep, index })
}
