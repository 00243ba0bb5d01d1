//! Fields of many files that combine, and their values.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::sync::Arc;

use mmstats_core::read::{Scalar, Value, Verdict};

use crate::combine::{Accumulator, Budget};
use crate::field::{FieldInfo, FieldRef, Grouping};
use crate::value::{Origin, Reading, WindowRate};

/// The number of no series.
pub(super) const NO_SERIES: u32 = u32::MAX;

/// A field, combined over the files that have it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Total {
    /// The description of the field.
    pub field: FieldInfo,
    /// Its combined value.
    pub reading: Reading,
    /// Number of files that have the field, without folded ones; in a family, of pairs of file and field.
    pub files: u32,
}

impl Total {
    /// The value of a field of one file.
    #[must_use]
    pub const fn new(field: FieldInfo, reading: Reading) -> Self {
        Self { field, reading, files: 1 }
    }
}

/// All series: a series is the fields of several files that combine.
#[derive(Debug, Clone, Default)]
pub(super) struct Series {
    grouping: Grouping,
    hasher: RandomState,
    /// The first series with a hash; the others follow by `next`.
    first: HashMap<u64, u32>,
    totals: Vec<Total>,
    /// For each of the totals.
    sums: Vec<Sum>,
    /// Whether some series has both constants and values that can change.
    mixed: bool,
    /// Whether values were read before.
    has_values: bool,
    /// Memory left for the values of this update.
    budget: Budget,
}

/// The values of one series.
#[derive(Debug, Clone)]
struct Sum {
    values: Accumulator,
    /// Whether it has values that can change.
    changes: bool,
    has_constants: bool,
    /// The next series with the same hash.
    next: u32,
}

impl Series {
    /// No series yet, of fields that combine so.
    pub(super) fn new(grouping: Grouping) -> Self {
        Self { grouping, ..Self::default() }
    }

    pub(super) const fn grouping(&self) -> Grouping {
        self.grouping
    }

    /// Removes all series; keeps the memory.
    pub(super) fn clear(&mut self) {
        self.first.clear();
        self.totals.clear();
        self.sums.clear();
        self.has_values = false;
    }

    /// The series of a field, which is probably `guess`; added if there is none.
    pub(super) fn get_or_add(&mut self, field: &FieldRef<'_>, guess: u32) -> u32 {
        let grouping = self.grouping;
        let guessed = self.totals.get(guess as usize);
        if guessed.is_some_and(|total| total.field.combines_with(grouping, field)) {
            return guess;
        }
        let hash = FieldInfo::hash_field(&self.hasher, grouping, field);
        self.find(hash, |info| info.combines_with(grouping, field))
            .unwrap_or_else(|| self.add(hash, FieldInfo::from(field), Accumulator::new(field)))
    }

    /// The series of a field, if there is one.
    pub(super) fn get(&self, field: &FieldRef<'_>) -> Option<u32> {
        let hash = FieldInfo::hash_field(&self.hasher, self.grouping, field);
        self.find(hash, |info| info.combines_with(self.grouping, field))
    }

    /// The series of a description; added if there is none, for values like those of `sum`.
    pub(super) fn get_or_add_info(&mut self, info: &FieldInfo, sum: &Accumulator) -> u32 {
        let grouping = self.grouping;
        let hash = info.hash_info(&self.hasher, grouping);
        let found = self.find(hash, |other| other.combines_with_info(grouping, info));
        let series = found.unwrap_or_else(|| {
            let mut sum = sum.clone();
            sum.clear();
            self.add(hash, info.clone(), sum)
        });
        if let Some(sum) = self.sums.get_mut(series as usize) {
            sum.changes = true;
        }
        series
    }

    fn find(&self, hash: u64, is: impl Fn(&FieldInfo) -> bool) -> Option<u32> {
        let mut at = *self.first.get(&hash)?;
        while let Some(total) = self.totals.get(at as usize) {
            if is(&total.field) {
                return Some(at);
            }
            at = self.sums.get(at as usize).map_or(NO_SERIES, |sum| sum.next);
        }
        None
    }

    fn add(&mut self, hash: u64, mut field: FieldInfo, values: Accumulator) -> u32 {
        if self.grouping == Grouping::Family {
            field.attributes = Arc::default();
        }
        let number = u32::try_from(self.totals.len()).unwrap_or(NO_SERIES);
        let next = self.first.insert(hash, number).unwrap_or(NO_SERIES);
        self.totals.push(Total { field, reading: values.reading(), files: 0 });
        self.sums.push(Sum { values, changes: false, has_constants: false, next });
        number
    }

    /// Counts a file that has a field of the series.
    pub(super) fn add_file(&mut self, series: u32, constant: bool) {
        let series = series as usize;
        if let Some(total) = self.totals.get_mut(series) {
            total.files = total.files.saturating_add(1);
        }
        if let Some(sum) = self.sums.get_mut(series) {
            *(if constant { &mut sum.has_constants } else { &mut sum.changes }) = true;
        }
    }

    /// Takes a file back that was counted by [`add_file`](Self::add_file).
    pub(super) fn remove_file(&mut self, series: u32) {
        if let Some(total) = self.totals.get_mut(series as usize) {
            total.files = total.files.saturating_sub(1);
        }
    }

    /// Before values are read: removes those that can change.
    pub(super) fn start(&mut self) {
        self.budget = Budget::default();
        self.mixed = self.sums.iter().any(|sum| sum.changes && sum.has_constants);
        for sum in &mut self.sums {
            if sum.changes || !self.has_values {
                sum.values.clear();
            }
        }
    }

    /// Whether constants are to be read in this update.
    pub(super) const fn needs_constants(&self) -> bool {
        !self.has_values || self.mixed
    }

    /// Adds a value, unless the series has only constants, which are kept.
    pub(super) fn value(&mut self, series: u32, origin: &Origin, raw: Verdict<Value<'_>>) {
        if let Some(sum) = self.sums.get_mut(series as usize)
            && (sum.changes || !self.has_values)
        {
            sum.values.value(&mut self.budget, origin, raw);
        }
    }

    /// Adds a scalar that can change.
    #[inline]
    pub(super) fn scalar(&mut self, series: u32, origin: &Origin, raw: Verdict<Scalar>) {
        if let Some(sum) = self.sums.get_mut(series as usize) {
            sum.values.scalar(&mut self.budget, origin, raw);
        }
    }

    /// Adds the rates of the value that was just added; computed only if there is a series.
    pub(super) fn rates(
        &mut self,
        series: u32,
        origin: &Origin,
        rates: &dyn Fn() -> Option<Vec<WindowRate>>,
    ) {
        if let Some(sum) = self.sums.get_mut(series as usize)
            && let Some(rates) = rates()
        {
            sum.values.rates(origin, rates);
        }
    }

    /// Adds the values of another accumulator.
    pub(super) fn merge(&mut self, series: u32, other: &Accumulator) {
        if let Some(sum) = self.sums.get_mut(series as usize) {
            sum.values.merge(other);
        }
    }

    /// After values were read: updates the totals.
    pub(super) fn finish(&mut self) {
        for (total, sum) in self.totals.iter_mut().zip(&self.sums) {
            if sum.changes || !self.has_values {
                total.reading = sum.values.reading();
            }
        }
        self.has_values = true;
    }

    pub(super) fn totals(&self) -> &[Total] {
        &self.totals
    }

    pub(super) fn into_totals(self) -> Vec<Total> {
        self.totals
    }

    /// All series.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&FieldInfo, &Accumulator)> {
        let sums = self.sums.iter().map(|sum| &sum.values);
        self.totals.iter().map(|total| &total.field).zip(sums)
    }
}
