//! Fixed arrays of scalars.

use core::marker::PhantomData;

use super::scalar::{ScalarType, set64};
use crate::protocol::publish;
use crate::region::{Latch, Memory};
use crate::write::{AttachError, FieldId, Lane, Presence};

/// `N` scalars published together. They have no values until set.
#[derive(Debug, Clone)]
pub struct Array<T, const N: usize, M> {
    latch: Latch<M>,
    presence: Option<Presence<M>>,
    element: PhantomData<T>,
}

impl<T: ScalarType, const N: usize, M: Memory + Clone> Array<T, N, M> {
    /// Attaches to the array `field` in `lane`.
    ///
    /// # Errors
    ///
    /// If the field is not an array of `N` elements of type `T` on its own.
    pub fn attach(lane: &Lane<M>, field: FieldId) -> Result<Self, AttachError> {
        let raw = lane.field(field, T::TYPE, None)?;
        if raw.properties.count() as usize != N || !raw.properties.is_array() {
            return Err(AttachError::OtherCount {
                found: raw.properties.count(),
                wanted: u32::try_from(N).unwrap_or(u32::MAX),
            });
        }
        let size = N.saturating_mul(T::TYPE.size() as usize);
        if raw.member != 0 || size > raw.slot_size as usize {
            return Err(AttachError::Place { place: raw.place });
        }
        let presence = lane.presence(&raw, field)?;
        Ok(Self { latch: lane.latch(&raw)?, presence, element: PhantomData })
    }
}

impl<T: ScalarType, const N: usize, M> Array<T, N, M> {
    /// Replaces all elements at once.
    #[inline]
    pub fn set(&self, values: &[T; N]) {
        let per_unit = 8 / T::TYPE.size() as usize;
        if !self.latch.holds_units(N.div_ceil(per_unit)) {
            return; // Never: `attach` checked it.
        }
        publish(&self.latch, |slot| {
            for (index, elements) in values.chunks(per_unit).enumerate() {
                let mut unit = 0;
                for (i, element) in elements.iter().enumerate() {
                    unit |= element.to_bits() << (i * 64 / per_unit);
                }
                set64(slot, index, unit);
            }
        });
        if let Some(presence) = &self.presence {
            presence.set();
        }
    }
}
