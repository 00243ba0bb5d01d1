//! The fields of the demo at one time.

use std::time::Instant;

use mmstats_observe::{Kind, Verdict};

use crate::model::row::Row;

/// All rows at one time.
pub(super) struct Snapshot {
    pub(super) at: Instant,
    pub(super) rows: Vec<Row>,
}

impl Snapshot {
    /// Increase of a counter or timer since `previous`, per second.
    pub(super) fn rate(&self, row: &Row, previous: &Self) -> Option<f64> {
        if !matches!(row.field.properties.kind(), Some(Kind::Counter | Kind::Timer)) {
            return None;
        }
        let is_same = |old: &&Row| {
            let names = old.field.label == row.field.label && old.lane == row.lane;
            names && old.field.key() == row.field.key()
        };
        let old = previous.rows.iter().find(is_same)?;
        if old.verdict != Verdict::Consistent || row.verdict != Verdict::Consistent {
            return None;
        }
        let gain = row.value.as_ref()?.since(old.value.as_ref()?)?.counted()?;
        let span = self.at.duration_since(previous.at).as_secs_f64();
        (span > 0.0).then(|| gain / span)
    }
}
