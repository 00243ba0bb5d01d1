//! Past of one number, at several resolutions.

use std::time::Duration;

use mmstats_observe::Number;

use crate::clock::Moment;
use crate::level::{Bucket, Less, Level, Span};

/// Widths and spans of the levels, from the finest.
const LEVELS: [(Duration, Duration); 3] = [
    (Duration::from_millis(1), Duration::from_secs(60)),
    (Duration::from_millis(100), Duration::from_secs(600)),
    (Duration::from_secs(1), Duration::from_secs(6 * 3600)),
];

/// Shares of the bytes for the levels, in eighths.
const SHARES: [usize; 3] = [2, 2, 4];

/// Representation of a number in 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Unsigned,
    Signed,
    Float,
}

impl Class {
    const fn of(number: Number) -> Self {
        match number {
            Number::Unsigned(_) => Self::Unsigned,
            Number::Signed(_) => Self::Signed,
            Number::Float(_) => Self::Float,
        }
    }

    /// `None` for a number of another class, or beyond 64 bits.
    fn bits(self, number: Number) -> Option<u64> {
        match (self, number) {
            (Self::Unsigned, Number::Unsigned(n)) => u64::try_from(n).ok(),
            (Self::Signed, Number::Signed(n)) => i64::try_from(n).ok().map(i64::cast_unsigned),
            (Self::Float, Number::Float(x)) => Some(x.to_bits()),
            _ => None,
        }
    }

    fn number(self, bits: u64) -> Number {
        match self {
            Self::Unsigned => Number::Unsigned(bits.into()),
            Self::Signed => Number::Signed(bits.cast_signed().into()),
            Self::Float => Number::Float(f64::from_bits(bits)),
        }
    }

    fn less(self) -> Less {
        match self {
            Self::Unsigned => |a, b| a < b,
            Self::Signed => |a, b| a.cast_signed() < b.cast_signed(),
            // NaN is neither the smallest nor the largest.
            Self::Float => |a, b| f64::from_bits(a) < f64::from_bits(b),
        }
    }
}

/// The past of one number: every look for a minute, tenths of a second for ten minutes, seconds
/// for six hours; each with minimum, maximum and last.
///
/// Numbers are exact: integers of 64 bits and f64. Spans are shorter where the memory does not
/// suffice: see [`span`](Self::span).
#[derive(Debug, Clone, Default)]
pub struct Numbers {
    class: Option<Class>,
    levels: [Level; 3],
    /// Number of looks at numbers that cannot be kept: of another class than the first, or beyond 64 bits.
    unfit: u64,
}

impl Numbers {
    /// Records a look; `None` if it found no number. Looks must be recorded in order of time.
    pub fn record(&mut self, at: Moment, number: Option<Number>) {
        let class = match (self.class, number) {
            (Some(class), _) => class,
            (None, Some(number)) => *self.class.insert(Class::of(number)),
            (None, None) => return,
        };
        let bits = number.and_then(|number| class.bits(number));
        self.unfit += u64::from(number.is_some() && bits.is_none());
        for (level, (width, span)) in self.levels.iter_mut().zip(LEVELS) {
            level.record(bucket(at, width), bits, class.less());
            level.drop_before(bucket(at.before(span), width));
        }
    }

    /// The number found by the last look at or before `at`; `None` if it found none, or is not kept. The time is
    /// exact to the width of the finest level that reaches back to `at`.
    #[must_use]
    pub fn at(&self, at: Moment) -> Option<Number> {
        let class = self.class?;
        let (level, width) = self.level_for(at)?;
        level.at(bucket(at, width)).map(|bits| class.number(bits))
    }

    /// Mean rate of change, per second, in the `window` that ends with the last look at or before `at`: the
    /// difference of two numbers, divided by the time between their looks. `None` without both numbers, or
    /// with a gap between them.
    #[must_use]
    pub fn rate(&self, at: Moment, window: Duration) -> Option<f64> {
        let class = self.class?;
        let (level, width) = self.level_for(at.before(window))?;
        let (first, last, bits) = level.run_at(bucket(at, width))?;
        let end = last.min(bucket(at, width)).max(first);
        let back = bucket(Moment::default().after(window), width).max(1);
        let wanted = end.checked_sub(back).unwrap_or(level.span()?.first);
        let (_, last, before) = level.run_at(wanted.max(level.span()?.first))?;
        let begin = last.min(wanted).max(level.span()?.first);
        if level.has_gap(begin, end) {
            return None;
        }
        let time = start(end, width).since(start(begin, width)).as_secs_f64();
        (time > 0.0).then(|| difference(class.number(before), class.number(bits)) / time)
    }

    /// Time of the last change at or before `at`; `None` if the kept past has none.
    #[must_use]
    pub fn changed(&self, at: Moment) -> Option<Moment> {
        let changed = |(level, (width, _)): (&Level, (Duration, Duration))| {
            level.changed(bucket(at, width)).map(|found| start(found, width))
        };
        // A finer level has the exact time, a coarser one the longer past.
        self.levels.iter().zip(LEVELS).find_map(changed)
    }

    /// Minimum, maximum and last of each of `count` equal steps that end at `end`; `None` for steps
    /// without a number.
    #[must_use]
    pub fn steps(&self, end: Moment, step: Duration, count: usize) -> Vec<Option<Bucket<Number>>> {
        let Some(class) = self.class else { return vec![None; count] };
        let step = step.max(Duration::from_millis(1));
        let steps = (0..count).rev().map(|back| {
            let back = u32::try_from(back).unwrap_or(u32::MAX);
            let last = end.before(step.saturating_mul(back));
            self.step(class, last.before(step), last)
        });
        steps.collect()
    }

    /// The part of the past after `from`, up to `to`.
    fn step(&self, class: Class, from: Moment, to: Moment) -> Option<Bucket<Number>> {
        let (level, width) = self.level_for(from)?;
        let first = bucket(from, width).saturating_add(1).min(bucket(to, width));
        let found = level.range(first, bucket(to, width), class.less());
        let number = |bits| class.number(bits);
        found.map(|all| Bucket {
            min: number(all.min),
            max: number(all.max),
            last: number(all.last),
        })
    }

    /// The finest level that reaches back to `at` or has the whole kept past; else the coarsest.
    fn level_for(&self, at: Moment) -> Option<(&Level, Duration)> {
        let mut levels = self.levels.iter().zip(LEVELS).map(|(level, (width, _))| (level, width));
        // The oldest look lies in the first bucket of the coarsest level.
        let oldest = levels.clone().next_back().and_then(|(level, width)| {
            level.span().map(|span| start(span.first.saturating_add(1), width))
        });
        let has = |(level, width): &(&Level, Duration)| {
            level.span().is_some_and(|span| {
                span.first <= bucket(at, *width)
                    || oldest.is_some_and(|oldest| start(span.first, *width) < oldest)
            })
        };
        levels.clone().find(has).or_else(|| levels.next_back())
    }

    /// Time of the oldest kept look.
    #[must_use]
    pub fn first(&self) -> Option<Moment> {
        let first = |(level, (width, _)): (&Level, (Duration, Duration))| {
            level.span().map(|span| start(span.first, width))
        };
        self.levels.iter().zip(LEVELS).filter_map(first).min()
    }

    /// Length of the past before the last look, at the finest, middle and coarsest level.
    #[must_use]
    pub fn span(&self) -> [Duration; 3] {
        let mut spans = [Duration::ZERO; 3];
        for ((span, level), (width, _)) in spans.iter_mut().zip(&self.levels).zip(LEVELS) {
            if let Some(Span { first, last }) = level.span() {
                *span = start(last, width).since(start(first, width));
            }
        }
        spans
    }

    /// Number of looks at numbers that could not be kept: beyond 64 bits, or of another type than
    /// the first.
    #[must_use]
    pub const fn unfit(&self) -> u64 {
        self.unfit
    }

    /// Memory of the entries, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.levels.iter().map(Level::bytes).sum()
    }

    /// Drops the oldest part of each level that exceeds its share of `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        if self.bytes() <= bytes {
            return;
        }
        // Memory that a level does not use is left to the next ones.
        let (mut left, mut shares) = (bytes, SHARES.iter().sum::<usize>());
        let mut order: Vec<_> = self.levels.iter_mut().zip(SHARES).collect();
        order.sort_by_key(|(level, share)| level.bytes() / share);
        for (level, share) in order {
            level.shrink_to(left / shares * share);
            left = left.saturating_sub(level.bytes());
            shares -= share;
            if shares == 0 {
                return;
            }
        }
    }
}

/// `b - a`; exact before it is rounded to binary64.
#[allow(clippy::cast_precision_loss)] // The nearest float.
fn difference(a: Number, b: Number) -> f64 {
    match (a, b) {
        (Number::Unsigned(a), Number::Unsigned(b)) if b >= a => (b - a) as f64,
        (Number::Unsigned(a), Number::Unsigned(b)) => -((a - b) as f64),
        (Number::Signed(a), Number::Signed(b)) => b.saturating_sub(a) as f64,
        (a, b) => b.as_f64() - a.as_f64(),
    }
}

/// Number of the bucket of `width` that contains `at`.
fn bucket(at: Moment, width: Duration) -> u64 {
    at.milliseconds() / milliseconds(width)
}

/// First moment of a bucket.
fn start(bucket: u64, width: Duration) -> Moment {
    Moment::from_milliseconds(bucket.saturating_mul(milliseconds(width)))
}

fn milliseconds(width: Duration) -> u64 {
    u64::try_from(width.as_millis()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Moment {
        Moment::from_milliseconds(milliseconds)
    }

    fn unsigned(n: u64) -> Option<Number> {
        Some(Number::Unsigned(n.into()))
    }

    #[test]
    fn numbers_are_exact_beyond_the_precision_of_floats() {
        let mut numbers = Numbers::default();
        numbers.record(at(0), unsigned(u64::MAX));
        numbers.record(at(1_000), unsigned(u64::MAX - 1));
        assert_eq!(numbers.at(at(999)), unsigned(u64::MAX));
        assert_eq!(numbers.at(at(5_000)), unsigned(u64::MAX - 1));
        assert_eq!(numbers.changed(at(5_000)), Some(at(1_000)));
    }

    #[test]
    fn numbers_keep_their_spans() {
        let mut numbers = Numbers::default();
        let tenths = 7 * 3600 * 10;
        for n in 0..tenths {
            numbers.record(at(n * 100), unsigned(n));
        }
        let [fine, middle, coarse] = numbers.span();
        assert_eq!((fine.as_secs(), middle.as_secs(), coarse.as_secs()), (60, 600, 6 * 3600));
        let end = at((tenths - 1) * 100);
        let ago = |seconds| numbers.at(end.before(Duration::from_secs(seconds)));
        assert_eq!(ago(30), unsigned(tenths - 1 - 300));
        assert_eq!(ago(300), unsigned(tenths - 1 - 3_000));
        // Of a second the last look.
        assert_eq!(ago(3_600), unsigned(tenths - 1 - 36_000));
        assert_eq!(ago(7 * 3_600), None);
        let step = numbers.steps(end, Duration::from_secs(60), 3);
        let last = step.last().copied().flatten().unwrap();
        assert_eq!(last.last, Number::Unsigned(u128::from(tenths - 1)));
        assert_eq!(last.min, Number::Unsigned(u128::from(tenths - 600)));
    }

    #[test]
    fn step_before_the_first_look_has_no_later_number() {
        let mut numbers = Numbers::default();
        for n in 0..10 {
            numbers.record(at(1_050 + n * 100), unsigned(n));
        }
        let steps = numbers.steps(at(1_200), Duration::from_millis(100), 3);
        let last = steps.into_iter().map(|step| step.map(|step| step.last));
        assert_eq!(last.collect::<Vec<_>>(), [None, unsigned(0), unsigned(1)]);
    }

    #[test]
    fn rate_divides_by_the_time_between_looks() {
        let mut numbers = Numbers::default();
        // 10 for each second, looked at a little late.
        for (time, n) in [(0, 0), (1_010, 10), (2_040, 20), (3_000, 30)] {
            numbers.record(at(time), unsigned(n));
        }
        let rate = |numbers: &Numbers, milliseconds, window| {
            numbers.rate(at(milliseconds), Duration::from_millis(window))
        };
        assert_eq!(rate(&numbers, 3_500, 1_000), Some(20.0 / 1.99));
        assert_eq!(rate(&numbers, 2_500, 500), Some(10.0 / 1.03));
        assert_eq!(rate(&numbers, 500, 1_000), None);
        numbers.record(at(4_000), None);
        assert_eq!(rate(&numbers, 4_500, 1_000), None);
        numbers.record(at(5_000), unsigned(0));
        assert_eq!(rate(&numbers, 5_500, 1_000), None);
        numbers.record(at(6_000), unsigned(0));
        numbers.record(at(7_000), unsigned(0));
        assert_eq!(rate(&numbers, 7_500, 1_000), Some(0.0));
    }

    #[test]
    fn numbers_after_50_days_have_rates_and_spans() {
        // 2^32 ms are 49.7 days.
        let day = 24 * 3600 * 1_000;
        for start in [49 * day, 60 * day, 5_000 * day] {
            let mut numbers = Numbers::default();
            for n in 0..30 {
                numbers.record(at(start + n * 1_000), unsigned(7 * n));
            }
            let end = at(start + 29_500);
            assert_eq!(numbers.rate(end, Duration::from_secs(10)), Some(7.0), "{start}");
            assert_eq!(numbers.changed(end), Some(at(start + 29_000)));
            assert_eq!(numbers.first(), Some(at(start)));
            assert_eq!(numbers.span().map(|span| span.as_secs()), [29; 3]);
        }
    }

    #[test]
    fn gap_has_no_number() {
        let mut numbers = Numbers::default();
        numbers.record(at(0), unsigned(1));
        numbers.record(at(1_000), None);
        numbers.record(at(2_000), unsigned(1));
        assert_eq!(numbers.at(at(500)), unsigned(1));
        assert_eq!(numbers.at(at(1_500)), None);
        assert_eq!(numbers.at(at(2_500)), unsigned(1));
    }

    #[test]
    fn shrinking_drops_the_oldest_and_keeps_the_newest() {
        let mut numbers = Numbers::default();
        for n in 0..20_000 {
            numbers.record(at(n * 1_000), unsigned(n));
        }
        let before = numbers.bytes();
        numbers.shrink_to(before / 4);
        assert!(numbers.bytes() <= before / 4, "{} of {before}", numbers.bytes());
        assert_eq!(numbers.at(at(19_999_000)), unsigned(19_999));
        assert!(numbers.span()[2] > Duration::from_secs(1_000));
    }

    #[test]
    fn number_of_another_class_is_a_counted_gap() {
        let mut numbers = Numbers::default();
        numbers.record(at(0), unsigned(1));
        numbers.record(at(1_000), Some(Number::Float(0.5)));
        numbers.record(at(2_000), Some(Number::Unsigned(u128::MAX)));
        assert_eq!((numbers.at(at(2_000)), numbers.unfit()), (None, 2));
    }
}
