//! The past of a value that is not one number.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use mmstats_observe::{EachValue, OwnedValue, Reading, Tally, Verdict};

use crate::clock::Moment;

/// Default span.
const SPAN: Duration = Duration::from_secs(6 * 3600);

/// The readings of a text, a timer, a histogram, an array, ... at the looks that found another one.
#[derive(Debug, Clone, Default)]
pub struct Readings {
    /// With the memory of the reading, in bytes.
    entries: VecDeque<(Moment, Arc<Reading>, usize)>,
    bytes: usize,
    last: Moment,
}

impl Readings {
    /// Records a look. Looks come in the order of time.
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
        // The entry before `oldest` is the reading at `oldest`.
        while self.entries.get(1).is_some_and(|(at, ..)| *at <= oldest) {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some((_, _, size)) = self.entries.pop_front() {
            self.bytes -= size;
        }
    }

    /// The reading by the last look at or before `at`; `None` if it is not kept.
    #[must_use]
    pub fn at(&self, at: Moment) -> Option<&Arc<Reading>> {
        let after = self.entries.partition_point(|(found, ..)| *found <= at);
        self.entries.get(after.checked_sub(1)?).map(|(_, reading, _)| reading)
    }

    /// When the value last changed, at or before `at`; `None` if it did not in the kept past.
    #[must_use]
    pub fn changed(&self, at: Moment) -> Option<Moment> {
        let after = self.entries.partition_point(|(found, ..)| *found <= at);
        let (found, ..) = self.entries.get(after.checked_sub(1).filter(|index| *index > 0)?)?;
        Some(*found)
    }

    /// The oldest look of which the reading is kept.
    #[must_use]
    pub fn first(&self) -> Option<Moment> {
        self.entries.front().map(|(first, ..)| *first)
    }

    /// Records that there is no value any more.
    pub(crate) fn end(&mut self, at: Moment) {
        if self.entries.back().is_some_and(|(_, last, _)| last.value.is_some()) {
            let none = Reading { value: None, verdict: Verdict::Absent, tally: Tally::default() };
            self.record(at, &Arc::new(none));
        }
        self.last = at;
    }

    /// How far the past reaches back from the last look.
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

/// Memory of a reading, in bytes, nearly.
pub(crate) fn size(reading: &Reading) -> usize {
    size_of::<Reading>() + reading.value.as_ref().map_or(0, heap)
}

/// Memory of a value outside of itself.
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
