//! Counters.

use super::scalar::{ScalarCell, ScalarType};
use crate::region::Memory;
use crate::types::{DataType, Kind};
use crate::write::{AttachError, FieldId, Lane};

/// A sum that only grows.
///
/// An update is a load, an addition and a store on the lane's own cache line.
#[derive(Clone)]
pub struct Counter<M> {
    cell: <u64 as ScalarType>::Cell<M>,
}

impl<M: Memory + Clone> Counter<M> {
    /// Attaches to the counter `field` in `lane`.
    ///
    /// # Errors
    ///
    /// If the field is not a u64 counter.
    #[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
    pub fn attach(lane: &Lane<M>, field: FieldId) -> Result<Self, AttachError> {
        let raw = lane.field(field, DataType::U64, Some(Kind::Counter))?;
        Ok(Self { cell: ScalarCell::new(lane, &raw)? })
    }
}

impl<M> Counter<M> {
    /// Adds one.
    #[inline(always)]
    pub fn incr(&self) {
        self.add(1);
    }

    /// Adds `n`; wraps past `u64::MAX`.
    #[inline(always)]
    pub fn add(&self, n: u64) {
        self.set(self.get().wrapping_add(n));
    }

    /// Replaces the sum, for a counter that another part of the program keeps.
    #[inline(always)]
    pub fn set(&self, value: u64) {
        self.cell.store(value);
    }

    /// This lane's sum.
    #[inline(always)]
    #[must_use]
    pub fn get(&self) -> u64 {
        self.cell.load()
    }
}

impl<M> core::fmt::Debug for Counter<M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Counter").field(&self.get()).finish()
    }
}
