//! Sums over all programs, and rates between two looks at them.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use globset::GlobMatcher;
use mmstats_observe::{
    Aggregation, FieldRef, File, Kind, Observer, OwnedValue, Program, Total, Totals,
};

use super::rates::Reached;
use crate::globs;
use crate::targets::{Targets, age, is_active};

/// A field that was asked for, by label or glob.
pub(crate) struct Wanted {
    /// As it was given, with the prefix.
    pub(crate) text: String,
    glob: Option<GlobMatcher>,
}

impl Wanted {
    /// # Errors
    ///
    /// The complaint about a bad glob, escaped.
    pub(crate) fn new(prefix: &str, field: &str) -> Result<Self, String> {
        let glob = match globs::one(&format!("{}{field}", globset::escape(prefix))) {
            Ok(glob) => Some(glob),
            // A label may look like a bad glob.
            Err(_) if field.contains(['[', ']', '{', '}']) && !field.contains('*') => None,
            Err(text) => return Err(text),
        };
        Ok(Self { text: format!("{prefix}{field}"), glob })
    }

    pub(crate) fn matches(&self, label: &str) -> bool {
        label == self.text || self.glob.as_ref().is_some_and(|glob| glob.is_match(label))
    }
}

/// A column or, for timers, two.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    pub(crate) label: Rc<str>,
    pub(crate) unit: Box<str>,
    pub(crate) kind: Option<Kind>,
}

/// One number, or what else there is to say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    /// Per second.
    Rate(f64),
    Value(OwnedValue),
    /// Per second, and the mean duration in seconds.
    Timer(f64, Option<f64>),
    Missing,
}

/// What all programs said at one moment.
pub(crate) struct Sample {
    pub(crate) time: SystemTime,
    /// Since the sample before; `None` in the first one.
    pub(crate) elapsed: Option<Duration>,
    pub(crate) programs: usize,
    /// Whether one of them may still publish.
    pub(crate) active: bool,
    /// For each column.
    pub(crate) cells: Vec<Cell>,
}

/// What the counters and timers of a program were.
struct Before {
    /// By column and attributes, in order.
    values: Vec<(u32, Box<str>, Reached)>,
    at: Instant,
}

impl Before {
    fn get(&self, column: u32, attributes: &str) -> Option<&Reached> {
        let order =
            |entry: &(u32, Box<str>, Reached)| (entry.0, &*entry.1).cmp(&(column, attributes));
        let at = self.values.binary_search_by(order).ok()?;
        self.values.get(at).map(|entry| &entry.2)
    }
}

/// Looks again and again.
pub(crate) struct Sampler {
    targets: Targets,
    pub(crate) observer: Observer,
    wanted: Arc<Vec<Wanted>>,
    pub(crate) columns: Vec<Column>,
    /// Which column a label has.
    places: HashMap<Rc<str>, u32>,
    before: HashMap<String, Before>,
    last: Option<Instant>,
}

impl Sampler {
    pub(crate) fn new(targets: Targets, wanted: Vec<Wanted>) -> Self {
        let observer = Observer::new(targets.sources.clone());
        let (wanted, columns, places) = (Arc::new(wanted), Vec::new(), HashMap::new());
        let before = HashMap::new();
        Self { targets, observer, wanted, columns, places, before, last: None }
    }

    /// The fields asked for that no label matches.
    pub(crate) fn unmatched(&self) -> impl Iterator<Item = &Wanted> {
        self.wanted.iter().filter(|wanted| !self.columns.iter().any(|c| wanted.matches(&c.label)))
    }

    /// All labels that there are, for suggestions.
    pub(crate) fn labels(&self) -> Vec<&str> {
        let all = self.observer.programs();
        let programs = all.iter().filter(|program| self.targets.wants(program, false, &all));
        let files = programs.flat_map(|program| program.files().iter().copied());
        files.flat_map(File::fields).filter(is_good).map(|field| field.label()).collect()
    }

    /// Looks at everything once.
    pub(crate) fn sample(&mut self) -> Sample {
        self.observer.refresh();
        let (time, now) = (SystemTime::now(), Instant::now());
        let elapsed = self.last.map(|last| now - last);
        let all = self.observer.programs();
        let programs: Vec<&Program<'_>> =
            all.iter().filter(|program| self.targets.wants(program, false, &all)).collect();
        let files = || programs.iter().flat_map(|program| program.files().iter().copied());
        grow(&mut self.columns, &mut self.places, &self.wanted, files().flat_map(File::fields));
        let mut sums = vec![Sum::default(); self.columns.len()];
        let mut seen = HashMap::new();
        for program in &programs {
            let key = key(program);
            let before = self.before.get(&key);
            let values = counters(program, &self.wanted, &self.places);
            // Without a look before: since the program began, if that was after the last
            // sample or this is the first.
            let began = age(program.identity(), time).filter(|_| is_active(program.state()));
            let began = began.filter(|age| elapsed.is_none_or(|elapsed| *age <= elapsed * 2));
            let span = before.map(|before| now - before.at).or(began);
            if let Some(span) = span.filter(|span| !span.is_zero()) {
                let span = elapsed.unwrap_or(span).as_secs_f64();
                for (column, attributes, after) in &values {
                    if let Some(sum) = sums.get_mut(*column as usize) {
                        let before = before.and_then(|before| before.get(*column, attributes));
                        sum.add(after, before, span);
                    }
                }
            }
            seen.insert(key, Before { values, at: now });
        }
        let wanted = Arc::clone(&self.wanted);
        let mut rest = Totals::filtered(move |field| {
            !is_running(field.kind()) && wanted.iter().any(|wanted| wanted.matches(field.label()))
        });
        rest.update(files(), None);
        let rest = rest.into_fields();
        let mut rest: Vec<&Total> = rest.iter().collect();
        // Those of one label stay in their order.
        rest.sort_by(|a, b| a.field.label.cmp(&b.field.label));
        let cells = self.columns.iter().zip(sums).map(|(column, sum)| {
            if is_running(column.kind) {
                return sum.cell(column);
            }
            let label = &*column.label;
            let begin = rest.partition_point(|total| *total.field.label < *label);
            let found = rest.get(begin..).unwrap_or(&[]);
            let end = found.partition_point(|total| *total.field.label == *label);
            gauge(found.get(..end).unwrap_or(&[]))
        });
        let cells = cells.collect();
        let active = programs.iter().any(|program| is_active(program.state()));
        let programs = programs.len();
        self.before = seen;
        self.last = Some(now);
        Sample { time, elapsed, programs, active, cells }
    }
}

/// Whether it is one of those whose rate is shown.
const fn is_running(kind: Option<Kind>) -> bool {
    matches!(kind, Some(Kind::Counter | Kind::Timer))
}

/// Whether it takes part in sums.
const fn is_good(field: &FieldRef<'_>) -> bool {
    field.damage().is_none() && !field.is_retired()
}

/// Adds the columns of fields that were not seen before, in the order asked for.
fn grow<'a>(
    columns: &mut Vec<Column>,
    places: &mut HashMap<Rc<str>, u32>,
    wanted: &[Wanted],
    fields: impl Iterator<Item = FieldRef<'a>>,
) {
    let mut new: Vec<Vec<Column>> = vec![Vec::new(); wanted.len()];
    for field in fields.filter(is_good) {
        let label = field.label();
        if places.contains_key(label) {
            continue;
        }
        let first = wanted.iter().zip(&mut new).find(|(wanted, _)| wanted.matches(label));
        if let Some((_, new)) = first {
            let label: Rc<str> = label.into();
            // Its place is known when all are there.
            places.insert(Rc::clone(&label), u32::MAX);
            new.push(Column { label, unit: field.unit().into(), kind: field.kind() });
        }
    }
    for column in new.into_iter().flatten() {
        if let (Some(place), Ok(at)) = (places.get_mut(&column.label), u32::try_from(columns.len()))
        {
            *place = at;
        }
        columns.push(column);
    }
}

fn key(program: &Program<'_>) -> String {
    match (program.instance(), program.files().first()) {
        (Some(instance), _) => instance.to_string(),
        // The inode tells a file from the next one of the same name.
        (None, Some(file)) => format!("{:?}", file.id()),
        (None, None) => String::new(),
    }
}

/// The counters and timers among the columns.
fn counters(
    program: &Program<'_>,
    wanted: &Arc<Vec<Wanted>>,
    places: &HashMap<Rc<str>, u32>,
) -> Vec<(u32, Box<str>, Reached)> {
    let count: usize = program.files().iter().map(|file| file.field_count()).sum();
    let passes = count / AT_ONCE + 1;
    let mut values = Vec::new();
    for pass in 0..passes {
        let wanted = Arc::clone(wanted);
        let hasher = BuildHasherDefault::<DefaultHasher>::new();
        let mut totals = Totals::filtered(move |field| {
            let label = field.label();
            is_running(field.kind())
                && (passes == 1 || hasher.hash_one(label) % passes as u64 == pass as u64)
                && wanted.iter().any(|wanted| wanted.matches(label))
        });
        totals.update(program.files().iter().copied(), None);
        values.extend(totals.fields().iter().filter_map(|total| {
            let column = *places.get(&*total.field.label)?;
            let value = Reached::of(total.reading.value.as_ref()?)?;
            Some((column, total.field.attributes.as_str().into(), value))
        }));
    }
    values.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    values
}

/// Fields that are combined at once. What is known of a field takes half a kilobyte, and a file
/// may have a million of them.
const AT_ONCE: usize = if cfg!(test) { 10 } else { 1 << 17 };

/// Of one column, over programs and over fields that differ in their attributes alone.
#[derive(Debug, Clone, Default)]
struct Sum {
    any: bool,
    rate: f64,
    /// Durations and seconds, of timers.
    timed: (f64, f64),
}

impl Sum {
    /// Adds what a series gained in `span` seconds, from zero if there is no `before`.
    fn add(&mut self, after: &Reached, before: Option<&Reached>, span: f64) {
        let Some((count, seconds)) = after.gained(before) else { return };
        self.any = true;
        self.rate += count / span;
        self.timed.0 += count;
        self.timed.1 += seconds;
    }

    fn cell(&self, column: &Column) -> Cell {
        match column.kind {
            _ if !self.any => Cell::Missing,
            Some(Kind::Timer) => {
                let mean = (self.timed.0 > 0.0).then(|| self.timed.1 / self.timed.0);
                Cell::Timer(self.rate, mean)
            }
            _ => Cell::Rate(self.rate),
        }
    }
}

/// The value of a field; of several that differ in their attributes, by the field's rule.
fn gauge(found: &[&Total]) -> Cell {
    let mut found = found.iter();
    let Some(first) = found.next() else { return Cell::Missing };
    let Some(value) = first.reading.value.clone() else {
        return found
            .find_map(|total| total.reading.value.clone())
            .map_or(Cell::Missing, |value| Cell::Value(value.only().clone()));
    };
    let mut numbers: Vec<f64> =
        found.filter_map(|t| t.reading.value.as_ref().and_then(OwnedValue::as_f64)).collect();
    let (Some(number), false) = (value.as_f64(), numbers.is_empty()) else {
        return Cell::Value(value.only().clone());
    };
    numbers.push(number);
    let fold = |f: fn(f64, f64) -> f64| numbers.iter().copied().reduce(f).unwrap_or(number);
    #[allow(clippy::cast_precision_loss)] // Not that many fields.
    Cell::Value(OwnedValue::F64(match first.field.aggregation {
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
    fn rates_add_up_over_programs() {
        let mut sum = Sum::default();
        let before = Some(&Reached::Whole(100));
        let counter = column(Kind::Counter);
        assert_eq!(sum.cell(&counter), Cell::Missing);
        sum.add(&Reached::Whole(110), before, 2.0);
        // One that began meanwhile counts from zero; one that went down does not count.
        sum.add(&Reached::Whole(6), None, 2.0);
        sum.add(&Reached::Whole(1), before, 2.0);
        assert_eq!(sum.cell(&counter), Cell::Rate(8.0));
    }

    #[test]
    fn timers_have_the_mean_of_what_came() {
        let at = |count, sum| Reached::Timer(Box::new((count, sum)));
        let timer = column(Kind::Timer);
        let before = at(10, 5_000_000_000);
        let mut sum = Sum::default();
        sum.add(&at(14, 7_000_000_000), Some(&before), 2.0);
        assert_eq!(sum.cell(&timer), Cell::Timer(2.0, Some(0.5)));
        let mut idle = Sum::default();
        idle.add(&before, Some(&before), 2.0);
        assert_eq!(idle.cell(&timer), Cell::Timer(0.0, None));
    }

    #[test]
    fn what_was_is_found_by_column_and_attributes() {
        let entry = |column, attributes: &str, n| (column, attributes.into(), Reached::Whole(n));
        let values = vec![entry(0, "", 1), entry(2, "a=1", 2), entry(2, "a=2", 3)];
        let before = Before { values, at: Instant::now() };
        assert_eq!(before.get(2, "a=2"), Some(&Reached::Whole(3)));
        assert_eq!(before.get(0, ""), Some(&Reached::Whole(1)));
        assert_eq!((before.get(2, ""), before.get(1, "a=1")), (None, None));
    }

    /// More fields than are combined at once: each is there once, in its place.
    #[test]
    fn fields_are_combined_in_passes() {
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
        let targets = Targets::parse(&[directory.path().as_os_str().to_owned()]);
        let mut sampler = Sampler::new(targets, vec![Wanted::new("field.", "*").unwrap()]);
        sampler.sample();
        counters.iter().zip(1..).for_each(|(counter, n)| counter.add(n));
        let sample = sampler.sample();
        let seconds = sample.elapsed.unwrap().as_secs_f64();
        assert_eq!((sampler.columns.len(), sample.cells.len()), (100, 100));
        for ((column, cell), n) in sampler.columns.iter().zip(&sample.cells).zip(0_u32..) {
            assert_eq!(*column.label, name(n.into()));
            match cell {
                Cell::Rate(rate) => {
                    let counted = (rate * seconds).round();
                    assert_eq!((counted, n % 2), (f64::from(n / 2 + 1), 0), "{n}");
                }
                cell => {
                    let value = OwnedValue::Unsigned((n / 2).into());
                    assert_eq!((cell, n % 2), (&Cell::Value(value), 1), "{n}");
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
    fn a_prefix_is_no_glob() {
        let wanted = Wanted::new("web[1].", "re*").unwrap();
        assert!(wanted.matches("web[1].requests"));
        assert!(!wanted.matches("web1.requests"));
        assert!(Wanted::new("", "a[").unwrap().matches("a["));
        assert!(Wanted::new("", "a[*").is_err());
    }
}
