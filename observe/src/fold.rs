//! What programs that ended have counted, so that sums never drop when their files go.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use mmstats_core::read::{Value, Verdict};
use mmstats_core::{Aggregation, Kind};

use crate::budget::Budget;
use crate::combine::Combined;
use crate::field::{FieldInfo, FieldRef};
use crate::file::File;
use crate::look::Content;
use crate::observer::{Changes, Observer};
use crate::scan::{self, Scratch};
use crate::series::Series;
use crate::state::Instance;

/// Counters, timers, histograms and averages of files that will not change any more.
///
/// Give it to [`Totals::update`](crate::Totals::update): there it stands in for the
/// files, whether they are still there or were removed.
///
/// Folded are those with the rule sum, min or max. A gauge of a program
/// that is gone says nothing, and format 1 does not tell counters from gauges.
#[derive(Debug, Clone, Default)]
pub struct Fold {
    /// Instance and part of each file.
    files: HashSet<(Instance, u32)>,
    series: Series,
    /// From which part of an instance the constant of a series was taken.
    constants: HashMap<(Instance, u32), u32>,
    version: u64,
}

/// Numbers for the contents of folds: none is given twice.
static VERSION: AtomicU64 = AtomicU64::new(1);

impl Fold {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in what `file` has counted, for good. Later changes of the file are not
    /// seen any more, so it should have ended, or its name be gone.
    ///
    /// False: it was taken in before, cannot be read, or is of format 1.
    pub fn add(&mut self, file: &File) -> bool {
        let Some(key) = key(file).filter(|key| !self.files.contains(key)) else { return false };
        if !file.state().is_readable() {
            return false;
        }
        let Content::Three(three) = file.content() else { return false };
        let mut parts: Vec<Option<Combined>> = file.fields().map(|field| part(&field)).collect();
        let (scratch, budget) = (&mut Scratch::new(), &mut Budget::default());
        let mut take = |index: u32, lane, raw: Verdict<Value<'_>>| {
            if let Some(Some(combined)) = parts.get_mut(index as usize) {
                combined.value(budget, file.origin(0, lane), raw);
            }
        };
        scan::constants(three, scratch, |index, raw| take(index, None, raw));
        for lane in 0..three.lanes_used() {
            scan::scalars(three, lane, |index, raw| take(index, Some(lane), raw.map(Into::into)));
            scan::others(three, lane, scratch, |index, raw| take(index, Some(lane), raw));
        }
        if !file.is_whole() {
            return false;
        }
        for (field, part) in file.fields().zip(&parts) {
            let Some(part) = part.as_ref().filter(|part| part.has_values()) else { continue };
            let series = self.series.of(&field);
            // One that several parts have is taken once, as from the files themselves.
            if field.is_constant()
                && *self.constants.entry((key.0, series)).or_insert(key.1) != key.1
            {
                continue;
            }
            if let Some(combined) = self.series.combined_mut(series) {
                combined.merge(part);
            }
        }
        self.files.insert(key);
        self.version = VERSION.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Takes in all files that are closed or dead, or that vanished. Call it after each
    /// refresh. Returns how many were new.
    pub fn add_ended(&mut self, observer: &Observer, changes: &Changes) -> usize {
        let ended = observer.files().iter().filter(|file| file.state().has_ended());
        ended.chain(&changes.vanished).filter(|file| self.add(file)).count()
    }

    /// Whether the file was taken in.
    #[must_use]
    pub fn contains(&self, file: &File) -> bool {
        !self.files.is_empty() && key(file).is_some_and(|key| self.files.contains(&key))
    }

    /// Whether nothing was taken in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Whether a constant was taken from another part of its instance.
    pub(crate) fn has_constant(&self, instance: Instance, field: &FieldRef<'_>) -> bool {
        let series = self.series.known(field);
        series.is_some_and(|series| self.constants.contains_key(&(instance, series)))
    }

    /// Changes whenever the content does.
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn fields(&self) -> impl ExactSizeIterator<Item = (&FieldInfo, &Combined)> {
        self.series.iter()
    }
}

fn key(file: &File) -> Option<(Instance, u32)> {
    file.instance().map(|instance| (instance, file.part()))
}

/// Room for the values of a field, if it is one that is folded.
fn part(field: &FieldRef<'_>) -> Option<Combined> {
    let counts =
        matches!(field.kind(), Some(Kind::Counter | Kind::Timer | Kind::Histogram | Kind::Average));
    let rule =
        matches!(field.aggregation(), Aggregation::Sum | Aggregation::Min | Aggregation::Max);
    (counts && rule && !field.is_retired()).then(|| Combined::new(field))
}
