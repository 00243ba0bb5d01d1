//! A field as lines.

use std::time::SystemTime;

use anstyle::Style;
use mmstats_observe::{Level, OwnedValue, Verdict};

use crate::model::row::Row;
use crate::output::{Line, style};
use crate::text::{escape, time};
use crate::value::{Moment, buckets, is_number, moment, shows_unit, to_human, to_plain};

/// `requests{code="200"}[3]`: with attributes, and the lane if the value is of one. Behind the
/// name of fields that share it stands what tells them apart: `lag (seconds)`.
pub(crate) fn name(row: &Row) -> String {
    let mut name = match row.field.label.as_str() {
        "" => "(damaged field)".to_owned(),
        label => escape::text(label).into_owned(),
    };
    let items = row.field.attributes();
    let items = items
        .map(|(key, value)| format!("{key}=\"{}\"", escape::text(value).replace('"', "\\\"")))
        .collect::<Vec<_>>();
    if !items.is_empty() {
        name.push_str(&format!("{{{}}}", items.join(",")));
    }
    if !row.qualifier.words.is_empty() {
        name.push_str(&format!(" ({})", escape::text(&row.qualifier.words.join(", "))));
    }
    match row.lane {
        None => {}
        Some((0, lane)) => name.push_str(&format!("[{lane}]")),
        Some((part, lane)) => name.push_str(&format!("[{part}.{lane}]")),
    }
    name
}

/// Widths that all fields of a program share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns {
    label: usize,
    number: usize,
    /// Ages are the time up to now.
    now: SystemTime,
}

impl Columns {
    const MAX_LABEL: usize = 36;
    /// Width of a name that stands on a line of its own.
    const MAX_NAME: usize = 58;
    const MAX_NUMBER: usize = 20;

    pub(super) fn new(rows: &[&Row], now: SystemTime) -> Self {
        // Longer names stand on lines of their own.
        let labels = rows.iter().map(|row| escape::width(&name(row)));
        let labels = labels.filter(|width| *width <= Self::MAX_LABEL);
        let numbers = rows.iter().filter_map(|row| number(row)).map(|number| number.len());
        Self {
            label: labels.max().unwrap_or(0),
            number: numbers.max().unwrap_or(0).min(Self::MAX_NUMBER),
            now,
        }
    }
}

/// A value that is aligned at the right; `None` for texts, times and the like.
fn number(row: &Row) -> Option<String> {
    let value = row.value.as_ref().filter(|value| is_number(value))?;
    if creation_time(row).is_some() || moment(&row.field, value).is_some() {
        return None;
    }
    Some(if row.is_standard() {
        // Ids are not grouped.
        to_plain(value)
    } else {
        to_human(value, &row.field.unit)
    })
}

/// The local time of `sys.created`, which has seconds since 1970.
fn creation_time(row: &Row) -> Option<String> {
    if row.field.label != "sys.created" && !row.field.label.ends_with(".sys.created") {
        return None;
    }
    let seconds = row.value.as_ref()?.as_f64().filter(|s| (1e6..1e11).contains(s))?;
    #[allow(clippy::cast_possible_truncation)] // In range; the fraction is not shown.
    time::date(i128::from(seconds as i64) * 1_000_000_000)
}

/// The moment that a value stands for, as text.
fn moment_text(row: &Row, now: SystemTime) -> Option<String> {
    match moment(&row.field, row.value.as_ref()?)? {
        Moment::Timestamp(at) => Some(time::ago(at, now)),
        Moment::Epoch(at) => time::date(at),
    }
}

/// A long name on lines of its own.
fn wrapped_name(name: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut line = "  ".to_owned();
    for c in name.chars() {
        if escape::width(&line) >= Columns::MAX_NAME {
            let full = std::mem::replace(&mut line, "      ".to_owned());
            lines.push(Line::styled(Style::new(), full));
        }
        line.push(c);
    }
    lines.push(Line::styled(Style::new(), line));
    lines
}

/// The lines of one field.
pub(super) fn field(row: &Row, columns: Columns, verbose: bool) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut line = Line::new();
    line.plain("  ");
    let name = name(row);
    if verbose {
        line.push(style::BOLD, name);
    } else if escape::width(&name) <= columns.label {
        line.plain(name);
    } else {
        // Never cut: two series could look alike.
        lines.extend(wrapped_name(&name));
        line = Line::new();
    }
    line.pad_to(2 + columns.label);
    line.plain("  ");
    push_value(&mut line, row, columns);
    lines.push(line);
    if !verbose {
        return lines;
    }
    lines.push(Line::remark(6, description(row)));
    if let Some(OwnedValue::Histogram(value)) = &row.value
        && let Some(buckets) = buckets(value, &row.field.unit)
    {
        lines.push(Line::remark(6, buckets));
    }
    for text in row.field.help.lines().filter(|text| !text.trim().is_empty()) {
        lines.push(Line::remark(6, escape::text(text.trim())));
    }
    lines
}

fn push_value(line: &mut Line, row: &Row, columns: Columns) {
    let unit = escape::text(&row.field.unit);
    match (&row.value, number(row)) {
        (Some(value), Some(number)) => {
            line.plain(format!("{number:>width$}", width = columns.number));
            if !unit.is_empty() && !shows_unit(value, &row.field.unit) {
                line.push(style::DIM, format!(" {unit}"));
            }
        }
        (Some(value), None) => {
            let text = moment_text(row, columns.now).or_else(|| creation_time(row));
            line.plain(text.unwrap_or_else(|| to_human(value, &row.field.unit)));
        }
        (None, _) => {
            line.push(style::DIM, format!("{:>width$}", "-", width = columns.number.max(1)));
        }
    }
    match row.verdict {
        Verdict::Consistent => {}
        Verdict::Absent => line.push(style::DIM, " no value"),
        Verdict::Damaged(damage) => {
            line.push(style::BAD, format!(" damaged: {} at byte {}", damage.code, damage.offset));
        }
        other => line.push(style::ODD, format!(" {}", other.name())),
    }
}

/// `u64 counter, in bytes, lanes: sum; exactly 809074688`.
fn description(row: &Row) -> String {
    let (field, kind) = (&*row.field, row.field.kind_name());
    let mut text = format!("{} {kind}", field.shape());
    if field.properties.level() != Level::Info {
        text.push_str(&format!(", for {}", field.properties.level().name()));
    }
    if !field.unit.is_empty() {
        text.push_str(&format!(", in {}", escape::text(&field.unit)));
    }
    if kind != "info" && kind != "untyped" {
        text.push_str(&format!(", lanes: {}", field.properties.aggregation()));
    }
    if let Some(value) = row.value.as_ref() {
        let exact = to_plain(value);
        let shown = number(row).map(|number| number.replace(',', ""));
        if let Some(Moment::Timestamp(at)) = moment(field, value) {
            let local = time::local(at, "%Y-%m-%d %H:%M:%S.%3f %Z; ").unwrap_or_default();
            text.push_str(&format!("; {local}exactly {exact}"));
        } else if is_number(value) && shown.as_ref() != Some(&exact) {
            text.push_str(&format!("; exactly {exact}"));
        } else if matches!(kind, "timer" | "histogram" | "average" | "window") {
            text.push_str(&format!("; {exact}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mmstats_observe::Kind;

    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn text(lines: &[Line]) -> Vec<String> {
        lines.iter().map(|line| line.unstyled(usize::MAX)).collect()
    }

    #[test]
    fn field_wraps_long_names() {
        let series = |code: &str| {
            Row::for_test("http.requests.by.route.and.code", "", Some(OwnedValue::Unsigned(7)))
                .with_field(|field| {
                    field.attributes =
                        format!("route=/users/{{id}}/orders/{{order}}\0code={code}").into();
                })
        };
        let rows = [
            series("200"),
            series("500"),
            Row::for_test("short", "", Some(OwnedValue::Unsigned(1))),
        ];
        let columns = Columns::new(&rows.iter().collect::<Vec<_>>(), NOW);
        let lines: Vec<Line> = rows.iter().flat_map(|row| field(row, columns, false)).collect();
        assert_eq!(
            text(&lines),
            [
                "  http.requests.by.route.and.code{route=\"/users/{id}/order",
                "      s/{order}\",code=\"200\"}",
                "         7",
                "  http.requests.by.route.and.code{route=\"/users/{id}/order",
                "      s/{order}\",code=\"500\"}",
                "         7",
                "  short  1",
            ]
        );
    }

    #[test]
    fn field_aligns_numbers_right() {
        let rows = [
            Row::for_test("requests", "", Some(OwnedValue::Unsigned(1_234_567))),
            Row::for_test("sent", "bytes", Some(OwnedValue::Unsigned(1_300_000))),
            Row::for_test("weight", "grams", Some(OwnedValue::F64(0.5))),
            Row::for_test(
                "doing",
                "",
                Some(OwnedValue::Text { text: "x\u{1b}[2J".into(), cut: false }),
            ),
            Row::for_test("nothing", "", None),
        ];
        let columns = Columns::new(&rows.iter().collect::<Vec<_>>(), NOW);
        let lines: Vec<Line> = rows.iter().flat_map(|row| field(row, columns, false)).collect();
        assert_eq!(
            text(&lines),
            [
                "  requests  1,234,567",
                "  sent       1.24 MiB",
                "  weight          0.5 grams",
                "  doing     \"x\\u{1b}[2J\"",
                "  nothing           - no value",
            ]
        );
    }

    #[test]
    fn field_shows_timestamps_as_ages() {
        let minute = 60 * 1_000_000_000;
        let of = |n: u128| {
            Row::for_test("reloaded", "nanoseconds", Some(OwnedValue::Unsigned(n)))
                .with_field(|field| field.properties = field.properties.with_kind(Kind::Timestamp))
        };
        let rows = [of(0), of(minute * 3), of(u64::MAX.into())];
        let columns = Columns::new(&rows.iter().collect::<Vec<_>>(), NOW + Duration::from_secs(60));
        let lines: Vec<Line> = rows.iter().flat_map(|row| field(row, columns, false)).collect();
        let want = ["  reloaded  1m 00s ago", "  reloaded  in 2m 00s"];
        assert_eq!(text(&lines)[..2], want);
        let verbose = &text(&field(&rows[1], columns, true))[1];
        assert!(
            verbose.contains("1970") && verbose.ends_with("; exactly 180000000000"),
            "{verbose}"
        );
    }

    /// As a duration the moment would be 20,786 days.
    #[test]
    fn field_shows_seconds_since_1970_as_date() {
        let of = |unit: &str, value| {
            let row = Row::for_test("started", unit, Some(value));
            row.with_field(|field| field.properties = field.properties.with_kind(Kind::Gauge))
        };
        let shown = |row: &Row| text(&field(row, Columns::new(&[row], NOW), false)).remove(0);
        for row in [
            of("seconds", OwnedValue::F64(1_795_963_609.5)),
            of("milliseconds", OwnedValue::Unsigned(1_795_963_609_500)),
            of("nanoseconds", OwnedValue::Signed(1_795_963_609_500_000_000)),
        ] {
            assert!(shown(&row).starts_with("  started  2026-11-"), "{}", shown(&row));
        }
        assert_eq!(shown(&of("seconds", OwnedValue::Unsigned(86_400))), "  started  1d 0h");
        assert!(!shown(&of("bytes", OwnedValue::Unsigned(1_795_963_609))).contains("2026"));
        let counter = Row::for_test("busy", "seconds", Some(OwnedValue::Unsigned(1_795_963_609)));
        assert!(!shown(&counter).contains("2026"), "a counter is no moment");
    }

    #[test]
    fn verbose_field_has_type_help_and_exact_value() {
        let sent = Row::for_test("sent", "bytes", Some(OwnedValue::Unsigned(1_300_000)));
        let columns = Columns::new(&[&sent], NOW);
        assert_eq!(
            text(&field(&sent, columns, true)),
            [
                "  sent  1.24 MiB",
                "      u64 counter, in bytes, lanes: sum; exactly 1300000",
                "      Line one.",
                "      Line\\u{1b} two.",
            ]
        );
    }

    #[test]
    fn name_has_attributes_and_lane() {
        let mut row = Row::for_test("requests", "", None);
        row = row.with_field(|field| field.attributes = "code=2\"00\u{1b}".into());
        row.lane = Some((0, 3));
        assert_eq!(name(&row), "requests{code=\"2\\\"00\\u{1b}\"}[3]");
        row.lane = Some((1, 3));
        row = row.with_field(|field| field.attributes = "".into());
        assert_eq!(name(&row), "requests[1.3]");
    }

    #[test]
    fn creation_time_refuses_absurd_values() {
        let created = Row::for_test("sys.created", "", Some(OwnedValue::F64(1_322_000_000.25)));
        assert!(creation_time(&created).unwrap().starts_with("2011-11-2"));
        for bad in [f64::NAN, -5.0, 1e300] {
            assert_eq!(
                creation_time(&Row::for_test("sys.created", "", Some(OwnedValue::F64(bad)))),
                None
            );
        }
        assert_eq!(creation_time(&Row::for_test("requests", "", Some(OwnedValue::F64(1e9)))), None);
    }
}
