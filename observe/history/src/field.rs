//! A field with its past.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use mmstats_observe::{FieldInfo, Kind, Number, OwnedValue, Reading};

use crate::clock::Moment;
use crate::numbers::Numbers;
use crate::readings::{self, Readings};

/// Memory of a field without its past and texts, in bytes: with its key, its place in the totals of the
/// looks, and the overhead of the allocator.
const FIELD: usize = size_of::<Field>() + size_of::<Numbers>() + 1_200;

/// Weight of a preferred or watched field in the division of memory; others have 1.
const PREFERRED: usize = 8;

/// A field with its last reading and its past.
#[derive(Debug)]
#[non_exhaustive]
pub struct Field {
    /// The description.
    pub info: Arc<FieldInfo>,
    /// The last reading.
    pub reading: Arc<Reading>,
    /// Whether the last look at the program found the field.
    pub present: bool,
    /// The first look that found it.
    pub first: Moment,
    /// Whether its past is kept longer than others.
    pub preferred: bool,
    pub(crate) watched: bool,
    /// Whether a look at watched fields has found another reading since the last look at all fields.
    pub(crate) changed_between: bool,
    pub(crate) lanes: Vec<Lane>,
    past: Past,
}

/// Value of a field in one lane, with its past since the lanes of the field are watched.
#[derive(Debug)]
#[non_exhaustive]
pub struct Lane {
    /// Part of the program.
    pub part: u32,
    /// Number of the lane in the part.
    pub lane: u32,
    /// Id of the thread that owns the lane, or owned it last: `sys.tid`.
    pub thread: Option<u64>,
    /// Name of that thread: `sys.thread`.
    pub name: Option<String>,
    /// The last reading.
    pub reading: Arc<Reading>,
    only_grows: bool,
    past: Past,
}

/// The past of a field.
#[derive(Debug)]
enum Past {
    Numbers(Box<Numbers>),
    Readings {
        readings: Readings,
        /// Number of values in a timer, histogram or average, at each look: readings are kept only where
        /// they differ, without the times of the other looks.
        counts: Option<Box<Numbers>>,
    },
}

/// Reading of one lane, to be recorded.
#[derive(Debug)]
pub(crate) struct LaneReading {
    pub(crate) part: u32,
    pub(crate) lane: u32,
    pub(crate) thread: Option<u64>,
    pub(crate) name: Option<String>,
    pub(crate) reading: Reading,
}

impl Past {
    fn new(reading: &Reading) -> Self {
        match reading.value.as_ref() {
            Some(value) if number(value).is_none() => {
                Self::Readings { readings: Readings::default(), counts: None }
            }
            _ => Self::Numbers(Box::default()),
        }
    }

    /// Records a look; `last` is the last reading. Returns whether the reading differs from it. Numbers that are
    /// not `comparable` with those before are a gap.
    fn record(
        &mut self,
        at: Moment,
        last: &mut Arc<Reading>,
        reading: &Reading,
        comparable: bool,
    ) -> bool {
        let changed = **last != *reading;
        let comparable = comparable && (!changed || is_of_same_lane(last, reading));
        if changed {
            *last = Arc::new(reading.clone());
        }
        // The first value of a field may be no number.
        if let (Self::Numbers(numbers), Some(value)) = (&*self, &last.value)
            && number(value).is_none()
            && numbers.bytes() == 0
        {
            *self = Self::new(last);
        }
        let is_whole = comparable && is_whole(last);
        match self {
            Self::Numbers(numbers) => {
                let whole = last.value.as_ref().filter(|_| is_whole);
                numbers.record(at, whole.and_then(number));
            }
            Self::Readings { readings, counts } => {
                readings.record(at, last);
                let count = last.value.as_ref().and_then(count);
                if count.is_some() || counts.is_some() {
                    let counts = counts.get_or_insert_default();
                    counts.record(at, count.filter(|_| is_whole));
                }
            }
        }
        changed
    }

    /// Records that the value is gone.
    fn end(&mut self, at: Moment) {
        match self {
            Self::Numbers(numbers) => numbers.record(at, None),
            Self::Readings { readings, counts } => {
                readings.end(at);
                if let Some(counts) = counts {
                    counts.record(at, None);
                }
            }
        }
    }

    /// The value at `at`, of the type of the last reading.
    fn at(&self, at: Moment, last: &Reading) -> Option<OwnedValue> {
        match self {
            Self::Numbers(numbers) => {
                let value = OwnedValue::from(numbers.at(at)?);
                #[allow(clippy::cast_possible_truncation)] // The value is an f32, stored as f64.
                Some(match (last.value.as_ref().map(OwnedValue::only), value) {
                    (Some(OwnedValue::Bool(_)), OwnedValue::Unsigned(n @ 0..=1)) => {
                        OwnedValue::Bool(n == 1)
                    }
                    (Some(OwnedValue::F32(_)), OwnedValue::F64(x)) => OwnedValue::F32(x as f32),
                    (_, value) => value,
                })
            }
            Self::Readings { readings, .. } => {
                readings.at(at).filter(|reading| is_whole(reading))?.value.clone()
            }
        }
    }

    fn rate(&self, at: Moment, window: Duration) -> Option<f64> {
        match self {
            Self::Numbers(numbers) => numbers.rate(at, window),
            Self::Readings { counts, .. } => counts.as_ref()?.rate(at, window),
        }
    }

    fn first(&self) -> Option<Moment> {
        match self {
            Self::Numbers(numbers) => numbers.first(),
            Self::Readings { readings, .. } => readings.first(),
        }
    }

    fn changed(&self, at: Moment) -> Option<Moment> {
        match self {
            Self::Numbers(numbers) => numbers.changed(at),
            Self::Readings { readings, .. } => readings.changed(at),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.bytes(),
            Self::Readings { readings, counts } => {
                readings.bytes() + counts.as_ref().map_or(0, |counts| counts.bytes())
            }
        }
    }

    fn shrink_to(&mut self, bytes: usize) {
        match self {
            Self::Numbers(numbers) => numbers.shrink_to(bytes),
            Self::Readings { readings, counts } => {
                if let Some(counts) = counts {
                    counts.shrink_to(bytes / 4);
                }
                let counts = counts.as_ref().map_or(0, |counts| counts.bytes());
                readings.shrink_to(bytes.saturating_sub(counts));
            }
        }
    }
}

impl Field {
    pub(crate) fn new(info: &FieldInfo, reading: &Reading, at: Moment) -> Self {
        Self {
            info: Arc::new(info.clone()),
            reading: Arc::new(reading.clone()),
            present: true,
            first: at,
            preferred: false,
            watched: false,
            changed_between: false,
            lanes: Vec::new(),
            past: Past::new(reading),
        }
    }

    /// The past of a field whose value is one number.
    #[must_use]
    pub fn numbers(&self) -> Option<&Numbers> {
        match &self.past {
            Past::Numbers(numbers) => Some(numbers),
            Past::Readings { .. } => None,
        }
    }

    /// The past of any other field.
    #[must_use]
    pub const fn readings(&self) -> Option<&Readings> {
        match &self.past {
            Past::Readings { readings, .. } => Some(readings),
            Past::Numbers(_) => None,
        }
    }

    /// The past of a number, or of the count of a timer, histogram or average; `None` for other values.
    #[must_use]
    pub fn counts(&self) -> Option<&Numbers> {
        match &self.past {
            Past::Numbers(numbers) => Some(numbers),
            Past::Readings { counts, .. } => counts.as_deref(),
        }
    }

    /// The value found by the last look at or before `at`; `None` if it found none or only a part.
    #[must_use]
    pub fn value_at(&self, at: Moment) -> Option<OwnedValue> {
        self.past.at(at, &self.reading)
    }

    /// Mean rate of change, per second, in the `window` that ends at `at`: of a number, or of the count of a
    /// timer, histogram or average. `None` for other values, if the value at an end is not known, and if a counter
    /// went down.
    #[must_use]
    pub fn rate(&self, at: Moment, window: Duration) -> Option<f64> {
        let only_grows = only_grows(&self.info);
        self.past.rate(at, window).filter(|rate| !only_grows || *rate >= 0.0)
    }

    /// Time of the last change at or before `at`; `None` if the kept past has none.
    #[must_use]
    pub fn changed(&self, at: Moment) -> Option<Moment> {
        self.past.changed(at)
    }

    /// Time of the oldest kept look.
    #[must_use]
    pub fn kept_since(&self) -> Option<Moment> {
        self.past.first()
    }

    /// The lanes of a field whose lanes are watched, by part and number.
    #[must_use]
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// Records a look. Returns whether the reading has changed. Numbers that are not `comparable` with those
    /// before are a gap: other parts of the program were seen.
    pub(crate) fn record(&mut self, at: Moment, reading: &Reading, comparable: bool) -> bool {
        self.past.record(at, &mut self.reading, reading, comparable)
    }

    /// Records a look at all lanes.
    pub(crate) fn record_lanes(&mut self, at: Moment, readings: Vec<LaneReading>) {
        let found: HashSet<(u32, u32)> = readings.iter().map(|new| (new.part, new.lane)).collect();
        let is_lost = |lane: &&mut Lane| !found.contains(&(lane.part, lane.lane));
        self.lanes.iter_mut().filter(is_lost).for_each(|lane| lane.past.end(at));
        for new in readings {
            let key = (new.part, new.lane);
            let index = match self.lanes.binary_search_by_key(&key, |lane| (lane.part, lane.lane)) {
                Ok(index) => index,
                Err(index) => {
                    let lane = Lane {
                        part: new.part,
                        lane: new.lane,
                        thread: None,
                        name: None,
                        reading: Arc::new(new.reading.clone()),
                        only_grows: only_grows(&self.info),
                        past: Past::new(&new.reading),
                    };
                    self.lanes.insert(index, lane);
                    index
                }
            };
            if let Some(lane) = self.lanes.get_mut(index) {
                (lane.thread, lane.name) = (new.thread, new.name);
                lane.past.record(at, &mut lane.reading, &new.reading, true);
            }
        }
    }

    /// Records that the field is gone.
    pub(crate) fn end(&mut self, at: Moment) {
        self.present = false;
        self.past.end(at);
        self.lanes.iter_mut().for_each(|lane| lane.past.end(at));
    }

    /// Memory of the past, in bytes.
    pub(crate) fn past_bytes(&self) -> usize {
        self.past.bytes() + self.lanes.iter().map(|lane| lane.past.bytes()).sum::<usize>()
    }

    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        // Each lane gets the same share as the sum.
        let each = bytes / (self.lanes.len() + 1);
        self.past.shrink_to(each);
        self.lanes.iter_mut().for_each(|lane| lane.past.shrink_to(each));
    }

    /// Weight in the division of memory.
    pub(crate) const fn weight(&self) -> usize {
        if self.preferred || self.watched { PREFERRED } else { 1 }
    }

    /// Approximate memory without the past, in bytes.
    pub(crate) fn fixed_bytes(&self) -> usize {
        let info = &self.info;
        // The key repeats label and unit; help and attributes may be shared.
        let strings = 2 * (info.label.len() + info.unit.len());
        let strings = strings + info.help.len() + info.attributes.len();
        let lanes: usize =
            self.lanes.iter().map(|lane| size_of::<Lane>() + readings::size(&lane.reading)).sum();
        FIELD + strings + readings::size(&self.reading) + lanes
    }
}

impl Lane {
    /// As [`Field::value_at`].
    #[must_use]
    pub fn value_at(&self, at: Moment) -> Option<OwnedValue> {
        self.past.at(at, &self.reading)
    }

    /// As [`Field::rate`].
    #[must_use]
    pub fn rate(&self, at: Moment, window: Duration) -> Option<f64> {
        self.past.rate(at, window).filter(|rate| !self.only_grows || *rate >= 0.0)
    }

    /// As [`Field::changed`].
    #[must_use]
    pub fn changed(&self, at: Moment) -> Option<Moment> {
        self.past.changed(at)
    }
}

/// Whether a number, or the count of values, that went down is an error.
fn only_grows(info: &FieldInfo) -> bool {
    use Kind::{Average, Counter, Histogram, Timer};
    matches!(info.properties.kind(), Some(Counter | Timer | Histogram | Average))
}

/// Whether the value is complete: a sum without an unreadable lane is not.
fn is_whole(reading: &Reading) -> bool {
    let listed = matches!(reading.value, Some(OwnedValue::Each(_)));
    listed || (reading.tally.contended == 0 && reading.tally.damaged == 0)
}

/// Whether two values are not those of different lanes, each in a list of one.
fn is_of_same_lane(before: &Reading, now: &Reading) -> bool {
    let lane = |reading: &Reading| match &reading.value {
        Some(OwnedValue::Each(all)) => all.first().filter(|_| all.len() == 1).map(|one| {
            let origin = one.origin;
            (origin.pid, origin.part, origin.lane)
        }),
        _ => None,
    };
    lane(before).zip(lane(now)).is_none_or(|(before, now)| before == now)
}

/// Number of values in a timer, histogram or average: see [`Field::rate`].
fn count(value: &OwnedValue) -> Option<Number> {
    match value.only() {
        OwnedValue::Timer(timer) => Some(Number::Unsigned(timer.count)),
        OwnedValue::Histogram(histogram) => Some(Number::Unsigned(histogram.count())),
        OwnedValue::Average(average) => Some(Number::Float(average.count)),
        _ => None,
    }
}

/// The number in a value that is one number, or a list of one.
fn number(value: &OwnedValue) -> Option<Number> {
    match *value.only() {
        OwnedValue::Unsigned(n) => Some(Number::Unsigned(n)),
        OwnedValue::Signed(n) => Some(Number::Signed(n)),
        OwnedValue::F32(x) => Some(Number::Float(x.into())),
        OwnedValue::F64(x) => Some(Number::Float(x)),
        OwnedValue::Bool(b) => Some(Number::Unsigned(b.into())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use mmstats_observe::{Aggregation, DataType, Properties, TimerValue};

    use super::*;

    fn field(reading: &Reading) -> Field {
        let counter = Properties::new(DataType::U64, Kind::Counter, Aggregation::Sum);
        Field::new(&FieldInfo::new("hits", counter), reading, Moment::default())
    }

    #[test]
    fn value_that_lacks_a_lane_is_a_gap() {
        let whole = Reading::consistent(OwnedValue::Unsigned(7));
        let mut partial = whole.clone();
        partial.tally.contended = 1;
        let mut field = field(&whole);
        let at = Moment::from_milliseconds;
        field.record(at(0), &whole, true);
        field.record(at(1_000), &partial, true);
        field.record(at(2_000), &whole, true);
        assert_eq!(field.value_at(at(500)), whole.value);
        assert_eq!(field.value_at(at(1_500)), None);
        assert_eq!(field.value_at(at(2_500)), whole.value);
    }

    fn timer(count: u128) -> Reading {
        let (min, max, last) = (None, None, None);
        Reading::consistent(OwnedValue::Timer(TimerValue { count, sum: count, min, max, last }))
    }

    #[test]
    fn rate_of_counts_divides_by_the_time_between_looks() {
        let mut field = field(&timer(0));
        let at = Moment::from_milliseconds;
        // 10 for each second, looked at every five seconds or later, and at last idle.
        for (time, count) in [(0, 0), (5_000, 50), (10_100, 101), (15_000, 150), (20_000, 150)] {
            field.record(at(time), &timer(count), true);
        }
        let second = Duration::from_secs(1);
        assert_eq!(field.rate(at(5_500), second), Some(10.0));
        assert_eq!(field.rate(at(9_000), second), Some(10.0));
        assert_eq!(field.rate(at(10_200), second), Some(51.0 / 5.1));
        assert_eq!(field.rate(at(10_200), Duration::from_secs(8)), Some(101.0 / 10.1));
        assert_eq!(field.rate(at(20_000), second), Some(0.0));
    }

    #[test]
    fn field_that_ended_has_no_value_afterwards() {
        let text = |text: &str| {
            Reading::consistent(OwnedValue::Text { text: text.to_owned(), cut: false })
        };
        let at = Moment::from_milliseconds;
        for reading in [Reading::consistent(OwnedValue::Unsigned(7)), text("busy"), timer(3)] {
            let mut field = field(&reading);
            field.record(at(0), &reading, true);
            field.end(at(1_000));
            field.end(at(2_000));
            assert_eq!(field.value_at(at(500)), reading.value);
            assert_eq!(field.value_at(at(2_500)), None, "{reading:?}");
            assert!(!field.present);
            field.record(at(3_000), &reading, true);
            assert_eq!(field.value_at(at(3_500)), reading.value);
            assert_eq!(field.kept_since(), Some(at(0)));
        }
    }

    #[test]
    fn rate_between_lanes_of_a_list_is_none() {
        use mmstats_observe::{EachValue, Origin, Verdict};
        let listed = |lane, n| {
            let origin = Origin { file: 0, pid: Some(7), part: 0, lane: Some(lane) };
            let (value, verdict) = (Some(OwnedValue::Unsigned(n)), Verdict::Consistent);
            Reading::consistent(OwnedValue::Each(vec![EachValue { origin, value, verdict }]))
        };
        let at = Moment::from_milliseconds;
        let mut field = field(&listed(2, 5));
        for (time, lane, n) in [(0, 2, 5), (1_000, 2, 9), (2_000, 3, 900), (3_000, 3, 907)] {
            field.record(at(time), &listed(lane, n), true);
        }
        let second = Duration::from_secs(1);
        let rates = [1_000, 2_000, 3_000].map(|time| field.rate(at(time), second));
        assert_eq!(rates, [Some(4.0), None, None]);
        field.record(at(4_000), &listed(3, 911), true);
        assert_eq!(field.rate(at(4_000), second), Some(4.0));
    }
}
