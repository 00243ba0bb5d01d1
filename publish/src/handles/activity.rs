//! Activities in progress, with their starts.

use std::fmt;

use mmstats_core as core;
use mmstats_core::{ActivityRow, AttachError, FieldId, FieldSpec};

use super::count;
use super::kinds::now;
use crate::claim::Keep;
use crate::schema::declaration::{Declaration, Field, FieldDeclaration};
use crate::schema::options::{AnyOptions, HasRows};

/// Rows of an activity, unless declared otherwise.
const ROWS: u32 = 8;

/// The field of an activity.
fn spec<const N: usize>(options: &AnyOptions) -> FieldSpec<'static> {
    FieldSpec::activity("", options.rows.unwrap_or(ROWS), count(N))
}

/// Activities in progress in a thread, each with a text of at most `N` bytes and its start. Each thread
/// has 8 rows, or [`rows`](crate::FieldOptions::rows); activities that begin while all are in use are
/// counted but not shown.
///
/// `mmstats show` prints the texts with their ages, also those of a program that hangs or was killed.
/// The texts of a thread that ended are gone. For work that moves between threads see
/// [`SharedActivity`](crate::SharedActivity).
///
/// ```
/// use mmstats::{Activity, Options, Publisher, Stats};
///
/// #[derive(Stats)]
/// struct Server {
///     /// What each thread is doing.
///     #[stats(rows = 4)]
///     doing: Activity,
/// }
///
/// let server: Publisher<Server> = Options::new().start()?;
/// let stats = server.lane()?;
/// let request = stats.doing.begin_fmt(format_args!("GET {}", "/index.html"));
/// {
///     let _reading = stats.doing.begin("read file"); // until the end of the block
/// }
/// request.set("GET /index.html: sending");
/// drop(request);
/// # Ok::<(), mmstats::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Activity<const N: usize = 48>(core::Activity<N, Keep>);

/// Guard of an activity, which ends when this is dropped: see [`Activity`]. `set` replaces its text.
pub type Begun<'a, const N: usize = 48> = core::Begun<'a, N, Keep>;

impl<const N: usize> Activity<N> {
    /// Begins an activity now, which ends when the result is dropped. A text of more than `N` bytes is cut
    /// at a character boundary, and readers see that.
    #[inline]
    pub fn begin(&self, text: &str) -> Begun<'_, N> {
        self.0.begin(now(), text)
    }

    /// [`Activity::begin`] for `format_args!(...)`, without an allocation.
    pub fn begin_fmt(&self, text: fmt::Arguments<'_>) -> Begun<'_, N> {
        self.0.begin_fmt(now(), text)
    }

    /// [`Activity::begin`] at a given time, in nanoseconds since 1970-01-01 UTC (0: unknown), without
    /// reading the clock.
    #[inline(always)]
    pub fn begin_at(&self, since: u64, text: &str) -> Begun<'_, N> {
        self.0.begin(since, text)
    }

    /// [`Activity::begin_at`] without a guard, for callers that store the row; `None` if no row is free.
    #[inline(always)]
    pub fn begin_row(&self, since: u64, text: &str) -> Option<ActivityRow> {
        self.0.begin_row(since, text)
    }

    /// [`Activity::begin_row`] for `format_args!(...)`, without an allocation.
    pub fn begin_row_fmt(&self, since: u64, text: fmt::Arguments<'_>) -> Option<ActivityRow> {
        self.0.begin_row_fmt(since, text)
    }

    /// Replaces the text of a row that this handle or a clone began.
    #[inline(always)]
    pub fn set_row(&self, row: &ActivityRow, text: &str) {
        self.0.set_row(row, text);
    }

    /// Ends a row that this handle or a clone began.
    #[inline(always)]
    pub fn end_row(&self, row: ActivityRow) {
        self.0.end_row(row);
    }
}

impl<const N: usize> HasRows for Activity<N> {}

field!({const N: usize} Activity<N>, |options| spec::<N>(&options), |lane, field| {
    core::Activity::attach(lane, field).map(Self)
});

#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
pub use shared::{SharedActivity, SharedBegun};

#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
mod shared {
    use super::{ActivityRow, AttachError, FieldId, HasRows, core, fmt, now};
    use crate::claim::Keep;

    /// As [`Activity`](crate::Activity), for activities that begin and end on different threads, such as a
    /// task over an `await`.
    ///
    /// It and its guards are `Send`. Begin and end are read-modify-writes of words that all threads
    /// share, so threads that begin often wait for each other.
    ///
    /// ```
    /// use mmstats::{Options, Publisher, SharedActivity, Stats};
    ///
    /// #[derive(Stats)]
    /// struct Server {
    ///     /// Requests in flight.
    ///     #[stats(rows = 64)]
    ///     requests: SharedActivity,
    /// }
    ///
    /// let server: Publisher<Server> = Options::new().start()?;
    /// let stats = server.lane()?;
    /// let request = stats.requests.begin("GET /index.html");
    /// std::thread::scope(|scope| {
    ///     scope.spawn(move || drop(request)); // ends on another thread
    /// });
    /// # Ok::<(), mmstats::Error>(())
    /// ```
    #[derive(Debug, Clone)]
    pub struct SharedActivity<const N: usize = 48>(core::SharedActivity<N, Keep>);

    /// Guard of an activity, which ends when this is dropped on any thread: see [`SharedActivity`]. `set`
    /// replaces its text.
    pub type SharedBegun<'a, const N: usize = 48> = core::SharedBegun<'a, N, Keep>;

    impl<const N: usize> SharedActivity<N> {
        /// Attaches to `field` in a lane that all threads share.
        pub(crate) fn attach(lane: &core::Lane<Keep>, field: FieldId) -> Result<Self, AttachError> {
            core::SharedActivity::attach(lane, field).map(Self)
        }

        /// Begins an activity now, which ends when the result is dropped. A text of more than `N` bytes is
        /// cut at a character boundary, and readers see that.
        #[inline]
        pub fn begin(&self, text: &str) -> SharedBegun<'_, N> {
            self.0.begin(now(), text)
        }

        /// [`SharedActivity::begin`] for `format_args!(...)`, without an allocation.
        pub fn begin_fmt(&self, text: fmt::Arguments<'_>) -> SharedBegun<'_, N> {
            self.0.begin_fmt(now(), text)
        }

        /// [`SharedActivity::begin`] at a given time, in nanoseconds since 1970-01-01 UTC (0: unknown),
        /// without reading the clock.
        #[inline(always)]
        pub fn begin_at(&self, since: u64, text: &str) -> SharedBegun<'_, N> {
            self.0.begin(since, text)
        }

        /// [`SharedActivity::begin_at`] without a guard, for callers that store the row; `None` if no row
        /// is free.
        #[inline(always)]
        pub fn begin_row(&self, since: u64, text: &str) -> Option<ActivityRow> {
            self.0.begin_row(since, text)
        }

        /// [`SharedActivity::begin_row`] for `format_args!(...)`, without an allocation.
        pub fn begin_row_fmt(&self, since: u64, text: fmt::Arguments<'_>) -> Option<ActivityRow> {
            self.0.begin_row_fmt(since, text)
        }

        /// [`SharedActivity::begin_row`] that does not count a refusal if no row is free: for layers that
        /// try several fields. [`SharedActivity::refuse`] counts it.
        #[inline(always)]
        pub fn try_begin_row(&self, since: u64, text: &str) -> Option<ActivityRow> {
            self.0.try_begin_row(since, text)
        }

        /// Counts an activity that is not shown, because no row was free.
        pub fn refuse(&self) {
            self.0.refuse();
        }

        /// Replaces the text of a row that this handle or a clone began.
        #[inline(always)]
        pub fn set_row(&self, row: &mut ActivityRow, text: &str) {
            self.0.set_row(row, text);
        }

        /// Ends a row that this handle or a clone began.
        #[inline(always)]
        pub fn end_row(&self, row: ActivityRow) {
            self.0.end_row(row);
        }
    }

    impl<const N: usize> HasRows for SharedActivity<N> {}
}
