//! Which series a field becomes.

use std::borrow::Cow;

use mmstats_observe::{
    ActivityValue, EachValue, FieldInfo, Kind, Number, OwnedValue, Reading, Verdict,
};

use crate::loss::{Loss, Losses};
use crate::name;
use crate::unit::{Scale, Unit};

/// Type of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Counter,
    Gauge,
    Summary,
    Histogram,
    Info,
    /// A field of a format without kinds.
    Unknown,
}

/// Which part of a value a series has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The number itself.
    Number,
    /// An element of an array or of a list: the number at this index.
    Element(u32),
    /// Number of lanes in the state of this number.
    State(u32),
    /// Rate over the window of this number.
    Rate(u32),
    /// Count and sum.
    Summary,
    Min,
    Max,
    Last,
    Mean,
    /// Number of activities in progress.
    InProgress,
    /// When the oldest began, in seconds since 1970.
    Oldest,
    /// Number of activities that found no row.
    Refused,
    Histogram,
    /// The constant 1, in a series whose labels are the data.
    One,
}

/// A series of a field, before it has a family.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) unit: Cow<'static, str>,
    pub(crate) ty: Type,
    pub(crate) part: Part,
    pub(crate) scale: Scale,
    /// Name with the field's own unit, for a histogram whose unit is not a base unit: buckets cannot be
    /// converted.
    pub(crate) native: Option<String>,
    /// Labels besides those of the program.
    pub(crate) labels: Vec<(String, String)>,
}

/// Counters end in this word.
const TOTAL: &str = "_total";

/// The series of a field with this reading.
pub(crate) fn plans(info: &FieldInfo, reading: &Reading, losses: &mut Losses) -> Vec<Plan> {
    let planner = Planner { info, unit: Unit::of(&info.unit), labels: labels(info, losses) };
    let plans = planner.plans(reading.value.as_ref(), losses);
    // Dots are the usual way to write a hierarchy.
    if name::is_renamed(&info.label) {
        losses.add(Loss::Renamed, 1);
    }
    if !planner.unit.scale.is_one() && plans.iter().any(|plan| !plan.scale.is_one()) {
        losses.add(Loss::Unit, 1);
    }
    plans
}

/// The attributes as labels.
fn labels(info: &FieldInfo, losses: &mut Losses) -> Vec<(String, String)> {
    let mut labels: Vec<(String, String)> = Vec::new();
    for (key, value) in info.attributes() {
        let mut name = name::label(key);
        if is_reserved(&name) {
            name.insert_str(0, "exported_");
        }
        while labels.iter().any(|(other, _)| *other == name) {
            name.push('_');
        }
        if name != key {
            losses.add(Loss::Renamed, 1);
        }
        labels.push((name, value.to_owned()));
    }
    labels
}

/// Whether a label tells the program, the bucket or the quantile.
fn is_reserved(name: &str) -> bool {
    name::PROGRAM_LABELS.contains(&name)
        || matches!(
            name,
            "job"
                | "instance"
                | "le"
                | "quantile"
                | "lane"
                | "part"
                | "index"
                | "state"
                | "window"
                | "value"
        )
}

struct Planner<'a> {
    info: &'a FieldInfo,
    unit: Unit,
    labels: Vec<(String, String)>,
}

impl Planner<'_> {
    fn plans(&self, value: Option<&OwnedValue>, losses: &mut Losses) -> Vec<Plan> {
        match self.info.properties.kind() {
            Some(Kind::Counter) => self.elements(value, Type::Counter, losses),
            Some(Kind::Timer) => {
                // Whatever the unit of the field: KINDS.md section 1.
                let part = |part| self.part(part, Unit::seconds(Scale::NANO));
                vec![
                    self.whole(Type::Summary, Part::Summary, &Unit::seconds(Scale::NANO)),
                    part(Part::Min),
                    part(Part::Max),
                    part(Part::Last),
                ]
            }
            Some(Kind::Average) => vec![self.whole(Type::Summary, Part::Summary, &self.unit)],
            Some(Kind::Window) => vec![self.part(Part::Mean, self.unit.clone())],
            Some(Kind::Histogram) => {
                losses.add(Loss::ClassicBuckets, 1);
                vec![
                    self.whole(Type::Histogram, Part::Histogram, &self.unit),
                    self.part(Part::Min, self.unit.clone()),
                    self.part(Part::Max, self.unit.clone()),
                ]
            }
            Some(Kind::State) => self.states(value),
            Some(Kind::Rate) => self.rates(value),
            Some(Kind::Timestamp) => {
                let unit = Unit { word: "timestamp_seconds".into(), scale: Scale::NANO };
                // The unit of OpenMetrics is the last word.
                let plan = self.whole(Type::Gauge, Part::Number, &unit);
                vec![Plan { unit: "seconds".into(), ..plan }]
            }
            Some(Kind::Activity) => {
                let refused = self.part(Part::Refused, Unit::none());
                vec![
                    self.part(Part::InProgress, Unit::none()),
                    self.part(
                        Part::Oldest,
                        Unit { word: "timestamp_seconds".into(), scale: Scale::NANO },
                    ),
                    Plan { ty: Type::Counter, ..refused },
                ]
            }
            Some(Kind::Running) => vec![
                self.part(Part::InProgress, Unit::none()),
                self.part(
                    Part::Oldest,
                    Unit { word: "timestamp_seconds".into(), scale: Scale::NANO },
                ),
            ],
            Some(Kind::Events) => {
                losses.add(Loss::Text, 1);
                Vec::new()
            }
            Some(Kind::Gauge | Kind::Info) => self.elements(value, Type::Gauge, losses),
            _ => self.elements(value, Type::Unknown, losses),
        }
    }

    /// A number; the elements of an array; a constant text.
    fn elements(&self, value: Option<&OwnedValue>, ty: Type, losses: &mut Losses) -> Vec<Plan> {
        let plan = |part, label: Option<(&str, String)>| {
            let mut plan = self.whole(ty, part, &self.unit);
            plan.labels.extend(label.map(|(key, value)| (key.to_owned(), value)));
            plan
        };
        match value {
            None | Some(OwnedValue::Bytes { .. }) => {
                losses.add(Loss::Text, u64::from(value.is_some()));
                Vec::new()
            }
            Some(OwnedValue::Text { text, .. }) => {
                // A text that changes would be a series for each value.
                if self.info.constant {
                    let mut plan = self.whole(Type::Info, Part::One, &Unit::none());
                    plan.labels.push(("value".to_owned(), text.clone()));
                    vec![plan]
                } else {
                    losses.add(Loss::Text, 1);
                    Vec::new()
                }
            }
            Some(OwnedValue::Array(all)) => {
                let indices = 0..u32::try_from(all.len()).unwrap_or(0);
                indices
                    .map(|index| plan(Part::Element(index), Some(("index", index.to_string()))))
                    .collect()
            }
            Some(OwnedValue::Each(all)) => {
                let is_number = |value: &OwnedValue| number(value, Part::Number).is_some();
                let mut plans = Vec::new();
                for (index, each) in (0..).zip(all) {
                    match &each.value {
                        Some(value) if is_number(value) => {
                            let lane = each.origin.lane.map(|lane| ("lane", lane.to_string()));
                            let mut plan = plan(Part::Element(index), lane);
                            if each.origin.part > 0 {
                                plan.labels.push(("part".to_owned(), each.origin.part.to_string()));
                            }
                            plans.push(plan);
                        }
                        Some(_) => losses.add(Loss::Text, 1),
                        None => {}
                    }
                }
                plans
            }
            Some(_) => vec![plan(Part::Number, None)],
        }
    }

    /// Each state, also those that no lane is in.
    fn states(&self, value: Option<&OwnedValue>) -> Vec<Plan> {
        let Some(OwnedValue::State(state)) = value.map(OwnedValue::only) else { return Vec::new() };
        let plan = |(number, name): (u32, &String)| {
            let mut plan = self.whole(Type::Gauge, Part::State(number), &Unit::none());
            plan.labels.push(("state".to_owned(), name.clone()));
            plan
        };
        (0..).zip(state.names.iter()).map(plan).collect()
    }

    fn rates(&self, value: Option<&OwnedValue>) -> Vec<Plan> {
        let Some(OwnedValue::Rate(rates)) = value.map(OwnedValue::only) else { return Vec::new() };
        let plan = |(number, window): (u32, u32)| {
            let name = format!("{}_per_second", name::metric(&self.info.label));
            let mut plan =
                Plan { name, ..self.whole(Type::Gauge, Part::Rate(number), &Unit::none()) };
            plan.scale = self.unit.scale;
            plan.labels.push(("window".to_owned(), format!("{window}s")));
            plan
        };
        (0..).zip(rates.iter().map(|rate| rate.window)).map(plan).collect()
    }

    /// The whole of a field under its own name.
    fn whole(&self, ty: Type, part: Part, unit: &Unit) -> Plan {
        let label = &*self.info.label;
        let base = match ty {
            Type::Counter => label.strip_suffix(".total").or(label.strip_suffix(TOTAL)),
            Type::Info => label.strip_suffix("_info"),
            _ => None,
        };
        // A family has a name.
        let base = base.filter(|base| !base.is_empty()).unwrap_or(label);
        self.plan(name::with_unit(base, &unit.word), ty, part, unit)
    }

    /// A gauge beside the field, named after the part.
    fn part(&self, part: Part, unit: Unit) -> Plan {
        let word = match part {
            Part::Min => "min",
            Part::Max => "max",
            Part::Last => "last",
            Part::Mean => "mean",
            Part::InProgress => "in_progress",
            Part::Oldest => "oldest",
            Part::Refused => "refused",
            _ => "part",
        };
        let mut plan = self.plan(
            name::with_part(&self.info.label, word, &unit.word),
            Type::Gauge,
            part,
            &unit,
        );
        if unit.word == "timestamp_seconds" {
            plan.unit = "seconds".into();
        }
        plan
    }

    fn plan(&self, name: String, ty: Type, part: Part, unit: &Unit) -> Plan {
        let native = ty == Type::Histogram && !unit.scale.is_one();
        let word = match &*self.info.unit {
            // Other characters become `_`: `took__s` would be taken for seconds.
            "µs" | "μs" => "microseconds",
            "%" => "percent",
            unit => unit,
        };
        let native = native.then(|| name::with_unit(&self.info.label, &name::metric(word)));
        let labels = self.labels.clone();
        Plan { name, unit: unit.word.clone(), ty, part, scale: unit.scale, native, labels }
    }
}

/// Properties of a field that its plans depend on, besides its description: the elements, states or windows of
/// its value.
pub(crate) fn shape(value: Option<&OwnedValue>) -> Shape {
    match value {
        None => Shape::None,
        Some(OwnedValue::Array(all)) => Shape::Array(all.len()),
        Some(OwnedValue::Each(all)) => Shape::Each(
            all.iter()
                .map(|each| (each.origin.part, each.origin.lane, each.value.is_some()))
                .collect(),
        ),
        Some(OwnedValue::State(state)) => Shape::States(state.names.len()),
        Some(OwnedValue::Rate(rates)) => Shape::Array(rates.len()),
        Some(OwnedValue::Text { text, .. }) => Shape::Text(text.len()),
        Some(_) => Shape::Other,
    }
}

/// Whether the plans of a value have its text or where it comes from, so that those of other programs differ.
pub(crate) const fn is_own(value: Option<&OwnedValue>) -> bool {
    matches!(value, Some(OwnedValue::Text { .. } | OwnedValue::Each(_)))
}

/// Whether two values of equal fields have the same plans, or both have their own.
pub(crate) fn is_alike(a: Option<&OwnedValue>, b: Option<&OwnedValue>) -> bool {
    match (a, b) {
        (Some(OwnedValue::State(a)), Some(OwnedValue::State(b))) => a.names == b.names,
        (Some(OwnedValue::Rate(a)), Some(OwnedValue::Rate(b))) => {
            a.iter().map(|rate| rate.window).eq(b.iter().map(|rate| rate.window))
        }
        _ if is_own(a) || is_own(b) => is_own(a) && is_own(b),
        _ => shape(a) == shape(b),
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    None,
    Array(usize),
    Each(Vec<(u32, Option<u32>, bool)>),
    States(usize),
    Text(usize),
    Other,
}

impl Shape {
    /// Whether a value has this shape. Without allocation.
    pub(crate) fn fits(&self, value: Option<&OwnedValue>) -> bool {
        match (self, value) {
            (Self::Each(origins), Some(OwnedValue::Each(all))) => {
                let of = all
                    .iter()
                    .map(|each| (each.origin.part, each.origin.lane, each.value.is_some()));
                origins.iter().copied().eq(of)
            }
            (Self::Each(_), _) | (_, Some(OwnedValue::Each(_))) => false,
            (shape, value) => *shape == self::shape(value),
        }
    }
}

/// The value of a reading; `None` if part of it could not be read: a sum without a lane is another number, and a
/// counter would seem to go back.
pub(crate) fn value(reading: &Reading) -> Option<&OwnedValue> {
    let value = reading.value.as_ref()?;
    let is_partial = matches!(reading.verdict, Verdict::Contended | Verdict::Damaged(_));
    // In a list each value is whole, or missing.
    (!is_partial || matches!(value, OwnedValue::Each(_))).then_some(value)
}

/// The number in a part of a value; `None` if there is none now.
pub(crate) fn number(value: &OwnedValue, part: Part) -> Option<Number> {
    let plain = |value: &OwnedValue| match *value {
        OwnedValue::Unsigned(n) => Some(Number::Unsigned(n)),
        OwnedValue::Signed(n) => Some(Number::Signed(n)),
        OwnedValue::F32(x) => Some(Number::Float(shortest(x))),
        OwnedValue::F64(x) => Some(Number::Float(x)),
        OwnedValue::Bool(b) => Some(Number::Unsigned(b.into())),
        _ => None,
    };
    match (part, value) {
        (Part::Element(index), OwnedValue::Array(all)) => plain(all.get(index as usize)?),
        (Part::Element(index), OwnedValue::Each(all)) => {
            plain(all.get(index as usize)?.value.as_ref()?)
        }
        (Part::State(number), OwnedValue::State(state)) => {
            Some(Number::Unsigned((*state.counts.get(number as usize)?).into()))
        }
        (Part::Rate(number), OwnedValue::Rate(rates)) => {
            Some(Number::Float(rates.get(number as usize)?.rate?))
        }
        (Part::Min, OwnedValue::Timer(timer)) => timer.min.map(|n| Number::Unsigned(n.into())),
        (Part::Max, OwnedValue::Timer(timer)) => timer.max.map(|n| Number::Unsigned(n.into())),
        (Part::Last, OwnedValue::Timer(timer)) => timer.last.map(|n| Number::Unsigned(n.into())),
        (Part::Min, OwnedValue::Histogram(histogram)) => histogram.min(),
        (Part::Max, OwnedValue::Histogram(histogram)) => histogram.max(),
        (Part::Mean, OwnedValue::Window(window)) => window.mean().map(Number::Float),
        (Part::InProgress, OwnedValue::Running(running)) => Some(Number::Unsigned(running.number)),
        (Part::Oldest, OwnedValue::Running(running)) => {
            running.since.map(|since| Number::Unsigned(since.into()))
        }
        (Part::InProgress | Part::Oldest | Part::Refused, value) => in_activities(value, part),
        (Part::One, OwnedValue::Text { .. }) => Some(Number::Unsigned(1)),
        (_, OwnedValue::Each(_)) => match value.only() {
            OwnedValue::Each(_) => None,
            value => number(value, part),
        },
        (Part::Number, value) => plain(value),
        _ => None,
    }
}

/// The number in a part of activities, of all lanes; `None` if a lane could not be read.
fn in_activities<'a>(value: &'a OwnedValue, part: Part) -> Option<Number> {
    let lanes: Vec<&'a ActivityValue> = match value {
        OwnedValue::Activity(activity) => vec![activity],
        OwnedValue::Each(all) => {
            let activity = |each: &'a EachValue| match &each.value {
                Some(OwnedValue::Activity(activity)) => Some(activity),
                _ => None,
            };
            all.iter().map(activity).collect::<Option<_>>()?
        }
        _ => return None,
    };
    match part {
        Part::InProgress => {
            let counts = lanes.iter().map(|activity| activity.in_progress() as u128);
            Some(Number::Unsigned(counts.sum()))
        }
        Part::Oldest => {
            let rows = lanes.iter().flat_map(|activity| &activity.rows);
            let oldest = rows.filter_map(|row| row.since).min();
            oldest.map(|since| Number::Unsigned(since.into()))
        }
        Part::Refused => {
            let refused = lanes.iter().map(|activity| activity.refused.map(u128::from));
            refused.sum::<Option<u128>>().map(Number::Unsigned)
        }
        _ => None,
    }
}

/// Count and sum of a value.
pub(crate) fn summary(value: &OwnedValue) -> Option<(Number, Number)> {
    match value.only() {
        OwnedValue::Timer(timer) => {
            Some((Number::Unsigned(timer.count), Number::Unsigned(timer.sum)))
        }
        OwnedValue::Average(average) => Some((whole(average.count), Number::Float(average.sum))),
        OwnedValue::Histogram(histogram) => {
            Some((Number::Unsigned(histogram.count()), histogram.sum()))
        }
        _ => None,
    }
}

/// A count that is kept as a float.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Whole and in range.
fn whole(count: f64) -> Number {
    if count.fract() == 0.0 && (0.0..1e18).contains(&count) {
        Number::Unsigned(count as u128)
    } else {
        Number::Float(count)
    }
}

/// The float with the same shortest digits: 0.1, not 0.10000000149011612.
fn shortest(x: f32) -> f64 {
    let wide = f64::from(x);
    if wide.fract() == 0.0 || !x.is_finite() {
        return wide;
    }
    ryu::Buffer::new().format_finite(x).parse().unwrap_or(wide)
}
