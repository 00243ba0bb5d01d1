//! Many values into one, by a field's rule: FORMAT.md section 4.3.

use std::sync::Arc;

use mmstats_core::merge::{AverageValue, TimerSum, TimerValue};
use mmstats_core::read::{Scalar, Value, Verdict as RawVerdict};
use mmstats_core::{Aggregation, DataType, Kind};

use crate::budget::{Budget, TOO_LARGE};
use crate::field::{FieldRef, Shape};
use crate::histogram::HistogramValue;
use crate::kinds::{Meaning, StateValue};
use crate::problem::Damage;
use crate::rates::{self, WindowRate};
use crate::value::{EachValue, Origin, OwnedValue, Reading, Tally, Verdict};

/// What the values of one field amount to so far.
#[derive(Debug, Clone)]
pub(crate) struct Combined {
    rule: Aggregation,
    body: Body,
    tally: Tally,
    damage: Option<Damage>,
    /// The first verdict that is none of those that the tally counts.
    other: Option<Verdict>,
}

#[derive(Debug, Clone)]
enum Body {
    Number(DataType, Number),
    Array(DataType, Vec<Number>),
    Timer(Box<TimerSum>),
    State(StateValue),
    Histogram(Box<HistogramValue>),
    Average(AverageValue),
    Window(AverageValue),
    Rate(Vec<WindowRate>),
    Each { meaning: Meaning, values: Vec<EachValue> },
}

impl Body {
    /// No values yet of what is no plain number.
    fn of(meaning: &Meaning) -> Self {
        match meaning {
            Meaning::Timer => Self::Timer(Box::default()),
            Meaning::Average => Self::Average(AverageValue::default()),
            Meaning::Window => Self::Window(AverageValue::default()),
            Meaning::Histogram => Self::Histogram(Box::new(HistogramValue::empty())),
            Meaning::State(names) => {
                let counts = vec![0; names.len()];
                Self::State(StateValue { names: Arc::clone(names), counts })
            }
            Meaning::Plain => Self::Each { meaning: Meaning::Plain, values: Vec::new() },
        }
    }
}

impl Combined {
    /// No values yet of a field like this one.
    pub(crate) fn new(field: &FieldRef<'_>) -> Self {
        let mut rule = field.aggregation();
        let meaning = Meaning::of(field);
        let each = || Body::Each { meaning: meaning.clone(), values: Vec::new() };
        let body = match field.shape() {
            _ if rule == Aggregation::Each => each(),
            _ if field.kind() == Some(Kind::Rate) => Body::Rate(Vec::new()),
            _ if meaning != Meaning::Plain => Body::of(&meaning),
            Shape::One(ty) if ty.is_scalar() => Body::Number(ty, Number::default()),
            Shape::Array(ty, _) if ty.is_scalar() => Body::Array(ty, Vec::new()),
            _ => each(),
        };
        if matches!(body, Body::Each { .. }) {
            rule = Aggregation::Each;
        }
        Self { rule, body, tally: Tally::default(), damage: None, other: None }
    }

    /// No values again; the memory is kept.
    pub(crate) fn clear(&mut self) {
        match &mut self.body {
            Body::Number(_, number) => *number = Number::default(),
            Body::Array(_, numbers) => numbers.clear(),
            Body::Timer(timer) => **timer = TimerSum::default(),
            Body::State(state) => state.counts.fill(0),
            Body::Histogram(histogram) => **histogram = HistogramValue::empty(),
            Body::Average(average) | Body::Window(average) => *average = AverageValue::default(),
            Body::Rate(rates) => rates.clear(),
            Body::Each { values, .. } => values.clear(),
        }
        (self.tally, self.damage, self.other) = (Tally::default(), None, None);
    }

    /// Takes one lane's scalar in.
    #[inline]
    pub(crate) fn scalar(
        &mut self,
        budget: &mut Budget,
        origin: impl Fn() -> Origin,
        raw: RawVerdict<Scalar>,
    ) {
        if let (RawVerdict::Consistent(scalar), Body::Number(_, number)) = (raw, &mut self.body) {
            number.take(self.rule, scalar);
            self.tally.values = self.tally.values.saturating_add(1);
        } else {
            self.value(budget, origin(), raw.map(Value::from));
        }
    }

    /// Takes one lane's value in.
    pub(crate) fn value(
        &mut self,
        budget: &mut Budget,
        origin: Origin,
        raw: RawVerdict<Value<'_>>,
    ) {
        let mut verdict = Verdict::from(&raw);
        let is_kept = !matches!(verdict, Verdict::Absent | Verdict::Retired | Verdict::Unknown);
        if is_kept && matches!(self.body, Body::Each { .. }) && !budget.takes(&raw) {
            verdict = Verdict::Damaged(TOO_LARGE);
        }
        self.count(verdict);
        if let Body::Each { meaning, values } = &mut self.body {
            // What has nothing to say for itself is only counted.
            if is_kept && verdict != Verdict::Damaged(TOO_LARGE) {
                let value = raw.consistent().map(|value| meaning.owned(value));
                values.push(EachValue { origin, value, verdict });
            }
        } else if let RawVerdict::Consistent(value) = raw {
            self.add(value);
        }
    }

    /// Takes in what the checkpoints of one lane amount to, after they were taken in as a
    /// value: what a rate is, they do not say alone.
    pub(crate) fn rates(&mut self, origin: &Origin, more: Vec<WindowRate>) {
        match &mut self.body {
            Body::Rate(rates) => rates::add(rates, &more),
            Body::Each { values, .. } => {
                let last = values.last_mut().filter(|last| last.origin == *origin);
                last.into_iter().for_each(|last| last.value = Some(OwnedValue::Rate(more.clone())));
            }
            _ => {}
        }
    }

    fn count(&mut self, verdict: Verdict) {
        let counter = match verdict {
            Verdict::Consistent => &mut self.tally.values,
            Verdict::Absent => &mut self.tally.absent,
            Verdict::Contended => &mut self.tally.contended,
            Verdict::Damaged(damage) => {
                self.damage.get_or_insert(damage);
                &mut self.tally.damaged
            }
            Verdict::Retired | Verdict::Unknown => {
                self.other.get_or_insert(verdict);
                return;
            }
        };
        *counter = counter.saturating_add(1);
    }

    fn add(&mut self, value: Value<'_>) {
        let rule = self.rule;
        match (&mut self.body, value) {
            (Body::Array(_, numbers), Value::Array(array)) => {
                if numbers.len() < array.len() {
                    numbers.resize(array.len(), Number::default());
                }
                numbers.iter_mut().zip(array.iter()).for_each(|(to, from)| to.take(rule, from));
            }
            (Body::Timer(timer), Value::Array(array)) => {
                TimerValue::from_array(&array).into_iter().for_each(|more| timer.add(more));
            }
            (Body::State(state), Value::U64(n)) => {
                // The reader checked that there is such a state.
                let count = usize::try_from(n).ok().and_then(|n| state.counts.get_mut(n));
                count.into_iter().for_each(|count| *count += 1);
            }
            (Body::Histogram(histogram), Value::Histogram(found)) => {
                histogram.merge(&HistogramValue::of(&found));
            }
            (Body::Average(all), Value::Array(array)) => {
                all.merge(AverageValue::from_array(&array))
            }
            (Body::Window(all), Value::Window(sum)) => {
                all.merge(sum.into());
            }
            (Body::Number(_, number), value) => {
                let scalar = match value {
                    Value::U64(n) => Scalar::U64(n),
                    Value::I64(n) => Scalar::I64(n),
                    Value::F32(x) => Scalar::F32(x),
                    Value::F64(x) => Scalar::F64(x),
                    Value::Bool(b) => Scalar::Bool(b),
                    _ => return,
                };
                number.take(rule, scalar);
            }
            _ => {}
        }
    }

    /// Takes in what another one is made of: the same field of other files, of a kind that
    /// [`Fold`](crate::Fold) keeps.
    pub(crate) fn merge(&mut self, other: &Self) {
        let rule = self.rule;
        match (&mut self.body, &other.body) {
            (Body::Number(_, to), Body::Number(_, from)) => to.merge(rule, *from),
            (Body::Array(_, to), Body::Array(_, from)) => {
                if to.len() < from.len() {
                    to.resize(from.len(), Number::default());
                }
                to.iter_mut().zip(from).for_each(|(to, from)| to.merge(rule, *from));
            }
            (Body::Timer(to), Body::Timer(from)) => to.merge(from),
            (Body::Histogram(to), Body::Histogram(from)) => to.merge(from),
            (Body::Average(to), Body::Average(from)) | (Body::Window(to), Body::Window(from)) => {
                to.merge(*from);
            }
            // States, rates and what is listed one by one are never folded.
            _ => return,
        }
        let Tally { values, absent, contended, damaged } = other.tally;
        self.tally.values = self.tally.values.saturating_add(values);
        self.tally.absent = self.tally.absent.saturating_add(absent);
        self.tally.contended = self.tally.contended.saturating_add(contended);
        self.tally.damaged = self.tally.damaged.saturating_add(damaged);
        self.damage = self.damage.or(other.damage);
        self.other = self.other.or(other.other);
    }

    /// Whether any value was taken in.
    pub(crate) const fn has_values(&self) -> bool {
        self.tally.values > 0
    }

    /// The value and the verdict now.
    pub(crate) fn reading(&self) -> Reading {
        let verdict = match (self.damage, self.other) {
            (Some(damage), _) => Verdict::Damaged(damage),
            (None, _) if self.tally.contended > 0 => Verdict::Contended,
            (None, _) if self.tally.values > 0 => Verdict::Consistent,
            (None, Some(other)) => other,
            (None, None) => Verdict::Absent,
        };
        Reading { value: self.result(), verdict, tally: self.tally }
    }

    fn result(&self) -> Option<OwnedValue> {
        match &self.body {
            // A constant that one file alone has is no list.
            Body::Each { values, .. } => match values.as_slice() {
                [] => None,
                [one] if one.origin.lane.is_none() => one.value.clone(),
                _ => Some(OwnedValue::Each(values.clone())),
            },
            _ if self.tally.values == 0 => None,
            Body::Number(ty, number) => Some(number.result(self.rule, *ty)),
            Body::Array(ty, numbers) => {
                let element = |number: &Number| number.result(self.rule, *ty);
                Some(OwnedValue::Array(numbers.iter().map(element).collect()))
            }
            Body::Timer(timer) => Some(OwnedValue::Timer(timer.value())),
            Body::State(state) => Some(OwnedValue::State(state.clone())),
            Body::Histogram(histogram) => Some(OwnedValue::Histogram(histogram.clone())),
            Body::Average(average) => Some(OwnedValue::Average(*average)),
            Body::Window(average) => Some(OwnedValue::Window(*average)),
            Body::Rate(rates) => Some(OwnedValue::Rate(rates.clone())),
        }
    }
}

/// Some numbers of one type, combined.
#[derive(Debug, Clone, Copy, Default)]
struct Number {
    /// How many.
    count: u64,
    sum: Sum,
}

/// No type of the format changes its kind of number between values of one field, so the
/// first decides.
#[derive(Debug, Clone, Copy)]
enum Sum {
    Unsigned(u128),
    Signed(i128),
    Float(f64),
}

impl Default for Sum {
    fn default() -> Self {
        Self::Unsigned(0)
    }
}

impl Number {
    #[inline]
    fn take(&mut self, rule: Aggregation, scalar: Scalar) {
        let sum = match scalar {
            Scalar::U64(n) => Sum::Unsigned(n.into()),
            Scalar::I64(n) => Sum::Signed(n.into()),
            Scalar::F32(x) => Sum::Float(x.into()),
            Scalar::F64(x) => Sum::Float(x),
            Scalar::Bool(b) => Sum::Unsigned(b.into()),
        };
        self.merge(rule, Self { count: 1, sum });
    }

    #[inline]
    fn merge(&mut self, rule: Aggregation, more: Self) {
        if self.count == 0 || more.count == 0 {
            if self.count == 0 {
                *self = more;
            }
            return;
        }
        self.count = self.count.saturating_add(more.count);
        match (&mut self.sum, more.sum) {
            (Sum::Unsigned(a), Sum::Unsigned(b)) => match rule {
                Aggregation::Min => *a = b.min(*a),
                Aggregation::Max => *a = b.max(*a),
                _ => *a = a.saturating_add(b),
            },
            (Sum::Signed(a), Sum::Signed(b)) => match rule {
                Aggregation::Min => *a = b.min(*a),
                Aggregation::Max => *a = b.max(*a),
                _ => *a = a.saturating_add(b),
            },
            (Sum::Float(a), Sum::Float(b)) => match rule {
                // A NaN takes no part, unless there is nothing else.
                Aggregation::Min => *a = a.min(b),
                Aggregation::Max => *a = a.max(b),
                _ => *a += b,
            },
            _ => {}
        }
    }

    #[allow(clippy::cast_precision_loss)] // a mean is a float
    #[allow(clippy::cast_possible_truncation)] // exact: these came from f32
    fn result(&self, rule: Aggregation, ty: DataType) -> OwnedValue {
        let picked = matches!(rule, Aggregation::Min | Aggregation::Max);
        match self.sum {
            Sum::Float(x) if rule == Aggregation::Mean => OwnedValue::F64(x / self.count as f64),
            Sum::Unsigned(n) if rule == Aggregation::Mean => {
                OwnedValue::F64(n as f64 / self.count as f64)
            }
            Sum::Signed(n) if rule == Aggregation::Mean => {
                OwnedValue::F64(n as f64 / self.count as f64)
            }
            Sum::Float(x) if ty == DataType::F32 && (picked || self.count == 1) => {
                OwnedValue::F32(x as f32)
            }
            Sum::Unsigned(n) if ty == DataType::Bool && picked => OwnedValue::Bool(n != 0),
            Sum::Float(x) => OwnedValue::F64(x),
            Sum::Unsigned(n) => OwnedValue::Unsigned(n),
            Sum::Signed(n) => OwnedValue::Signed(n),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn combine(rule: Aggregation, ty: DataType, scalars: &[Scalar]) -> OwnedValue {
        let body = Body::Number(ty, Number::default());
        let mut all = Combined { rule, body, tally: Tally::default(), damage: None, other: None };
        for scalar in scalars {
            all.scalar(&mut Budget::default(), Origin::default, RawVerdict::Consistent(*scalar));
        }
        all.reading().value.unwrap()
    }

    #[test]
    fn integers_are_exact_past_64_bits() {
        use Aggregation::{Max, Mean, Min, Sum};
        let big = [Scalar::U64(u64::MAX), Scalar::U64(u64::MAX), Scalar::U64(1)];
        let sum = 2 * u128::from(u64::MAX) + 1;
        assert_eq!(combine(Sum, DataType::U64, &big), OwnedValue::Unsigned(sum));
        assert_eq!(combine(Min, DataType::U64, &big), OwnedValue::Unsigned(1));
        assert_eq!(combine(Max, DataType::U64, &big), OwnedValue::Unsigned(u64::MAX.into()));
        let low = [Scalar::I64(i64::MIN), Scalar::I64(i64::MIN), Scalar::I64(3)];
        let sum = 2 * i128::from(i64::MIN) + 3;
        assert_eq!(combine(Sum, DataType::I64, &low), OwnedValue::Signed(sum));
        assert_eq!(
            combine(Mean, DataType::I8, &[Scalar::I64(-1), Scalar::I64(2)]),
            OwnedValue::F64(0.5)
        );
    }

    #[test]
    fn floats_and_bools_follow_the_rule() {
        use Aggregation::{Max, Mean, Min, Sum};
        let bools = [true, false, true].map(Scalar::Bool);
        assert_eq!(combine(Sum, DataType::Bool, &bools), OwnedValue::Unsigned(2));
        assert_eq!(combine(Min, DataType::Bool, &bools), OwnedValue::Bool(false));
        assert_eq!(combine(Max, DataType::Bool, &bools), OwnedValue::Bool(true));
        let floats = [0.1_f32, 0.2, f32::NAN].map(Scalar::F32);
        assert_eq!(combine(Sum, DataType::F32, &floats[..1]), OwnedValue::F32(0.1));
        assert_eq!(combine(Min, DataType::F32, &floats), OwnedValue::F32(0.1));
        assert_eq!(combine(Max, DataType::F32, &floats), OwnedValue::F32(0.2));
        let sum = f64::from(0.1_f32) + f64::from(0.2_f32);
        assert_eq!(combine(Sum, DataType::F32, &floats[..2]), OwnedValue::F64(sum));
        assert_eq!(combine(Mean, DataType::F32, &floats[..2]), OwnedValue::F64(sum / 2.0));
    }

    #[test]
    fn the_worst_verdict_wins_and_good_parts_stay() {
        let body = Body::Number(DataType::U64, Number::default());
        let new = Combined {
            rule: Aggregation::Sum,
            body,
            tally: Tally::default(),
            damage: None,
            other: None,
        };
        let mut all = new.clone();
        assert_eq!(all.reading().verdict, Verdict::Absent);
        all.scalar(&mut Budget::default(), Origin::default, RawVerdict::Absent);
        assert_eq!(
            all.reading(),
            Reading {
                value: None,
                verdict: Verdict::Absent,
                tally: Tally { absent: 1, ..Tally::default() },
            }
        );
        all.scalar(&mut Budget::default(), Origin::default, RawVerdict::Consistent(Scalar::U64(4)));
        assert_eq!(all.reading().verdict, Verdict::Consistent);
        all.scalar(&mut Budget::default(), Origin::default, RawVerdict::Contended);
        assert_eq!(all.reading().verdict, Verdict::Contended);
        let error = mmstats_core::read::ValueError::LaneState { offset: 7, found: 9 };
        all.scalar(&mut Budget::default(), Origin::default, RawVerdict::Damaged(error));
        let reading = all.reading();
        assert_eq!(reading.value, Some(OwnedValue::Unsigned(4)));
        assert_eq!(reading.verdict, Verdict::Damaged(Damage { code: "lane-state", offset: 7 }));
        assert_eq!(reading.tally, Tally { values: 1, absent: 1, contended: 1, damaged: 1 });
        assert!(all.has_values());
        all.clear();
        assert_eq!(all.reading().verdict, Verdict::Absent);
    }
}
