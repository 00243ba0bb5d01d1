//! Memory for updates that come from within the library.
//!
//! The first use of a publisher on a thread allocates, and locks the list of files. A global
//! allocator or a signal handler that uses the publisher meanwhile can neither wait for that nor
//! begin it again. It gets handles of this memory, which needs no allocation and no lock. No reader
//! sees it: the calls are counted in `samples_refused` of the lane of the next thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mmstats_core as core;
use mmstats_core::{Region, Writer};

use super::family::FamilyFields;
use super::segment::Segment;
use crate::claim::{ClaimedLane, Keep, LaneOwner};
use crate::error::Error;
use crate::schema::declaration::Field;
use crate::schema::key::Address;

/// An image in private memory with the fields of the start. All threads write its only lane, so its
/// values mean nothing.
#[derive(Debug)]
pub(crate) struct Scratch {
    keep: Keep,
    families: Vec<Arc<FamilyFields>>,
    /// Number of calls that were given this memory.
    calls: AtomicU64,
}

impl Scratch {
    pub(crate) fn new(
        fields: &Segment,
        families: &[Arc<FamilyFields>],
        instance: [u8; 16],
    ) -> Result<Self, Error> {
        let (geometry, size) = fields.size(1)?;
        let mapping = Arc::new(crate::backend::private(size)?);
        let mut writer = Writer::create_zeroed(Arc::clone(&mapping), &geometry, instance, 0)
            .map_err(Error::image)?;
        fields.write(&mut writer).map_err(Error::image)?;
        writer.go_live();
        let (_, _, keep) = ClaimedLane::new(Arc::new(Unowned), 0, 0, mapping, None).into_shared();
        Ok(Self { keep, families: families.to_vec(), calls: AtomicU64::new(0) })
    }

    /// Counts a call.
    pub(crate) fn count(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Number of calls whose updates no reader sees, since the last call of this.
    pub(crate) fn take_calls(&self) -> u64 {
        self.calls.swap(0, Ordering::Relaxed)
    }

    pub(crate) fn lane(&self) -> Result<core::Lane<Keep>, Error> {
        let region = Region::new(Arc::clone(&self.keep)).map_err(Error::image)?;
        Ok(core::Lane::new(region, 0))
    }

    /// The handle of a field of the start.
    pub(crate) fn attach<H: Field>(&self, address: Address) -> Result<H, Error> {
        if address.segment != 0 {
            return Err(Error::Reentrant);
        }
        H::attach(&self.lane()?, address.id).map_err(|_| Error::Reentrant)
    }

    /// A family of the start.
    pub(crate) fn family(&self, number: usize) -> Result<Arc<FamilyFields>, Error> {
        self.families.get(number).cloned().ok_or(Error::Reentrant)
    }
}

/// The owner of a lane that is never handed back.
#[derive(Debug)]
struct Unowned;

impl LaneOwner for Unowned {
    fn hand_back(&self, _part: usize, _lane: u32) {}

    fn begin_use(&self, _address: Address, _part: usize, _lane: u32) -> Result<bool, Error> {
        Ok(false)
    }

    fn end_use(&self, _address: Address, _part: usize, _lane: u32) {}
}
