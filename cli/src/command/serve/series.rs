//! The past of fields in equal steps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mmstats_history::{Field, Moment, Program};
use mmstats_observe::{HistogramValue, Number, OwnedValue, Quantile, Reading};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use super::answer::{Refusal, text};
use super::document::Rounded;
use super::ids::{Names, find};
use super::live::Live;
use super::query::Query;
use crate::json::{Float, JsonValue};
use crate::value::QUANTILES;

/// Maximum number of steps, and of series.
const MAX_STEPS: usize = 2_000;
const MAX_SERIES: usize = 64;
/// Default number of steps, and default span in seconds.
const STEPS: usize = 300;
const SPAN: f64 = 60.0;
/// Maximum number of rows of a heat map: buckets are merged until there are fewer.
const MAX_ROWS: i32 = 160;
/// Maximum number of parts of a step of which the smallest and the largest rate are sought.
const MAX_PARTS: u32 = 8;
const SECOND: Duration = Duration::from_secs(1);

/// The parameters of a request for series.
pub(super) const PARAMETERS: [&str; 8] =
    ["program", "field", "family", "sum", "from", "to", "steps", "what"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Value,
    Rate,
    Quantiles,
    Heat,
}

/// Steps of equal length, the first of which begins at `from`, in seconds since 1970.
#[derive(Debug, Clone, Copy)]
struct Steps {
    from: f64,
    step: Duration,
    count: usize,
}

impl Steps {
    fn new(live: &Live, query: &Query) -> Result<Self, Refusal> {
        let to = query.time("to")?.unwrap_or_else(|| live.times.seconds(live.times.now()));
        let from = query.time("from")?.unwrap_or(to - SPAN);
        let count = query.number("steps", 1..=MAX_STEPS)?.unwrap_or(STEPS);
        #[allow(clippy::cast_precision_loss)] // At most 2,000.
        let step = (to - from) / count as f64;
        let step = Duration::try_from_secs_f64(step).ok().filter(|step| !step.is_zero());
        let step = step.ok_or_else(|| Refusal::wrong("'from' is not before 'to'"))?;
        // The history has milliseconds.
        Ok(Self { from, step: step.max(Duration::from_millis(1)), count })
    }

    /// The end of each step; `None` where nothing is known: before the clock began, while the machine slept,
    /// after `last`.
    fn ends(self, live: &Live, last: Moment) -> impl Iterator<Item = Option<Moment>> {
        (1..=self.count).map(move |number| self.moment(live, number, last))
    }

    /// The end of a step, by its number from 1; 0 is the start of the first.
    fn moment(self, live: &Live, number: usize, last: Moment) -> Option<Moment> {
        #[allow(clippy::cast_precision_loss)] // At most 2,000.
        let moment = live.times.moment(self.from + self.step.as_secs_f64() * number as f64)?;
        (moment.before(self.step) <= last).then(|| moment.min(last))
    }
}

/// One line of a graph.
struct Series {
    program: String,
    /// The name of a field, or the label of a family.
    field: String,
    unit: String,
    kind: &'static str,
    /// The time before which its past was dropped for want of memory, in seconds since 1970.
    cut: Option<f64>,
    points: Points,
}

enum Points {
    /// Smallest, largest and last of each step.
    Range(What, Vec<Option<[Point; 3]>>),
    /// A reading at the start of the first step, and at the end of each.
    Readings(What, Vec<Option<Arc<Reading>>>),
}

#[derive(Debug, Clone, Copy)]
enum Point {
    Number(Number),
    Rate(f64),
}

impl Point {
    fn add(self, other: Self) -> Self {
        match (self, other) {
            (Self::Number(Number::Unsigned(a)), Self::Number(Number::Unsigned(b))) => {
                Self::Number(Number::Unsigned(a.saturating_add(b)))
            }
            (Self::Number(Number::Signed(a)), Self::Number(Number::Signed(b))) => {
                Self::Number(Number::Signed(a.saturating_add(b)))
            }
            (Self::Number(a), Self::Number(b)) => {
                Self::Number(Number::Float(a.as_f64() + b.as_f64()))
            }
            (a, b) => Self::Rate(a.as_f64() + b.as_f64()),
        }
    }

    fn as_f64(self) -> f64 {
        match self {
            Self::Number(number) => number.as_f64(),
            Self::Rate(rate) => rate,
        }
    }
}

impl Serialize for Point {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Number(number) => JsonValue(&number.into()).serialize(serializer),
            Self::Rate(rate) => Rounded(rate).serialize(serializer),
        }
    }
}

/// A field or family of one program that a request names.
enum Wanted<'q> {
    Field(&'q str),
    Family(&'q str),
}

/// The document of a request.
pub(super) fn document(live: &Live, query: &Query) -> Result<String, Refusal> {
    let what = match query.one("what")? {
        None | Some("value") => What::Value,
        Some("rate") => What::Rate,
        Some("quantiles") => What::Quantiles,
        Some("heat") => What::Heat,
        Some(_) => return Err(Refusal::wrong("'what' is value, rate, quantiles or heat")),
    };
    let steps = Steps::new(live, query)?;
    let is_summed = query.is_set("sum")?;
    let mut wanted: Vec<(&str, Wanted<'_>)> = Vec::new();
    let mut program = None;
    for (key, value) in query.iter() {
        let item = match key {
            "program" => {
                program = Some(value);
                continue;
            }
            "field" => Wanted::Field(value),
            "family" => Wanted::Family(value),
            _ => continue,
        };
        let program = program.ok_or_else(|| Refusal::wrong("no 'program' before the field"))?;
        wanted.push((program, item));
    }
    if wanted.is_empty() {
        return Err(Refusal::wrong("no 'program' with a 'field' or a 'family'"));
    }
    // Collected under the lock, made into text without it.
    let series = live.sampler.read(|history| -> Result<Vec<Series>, Refusal> {
        let mut series = Vec::new();
        let request = Request { live, what, steps, is_summed };
        // Of the program before: most requests are about one.
        let mut known: Option<(&str, Names)> = None;
        for (id, wanted) in &wanted {
            let missing = || Refusal::missing(format!("no program '{id}'"));
            let program = find(history, id).ok_or_else(missing)?;
            let names = match known.take().filter(|(before, _)| before == id) {
                Some((_, names)) => names,
                None => Names::new(program),
            };
            request.add(program, &names, id, wanted, &mut series)?;
            known = Some((*id, names));
            if series.len() > MAX_SERIES {
                return Err(Refusal::wrong(format!("more than {MAX_SERIES} series")));
            }
        }
        Ok(series)
    })?;
    Ok(text(&Document { steps, series }))
}

/// Parameters that all series of a request share.
struct Request<'r> {
    live: &'r Live,
    what: What,
    steps: Steps,
    is_summed: bool,
}

impl Request<'_> {
    fn add(
        &self,
        program: &Program,
        names: &Names,
        id: &str,
        wanted: &Wanted<'_>,
        series: &mut Vec<Series>,
    ) -> Result<(), Refusal> {
        let named = |index: usize| Some((names.get(index), program.fields().get(index)?));
        let one = |(name, field): (&str, &Field)| -> Result<Series, Refusal> {
            let points = self.points(program, name, &[field])?;
            Ok(self.series(id, name, &[field], points))
        };
        match wanted {
            Wanted::Field(name) => {
                let found = names.index(name).and_then(named);
                let missing = || Refusal::missing(format!("no field '{name}' in program '{id}'"));
                series.push(one(found.ok_or_else(missing)?)?);
            }
            Wanted::Family(label) => {
                let all = (0..program.fields().len()).filter_map(named);
                let all: Vec<_> = all.filter(|(_, f)| f.info.label == **label).collect();
                let Some((_, first)) = all.first().copied() else {
                    let text = format!("no field has the label '{label}' in program '{id}'");
                    return Err(Refusal::missing(text));
                };
                if !self.is_summed {
                    for field in all {
                        series.push(one(field)?);
                    }
                    return Ok(());
                }
                let is_kin = |field: &&Field| {
                    field.info.unit == first.info.unit
                        && field.info.properties.kind() == first.info.properties.kind()
                };
                let fields: Vec<&Field> = all.into_iter().map(|(_, f)| f).filter(is_kin).collect();
                let points = self.points(program, label, &fields)?;
                series.push(self.series(id, label, &fields, points));
            }
        }
        Ok(())
    }

    /// `fields` have the same unit and kind.
    fn series(&self, id: &str, name: &str, fields: &[&Field], points: Points) -> Series {
        let info = fields.first().map(|field| &field.info);
        // A field that began later was not cut.
        let kept = fields.iter().filter_map(|field| field.kept_since()).min();
        let begun = fields.iter().map(|field| field.first).min();
        let is_cut = kept.zip(begun).is_some_and(|(kept, begun)| kept > begun.after(SECOND));
        Series {
            program: id.to_owned(),
            field: name.to_owned(),
            unit: info.map(|info| info.unit.clone()).unwrap_or_default(),
            kind: info.map(|info| info.kind_name()).unwrap_or_default(),
            cut: kept.filter(|_| is_cut).map(|kept| self.live.times.seconds(kept)),
            points,
        }
    }

    /// The sum of the fields in each step.
    fn points(&self, program: &Program, name: &str, fields: &[&Field]) -> Result<Points, Refusal> {
        let wrong = |text: &str| Err(Refusal::wrong(format!("'{name}' {text}")));
        let last = program.ended().unwrap_or_else(|| self.live.times.now());
        if matches!(self.what, What::Quantiles | What::Heat) {
            let [field] = fields else { return wrong("is several fields: quantiles have no sum") };
            let (Some(past), true) = (field.readings(), is_histogram(field)) else {
                return wrong("is no histogram");
            };
            let reading = |number| {
                let moment = self.steps.moment(self.live, number, last)?;
                past.at(moment).map(Arc::clone)
            };
            return Ok(Points::Readings(self.what, (0..=self.steps.count).map(reading).collect()));
        }
        let mut sum: Vec<Option<[Point; 3]>> = Vec::new();
        for (index, field) in fields.iter().enumerate() {
            let Some(points) = self.range(field, last) else {
                return wrong("has neither a number nor a count");
            };
            if index == 0 {
                sum = points;
                continue;
            }
            for (all, one) in sum.iter_mut().zip(points) {
                // A field that came later, or has a gap, adds nothing.
                *all = match (*all, one) {
                    (Some(a), Some(b)) => Some(std::array::from_fn(|i| a[i].add(b[i]))),
                    (a, b) => a.or(b),
                };
            }
        }
        Ok(Points::Range(self.what, sum))
    }

    fn range(&self, field: &Field, last: Moment) -> Option<Vec<Option<[Point; 3]>>> {
        let numbers = field.counts()?;
        let step = self.steps.step;
        let ends = self.steps.ends(self.live, last);
        let number = |at: Moment| {
            let bucket = numbers.steps(at, step, 1).pop().flatten();
            // Between two looks it is the value of the first.
            let held = || numbers.at(at).map(|n| [n; 3]);
            let found = bucket.map(|b| [b.min, b.max, b.last]).or_else(held)?;
            Some(found.map(Point::Number))
        };
        let rate = |at: Moment| {
            let mean = field.rate(at, step.max(SECOND))?;
            let parts = u32::try_from(step.as_secs()).unwrap_or(u32::MAX).clamp(1, MAX_PARTS);
            let (mut min, mut max) = (mean, mean);
            if parts > 1 {
                for part in 0..parts {
                    let rate = field.rate(at.before(step / parts * part), step / parts);
                    min = rate.map_or(min, |rate| min.min(rate));
                    max = rate.map_or(max, |rate| max.max(rate));
                }
            }
            Some([min, max, mean].map(Point::Rate))
        };
        Some(match self.what {
            What::Rate => ends.map(|at| rate(at?)).collect(),
            _ => ends.map(|at| number(at?)).collect(),
        })
    }
}

fn is_histogram(field: &Field) -> bool {
    field.reading.value.as_ref().is_some_and(|v| histogram(v).is_some())
        || field.info.properties.kind() == Some(mmstats_observe::Kind::Histogram)
}

fn histogram(value: &OwnedValue) -> Option<&HistogramValue> {
    match value.only() {
        OwnedValue::Histogram(histogram) => Some(histogram),
        _ => None,
    }
}

/// The values that arrived in a step.
#[allow(clippy::large_enum_variant)] // Most have values.
enum Arrived {
    /// A reading is missing.
    Gap,
    Nothing,
    Values(HistogramValue),
}

impl Arrived {
    const fn values(&self) -> Option<&HistogramValue> {
        match self {
            Self::Values(values) => Some(values),
            _ => None,
        }
    }

    /// A number of values.
    fn count(&self, of: fn(&HistogramValue) -> u128) -> Option<u128> {
        match self {
            Self::Gap => None,
            Self::Nothing => Some(0),
            Self::Values(values) => Some(of(values)),
        }
    }
}

/// The values that arrived in each step.
fn arrived(readings: &[Option<Arc<Reading>>]) -> Vec<Arrived> {
    let whole = |reading: &Option<Arc<Reading>>| {
        let reading = reading.as_ref()?;
        let is_whole = reading.tally.contended == 0 && reading.tally.damaged == 0;
        is_whole.then(|| reading.value.as_ref().and_then(histogram).cloned())?
    };
    let ends = readings.iter().zip(readings.iter().skip(1));
    let gained = |(before, after): (&Option<Arc<Reading>>, &Option<Arc<Reading>>)| {
        let is_same = before.as_ref().zip(after.as_ref()).is_some_and(|(a, b)| Arc::ptr_eq(a, b));
        // Histograms that do not change share their reading.
        let gained = || match is_same {
            true => whole(after).map(|_| Arrived::Nothing),
            false => {
                let gained = whole(after)?.since(&whole(before)?)?;
                Some(if gained.count() == 0 { Arrived::Nothing } else { Arrived::Values(gained) })
            }
        };
        gained().unwrap_or(Arrived::Gap)
    };
    ends.map(gained).collect()
}

struct Document {
    steps: Steps,
    series: Vec<Series>,
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut s = serializer.serialize_map(None)?;
        s.serialize_entry("from", &self.steps.from)?;
        s.serialize_entry("step", &self.steps.step.as_secs_f64())?;
        s.serialize_entry("series", &self.series)?;
        s.end()
    }
}

impl Serialize for Series {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut s = serializer.serialize_map(None)?;
        s.serialize_entry("program", &self.program)?;
        s.serialize_entry("field", &self.field)?;
        let what = match &self.points {
            Points::Range(what, _) | Points::Readings(what, _) => what,
        };
        let what = match what {
            What::Value => "value",
            What::Rate => "rate",
            What::Quantiles => "quantiles",
            What::Heat => "heat",
        };
        s.serialize_entry("what", what)?;
        s.serialize_entry("unit", &self.unit)?;
        s.serialize_entry("kind", self.kind)?;
        s.serialize_entry("cut", &self.cut)?;
        match &self.points {
            Points::Range(_, points) => {
                for (index, key) in ["min", "max", "last"].into_iter().enumerate() {
                    let all: Vec<Option<Point>> =
                        points.iter().map(|point| point.map(|point| point[index])).collect();
                    s.serialize_entry(key, &all)?;
                }
            }
            Points::Readings(What::Heat, readings) => heat(&mut s, &arrived(readings))?,
            Points::Readings(_, readings) => {
                let arrived = arrived(readings);
                let quantiles = QUANTILES.iter().map(|(q, key, _)| {
                    let all = arrived.iter().map(|one| one.values()?.quantile(*q).map(bound));
                    (*key, all.map(|x| x.map(Rounded)).collect::<Vec<_>>())
                });
                s.serialize_entry("quantiles", &quantiles.collect::<BTreeMap<_, _>>())?;
                let counts = arrived.iter().map(|one| one.count(HistogramValue::count));
                s.serialize_entry("counts", &counts.collect::<Vec<_>>())?;
            }
        }
        s.end()
    }
}

/// A quantile beyond the buckets is drawn at their end.
const fn bound(quantile: Quantile) -> f64 {
    match quantile {
        Quantile::Value(x) | Quantile::Below(x) | Quantile::Above(x) => x,
    }
}

/// Edges of the buckets, and the counts in each step.
fn heat<M: serde::ser::SerializeMap>(s: &mut M, steps: &[Arrived]) -> Result<(), M::Error> {
    let filled = || steps.iter().filter_map(Arrived::values);
    let mut scale = filled().map(HistogramValue::scale).min().unwrap_or(0);
    // Number of a bucket at a lower scale.
    let number = |number: i32, from: i8, to: i8| {
        let by = u32::from((from - to).unsigned_abs());
        number.checked_shr(by).unwrap_or(if number < 0 { -1 } else { 0 })
    };
    let ends = |scale: i8| {
        let all = filled().flat_map(|one| {
            let from = one.scale();
            one.buckets().map(move |(n, ..)| number(n, from, scale))
        });
        all.fold(None, |ends: Option<(i32, i32)>, n| match ends {
            None => Some((n, n)),
            Some((low, high)) => Some((low.min(n), high.max(n))),
        })
    };
    let mut range = ends(scale);
    while let Some((low, high)) = range
        && high.saturating_sub(low) >= MAX_ROWS
    {
        scale -= 1;
        range = ends(scale);
    }
    let width = 2_f64.powi(-i32::from(scale));
    let edge = |n: i32| (f64::from(n) * width).exp2();
    let edges: Vec<Float> = range
        .map_or_else(Vec::new, |(low, high)| (low..=high + 1).map(|n| Float(edge(n))).collect());
    s.serialize_entry("bounds", &edges)?;
    let counts = steps.iter().map(|one| {
        let total = one.count(HistogramValue::count);
        let (low, high) = range.unwrap_or((0, -1));
        let rows = usize::try_from(high.saturating_sub(low).saturating_add(1)).unwrap_or(0);
        let mut counts = vec![0_u128; rows];
        let buckets = one.values().into_iter().flat_map(|one| {
            let from = one.scale();
            one.buckets().map(move |(n, _, _, count)| (number(n, from, scale), count))
        });
        for (n, count) in buckets {
            let row = usize::try_from(n.saturating_sub(low)).ok();
            if let Some(all) = row.and_then(|row| counts.get_mut(row)) {
                *all += count;
            }
        }
        total.map(|_| counts)
    });
    s.serialize_entry("counts", &counts.collect::<Vec<_>>())?;
    let beyond =
        |of: fn(&HistogramValue) -> u128| steps.iter().map(|one| one.count(of)).collect::<Vec<_>>();
    s.serialize_entry("below", &beyond(HistogramValue::below))?;
    s.serialize_entry("above", &beyond(HistogramValue::above))
}
