//! What the values of a field mean beyond their type: FORMAT.md sections 4.2 to 4.6.

use std::sync::Arc;

use mmstats_core::Kind;
use mmstats_core::merge::{AverageValue, TimerValue};
use mmstats_core::read::Value;

use crate::field::FieldRef;
use crate::histogram::HistogramValue;
use crate::value::OwnedValue;

/// In which of its states a field is, or how often it is in each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateValue {
    /// The names of the states, by number.
    pub names: Arc<[String]>,
    /// How many lanes are in each.
    pub counts: Vec<u64>,
}

impl StateValue {
    /// The name of the one state, if all that have one are in the same.
    #[must_use]
    pub fn only(&self) -> Option<&str> {
        let mut all = self.iter();
        all.next().filter(|_| all.next().is_none()).map(|(name, _)| name)
    }

    /// The states that somebody is in, and how many.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        let all = self.names.iter().map(String::as_str).zip(self.counts.iter().copied());
        all.filter(|(_, count)| *count != 0)
    }
}

/// What the values of a field are made into.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Meaning {
    /// What their type says.
    Plain,
    Timer,
    Average,
    Window,
    Histogram,
    /// With the names.
    State(Arc<[String]>),
}

impl Meaning {
    pub(crate) fn of(field: &FieldRef<'_>) -> Self {
        match field.kind() {
            Some(Kind::Timer) => Self::Timer,
            Some(Kind::Average) => Self::Average,
            Some(Kind::Window) => Self::Window,
            Some(Kind::Histogram) => Self::Histogram,
            Some(Kind::State) => Self::State(field.details().map(str::to_owned).collect()),
            _ => Self::Plain,
        }
    }

    /// A value of the reader's own.
    pub(crate) fn owned(&self, value: Value<'_>) -> OwnedValue {
        match (self, value) {
            (Self::Timer, Value::Array(array)) => {
                TimerValue::from_array(&array).map_or_else(|| value.into(), OwnedValue::Timer)
            }
            (Self::Average, Value::Array(array)) => {
                OwnedValue::Average(AverageValue::from_array(&array))
            }
            (Self::State(names), Value::U64(n)) => OwnedValue::State(state(names, n)),
            (_, other) => other.into(),
        }
    }
}

/// One lane's state.
pub(crate) fn state(names: &Arc<[String]>, number: u64) -> StateValue {
    let mut counts = vec![0; names.len()];
    // The reader checked that there is such a state.
    if let Some(count) = usize::try_from(number).ok().and_then(|n| counts.get_mut(n)) {
        *count = 1;
    }
    StateValue { names: Arc::clone(names), counts }
}

impl From<mmstats_core::read::Histogram<'_>> for OwnedValue {
    fn from(found: mmstats_core::read::Histogram<'_>) -> Self {
        Self::Histogram(Box::new(HistogramValue::of(&found)))
    }
}

impl From<mmstats_core::read::WindowSum> for OwnedValue {
    fn from(sum: mmstats_core::read::WindowSum) -> Self {
        Self::Window(sum.into())
    }
}
