//! Combines the values of one field, value by value.

use mmstats_core::merge::{AverageValue, RunningValue, TimerSum, TimerValue};
use mmstats_core::read::{Scalar, Value, Verdict as RawVerdict};
use mmstats_core::{Aggregation, DataType, Kind, Properties};

use super::budget::{Budget, TOO_LARGE};
use super::decoder::{Decoder, NOT_FINITE};
use super::scalars::Scalars;
use crate::field::{FieldInfo, FieldRef, Shape};
use crate::problem::Damage;
use crate::value::{
    ActivityValue, EachValue, HistogramValue, Origin, OwnedValue, Reading, StateValue, Tally,
    Verdict, WindowRate,
};

/// The values of one field, combined so far.
#[derive(Debug, Clone)]
pub(crate) struct Accumulator {
    rule: Aggregation,
    body: Body,
    tally: Tally,
    damage: Option<Damage>,
    /// The first verdict that the tally does not count.
    other: Option<Verdict>,
}

#[derive(Debug, Clone)]
enum Body {
    Scalar(DataType, Scalars),
    Array(DataType, Vec<Scalars>),
    Timer(Box<TimerSum>),
    Running(RunningValue),
    State(StateValue),
    Histogram(Box<HistogramValue>),
    Average(AverageValue),
    Window(AverageValue),
    Rate(Vec<WindowRate>),
    /// Values that are listed, not combined.
    Each(Decoder, Vec<EachValue>),
}

impl Body {
    /// A list of one value.
    fn listed(reading: &Reading) -> Self {
        let (origin, verdict) = (Origin::default(), Verdict::Consistent);
        let value = reading.value.clone();
        Self::Each(Decoder::Plain, vec![EachValue { origin, value, verdict }])
    }
}

impl Accumulator {
    /// No values yet of a field like this one.
    pub(crate) fn new(field: &FieldRef<'_>) -> Self {
        let decoder = Decoder::new(field);
        let body = match (decoder, field.shape()) {
            (decoder, _) if field.properties().aggregation() == Aggregation::Each => {
                Body::Each(decoder, Vec::new())
            }
            _ if field.properties().kind() == Some(Kind::Rate) => Body::Rate(Vec::new()),
            (Decoder::Timer, _) => Body::Timer(Box::default()),
            (Decoder::Running, _) => Body::Running(RunningValue::default()),
            (Decoder::Average, _) => Body::Average(AverageValue::default()),
            (Decoder::Window, _) => Body::Window(AverageValue::default()),
            (Decoder::Histogram, _) => Body::Histogram(Box::new(HistogramValue::new())),
            (Decoder::State(names), _) => Body::State(StateValue::new(&names)),
            (Decoder::Plain, Shape::One(ty)) if ty.is_scalar() => {
                Body::Scalar(ty, Scalars::default())
            }
            (Decoder::Plain, Shape::Array(ty, _)) if ty.is_scalar() => Body::Array(ty, Vec::new()),
            (Decoder::Plain, _) => Body::Each(Decoder::Plain, Vec::new()),
        };
        Self::with_body(scalar_rule(field.properties()), body)
    }

    fn with_body(rule: Aggregation, body: Body) -> Self {
        Self { rule, body, tally: Tally::default(), damage: None, other: None }
    }

    /// The values of a reading that was combined before.
    pub(crate) fn from_reading(field: &FieldInfo, reading: &Reading) -> Self {
        let (rule, tally) = (scalar_rule(field.properties), reading.tally);
        let ty = match field.shape() {
            Shape::One(ty) | Shape::Array(ty, _) => ty,
            _ => DataType::F64,
        };
        let scalars = |value: &OwnedValue| Scalars::from_value(rule, tally.values.into(), value);
        let body = match &reading.value {
            None => Body::Each(Decoder::Plain, Vec::new()),
            Some(OwnedValue::Each(each)) => Body::Each(Decoder::Plain, each.clone()),
            Some(OwnedValue::Timer(timer)) => Body::Timer(Box::new(TimerSum::from(*timer))),
            Some(OwnedValue::Running(running)) => Body::Running(*running),
            Some(OwnedValue::State(state)) => Body::State(state.clone()),
            Some(OwnedValue::Histogram(histogram)) => Body::Histogram(histogram.clone()),
            Some(OwnedValue::Average(average)) => Body::Average(*average),
            Some(OwnedValue::Window(average)) => Body::Window(*average),
            Some(OwnedValue::Rate(rates)) => Body::Rate(rates.clone()),
            Some(OwnedValue::Array(all)) if rule != Aggregation::Each => {
                match all.iter().map(scalars).collect() {
                    Some(elements) => Body::Array(ty, elements),
                    None => Body::listed(reading),
                }
            }
            Some(value) => match scalars(value).filter(|_| rule != Aggregation::Each) {
                Some(scalars) => Body::Scalar(ty, scalars),
                None => Body::listed(reading),
            },
        };
        let mut all = Self { tally, ..Self::with_body(rule, body) };
        match reading.verdict {
            Verdict::Damaged(damage) => all.damage = Some(damage),
            Verdict::Retired | Verdict::Unknown => all.other = Some(reading.verdict),
            Verdict::Consistent | Verdict::Absent | Verdict::Contended => {}
        }
        all
    }

    /// Removes all values; keeps the memory.
    pub(crate) fn clear(&mut self) {
        match &mut self.body {
            Body::Scalar(_, scalars) => *scalars = Scalars::default(),
            Body::Array(_, elements) => elements.clear(),
            Body::Timer(timer) => **timer = TimerSum::default(),
            Body::Running(running) => *running = RunningValue::default(),
            Body::State(state) => state.counts.fill(0),
            Body::Histogram(histogram) => **histogram = HistogramValue::new(),
            Body::Average(average) | Body::Window(average) => *average = AverageValue::default(),
            Body::Rate(rates) => rates.clear(),
            Body::Each(_, values) => values.clear(),
        }
        (self.tally, self.damage, self.other) = (Tally::default(), None, None);
    }

    /// Adds the scalar of one lane.
    #[inline]
    pub(crate) fn scalar(&mut self, budget: &mut Budget, origin: &Origin, raw: RawVerdict<Scalar>) {
        if let (RawVerdict::Consistent(scalar), Body::Scalar(_, scalars)) = (raw, &mut self.body) {
            scalars.add(self.rule, scalar);
            self.tally.values = self.tally.values.saturating_add(1);
        } else {
            self.value(budget, origin, raw.map(Value::from));
        }
    }

    /// Adds the value of one lane.
    pub(crate) fn value(
        &mut self,
        budget: &mut Budget,
        origin: &Origin,
        raw: RawVerdict<Value<'_>>,
    ) {
        let mut verdict = Verdict::from(&raw);
        let mut rows = None;
        if let RawVerdict::Consistent(Value::Table(table)) = &raw {
            let (value, damage) = ActivityValue::decode(table);
            verdict = damage.map_or(verdict, Verdict::Damaged);
            rows = Some(value);
        }
        let is_listed = !matches!(verdict, Verdict::Absent | Verdict::Retired | Verdict::Unknown);
        if is_listed && matches!(self.body, Body::Each(..)) && !budget.takes(&raw, rows.as_ref()) {
            verdict = Verdict::Damaged(TOO_LARGE);
        }
        if let RawVerdict::Consistent(value) = &raw
            && self.decoder().is_damaged(value)
        {
            verdict = Verdict::Damaged(NOT_FINITE);
        }
        match verdict {
            Verdict::Damaged(damage) => _ = self.damage.get_or_insert(damage),
            Verdict::Retired | Verdict::Unknown => _ = self.other.get_or_insert(verdict),
            Verdict::Consistent | Verdict::Absent | Verdict::Contended => {}
        }
        self.tally.add(verdict);
        if let Body::Each(decoder, values) = &mut self.body {
            if is_listed && verdict != Verdict::Damaged(TOO_LARGE) {
                let good = raw.consistent().filter(|_| verdict == Verdict::Consistent);
                // Of a table with damage, the other rows are good.
                let rows = rows.map(OwnedValue::Activity);
                let value = rows.or_else(|| good.map(|value| decoder.value(value)));
                values.push(EachValue { origin: *origin, value, verdict });
            }
        } else if let (RawVerdict::Consistent(value), Verdict::Consistent) = (raw, verdict) {
            self.add(value);
        }
    }

    /// The way in which values of one lane are decoded, as far as it says what damages them.
    fn decoder(&self) -> &Decoder {
        match &self.body {
            Body::Each(decoder, _) => decoder,
            Body::Average(_) => &Decoder::Average,
            _ => &Decoder::Plain,
        }
    }

    /// Adds the rates of one lane, whose value was just added: the checkpoints that are the
    /// value give no rate by themselves.
    pub(crate) fn rates(&mut self, origin: &Origin, more: Vec<WindowRate>) {
        match &mut self.body {
            Body::Rate(rates) => WindowRate::merge(rates, &more),
            Body::Each(_, values) => {
                if let Some(last) = values.last_mut().filter(|last| last.origin == *origin) {
                    last.value = Some(OwnedValue::Rate(more));
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, value: Value<'_>) {
        let rule = self.rule;
        match (&mut self.body, value) {
            (Body::Array(_, elements), Value::Array(array)) => {
                if elements.len() < array.len() {
                    elements.resize(array.len(), Scalars::default());
                }
                elements.iter_mut().zip(array.iter()).for_each(|(to, from)| to.add(rule, from));
            }
            (Body::Timer(timer), Value::Array(array)) => {
                if let Some(more) = TimerValue::from_array(&array) {
                    timer.add(more);
                }
            }
            (Body::Running(sum), Value::U64(word)) => sum.merge(&RunningValue::from_word(word)),
            (Body::State(state), Value::U64(number)) => state.count(number),
            (Body::Histogram(sum), Value::Histogram(histogram)) => {
                sum.merge(&HistogramValue::from(&histogram));
            }
            (Body::Average(sum), Value::Array(array)) => {
                sum.merge(AverageValue::from_array(&array));
            }
            (Body::Window(sum), Value::Window(window)) => sum.merge(window.into()),
            (Body::Scalar(_, scalars), value) => {
                let scalar = match value {
                    Value::U64(n) => Scalar::U64(n),
                    Value::I64(n) => Scalar::I64(n),
                    Value::F32(x) => Scalar::F32(x),
                    Value::F64(x) => Scalar::F64(x),
                    Value::Bool(b) => Scalar::Bool(b),
                    _ => return,
                };
                scalars.add(rule, scalar);
            }
            _ => {}
        }
    }

    /// Adds the values of another accumulator: of the same field in other files or programs.
    pub(crate) fn merge(&mut self, other: &Self) {
        let rule = self.rule;
        match (&mut self.body, &other.body) {
            (Body::Scalar(_, to), Body::Scalar(_, from)) => to.merge(rule, *from),
            (Body::Array(_, to), Body::Array(_, from)) => {
                if to.len() < from.len() {
                    to.resize(from.len(), Scalars::default());
                }
                to.iter_mut().zip(from).for_each(|(to, from)| to.merge(rule, *from));
            }
            (Body::Timer(to), Body::Timer(from)) => to.merge(from),
            (Body::Histogram(to), Body::Histogram(from)) => to.merge(from),
            (Body::Average(to), Body::Average(from)) | (Body::Window(to), Body::Window(from)) => {
                to.merge_sum(*from);
            }
            (Body::Running(to), Body::Running(from)) => to.merge(from),
            (Body::State(to), Body::State(from)) => {
                to.counts.iter_mut().zip(&from.counts).for_each(|(to, from)| {
                    *to = to.saturating_add(*from);
                });
            }
            (Body::Rate(to), Body::Rate(from)) => WindowRate::merge(to, from),
            (Body::Each(_, to), Body::Each(_, from)) => to.extend_from_slice(from),
            // Without a value it may be of another shape.
            _ if other.tally.values > 0 => return,
            _ => {}
        }
        self.tally.merge(other.tally);
        self.damage = self.damage.or(other.damage);
        self.other = self.other.or(other.other);
    }

    /// Whether any value was added, or could not be read: a sum without it is not whole.
    pub(crate) const fn has_parts(&self) -> bool {
        self.tally.values > 0 || self.tally.contended > 0 || self.tally.damaged > 0
    }

    /// The combined value and its verdict.
    pub(crate) fn reading(&self) -> Reading {
        let verdict = match (self.damage, self.other) {
            (Some(damage), _) => Verdict::Damaged(damage),
            (None, _) if self.tally.contended > 0 => Verdict::Contended,
            (None, _) if self.tally.values > 0 => Verdict::Consistent,
            (None, Some(other)) => other,
            (None, None) => Verdict::Absent,
        };
        Reading { value: self.value_now(), verdict, tally: self.tally }
    }

    fn value_now(&self) -> Option<OwnedValue> {
        match &self.body {
            Body::Each(_, values) => match values.as_slice() {
                [] => None,
                // The constant of one file is shown without a list.
                [one] if one.origin.lane.is_none() => one.value.clone(),
                _ => Some(OwnedValue::Each(values.clone())),
            },
            _ if self.tally.values == 0 => None,
            Body::Scalar(ty, scalars) => Some(scalars.value(self.rule, *ty)),
            Body::Array(ty, elements) => {
                let element = |scalars: &Scalars| scalars.value(self.rule, *ty);
                Some(OwnedValue::Array(elements.iter().map(element).collect()))
            }
            Body::Timer(timer) => Some(OwnedValue::Timer(timer.value())),
            Body::Running(running) => Some(OwnedValue::Running(*running)),
            Body::State(state) => Some(OwnedValue::State(state.clone())),
            Body::Histogram(histogram) => Some(OwnedValue::Histogram(histogram.clone())),
            Body::Average(average) => Some(OwnedValue::Average(*average)),
            Body::Window(average) => Some(OwnedValue::Window(*average)),
            Body::Rate(rates) => Some(OwnedValue::Rate(rates.clone())),
        }
    }
}

/// The rule for scalars of a field. Timestamps are not added: KINDS.md section 2 takes other rules
/// as the maximum.
const fn scalar_rule(properties: Properties) -> Aggregation {
    match (properties.kind(), properties.aggregation()) {
        (Some(Kind::Timestamp), Aggregation::Sum | Aggregation::Mean) => Aggregation::Max,
        (_, rule) => rule,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalar_rule_of_timestamps_is_never_sum() {
        use Aggregation::{Each, Max, Mean, Min, Sum};
        let of = |kind, rule| scalar_rule(Properties::new(DataType::U64, kind, rule));
        let rules = [Sum, Mean, Min, Max, Each];
        assert_eq!(rules.map(|rule| of(Kind::Timestamp, rule)), [Max, Max, Min, Max, Each]);
        assert_eq!(rules.map(|rule| of(Kind::Gauge, rule)), rules);
    }

    #[test]
    fn reading_has_worst_verdict_and_value_of_good_parts() {
        let body = Body::Scalar(DataType::U64, Scalars::default());
        let mut all = Accumulator::with_body(Aggregation::Sum, body);
        assert_eq!(all.reading().verdict, Verdict::Absent);
        all.scalar(&mut Budget::default(), &Origin::default(), RawVerdict::Absent);
        assert_eq!(
            all.reading(),
            Reading {
                value: None,
                verdict: Verdict::Absent,
                tally: Tally { absent: 1, ..Tally::default() },
            }
        );
        all.scalar(
            &mut Budget::default(),
            &Origin::default(),
            RawVerdict::Consistent(Scalar::U64(4)),
        );
        assert_eq!(all.reading().verdict, Verdict::Consistent);
        all.scalar(&mut Budget::default(), &Origin::default(), RawVerdict::Contended);
        assert_eq!(all.reading().verdict, Verdict::Contended);
        let error = mmstats_core::read::ValueError::LaneState { offset: 7, found: 9 };
        all.scalar(&mut Budget::default(), &Origin::default(), RawVerdict::Damaged(error));
        let reading = all.reading();
        assert_eq!(reading.value, Some(OwnedValue::Unsigned(4)));
        assert_eq!(reading.verdict, Verdict::Damaged(Damage { code: "lane-state", offset: 7 }));
        assert_eq!(reading.tally, Tally { values: 1, absent: 1, contended: 1, damaged: 1 });
        assert!(all.has_parts());
        all.clear();
        assert_eq!(all.reading().verdict, Verdict::Absent);
    }
}
