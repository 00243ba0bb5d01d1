//! Fields of many files that belong together, and what their values amount to.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use mmstats_core::read::{Scalar, Value, Verdict};

use crate::budget::Budget;
use crate::combine::Combined;
use crate::field::{FieldInfo, FieldRef};
use crate::totals::Total;
use crate::value::Origin;

/// The number of no series.
pub(crate) const NOWHERE: u32 = u32::MAX;

/// Fields that belong together, found by what they have in common.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    hasher: RandomState,
    /// The first series with a hash; the others follow by `next`.
    first: HashMap<u64, u32>,
    next: Vec<u32>,
    pub(crate) totals: Vec<Total>,
    combined: Vec<Combined>,
    /// Whether the series has values that can change.
    changes: Vec<bool>,
    has_constants: Vec<bool>,
    /// Some series has constants, and values that can change.
    pub(crate) mixed: bool,
    /// Nothing was read since it was made.
    pub(crate) is_new: bool,
    /// What is left for the values of this update.
    pub(crate) budget: Budget,
}

impl Default for Series {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            first: HashMap::new(),
            next: Vec::new(),
            totals: Vec::new(),
            combined: Vec::new(),
            changes: Vec::new(),
            has_constants: Vec::new(),
            mixed: false,
            is_new: true,
            budget: Budget::default(),
        }
    }
}

impl Series {
    pub(crate) fn clear(&mut self) {
        self.first.clear();
        self.next.clear();
        self.totals.clear();
        self.combined.clear();
        self.changes.clear();
        self.has_constants.clear();
    }

    /// The series of a field, which may well be this one.
    pub(crate) fn guess(&mut self, field: &FieldRef<'_>, series: u32) -> u32 {
        match self.totals.get(series as usize) {
            Some(total) if total.field.is(field) => series,
            _ => self.of(field),
        }
    }

    /// The series of a field; made if there is none.
    pub(crate) fn of(&mut self, field: &FieldRef<'_>) -> u32 {
        let hash = self.hash(field);
        self.find(hash, |info| info.is(field))
            .unwrap_or_else(|| self.add(hash, FieldInfo::from(field), Combined::new(field)))
    }

    /// The series of a field, if there is one.
    pub(crate) fn known(&self, field: &FieldRef<'_>) -> Option<u32> {
        self.find(self.hash(field), |info| info.is(field))
    }

    fn hash(&self, field: &FieldRef<'_>) -> u64 {
        let (names, class) = (field.names(), field.class());
        self.hasher.hash_one((names, class, field.kind_name(), field.aggregation()))
    }

    /// The series of a description; made if there is none, for values `like` these.
    pub(crate) fn of_info(&mut self, info: &FieldInfo, like: &Combined) -> u32 {
        let hash = self.hasher.hash_one((
            [&info.label, &info.unit, &info.attributes].map(String::as_bytes),
            info.class(),
            info.kind_name,
            info.aggregation,
        ));
        let series = self.find(hash, |other| other.same(info)).unwrap_or_else(|| {
            let mut combined = like.clone();
            combined.clear();
            self.add(hash, info.clone(), combined)
        });
        if let Some(changes) = self.changes.get_mut(series as usize) {
            *changes = true;
        }
        series
    }

    fn find(&self, hash: u64, is: impl Fn(&FieldInfo) -> bool) -> Option<u32> {
        let mut at = *self.first.get(&hash)?;
        while let Some(total) = self.totals.get(at as usize) {
            if is(&total.field) {
                return Some(at);
            }
            at = self.next.get(at as usize).copied().unwrap_or(NOWHERE);
        }
        None
    }

    fn add(&mut self, hash: u64, field: FieldInfo, combined: Combined) -> u32 {
        let number = u32::try_from(self.totals.len()).unwrap_or(NOWHERE);
        let next = self.first.insert(hash, number).unwrap_or(NOWHERE);
        self.next.push(next);
        self.totals.push(Total { field, reading: combined.reading(), files: 0 });
        self.combined.push(combined);
        self.changes.push(false);
        self.has_constants.push(false);
        number
    }

    /// Notes that a file has a field of the series.
    pub(crate) fn add_file(&mut self, series: u32, constant: bool) {
        let series = series as usize;
        if let Some(total) = self.totals.get_mut(series) {
            total.files = total.files.saturating_add(1);
        }
        let flags = if constant { &mut self.has_constants } else { &mut self.changes };
        if let Some(flag) = flags.get_mut(series) {
            *flag = true;
        }
    }

    pub(crate) fn drop_file(&mut self, series: u32) {
        if let Some(total) = self.totals.get_mut(series as usize) {
            total.files = total.files.saturating_sub(1);
        }
    }

    /// Before values are read: those that can change are gone.
    pub(crate) fn start(&mut self) {
        self.budget = Budget::default();
        self.mixed = self.changes.iter().zip(&self.has_constants).any(|(a, b)| *a && *b);
        for (combined, changes) in self.combined.iter_mut().zip(&self.changes) {
            if *changes || self.is_new {
                combined.clear();
            }
        }
    }

    /// Takes a value in, unless it is a constant that is there already.
    pub(crate) fn value(&mut self, series: u32, origin: Origin, raw: Verdict<Value<'_>>) {
        let series = series as usize;
        if let (Some(combined), Some(changes)) =
            (self.combined.get_mut(series), self.changes.get(series))
            && (*changes || self.is_new)
        {
            combined.value(&mut self.budget, origin, raw);
        }
    }

    /// Takes a scalar in that may have changed.
    #[inline]
    pub(crate) fn scalar(
        &mut self,
        series: u32,
        origin: impl Fn() -> Origin,
        raw: Verdict<Scalar>,
    ) {
        if let Some(combined) = self.combined.get_mut(series as usize) {
            combined.scalar(&mut self.budget, origin, raw);
        }
    }

    /// After values were read.
    pub(crate) fn finish(&mut self) {
        for ((total, combined), changes) in
            self.totals.iter_mut().zip(&self.combined).zip(&self.changes)
        {
            if *changes || self.is_new {
                total.reading = combined.reading();
            }
        }
        self.is_new = false;
    }

    /// The values of a series.
    pub(crate) fn combined_mut(&mut self, series: u32) -> Option<&mut Combined> {
        self.combined.get_mut(series as usize)
    }

    /// All series.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&FieldInfo, &Combined)> {
        self.totals.iter().map(|total| &total.field).zip(&self.combined)
    }
}
