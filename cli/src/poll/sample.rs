//! Sums over all programs, and rates between two looks at them.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant, SystemTime};

use globset::GlobMatcher;
use mmstats_observe::{Aggregation, Kind, Observer, OwnedValue, Program, Total, totals};

use super::rates::{gained, timed};
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
    pub(crate) label: String,
    pub(crate) unit: String,
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
    /// All labels that there are, for suggestions.
    pub(crate) labels: Vec<String>,
}

type Series = (String, String);

/// What a program's counters and timers were.
struct Before {
    values: HashMap<Series, OwnedValue>,
    at: Instant,
}

/// Looks again and again.
pub(crate) struct Sampler {
    targets: Targets,
    pub(crate) observer: Observer,
    wanted: Vec<Wanted>,
    pub(crate) columns: Vec<Column>,
    before: HashMap<String, Before>,
    last: Option<Instant>,
}

impl Sampler {
    pub(crate) fn new(targets: Targets, wanted: Vec<Wanted>) -> Self {
        let observer = Observer::new(targets.sources.clone());
        let (columns, before) = (Vec::new(), HashMap::new());
        Self { targets, observer, wanted, columns, before, last: None }
    }

    /// The fields asked for that no label of the sample matches.
    pub(crate) fn unmatched<'a>(&'a self, sample: &'a Sample) -> impl Iterator<Item = &'a Wanted> {
        self.wanted.iter().filter(|w| !sample.labels.iter().any(|label| w.matches(label)))
    }

    /// Looks at everything once.
    pub(crate) fn sample(&mut self) -> Sample {
        self.observer.refresh();
        let (time, now) = (SystemTime::now(), Instant::now());
        let elapsed = self.last.map(|last| now - last);
        let all = self.observer.programs();
        let programs: Vec<&Program<'_>> =
            all.iter().filter(|program| self.targets.wants(program, false, &all)).collect();
        let together = totals(programs.iter().flat_map(|p| p.files().iter().copied()));
        grow(&mut self.columns, &self.wanted, &together);
        let mut sums = vec![Sum::default(); self.columns.len()];
        let places = self.columns.iter().zip(0..).map(|(column, at)| (column.label.clone(), at));
        let places: HashMap<String, usize> = places.collect();
        let mut seen = HashMap::new();
        for program in &programs {
            let key = key(program);
            let before = self.before.get(&key);
            let values = counters(program, &self.columns);
            // Without a look before: since the program began, if that was after the last
            // sample or this is the first.
            let began = age(program.identity(), time).filter(|_| is_active(program.state()));
            let began = began.filter(|age| elapsed.is_none_or(|elapsed| *age <= elapsed * 2));
            let span = before.map(|before| now - before.at).or(began);
            if let Some(span) = span.filter(|span| !span.is_zero()) {
                let span = elapsed.unwrap_or(span).as_secs_f64();
                for (series, after) in &values {
                    if let Some(sum) = places.get(&series.0).and_then(|at| sums.get_mut(*at)) {
                        sum.add(series, after, before, span);
                    }
                }
            }
            seen.insert(key, Before { values, at: now });
        }
        let mut by_label: HashMap<&str, Vec<&Total>> = HashMap::new();
        for total in &together {
            by_label.entry(&total.field.label).or_default().push(total);
        }
        let cells = self.columns.iter().zip(sums).map(|(column, sum)| match column.kind {
            Some(Kind::Counter | Kind::Timer) => sum.cell(column),
            _ => gauge(by_label.get(column.label.as_str()).map_or(&[], Vec::as_slice)),
        });
        let cells = cells.collect();
        let active = programs.iter().any(|program| is_active(program.state()));
        let labels = together.iter().map(|total| total.field.label.clone()).collect();
        let programs = programs.len();
        self.before = seen;
        self.last = Some(now);
        Sample { time, elapsed, programs, active, cells, labels }
    }
}

/// Adds the columns of fields that were not seen before, in the order asked for.
fn grow(columns: &mut Vec<Column>, wanted: &[Wanted], together: &[Total]) {
    let mut known: HashSet<String> = columns.iter().map(|column| column.label.clone()).collect();
    for wanted in wanted {
        for total in together.iter().filter(|total| wanted.matches(&total.field.label)) {
            if known.insert(total.field.label.clone()) {
                columns.push(Column {
                    label: total.field.label.clone(),
                    unit: total.field.unit.clone(),
                    kind: total.field.kind,
                });
            }
        }
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
fn counters(program: &Program<'_>, columns: &[Column]) -> HashMap<Series, OwnedValue> {
    let labels: HashSet<&str> = columns.iter().map(|column| column.label.as_str()).collect();
    let running = |total: &Total| {
        matches!(total.field.kind, Some(Kind::Counter | Kind::Timer))
            && labels.contains(total.field.label.as_str())
    };
    let values = program.totals().into_iter().filter(running);
    let value = |t: Total| Some(((t.field.label, t.field.attributes), t.reading.value?));
    values.filter_map(value).collect()
}

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
    fn add(&mut self, series: &Series, after: &OwnedValue, before: Option<&Before>, span: f64) {
        let before = before.and_then(|before| before.values.get(series));
        let gain = match (before, after) {
            (None, OwnedValue::Timer(after)) => {
                let zero = mmstats_observe::TimerValue { count: 0, sum: 0, ..*after };
                Some(timed(&zero, after).unwrap_or_default())
            }
            (Some(OwnedValue::Timer(before)), OwnedValue::Timer(after)) => timed(before, after),
            (None, after) => after.as_f64().map(|gain| (gain, 0.0)),
            (Some(before), after) => gained(before, after).map(|gain| (gain, 0.0)),
        };
        let Some((count, seconds)) = gain else { return };
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
        Column { label: "x".into(), unit: String::new(), kind: Some(kind) }
    }

    fn x() -> Series {
        ("x".into(), String::new())
    }

    fn values(value: OwnedValue) -> HashMap<Series, OwnedValue> {
        HashMap::from([(x(), value)])
    }

    #[test]
    fn rates_add_up_over_programs() {
        let mut sum = Sum::default();
        let before = Before { values: values(OwnedValue::Unsigned(100)), at: Instant::now() };
        let counter = column(Kind::Counter);
        assert_eq!(sum.cell(&counter), Cell::Missing);
        sum.add(&x(), &OwnedValue::Unsigned(110), Some(&before), 2.0);
        // One that began meanwhile counts from zero; one that went down does not count.
        sum.add(&x(), &OwnedValue::Unsigned(6), None, 2.0);
        sum.add(&x(), &OwnedValue::Unsigned(1), Some(&before), 2.0);
        assert_eq!(sum.cell(&counter), Cell::Rate(8.0));
    }

    #[test]
    fn timers_have_the_mean_of_what_came() {
        let at = |count, sum| {
            OwnedValue::Timer(mmstats_observe::TimerValue {
                count,
                sum,
                min: None,
                max: None,
                last: None,
            })
        };
        let timer = column(Kind::Timer);
        let before = Before { values: values(at(10, 5_000_000_000)), at: Instant::now() };
        let mut sum = Sum::default();
        sum.add(&x(), &at(14, 7_000_000_000), Some(&before), 2.0);
        assert_eq!(sum.cell(&timer), Cell::Timer(2.0, Some(0.5)));
        let mut idle = Sum::default();
        idle.add(&x(), &at(10, 5_000_000_000), Some(&before), 2.0);
        assert_eq!(idle.cell(&timer), Cell::Timer(0.0, None));
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
