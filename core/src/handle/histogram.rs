//! Histograms: distributions of values.

use core::marker::PhantomData;

use super::refused::{Refused, is_finite, is_sample};
use crate::buckets::Buckets;
use crate::protocol::{WriteJournal, change_if, repair};
use crate::region::{Journal, Memory};
use crate::types::{DataType, Kind};
use crate::write::{AttachError, FieldId, Lane};

mod sealed {
    pub trait Sealed {}
    impl Sealed for u64 {}
    impl Sealed for f64 {}
}

/// A value of a histogram: u64 or f64.
pub trait Sample: sealed::Sealed + Copy + 'static {
    /// The type in the format.
    const TYPE: DataType;

    /// The element that counts the value; `None` if it is not recorded.
    #[doc(hidden)]
    fn element(self, buckets: &Buckets) -> Option<u32>;

    /// The value as a unit of the slot.
    #[doc(hidden)]
    fn to_unit(self) -> u64;

    /// `unit + n * self`, `min(unit, self)` and `max(unit, self)` of units; `None` if the sum would
    /// overflow.
    #[doc(hidden)]
    fn join(self, sum: u64, min: u64, max: u64, n: u64) -> Option<[u64; 3]>;
}

impl Sample for u64 {
    const TYPE: DataType = DataType::U64;

    #[inline(always)]
    fn element(self, buckets: &Buckets) -> Option<u32> {
        is_sample(self).then(|| buckets.element_of_int(self))
    }

    #[inline(always)]
    fn to_unit(self) -> u64 {
        self
    }

    #[inline(always)]
    fn join(self, sum: u64, min: u64, max: u64, n: u64) -> Option<[u64; 3]> {
        Some([sum.checked_add(self.checked_mul(n)?)?, min.min(self), max.max(self)])
    }
}

impl Sample for f64 {
    const TYPE: DataType = DataType::F64;

    #[inline(always)]
    fn element(self, buckets: &Buckets) -> Option<u32> {
        is_finite(self).then(|| buckets.element_of_float(self))
    }

    #[inline(always)]
    fn to_unit(self) -> u64 {
        self.to_bits()
    }

    #[inline(always)]
    #[allow(clippy::cast_precision_loss)] // At most `MOST`: exact.
    fn join(self, sum: u64, min: u64, max: u64, n: u64) -> Option<[u64; 3]> {
        let float = f64::from_bits;
        let sum = float(sum) + self * n as f64;
        let (min, max) = (float(min).min(self), float(max).max(self));
        is_finite(sum).then(|| [sum, min, max].map(f64::to_bits))
    }
}

/// Maximum number of values in one change: a reader tells changes below 2^30 apart (FORMAT.md
/// section 6).
const MOST: u64 = (1 << 30) - 1;

/// Maximum number of values in one call of [`Histogram::record_many`]: 10^15. It bounds the time.
const MOST_AT_ONCE: u64 = MOST << 20;

/// Count, sum, minimum, maximum and distribution of values, all from one moment.
///
/// Recording stores one bucket and a few words, whatever the number of buckets.
#[derive(Clone)]
pub struct Histogram<T, M> {
    journal: Journal<M>,
    refused: Refused<M>,
    buckets: Buckets,
    value: PhantomData<fn(T)>,
}

impl<T: Sample, M: Memory + Clone> Histogram<T, M> {
    /// Attaches to the histogram `field` in `lane`.
    ///
    /// # Errors
    ///
    /// If the field is not a histogram of values of this type.
    pub fn attach(lane: &Lane<M>, field: FieldId) -> Result<Self, AttachError> {
        let raw = lane.field(field, DataType::U64, Some(Kind::Histogram))?;
        let found = AttachError::OtherType {
            index: field.index(),
            found: raw.properties.ty_code(),
            wanted: T::TYPE,
        };
        let buckets = Buckets::from_param(raw.properties.param(), raw.properties.count())
            .filter(|buckets| buckets.are_writable() && buckets.ty() == T::TYPE)
            .ok_or(found)?;
        let journal = lane.journal(&raw)?;
        if !journal.holds_units(5) {
            return Err(AttachError::Place { place: raw.place });
        }
        // The previous owner of the lane may have died during a change.
        repair(&journal, journal.count(), raw.properties.slots());
        Ok(Self { journal, refused: Refused::new(lane)?, buckets, value: PhantomData })
    }
}

impl<T: Sample, M> Histogram<T, M> {
    /// Counts a value. One outside the range is counted below or above it. One that is not finite,
    /// an integer of 2^60 or more, and one that the sum has no room for are counted in the lane's
    /// `samples_refused` instead.
    #[inline(always)]
    pub fn record(&self, value: T) {
        if !self.add(value, 1) {
            self.refused.count();
        }
    }

    /// Counts a value `n` times, as `n` calls of [`Histogram::record`], in one change for each
    /// 2^30 - 1. A float's sum grows by the product, which is rounded once.
    ///
    /// More than 2^20 * (2^30 - 1) values, about 10^15, are refused as a whole. The first change that
    /// is refused refuses the rest. `samples_refused` counts all of them.
    pub fn record_many(&self, value: T, n: u64) {
        let mut left = n;
        while left > 0 && n <= MOST_AT_ONCE {
            let now = left.min(MOST);
            if !self.add(value, now) {
                break;
            }
            left -= now;
        }
        if left > 0 {
            self.refused.add(left);
        }
    }

    /// Counts a value `n` times in one change, at most [`MOST`] times; `false` if it is refused.
    #[inline(always)]
    fn add(&self, value: T, n: u64) -> bool {
        let Some(element) = value.element(&self.buckets) else { return false };
        if !self.journal.holds_units(5) || element >= self.journal.count() {
            return false; // Never: `attach` checked it.
        }
        change_if(&self.journal, element, n, |slot| {
            let unit = value.to_unit();
            let is_first = slot.last(0) == 0;
            let joined = if is_first && n == 1 {
                Some([unit; 3])
            } else if is_first {
                value.join(0, unit, unit, n)
            } else {
                value.join(slot.last(2), slot.last(3), slot.last(4), n)
            };
            let Some([sum, min, max]) = joined else { return false };
            slot.set(2, sum);
            slot.set(3, min);
            slot.set(4, max);
            true
        })
    }

    /// Counts a value that cannot be recorded: for example one too large for its type.
    #[cold]
    pub fn refuse(&self) {
        self.refused.count();
    }

    /// Number of values in this lane.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.journal.load(self.journal.seq(), 0)
    }

    /// The buckets.
    #[must_use]
    pub const fn buckets(&self) -> Buckets {
        self.buckets
    }
}

impl<T, M> core::fmt::Debug for Histogram<T, M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Histogram")
            .field("buckets", &self.buckets)
            .field("journal", &self.journal)
            .finish_non_exhaustive()
    }
}
