//! Timers with a clock.

use std::time::Duration;

use mmstats_core as core;
use mmstats_core::{AttachError, FieldId, FieldSpec, TimerTotals};

use crate::claim::Keep;
use crate::schema::declaration::{Declaration, Field, FieldDeclaration};
use crate::schema::options::AnyOptions;

#[cfg(feature = "cycle-clock")]
use quanta::Instant;
#[cfg(not(feature = "cycle-clock"))]
use std::time::Instant;

/// Durations: count, sum, minimum, maximum and last, published together.
///
/// A timed section costs two clock reads (about 28 ns each, or 12 ns with the feature
/// `cycle-clock`) and one update of five words.
#[derive(Debug, Clone)]
pub struct Timer(core::Timer<Keep>);

impl Timer {
    /// Adds one duration. One of 2^60 ns (36 years) or more, or with which the sum would pass 584
    /// years, is counted as refused in the lane, and changes nothing else.
    #[inline]
    pub fn record(&self, duration: Duration) {
        // 2^64 - 1 is refused.
        self.0.record_nanos(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// [`Timer::record`], in nanoseconds.
    #[inline(always)]
    pub fn record_nanos(&self, nanos: u64) {
        self.0.record_nanos(nanos);
    }

    /// Starts to time a section, which ends when the result is dropped, also by a panic.
    #[inline]
    #[must_use = "the section ends when the result is dropped"]
    pub fn start(&self) -> Running<'_> {
        Running::new(self)
    }

    /// Times a call.
    #[inline]
    pub fn time<R>(&self, work: impl FnOnce() -> R) -> R {
        let _running = self.start();
        work()
    }

    /// The totals of this thread's lane, in nanoseconds.
    #[must_use]
    pub fn totals(&self) -> TimerTotals {
        self.0.totals()
    }
}

field!({} Timer, |options| FieldSpec::timer(""), |lane, field| {
    core::Timer::attach(lane, field).map(Self)
});

/// A handle that takes the duration of a timed section.
pub trait Timed {
    /// Adds one duration.
    fn record(&self, duration: Duration);
}

impl Timed for Timer {
    #[inline]
    fn record(&self, duration: Duration) {
        Self::record(self, duration);
    }
}

/// A section that is timed until this value is dropped.
#[derive(Debug)]
pub struct Running<'a, T: Timed = Timer> {
    timer: &'a T,
    start: Option<Instant>,
}

impl<'a, T: Timed> Running<'a, T> {
    #[inline]
    pub(crate) fn new(timer: &'a T) -> Self {
        Self { timer, start: Some(Instant::now()) }
    }

    /// Time since the start of the section.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.start.map_or(Duration::ZERO, |start| start.elapsed())
    }

    /// Ends the section without recording it.
    pub fn discard(mut self) {
        self.start = None;
    }
}

impl<T: Timed> Drop for Running<'_, T> {
    fn drop(&mut self) {
        if let Some(start) = self.start {
            self.timer.record(start.elapsed());
        }
    }
}
