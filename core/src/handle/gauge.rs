//! Gauges and flags: one scalar that is replaced.

use super::scalar::{ScalarCell, ScalarType};
use crate::region::Memory;
use crate::types::Kind;
use crate::write::{AttachError, FieldId, Lane, Presence};

/// A scalar that goes up and down. It has no value until one is set.
pub struct Gauge<T: ScalarType, M> {
    cell: T::Cell<M>,
    presence: Option<Presence<M>>,
}

impl<T: ScalarType, M: Memory + Clone> Gauge<T, M> {
    /// Attaches to the gauge `field` in `lane`.
    ///
    /// # Errors
    ///
    /// If the field is not a scalar of type `T`, or is a counter.
    #[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
    pub fn attach(lane: &Lane<M>, field: FieldId) -> Result<Self, AttachError> {
        let raw = lane.field(field, T::TYPE, None)?;
        if raw.properties.is_kind(Kind::Counter) {
            return Err(AttachError::OtherType {
                index: field.index(),
                found: raw.properties.ty_code(),
                wanted: T::TYPE,
            });
        }
        Ok(Self { cell: ScalarCell::new(lane, &raw)?, presence: lane.presence(&raw, field)? })
    }
}

impl<T: ScalarType, M> Gauge<T, M> {
    /// Replaces the value.
    #[inline(always)]
    pub fn set(&self, value: T) {
        self.cell.store(value.to_cell());
        if let Some(presence) = &self.presence {
            presence.set();
        }
    }

    /// Adds to the value, or to zero if there is none. Integers saturate.
    #[inline(always)]
    pub fn add(&self, n: T) {
        self.set(self.current().plus(n));
    }

    /// Subtracts from the value, or from zero if there is none. Integers saturate.
    #[inline(always)]
    pub fn sub(&self, n: T) {
        self.set(self.current().minus(n));
    }

    /// Removes the value: readers see that it is absent.
    #[inline]
    pub fn clear(&self) {
        if let Some(presence) = &self.presence {
            // The cell keeps the last value: a reader that has already loaded the bit must get a
            // published value.
            presence.clear();
        }
    }

    /// This lane's value, if present.
    #[inline]
    #[must_use]
    pub fn get(&self) -> Option<T> {
        let present = self.presence.as_ref().is_none_or(Presence::is_set);
        present.then(|| T::from_cell(self.cell.load()))
    }

    /// The addresses of cell and presence bit, for updates in another language; `None` where the cell is
    /// latched: 8 bytes on 32-bit machines.
    #[cfg(feature = "raw")] // See `Atom32::place`.
    #[must_use]
    pub fn places(&self) -> Option<GaugePlaces> {
        let value = ScalarCell::place(&self.cell)?;
        Some(GaugePlaces { value, presence: self.presence.as_ref().map(Presence::place) })
    }

    #[inline(always)]
    fn current(&self) -> T {
        self.get().unwrap_or(T::ZERO)
    }
}

impl<T: ScalarType, M: Clone> Clone for Gauge<T, M> {
    fn clone(&self) -> Self {
        Self { cell: self.cell.duplicate(), presence: self.presence.clone() }
    }
}

impl<T: ScalarType, M> core::fmt::Debug for Gauge<T, M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Gauge").field(&self.get()).finish()
    }
}

/// Where a gauge is, for updates in another language, on the thread of the handle while the handle or a
/// clone exists.
///
/// A new value is one atomic store into the cell. Then, if the presence bit is not set, the word with the
/// bit is stored with release order; its other bits belong to other fields of the same lane.
#[cfg(feature = "raw")] // See `Atom32::place`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GaugePlaces {
    /// The cell, little-endian: 8 bytes for a type of 8 bytes, else 4, to which the value is widened.
    pub value: core::ptr::NonNull<u8>,
    /// The little-endian word with the presence bit, and the bit; `None` if there is always a value.
    pub presence: Option<(core::ptr::NonNull<u32>, u32)>,
}

/// True or false.
pub type Flag<M> = Gauge<bool, M>;
