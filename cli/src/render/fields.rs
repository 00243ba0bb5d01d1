//! A program's fields as lines.

use std::time::{Duration, SystemTime};

use mmstats_observe::{Level, OwnedValue, Program, State, Verdict};

use crate::output::{Line, style};
use crate::targets::age;
use crate::view::{Row, Section};
use crate::{escape, human, kinds, value};

/// `LABEL TAB VALUE TAB UNIT TAB PID TAB FILE`.
pub(crate) fn piped(program: &Program<'_>, row: &Row) -> String {
    let value = match &row.value {
        Some(value) => value::plain(value),
        None => "-".to_owned(),
    };
    let pid = program.identity().pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
    let path = program.files().first().map_or_else(String::new, |f| escape::path(f.path()));
    format!("{}\t{value}\t{}\t{pid}\t{path}", name(row), escape::text(&row.unit))
}

/// A header line and a line or more for each field; `verbose`: with help, types and exact
/// values.
pub(crate) fn section(section: &Section<'_>, verbose: bool, now: SystemTime) -> Vec<Line> {
    let program = section.program;
    let mut lines = vec![header(program, now)];
    let seen = |row: &&Row| verbose || row.verdict != Verdict::Retired;
    let shown: Vec<&Row> = section.rows.iter().filter(seen).collect();
    let columns = Columns::of(&shown, now);
    for row in &shown {
        lines.extend(field(row, columns, verbose));
    }
    lines.extend(more(section.hidden.iter().filter(seen)).map(remark));
    if section.rows.is_empty() && section.hidden.is_empty() {
        lines.push(remark("no fields".to_owned()));
    }
    let refused: u64 = program.files().iter().map(|file| u64::from(file.fields_refused())).sum();
    if refused > 0 {
        lines.push(remark(format!("{refused} fields found no room in the file")));
    }
    lines
}

/// How many fields are not shown, and what shows all of them.
fn more<'a>(hidden: impl Iterator<Item = &'a Row>) -> Option<String> {
    // A field that is not combined has a row for each lane, all with its attributes.
    let mut labels: Vec<_> = hidden.map(|row| (&row.label, &row.attributes, row.level)).collect();
    labels.sort_unstable_by_key(|(label, attributes, _)| (*label, *attributes));
    labels.dedup_by_key(|(label, attributes, _)| (*label, *attributes));
    // The standard ones of level info are hidden, too, but on level info alone.
    let most = labels.iter().map(|(.., level)| (*level).max(Level::Diagnostic)).max()?;
    let count = labels.len();
    Some(format!("{count} more field{}: --level {}", plural(count), most.name()))
}

const fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn remark(text: String) -> Line {
    let mut line = Line::new();
    line.plain("  ");
    line.push(style::DIM, text);
    line
}

/// `web  pid 1234  live  up 3m 12s  /path`.
pub(crate) fn header(program: &Program<'_>, now: SystemTime) -> Line {
    let identity = program.identity();
    let state = program.state();
    let mut line = Line::new();
    line.push(style::BOLD, escape::clip(&title(program), 40));
    if let Some(pid) = identity.pid {
        line.plain(format!("  pid {pid}"));
    }
    line.plain("  ");
    line.push(state_style(state), state.name());
    if let Some(age) = age(identity, now) {
        let word = if state == State::Live { "up" } else { "began" };
        let ago = if state == State::Live { "" } else { " ago" };
        line.plain(format!("  {word} {}{ago}", human::age(age)));
    }
    if let Some((first, more)) = program.files().split_first() {
        line.plain("  ");
        line.push(style::DIM, escape::path(first.path()));
        if !more.is_empty() {
            line.push(style::DIM, format!(" and {} more", more.len()));
        }
    }
    line
}

/// The command, or else the name of the file.
fn title(program: &Program<'_>) -> String {
    match (program.identity().command.as_deref(), program.files().first()) {
        (Some(command), _) if !command.is_empty() => escape::text(command).into_owned(),
        (_, Some(file)) => file.path().file_stem().map_or_else(|| "?".to_owned(), escape::os),
        _ => "?".to_owned(),
    }
}

pub(crate) const fn state_style(state: State) -> anstyle::Style {
    match state {
        State::Live => style::GOOD,
        State::Dead | State::Damaged => style::BAD,
        State::Closed => style::DIM,
        _ => style::ODD,
    }
}

/// `requests{code="200"}[3]`: with attributes, and the lane where the value is of one.
pub(crate) fn name(row: &Row) -> String {
    let mut name = match row.label.as_str() {
        "" => "(damaged field)".to_owned(),
        label => escape::text(label).into_owned(),
    };
    if !row.attributes.is_empty() {
        let items: Vec<String> = row
            .attributes
            .iter()
            .map(|(key, value)| format!("{key}=\"{}\"", escape::text(value).replace('"', "\\\"")))
            .collect();
        name.push_str(&format!("{{{}}}", items.join(",")));
    }
    match row.lane {
        None => {}
        Some((0, lane)) => name.push_str(&format!("[{lane}]")),
        Some((part, lane)) => name.push_str(&format!("[{part}.{lane}]")),
    }
    name
}

/// Where things stand, the same for all fields of a program.
#[derive(Debug, Clone, Copy)]
struct Columns {
    label: usize,
    number: usize,
    /// What ages are counted to.
    now: SystemTime,
}

impl Columns {
    const WIDEST_LABEL: usize = 36;
    /// Of a line of a name that has no room beside its value.
    const WIDEST_NAME: usize = 58;
    const WIDEST_NUMBER: usize = 20;

    fn of(rows: &[&Row], now: SystemTime) -> Self {
        let widest = |widths: &mut dyn Iterator<Item = usize>| widths.max().unwrap_or(0);
        Self {
            // Names that are too long have lines of their own.
            label: widest(
                &mut rows
                    .iter()
                    .map(|row| escape::width(&name(row)))
                    .filter(|width| *width <= Self::WIDEST_LABEL),
            ),
            number: widest(&mut rows.iter().filter_map(|row| number(row)).map(|n| n.len()))
                .min(Self::WIDEST_NUMBER),
            now,
        }
    }
}

/// The value as it stands at the right of its column; `None` for texts and the like.
fn number(row: &Row) -> Option<String> {
    let value = row.value.as_ref().filter(|value| value::is_number(value))?;
    if moment(row).is_some() || row.kind == TIMESTAMP {
        return None;
    }
    Some(if row.is_standard() {
        // Ids are names, not amounts.
        value::plain(value)
    } else {
        value::humane(value, &row.unit)
    })
}

/// Seconds since 1970 as a local time, for `sys.created`.
fn moment(row: &Row) -> Option<String> {
    if row.label != "sys.created" && !row.label.ends_with(".sys.created") {
        return None;
    }
    let seconds = row.value.as_ref()?.as_f64().filter(|s| (1e6..1e11).contains(s))?;
    #[allow(clippy::cast_possible_truncation)] // In range, and whole seconds will do.
    let moment = jiff::Timestamp::from_second(seconds as i64).ok()?;
    let local = moment.to_zoned(jiff::tz::TimeZone::system());
    Some(local.strftime("%Y-%m-%d %H:%M:%S %Z").to_string())
}

/// The name of the kind whose values are shown as ages.
const TIMESTAMP: &str = "timestamp";

/// Nanoseconds since 1970, of a timestamp.
fn timestamp(row: &Row) -> Option<i128> {
    match row.value.as_ref()? {
        OwnedValue::Unsigned(n) if row.kind == TIMESTAMP => i128::try_from(*n).ok(),
        OwnedValue::Signed(n) if row.kind == TIMESTAMP => Some(*n),
        _ => None,
    }
}

/// `3m 12s ago`, or `in 3m 12s`.
fn ago(nanoseconds: i128, now: SystemTime) -> String {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let past = i128::try_from(now.as_nanos()).unwrap_or(i128::MAX).saturating_sub(nanoseconds);
    let seconds = u64::try_from(past.unsigned_abs() / 1_000_000_000).unwrap_or(u64::MAX);
    let age = human::age(Duration::from_secs(seconds));
    if past >= 0 { format!("{age} ago") } else { format!("in {age}") }
}

/// The local time to the millisecond.
fn local(nanoseconds: i128) -> Option<String> {
    let local = jiff::Timestamp::from_nanosecond(nanoseconds).ok()?;
    let local = local.to_zoned(jiff::tz::TimeZone::system());
    Some(local.strftime("%Y-%m-%d %H:%M:%S.%3f %Z").to_string())
}

/// A name that is too long for its column, in pieces that fit everywhere.
fn wrapped(name: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut piece = String::new();
    for c in name.chars() {
        let indent = if lines.is_empty() { "  " } else { "      " };
        if indent.len() + escape::width(&piece) >= Columns::WIDEST_NAME {
            lines.push(plain_line(format!("{indent}{}", std::mem::take(&mut piece))));
        }
        piece.push(c);
    }
    let indent = if lines.is_empty() { "  " } else { "      " };
    lines.push(plain_line(format!("{indent}{piece}")));
    lines
}

fn plain_line(text: String) -> Line {
    let mut line = Line::new();
    line.plain(text);
    line
}

/// The lines of one field.
fn field(row: &Row, columns: Columns, verbose: bool) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut line = Line::new();
    line.plain("  ");
    let name = name(row);
    if verbose {
        line.push(style::BOLD, name);
    } else if escape::width(&name) <= columns.label {
        line.plain(name);
    } else {
        // Whole, on lines of its own: cut, two series could look alike.
        lines.extend(wrapped(&name));
        line = Line::new();
    }
    line.pad_to(2 + columns.label);
    line.plain("  ");
    push_value(&mut line, row, columns);
    lines.push(line);
    if !verbose {
        return lines;
    }
    let mut about = Line::new();
    about.plain("      ");
    about.push(style::DIM, describe(row));
    lines.push(about);
    if let Some(OwnedValue::Histogram(value)) = &row.value
        && let Some(buckets) = kinds::buckets(value, &row.unit)
    {
        let mut line = Line::new();
        line.plain("      ");
        line.push(style::DIM, buckets);
        lines.push(line);
    }
    for text in row.help.lines().filter(|text| !text.trim().is_empty()) {
        let mut help = Line::new();
        help.plain("      ");
        help.push(style::DIM, escape::text(text.trim()));
        lines.push(help);
    }
    lines
}

fn push_value(line: &mut Line, row: &Row, columns: Columns) {
    let unit = escape::text(&row.unit);
    match (&row.value, number(row)) {
        (Some(value), Some(number)) => {
            line.plain(format!("{number:>width$}", width = columns.number));
            if !unit.is_empty() && !value::shows_unit(value, &row.unit) {
                line.push(style::DIM, format!(" {unit}"));
            }
        }
        (Some(value), None) => {
            let age = timestamp(row).map(|time| ago(time, columns.now));
            let text = age.or_else(|| moment(row));
            line.plain(text.unwrap_or_else(|| value::humane(value, &row.unit)));
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
fn describe(row: &Row) -> String {
    let mut text = format!("{} {}", row.shape, row.kind);
    if row.level != Level::Info {
        text.push_str(&format!(", for {}", row.level.name()));
    }
    if !row.unit.is_empty() {
        text.push_str(&format!(", in {}", escape::text(&row.unit)));
    }
    if row.kind != "info" && row.kind != "untyped" {
        text.push_str(&format!(", lanes: {}", row.aggregation));
    }
    if let Some(value) = row.value.as_ref() {
        let exact = value::plain(value);
        let shown = number(row).map(|number| number.replace(',', ""));
        if let Some(time) = timestamp(row) {
            let local = local(time).map_or_else(String::new, |local| format!("{local}; "));
            text.push_str(&format!("; {local}exactly {exact}"));
        } else if value::is_number(value) && shown.as_ref() != Some(&exact) {
            text.push_str(&format!("; exactly {exact}"));
        } else if matches!(row.kind, "timer" | "histogram" | "average" | "window") {
            text.push_str(&format!("; {exact}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn row(label: &str, unit: &str, value: Option<OwnedValue>) -> Row {
        Row {
            label: label.into(),
            attributes: Vec::new(),
            shape: "u64".into(),
            kind: "counter",
            unit: unit.into(),
            help: "Line one.\nLine\u{1b} two.".into(),
            aggregation: "sum",
            level: Level::Info,
            lane: None,
            verdict: if value.is_some() { Verdict::Consistent } else { Verdict::Absent },
            value,
        }
    }

    fn text(lines: &[Line]) -> Vec<String> {
        lines
            .iter()
            .map(|line| anstream::adapter::strip_str(&line.render(usize::MAX)).to_string())
            .collect()
    }

    #[test]
    fn long_names_are_whole_and_tell_series_apart() {
        let series = |code: &str| {
            let mut row = row("http.requests.by.route.and.code", "", Some(OwnedValue::Unsigned(7)));
            row.attributes = vec![("route".into(), "/users/{id}/orders/{order}".into())];
            row.attributes.push(("code".into(), code.into()));
            row
        };
        let rows = [series("200"), series("500"), row("short", "", Some(OwnedValue::Unsigned(1)))];
        let columns = Columns::of(&rows.iter().collect::<Vec<_>>(), NOW);
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
    fn numbers_stand_at_the_right() {
        let rows = [
            row("requests", "", Some(OwnedValue::Unsigned(1_234_567))),
            row("sent", "bytes", Some(OwnedValue::Unsigned(1_300_000))),
            row("weight", "grams", Some(OwnedValue::F64(0.5))),
            row("doing", "", Some(OwnedValue::Text { text: "x\u{1b}[2J".into(), cut: false })),
            row("nothing", "", None),
        ];
        let columns = Columns::of(&rows.iter().collect::<Vec<_>>(), NOW);
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
    fn timestamps_are_ages() {
        let minute = 60 * 1_000_000_000;
        let of = |n: u128| Row {
            kind: TIMESTAMP,
            ..row("reloaded", "nanoseconds", Some(OwnedValue::Unsigned(n)))
        };
        let rows = [of(0), of(minute * 3), of(u64::MAX.into())];
        let columns = Columns::of(&rows.iter().collect::<Vec<_>>(), NOW + Duration::from_secs(60));
        let lines: Vec<Line> = rows.iter().flat_map(|row| field(row, columns, false)).collect();
        let want = ["  reloaded  1m 00s ago", "  reloaded  in 2m 00s"];
        assert_eq!(text(&lines)[..2], want);
        let verbose = &text(&field(&rows[1], columns, true))[1];
        assert!(
            verbose.contains("1970") && verbose.ends_with("; exactly 180000000000"),
            "{verbose}"
        );
    }

    #[test]
    fn what_is_not_shown_is_counted() {
        let of = |label: &str, level| Row { level, ..row(label, "", None) };
        let mut rows = vec![of("sys.pid", Level::Info)];
        let text = |rows: &[Row]| more(rows.iter());
        assert_eq!(text(&[]), None);
        assert_eq!(text(&rows).unwrap(), "1 more field: --level diagnostic");
        // Two lanes of one field, and another with the same label.
        rows.extend([0, 1].map(|lane| Row { lane: Some((0, lane)), ..of("a", Level::Debug) }));
        rows.push(of("b", Level::Diagnostic));
        assert_eq!(text(&rows).unwrap(), "3 more fields: --level debug");
        rows.push(Row { attributes: vec![("k".into(), "v".into())], ..of("a", Level::Info) });
        assert_eq!(text(&rows).unwrap(), "4 more fields: --level debug");
    }

    #[test]
    fn verbose_says_everything_exactly() {
        let sent = row("sent", "bytes", Some(OwnedValue::Unsigned(1_300_000)));
        let columns = Columns::of(&[&sent], NOW);
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
    fn names_carry_attributes_and_lanes() {
        let mut row = row("requests", "", None);
        row.attributes = vec![("code".into(), "2\"00\u{1b}".into())];
        row.lane = Some((0, 3));
        assert_eq!(name(&row), "requests{code=\"2\\\"00\\u{1b}\"}[3]");
        row.lane = Some((1, 3));
        row.attributes.clear();
        assert_eq!(name(&row), "requests[1.3]");
    }

    #[test]
    fn moments_are_readable_and_nonsense_is_not_believed() {
        let created = row("sys.created", "", Some(OwnedValue::F64(1_322_000_000.25)));
        assert!(moment(&created).unwrap().starts_with("2011-11-2"));
        for bad in [f64::NAN, -5.0, 1e300] {
            assert_eq!(moment(&row("sys.created", "", Some(OwnedValue::F64(bad)))), None);
        }
        assert_eq!(moment(&row("requests", "", Some(OwnedValue::F64(1e9)))), None);
    }
}
