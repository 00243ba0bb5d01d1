//! Counters of ended programs, so that sums never drop when files are removed.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use mmstats_core::read::{Value, Verdict};
use mmstats_core::{Aggregation, Kind};

use super::series::{NO_SERIES, Series};
use crate::combine::{Accumulator, Budget};
use crate::field::{FieldInfo, FieldRef};
use crate::file::File;
use crate::format::{Scratch, Visitor};
use crate::identity::ProgramId;
use crate::value::Origin;

/// Counters, timers, histograms and averages of files that no longer change.
///
/// Given to [`Totals::update`](crate::Totals::update), it stands in for the files, whether
/// they still exist or were removed.
///
/// Only fields with the rule sum, min or max are folded. The gauges of an ended program are
/// meaningless, and format 1 does not tell counters from gauges.
#[derive(Debug, Clone, Default)]
pub struct Fold {
    /// Program and part of each file.
    files: HashSet<(ProgramId, u32)>,
    series: Series,
    /// The part of an instance that gave the constant of a series.
    constants: HashMap<(ProgramId, u32), u32>,
    version: u64,
}

/// The next version, unique over all folds.
static VERSION: AtomicU64 = AtomicU64::new(1);

impl Fold {
    /// A fold of no files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the counters of `file` for good. Later changes of the file are ignored, so the
    /// file should have ended, or its name be gone.
    ///
    /// False if the file was added before, cannot be read, or is of format 1.
    pub fn add(&mut self, file: &File) -> bool {
        let Some(key) = file.program_part().filter(|key| !self.files.contains(key)) else {
            return false;
        };
        if !file.state().is_readable() {
            return false;
        }
        let mut sums = Sums {
            sums: file.fields().map(|field| accumulator(&field)).collect(),
            origin: file.origin(0),
            budget: Budget::default(),
        };
        file.visit(&mut Scratch::new(), &mut sums);
        if !file.is_whole() {
            return false;
        }
        for (field, sum) in file.fields().zip(&sums.sums) {
            let Some(sum) = sum.as_ref().filter(|sum| sum.has_values()) else { continue };
            let series = self.series.get_or_add(&field, NO_SERIES);
            // A constant of several parts counts once, as it does in the files.
            if field.is_constant()
                && *self.constants.entry((key.0, series)).or_insert(key.1) != key.1
            {
                continue;
            }
            self.series.merge(series, sum);
        }
        self.files.insert(key);
        self.version = VERSION.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Adds the files that are closed or dead, and all vanished ones: call it after each
    /// refresh with the files of the observer and the vanished files of its
    /// [`Changes`](crate::Changes). Returns the number of files that were added.
    pub fn add_ended<'a>(
        &mut self,
        files: impl IntoIterator<Item = &'a File>,
        vanished: impl IntoIterator<Item = &'a File>,
    ) -> usize {
        let ended = files.into_iter().filter(|file| file.state().has_ended());
        ended.chain(vanished).filter(|file| self.add(file)).count()
    }

    /// Whether the file was added.
    #[must_use]
    pub fn contains(&self, file: &File) -> bool {
        !self.files.is_empty() && file.program_part().is_some_and(|key| self.files.contains(&key))
    }

    /// Whether no file was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Whether the constant of an instance is in the fold.
    pub(super) fn has_constant(&self, program: ProgramId, field: &FieldRef<'_>) -> bool {
        let series = self.series.get(field);
        series.is_some_and(|series| self.constants.contains_key(&(program, series)))
    }

    /// Changes whenever the content does.
    pub(super) const fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn fields(&self) -> impl ExactSizeIterator<Item = (&FieldInfo, &Accumulator)> {
        self.series.iter()
    }
}

/// An accumulator for a field that is folded; `None` for other fields.
fn accumulator(field: &FieldRef<'_>) -> Option<Accumulator> {
    let (kind, rule) = (field.properties().kind(), field.properties().aggregation());
    let counts =
        matches!(kind, Some(Kind::Counter | Kind::Timer | Kind::Histogram | Kind::Average));
    let rule = matches!(rule, Aggregation::Sum | Aggregation::Min | Aggregation::Max);
    (counts && rule && !field.is_retired()).then(|| Accumulator::new(field))
}

/// Adds up the values of one file.
struct Sums {
    /// By number of the field.
    sums: Vec<Option<Accumulator>>,
    origin: Origin,
    budget: Budget,
}

impl Visitor for Sums {
    fn lane(&mut self, lane: Option<u32>) {
        self.origin.lane = lane;
    }

    fn value(&mut self, index: u32, raw: Verdict<Value<'_>>) {
        if let Some(Some(sum)) = self.sums.get_mut(index as usize) {
            sum.value(&mut self.budget, &self.origin, raw);
        }
    }
}
