//! Handles of the whole program instead of one for each thread.

use std::fmt;
use std::marker::PhantomData;

use mmstats_core as core;
use mmstats_core::{AttachError, FieldId, Region};

#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
use super::activity::{Activity, SharedActivity};
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
use super::{Gauge, SharedGauge};
use crate::claim::Keep;
use crate::error::Error;
use crate::lock::Mutex;
use crate::schema::declaration::{Declaration, Field, SharedHandle};
use crate::schema::options::{
    AnyOptions, HasBuckets, HasCapacity, HasCount, HasEntries, HasMembers, HasRows, HasRunning,
    HasShape, HasStates, HasWindows,
};

#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
impl<T: mmstats_core::ScalarType> SharedHandle for SharedGauge<T> {
    fn declaration(label: String, options: AnyOptions) -> Declaration {
        Gauge::<T>::declaration(label, options)
    }

    fn attach(lane: &core::Lane<Keep>, field: FieldId) -> Result<Self, AttachError> {
        Self::attach(lane, field)
    }
}

#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
impl<const N: usize> SharedHandle for SharedActivity<N> {
    fn declaration(label: String, options: AnyOptions) -> Declaration {
        Activity::<N>::declaration(label, options)
    }

    fn attach(lane: &core::Lane<Keep>, field: FieldId) -> Result<Self, AttachError> {
        Self::attach(lane, field)
    }
}

/// A field of any kind with one value for the whole program, which any thread updates under a lock: a text,
/// a state or a group, a counter of many short threads.
///
/// It is `Send`, `Sync` and `Clone`. An update waits for a lock of the program and takes about 50 ns more
/// than that of a thread's own handle; a [`SharedGauge`](crate::SharedGauge) needs no lock. If the program
/// dies in an update, the previous value stays.
///
/// ```
/// use mmstats::{FieldOptions, Lane, Options, SharedField, Text};
///
/// let publisher = Options::new().start::<Lane>()?;
/// let leader = publisher.add_shared::<SharedField<Text<64>>>("leader", FieldOptions::new())?;
/// let leader = publisher.attach_shared(leader)?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| leader.update(|text| text.set("node 7")));
/// });
/// # Ok::<(), mmstats::Error>(())
/// ```
pub struct SharedField<H> {
    keep: Keep,
    lane: u32,
    field: FieldId,
    handle: PhantomData<fn() -> H>,
}

/// The locks of all shared fields. Fields with different locks do not wait for each other.
static LOCKS: [Mutex<()>; 16] = [const { Mutex::new(()) }; 16];

impl<H: Field> SharedField<H> {
    /// Calls `update` with the handle, while no other thread updates the field. Keep it short: `fork` waits
    /// for it.
    ///
    /// # Errors
    ///
    /// [`Error::Reentrant`] within another update, also in a signal handler that interrupts one.
    pub fn update<R>(&self, update: impl FnOnce(&H) -> R) -> Result<R, Error> {
        let lock = &LOCKS[self.field.index() as usize % LOCKS.len()];
        if lock.is_mine() {
            return Err(Error::Reentrant);
        }
        let region = Region::new(Keep::clone(&self.keep)).map_err(Error::image)?;
        let lane = core::Lane::new(region, self.lane);
        let _locked = lock.lock();
        Ok(update(&H::attach(&lane, self.field).map_err(Error::Attach)?))
    }
}

impl<H: Field> SharedHandle for SharedField<H> {
    fn declaration(label: String, options: AnyOptions) -> Declaration {
        H::declaration(label, options)
    }

    fn attach(lane: &core::Lane<Keep>, field: FieldId) -> Result<Self, AttachError> {
        H::attach(lane, field)?;
        let keep = Keep::clone(lane.region().memory());
        Ok(Self { keep, lane: lane.index(), field, handle: PhantomData })
    }
}

impl<H> Clone for SharedField<H> {
    fn clone(&self) -> Self {
        Self { keep: Keep::clone(&self.keep), ..*self }
    }
}

impl<H> fmt::Debug for SharedField<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedField").field("field", &self.field).finish_non_exhaustive()
    }
}

impl<H: HasBuckets> HasBuckets for SharedField<H> {}
impl<H: HasCapacity> HasCapacity for SharedField<H> {}
impl<H: HasCount> HasCount for SharedField<H> {}
impl<H: HasEntries> HasEntries for SharedField<H> {}
impl<H: HasMembers> HasMembers for SharedField<H> {}
impl<H: HasRows> HasRows for SharedField<H> {}
impl<H: HasRunning> HasRunning for SharedField<H> {}
impl<H: HasShape> HasShape for SharedField<H> {}
impl<H: HasStates> HasStates for SharedField<H> {}
impl<H: HasWindows> HasWindows for SharedField<H> {}
