//! Merges timers, averages and histograms of several lanes: KINDS.md sections 2 and 4. Buckets
//! of histograms are left to callers with an allocator.

use crate::layout::{RUNNING_BITS, RUNNING_TIME};
use crate::read::{ArrayView, Histogram, Scalar, WindowSum};
use crate::types::{Aggregation, DataType};

/// Durations in nanoseconds, of one lane or of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimerValue {
    /// Number of durations.
    pub count: u128,
    /// Their sum.
    pub sum: u128,
    /// The shortest; `None` if there is none.
    pub min: Option<u64>,
    /// The longest; `None` if there is none.
    pub max: Option<u64>,
    /// The newest of the lane with the largest count; `None` if there is none.
    pub last: Option<u64>,
}

impl TimerValue {
    /// Count, sum, minimum, maximum and last, as a lane holds them.
    #[must_use]
    pub const fn from_elements([count, sum, min, max, last]: [u64; 5]) -> Self {
        if count == 0 {
            return Self { count: 0, sum: 0, min: None, max: None, last: None };
        }
        Self {
            count: count as u128,
            sum: sum as u128,
            min: Some(min),
            max: Some(max),
            last: Some(last),
        }
    }

    /// [`TimerValue::from_elements`]; `None` unless `array` has five of type u64.
    #[must_use]
    pub fn from_array(array: &ArrayView<'_>) -> Option<Self> {
        let mut elements = [0; 5];
        for (index, element) in elements.iter_mut().enumerate() {
            let Some(Scalar::U64(n)) = array.get(index) else { return None };
            *element = n;
        }
        Some(Self::from_elements(elements))
    }

    /// The elements of a lane's cell; count and sum saturate at 2^64 - 1.
    #[must_use]
    pub fn to_elements(self) -> [u64; 5] {
        let zero = |n: Option<u64>| n.unwrap_or(0);
        let fit = |n: u128| u64::try_from(n).unwrap_or(u64::MAX);
        [fit(self.count), fit(self.sum), zero(self.min), zero(self.max), zero(self.last)]
    }

    /// The mean; `None` without durations, or if the sum is below count times the minimum or above
    /// count times the maximum, as after a wrap-around.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // A mean is a float.
    pub fn mean(&self) -> Option<f64> {
        let times = |n: u64| self.count.saturating_mul(n.into());
        let wrapped = self.max.is_some_and(|max| self.sum > times(max))
            || self.min.is_some_and(|min| self.sum < times(min));
        (self.count > 0 && !wrapped).then(|| self.sum as f64 / self.count as f64)
    }

    /// Count and sum of the durations since `before`; `None` if there were more then.
    #[must_use]
    pub fn since(&self, before: &Self) -> Option<Self> {
        Some(Self {
            count: self.count.checked_sub(before.count)?,
            sum: self.sum.checked_sub(before.sum)?,
            ..Self::default()
        })
    }
}

/// Timers of several lanes, added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimerSum {
    value: TimerValue,
    /// Count of the lane whose `last` the value has.
    largest: u128,
}

impl TimerSum {
    /// The durations of all lanes so far.
    #[must_use]
    pub const fn value(&self) -> TimerValue {
        self.value
    }

    /// Adds the timer of a lane.
    pub fn add(&mut self, lane: TimerValue) {
        self.merge(&Self { value: lane, largest: lane.count });
    }

    /// Adds the lanes of another sum, which come after those of this one.
    pub fn merge(&mut self, other: &Self) {
        let (to, from) = (&mut self.value, &other.value);
        if from.count == 0 {
            return;
        }
        to.count = to.count.saturating_add(from.count);
        to.sum = to.sum.saturating_add(from.sum);
        to.min = to.min.into_iter().chain(from.min).min();
        to.max = to.max.into_iter().chain(from.max).max();
        if other.largest > self.largest {
            (to.last, self.largest) = (from.last, other.largest);
        }
    }
}

impl From<TimerValue> for TimerSum {
    fn from(lane: TimerValue) -> Self {
        Self { value: lane, largest: lane.count }
    }
}

/// Sections in progress, of one lane or of several: KINDS.md section 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunningValue {
    /// Number of sections in progress; 4,095 in a lane means 4,095 or more.
    pub number: u128,
    /// Nanoseconds since 1970-01-01 UTC. The oldest section began at this time or before, so its age is
    /// at least the time since. `None` if it is not known, or none is in progress.
    pub since: Option<u64>,
}

impl RunningValue {
    /// From the word of a lane.
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        let (number, micros) = (word >> RUNNING_BITS, word & RUNNING_TIME);
        // At most 2^52 * 1,000.
        let since = if number == 0 || micros == 0 { None } else { Some(micros * 1000) };
        Self { number: number as u128, since }
    }

    /// Adds the sections of another lane.
    pub fn merge(&mut self, other: &Self) {
        self.number = self.number.saturating_add(other.number);
        self.since = self.since.into_iter().chain(other.since).min();
    }
}

/// Count and sum of values whose mean is shown.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct AverageValue {
    /// Number of values.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
}

impl AverageValue {
    /// The first two elements of `array`: count and sum, 0 where there are fewer.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // A mean is a float.
    pub fn from_array(array: &ArrayView<'_>) -> Self {
        let float = |index| match array.get(index) {
            Some(Scalar::F64(x)) => x,
            Some(Scalar::U64(n)) => n as f64,
            Some(Scalar::I64(n)) => n as f64,
            _ => 0.0,
        };
        Self { count: float(0), sum: float(1) }
    }

    /// The mean; `None` if there is no value, or if the sum is not finite.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count).filter(|mean| mean.is_finite())
    }

    /// Whether no writer records this: the count is negative or not finite, or values were counted
    /// and their sum is not finite. Such a part takes no part in a merge, and is damage.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        let counted = self.count > 0.0 && self.count.is_finite();
        !(self.count == 0.0 || counted && self.sum.is_finite())
    }

    /// Adds the values of another lane, unless it has none or [is damaged](Self::is_damaged).
    pub fn merge(&mut self, other: Self) {
        if !other.is_damaged() {
            self.merge_sum(other);
        }
    }

    /// Adds lanes that were merged before. If their sum is too large for a float, so is this one.
    pub fn merge_sum(&mut self, other: Self) {
        if other.count == 0.0 {
            return;
        }
        if self.count == 0.0 {
            *self = other;
            return;
        }
        self.count += other.count;
        self.sum += other.sum;
    }
}

impl From<WindowSum> for AverageValue {
    fn from(sum: WindowSum) -> Self {
        Self { count: sum.count().into(), sum: sum.sum() }
    }
}

/// An exact integer or a float: a sum, a minimum or a maximum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// An unsigned integer; a sum saturates.
    Unsigned(u128),
    /// A signed integer; a sum saturates.
    Signed(i128),
    /// A float.
    Float(f64),
}

impl Number {
    const fn from_bits(float: bool, bits: u64) -> Self {
        if float { Self::Float(f64::from_bits(bits)) } else { Self::Unsigned(bits as u128) }
    }

    /// The bits in a lane: those of a float, an unsigned integer of at most 2^64 - 1, or a signed one
    /// modulo 2^64.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Wraps, as in a lane.
    pub const fn to_bits(self) -> u64 {
        match self {
            Self::Unsigned(n) if n > u64::MAX as u128 => u64::MAX,
            Self::Unsigned(n) => n as u64,
            Self::Signed(n) => n as u64,
            Self::Float(x) => x.to_bits(),
        }
    }

    /// The nearest float.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub const fn as_f64(self) -> f64 {
        match self {
            Self::Unsigned(n) => n as f64,
            Self::Signed(n) => n as f64,
            Self::Float(x) => x,
        }
    }

    /// Merges another number by a rule: minimum, maximum, or the sum for other rules. Numbers of
    /// two types give a float; NaN is a minimum or maximum only if both numbers are NaN.
    #[inline]
    pub fn merge(&mut self, rule: Aggregation, other: Self) {
        match (&mut *self, other) {
            (Self::Unsigned(a), Self::Unsigned(b)) => match rule {
                Aggregation::Min => *a = b.min(*a),
                Aggregation::Max => *a = b.max(*a),
                _ => *a = a.saturating_add(b),
            },
            (Self::Signed(a), Self::Signed(b)) => match rule {
                Aggregation::Min => *a = b.min(*a),
                Aggregation::Max => *a = b.max(*a),
                _ => *a = a.saturating_add(b),
            },
            (a, b) => {
                let (a, b) = (a.as_f64(), b.as_f64());
                *self = Self::Float(match rule {
                    Aggregation::Min => a.min(b),
                    Aggregation::Max => a.max(b),
                    _ => a + b,
                });
            }
        }
    }
}

/// Count, sum and range of the values of a histogram: all but its buckets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HistogramSummary {
    count: u128,
    sum: Number,
    range: Option<(Number, Number)>,
}

impl HistogramSummary {
    /// No values.
    pub const EMPTY: Self = Self { count: 0, sum: Number::Unsigned(0), range: None };

    /// `count` values with their sum, minimum and maximum.
    #[must_use]
    pub const fn new(count: u128, sum: Number, range: Option<(Number, Number)>) -> Self {
        Self { count, sum, range }
    }

    /// The values of one lane.
    #[must_use]
    pub fn from_lane(lane: &Histogram<'_>) -> Self {
        let float = lane.buckets().ty() == DataType::F64;
        let number = |bits| Number::from_bits(float, bits);
        Self {
            count: lane.count().into(),
            sum: number(lane.sum_bits()),
            range: lane.min_bits().map(number).zip(lane.max_bits().map(number)),
        }
    }

    /// Number of values.
    #[must_use]
    pub const fn count(&self) -> u128 {
        self.count
    }

    /// Their sum.
    #[must_use]
    pub const fn sum(&self) -> Number {
        self.sum
    }

    /// The smallest and the largest one; `None` if there is none, or if they are not known.
    #[must_use]
    pub const fn range(&self) -> Option<(Number, Number)> {
        self.range
    }

    /// The mean; `None` if there is no value.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // A mean is a float.
    pub fn mean(&self) -> Option<f64> {
        (self.count != 0).then(|| self.sum.as_f64() / self.count as f64)
    }

    /// Whether no writer records this: values were counted, and their sum, minimum or maximum is
    /// not finite. Such a part takes no part in a merge, and is damage.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        let finite = |number: Number| number.as_f64().is_finite();
        let range = self.range.is_none_or(|(min, max)| finite(min) && finite(max));
        self.count != 0 && !(finite(self.sum) && range)
    }

    /// Adds the values of another histogram, of the same type, unless it has none or
    /// [is damaged](Self::is_damaged).
    pub fn merge(&mut self, other: &Self) {
        if !other.is_damaged() {
            self.merge_sum(other);
        }
    }

    /// Adds histograms that were merged before. If their sum is too large for a float, so is this one.
    pub fn merge_sum(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        self.count = self.count.saturating_add(other.count);
        self.sum.merge(Aggregation::Sum, other.sum);
        match (&mut self.range, other.range) {
            (Some((min, max)), Some((other_min, other_max))) => {
                min.merge(Aggregation::Min, other_min);
                max.merge(Aggregation::Max, other_max);
            }
            // The minimum and maximum of one part are not those of all values.
            (range, _) => *range = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_merge_saturates_and_mixes_to_float() {
        use Aggregation::{Max, Min, Sum};
        use Number::{Float, Signed, Unsigned};
        let merge = |mut a: Number, rule, b| {
            a.merge(rule, b);
            a
        };
        assert_eq!(merge(Unsigned(u128::MAX), Sum, Unsigned(1)), Unsigned(u128::MAX));
        assert_eq!(merge(Unsigned(3), Max, Unsigned(1)), Unsigned(3));
        assert_eq!(merge(Signed(-3), Sum, Signed(1)), Signed(-2));
        assert_eq!(merge(Signed(-3), Min, Signed(1)), Signed(-3));
        assert_eq!(merge(Unsigned(3), Sum, Float(0.5)), Float(3.5));
        assert_eq!(merge(Float(f64::NAN), Min, Float(2.0)), Float(2.0));
    }

    #[test]
    fn timer_sum_last_of_largest_lane() {
        let lane = |count, last| TimerValue::from_elements([count, 10, last, last, last]);
        let mut all = TimerSum::default();
        for lane in [lane(2, 20), lane(5, 50), lane(1, 10), lane(5, 51), TimerValue::default()] {
            all.add(lane);
        }
        let value = TimerValue { count: 13, sum: 40, min: Some(10), max: Some(51), last: Some(50) };
        assert_eq!(all.value(), value);
        // In two halves, although the second half has more in all than the largest lane.
        let (mut first, mut second) = (TimerSum::from(lane(5, 50)), TimerSum::default());
        [lane(4, 40), lane(4, 41)].into_iter().for_each(|lane| second.add(lane));
        first.merge(&second);
        assert_eq!(first.value().last, Some(50));
    }

    #[test]
    fn mean_of_impossible_sum_is_none() {
        // Two durations of u64::MAX nanoseconds: the sum has wrapped around.
        let wrapped = TimerValue::from_elements([2, u64::MAX - 1, u64::MAX, u64::MAX, u64::MAX]);
        assert_eq!(wrapped.mean(), None);
        assert_eq!(TimerValue::from_elements([2, 5, 3, 9, 9]).mean(), None);
        assert_eq!(TimerValue::from_elements([2, 12, 3, 9, 9]).mean(), Some(6.0));
        for (count, sum, mean) in [
            (0.0, 1.0, None),
            (2.0, f64::NAN, None),
            (2.0, f64::INFINITY, None),
            (f64::NAN, 1.0, None),
            (2.0, 3.0, Some(1.5)),
        ] {
            assert_eq!(AverageValue { count, sum }.mean(), mean, "{sum} of {count}");
        }
    }

    #[test]
    fn timer_value_elements_round_trip() {
        for elements in [[0; 5], [3, 60, 10, 30, 20]] {
            assert_eq!(TimerValue::from_elements(elements).to_elements(), elements);
        }
        let full = TimerValue { count: 1 << 64 | 7, sum: 1 << 70, ..TimerValue::default() };
        assert_eq!(full.to_elements()[..2], [u64::MAX; 2]);
    }

    #[test]
    fn timer_value_since_later_is_none() {
        let (few, many) = (
            TimerValue::from_elements([2, 10, 1, 9, 9]),
            TimerValue::from_elements([6, 30, 1, 9, 3]),
        );
        let between = TimerValue { count: 4, sum: 20, ..TimerValue::default() };
        assert_eq!((many.since(&few), few.since(&many)), (Some(between), None));
        assert_eq!(between.mean(), Some(5.0));
    }

    #[test]
    fn histogram_summary_merge_leaves_damaged_out() {
        let float = |x| {
            let x = Number::Float(x);
            HistogramSummary::new(1, x, Some((x, x)))
        };
        let mut all = HistogramSummary::EMPTY;
        for x in [f64::NAN, 2.0, f64::INFINITY, -1.0, f64::NEG_INFINITY] {
            assert_eq!(float(x).is_damaged(), !x.is_finite());
            all.merge(&float(x));
            all.merge(&HistogramSummary::EMPTY);
        }
        assert_eq!(all.count(), 2);
        assert_eq!(all.range(), Some((Number::Float(-1.0), Number::Float(2.0))));
        assert_eq!(all.mean(), Some(0.5));
    }

    #[test]
    fn average_merge_leaves_empty_and_damaged_out() {
        let average = |count, sum| AverageValue { count, sum };
        let (nan, infinite) = (f64::NAN, f64::INFINITY);
        let mut all = average(0.0, 0.0);
        all.merge(average(2.0, 10.0));
        // Without a count the sum means nothing.
        for (count, sum) in [(0.0, 7.0), (0.0, nan), (-0.0, infinite)] {
            assert!(!average(count, sum).is_damaged());
            all.merge(average(count, sum));
        }
        for (count, sum) in [(1.0, nan), (1.0, infinite), (nan, 1.0), (infinite, 1.0), (-1.0, 1.0)]
        {
            assert!(average(count, sum).is_damaged(), "{count} {sum}");
            all.merge(average(count, sum));
        }
        assert_eq!(all, average(2.0, 10.0));
        assert_eq!(all.mean(), Some(5.0));
    }

    #[test]
    fn histogram_summary_range_of_unknown_part_is_unknown() {
        let (two, three) = (Number::Float(2.0), Number::Float(3.0));
        let known = HistogramSummary::new(1, two, Some((two, two)));
        let unknown = HistogramSummary::new(1, three, None);
        for (mut all, more) in [(known, unknown), (unknown, known)] {
            all.merge(&more);
            assert_eq!((all.count(), all.range()), (2, None));
        }
    }

    #[test]
    fn histogram_summary_integers_exact() {
        let integer = |n: u64| {
            let n = Number::Unsigned(n.into());
            HistogramSummary::new(1, n, Some((n, n)))
        };
        let mut all = integer(u64::MAX);
        all.merge(&integer(3));
        assert_eq!(all.sum(), Number::Unsigned((1 << 64) + 2));
        assert_eq!(all.sum().to_bits(), u64::MAX);
    }
}
