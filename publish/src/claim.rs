//! The claim on a lane, which every handle of the lane keeps alive.

use std::sync::Arc;

use mmstats_core as core;
use mmstats_core::{FieldId, Guarded, Region};

use crate::backend::Mapping;
use crate::error::Error;
use crate::schema::key::Address;

/// Memory of a thread's handles. The last one hands the lane back.
pub(crate) type Keep = Arc<Guarded<Arc<Mapping>, Claim>>;

/// Takes back the lanes that it gave away.
pub(crate) trait LaneOwner: std::fmt::Debug + Send + Sync {
    /// Takes back lane `lane` of part `part`.
    fn hand_back(&self, part: usize, lane: u32);

    /// Counts a handle of fields whose room others get when they are retired and have no handle.
    /// False if it need not be counted.
    fn begin_use(&self, address: Address, part: usize, lane: u32) -> Result<bool, Error>;

    /// Ends what a successful [`LaneOwner::begin_use`] began.
    fn end_use(&self, address: Address, part: usize, lane: u32);
}

/// A claim on a lane, or on a field of one; dropping it hands the lane back, or ends the use.
#[derive(Debug)]
pub struct Claim {
    owner: Arc<dyn LaneOwner>,
    part: usize,
    lane: u32,
    /// The field, and the claim on its lane.
    field: Option<(Address, Keep)>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        match self.field.take() {
            Some((address, _lane)) => self.owner.end_use(address, self.part, self.lane),
            None => self.owner.hand_back(self.part, self.lane),
        }
    }
}

/// The lane for one handle of fields whose room others may get. The claim of its memory ends with
/// the last clone of the handle.
pub(crate) fn use_field(
    lane: &core::Lane<Keep>,
    address: Address,
) -> Result<core::Lane<Keep>, Error> {
    let keep = lane.region().memory();
    let Claim { owner, part, lane: index, .. } = &keep.guard;
    if !owner.begin_use(address, *part, *index)? {
        return Ok(core::Lane::new(lane.region().clone(), lane.index()));
    }
    let field = Some((address, Keep::clone(keep)));
    let claim = Claim { owner: Arc::clone(owner), part: *part, lane: *index, field };
    let mapping = Arc::clone(keep.memory());
    let region = Region::new(Keep::new(Guarded::new(mapping, claim))).map_err(Error::image)?;
    let lane = core::Lane::new(region, lane.index());
    lane.follow_reuse();
    Ok(lane)
}

/// The fields that describe a lane, in each image: FILES.md section 2.
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
        Self { claim: Claim { owner, part, lane, field: None }, mapping, fields }
    }

    /// The lane for one thread, and the fields that describe it.
    pub(crate) fn into_thread_lane(self) -> Result<(core::Lane<Keep>, Option<LaneFields>), Error> {
        let Self { claim, mapping, fields } = self;
        let index = claim.lane;
        let region = Region::new(Keep::new(Guarded::new(mapping, claim)));
        Ok((core::Lane::new(region.map_err(Error::image)?, index), fields))
    }

    /// Number of the part, number of the lane, and its memory for all threads.
    pub(crate) fn into_shared(self) -> (usize, u32, Keep) {
        let Self { claim, mapping, .. } = self;
        (claim.part, claim.lane, Keep::new(Guarded::new(mapping, claim)))
    }
}
