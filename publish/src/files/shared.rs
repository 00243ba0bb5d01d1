//! Lanes that all threads of the program share.

use std::sync::{Arc, Weak};

use mmstats_core as core;
use mmstats_core::{Guarded, Region};

use crate::backend::Mapping;
use crate::claim::{Claim, ClaimedLane, SharedKeep};
use crate::error::Error;
use crate::sync::Mutex;

/// The shared lane of each segment, while a handle of it exists.
#[derive(Debug, Default)]
pub(crate) struct SharedLanes(Mutex<Vec<Entry>>);

#[derive(Debug)]
struct Entry {
    segment: usize,
    index: u32,
    keep: Weak<Guarded<Arc<Mapping>, Claim>>,
}

impl SharedLanes {
    /// The shared lane of a segment, which `claim` claims if there is none.
    pub(crate) fn find(
        &self,
        segment: usize,
        claim: impl FnOnce() -> Result<ClaimedLane, Error>,
    ) -> Result<SharedLane, Error> {
        let known = |entry: &Entry| {
            let keep = (entry.segment == segment).then(|| entry.keep.upgrade())??;
            Some(SharedLane { keep, index: entry.index })
        };
        let known = self.0.lock().iter().find_map(known);
        if let Some(known) = known {
            return Ok(known);
        }
        // Outside of the lock, because claiming takes the lock of the files.
        let (index, keep) = claim()?.into_shared();
        let mut entries = self.0.lock();
        entries.retain(|entry| entry.keep.strong_count() > 0);
        entries.push(Entry { segment, index, keep: Arc::downgrade(&keep) });
        Ok(SharedLane { keep, index })
    }
}

/// A lane that no thread owns. Any thread may write it, one at a time for each field.
#[derive(Debug)]
pub(crate) struct SharedLane {
    keep: SharedKeep,
    index: u32,
}

impl SharedLane {
    /// The lane for this thread, which it does not leave.
    pub(crate) fn open(&self) -> Result<core::Lane<SharedKeep>, Error> {
        let region = Region::new(Arc::clone(&self.keep)).map_err(Error::image)?;
        Ok(core::Lane::new(region, self.index))
    }
}
