//! Fields of many files, combined again and again.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use mmstats_core::read::{Scalar, Value, Verdict};

use super::fold::Fold;
use super::series::{NO_SERIES, Series, Total};
use crate::field::{FieldRef, Grouping};
use crate::file::File;
use crate::format::{Scratch, Visitor};
use crate::value::{Origin, WindowRate};

/// The next version, unique over all totals.
static VERSION: AtomicU64 = AtomicU64::new(1);

/// Decides whether a field is combined.
type Filter = Box<dyn Fn(&FieldRef<'_>) -> bool + Send + Sync>;

/// Fields of many files, combined again and again.
///
/// Fields combine if their keys ([`FieldInfo::key`](crate::FieldInfo::key)) are equal: label,
/// attributes, type, unit, kind and rule, and what else [`FieldKey`](crate::FieldKey) names. Fields of
/// one label that differ in another of these are several totals. Damaged and retired fields are left
/// out, and so are files that cannot be read, and sums that a ledger has. A constant that several parts
/// of an instance have counts once.
///
/// While the files and their fields stay the same, an [`update`](Self::update) only
/// loads values and adds them.
#[derive(Default)]
pub struct Totals {
    filter: Option<Filter>,
    series: Series,
    /// For each file.
    targets: Vec<Targets>,
    version: u64,
    /// Series of the fields of the fold, and version of that fold.
    folded: (Vec<u32>, u64),
    scratch: Scratch,
}

impl fmt::Debug for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Totals").field("fields", &self.series.totals()).finish_non_exhaustive()
    }
}

/// The series of the fields of one file.
#[derive(Debug)]
struct Targets {
    version: (u64, u32),
    /// A number of a series or `NO_SERIES`, by number of the field.
    series: Vec<u32>,
}

impl Totals {
    /// Totals of all fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Totals of the fields that `filter` accepts. It is called once for each field of a file.
    #[must_use]
    pub fn filtered(filter: impl Fn(&FieldRef<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self { filter: Some(Box::new(filter)), ..Self::default() }
    }

    /// The same totals over all attributes: a family is one total, without attributes. Fields
    /// still combine only if type, unit, kind and rule are the same.
    #[must_use]
    pub fn of_families(self) -> Self {
        Self { series: Series::new(Grouping::Family), targets: Vec::new(), ..self }
    }

    /// Combines the values of the files now. Folded files are left out: `fold` has their
    /// counters.
    pub fn update<'a>(&mut self, files: impl IntoIterator<Item = &'a File>, fold: Option<&Fold>) {
        let wanted = |file: &&File| fold.is_none_or(|fold| !fold.contains(file));
        let mut files: Vec<(usize, &File)> =
            files.into_iter().enumerate().filter(|(_, file)| wanted(file)).collect();
        loop {
            files.retain(|(_, file)| file.state().is_readable());
            let version = fold.map_or(0, Fold::version);
            let same = self.folded.1 == version
                && self.targets.len() == files.len()
                && files.iter().zip(&self.targets).all(|((_, file), targets)| targets.fit(file));
            if !same {
                self.assign(&files, fold, version);
            }
            self.combine(&files, fold);
            // Values of files that were truncated meanwhile are discarded. No short circuit:
            // all truncated files are found in one pass.
            let cut = files.iter().filter(|(_, file)| !file.is_whole()).count();
            if cut == 0 {
                break;
            }
        }
        self.series.finish();
    }

    /// A number that no other totals have and that stays while the fields are the same: number, order and
    /// descriptions.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The combined fields, in the order of the fields of the files.
    #[must_use]
    pub fn fields(&self) -> &[Total] {
        self.series.totals()
    }

    /// The combined fields, without the memory that further updates need: half of it.
    #[must_use]
    pub fn into_fields(self) -> Vec<Total> {
        self.series.into_totals()
    }

    /// The fields with this label, with any attributes.
    pub fn get(&self, label: &str) -> impl Iterator<Item = &Total> {
        self.fields().iter().filter(move |total| total.field.label == label)
    }

    /// Finds the series of all fields.
    fn assign(&mut self, files: &[(usize, &File)], fold: Option<&Fold>, version: u64) {
        self.series.clear();
        self.version = VERSION.fetch_add(1, Ordering::Relaxed);
        // The file and field that gives a constant of an instance.
        let mut constants = HashMap::new();
        let mut all: Vec<Targets> = Vec::with_capacity(files.len());
        for (_, file) in files {
            let mut targets = vec![NO_SERIES; file.field_count()];
            // Files of one program have the same fields: the file before gives a good guess.
            let before: &[u32] = all.last().map_or(&[], |targets| &targets.series);
            let guesses = before.iter().copied().chain(std::iter::repeat(NO_SERIES));
            let guesses: Vec<u32> = guesses.take(targets.len()).collect();
            for ((target, field), guess) in targets.iter_mut().zip(file.fields()).zip(guesses) {
                // The ledger of the application has the sums.
                let elsewhere = file.is_superseded() && field.properties().is_cumulative();
                let left_out = field.damage().is_some() || field.is_retired() || elsewhere;
                if left_out || self.filter.as_ref().is_some_and(|filter| !filter(&field)) {
                    continue;
                }
                let series = self.series.get_or_add(&field, guess);
                if field.is_constant()
                    && let Some(program) = file.program()
                {
                    if fold.is_some_and(|fold| fold.has_constant(program, &field)) {
                        continue;
                    }
                    // The lowest part gives it.
                    let here = (file.part(), all.len(), field.index());
                    // Of a family each combination is a constant of its own.
                    let one = (self.series.grouping() == Grouping::Family)
                        .then(|| Box::from(field.attributes_text()));
                    let key: (_, _, Option<Box<str>>) = (program, series, one);
                    let (part, other_file, other_field) =
                        *constants.entry(key.clone()).or_insert(here);
                    if other_file != all.len() {
                        if part <= here.0 {
                            continue;
                        }
                        let other = all.get_mut(other_file);
                        if let Some(to) = other.and_then(|t| t.series.get_mut(other_field)) {
                            *to = NO_SERIES;
                            self.series.remove_file(series);
                        }
                        constants.insert(key, here);
                    }
                }
                *target = series;
                self.series.add_file(series, field.is_constant());
            }
            all.push(Targets { version: file.version(), series: targets });
        }
        let folded = fold.map_or_else(Vec::new, |fold| {
            let fields = fold.fields();
            fields.map(|(field, sum)| self.series.get_or_add_info(field, sum)).collect()
        });
        self.targets = all;
        self.folded = (folded, version);
    }

    /// Reads the values and adds them up.
    fn combine(&mut self, files: &[(usize, &File)], fold: Option<&Fold>) {
        self.series.start();
        for ((number, file), targets) in files.iter().zip(&self.targets) {
            let constants = self.series.needs_constants();
            let origin = file.origin(*number);
            let mut sums = Sums { series: &mut self.series, targets: &targets.series, origin };
            if constants {
                file.visit_constants(&mut self.scratch, &mut sums);
            }
            file.visit_all_lanes(&mut self.scratch, &mut sums);
        }
        if let Some(fold) = fold {
            for (series, (_, sum)) in self.folded.0.iter().zip(fold.fields()) {
                self.series.merge(*series, sum);
            }
        }
    }
}

impl Targets {
    fn fit(&self, file: &File) -> bool {
        self.version == file.version() && self.series.len() == file.field_count()
    }
}

/// Adds the values of one file to its series.
struct Sums<'a> {
    series: &'a mut Series,
    /// By number of the field.
    targets: &'a [u32],
    origin: Origin,
}

impl Sums<'_> {
    fn target(&self, index: u32) -> u32 {
        self.targets.get(index as usize).copied().unwrap_or(NO_SERIES)
    }
}

impl Visitor for Sums<'_> {
    fn lane(&mut self, lane: Option<u32>) {
        self.origin.lane = lane;
    }

    #[inline]
    fn scalar(&mut self, index: u32, raw: Verdict<Scalar>) {
        self.series.scalar(self.target(index), &self.origin, raw);
    }

    fn value(&mut self, index: u32, raw: Verdict<Value<'_>>) {
        self.series.value(self.target(index), &self.origin, raw);
    }

    fn rates(&mut self, index: u32, rates: &dyn Fn() -> Option<Vec<WindowRate>>) {
        self.series.rates(self.target(index), &self.origin, rates);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Several threads may look at the same totals.
    #[test]
    fn totals_are_sync() {
        fn needs<T: Send + Sync>() {}
        needs::<Totals>();
    }
}
