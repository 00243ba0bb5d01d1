//! Fixed arrays of scalars.

use core::marker::PhantomData;

use super::scalar::{ScalarType, set64};
use crate::protocol::publish;
use crate::region::{Latch, Memory};
use crate::types::DataType;
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
        let (latch, presence) = attach(lane, field, T::TYPE, N)?;
        Ok(Self { latch, presence, element: PhantomData })
    }
}

/// The cell of an array of `count` elements, and its presence bit.
fn attach<M: Memory + Clone>(
    lane: &Lane<M>,
    field: FieldId,
    ty: DataType,
    count: usize,
) -> Result<(Latch<M>, Option<Presence<M>>), AttachError> {
    let raw = lane.field(field, ty, None)?;
    if raw.properties.count() as usize != count || !raw.properties.is_array() {
        return Err(AttachError::OtherCount {
            found: raw.properties.count(),
            wanted: u32::try_from(count).unwrap_or(u32::MAX),
        });
    }
    let size = count.saturating_mul(ty.size() as usize);
    if raw.member != 0 || size > raw.slot_size as usize {
        return Err(AttachError::Place { place: raw.place });
    }
    Ok((lane.latch(&raw)?, lane.presence(&raw, field)?))
}

/// Publishes all elements at once.
#[inline(always)]
fn put<T: ScalarType, M>(latch: &Latch<M>, presence: Option<&Presence<M>>, values: &[T]) {
    let per_unit = 8 / T::TYPE.size() as usize;
    if !latch.holds_units(values.len().div_ceil(per_unit)) {
        return; // Never: `attach` checked it.
    }
    publish(latch, |slot| {
        for (index, elements) in values.chunks(per_unit).enumerate() {
            let mut unit = 0;
            for (i, element) in elements.iter().enumerate() {
                unit |= element.to_bits() << (i * 64 / per_unit);
            }
            set64(slot, index, unit);
        }
    });
    if let Some(presence) = presence {
        presence.set();
    }
}

impl<T: ScalarType, const N: usize, M> Array<T, N, M> {
    /// Replaces all elements at once.
    #[inline]
    pub fn set(&self, values: &[T; N]) {
        put(&self.latch, self.presence.as_ref(), values);
    }
}

/// Scalars published together, whose type and number are known at run time: see [`Array`].
#[derive(Debug, Clone)]
pub struct DynArray<M> {
    latch: Latch<M>,
    presence: Option<Presence<M>>,
    element: DataType,
    count: usize,
}

impl<M: Memory + Clone> DynArray<M> {
    /// Attaches to the array `field` in `lane`.
    ///
    /// # Errors
    ///
    /// If the field is not an array of scalars on its own.
    pub fn attach(lane: &Lane<M>, field: FieldId) -> Result<Self, AttachError> {
        let properties = lane.properties(field)?;
        let element = properties.ty().filter(|ty| !matches!(ty, DataType::Text | DataType::Bytes));
        let element = element
            .ok_or(AttachError::NotScalar { index: field.index(), found: properties.ty_code() })?;
        let count = properties.count() as usize;
        let (latch, presence) = attach(lane, field, element, count)?;
        Ok(Self { latch, presence, element, count })
    }
}

impl<M> DynArray<M> {
    /// Type of the elements.
    #[must_use]
    pub const fn element(&self) -> DataType {
        self.element
    }

    /// Number of elements.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Replaces all elements at once. With another type or number of elements than the field's nothing
    /// changes, and the result is `false`.
    pub fn set<T: ScalarType>(&self, values: &[T]) -> bool {
        let fits = T::TYPE == self.element && values.len() == self.count;
        if fits {
            put(&self.latch, self.presence.as_ref(), values);
        }
        fits
    }

    /// Removes the elements: readers see that they are absent.
    pub fn clear(&self) {
        if let Some(presence) = &self.presence {
            presence.clear();
        }
    }
}
