//! Activities of the whole program.

use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;

use super::activity::{ActivityRow, cut, put, put_text, table, table_any};
use super::events::Line;
use crate::protocol::{claim_row, give_back_row, show_claimed_row};
use crate::region::{Memory, SharedTable};
use crate::write::{AttachError, FieldId, Lane};

/// A bounded table of what the whole program is doing, instead of one per thread: for what crosses
/// threads, as a task over an `await`.
///
/// Unlike [`Activity`](super::Activity) it and its guards are `Send`, if the memory is. Begin and end
/// are read-modify-writes: a row is claimed by a compare-and-swap and given back. Threads that begin
/// often contend for a cache line.
pub struct SharedActivity<const N: usize, M> {
    table: SharedTable<M>,
}

impl<const N: usize, M: Memory + Clone> SharedActivity<N, M> {
    /// Attaches to the activity `field` in `lane`, which must be the lane shared by all threads. In
    /// one lane all handles of a field are of this type.
    ///
    /// # Errors
    ///
    /// If the field is no activity whose texts have capacity `N`.
    pub fn attach(lane: &Lane<M>, field: FieldId) -> Result<Self, AttachError> {
        Ok(Self { table: SharedTable(table::<N, M>(lane, field)?) })
    }
}

impl<const N: usize, M> SharedActivity<N, M> {
    /// Begins something at the time `since`, in nanoseconds since 1970-01-01 UTC, or 0 if that is not
    /// known. It ends when the result is dropped, on whatever thread. A text of more than `N` bytes is
    /// cut at the last character boundary that fits, and readers see that it was cut.
    #[inline]
    pub fn begin(&self, since: u64, text: &str) -> SharedBegun<'_, N, M> {
        SharedBegun { row: self.begin_row(since, text), activity: self, one_thread: PhantomData }
    }

    /// [`SharedActivity::begin`] with formatted text, without allocation.
    pub fn begin_fmt(&self, since: u64, text: fmt::Arguments<'_>) -> SharedBegun<'_, N, M> {
        let row = self.begin_row_fmt(since, text);
        SharedBegun { row, activity: self, one_thread: PhantomData }
    }

    /// [`SharedActivity::begin`] without a guard; `None` if no row is free. The caller ends the row
    /// with [`SharedActivity::end_row`] of this handle or a clone.
    #[inline]
    pub fn begin_row(&self, since: u64, text: &str) -> Option<ActivityRow> {
        begin_bytes(&self.table, N, since, cut(text, N))
    }

    /// [`SharedActivity::begin_row`] that does not count a refusal if no row is free: for callers that
    /// try several fields. [`SharedActivity::refuse`] counts it.
    #[inline]
    pub fn try_begin_row(&self, since: u64, text: &str) -> Option<ActivityRow> {
        try_begin_bytes(&self.table, N, since, cut(text, N))
    }

    /// Counts a refusal: readers see that something began and is not shown.
    #[inline]
    pub fn refuse(&self) {
        self.table.0.refused().count();
    }

    /// [`SharedActivity::begin_row`] with formatted text, without allocation.
    pub fn begin_row_fmt(&self, since: u64, text: fmt::Arguments<'_>) -> Option<ActivityRow> {
        begin_bytes(&self.table, N, since, Line::<N>::format(text).text())
    }

    /// Replaces the text of a row in use; its begin stays. One thread at a time: the caller has the row
    /// alone.
    #[inline]
    pub fn set_row(&self, row: &mut ActivityRow, text: &str) {
        put_text(&self.table.0.row(row.row), N, cut(text, N));
    }

    /// [`SharedActivity::set_row`] with formatted text, without allocation.
    pub fn set_row_fmt(&self, row: &mut ActivityRow, text: fmt::Arguments<'_>) {
        put_text(&self.table.0.row(row.row), N, Line::<N>::format(text).text());
    }

    /// Ends what was begun in a row, and gives the row back.
    #[inline]
    #[allow(clippy::needless_pass_by_value)] // The row is no longer in use.
    pub fn end_row(&self, row: ActivityRow) {
        end_row(&self.table, &row);
    }
}

/// Begins a row with a text of at most `capacity` bytes; `None` if no row is free, which is counted.
#[inline(always)]
fn begin_bytes<M>(
    table: &SharedTable<M>,
    capacity: usize,
    since: u64,
    text: (&[u8], bool),
) -> Option<ActivityRow> {
    let row = try_begin_bytes(table, capacity, since, text);
    if row.is_none() {
        table.0.refused().count();
    }
    row
}

#[inline(always)]
fn try_begin_bytes<M>(
    SharedTable(table): &SharedTable<M>,
    capacity: usize,
    since: u64,
    text: (&[u8], bool),
) -> Option<ActivityRow> {
    let rows = table.rows();
    let row = match claim_row(&table.claimed(0), rows.min(32)) {
        None if rows > 32 => claim_row(&table.claimed(32), rows - 32).map(|row| row + 32),
        row => row,
    }?;
    put(&table.row(row), capacity, since, table.begun().count(), text);
    show_claimed_row(&table.used(row), 1 << (row % 32));
    Some(ActivityRow { row })
}

#[inline(always)]
fn end_row<M>(SharedTable(table): &SharedTable<M>, &ActivityRow { row }: &ActivityRow) {
    give_back_row(&table.used(row), &table.claimed(row), 1 << (row % 32));
}

/// What the whole program is doing, with texts whose capacity is known at run time: see
/// [`SharedActivity`].
pub struct DynSharedActivity<M> {
    table: SharedTable<M>,
    capacity: usize,
}

impl<M: Memory + Clone> DynSharedActivity<M> {
    /// Attaches to the activity `field` in `lane`, which must be the lane shared by all threads. In
    /// one lane all handles of a field are shared.
    ///
    /// # Errors
    ///
    /// If the field is no activity.
    pub fn attach(lane: &Lane<M>, field: FieldId) -> Result<Self, AttachError> {
        let (table, capacity) = table_any(lane, field)?;
        Ok(Self { table: SharedTable(table), capacity: capacity as usize })
    }
}

impl<M> DynSharedActivity<M> {
    /// Maximum length of a text, in bytes.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// [`SharedActivity::begin_row`].
    pub fn begin_row(&self, since: u64, text: &str) -> Option<ActivityRow> {
        begin_bytes(&self.table, self.capacity, since, cut(text, self.capacity))
    }

    /// [`SharedActivity::set_row`].
    pub fn set_row(&self, row: &mut ActivityRow, text: &str) {
        put_text(&self.table.0.row(row.row), self.capacity, cut(text, self.capacity));
    }

    /// [`SharedActivity::end_row`].
    #[allow(clippy::needless_pass_by_value)] // The row is no longer in use.
    pub fn end_row(&self, row: ActivityRow) {
        end_row(&self.table, &row);
    }
}

impl<M: Clone> Clone for DynSharedActivity<M> {
    fn clone(&self) -> Self {
        Self { table: SharedTable(self.table.0.clone()), capacity: self.capacity }
    }
}

impl<M> fmt::Debug for DynSharedActivity<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynSharedActivity").field("table", &self.table.0).finish_non_exhaustive()
    }
}

impl<const N: usize, M: Clone> Clone for SharedActivity<N, M> {
    fn clone(&self) -> Self {
        Self { table: SharedTable(self.table.0.clone()) }
    }
}

impl<const N: usize, M> fmt::Debug for SharedActivity<N, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedActivity").field("table", &self.table.0).finish()
    }
}

/// Something in progress: see [`SharedActivity::begin`]. It ends when this is dropped.
///
/// It can go to another thread, if the memory can, and belongs to one thread at a time:
///
/// ```compile_fail
/// fn needs_sync<T: Sync>() {}
/// needs_sync::<mmstats_core::SharedBegun<'_, 8, mmstats_core::StaticMemory>>();
/// ```
#[must_use = "what was begun ends when this is dropped"]
pub struct SharedBegun<'a, const N: usize, M> {
    activity: &'a SharedActivity<N, M>,
    row: Option<ActivityRow>,
    // Not `Sync`: `set` has one caller at a time.
    one_thread: PhantomData<Cell<()>>,
}

impl<const N: usize, M> SharedBegun<'_, N, M> {
    /// Replaces the text; the begin stays.
    #[inline]
    pub fn set(&self, text: &str) {
        if let Some(ActivityRow { row }) = self.row {
            put_text(&self.activity.table.0.row(row), N, cut(text, N));
        }
    }

    /// [`SharedBegun::set`] with formatted text, without allocation.
    pub fn set_fmt(&self, text: fmt::Arguments<'_>) {
        if let Some(ActivityRow { row }) = self.row {
            put_text(&self.activity.table.0.row(row), N, Line::<N>::format(text).text());
        }
    }

    /// Whether it has a row, so that readers see it.
    #[must_use]
    pub const fn is_shown(&self) -> bool {
        self.row.is_some()
    }
}

impl<const N: usize, M> Drop for SharedBegun<'_, N, M> {
    #[inline]
    fn drop(&mut self) {
        if let Some(row) = self.row.take() {
            self.activity.end_row(row);
        }
    }
}

impl<const N: usize, M> fmt::Debug for SharedBegun<'_, N, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBegun").field("row", &self.row).finish_non_exhaustive()
    }
}
