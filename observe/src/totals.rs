//! Fields of many files together: the same label, attributes, type and unit.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use crate::field::{FieldInfo, FieldRef};
use crate::file::File;
use crate::fold::Fold;
use crate::look::Content;
use crate::scan::{self, Scratch};
use crate::series::{NOWHERE, Series};
use crate::value::Reading;

/// A field, combined over the files that have it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Total {
    /// What it is.
    pub field: FieldInfo,
    /// Its value.
    pub reading: Reading,
    /// How many files have it, without folded ones.
    pub files: u32,
}

/// Which fields are kept.
type Keep = Box<dyn Fn(&FieldRef<'_>) -> bool + Send>;

/// Fields of many files, combined again and again.
///
/// Fields belong together if label, attributes, type, unit, kind and rule are the same;
/// then they combine by that rule. Damaged and retired fields take no part, nor do files
/// that cannot be read. Of an instance with several parts a constant is taken once.
///
/// While the files and their fields stay the same, an [`update`](Self::update) only
/// loads values and adds them.
#[derive(Default)]
pub struct Totals {
    keep: Option<Keep>,
    series: Series,
    plans: Vec<Plan>,
    /// Where the fields of the fold go, and which fold that was.
    folded: (Vec<u32>, u64),
    scratch: Scratch,
}

impl fmt::Debug for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Totals").field("fields", &self.series.totals).finish_non_exhaustive()
    }
}

/// Where the fields of one file go.
#[derive(Debug)]
struct Plan {
    version: (u64, u32),
    /// By number of the field: a number of a series, or `NOWHERE`.
    targets: Vec<u32>,
}

impl Totals {
    /// Of all fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Of the fields that `keep` accepts. It is asked once for each field of a file.
    #[must_use]
    pub fn filtered(keep: impl Fn(&FieldRef<'_>) -> bool + Send + 'static) -> Self {
        Self { keep: Some(Box::new(keep)), ..Self::default() }
    }

    /// Combines the values that the files have now. Files that were folded are left out:
    /// `fold` has their counters.
    pub fn update<'a>(&mut self, files: impl IntoIterator<Item = &'a File>, fold: Option<&Fold>) {
        let wanted = |file: &&File| fold.is_none_or(|fold| !fold.contains(file));
        let mut files: Vec<(usize, &File)> =
            files.into_iter().enumerate().filter(|(_, file)| wanted(file)).collect();
        loop {
            files.retain(|(_, file)| file.state().is_readable());
            let version = fold.map_or(0, Fold::version);
            let same = self.folded.1 == version
                && self.plans.len() == files.len()
                && files.iter().zip(&self.plans).all(|((_, file), plan)| plan.is_of(file));
            if !same {
                self.plan(&files, fold, version);
            }
            self.combine(&files, fold);
            // What was read of a file that was truncated meanwhile is worth nothing.
            // All are asked, so that all that are cut are found at once.
            let cut = files.iter().filter(|(_, file)| !file.is_whole()).count();
            if cut == 0 {
                break;
            }
        }
        self.series.finish();
    }

    /// The fields, in the order in which the files have them.
    #[must_use]
    pub fn fields(&self) -> &[Total] {
        &self.series.totals
    }

    /// The same for good, without what further updates need: half of the memory.
    #[must_use]
    pub fn into_fields(self) -> Vec<Total> {
        self.series.totals
    }

    /// The fields with this label, whatever their attributes are.
    pub fn get(&self, label: &str) -> impl Iterator<Item = &Total> {
        self.fields().iter().filter(move |total| total.field.label == label)
    }

    fn plan(&mut self, files: &[(usize, &File)], fold: Option<&Fold>, version: u64) {
        self.series.clear();
        let mut claims = HashMap::new();
        let mut plans: Vec<Plan> = Vec::with_capacity(files.len());
        for (_, file) in files {
            let mut targets = vec![NOWHERE; file.field_count()];
            // Files of one program have the same fields, so the one before is a good guess.
            let before: &[u32] = plans.last().map_or(&[], |plan| &plan.targets);
            let guesses = before.iter().copied().chain(std::iter::repeat(NOWHERE));
            let guesses: Vec<u32> = guesses.take(targets.len()).collect();
            for ((target, field), guess) in targets.iter_mut().zip(file.fields()).zip(guesses) {
                let lost = field.damage().is_some() || field.is_retired();
                if lost || self.keep.as_ref().is_some_and(|keep| !keep(&field)) {
                    continue;
                }
                let series = self.series.guess(&field, guess);
                if field.is_constant()
                    && let Some(instance) = file.instance()
                {
                    if fold.is_some_and(|fold| fold.has_constant(instance, &field)) {
                        continue;
                    }
                    // The lowest part keeps it.
                    let here = (file.part(), plans.len(), field.index());
                    match claims.entry((instance, series)) {
                        Entry::Vacant(entry) => {
                            entry.insert(here);
                        }
                        Entry::Occupied(mut entry) => {
                            let (part, plan, other) = *entry.get();
                            let same_file = plan == plans.len();
                            if !same_file && part <= here.0 {
                                continue;
                            }
                            if !same_file {
                                let plan = plans.get_mut(plan);
                                if let Some(to) = plan.and_then(|p| p.targets.get_mut(other)) {
                                    *to = NOWHERE;
                                    self.series.drop_file(series);
                                }
                                entry.insert(here);
                            }
                        }
                    }
                }
                *target = series;
                self.series.add_file(series, field.is_constant());
            }
            plans.push(Plan { version: file.version(), targets });
        }
        let folded = fold.map_or_else(Vec::new, |fold| {
            let series = fold.fields();
            series.map(|(field, like)| self.series.of_info(field, like)).collect()
        });
        self.plans = plans;
        self.folded = (folded, version);
        self.series.is_new = true;
    }

    fn combine(&mut self, files: &[(usize, &File)], fold: Option<&Fold>) {
        self.series.start();
        let series = &mut self.series;
        let scratch = &mut self.scratch;
        for ((number, file), plan) in files.iter().zip(&self.plans) {
            let targets = plan.targets.as_slice();
            let to = |index: u32| targets.get(index as usize).copied().unwrap_or(NOWHERE);
            match file.content() {
                Content::Three(three) => {
                    if series.is_new || series.mixed {
                        scan::constants(three, scratch, |index, raw| {
                            series.value(to(index), file.origin(*number, None), raw);
                        });
                    }
                    for lane in 0..three.lanes_used() {
                        let origin = || file.origin(*number, Some(lane));
                        scan::scalars(three, lane, |index, raw| {
                            series.scalar(to(index), origin, raw);
                        });
                        if three.plan().others.is_empty() {
                            continue;
                        }
                        scan::others(three, lane, scratch, |index, raw| {
                            series.value(to(index), origin(), raw);
                        });
                        for &index in &three.plan().rates {
                            if let Some(combined) = series.combined_mut(to(index))
                                && let Some(rates) = file.rates_in(three, index, lane)
                            {
                                combined.rates(&origin(), rates);
                            }
                        }
                    }
                }
                Content::One { one, .. } => {
                    for (index, record) in (0..).zip(&one.records) {
                        series.value(to(index), file.origin(*number, None), record.raw());
                    }
                }
                Content::Nothing => {}
            }
        }
        if let Some(fold) = fold {
            for (to, (_, from)) in self.folded.0.iter().zip(fold.fields()) {
                if let Some(combined) = series.combined_mut(*to) {
                    combined.merge(from);
                }
            }
        }
    }
}

impl Plan {
    fn is_of(&self, file: &File) -> bool {
        self.version == file.version() && self.targets.len() == file.field_count()
    }
}

/// The fields of several files, once, combined.
///
/// ```
/// use mmstats_observe::{Observer, Sources, totals};
/// let mut observer = Observer::new(Sources::new().path("/no/such/directory"));
/// observer.refresh();
/// assert!(totals(observer.files()).is_empty());
/// ```
#[must_use]
pub fn totals<'a>(files: impl IntoIterator<Item = &'a File>) -> Vec<Total> {
    let mut totals = Totals::new();
    totals.update(files, None);
    totals.into_fields()
}
