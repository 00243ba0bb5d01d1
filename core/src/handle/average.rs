//! Averages over all values, and over the last ones.

use core::marker::PhantomData;

use super::scalar::{ScalarType, last64, set64};
use crate::protocol::publish;
use crate::region::{Latch, Memory};
use crate::types::{DataType, Kind};
use crate::write::{AttachError, FieldId, Lane};

/// The mean of all values, as count and sum of one moment.
#[derive(Debug, Clone)]
pub struct Average<M> {
    latch: Latch<M>,
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
        Ok(Self { latch: lane.latch(&raw)? })
    }
}

impl<M> Average<M> {
    /// Adds a value.
    #[inline(always)]
    pub fn record(&self, value: f64) {
        if !self.latch.holds_units(2) {
            return; // Never: `attach` checked it.
        }
        publish(&self.latch, |slot| {
            let [count, sum] = [0, 1].map(|unit| f64::from_bits(last64(slot, unit)));
            set64(slot, 0, (count + 1.0).to_bits());
            set64(slot, 1, (sum + value).to_bits());
        });
    }

    /// This lane's mean, if there is a value.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        let mut all = [0.0; 2];
        crate::protocol::peek(&self.latch, |slot| {
            all = [0, 1].map(|unit| f64::from_bits(last64(slot, unit)));
        });
        (all[0] > 0.0).then(|| all[1] / all[0])
    }
}

/// The last values, whose mean is shown: a moving average over the number of values in the field's
/// declaration.
#[derive(Debug, Clone)]
pub struct Window<T, M> {
    latch: Latch<M>,
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
        Ok(Self { latch: lane.latch(&raw)?, value: PhantomData })
    }
}

impl<T: ScalarType, M> Window<T, M> {
    /// Adds a value, which replaces the oldest one.
    #[inline(always)]
    pub fn record(&self, value: T) {
        if self.latch.holds_units(1) {
            publish(&self.latch, |slot| set64(slot, 0, value.to_bits()));
        }
    }
}
