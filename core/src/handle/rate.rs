//! Rates: a counter that remembers what it was some time ago.

use super::counter::Counter;
use super::scalar::{last64, set64};
use crate::protocol::{WriteCell, peek, publish};
use crate::region::{Latch, Memory};
use crate::types::{DataType, Kind};
use crate::write::{AttachError, FieldId, Lane};

/// A counter, and checkpoints of it from which a reader computes rates over windows of
/// time: events per second in the last minute, for instance.
#[derive(Debug, Clone)]
pub struct Rate<M> {
    counter: Counter<M>,
    checkpoints: Latch<M>,
    /// Least time between checkpoints in nanoseconds.
    interval: u64,
}

impl<M: Memory + Clone> Rate<M> {
    /// The counter `field` in `lane`, whose rate is the next field.
    ///
    /// # Errors
    ///
    /// If the fields are no such pair.
    pub fn attach(lane: &Lane<M>, field: FieldId) -> Result<Self, AttachError> {
        let counter = Counter::attach(lane, field)?;
        let next = FieldId::from_index(field.index().saturating_add(1));
        let raw = lane.field(next, DataType::U64, Some(Kind::Rate))?;
        if raw.member != 0 || raw.slot_size != 16 {
            return Err(AttachError::Place { place: raw.place });
        }
        let interval = u64::from(raw.properties.param()) * 1_000_000;
        Ok(Self { counter, checkpoints: lane.latch(&raw)?, interval })
    }
}

impl<M> Rate<M> {
    /// Adds `n` at the time `now`, in nanoseconds since 1970-01-01 UTC.
    #[inline]
    pub fn add(&self, n: u64, now: u64) {
        let mut last = 0;
        peek(&self.checkpoints, |slot| last = last64(slot, 0));
        // A clock that was set back wraps to a large number here.
        if now.wrapping_sub(last) >= self.interval || self.checkpoints.seq() == 0 {
            self.checkpoint(now);
        }
        self.counter.add(n);
    }

    /// Remembers the sum at the time `now`.
    #[cold]
    fn checkpoint(&self, now: u64) {
        if !self.checkpoints.holds64(2) {
            return; // Never: `attach` looked.
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
