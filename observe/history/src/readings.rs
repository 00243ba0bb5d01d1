//! Past of a value that is not one number.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use mmstats_observe::{EachValue, OwnedValue, Reading, Tally, Verdict};

use crate::clock::Moment;

/// Maximum length of the past.
const SPAN: Duration = Duration::from_secs(6 * 3600);

/// Past readings of a text, a timer, a histogram, an array, ...: one for each look that found a change.
#[derive(Debug, Clone, Default)]
pub struct Readings {
    /// Look, reading, and memory of the reading in bytes.
    entries: VecDeque<(Moment, Arc<Reading>, usize)>,
    bytes: usize,
    last: Moment,
}

impl Readings {
    /// Records a look. Looks must be recorded in order of time.
    pub fn record(&mut self, at: Moment, reading: &Arc<Reading>) {
        self.last = at;
        let same = self.entries.back().is_some_and(|(_, last, _)| {
            Arc::ptr_eq(last, reading)
                || (last.verdict == reading.verdict && last.value == reading.value)
        });
        if !same {
            let size = size_of::<(Moment, Arc<Reading>, usize)>() + size(reading);
            self.entries.push_back((at, Arc::clone(reading), size));
            self.bytes += size;
        }
        let oldest = at.before(SPAN);
        // One entry at or before `oldest` stays: the reading at `oldest`.
        while self.entries.get(1).is_some_and(|(at, ..)| *at <= oldest) {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some((_, _, size)) = self.entries.pop_front() {
            self.bytes -= size;
        }
    }

    /// The reading of the last look at or before `at`; `None` if it is not kept.
    #[must_use]
    pub fn at(&self, at: Moment) -> Option<&Arc<Reading>> {
        let after = self.entries.partition_point(|(found, ..)| *found <= at);
        self.entries.get(after.checked_sub(1)?).map(|(_, reading, _)| reading)
    }

    /// Time of the last change at or before `at`; `None` if the kept past has none.
    #[must_use]
    pub fn changed(&self, at: Moment) -> Option<Moment> {
        let after = self.entries.partition_point(|(found, ..)| *found <= at);
        let (found, ..) = self.entries.get(after.checked_sub(1).filter(|index| *index > 0)?)?;
        Some(*found)
    }

    /// Time of the oldest kept reading.
    #[must_use]
    pub fn first(&self) -> Option<Moment> {
        self.entries.front().map(|(first, ..)| *first)
    }

    /// Records that the value is gone.
    pub(crate) fn end(&mut self, at: Moment) {
        if self.entries.back().is_some_and(|(_, last, _)| last.value.is_some()) {
            let none = Reading { value: None, verdict: Verdict::Absent, tally: Tally::default() };
            self.record(at, &Arc::new(none));
        }
        self.last = at;
    }

    /// Length of the past before the last look.
    #[must_use]
    pub fn span(&self) -> Duration {
        self.entries.front().map_or(Duration::ZERO, |(first, ..)| self.last.since(*first))
    }

    /// Memory of the entries, in bytes.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Drops the oldest entries until they take at most `bytes`; keeps the newest.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        while self.bytes > bytes && self.entries.len() > 1 {
            self.pop();
        }
    }
}

/// Approximate memory of a reading, in bytes.
pub(crate) fn size(reading: &Reading) -> usize {
    size_of::<Reading>() + reading.value.as_ref().map_or(0, heap)
}

/// Heap memory of a value, in bytes.
fn heap(value: &OwnedValue) -> usize {
    match value {
        OwnedValue::Text { text, .. } => text.len(),
        OwnedValue::Bytes { bytes, .. } => bytes.len(),
        OwnedValue::Array(values) => {
            values.iter().map(|value| size_of::<OwnedValue>() + heap(value)).sum()
        }
        OwnedValue::Each(values) => {
            let one = |each: &EachValue| each.value.as_ref().map_or(0, heap);
            values.iter().map(|each| size_of::<EachValue>() + one(each)).sum()
        }
        OwnedValue::Histogram(histogram) => {
            size_of_val(&**histogram) + 24 * histogram.buckets().count()
        }
        OwnedValue::Activity(activity) => {
            activity.rows.iter().map(|row| size_of_val(row) + row.text.len()).sum()
        }
        OwnedValue::State(_) | OwnedValue::Rate(_) => 256,
        _ => 0,
    }
}
