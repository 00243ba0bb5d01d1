//! Sums over all programs, and rates between two samples.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use globset::GlobMatcher;
use mmstats_observe::{
    Aggregation, FieldRef, File, Kind, Observer, OwnedValue, Program, Total, Totals,
};

use crate::model::progress::Progress;
use crate::model::selection::Selection;
use crate::model::{age, globs, is_active};

/// A label or glob of the command line.
pub(crate) struct Pattern {
    /// With the prefix.
    pub(crate) text: String,
    glob: Option<GlobMatcher>,
}

impl Pattern {
    /// # Errors
    ///
    /// The message about a bad glob, escaped.
    pub(crate) fn new(prefix: &str, field: &str) -> Result<Self, String> {
        let glob = match globs::matcher(&format!("{}{field}", globset::escape(prefix))) {
            Ok(glob) => Some(glob),
            // A label may have brackets and braces.
            Err(_) if field.contains(['[', ']', '{', '}']) && !field.contains('*') => None,
            Err(text) => return Err(text),
        };
        Ok(Self { text: format!("{prefix}{field}"), glob })
    }

    pub(crate) fn matches(&self, label: &str) -> bool {
        label == self.text || self.glob.as_ref().is_some_and(|glob| glob.is_match(label))
    }
}

/// A field; a timer has two columns of text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    pub(crate) label: Rc<str>,
    pub(crate) unit: Box<str>,
    pub(crate) kind: Option<Kind>,
}

/// The value of a column in one row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ColumnValue {
    /// Per second.
    Rate(f64),
    Value(OwnedValue),
    /// Per second, and the mean duration in seconds.
    Timer(f64, Option<f64>),
    Missing,
}

/// All columns at one time.
pub(crate) struct Sample {
    pub(crate) time: SystemTime,
    /// Time since the previous sample; `None` in the first one.
    pub(crate) elapsed: Option<Duration>,
    pub(crate) programs: usize,
    /// Whether any of the programs may still publish.
    pub(crate) active: bool,
    /// One for each column.
    pub(crate) values: Vec<ColumnValue>,
}

/// Counters and timers of a program in the previous sample.
struct Previous {
    /// Column, attributes and value, sorted.
    values: Vec<Series>,
    at: Instant,
}

impl Previous {
    fn get(&self, column: u32, attributes: &str) -> Option<&Progress> {
        let order = |series: &Series| (series.0, &*series.1).cmp(&(column, attributes));
        let at = self.values.binary_search_by(order).ok()?;
        self.values.get(at).map(|series| &series.2)
    }
}

/// Column, attributes and value of a counter or timer.
type Series = (u32, Box<str>, Progress);

/// Takes samples.
pub(crate) struct Sampler {
    selection: Selection,
    pub(crate) observer: Observer,
    patterns: Arc<Vec<Pattern>>,
    pub(crate) columns: Vec<Column>,
    /// Number of the column of a label.
    column_of: HashMap<Rc<str>, u32>,
    /// By program.
    previous: HashMap<String, Previous>,
    last: Option<Instant>,
}

impl Sampler {
    pub(crate) fn new(selection: Selection, patterns: Vec<Pattern>) -> Self {
        Self {
            observer: Observer::new(selection.sources.clone()),
            selection,
            patterns: Arc::new(patterns),
            columns: Vec::new(),
            column_of: HashMap::new(),
            previous: HashMap::new(),
            last: None,
        }
    }

    /// The patterns that no label matches.
    pub(crate) fn unmatched(&self) -> impl Iterator<Item = &Pattern> {
        let matches = |pattern: &Pattern| self.columns.iter().any(|c| pattern.matches(&c.label));
        self.patterns.iter().filter(move |pattern| !matches(pattern))
    }

    /// The labels of all programs, for suggestions.
    pub(crate) fn labels(&self) -> Vec<&str> {
        let all = self.observer.programs();
        let programs = self.selection.select(&all, false);
        let files = programs.flat_map(|program| program.files().iter().copied());
        files.flat_map(File::fields).filter(is_good).map(|field| field.label()).collect()
    }

    /// Reads all programs.
    pub(crate) fn sample(&mut self) -> Sample {
        self.observer.refresh();
        let (time, now) = (SystemTime::now(), Instant::now());
        let elapsed = self.last.map(|last| now - last);
        let all = self.observer.programs();
        let programs: Vec<&Program<'_>> = self.selection.select(&all, false).collect();
        let files = || programs.iter().flat_map(|program| program.files().iter().copied());
        let fields = files().flat_map(File::fields);
        add_columns(&mut self.columns, &mut self.column_of, &self.patterns, fields);
        let mut sums = vec![RateSum::default(); self.columns.len()];
        let mut current = HashMap::new();
        for program in &programs {
            let key = key(program);
            let previous = self.previous.get(&key);
            let values = running_values(program, &self.patterns, &self.column_of);
            // A new program: since its start, if that is after the previous sample or there is
            // none.
            let began = age(program.identity(), time).filter(|_| is_active(program.state()));
            let began = began.filter(|age| elapsed.is_none_or(|elapsed| *age <= elapsed * 2));
            let span = previous.map(|previous| now - previous.at).or(began);
            if let Some(span) = span.filter(|span| !span.is_zero()) {
                let span = elapsed.unwrap_or(span).as_secs_f64();
                for (column, attributes, after) in &values {
                    if let Some(sum) = sums.get_mut(*column as usize) {
                        let before = previous.and_then(|p| p.get(*column, attributes));
                        sum.add(after, before, span);
                    }
                }
            }
            current.insert(key, Previous { values, at: now });
        }
        let patterns = Arc::clone(&self.patterns);
        let mut rest = Totals::filtered(move |field| {
            !is_running(field.properties().kind())
                && patterns.iter().any(|pattern| pattern.matches(field.label()))
        });
        rest.update(files(), None);
        let rest = rest.into_fields();
        let mut rest: Vec<&Total> = rest.iter().collect();
        // Stable: fields of one label keep their order.
        rest.sort_by(|a, b| a.field.label.cmp(&b.field.label));
        let values = self.columns.iter().zip(sums).map(|(column, sum)| {
            if is_running(column.kind) {
                return sum.value(column);
            }
            let label = &*column.label;
            let begin = rest.partition_point(|total| *total.field.label < *label);
            let found = rest.get(begin..).unwrap_or(&[]);
            let end = found.partition_point(|total| *total.field.label == *label);
            gauge(found.get(..end).unwrap_or(&[]))
        });
        let values = values.collect();
        let active = programs.iter().any(|program| is_active(program.state()));
        let programs = programs.len();
        self.previous = current;
        self.last = Some(now);
        Sample { time, elapsed, programs, active, values }
    }
}

/// Whether a rate is shown for the kind.
const fn is_running(kind: Option<Kind>) -> bool {
    matches!(kind, Some(Kind::Counter | Kind::Timer))
}

/// Whether the field is part of sums.
const fn is_good(field: &FieldRef<'_>) -> bool {
    field.damage().is_none() && !field.is_retired()
}

/// Adds columns for new fields, in the order of the patterns.
fn add_columns<'a>(
    columns: &mut Vec<Column>,
    column_of: &mut HashMap<Rc<str>, u32>,
    patterns: &[Pattern],
    fields: impl Iterator<Item = FieldRef<'a>>,
) {
    let mut new: Vec<Vec<Column>> = vec![Vec::new(); patterns.len()];
    for field in fields.filter(is_good) {
        let label = field.label();
        if column_of.contains_key(label) {
            continue;
        }
        let first = patterns.iter().zip(&mut new).find(|(pattern, _)| pattern.matches(label));
        if let Some((_, new)) = first {
            let label: Rc<str> = label.into();
            // The number is set below, when all are known.
            column_of.insert(Rc::clone(&label), u32::MAX);
            new.push(Column { label, unit: field.unit().into(), kind: field.properties().kind() });
        }
    }
    for column in new.into_iter().flatten() {
        if let (Some(number), Ok(at)) =
            (column_of.get_mut(&column.label), u32::try_from(columns.len()))
        {
            *number = at;
        }
        columns.push(column);
    }
}

/// A key that tells a program from a later one with the same file name.
fn key(program: &Program<'_>) -> String {
    match (program.instance(), program.files().first()) {
        (Some(instance), _) => instance.to_string(),
        (None, Some(file)) => format!("{:?}", file.id()),
        (None, None) => String::new(),
    }
}

/// The counters and timers of a program that have a column.
fn running_values(
    program: &Program<'_>,
    patterns: &Arc<Vec<Pattern>>,
    column_of: &HashMap<Rc<str>, u32>,
) -> Vec<Series> {
    let count: usize = program.files().iter().map(|file| file.field_count()).sum();
    let passes = count / PASS_SIZE + 1;
    let mut values = Vec::new();
    for pass in 0..passes {
        let patterns = Arc::clone(patterns);
        let hasher = BuildHasherDefault::<DefaultHasher>::new();
        let mut totals = Totals::filtered(move |field| {
            let label = field.label();
            is_running(field.properties().kind())
                && (passes == 1 || hasher.hash_one(label) % passes as u64 == pass as u64)
                && patterns.iter().any(|pattern| pattern.matches(label))
        });
        totals.update(program.files().iter().copied(), None);
        values.extend(totals.fields().iter().filter_map(|total| {
            let column = *column_of.get(&*total.field.label)?;
            let value = Progress::from_value(total.reading.value.as_ref()?)?;
            Some((column, total.field.attributes.as_str().into(), value))
        }));
    }
    values.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    values
}

/// Number of fields that are combined in one pass, which bounds the memory: a total takes half a
/// kilobyte, and a file may have a million fields.
const PASS_SIZE: usize = if cfg!(test) { 10 } else { 1 << 17 };

/// The rate of a column, summed over programs and over fields with the same label.
#[derive(Debug, Clone, Default)]
struct RateSum {
    any: bool,
    /// Per second.
    rate: f64,
    /// For timers: count, and sum in seconds.
    timed: (f64, f64),
}

impl RateSum {
    /// Adds the increase of a series in `span` seconds, since zero if there is no `before`.
    fn add(&mut self, after: &Progress, before: Option<&Progress>, span: f64) {
        let Some((count, seconds)) = after.gained(before) else { return };
        self.any = true;
        self.rate += count / span;
        self.timed.0 += count;
        self.timed.1 += seconds;
    }

    fn value(&self, column: &Column) -> ColumnValue {
        match column.kind {
            _ if !self.any => ColumnValue::Missing,
            Some(Kind::Timer) => {
                let mean = (self.timed.0 > 0.0).then(|| self.timed.1 / self.timed.0);
                ColumnValue::Timer(self.rate, mean)
            }
            _ => ColumnValue::Rate(self.rate),
        }
    }
}

/// The value of the fields with one label, combined by the rule of the first.
fn gauge(totals: &[&Total]) -> ColumnValue {
    let mut totals = totals.iter();
    let Some(first) = totals.next() else { return ColumnValue::Missing };
    let Some(value) = first.reading.value.clone() else {
        return totals
            .find_map(|total| total.reading.value.clone())
            .map_or(ColumnValue::Missing, |value| ColumnValue::Value(value.only().clone()));
    };
    let mut numbers: Vec<f64> =
        totals.filter_map(|t| t.reading.value.as_ref().and_then(OwnedValue::as_f64)).collect();
    let (Some(number), false) = (value.as_f64(), numbers.is_empty()) else {
        return ColumnValue::Value(value.only().clone());
    };
    numbers.push(number);
    let fold = |f: fn(f64, f64) -> f64| numbers.iter().copied().reduce(f).unwrap_or(number);
    #[allow(clippy::cast_precision_loss)] // Not that many fields.
    ColumnValue::Value(OwnedValue::F64(match first.field.properties.aggregation() {
        Aggregation::Min => fold(f64::min),
        Aggregation::Max => fold(f64::max),
        Aggregation::Mean => numbers.iter().sum::<f64>() / numbers.len() as f64,
        _ => numbers.iter().sum(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(kind: Kind) -> Column {
        Column { label: "x".into(), unit: "".into(), kind: Some(kind) }
    }

    #[test]
    fn rate_sum_adds_programs() {
        let mut sum = RateSum::default();
        let before = Some(&Progress::Whole(100));
        let counter = column(Kind::Counter);
        assert_eq!(sum.value(&counter), ColumnValue::Missing);
        sum.add(&Progress::Whole(110), before, 2.0);
        // A new program counts since zero; a counter that went down is left out.
        sum.add(&Progress::Whole(6), None, 2.0);
        sum.add(&Progress::Whole(1), before, 2.0);
        assert_eq!(sum.value(&counter), ColumnValue::Rate(8.0));
    }

    #[test]
    fn rate_sum_of_timers_has_mean_of_increase() {
        let at = |count, sum| Progress::Timer(Box::new((count, sum)));
        let timer = column(Kind::Timer);
        let before = at(10, 5_000_000_000);
        let mut sum = RateSum::default();
        sum.add(&at(14, 7_000_000_000), Some(&before), 2.0);
        assert_eq!(sum.value(&timer), ColumnValue::Timer(2.0, Some(0.5)));
        let mut idle = RateSum::default();
        idle.add(&before, Some(&before), 2.0);
        assert_eq!(idle.value(&timer), ColumnValue::Timer(0.0, None));
    }

    #[test]
    fn previous_is_found_by_column_and_attributes() {
        let entry = |column, attributes: &str, n| (column, attributes.into(), Progress::Whole(n));
        let values = vec![entry(0, "", 1), entry(2, "a=1", 2), entry(2, "a=2", 3)];
        let before = Previous { values, at: Instant::now() };
        assert_eq!(before.get(2, "a=2"), Some(&Progress::Whole(3)));
        assert_eq!(before.get(0, ""), Some(&Progress::Whole(1)));
        assert_eq!((before.get(2, ""), before.get(1, "a=1")), (None, None));
    }

    /// More fields than one pass combines: each is there once, in its column.
    #[test]
    fn sample_combines_fields_in_passes() {
        use mmstats::{Counter, FieldOptions, Gauge, Lane, Options};
        let directory = tempfile::tempdir().unwrap();
        let publisher = Options::new().directory(directory.path()).start::<Lane>().unwrap();
        let lane = publisher.lane().unwrap();
        let name = |n| format!("field.{n}");
        let counters: Vec<Counter> = (0..50)
            .map(|n| {
                let key = publisher.add(name(2 * n), FieldOptions::new()).unwrap();
                let gauge = publisher.add::<Gauge<u64>>(name(2 * n + 1), FieldOptions::new());
                lane.attach(gauge.unwrap()).unwrap().set(n);
                lane.attach(key).unwrap()
            })
            .collect();
        let selection = Selection::parse(&[directory.path().as_os_str().to_owned()]);
        let mut sampler = Sampler::new(selection, vec![Pattern::new("field.", "*").unwrap()]);
        sampler.sample();
        counters.iter().zip(1..).for_each(|(counter, n)| counter.add(n));
        let sample = sampler.sample();
        let seconds = sample.elapsed.unwrap().as_secs_f64();
        assert_eq!((sampler.columns.len(), sample.values.len()), (100, 100));
        for ((column, cell), n) in sampler.columns.iter().zip(&sample.values).zip(0_u32..) {
            assert_eq!(*column.label, name(n.into()));
            match cell {
                ColumnValue::Rate(rate) => {
                    let counted = (rate * seconds).round();
                    assert_eq!((counted, n % 2), (f64::from(n / 2 + 1), 0), "{n}");
                }
                cell => {
                    let value = OwnedValue::Unsigned((n / 2).into());
                    assert_eq!((cell, n % 2), (&ColumnValue::Value(value), 1), "{n}");
                }
            }
        }
        assert!(sampler.unmatched().next().is_none());
        assert_eq!(
            sampler.labels().iter().filter(|label| label.starts_with("field.")).count(),
            100
        );
    }

    #[test]
    fn pattern_takes_prefix_literally() {
        let pattern = Pattern::new("web[1].", "re*").unwrap();
        assert!(pattern.matches("web[1].requests"));
        assert!(!pattern.matches("web1.requests"));
        assert!(Pattern::new("", "a[").unwrap().matches("a["));
        assert!(Pattern::new("", "a[*").is_err());
    }
}
