//! Counters of ended programs, so that sums never drop when files are removed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use mmstats_core::read::{Value, Verdict};

use super::series::Series;
use crate::combine::{Accumulator, Budget};
use crate::field::{FieldInfo, FieldRef};
use crate::file::File;
use crate::format::{Scratch, Visitor};
use crate::identity::{FileState, ProgramId};
use crate::value::Origin;

/// Counters, timers, histograms and averages of files that no longer change.
///
/// Given to [`Totals::update`](crate::Totals::update), it stands in for the files, whether
/// they still exist or were removed.
///
/// Left out are programs whose counts stay after their end: those with values that go on from run to
/// run, and the instances of an application, which has a ledger.
///
/// Only fields with the rule sum, min or max are folded. The gauges of an ended program are
/// meaningless, and format 1 does not tell counters from gauges.
#[derive(Debug, Clone, Default)]
pub struct Fold {
    /// Program and part of each file.
    files: HashSet<Key>,
    /// Counts of files that had ended.
    ended: Counts,
    /// Counts of files whose name vanished before they were closed: a program may publish them again. In order,
    /// so that sums of floats are the same each time.
    gone: BTreeMap<Key, Vec<(FieldInfo, Accumulator)>>,
    /// Counts of both, if there are vanished files.
    both: Counts,
    /// Programs whose counts are kept elsewhere.
    kept: HashSet<ProgramId>,
    version: u64,
}

/// Program and part of a file.
type Key = (ProgramId, u32);

/// Maximum number of vanished files that can come back; those above it cannot.
const MAX_GONE: usize = 1024;

/// Counts of several files.
#[derive(Debug, Clone, Default)]
struct Counts {
    series: Series,
    /// The part of an instance that gave the constant of a series.
    constants: HashMap<(ProgramId, u32), u32>,
}

impl Counts {
    fn add(&mut self, (program, part): Key, fields: &[(FieldInfo, Accumulator)]) {
        for (field, sum) in fields {
            let series = self.series.get_or_add_info(field, sum);
            // A constant of several parts counts once, as it does in the files.
            if field.constant && *self.constants.entry((program, series)).or_insert(part) != part {
                continue;
            }
            self.series.merge(series, sum);
        }
    }
}

/// The next version, unique over all folds.
static VERSION: AtomicU64 = AtomicU64::new(1);

impl Fold {
    /// A fold of no files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the counters of `file`. Later changes of the file are ignored, so the file should
    /// have ended, or its name be gone.
    ///
    /// False if the file was added before, cannot be read, is of format 1, or if the counts of
    /// its program are kept elsewhere.
    pub fn add(&mut self, file: &File) -> bool {
        let added = self.insert(file, false);
        if added {
            self.change();
        }
        added
    }

    /// [`add`](Self::add) without [`change`](Self::change). A file that has `vanished` can come back unless its
    /// program closed it: one that seems dead may have been given up for a new one.
    fn insert(&mut self, file: &File, vanished: bool) -> bool {
        self.notice(file);
        if file.program().is_some_and(|program| self.kept.contains(&program)) {
            return false;
        }
        let Some(key) = file.program_part().filter(|key| !self.files.contains(key)) else {
            return false;
        };
        // What programs of an application have counted stays in its ledger.
        if file.ledger().is_some() || file.identity().application.is_some() {
            return false;
        }
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
        let fields: Vec<(FieldInfo, Accumulator)> = file
            .fields()
            .zip(sums.sums)
            .filter_map(|(field, sum)| Some((FieldInfo::from(&field), sum?)))
            .filter(|(_, sum)| sum.has_parts())
            .collect();
        let has_ended = match file.state() {
            FileState::Dead => !vanished,
            state => state.has_ended(),
        };
        if has_ended || self.gone.len() >= MAX_GONE {
            self.ended.add(key, &fields);
        } else {
            self.gone.insert(key, fields);
        }
        self.files.insert(key)
    }

    /// After a change of the counts.
    fn change(&mut self) {
        self.both = Counts::default();
        if !self.gone.is_empty() {
            self.both = self.ended.clone();
            self.gone.iter().for_each(|(key, fields)| self.both.add(*key, fields));
        }
        self.version = VERSION.fetch_add(1, Ordering::Relaxed);
    }

    fn counts(&self) -> &Counts {
        if self.gone.is_empty() { &self.ended } else { &self.both }
    }

    /// Adds the files that are closed or dead, and all vanished ones: call it after each
    /// refresh with the files of the observer and the vanished files of its
    /// [`Changes`](crate::Changes). A vanished file that was live, and is there again, is taken
    /// out. Returns the number of files that were added.
    pub fn add_ended<'a>(
        &mut self,
        files: impl IntoIterator<Item = &'a File>,
        vanished: impl IntoIterator<Item = &'a File>,
    ) -> usize {
        let files: Vec<&File> = files.into_iter().collect();
        let vanished: Vec<&File> = vanished.into_iter().collect();
        // The first part says it for all.
        files.iter().chain(&vanished).for_each(|file| self.notice(file));
        // What has vanished and is there again was published anew, with all that it had counted.
        let present: HashSet<Key> = files.iter().filter_map(|file| file.program_part()).collect();
        let is_gone = |file: &&File| file.program_part().is_none_or(|key| !present.contains(&key));
        let taken_back = self.take_back(&present);
        let ended = files.into_iter().filter(|file| file.state().has_ended());
        let vanished = vanished.into_iter().filter(is_gone);
        let ended = ended.map(|file| (file, false));
        let vanished = vanished.map(|file| (file, true));
        let added = ended.chain(vanished).filter(|(file, gone)| self.insert(file, *gone)).count();
        if taken_back || added > 0 {
            self.change();
        }
        added
    }

    /// Takes out vanished files that are there again; false if there are none.
    fn take_back(&mut self, present: &HashSet<Key>) -> bool {
        let again: Vec<Key> =
            self.gone.keys().filter(|key| present.contains(key)).copied().collect();
        for key in &again {
            self.gone.remove(key);
            self.files.remove(key);
        }
        !again.is_empty()
    }

    /// Notes a program whose counts are kept elsewhere: counted here too, they would be doubled.
    fn notice(&mut self, file: &File) {
        let identity = file.identity();
        if identity.declared.is_some() || identity.application.is_some() {
            self.kept.extend(file.program());
        }
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
        let counts = self.counts();
        let series = counts.series.get(field);
        series.is_some_and(|series| counts.constants.contains_key(&(program, series)))
    }

    /// Changes whenever the content does.
    pub(super) const fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn fields(&self) -> impl ExactSizeIterator<Item = (&FieldInfo, &Accumulator)> {
        self.counts().series.iter()
    }
}

/// An accumulator for a field that is folded; `None` for other fields.
fn accumulator(field: &FieldRef<'_>) -> Option<Accumulator> {
    let counts = field.properties().is_cumulative();
    (counts && !field.is_retired()).then(|| Accumulator::new(field))
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
