//! Gauges of the whole program, which any thread may set.

use std::sync::{Arc, Weak};

use mmstats_core as core;
use mmstats_core::{Kept, Region, ScalarType};
use mmstats_unix::Mapping;

use crate::error::Error;
use crate::fields::{Field, Gauge};
use crate::lane::Claim;
use crate::parts::Shared;
use crate::schema::FieldOptions;

/// What a gauge of the whole program keeps alive: the mapping, and the claim on the lane that
/// all such gauges of a publisher have in common.
pub type CommonKeep = Arc<Kept<Arc<Mapping>, Claim>>;

/// A scalar of the whole program instead of one for each thread: the last `set` wins.
///
/// For what several threads replace, and no sum over threads can show: the number of the
/// configuration in use, the address of the current leader. It is `Send`, `Sync` and `Clone`.
/// `set` is a plain store; `add` and `sub` are one read-modify-write, the only ones in this
/// crate: threads that do it at a high rate wait for each other. See
/// [`Publisher::shared`](crate::Publisher::shared).
pub type SharedGauge<T> = core::SharedGauge<T, CommonKeep>;

/// The lane in each segment that belongs to no thread, while somebody has a handle of it.
#[derive(Debug, Default)]
pub(crate) struct Common(Vec<Known>);

/// Number of the segment and of the lane, and what keeps it.
type Known = (usize, u32, Weak<Kept<Arc<Mapping>, Claim>>);

pub(crate) fn add<T: ScalarType>(
    shared: &Arc<Shared>,
    label: String,
    options: FieldOptions,
) -> Result<SharedGauge<T>, Error> {
    let address = shared.add(Gauge::<T>::item(label, options))?;
    let lane = lane(shared, address.segment as usize)?;
    SharedGauge::attach(&lane, address.id).map_err(Error::Attach)
}

fn lane(shared: &Arc<Shared>, segment: usize) -> Result<core::Lane<CommonKeep>, Error> {
    let find = || {
        let state = shared.lock();
        let mut known = state.common.0.iter().filter(|(of, ..)| *of == segment);
        known.find_map(|(_, index, keep)| Some((*index, keep.upgrade()?)))
    };
    let (index, keep) = match find() {
        Some(known) => known,
        None => {
            let (claim, index, mapping) = Claim::new(shared, segment, shared.fallback())?;
            let keep = Arc::new(Kept::new(mapping, claim));
            let mut state = shared.lock();
            state.common.0.retain(|(.., keep)| keep.strong_count() > 0);
            state.common.0.push((segment, index, Arc::downgrade(&keep)));
            (index, keep)
        }
    };
    let region = Region::new(keep).map_err(|e| Error::Image(e.to_string()))?;
    Ok(core::Lane::new(region, index))
}
