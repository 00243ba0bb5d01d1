//! Sections in progress: how many, and since when at least.

use super::gauge::Gauge;
use crate::layout::{RUNNING_BITS, RUNNING_TIME};
use crate::region::Memory;
use crate::types::{DataType, Kind};
use crate::write::{AttachError, FieldId, Lane};

/// Sections in progress of the timer or histogram of the field before: their number, and a time at
/// which or before which one of them began.
///
/// Begin and end are one publish each. While sections that began at different times of the clock end
/// in the reverse order of their begins, the time is that of the oldest one; else it can be later. If
/// the clock is set meanwhile, it can be wrong by as much.
#[derive(Debug, Clone)]
pub struct InProgress<M> {
    word: Gauge<u64, M>,
}

/// Maximum number of sections; those above it are not counted.
const MAX: u64 = u64::MAX >> RUNNING_BITS;

impl<M: Memory + Clone> InProgress<M> {
    /// Attaches to the sections `field` in `lane`.
    ///
    /// # Errors
    ///
    /// If the field has another kind.
    pub fn attach(lane: &Lane<M>, field: FieldId) -> Result<Self, AttachError> {
        lane.field(field, DataType::U64, Some(Kind::Running))?;
        Ok(Self { word: Gauge::attach(lane, field)? })
    }

    /// Attaches to the sections of the timer or histogram `field`, which are the next field; `None` if
    /// that is another one.
    pub fn attach_after(lane: &Lane<M>, field: FieldId) -> Option<Self> {
        Self::attach(lane, FieldId::from_index(field.index().saturating_add(1))).ok()
    }
}

impl<M> InProgress<M> {
    /// A section begins at the time `now`, in microseconds since 1970-01-01 UTC: 1 to 2^52 - 1, others
    /// are taken as the nearest. Returns the time for [`InProgress::end`]; `None` if it is not counted,
    /// because 4,095 are in progress.
    #[inline(always)]
    pub fn begin(&self, now: u64) -> Option<u64> {
        let (number, since) = self.load();
        if number == MAX {
            return None;
        }
        let now = now.clamp(1, RUNNING_TIME);
        self.store(number + 1, if number == 0 { now } else { since });
        Some(now)
    }

    /// The section that began at `begun` ends. `now` gives the time, which is rarely needed.
    #[inline(always)]
    pub fn end(&self, begun: u64, now: impl FnOnce() -> u64) {
        let (number, since) = self.load();
        if number <= 1 {
            return self.store(0, 0);
        }
        // One that is still in progress began at `since` or before, unless that was this one. Then all
        // that is known of the others is that they have begun.
        let since = if begun > since { since } else { now().clamp(1, RUNNING_TIME) };
        self.store(number - 1, since);
    }

    /// Number of sections in progress in this lane.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.load().0
    }

    /// Number and time; zeros while there is no value.
    #[inline(always)]
    fn load(&self) -> (u64, u64) {
        let word = self.word.get().unwrap_or(0);
        (word >> RUNNING_BITS, word & RUNNING_TIME)
    }

    #[inline(always)]
    fn store(&self, number: u64, since: u64) {
        self.word.set(number << RUNNING_BITS | since);
    }
}
