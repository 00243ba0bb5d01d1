//! Rates: a counter with checkpoints.

use super::counter::Counter;
use super::refused::Refused;
use super::scalar::{last64, set64};
use crate::protocol::{WriteCell, peek, publish};
use crate::region::{Latch, Memory};
use crate::types::{DataType, Kind};
use crate::write::{AttachError, FieldId, Lane};

/// A counter with checkpoints, from which readers compute rates over windows of time: for example
/// events per second in the last minute.
#[derive(Debug, Clone)]
pub struct Rate<M> {
    counter: Counter<M>,
    checkpoints: Latch<M>,
    refused: Refused<M>,
    /// Minimum time between checkpoints in nanoseconds.
    interval: u64,
}

impl<M: Memory + Clone> Rate<M> {
    /// Attaches to the counter `field` in `lane`, whose rate is the next field.
    ///
    /// # Errors
    ///
    /// If the fields are not a counter and its rate.
    pub fn attach(lane: &Lane<M>, field: FieldId) -> Result<Self, AttachError> {
        let counter = Counter::attach(lane, field)?;
        let next = FieldId::from_index(field.index().saturating_add(1));
        let raw = lane.field(next, DataType::U64, Some(Kind::Rate))?;
        if raw.member != 0 || raw.slot_size != 16 {
            return Err(AttachError::Place { place: raw.place });
        }
        let interval = u64::from(raw.properties.param()) * 1_000_000;
        let refused = Refused::new(lane)?;
        Ok(Self { counter, checkpoints: lane.latch(&raw)?, refused, interval })
    }
}

impl<M> Rate<M> {
    /// Adds `n` at the time `now`, in nanoseconds since 1970-01-01 UTC. A number with which the sum
    /// would pass 64 bits is counted in the lane's `samples_refused` instead.
    #[inline]
    pub fn add(&self, n: u64, now: u64) {
        // Before the checkpoint: a sample that is refused changes no other byte.
        let Some(sum) = self.counter.get().checked_add(n) else { return self.refused.count() };
        let mut last = 0;
        peek(&self.checkpoints, |slot| last = last64(slot, 0));
        // Wraps to a large number if the clock was set back.
        if now.wrapping_sub(last) >= self.interval || self.checkpoints.seq() == 0 {
            self.checkpoint(now);
        }
        self.counter.set(sum);
    }

    /// Adds a checkpoint at the time `now`.
    #[cold]
    fn checkpoint(&self, now: u64) {
        if !self.checkpoints.holds_units(2) {
            return; // Never: `attach` checked it.
        }
        publish(&self.checkpoints, |slot| {
            set64(slot, 0, now);
            set64(slot, 1, self.counter.get());
        });
    }

    /// This lane's sum.
    #[inline(always)]
    #[must_use]
    pub fn get(&self) -> u64 {
        self.counter.get()
    }
}
