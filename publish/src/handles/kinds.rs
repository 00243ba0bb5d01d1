//! Handles of the kinds that need a clock, a size or a list of names.

use std::fmt;
use std::time::{Duration, SystemTime};

use mmstats_core as core;
use mmstats_core::{AttachError, Buckets, FieldId, FieldSpec, ScalarType, State};

use super::count;
use super::timer::{Running, Sections, Timed, timed};
use crate::claim::Keep;
use crate::schema::declaration::{Declaration, Field, FieldDeclaration};
use crate::schema::options::{AnyOptions, HasBuckets, HasEntries, HasRunning, HasWindows};

/// The mean of all values: `record`, `mean`.
pub type Average = core::Average<Keep>;
/// One of the states of an enum with `#[derive(State)]`: `set`, `get`, `clear`.
pub type StateSet<S> = core::StateSet<S, Keep>;
/// Distribution of u64 or f64 values: `record`, `count`. See [`Latency`] for durations.
pub type Histogram<T = u64> = core::Histogram<T, Keep>;

/// Now, in nanoseconds since 1970-01-01 UTC.
#[inline]
pub(crate) fn now() -> u64 {
    nanos(SystemTime::now())
}

/// Nanoseconds since 1970-01-01 UTC; 0 before.
#[inline]
pub(crate) fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

field!({} Average, FieldSpec::average(""));
field!({S: State} StateSet<S>, FieldSpec::state("", S::NAMES));
field!({} Histogram<u64>, |options| {
    let (low, high) = options.range.unwrap_or((1.0, 1e12));
    histogram(&options, integers(options.error, low, high))
}, Self::attach);
field!({} Histogram<f64>, |options| {
    let (low, high) = options.range.unwrap_or((1e-6, 1e6));
    histogram(&options, Buckets::floats(options.error.unwrap_or(ERROR), low, high))
}, Self::attach);

impl HasBuckets for Histogram<u64> {}
impl HasBuckets for Histogram<f64> {}
impl HasBuckets for Latency {}
impl HasRunning for Latency {}
impl<const N: usize> HasEntries for Events<N> {}
impl HasWindows for Rate {}

/// Default relative error of a histogram.
const ERROR: f64 = 0.05;

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` stops at the limits.
fn integers(error: Option<f64>, low: f64, high: f64) -> Buckets {
    Buckets::integers(error.unwrap_or(ERROR), low as u64, high as u64)
}

fn histogram(options: &AnyOptions, buckets: Buckets) -> FieldSpec<'static> {
    // Buckets of values of another type than the handle's are refused when it is attached.
    FieldSpec::histogram("", options.buckets.unwrap_or(buckets))
}

/// Distribution of durations: a timer with quantiles.
///
/// Declared with the unit nanoseconds, for 100 ns to one hour with a relative error of 5 %,
/// or [`range`](crate::FieldOptions::range) and [`error`](crate::FieldOptions::error). With
/// [`running`](crate::FieldOptions::running) it shows the sections in progress, as a
/// [`Timer`](crate::Timer) does.
#[derive(Debug, Clone)]
pub struct Latency {
    histogram: Histogram,
    sections: Sections,
}

impl Latency {
    /// Adds one duration. One of 2^60 ns (36 years) or more, or with which the sum would pass 584
    /// years, is counted as refused in the lane, and changes nothing else.
    #[inline]
    pub fn record(&self, duration: Duration) {
        // 2^64 - 1 is refused.
        self.histogram.record(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Adds one duration in nanoseconds.
    #[inline(always)]
    pub fn record_nanos(&self, nanos: u64) {
        self.histogram.record(nanos);
    }

    /// Starts to time a section, which ends when the result is dropped, also by a panic.
    #[inline]
    #[must_use = "the section ends when the result is dropped"]
    pub fn start(&self) -> Running<'_, Self> {
        Running::new(self)
    }

    /// Times a call.
    #[inline]
    pub fn time<R>(&self, work: impl FnOnce() -> R) -> R {
        let _running = self.start();
        work()
    }

    /// Number of durations in this thread's lane.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.count()
    }
}

impl Timed for Latency {
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

impl Field for Latency {
    fn declaration(label: String, mut options: AnyOptions) -> Declaration {
        options.unit.get_or_insert_with(|| "nanoseconds".to_owned());
        let (low, high) = options.range.unwrap_or((100.0, 3.6e12));
        let spec = histogram(&options, integers(options.error, low, high));
        timed(label, &spec, options)
    }

    fn attach(lane: &core::Lane<Keep>, field: FieldId) -> Result<Self, AttachError> {
        let histogram = core::Histogram::attach(lane, field)?;
        Ok(Self { histogram, sections: Sections::attach(lane, field) })
    }
}

/// A moving average: the mean of the last `N` values.
#[derive(Debug, Clone)]
pub struct Window<T, const N: usize>(core::Window<T, Keep>);

impl<T: ScalarType, const N: usize> Window<T, N> {
    /// Adds one value in place of the oldest.
    #[inline(always)]
    pub fn record(&self, value: T) {
        self.0.record(value);
    }
}

field!({T: ScalarType, const N: usize} Window<T, N>, |options| {
    FieldSpec::window("", T::TYPE, count(N))
}, |lane, field| core::Window::attach(lane, field).map(Self));

/// The last lines of text with their times, at most `N` bytes a line. Each thread keeps 63 lines,
/// or [`entries`](crate::FieldOptions::entries).
///
/// `mmstats events` prints them, merged over threads and programs, also after a crash.
#[derive(Debug, Clone)]
pub struct Events<const N: usize = 112>(core::Events<N, Keep>);

impl<const N: usize> Events<N> {
    /// Adds a line with the current time. A line of more than `N` bytes is cut at a character
    /// boundary: the result is `false`, and readers see that it was cut.
    #[inline]
    pub fn record(&self, text: &str) -> bool {
        self.0.record(now(), text)
    }

    /// As [`Events::record`], for `format_args!(...)`, without an allocation.
    pub fn record_fmt(&self, text: fmt::Arguments<'_>) -> bool {
        self.0.record_fmt(now(), text)
    }
}

field!({const N: usize} Events<N>, |options| {
    FieldSpec::events("", options.entries.unwrap_or(63), count(N))
}, |lane, field| core::Events::attach(lane, field).map(Self));

/// A point in time, shown as its age: `set_now`, `set`, `clear`.
#[derive(Debug, Clone)]
pub struct Timestamp(core::Gauge<u64, Keep>);

impl Timestamp {
    /// Sets the current time.
    #[inline]
    pub fn set_now(&self) {
        self.set(SystemTime::now());
    }

    /// Sets a time; one before 1970 counts as 1970.
    #[inline]
    pub fn set(&self, time: SystemTime) {
        self.0.set(nanos(time));
    }

    /// Sets a time in nanoseconds since 1970-01-01 UTC.
    #[inline(always)]
    pub fn set_nanos(&self, nanos: u64) {
        self.0.set(nanos);
    }

    /// Removes the time: readers see no value.
    #[inline]
    pub fn clear(&self) {
        self.0.clear();
    }
}

field!({} Timestamp, |options| FieldSpec::timestamp(""), |lane, field| {
    core::Gauge::attach(lane, field).map(Self)
});

/// A counter with its rate over windows of time: 1, 5 and 15 minutes, or
/// [`windows`](crate::FieldOptions::windows).
///
/// The counter has the field's label, its history the same with `.rate`. An update reads a
/// coarse clock (about 5 ns on Linux, 30 ns elsewhere) and adds a checkpoint to the history 120
/// times in the longest window.
#[derive(Debug, Clone)]
pub struct Rate(core::Rate<Keep>);

impl Rate {
    /// Adds one.
    #[inline]
    pub fn incr(&self) {
        self.add(1);
    }

    /// Adds `n`.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.add(n, crate::backend::process::coarse_time());
    }

    /// The sum of this thread's lane.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

impl Field for Rate {
    fn declaration(label: String, options: AnyOptions) -> Declaration {
        let windows: &[u32] =
            if options.windows.is_empty() { &[60, 300, 900] } else { &options.windows };
        let longest = windows.iter().copied().max().unwrap_or(1);
        // 127 checkpoints reach back a little further than the longest window.
        let interval = longest.saturating_mul(1_000).div_ceil(120).max(1);
        let texts: Vec<String> = windows.iter().map(u32::to_string).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let rate = format!("{label}.rate");
        let counter = FieldDeclaration::new(label, &FieldSpec::counter(""), options.clone());
        let history = FieldDeclaration::new(rate, &FieldSpec::rate("", interval, &texts), options);
        Declaration::Sequence(vec![counter, history])
    }

    fn attach(lane: &core::Lane<Keep>, field: FieldId) -> Result<Self, AttachError> {
        core::Rate::attach(lane, field).map(Self)
    }
}
