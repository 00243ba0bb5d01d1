//! Lanes that all threads of the program share.

use std::sync::{Arc, Weak};

use mmstats_core as core;
use mmstats_core::{Guarded, Region};

use crate::backend::Mapping;
use crate::claim::{Claim, ClaimedLane, SharedKeep};
use crate::error::Error;
use crate::sync::Mutex;

/// The shared lanes of the segments.
#[derive(Debug, Default)]
pub(crate) struct SharedLanes(Mutex<Vec<Entry>>);

#[derive(Debug)]
struct Entry {
    segment: usize,
    part: usize,
    index: u32,
    keep: Weak<Guarded<Arc<Mapping>, Claim>>,
    /// The lane until [`SharedLanes::release`], for values that stay while no thread has a handle.
    kept: Option<SharedKeep>,
}

impl SharedLanes {
    /// The newest shared lane of a segment in a part that `is_whole`; if there is none, the lane
    /// that `claim` claims. With `stays` it is not handed back before [`SharedLanes::release`].
    pub(crate) fn find(
        &self,
        segment: usize,
        stays: bool,
        is_whole: impl Fn(usize) -> bool,
        claim: impl FnOnce() -> Result<ClaimedLane, Error>,
    ) -> Result<SharedLane, Error> {
        // Parts and claims are asked for outside of the lock: they take the lock of the files.
        let known: Vec<_> = self.0.lock().iter().filter_map(|entry| entry.lane(segment)).collect();
        if let Some((_, lane)) = known.into_iter().rev().find(|(part, _)| is_whole(*part)) {
            return Ok(lane);
        }
        let (part, index, keep) = claim()?.into_shared();
        let kept = stays.then(|| Arc::clone(&keep));
        let entry = Entry { segment, part, index, keep: Arc::downgrade(&keep), kept };
        let mut entries = self.0.lock();
        entries.retain(|entry| entry.keep.strong_count() > 0);
        entries.push(entry);
        Ok(SharedLane { keep, index })
    }

    /// Whether this thread holds the lock.
    pub(crate) fn is_mine(&self) -> bool {
        self.0.is_mine()
    }

    /// Hands back the lanes of which no handle exists.
    pub(crate) fn release(&self) {
        let kept: Vec<_> = self.0.lock().iter_mut().filter_map(|entry| entry.kept.take()).collect();
        drop(kept); // Outside of the lock: this takes the lock of the files.
    }
}

impl Entry {
    /// Number of the part, and the lane, if it is of `segment` and still exists.
    fn lane(&self, segment: usize) -> Option<(usize, SharedLane)> {
        let keep = (self.segment == segment).then(|| self.keep.upgrade())??;
        Some((self.part, SharedLane { keep, index: self.index }))
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
