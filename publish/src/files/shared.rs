//! Lanes that all threads of the program share.

use std::sync::{Arc, Weak};

use mmstats_core as core;
use mmstats_core::{Guarded, Region};

use crate::backend::Mapping;
use crate::claim::{Claim, ClaimedLane, Keep};
use crate::error::Error;
use crate::lock::Mutex;

/// The shared lanes of the segments.
#[derive(Debug, Default)]
pub(crate) struct SharedLanes(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    all: Vec<Entry>,
    /// Number of entries that were ever added.
    added: u64,
}

#[derive(Debug)]
struct Entry {
    segment: usize,
    part: usize,
    index: u32,
    keep: Weak<Guarded<Arc<Mapping>, Claim>>,
    /// The lane until [`SharedLanes::release`], for values that stay while no thread has a handle.
    kept: Option<Keep>,
}

impl SharedLanes {
    /// The newest shared lane of a segment in a part that `is_whole`; if there is none, the lane
    /// that `claim` claims. With `stays` it is not handed back before [`SharedLanes::release`].
    pub(crate) fn find(
        &self,
        segment: usize,
        stays: bool,
        is_whole: impl Fn(usize) -> bool,
        claim: impl Fn() -> Result<ClaimedLane, Error>,
    ) -> Result<SharedLane, Error> {
        // Parts and claims are asked for outside of the lock: they take the lock of the files. So
        // another thread may add a lane meanwhile, which is taken instead of the one claimed here.
        let mut claimed = None;
        loop {
            let (added, lanes) = {
                let entries = self.0.lock();
                let lanes = entries.all.iter().filter_map(|entry| entry.lane(segment));
                (entries.added, lanes.collect::<Vec<_>>())
            };
            if let Some((_, lane)) = lanes.into_iter().rev().find(|(part, _)| is_whole(*part)) {
                return Ok(lane);
            }
            let (part, index, keep) = match claimed.take() {
                Some(claimed) => claimed,
                None => claim()?.into_shared(),
            };
            let mut entries = self.0.lock();
            if entries.added != added {
                claimed = Some((part, index, keep));
                continue;
            }
            let kept = stays.then(|| Arc::clone(&keep));
            let entry = Entry { segment, part, index, keep: Arc::downgrade(&keep), kept };
            entries.added += 1;
            entries.all.retain(|entry| entry.keep.strong_count() > 0);
            entries.all.push(entry);
            return Ok(SharedLane { keep, index });
        }
    }

    /// Whether this thread holds the lock.
    pub(crate) fn is_mine(&self) -> bool {
        self.0.is_mine()
    }

    /// Hands back the lanes without handles.
    pub(crate) fn release(&self) {
        let kept: Vec<_> = {
            let mut entries = self.0.lock();
            entries.all.iter_mut().filter_map(|entry| entry.kept.take()).collect()
        };
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
    keep: Keep,
    index: u32,
}

impl SharedLane {
    /// The lane for this thread, which it does not leave.
    pub(crate) fn open(&self) -> Result<core::Lane<Keep>, Error> {
        let region = Region::new(Arc::clone(&self.keep)).map_err(Error::image)?;
        Ok(core::Lane::new(region, self.index))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::claim::LaneOwner;
    use crate::schema::key::Address;

    /// Gives lanes away, and counts those that it got back.
    #[derive(Debug, Default)]
    struct Owner {
        given: AtomicU32,
        back: AtomicU32,
        lanes: SharedLanes,
    }

    impl LaneOwner for Owner {
        fn hand_back(&self, _part: usize, _lane: u32) {
            assert!(!self.lanes.is_mine());
            self.back.fetch_add(1, Ordering::Relaxed);
        }

        fn begin_use(&self, _address: Address, _part: usize, _lane: u32) -> Result<bool, Error> {
            Ok(false)
        }

        fn end_use(&self, _address: Address, _part: usize, _lane: u32) {}
    }

    fn claim(owner: &Arc<Owner>) -> Result<ClaimedLane, Error> {
        let lane = owner.given.fetch_add(1, Ordering::Relaxed);
        let mapping = Arc::new(crate::backend::private(4_096)?);
        let owner: Arc<dyn LaneOwner> = Arc::<Owner>::clone(owner);
        Ok(ClaimedLane::new(owner, 0, lane, mapping, None))
    }

    #[test]
    fn find_by_many_threads_at_once_gives_one_lane() {
        const THREADS: usize = 8;
        let owner = Arc::new(Owner::default());
        let all_claim = Barrier::new(THREADS);
        let find = || {
            let claim = || {
                all_claim.wait();
                claim(&owner)
            };
            owner.lanes.find(0, true, |_| true, claim).unwrap().index
        };
        let found: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(find)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(found.iter().all(|index| *index == found[0]), "{found:?}");
        assert_eq!(owner.back.load(Ordering::Relaxed), 7);
        owner.lanes.release();
        assert_eq!(owner.back.load(Ordering::Relaxed), 8);
    }

    #[test]
    fn find_passes_over_truncated_parts_and_other_segments() {
        let owner = Arc::new(Owner::default());
        let find = |segment, is_whole| {
            owner.lanes.find(segment, true, |_| is_whole, || claim(&owner)).unwrap().index
        };
        assert_eq!([find(0, true), find(1, true), find(0, true)], [0, 1, 0]);
        assert_eq!([find(0, false), find(0, true), find(1, true)], [2, 2, 1]);
        owner.lanes.release();
    }
}
