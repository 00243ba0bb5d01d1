//! Context of a panic: activities and texts of the thread.

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

/// Maximum number of lines of a panic. They push older panics out of the field.
const LINES: usize = 4;

/// Activities that have rows.
#[derive(Default)]
struct Activities {
    /// Number of all.
    count: usize,
    /// Lines of those that began last, with the times of their newest rows.
    newest: Vec<(u64, String)>,
}

impl Activities {
    /// Adds the line of an activity whose newest row began at `begun`, if it is one of the last [`LINES`].
    fn add(&mut self, begun: u64, line: impl FnOnce() -> String) {
        self.count += 1;
        if self.newest.len() >= LINES {
            if self.newest.iter().all(|(other, _)| *other > begun) {
                return;
            }
            self.keep(LINES - 1);
        }
        self.newest.push((begun, line()));
    }

    /// Drops the lines of the oldest ones until there are at most `most`.
    fn keep(&mut self, most: usize) {
        while self.newest.len() > most {
            let begun = self.newest.iter().map(|(begun, _)| *begun).enumerate();
            let oldest = begun.min_by_key(|(_, begun)| *begun).map_or(0, |(at, _)| at);
            self.newest.remove(oldest);
        }
    }
}

/// A line for each activity of this thread that has rows, the newest row last, and one with its texts:
/// at most [`LINES`], of which the last one says how many activities are left out. They begin with
/// spaces, unlike the line of the panic. It takes no lock: the thread that panics may hold any.
pub(super) fn lines(files: u64, thread: &str, now: u64) -> Vec<String> {
    let mut activities = Activities::default();
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
                    if let Some(begun) = rows.iter().map(|row| row.since().unwrap_or(0)).max() {
                        activities.add(begun, || activity(region, &field, thread, now, rows));
                    }
                }
                Verdict::Consistent(Value::Text { text, .. }) if texts.len() <= LINE => {
                    add_text(&mut texts, region, &field, text);
                }
                _ => {}
            }
        }
    });
    let mut left = LINES - usize::from(!texts.is_empty());
    if activities.count > left {
        left -= 1; // For the line that says it.
    }
    activities.keep(left);
    let more = activities.count - activities.newest.len();
    let mut lines: Vec<_> = activities.newest.into_iter().map(|(_, line)| line).collect();
    if !texts.is_empty() {
        lines.push(format!("  thread '{thread}' had {texts}"));
    }
    if more > 0 {
        lines.push(format!("  thread '{thread}' in {more} more activities"));
    }
    lines
}

/// `  thread 'name' in label: older (2.0s) > newer (1.5ms)`; of rows that do not fit, the newest.
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
    let mut line = format!("  thread '{thread}' in {label}: ");
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
