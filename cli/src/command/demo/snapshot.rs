//! The fields of the demo at one time.

use std::time::Instant;

use mmstats_observe::Kind;

use crate::model::progress::Progress;
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
        let old = previous.rows.iter().find(|old| series(old) == series(row))?;
        let before = Progress::from_value(old.value.as_ref()?)?;
        let (gain, _) = Progress::from_value(row.value.as_ref()?)?.gained(Some(&before))?;
        let span = self.at.duration_since(previous.at).as_secs_f64();
        (span > 0.0).then(|| gain / span)
    }
}

/// Identity of a row.
fn series(row: &Row) -> (&str, &str, Option<(u32, u32)>) {
    (&row.field.label, &row.field.attributes, row.lane)
}
