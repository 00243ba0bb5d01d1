//! Timers: count, sum, minimum, maximum and last of durations.

use super::scalar::{last64, set64};
use crate::protocol::{Slot, publish};
use crate::region::{Latch, Memory};
use crate::types::{DataType, Kind};
use crate::write::{AttachError, FieldId, Lane};

/// Count, sum, minimum, maximum and last of durations in nanoseconds, all from one moment.
#[derive(Debug, Clone)]
pub struct Timer<M> {
    latch: Latch<M>,
}

/// Totals of a timer, in nanoseconds except the count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimerTotals {
    /// Number of durations.
    pub count: u64,
    /// Their sum, wrapping after 584 years.
    pub sum: u64,
    /// The shortest; 0 while the count is 0.
    pub min: u64,
    /// The longest; 0 while the count is 0.
    pub max: u64,
    /// The newest; 0 while the count is 0.
    pub last: u64,
}

impl TimerTotals {
    /// These totals with one more duration.
    #[inline(always)]
    #[must_use]
    pub const fn with(self, nanos: u64) -> Self {
        let first = self.count == 0;
        Self {
            count: self.count.wrapping_add(1),
            sum: self.sum.wrapping_add(nanos),
            min: if first || nanos < self.min { nanos } else { self.min },
            max: if first || nanos > self.max { nanos } else { self.max },
            last: nanos,
        }
    }
}

impl<M: Memory + Clone> Timer<M> {
    /// Attaches to the timer `field` in `lane`.
    ///
    /// # Errors
    ///
    /// If the field is not a timer.
    pub fn attach(lane: &Lane<M>, field: FieldId) -> Result<Self, AttachError> {
        let raw = lane.field(field, DataType::U64, Some(Kind::Timer))?;
        if raw.member != 0 || raw.slot_size != 40 {
            return Err(AttachError::Place { place: raw.place });
        }
        Ok(Self { latch: lane.latch(&raw)? })
    }
}

impl<M> Timer<M> {
    /// Adds one duration in nanoseconds.
    #[inline(always)]
    pub fn record_nanos(&self, nanos: u64) {
        if !self.latch.holds_units(5) {
            return; // Never: `attach` checked it.
        }
        publish(&self.latch, |slot| store(slot, last(slot).with(nanos)));
    }

    /// This lane's totals.
    #[must_use]
    pub fn totals(&self) -> TimerTotals {
        let mut totals = TimerTotals::default();
        crate::protocol::peek(&self.latch, |slot| totals = last(slot));
        totals
    }
}

#[inline(always)]
fn last<M>(slot: &Slot<'_, Latch<M>>) -> TimerTotals {
    TimerTotals {
        count: last64(slot, 0),
        sum: last64(slot, 1),
        min: last64(slot, 2),
        max: last64(slot, 3),
        last: last64(slot, 4),
    }
}

#[inline(always)]
fn store<M>(slot: &Slot<'_, Latch<M>>, totals: TimerTotals) {
    set64(slot, 0, totals.count);
    set64(slot, 1, totals.sum);
    set64(slot, 2, totals.min);
    set64(slot, 3, totals.max);
    set64(slot, 4, totals.last);
}
