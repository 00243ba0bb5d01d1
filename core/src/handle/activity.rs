//! Activities: what is in progress, since when.

use core::fmt;

use super::events::Line;
use super::scalar::{last64, set64};
use super::text::{fill, floor};
use crate::protocol::{hide_row, lowest_free, publish, show_row};
use crate::region::{Latch, Memory, Table};
use crate::types::{DataType, Kind};
use crate::write::{AttachError, FieldId, Lane};

/// A bounded table of what this thread is doing: texts of at most `N` bytes that are begun and ended.
///
/// Readers get each text whole, with the time of its begin. Uses may be nested and may overlap. One
/// that finds no free row is counted and not shown.
#[derive(Debug, Clone)]
pub struct Activity<const N: usize, M> {
    table: Table<M>,
}

/// A row in use: see [`Activity::begin_row`].
#[derive(Debug, PartialEq, Eq, Hash)]
#[must_use = "a row stays in use until it is ended"]
pub struct ActivityRow {
    pub(super) row: u32,
}

#[cfg(feature = "raw")] // A number is what another language can keep.
impl ActivityRow {
    /// The number of the row, for [`ActivityRow::from_number`].
    pub const fn into_number(self) -> u32 {
        self.row
    }

    /// The row with this number, of [`ActivityRow::into_number`]. Another number, or one that is used twice,
    /// changes or ends what something else began.
    pub const fn from_number(row: u32) -> Self {
        Self { row }
    }
}

/// The table of an activity field, if it has capacity `N`.
pub(super) fn table<const N: usize, M: Memory + Clone>(
    lane: &Lane<M>,
    field: FieldId,
) -> Result<Table<M>, AttachError> {
    let (table, capacity) = table_any(lane, field)?;
    if capacity as usize != N {
        let wanted = u32::try_from(N).unwrap_or(u32::MAX);
        return Err(AttachError::OtherCount { found: capacity, wanted });
    }
    Ok(table)
}

/// The table of an activity field, and the capacity of its texts.
pub(super) fn table_any<M: Memory + Clone>(
    lane: &Lane<M>,
    field: FieldId,
) -> Result<(Table<M>, u32), AttachError> {
    let raw = lane.field(field, DataType::Text, Some(Kind::Activity))?;
    let capacity = raw.properties.count();
    let size = (capacity as usize).next_multiple_of(8) + 24;
    if raw.member != 16 || size > raw.slot_size as usize {
        return Err(AttachError::Place { place: raw.place });
    }
    Ok((lane.table(&raw)?, capacity))
}

/// The first `capacity` bytes of whole characters, and whether these are not all.
#[inline(always)]
pub(super) fn cut(text: &str, capacity: usize) -> (&[u8], bool) {
    let whole = text.len() <= capacity;
    (if whole { text.as_bytes() } else { floor(text, capacity) }, !whole)
}

/// Publishes the value of a row whose use begins.
#[inline(always)]
pub(super) fn put<M>(
    row: &Latch<&M>,
    capacity: usize,
    since: u64,
    number: u64,
    (bytes, cut): (&[u8], bool),
) {
    if !row.holds_units(3 + capacity.div_ceil(8)) {
        return; // Never: `attach` checked it.
    }
    publish(
        row,
        #[inline(always)]
        |slot| {
            set64(slot, 0, since);
            set64(slot, 1, number);
            fill(slot, 2, bytes, cut);
        },
    );
}

/// Publishes another text of a row in use.
#[inline(always)]
pub(super) fn put_text<M>(row: &Latch<&M>, capacity: usize, (bytes, cut): (&[u8], bool)) {
    if !row.holds_units(3 + capacity.div_ceil(8)) {
        return; // Never: `attach` checked it.
    }
    publish(
        row,
        #[inline(always)]
        |slot| {
            set64(slot, 0, last64(slot, 0));
            set64(slot, 1, last64(slot, 1));
            fill(slot, 2, bytes, cut);
        },
    );
}

impl<const N: usize, M: Memory + Clone> Activity<N, M> {
    /// Attaches to the activity `field` in `lane`.
    ///
    /// # Errors
    ///
    /// If the field is no activity whose texts have capacity `N`.
    #[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
    pub fn attach(lane: &Lane<M>, field: FieldId) -> Result<Self, AttachError> {
        Ok(Self { table: table::<N, M>(lane, field)? })
    }
}

impl<const N: usize, M> Activity<N, M> {
    /// Begins something at the time `since`, in nanoseconds since 1970-01-01 UTC, or 0 if that is not
    /// known. It ends when the result is dropped. A text of more than `N` bytes is cut at the last
    /// character boundary that fits, and readers see that it was cut.
    #[inline]
    pub fn begin(&self, since: u64, text: &str) -> Begun<'_, N, M> {
        Begun { row: self.begin_row(since, text), activity: self }
    }

    /// [`Activity::begin`] with formatted text, without allocation.
    pub fn begin_fmt(&self, since: u64, text: fmt::Arguments<'_>) -> Begun<'_, N, M> {
        Begun { row: self.begin_row_fmt(since, text), activity: self }
    }

    /// [`Activity::begin`] without a guard; `None` if no row is free. The caller ends the row with
    /// [`Activity::end_row`] of this handle or a clone.
    #[inline]
    pub fn begin_row(&self, since: u64, text: &str) -> Option<ActivityRow> {
        begin_bytes(&self.table, N, since, cut(text, N))
    }

    /// [`Activity::begin_row`] with formatted text, without allocation.
    pub fn begin_row_fmt(&self, since: u64, text: fmt::Arguments<'_>) -> Option<ActivityRow> {
        begin_bytes(&self.table, N, since, Line::<N>::format(text).text())
    }

    /// Replaces the text of a row in use; its begin stays.
    #[inline]
    pub fn set_row(&self, row: &ActivityRow, text: &str) {
        put_text(&self.table.row(row.row), N, cut(text, N));
    }

    /// [`Activity::set_row`] with formatted text, without allocation.
    pub fn set_row_fmt(&self, row: &ActivityRow, text: fmt::Arguments<'_>) {
        put_text(&self.table.row(row.row), N, Line::<N>::format(text).text());
    }

    /// Ends what was begun in a row: one store.
    #[inline]
    #[allow(clippy::needless_pass_by_value)] // The row is no longer in use.
    pub fn end_row(&self, row: ActivityRow) {
        hide_row(&self.table.used(row.row), 1 << (row.row % 32));
    }
}

/// Begins a row with a text of at most `capacity` bytes; `None` if no row is free.
#[inline(always)]
#[allow(clippy::useless_conversion)] // A word is 4 bytes elsewhere.
fn begin_bytes<M>(
    table: &Table<M>,
    capacity: usize,
    since: u64,
    text: (&[u8], bool),
) -> Option<ActivityRow> {
    let Some(row) = free_row(table) else {
        refuse(table);
        return None;
    };
    let begun = table.begun();
    let number = begun.load().wrapping_add(1);
    begun.store(number);
    // One of 4 bytes has numbers of 4 bytes.
    put(&table.row(row), capacity, since, number.into(), text);
    show_row(&table.used(row), 1 << (row % 32));
    Some(ActivityRow { row })
}

#[inline(always)]
fn free_row<M>(table: &Table<M>) -> Option<u32> {
    let rows = table.rows();
    match lowest_free(table.used(0).load(), rows.min(32)) {
        None if rows > 32 => lowest_free(table.used(32).load(), rows - 32).map(|row| row + 32),
        row => row,
    }
}

#[cold]
#[inline(never)]
fn refuse<M>(table: &Table<M>) {
    table.refused().add_saturating(1);
}

/// What this thread is doing, with texts whose capacity is known at run time: see [`Activity`].
#[derive(Debug, Clone)]
pub struct DynActivity<M> {
    table: Table<M>,
    capacity: usize,
}

impl<M: Memory + Clone> DynActivity<M> {
    /// Attaches to the activity `field` in `lane`.
    ///
    /// # Errors
    ///
    /// If the field is no activity.
    pub fn attach(lane: &Lane<M>, field: FieldId) -> Result<Self, AttachError> {
        let (table, capacity) = table_any(lane, field)?;
        Ok(Self { table, capacity: capacity as usize })
    }
}

impl<M> DynActivity<M> {
    /// Maximum length of a text, in bytes.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// [`Activity::begin_row`].
    pub fn begin_row(&self, since: u64, text: &str) -> Option<ActivityRow> {
        begin_bytes(&self.table, self.capacity, since, cut(text, self.capacity))
    }

    /// [`Activity::set_row`].
    pub fn set_row(&self, row: &ActivityRow, text: &str) {
        put_text(&self.table.row(row.row), self.capacity, cut(text, self.capacity));
    }

    /// [`Activity::end_row`].
    #[allow(clippy::needless_pass_by_value)] // The row is no longer in use.
    pub fn end_row(&self, row: ActivityRow) {
        hide_row(&self.table.used(row.row), 1 << (row.row % 32));
    }
}

/// Something in progress: see [`Activity::begin`]. It ends when this is dropped.
///
/// It stays on its thread, as the lane has one writer:
///
/// ```compile_fail
/// fn needs_send<T: Send>() {}
/// needs_send::<mmstats_core::Begun<'_, 8, mmstats_core::StaticMemory>>();
/// ```
#[must_use = "what was begun ends when this is dropped"]
pub struct Begun<'a, const N: usize, M> {
    activity: &'a Activity<N, M>,
    row: Option<ActivityRow>,
}

impl<const N: usize, M> Begun<'_, N, M> {
    /// Replaces the text; the begin stays.
    #[inline]
    pub fn set(&self, text: &str) {
        if let Some(row) = &self.row {
            self.activity.set_row(row, text);
        }
    }

    /// [`Begun::set`] with formatted text, without allocation.
    pub fn set_fmt(&self, text: fmt::Arguments<'_>) {
        if let Some(row) = &self.row {
            self.activity.set_row_fmt(row, text);
        }
    }

    /// Whether it has a row, so that readers see it.
    #[must_use]
    pub const fn is_shown(&self) -> bool {
        self.row.is_some()
    }
}

impl<const N: usize, M> Drop for Begun<'_, N, M> {
    #[inline]
    fn drop(&mut self) {
        if let Some(row) = self.row.take() {
            self.activity.end_row(row);
        }
    }
}

impl<const N: usize, M> fmt::Debug for Begun<'_, N, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Begun").field("row", &self.row).finish_non_exhaustive()
    }
}
