//! Counters.

use super::refused::{Refused, is_finite};
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

    /// The address of the cell, a little-endian u64, for updates in another language; `None` where it is
    /// latched, on 32-bit machines.
    ///
    /// An update is an atomic load, an addition and an atomic store, on the thread of the handle, while
    /// the handle or a clone exists.
    #[cfg(feature = "raw")] // See `Atom32::place`.
    #[must_use]
    pub fn place(&self) -> Option<core::ptr::NonNull<u64>> {
        ScalarCell::place(&self.cell).map(core::ptr::NonNull::cast)
    }
}

impl<M> core::fmt::Debug for Counter<M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Counter").field(&self.get()).finish()
    }
}

/// A sum of floats that only grows, for example of seconds.
///
/// An update is a load, an addition, a comparison and a store.
#[derive(Clone)]
pub struct FloatCounter<M> {
    cell: <f64 as ScalarType>::Cell<M>,
    refused: Refused<M>,
}

impl<M: Memory + Clone> FloatCounter<M> {
    /// Attaches to the counter `field` in `lane`.
    ///
    /// # Errors
    ///
    /// If the field is not an f64 counter.
    pub fn attach(lane: &Lane<M>, field: FieldId) -> Result<Self, AttachError> {
        let raw = lane.field(field, DataType::F64, Some(Kind::Counter))?;
        Ok(Self { cell: ScalarCell::new(lane, &raw)?, refused: Refused::new(lane)? })
    }
}

impl<M> FloatCounter<M> {
    /// Adds `n`. A negative number, one that is not finite, and one with which the sum would not be
    /// finite are counted in the lane's `samples_refused` instead.
    #[inline(always)]
    pub fn add(&self, n: f64) {
        let sum = self.get() + n;
        if n >= 0.0 && is_finite(sum) {
            self.cell.store(sum.to_cell());
        } else {
            self.refused.count();
        }
    }

    /// Replaces the sum, for a counter that another part of the program keeps. A number that is not
    /// finite is counted in the lane's `samples_refused` instead.
    #[inline(always)]
    pub fn set(&self, value: f64) {
        if is_finite(value) {
            self.cell.store(value.to_cell());
        } else {
            self.refused.count();
        }
    }

    /// This lane's sum.
    #[inline(always)]
    #[must_use]
    pub fn get(&self) -> f64 {
        f64::from_cell(self.cell.load())
    }
}

impl<M> core::fmt::Debug for FloatCounter<M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("FloatCounter").field(&self.get()).finish()
    }
}
