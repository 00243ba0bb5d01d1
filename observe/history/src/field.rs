//! A field with its past.

use std::sync::Arc;
use std::time::Duration;

use mmstats_observe::{FieldInfo, Number, OwnedValue, Reading};

use crate::clock::Moment;
use crate::numbers::Numbers;
use crate::readings::{self, Readings};

/// Memory of a field besides its past and its texts: also its key, its place in the totals of the
/// looks, and what the allocator adds to each piece.
const FIELD: usize = size_of::<Field>() + size_of::<Numbers>() + 1_200;

/// Times the share of memory of a preferred or watched field, compared with others.
const PREFERRED: usize = 8;

/// A field with its last reading and its past.
#[derive(Debug)]
#[non_exhaustive]
pub struct Field {
    /// The description.
    pub info: Arc<FieldInfo>,
    /// The last reading.
    pub reading: Arc<Reading>,
    /// Whether the field is in the program's last look.
    pub present: bool,
    /// The first look that saw it.
    pub first: Moment,
    /// Whether its past is kept longest.
    pub preferred: bool,
    pub(crate) watched: bool,
    pub(crate) lanes: Vec<Lane>,
    past: Past,
}

/// The value of a field in one lane, with its past since the lanes of the field are watched.
#[derive(Debug)]
#[non_exhaustive]
pub struct Lane {
    /// Part of the program.
    pub part: u32,
    /// Number of the lane in the part.
    pub lane: u32,
    /// `sys.tid` of the thread that owns the lane, or owned it last.
    pub thread: Option<u64>,
    /// `sys.thread`: its name.
    pub name: Option<String>,
    /// The last reading.
    pub reading: Arc<Reading>,
    past: Past,
}

/// The past of a field.
#[derive(Debug)]
enum Past {
    Numbers(Box<Numbers>),
    Readings(Readings),
}

/// A reading of one lane, before it is recorded.
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
            Some(value) if number(value).is_none() => Self::Readings(Readings::default()),
            _ => Self::Numbers(Box::default()),
        }
    }

    /// Records a look; `last` is the last reading. Returns whether it is another one.
    fn record(&mut self, at: Moment, last: &mut Arc<Reading>, reading: &Reading) -> bool {
        let changed = **last != *reading;
        if changed {
            *last = Arc::new(reading.clone());
        }
        // A field without a value until now may turn out to be no number.
        if let (Self::Numbers(numbers), Some(value)) = (&*self, &last.value)
            && number(value).is_none()
            && numbers.bytes() == 0
        {
            *self = Self::Readings(Readings::default());
        }
        match self {
            Self::Numbers(numbers) => {
                let whole = last.value.as_ref().filter(|_| is_whole(last));
                numbers.record(at, whole.and_then(number));
            }
            Self::Readings(readings) => readings.record(at, last),
        }
        changed
    }

    /// The value at `at`, of the type of the last reading.
    fn at(&self, at: Moment, last: &Reading) -> Option<OwnedValue> {
        match self {
            Self::Numbers(numbers) => {
                let value = OwnedValue::from(numbers.at(at)?);
                #[allow(clippy::cast_possible_truncation)] // It was an f32.
                Some(match (last.value.as_ref().map(OwnedValue::only), value) {
                    (Some(OwnedValue::Bool(_)), OwnedValue::Unsigned(n @ 0..=1)) => {
                        OwnedValue::Bool(n == 1)
                    }
                    (Some(OwnedValue::F32(_)), OwnedValue::F64(x)) => OwnedValue::F32(x as f32),
                    (_, value) => value,
                })
            }
            Self::Readings(readings) => {
                readings.at(at).filter(|reading| is_whole(reading))?.value.clone()
            }
        }
    }

    fn rate(&self, at: Moment, window: Duration) -> Option<f64> {
        match self {
            Self::Numbers(numbers) => numbers.rate(at, window),
            Self::Readings(readings) => {
                let count = |at| {
                    let reading = readings.at(at).filter(|reading| is_whole(reading))?;
                    reading.value.as_ref().and_then(count)
                };
                let change = count(at)? - count(at.before(window))?;
                (!window.is_zero()).then(|| change / window.as_secs_f64())
            }
        }
    }

    fn changed(&self, at: Moment) -> Option<Moment> {
        match self {
            Self::Numbers(numbers) => numbers.changed(at),
            Self::Readings(readings) => readings.changed(at),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.bytes(),
            Self::Readings(readings) => readings.bytes(),
        }
    }

    fn shrink_to(&mut self, bytes: usize) {
        match self {
            Self::Numbers(numbers) => numbers.shrink_to(bytes),
            Self::Readings(readings) => readings.shrink_to(bytes),
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
            lanes: Vec::new(),
            past: Past::new(reading),
        }
    }

    /// The past of a field that is one number.
    #[must_use]
    pub fn numbers(&self) -> Option<&Numbers> {
        match &self.past {
            Past::Numbers(numbers) => Some(numbers),
            Past::Readings(_) => None,
        }
    }

    /// The past of any other field.
    #[must_use]
    pub const fn readings(&self) -> Option<&Readings> {
        match &self.past {
            Past::Readings(readings) => Some(readings),
            Past::Numbers(_) => None,
        }
    }

    /// The value found by the last look at or before `at`; `None` if it found none, or if a part of
    /// the value was missing then.
    #[must_use]
    pub fn value_at(&self, at: Moment) -> Option<OwnedValue> {
        self.past.at(at, &self.reading)
    }

    /// The mean change for each second of the `window` that ends at `at`: of a number, or of the count
    /// of a timer, histogram or average. `None` for others, and without both ends.
    #[must_use]
    pub fn rate(&self, at: Moment, window: Duration) -> Option<f64> {
        self.past.rate(at, window)
    }

    /// When the value last changed, at or before `at`; `None` if it did not in the kept past.
    #[must_use]
    pub fn changed(&self, at: Moment) -> Option<Moment> {
        self.past.changed(at)
    }

    /// The lanes of a field whose lanes are watched, by part and number.
    #[must_use]
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// Records a look. Returns whether the reading is another one.
    pub(crate) fn record(&mut self, at: Moment, reading: &Reading) -> bool {
        self.past.record(at, &mut self.reading, reading)
    }

    /// Records a look at all lanes.
    pub(crate) fn record_lanes(&mut self, at: Moment, readings: Vec<LaneReading>) {
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
                        past: Past::new(&new.reading),
                    };
                    self.lanes.insert(index, lane);
                    index
                }
            };
            if let Some(lane) = self.lanes.get_mut(index) {
                (lane.thread, lane.name) = (new.thread, new.name);
                lane.past.record(at, &mut lane.reading, &new.reading);
            }
        }
    }

    /// Records that the field has no value any more.
    pub(crate) fn end(&mut self, at: Moment) {
        self.present = false;
        if let Past::Numbers(numbers) = &mut self.past {
            numbers.record(at, None);
        }
    }

    /// Memory of the past, in bytes.
    pub(crate) fn past_bytes(&self) -> usize {
        self.past.bytes() + self.lanes.iter().map(|lane| lane.past.bytes()).sum::<usize>()
    }

    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        // Each lane has the same share as the sum.
        let each = bytes / (self.lanes.len() + 1);
        self.past.shrink_to(each);
        self.lanes.iter_mut().for_each(|lane| lane.past.shrink_to(each));
    }

    /// The share of memory, compared with other fields.
    pub(crate) const fn weight(&self) -> usize {
        if self.preferred || self.watched { PREFERRED } else { 1 }
    }

    /// Memory without the past, in bytes, nearly.
    pub(crate) fn fixed_bytes(&self) -> usize {
        let info = &self.info;
        // The key has label and unit again; help and attributes may be shared.
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
        self.past.rate(at, window)
    }

    /// As [`Field::changed`].
    #[must_use]
    pub fn changed(&self, at: Moment) -> Option<Moment> {
        self.past.changed(at)
    }

    /// The past of a lane whose value is one number.
    #[must_use]
    pub fn numbers(&self) -> Option<&Numbers> {
        match &self.past {
            Past::Numbers(numbers) => Some(numbers),
            Past::Readings(_) => None,
        }
    }
}

/// Whether the value lacks no part: a sum without a lane that could not be read is no sum.
fn is_whole(reading: &Reading) -> bool {
    let listed = matches!(reading.value, Some(OwnedValue::Each(_)));
    listed || (reading.tally.contended == 0 && reading.tally.damaged == 0)
}

/// How many values a value combines: see [`Field::rate`].
#[allow(clippy::cast_precision_loss)] // The nearest float.
fn count(value: &OwnedValue) -> Option<f64> {
    match value.only() {
        OwnedValue::Timer(timer) => Some(timer.count as f64),
        OwnedValue::Histogram(histogram) => Some(histogram.count() as f64),
        OwnedValue::Average(average) => Some(average.count),
        _ => None,
    }
}

/// The number of a value that is one, or a list of one.
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
    use mmstats_observe::{Aggregation, DataType, Kind, Properties};

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
        field.record(at(0), &whole);
        field.record(at(1_000), &partial);
        field.record(at(2_000), &whole);
        assert_eq!(field.value_at(at(500)), whole.value);
        assert_eq!(field.value_at(at(1_500)), None);
        assert_eq!(field.value_at(at(2_500)), whole.value);
    }
}
