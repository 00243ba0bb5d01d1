//! From a value of the format to a value of the reader's own.

use std::sync::Arc;

use mmstats_core::Kind;
use mmstats_core::merge::{AverageValue, HistogramSummary, RunningValue, TimerValue};
use mmstats_core::read::{Value, Verdict as RawVerdict};

use crate::field::FieldRef;
use crate::field::pool::shared_items;
use crate::problem::Damage;
use crate::value::{ActivityValue, OwnedValue, Reading, StateValue, Verdict};

/// Damage of a value with NaN or infinity where no writer records it.
pub(super) const NOT_FINITE: Damage = Damage { code: "value-range", offset: 0 };

/// How the values of a field are decoded, by its kind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Decoder {
    /// By the type alone.
    Plain,
    Timer,
    Running,
    Average,
    Window,
    Histogram,
    /// With the names of the states.
    State(Arc<[String]>),
}

impl Decoder {
    pub(crate) fn new(field: &FieldRef<'_>) -> Self {
        match field.properties().kind() {
            Some(Kind::Timer) => Self::Timer,
            Some(Kind::Running) => Self::Running,
            Some(Kind::Average) => Self::Average,
            Some(Kind::Window) => Self::Window,
            Some(Kind::Histogram) => Self::Histogram,
            Some(Kind::State) => Self::State(shared_items(field.detail_text())),
            _ => Self::Plain,
        }
    }

    /// The value, copied.
    pub(crate) fn value(&self, raw: Value<'_>) -> OwnedValue {
        match (self, raw) {
            (Self::Timer, Value::Array(array)) => {
                TimerValue::from_array(&array).map_or_else(|| raw.into(), OwnedValue::Timer)
            }
            (Self::Average, Value::Array(array)) => {
                OwnedValue::Average(AverageValue::from_array(&array))
            }
            (Self::Running, Value::U64(word)) => OwnedValue::Running(RunningValue::from_word(word)),
            (Self::State(names), Value::U64(number)) => {
                let mut state = StateValue::new(names);
                state.count(number);
                OwnedValue::State(state)
            }
            (_, other) => other.into(),
        }
    }

    /// Whether no writer records this value: KINDS.md section 2.
    pub(crate) fn is_damaged(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::Average, Value::Array(array)) => AverageValue::from_array(array).is_damaged(),
            (_, Value::Window(window)) => AverageValue::from(*window).is_damaged(),
            (_, Value::Histogram(lane)) => HistogramSummary::from_lane(lane).is_damaged(),
            _ => false,
        }
    }

    /// A reading of one lane.
    pub(crate) fn reading(&self, raw: RawVerdict<Value<'_>>) -> Reading {
        match raw {
            RawVerdict::Consistent(value) if self.is_damaged(&value) => {
                Reading::none(Verdict::Damaged(NOT_FINITE))
            }
            RawVerdict::Consistent(value) => {
                let Value::Table(table) = &value else {
                    return Reading::consistent(self.value(value));
                };
                let (rows, damage) = ActivityValue::decode(table);
                let verdict = damage.map_or(Verdict::Consistent, Verdict::Damaged);
                // With damage too: the other rows are good.
                Reading { value: Some(OwnedValue::Activity(rows)), ..Reading::none(verdict) }
            }
            other => Reading::none(Verdict::from(&other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Tally;

    #[test]
    fn reading_without_value_is_tallied_by_verdict() {
        let damage = mmstats_core::read::ValueError::LaneState { offset: 7, found: 9 };
        let none = Tally::default();
        for (raw, verdict, tally) in [
            (RawVerdict::Absent, Verdict::Absent, Tally { absent: 1, ..none }),
            (RawVerdict::Contended, Verdict::Contended, Tally { contended: 1, ..none }),
            (
                RawVerdict::Damaged(damage),
                Verdict::Damaged(Damage { code: "lane-state", offset: 7 }),
                Tally { damaged: 1, ..none },
            ),
            (RawVerdict::Retired, Verdict::Retired, none),
            (RawVerdict::Unknown, Verdict::Unknown, none),
        ] {
            let wanted = Reading { value: None, verdict, tally };
            assert_eq!(Decoder::Plain.reading(raw), wanted);
        }
    }
}
