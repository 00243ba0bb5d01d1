//! A field as lines.

use std::time::SystemTime;

use anstyle::Style;
use mmstats_observe::{Level, OwnedValue, Verdict};

use crate::model::row::Row;
use crate::output::{Line, NO_BREAK, style};
use crate::text::{escape, time};
use crate::value::{
    Moment, activity_rows, buckets, is_number, moment, running, shows_unit, to_human, to_plain,
};

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

/// Spaces before a field, and before the lines that continue it.
const INDENT: usize = 2;
const HANG: usize = 6;
/// Spaces between name and value.
const GAP: usize = 2;

/// Widths that the fields of a block share: of a family, or of fields between families.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns {
    label: usize,
    number: usize,
    /// Width of the screen.
    width: usize,
    /// Ages are the time up to now.
    now: SystemTime,
}

impl Columns {
    const MAX_NUMBER: usize = 20;

    pub(super) fn new(rows: &[&Row], width: usize, now: SystemTime) -> Self {
        let numbers = rows.iter().filter_map(|row| number(row)).map(|number| number.len());
        let number = numbers.max().unwrap_or(0).min(Self::MAX_NUMBER);
        let narrow = Self { label: 0, number, width, now };
        let names = || rows.iter().map(|row| escape::width(&name(row)));
        let values = rows.iter().map(|row| value(row, narrow).width());
        let (name, value) = (names().max().unwrap_or(0), values.max().unwrap_or(0));
        // Names that leave no room for the values are longer than their column.
        let room = width.saturating_sub(INDENT + GAP + value.min(width / 2));
        let label =
            if name <= room { name } else { names().filter(|n| *n <= room).max().unwrap_or(0) };
        Self { label, ..narrow }
    }
}

/// The rows in blocks.
pub(super) fn blocks<'r>(rows: &[&'r Row]) -> Vec<Vec<&'r Row>> {
    let mut blocks: Vec<(bool, Vec<&Row>)> = Vec::new();
    for family in rows.chunk_by(|a, b| a.field.label == b.field.label && !a.field.label.is_empty())
    {
        let is_family = family.len() > 1 && !family[0].field.attributes.is_empty();
        match blocks.last_mut() {
            Some((false, block)) if !is_family => block.extend(family),
            _ => blocks.push((is_family, family.to_vec())),
        }
    }
    blocks.into_iter().map(|(_, block)| block).collect()
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

/// A name on lines of at most `width` columns, broken behind these characters outside quotes.
pub(super) fn wrapped_name(name: &str, behind: &[char], width: usize, hang: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = " ".repeat(INDENT);
    let (mut has_word, mut quoted, mut rest) = (false, false, name);
    while !rest.is_empty() {
        let end = rest.char_indices().find(|(_, c)| {
            quoted ^= *c == '"';
            !quoted && behind.contains(c)
        });
        let (word, after) = rest.split_at(end.map_or(rest.len(), |(at, c)| at + c.len_utf8()));
        if has_word && escape::width(&line) + escape::width(word) > width {
            lines.push(std::mem::replace(&mut line, " ".repeat(hang)));
        }
        line.push_str(word);
        (has_word, rest) = (true, after);
    }
    lines.push(line);
    lines
}

/// The lines of one field. Nothing is cut, and no word is broken.
pub(super) fn field(row: &Row, columns: Columns, verbose: bool) -> Vec<Line> {
    let name = name(row);
    let value = value(row, columns);
    let (width, own) = (columns.width, escape::width(&name));
    let mut lines = Vec::new();
    let mut line = Line::new();
    line.plain(" ".repeat(INDENT));
    line.push(if verbose { style::BOLD } else { Style::new() }, name.clone());
    let start = INDENT + columns.label + GAP;
    if own <= columns.label && start + value.width() <= width {
        line.pad_to(start);
        line.append(value);
        lines.push(line);
    } else if INDENT + own + GAP + value.trimmed().width() <= width {
        line.pad_to(INDENT + own + GAP);
        line.append(value.trimmed());
        lines.push(line);
    } else if own <= columns.label
        && width.saturating_sub(start) >= MIN_VALUE.max(value.longest_word())
    {
        // The rest of the value, in its own column.
        line.pad_to(start);
        line.append(value.trimmed());
        lines.extend(wrapped_from(&line, width, start));
    } else {
        let mut names = wrapped_name(&name, &['.', ',', '{'], width, HANG);
        let mut line = Line::new();
        let last = names.last().map_or(0, |name| escape::width(name));
        if last + GAP + value.trimmed().width() <= width {
            line.plain(names.pop().unwrap_or_default());
            line.plain(" ".repeat(GAP));
        } else {
            line.plain(" ".repeat(HANG));
        }
        lines.extend(names.into_iter().map(|name| Line::styled(Style::new(), name)));
        line.append(value.trimmed());
        lines.extend(line.wrapped(width, HANG));
    }
    lines.iter_mut().for_each(Line::release);
    if let Some(OwnedValue::Activity(value)) = &row.value {
        for text in activity_rows(value, columns.now) {
            let mut line = Line::new();
            line.plain(" ".repeat(HANG));
            line.plain(text);
            lines.extend(line.wrapped(width, HANG + GAP));
        }
    }
    if !verbose {
        return lines;
    }
    let mut remark = |text: String| lines.extend(Line::remark(HANG, text).wrapped(width, HANG));
    remark(description(row));
    if let Some(OwnedValue::Histogram(value)) = &row.value
        && let Some(buckets) = buckets(value, &row.field.unit)
    {
        remark(buckets);
    }
    for text in row.field.help.lines().filter(|text| !text.trim().is_empty()) {
        remark(escape::text(text.trim()).into_owned());
    }
    lines
}

/// The text with spaces that are no place for a line end, inside `p99 1.2 ms`; breaks are behind commas
/// and at wider spaces.
pub(crate) fn held_together(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let holds = c == ' ' && !matches!(before, ',' | ' ') && chars.peek() != Some(&' ');
        out.push(if holds { NO_BREAK } else { c });
        before = c;
    }
    out
}

/// Minimum width of a value that is broken into lines beside its name.
const MIN_VALUE: usize = 24;

/// A line whose value, from column `start` on, is broken at spaces.
fn wrapped_from(line: &Line, width: usize, start: usize) -> Vec<Line> {
    let (mut head, value) = line.split_at(start);
    let mut lines = value.wrapped(width - start, 0).into_iter();
    if let Some(first) = lines.next() {
        head.append(first);
    }
    let indented = lines.map(|line| {
        let mut indented = Line::new();
        indented.plain(" ".repeat(start));
        indented.append(line);
        indented
    });
    std::iter::once(head).chain(indented).collect()
}

/// The value, its unit and its verdict; a number aligned at the right of its column.
fn value(row: &Row, columns: Columns) -> Line {
    let mut line = Line::new();
    let unit = escape::text(&row.field.unit);
    match (&row.value, number(row)) {
        (Some(value), Some(number)) => {
            line.plain(format!("{number:>width$}", width = columns.number));
            let is_finite = value.as_f64().is_some_and(f64::is_finite);
            if !unit.is_empty() && is_finite && !shows_unit(value, &row.field.unit) {
                line.push(style::DIM, format!(" {unit}"));
            }
        }
        (Some(value), None) => {
            let text = moment_text(row, columns.now)
                .or_else(|| creation_time(row))
                .or_else(|| running(value, columns.now));
            let text = text.unwrap_or_else(|| to_human(value, &row.field.unit));
            let is_text = matches!(value, OwnedValue::Text { .. });
            line.plain(if is_text { text } else { held_together(&text) });
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
    line
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

    fn shown(rows: &[Row], width: usize) -> Vec<String> {
        let blocks = blocks(&rows.iter().collect::<Vec<_>>());
        let lines = blocks.iter().flat_map(|block| {
            let columns = Columns::new(block, width, NOW);
            block.iter().flat_map(move |row| field(row, columns, false)).collect::<Vec<_>>()
        });
        text(&lines.collect::<Vec<_>>())
    }

    #[test]
    fn field_breaks_names_between_words_only() {
        let series = |code: &str| {
            Row::for_test("http.requests.by.route.and.code", "", Some(OwnedValue::Unsigned(7)))
                .with_field(|field| {
                    field.attributes = format!("route=/users/{{id}}/a.b,c\0code={code}").into();
                })
        };
        let rows = [
            series("200"),
            series("500"),
            Row::for_test("short", "", Some(OwnedValue::Unsigned(1))),
        ];
        let name = "http.requests.by.route.and.code{route=\"/users/{id}/a.b,c\",code=";
        let wide = [format!("  {name}\"200\"}}  7"), format!("  {name}\"500\"}}  7")];
        for width in [200, 80] {
            let found = shown(&rows, width);
            assert_eq!(found[..2], wide, "{width}");
            assert_eq!(found[2..], ["  short  1"]);
        }
        assert_eq!(
            shown(&rows[..1], 40),
            [
                "  http.requests.by.route.and.code{",
                "      route=\"/users/{id}/a.b,c\",",
                "      code=\"200\"}  7",
            ]
        );
    }

    #[test]
    fn field_breaks_values_at_spaces_and_cuts_none() {
        let ends = (Some(1_000_000), Some(2_000_000));
        let busy = OwnedValue::Timer(mmstats_observe::TimerValue {
            count: 2,
            sum: 3_000_000,
            min: ends.0,
            max: ends.1,
            last: ends.1,
        });
        let row = Row::for_test("index.build", "", Some(busy));
        let line = "  index.build  2 × 1.50 ms  (min 1.00 ms, max 2.00 ms, last 2.00 ms)";
        assert_eq!(shown(std::slice::from_ref(&row), 80), [line]);
        assert_eq!(
            shown(std::slice::from_ref(&row), 40),
            [
                "  index.build  2 × 1.50 ms",
                "               (min 1.00 ms,",
                "               max 2.00 ms,",
                "               last 2.00 ms)",
            ]
        );
        let hash = "f".repeat(70);
        let row =
            Row::for_test("hash", "", Some(OwnedValue::Text { text: hash.clone(), cut: false }));
        assert_eq!(shown(&[row], 40), ["  hash".to_owned(), format!("      \"{hash}\"")]);
    }

    #[test]
    fn value_that_is_no_number_has_no_unit() {
        let row = Row::for_test("load", "percent", Some(OwnedValue::F64(f64::NAN)));
        assert_eq!(shown(&[row], 80), ["  load  NaN"]);
        let row = Row::for_test("load", "percent", Some(OwnedValue::F64(2.5)));
        assert_eq!(shown(&[row], 80), ["  load  2.5 percent"]);
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
        let columns = Columns::new(&rows.iter().collect::<Vec<_>>(), 99, NOW);
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
        let columns =
            Columns::new(&rows.iter().collect::<Vec<_>>(), 99, NOW + Duration::from_secs(60));
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
        let shown = |row: &Row| text(&field(row, Columns::new(&[row], 99, NOW), false)).remove(0);
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
        let columns = Columns::new(&[&sent], 99, NOW);
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
