//! The fields of the demo at one time.

use std::time::Instant;

use mmstats_observe::OwnedValue;

use crate::model::progress::counter_gain;
use crate::model::row::Row;

/// All rows at one time.
pub(super) struct Snapshot {
    pub(super) at: Instant,
    pub(super) rows: Vec<Row>,
}

impl Snapshot {
    /// Increase of a counter or timer since `previous`, per second.
    pub(super) fn rate(&self, row: &Row, previous: &Self) -> Option<f64> {
        if !matches!(row.kind, "counter" | "timer") {
            return None;
        }
        let old = previous.rows.iter().find(|old| {
            (&old.label, &old.attributes, old.lane) == (&row.label, &row.attributes, row.lane)
        })?;
        let count = |value: &OwnedValue| match value {
            OwnedValue::Timer(timer) => OwnedValue::Unsigned(timer.count),
            other => other.clone(),
        };
        let gain = counter_gain(&count(old.value.as_ref()?), &count(row.value.as_ref()?))?;
        let span = self.at.duration_since(previous.at).as_secs_f64();
        (span > 0.0).then(|| gain / span)
    }
}
