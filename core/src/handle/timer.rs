//! Timers: count, sum, minimum, maximum and last of durations.

use super::refused::{Refused, is_sample};
use super::scalar::{last64, set64};
use crate::protocol::{Slot, peek, publish_if};
use crate::region::{Latch, Memory};
use crate::types::{DataType, Kind};
use crate::write::{AttachError, FieldId, Lane};

/// Count, sum, minimum, maximum and last of durations in nanoseconds, all from one moment.
#[derive(Debug, Clone)]
pub struct Timer<M> {
    latch: Latch<M>,
    refused: Refused<M>,
}

/// Totals of a timer, in nanoseconds except the count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimerTotals {
    /// Number of durations.
    pub count: u64,
    /// Their sum: 584 years at most.
    pub sum: u64,
    /// The shortest; 0 while the count is 0.
    pub min: u64,
    /// The longest; 0 while the count is 0.
    pub max: u64,
    /// The newest; 0 while the count is 0.
    pub last: u64,
}

impl TimerTotals {
    /// These totals with one more duration; `None` if it is 2^60 ns (36 years) or longer, or the
    /// sum would pass 64 bits.
    #[inline(always)]
    #[must_use]
    pub const fn checked_with(self, nanos: u64) -> Option<Self> {
        let Some(sum) = self.sum.checked_add(nanos) else { return None };
        if !is_sample(nanos) {
            return None;
        }
        let first = self.count == 0;
        Some(Self {
            count: self.count.wrapping_add(1),
            sum,
            min: if first || nanos < self.min { nanos } else { self.min },
            max: if first || nanos > self.max { nanos } else { self.max },
            last: nanos,
        })
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
        Ok(Self { latch: lane.latch(&raw)?, refused: Refused::new(lane)? })
    }
}

impl<M> Timer<M> {
    /// Adds one duration in nanoseconds. One of 2^60 ns (36 years) or more, or with which the sum
    /// would pass 64 bits, is counted in the lane's `samples_refused` instead.
    #[inline(always)]
    pub fn record_nanos(&self, nanos: u64) {
        if !self.latch.holds_units(5) {
            return; // Never: `attach` checked it.
        }
        let recorded = publish_if(&self.latch, |slot| {
            let totals = last(slot).checked_with(nanos);
            totals.map(|totals| store(slot, totals)).is_some()
        });
        if !recorded {
            self.refused.count();
        }
    }

    /// Counts a duration that cannot be recorded: a negative one, or one too long for u64.
    #[cold]
    pub fn refuse(&self) {
        self.refused.count();
    }

    /// This lane's totals.
    #[must_use]
    pub fn totals(&self) -> TimerTotals {
        let mut totals = TimerTotals::default();
        peek(&self.latch, |slot| totals = last(slot));
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
