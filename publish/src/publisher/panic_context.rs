//! What a thread that panics is doing: its activities and its texts.

use std::fmt::Write;
use std::time::Duration;

use mmstats_core::Kind;
use mmstats_core::read::{Cursor, Field, Header, Lane, TableRow, Value, Verdict};
use mmstats_core::{DataType, Region};

use crate::claim::Keep;
use crate::thread::own;

/// Maximum length of a line in bytes: enough for location and message of most panics.
pub(super) const LINE: usize = 240;
/// Maximum number of fields of a file that are looked at.
const FIELDS: usize = 10_000;

/// Calls `record` with a line for each activity of this thread that has rows, the newest last, and one
/// with its texts. It takes no lock: the thread that panics may hold any.
pub(super) fn lines(files: u64, thread: &str, now: u64, mut record: impl FnMut(&str)) {
    let mut texts = String::new();
    let mut buffer = Vec::new();
    own::visit(files, |region, index| {
        let Ok(header) = Header::read(region) else { return };
        let Verdict::Consistent(lane) = Lane::open(region, &header, index) else { return };
        let mut cursor = Cursor::new();
        let fields = std::iter::from_fn(|| cursor.next(region, &header)).take(FIELDS);
        for field in fields.filter_map(|(_, field)| field.ok()) {
            let is_shown = match field.kind() {
                Some(Kind::Activity) => true,
                Some(Kind::Gauge) => field.ty() == Some(DataType::Text),
                _ => false,
            };
            if !is_shown || field.retired(region) {
                continue;
            }
            buffer.resize(field.buffer_size(), 0);
            match lane.read(region, &field, &mut buffer) {
                Verdict::Consistent(Value::Table(table)) => {
                    let rows = table.rows().filter_map(|(_, row)| match row {
                        Verdict::Consistent(row) => Some(row),
                        _ => None,
                    });
                    let rows: Vec<_> = rows.collect();
                    if !rows.is_empty() {
                        record(&activity(region, &field, thread, now, rows));
                    }
                }
                Verdict::Consistent(Value::Text { text, .. }) if texts.len() <= LINE => {
                    add_text(&mut texts, region, &field, text);
                }
                _ => {}
            }
        }
    });
    if !texts.is_empty() {
        record(&format!("thread '{thread}' had {texts}"));
    }
}

/// `thread 'name' in label: older (2.0s) > newer (1.5ms)`; of rows that do not fit, the newest.
fn activity(
    region: &Region<Keep>,
    field: &Field,
    thread: &str,
    now: u64,
    mut rows: Vec<TableRow<'_>>,
) -> String {
    rows.sort_by_key(TableRow::number);
    let mut label = [0; 255];
    let label = field.label().read(region, &mut label);
    let mut line = format!("thread '{thread}' in {label}: ");
    let mut left = LINE.saturating_sub(line.len() + "... > ".len());
    let mut shown = Vec::new();
    for row in rows.iter().rev() {
        let age = row.since().map(|since| Duration::from_nanos(now.saturating_sub(since)));
        let age = age.map_or(String::new(), |age| format!(" ({age:.1?})"));
        let text = format!("{}{age}", row.text());
        let size = text.len() + " > ".len();
        if size > left && !shown.is_empty() {
            break;
        }
        left = left.saturating_sub(size);
        shown.push(text);
    }
    if shown.len() < rows.len() {
        line.push_str("... > ");
    }
    shown.reverse();
    line.push_str(&shown.join(" > "));
    line
}

/// Appends `label="text"`.
fn add_text(texts: &mut String, region: &Region<Keep>, field: &Field, text: &str) {
    let mut label = [0; 255];
    let label = field.label().read(region, &mut label);
    let separator = if texts.is_empty() { "" } else { ", " };
    let _ = write!(texts, "{separator}{label}={text:?}");
}
