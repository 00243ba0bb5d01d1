//! Timers with a clock.

use std::time::Duration;

use mmstats_core as core;
use mmstats_core::{AttachError, FieldId, FieldSpec, InProgress, TimerTotals};

use crate::claim::Keep;
use crate::schema::declaration::{Declaration, Field, FieldDeclaration};
use crate::schema::options::{AnyOptions, HasRunning};

#[cfg(feature = "cycle-clock")]
use quanta::Instant;
#[cfg(not(feature = "cycle-clock"))]
use std::time::Instant;

/// Durations: count, sum, minimum, maximum and last, published together.
///
/// A timed section costs two clock reads (about 28 ns each, or 12 ns with the feature
/// `cycle-clock`) and one update of five words.
///
/// With [`running`](crate::FieldOptions::running) readers also see how many sections are in progress,
/// and for how long at least, in a field with the label of the timer and `.running`: a section that
/// never ends is not in the totals.
///
/// ```
/// use mmstats::{Options, Publisher, Stats, Timer};
///
/// #[derive(Stats)]
/// struct Server {
///     /// Time to answer a request.
///     #[stats(running)]
///     requests: Timer,
/// }
///
/// let server: Publisher<Server> = Options::new().start()?;
/// let stats = server.lane()?;
/// let request = stats.requests.start(); // `requests.running` shows 1
/// # drop(request);
/// # Ok::<(), mmstats::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Timer {
    timer: core::Timer<Keep>,
    sections: Sections,
}

/// The sections in progress of a timer or histogram with the option `running`.
#[derive(Debug, Clone)]
pub(crate) struct Sections(Option<InProgress<Keep>>);

impl Sections {
    /// The sections of the timer or histogram `field`.
    pub(crate) fn attach(lane: &core::Lane<Keep>, field: FieldId) -> Self {
        Self(InProgress::attach_after(lane, field))
    }

    /// Begins a section. The result is for [`Sections::end`]; 0 if it is not counted.
    #[inline]
    pub(crate) fn begin(&self) -> u64 {
        self.0.as_ref().and_then(|sections| sections.begin(now())).unwrap_or(0)
    }

    #[inline]
    pub(crate) fn end(&self, begun: u64) {
        if let Some(sections) = self.0.as_ref().filter(|_| begun != 0) {
            sections.end(begun, now);
        }
    }
}

/// Microseconds since 1970-01-01 UTC, by the coarse clock: a few milliseconds late on Linux.
fn now() -> u64 {
    crate::backend::process::coarse_time() / 1_000
}

/// The declaration of a timer or histogram, with its sections in progress if the options ask for them.
pub(crate) fn timed(label: String, spec: &FieldSpec<'_>, options: AnyOptions) -> Declaration {
    if !options.running {
        return Declaration::Field(FieldDeclaration::new(label, spec, options));
    }
    let running = format!("{label}.running");
    let timer = FieldDeclaration::new(label, spec, options.clone());
    // A number of sections has no unit, and a kind of its own.
    let options = AnyOptions { unit: None, kind: None, ..options };
    let running = FieldDeclaration::new(running, &FieldSpec::running(""), options);
    Declaration::Sequence(vec![timer, running])
}

impl Timer {
    /// Adds one duration. One of 2^60 ns (36 years) or more, or with which the sum would pass 584
    /// years, is counted as refused in the lane, and changes nothing else.
    #[inline]
    pub fn record(&self, duration: Duration) {
        // 2^64 - 1 is refused.
        self.timer.record_nanos(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// [`Timer::record`], in nanoseconds.
    #[inline(always)]
    pub fn record_nanos(&self, nanos: u64) {
        self.timer.record_nanos(nanos);
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
        self.timer.totals()
    }
}

impl Field for Timer {
    fn declaration(label: String, options: AnyOptions) -> Declaration {
        timed(label, &FieldSpec::timer(""), options)
    }

    fn attach(lane: &core::Lane<Keep>, field: FieldId) -> Result<Self, AttachError> {
        let timer = core::Timer::attach(lane, field)?;
        Ok(Self { timer, sections: Sections::attach(lane, field) })
    }
}

impl HasRunning for Timer {}

/// A handle that takes the duration of a timed section.
pub trait Timed {
    /// Adds one duration.
    fn record(&self, duration: Duration);

    /// Begins a section. The result is for [`Timed::ended`].
    #[doc(hidden)]
    fn begun(&self) -> u64 {
        0
    }

    /// Ends a section.
    #[doc(hidden)]
    fn ended(&self, _begun: u64) {}
}

impl Timed for Timer {
    #[inline]
    fn record(&self, duration: Duration) {
        Self::record(self, duration);
    }

    #[inline]
    fn begun(&self) -> u64 {
        self.sections.begin()
    }

    #[inline]
    fn ended(&self, begun: u64) {
        self.sections.end(begun);
    }
}

/// A section that is timed until this value is dropped.
#[derive(Debug)]
pub struct Running<'a, T: Timed = Timer> {
    timer: &'a T,
    start: Option<Instant>,
    /// The result of [`Timed::begun`].
    begun: u64,
}

impl<'a, T: Timed> Running<'a, T> {
    #[inline]
    pub(crate) fn new(timer: &'a T) -> Self {
        let begun = timer.begun();
        Self { timer, start: Some(Instant::now()), begun }
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
        self.timer.ended(self.begun);
    }
}
