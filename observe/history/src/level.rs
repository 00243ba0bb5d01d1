//! One resolution of a number's past.

use crate::ring::Ring;

/// Bits of a number, in an order given by the caller.
pub(crate) type Less = fn(u64, u64) -> bool;

/// Successive buckets of one width, each with its smallest, largest and last number.
///
/// Looks that find the same number extend a run, so a field that does not change takes no memory.
/// A gap (a look that found no number) is a run too.
#[derive(Debug, Clone, Default)]
pub(crate) struct Level {
    /// Runs in order of time, without overlap.
    runs: Ring<Run>,
    /// Buckets in which the number changed, by their first index: a bucket without a range is flat.
    ranges: Ring<Range>,
}

/// Run of buckets, from the first look to the last, all with the same number.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Run {
    first: u64,
    /// Number of buckets after the first.
    more: u32,
    /// Whether it is a gap: the looks found no number.
    gap: bool,
    bits: u64,
}

impl Run {
    const fn last(self) -> u64 {
        self.first.saturating_add(self.more as u64)
    }
}

/// Range of a bucket in which the number changed.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Range {
    bucket: u64,
    min: u64,
    max: u64,
}

/// A bucket of a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket<T> {
    /// The smallest number in it.
    pub min: T,
    /// The largest.
    pub max: T,
    /// The last.
    pub last: T,
}

impl Bucket<u64> {
    fn include(&mut self, min: u64, max: u64, less: Less) {
        if less(min, self.min) {
            self.min = min;
        }
        if less(self.max, max) {
            self.max = max;
        }
    }
}

/// The kept buckets of a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Number of the oldest bucket.
    pub first: u64,
    /// Number of the newest.
    pub last: u64,
}

impl Level {
    /// Records a look at `bucket`, which must not be before that of the previous look; `None` is a look
    /// without a number.
    pub(crate) fn record(&mut self, bucket: u64, bits: Option<u64>, less: Less) {
        let (gap, bits) = (bits.is_none(), bits.unwrap_or(0));
        let new = Run { first: bucket, more: 0, gap, bits };
        let Some(run) = self.runs.back_mut() else {
            self.runs.push_back(new);
            return;
        };
        let last = run.last();
        if run.gap == gap && run.bits == bits {
            let more = bucket.saturating_sub(run.first);
            if let Ok(more) = u32::try_from(more) {
                run.more = run.more.max(more);
            } else {
                self.runs.push_back(new);
            }
            return;
        }
        if bucket > last {
            self.runs.push_back(new);
            return;
        }
        // The number changes within the bucket: a number wins over a gap, the later over the earlier.
        if gap {
            return;
        }
        let old = *run;
        if old.more == 0 {
            *run = new;
        } else {
            run.more -= 1;
            self.runs.push_back(new);
        }
        if old.gap {
            self.join_last();
            return;
        }
        match self.ranges.back_mut().filter(|range| range.bucket == bucket) {
            Some(range) => {
                if less(bits, range.min) {
                    range.min = bits;
                }
                if less(range.max, bits) {
                    range.max = bits;
                }
            }
            None => {
                let (min, max) =
                    if less(bits, old.bits) { (bits, old.bits) } else { (old.bits, bits) };
                self.ranges.push_back(Range { bucket, min, max });
            }
        }
        self.join_last();
    }

    /// Joins the last two runs if they have the same number: it changed and returned within a bucket.
    fn join_last(&mut self) {
        let Some(run) = self.runs.back().copied() else { return };
        let before = self.runs.len().checked_sub(2).and_then(|index| self.runs.get_mut(index));
        let Some(before) = before.filter(|old| old.gap == run.gap && old.bits == run.bits) else {
            return;
        };
        if let Ok(more) = u32::try_from(run.last().saturating_sub(before.first)) {
            before.more = more;
            self.runs.pop_back();
        }
    }

    /// The buckets from `first` to `last` as one. Without a look in them: the number of the looks before and
    /// after, if it is the same. `None` in a gap, between two different numbers, and outside the span.
    pub(crate) fn range(&self, first: u64, last: u64, less: Less) -> Option<Bucket<u64>> {
        let mut found: Option<Bucket<u64>> = None;
        let from = self.runs.partition_point(|run| run.last() < first);
        let runs = self.runs.iter_from(from).take_while(|run| run.first <= last);
        for Run { bits, .. } in runs.filter(|run| !run.gap) {
            let all = found.get_or_insert(Bucket { min: *bits, max: *bits, last: *bits });
            all.include(*bits, *bits, less);
            all.last = *bits;
        }
        let mut all = found?;
        let from = self.ranges.partition_point(|range| range.bucket < first);
        for range in self.ranges.iter_from(from).take_while(|range| range.bucket <= last) {
            all.include(range.min, range.max, less);
        }
        Some(all)
    }

    /// The number found by the last look at or before `bucket`; `None` if it found none.
    pub(crate) fn at(&self, bucket: u64) -> Option<u64> {
        let after = self.runs.partition_point(|run| run.first <= bucket);
        let run = self.runs.get(after.checked_sub(1)?)?;
        (!run.gap).then_some(run.bits)
    }

    /// First and last bucket of the run of the last look at or before `bucket`, and its number; `None` if
    /// that look found none.
    pub(crate) fn run_at(&self, bucket: u64) -> Option<(u64, u64, u64)> {
        let after = self.runs.partition_point(|run| run.first <= bucket);
        let run = self.runs.get(after.checked_sub(1)?)?;
        (!run.gap).then_some((run.first, run.last(), run.bits))
    }

    /// Number of the bucket in which the number last changed, at or before `bucket`.
    pub(crate) fn changed(&self, bucket: u64) -> Option<u64> {
        let after = self.runs.partition_point(|run| run.first <= bucket);
        let run = self.runs.get(after.checked_sub(1)?)?;
        let ranges = self.ranges.partition_point(|range| range.bucket <= bucket);
        let range = ranges.checked_sub(1).and_then(|at| self.ranges.get(at));
        let run = (!run.gap && after > 1).then_some(run.first);
        run.max(range.map(|range| range.bucket))
    }

    /// Whether a look after `first` and before `last` found no number.
    pub(crate) fn has_gap(&self, first: u64, last: u64) -> bool {
        let from = self.runs.partition_point(|run| run.last() < first);
        let mut looks = self.runs.iter_from(from).take_while(|run| run.first <= last);
        looks.any(|run| run.gap)
    }

    /// Numbers of the oldest and the newest bucket.
    pub(crate) fn span(&self) -> Option<Span> {
        let (first, last) = (self.runs.front()?, self.runs.back()?);
        Some(Span { first: first.first, last: last.last() })
    }

    /// Drops all buckets before `bucket`.
    pub(crate) fn drop_before(&mut self, bucket: u64) {
        while self.runs.front().is_some_and(|run| run.last() < bucket) {
            self.runs.pop_front();
        }
        if let Some(run) = self.runs.front_mut()
            && run.first < bucket
        {
            // `last` is at or after `bucket`, so the difference is at most `more`.
            run.more = u32::try_from(run.last() - bucket).unwrap_or(run.more);
            run.first = bucket;
        }
        while self.ranges.front().is_some_and(|range| range.bucket < bucket) {
            self.ranges.pop_front();
        }
    }

    /// Memory of the entries, with unused capacity, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.runs.bytes() + self.ranges.bytes()
    }

    /// Drops the oldest buckets until the entries take at most `bytes`; keeps the newest run.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        while self.bytes() > bytes && self.runs.len() > 1 {
            let Some(next) = self.runs.get(1).map(|run| run.first) else { return };
            self.drop_before(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const LESS: Less = |a, b| a < b;

    proptest! {
        /// The level against a map with every look.
        #[test]
        fn level_equals_a_list_of_all_looks(
            looks in prop::collection::vec((0_u64..4, prop::option::weighted(0.9, 0_u64..3)), 1..200)
        ) {
            let mut level = Level::default();
            let mut model: BTreeMap<u64, Vec<Option<u64>>> = BTreeMap::new();
            let mut at = 0;
            for (step, bits) in looks {
                at += step;
                level.record(at, bits, LESS);
                model.entry(at).or_default().push(bits);
            }
            for (bucket, found) in &model {
                let numbers: Vec<u64> = found.iter().flatten().copied().collect();
                let expected = numbers.last().map(|last| Bucket {
                    min: *numbers.iter().min().unwrap(),
                    max: *numbers.iter().max().unwrap(),
                    last: *last,
                });
                prop_assert_eq!(level.range(*bucket, *bucket, LESS), expected, "bucket {}", bucket);
            }
            let (first, last) = (*model.keys().next().unwrap(), *model.keys().last().unwrap());
            prop_assert_eq!(level.span(), Some(Span { first, last }));
            let middle = (first + last) / 2;
            // Several buckets as one, against all looks in them.
            let later = model.range(middle..).flat_map(|(_, found)| found.iter().flatten());
            let later: Vec<u64> = later.copied().collect();
            let all = level.range(middle, last, LESS);
            prop_assert_eq!(all.map(|all| all.last), later.last().copied().or(all.map(|a| a.last)));
            for number in &later {
                prop_assert!(all.is_some_and(|all| all.min <= *number && *number <= all.max));
            }
            let one = |level: &Level, bucket| level.range(bucket, bucket, LESS);
            let kept: Vec<_> = (middle..=last).map(|bucket| one(&level, bucket)).collect();
            level.drop_before(middle);
            let left: Vec<_> = (middle..=last).map(|bucket| one(&level, bucket)).collect();
            prop_assert_eq!(kept, left);
            prop_assert!(middle == first || one(&level, middle - 1).is_none());
        }
    }

    #[test]
    fn level_of_an_unchanged_number_takes_one_run() {
        let mut level = Level::default();
        for bucket in 0..100_000 {
            level.record(bucket, Some(7), LESS);
        }
        assert!(level.bytes() <= 200, "{}", level.bytes());
        let bucket = level.range(50_000, 50_000, LESS);
        assert_eq!(bucket, Some(Bucket { min: 7, max: 7, last: 7 }));
    }

    #[test]
    fn level_shrinks_to_bytes_from_the_oldest() {
        let mut level = Level::default();
        for bucket in 0..1_000 {
            level.record(bucket, Some(bucket), LESS);
        }
        let bytes = level.bytes() / 10;
        level.shrink_to(bytes);
        let Some(Span { first, last }) = level.span() else { panic!("nothing is left") };
        assert!((880..=980).contains(&first) && last == 999, "{first} to {last}");
        assert!(level.bytes() <= bytes);
        level.shrink_to(0);
        assert_eq!(level.range(999, 999, LESS).map(|bucket| bucket.last), Some(999));
    }
}
