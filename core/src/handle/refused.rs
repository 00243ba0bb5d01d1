//! Samples that are not recorded: KINDS.md section 2.

use crate::layout::lane::SAMPLES_REFUSED;
use crate::region::{AtomWord, Memory};
use crate::write::{AttachError, Lane};

/// A duration or value of type u64 is below this number: 2^60, in nanoseconds 36 years.
///
/// Larger ones are errors, such as a difference below zero or a time of day. A few of them would
/// fill the sum.
pub(super) const SAMPLE_LIMIT: u64 = 1 << 60;

/// Whether a sample of type u64 can be recorded.
#[inline(always)]
pub(super) const fn is_sample(value: u64) -> bool {
    value < SAMPLE_LIMIT
}

/// Whether a sample, or a sum, of type f64 is finite.
#[inline(always)]
pub(super) const fn is_finite(value: f64) -> bool {
    // One comparison, which is false for NaN too.
    value.abs() <= f64::MAX
}

/// The number of samples of a lane that were not recorded.
#[derive(Debug, Clone)]
pub(super) struct Refused<M> {
    word: AtomWord<M>,
}

impl<M: Memory + Clone> Refused<M> {
    pub(super) fn new(lane: &Lane<M>) -> Result<Self, AttachError> {
        let at = lane.offset_of(SAMPLES_REFUSED);
        let word = at.and_then(|at| AtomWord::new(lane.region(), at));
        Ok(Self { word: word.ok_or(AttachError::Place { place: SAMPLES_REFUSED })? })
    }
}

impl<M> Refused<M> {
    /// Counts a sample that is not recorded. Stops at the largest number of a word.
    #[cold]
    #[inline(never)]
    pub(super) fn count(&self) {
        self.word.add_saturating(1);
    }

    /// Counts `n` samples.
    #[cold]
    #[inline(never)]
    pub(super) fn add(&self, n: u64) {
        self.word.add_saturating(n);
    }
}
