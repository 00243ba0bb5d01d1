//! The claim on a lane, which every handle of the lane keeps alive.

use std::sync::Arc;

use mmstats_core as core;
use mmstats_core::{FieldId, Guarded, Region};

use crate::backend::Mapping;
use crate::error::Error;

/// Memory of a thread's handles. The last one hands the lane back.
pub(crate) type Keep = Arc<Guarded<Arc<Mapping>, Claim>>;

/// Memory of the handles that all threads share.
pub(crate) type SharedKeep = Keep;

/// Takes back the lanes that it gave away.
pub(crate) trait LaneOwner: std::fmt::Debug + Send + Sync {
    /// Takes back lane `lane` of part `part`.
    fn hand_back(&self, part: usize, lane: u32);
}

/// A claim on a lane; dropping it hands the lane back.
#[derive(Debug)]
pub struct Claim {
    owner: Arc<dyn LaneOwner>,
    part: usize,
    lane: u32,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.owner.hand_back(self.part, self.lane);
    }
}

/// The fields that describe a lane, in each image: FORMAT.md section 11.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LaneFields {
    /// Thread id of the owner.
    pub(crate) tid: FieldId,
    /// Name of the owner.
    pub(crate) thread: FieldId,
    /// Time of the last copy.
    pub(crate) mirrored: FieldId,
}

/// A lane that was just claimed, with the memory of its part.
#[derive(Debug)]
pub(crate) struct ClaimedLane {
    claim: Claim,
    mapping: Arc<Mapping>,
    fields: Option<LaneFields>,
}

impl ClaimedLane {
    /// Lane `lane` of part `part`, which `owner` gave away.
    pub(crate) fn new(
        owner: Arc<dyn LaneOwner>,
        part: usize,
        lane: u32,
        mapping: Arc<Mapping>,
        fields: Option<LaneFields>,
    ) -> Self {
        Self { claim: Claim { owner, part, lane }, mapping, fields }
    }

    /// The lane for one thread, and the fields that describe it.
    pub(crate) fn into_thread_lane(self) -> Result<(core::Lane<Keep>, Option<LaneFields>), Error> {
        let Self { claim, mapping, fields } = self;
        let index = claim.lane;
        let region = Region::new(Keep::new(Guarded::new(mapping, claim)));
        Ok((core::Lane::new(region.map_err(Error::image)?, index), fields))
    }

    /// Number of the part, number of the lane, and its memory for all threads.
    pub(crate) fn into_shared(self) -> (usize, u32, SharedKeep) {
        let Self { claim, mapping, .. } = self;
        (claim.part, claim.lane, SharedKeep::new(Guarded::new(mapping, claim)))
    }
}
