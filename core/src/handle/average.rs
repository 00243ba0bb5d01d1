//! Averages over all values, and over the last ones.

use core::marker::PhantomData;

use super::refused::{Refused, is_finite};
use super::scalar::{ScalarType, last64, set64};
use crate::protocol::{Slot, peek, publish, publish_if};
use crate::region::{Latch, Memory};
use crate::types::{DataType, Kind};
use crate::write::{AttachError, FieldId, Lane};

/// The mean of all values, as count and sum of one moment.
#[derive(Debug, Clone)]
pub struct Average<M> {
    latch: Latch<M>,
    refused: Refused<M>,
}

impl<M: Memory + Clone> Average<M> {
    /// Attaches to the average `field` in `lane`.
    ///
    /// # Errors
    ///
    /// If the field is not an average of f64.
    pub fn attach(lane: &Lane<M>, field: FieldId) -> Result<Self, AttachError> {
        let raw = lane.field(field, DataType::F64, Some(Kind::Average))?;
        if raw.member != 0 || raw.slot_size != 16 {
            return Err(AttachError::Place { place: raw.place });
        }
        Ok(Self { latch: lane.latch(&raw)?, refused: Refused::new(lane)? })
    }
}

impl<M> Average<M> {
    /// Adds a value. One that is not finite, or would make the sum infinite, is counted in the
    /// lane's `samples_refused` instead.
    #[inline(always)]
    pub fn record(&self, value: f64) {
        if !self.latch.holds_units(2) {
            return; // Never: `attach` checked it.
        }
        let recorded = publish_if(&self.latch, |slot| {
            let [count, sum] = last(slot);
            let sum = sum + value;
            if !is_finite(sum) {
                return false;
            }
            set64(slot, 0, (count + 1.0).to_bits());
            set64(slot, 1, sum.to_bits());
            true
        });
        if !recorded {
            self.refused.count();
        }
    }

    /// This lane's mean, if there is a value.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        let mut all = [0.0; 2];
        peek(&self.latch, |slot| all = last(slot));
        let [count, sum] = all;
        (count > 0.0).then(|| sum / count)
    }
}

/// Count and sum.
#[inline(always)]
fn last<M>(slot: &Slot<'_, Latch<M>>) -> [f64; 2] {
    [0, 1].map(|unit| f64::from_bits(last64(slot, unit)))
}

/// The last values, whose mean is shown: a moving average over the number of values in the field's
/// declaration.
#[derive(Debug, Clone)]
pub struct Window<T, M> {
    latch: Latch<M>,
    refused: Refused<M>,
    value: PhantomData<fn(T)>,
}

impl<T: ScalarType, M: Memory + Clone> Window<T, M> {
    /// Attaches to the window `field` in `lane`.
    ///
    /// # Errors
    ///
    /// If the field is not a window of values of this type.
    pub fn attach(lane: &Lane<M>, field: FieldId) -> Result<Self, AttachError> {
        let raw = lane.field(field, T::TYPE, Some(Kind::Window))?;
        if raw.member != 0 || raw.slot_size != 8 {
            return Err(AttachError::Place { place: raw.place });
        }
        let refused = Refused::new(lane)?;
        Ok(Self { latch: lane.latch(&raw)?, refused, value: PhantomData })
    }
}

impl<T: ScalarType, M> Window<T, M> {
    /// Adds a value, which replaces the oldest one. One that is not finite, or so large that a sum
    /// could become infinite, is counted in the lane's `samples_refused` instead.
    #[inline(always)]
    pub fn record(&self, value: T) {
        if !value.is_summable() {
            self.refused.count();
        } else if self.latch.holds_units(1) {
            publish(&self.latch, |slot| set64(slot, 0, value.to_bits()));
        }
    }
}
