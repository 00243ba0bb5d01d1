//! Heads and cells of `poll` as text.

use std::time::SystemTime;

use mmstats_observe::{EachValue, Kind, OwnedValue, Verdict};

use crate::model::rates::column::{Cell, Column, Interval};
use crate::output::Screen;
use crate::text::unit::{self, UnitForm};
use crate::text::{escape, human, time};
use crate::value::{Moment, main_number, moment, quantile, to_human, to_plain};

/// Minimum width of a column.
const MIN_WIDTH: usize = 8;
/// Maximum width of a text value on a terminal.
const MAX_TEXT: usize = 24;

/// A column of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TextColumn {
    pub(super) head: String,
    pub(super) below: String,
    pub(super) width: usize,
}

/// One text of a column.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    /// Rate of the count, per second.
    Rate,
    Mean,
    Quantile(f64, &'static str),
    Value,
}

/// The parts of a column: several if it counts durations or values.
const fn parts(counting: Option<Kind>) -> &'static [Part] {
    match counting {
        Some(Kind::Timer | Kind::Average) => &[Part::Rate, Part::Mean],
        Some(Kind::Histogram) => {
            &[Part::Rate, Part::Quantile(0.5, "p50"), Part::Quantile(0.99, "p99")]
        }
        Some(_) => &[Part::Rate],
        None => &[Part::Value],
    }
}

/// The heads of a column, wide enough for the value if it is a text.
pub(super) fn heads(
    column: &Column,
    cell: &Cell,
    prefix: &str,
    now: SystemTime,
    screen: Screen,
) -> Vec<TextColumn> {
    let label = column.label().strip_prefix(prefix).unwrap_or(column.label());
    let label = format!("{}{}", label.strip_prefix('.').unwrap_or(label), column.selector);
    let label = escape::text(&label).replace(' ', "_");
    let over_life = cell.interval.as_ref().is_some_and(|interval| interval.over_life);
    let head = |part: &Part| {
        let name = match *part {
            Part::Rate => "/s",
            Part::Mean => "mean",
            Part::Quantile(_, name) => name,
            Part::Value => "",
        };
        let mut words: Vec<&str> = column.qualifier.words.iter().map(String::as_str).collect();
        if over_life && *part != Part::Rate {
            words.push("since start");
        }
        if screen.is_terminal() {
            let unit = &*column.field.unit;
            if *part == Part::Value
                && !column.qualifier.has_unit
                && !unit.is_empty()
                && UnitForm::from_unit(unit) == UnitForm::Plain
            {
                words.insert(0, unit);
            }
            let below = std::iter::once(name).chain(words).filter(|word| !word.is_empty());
            let below = escape::text(&below.collect::<Vec<_>>().join(" ")).into_owned();
            return (label.clone(), below);
        }
        let sign = if matches!(part, Part::Mean | Part::Quantile(..)) { ":" } else { "" };
        let words = escape::text(&words.join(",")).replace(' ', "_");
        let words = if words.is_empty() { words } else { format!("({words})") };
        (format!("{label}{sign}{name}{words}"), String::new())
    };
    let text_width = match is_text(cell) && screen.is_terminal() {
        true => cells(column, cell, now, screen).iter().map(|text| escape::width(text)).max(),
        false => None,
    };
    let text_width = text_width.unwrap_or(0).min(MAX_TEXT);
    let texts = parts(column.counting()).iter().map(head);
    texts
        .map(|(head, below)| {
            let width = escape::width(&head).max(escape::width(&below)).max(MIN_WIDTH);
            let width = width.max(text_width);
            TextColumn { head, below, width }
        })
        .collect()
}

/// Whether the value is a text, of any length.
fn is_text(cell: &Cell) -> bool {
    let value = cell.total.as_ref().map(OwnedValue::only);
    matches!(value, Some(OwnedValue::Text { .. } | OwnedValue::State(_) | OwnedValue::Each(_)))
}

/// The texts of a cell, as many as its column has heads.
pub(super) fn cells(column: &Column, cell: &Cell, now: SystemTime, screen: Screen) -> Vec<String> {
    let text = |part: &Part| match (part, &cell.interval) {
        (Part::Value, _) => {
            let value = cell.total.as_ref().map(OwnedValue::only)?;
            // A sum that lacks a part is no sum.
            let is_whole = cell.verdict == Verdict::Consistent;
            if !is_whole && !matches!(value, OwnedValue::Each(_)) {
                return None;
            }
            if screen.is_terminal() {
                Some(value_text(column, value, now))
            } else {
                Some(value_piped(column, value))
            }
        }
        (_, None) => None,
        (Part::Rate, Some(interval)) => Some(rate(column, interval.rate?, screen)),
        (Part::Mean, Some(interval)) => mean(column, interval, screen),
        (Part::Quantile(q, _), Some(interval)) => {
            let OwnedValue::Histogram(histogram) = &interval.counts else { return None };
            Some(quantile(histogram.quantile(*q)?, |x| number(column, x, screen)))
        }
    };
    parts(column.counting()).iter().map(|part| human::or_dash(text(part))).collect()
}

fn rate(column: &Column, rate: f64, screen: Screen) -> String {
    if column.counting() == Some(Kind::Counter) {
        return number(column, rate, screen);
    }
    // Durations or values per second, whatever their unit.
    if screen.is_terminal() { human::compact(rate) } else { human::decimal(rate) }
}

fn mean(column: &Column, interval: &Interval, screen: Screen) -> Option<String> {
    match &interval.counts {
        OwnedValue::Timer(timer) => {
            let seconds = timer.mean()? / 1e9;
            Some(if screen.is_terminal() {
                human::seconds(seconds)
            } else {
                format!("{seconds:.9}")
            })
        }
        OwnedValue::Average(average) => Some(number(column, average.mean()?, screen)),
        _ => None,
    }
}

/// A number in the unit of the field.
fn number(column: &Column, x: f64, screen: Screen) -> String {
    if screen.is_terminal() {
        unit::compact(x, &column.field.unit)
    } else {
        human::decimal(x * scale(column))
    }
}

/// Times are in seconds in a pipe, unless the head has the unit.
fn scale(column: &Column) -> f64 {
    match UnitForm::from_unit(&column.field.unit) {
        UnitForm::Time(seconds) if !column.qualifier.has_unit => seconds,
        _ => 1.0,
    }
}

fn value_text(column: &Column, value: &OwnedValue, now: SystemTime) -> String {
    let unit = &*column.field.unit;
    match (value, moment(&column.field, value)) {
        (_, Some(Moment::Timestamp(at))) => time::ago(at, now),
        (_, Some(Moment::Epoch(at))) => time::date(at).unwrap_or_else(|| to_human(value, unit)),
        (OwnedValue::Each(each), _) => match main_number(value) {
            Some(number) => human::compact(number),
            None => values_of_lanes(each, unit),
        },
        (OwnedValue::Text { text, .. }, _) => escape::text(text).into_owned(),
        (value, _) => match main_number(value) {
            Some(number) => unit::compact(number, unit),
            // A mean or rate without values.
            None if is_distribution(value) => human::or_dash(None::<String>),
            None => to_human(value, unit),
        },
    }
}

/// The values of lanes, each once: `compressing ×3, waiting`.
fn values_of_lanes(each: &[EachValue], unit: &str) -> String {
    let mut counted: Vec<(String, usize)> = Vec::new();
    for value in each.iter().filter_map(|each| each.value.as_ref()) {
        let text = match value {
            OwnedValue::Text { text, .. } => escape::text(text).into_owned(),
            value => to_human(value, unit),
        };
        match counted.iter_mut().find(|(known, _)| *known == text) {
            Some((_, count)) => *count += 1,
            None => counted.push((text, 1)),
        }
    }
    let text = |(text, count): (String, usize)| match count {
        1 => text,
        count => format!("{text} ×{count}"),
    };
    counted
        .into_iter()
        .filter(|(text, _)| !text.is_empty())
        .map(text)
        .collect::<Vec<_>>()
        .join(", ")
}

/// For programs: bytes, seconds, or the unit that the head has.
fn value_piped(column: &Column, value: &OwnedValue) -> String {
    if let Some(Moment::Timestamp(at)) = moment(&column.field, value) {
        return time::seconds(at);
    }
    let scale = scale(column);
    match (main_number(value), value.as_f64()) {
        (Some(number), _) => human::decimal(number * scale),
        (None, Some(number)) if scale != 1.0 => human::decimal(number * scale),
        (None, _) if is_distribution(value) => human::or_dash(None::<String>),
        _ => to_plain(value).replace(' ', "_"),
    }
}

const fn is_distribution(value: &OwnedValue) -> bool {
    matches!(value, OwnedValue::Average(_) | OwnedValue::Window(_) | OwnedValue::Rate(_))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mmstats_observe::{AverageValue, Origin, TimerValue};

    use super::*;

    const TERMINAL: Screen = Screen { size: Some((40, 10)) };
    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn value(value: OwnedValue) -> Cell {
        Cell { total: Some(value), verdict: Verdict::Consistent, interval: None }
    }

    fn counted(rate: f64, counts: OwnedValue) -> Cell {
        let interval = Interval { rate: Some(rate), counts, over_life: false };
        Cell { total: None, verdict: Verdict::Consistent, interval: Some(interval) }
    }

    fn both(column: &Column, cell: &Cell) -> [Vec<String>; 2] {
        [TERMINAL, Screen::PIPE].map(|screen| cells(column, cell, NOW, screen))
    }

    #[test]
    fn cells_differ_between_terminal_and_pipe() {
        let sent = Column::for_test("sent", "bytes", Kind::Counter);
        let cell = counted(1_300_000.0, OwnedValue::Unsigned(9));
        assert_eq!(both(&sent, &cell), [["1.24 MiB"], ["1300000.000"]]);
        let timer = Column::for_test("latency", "nanoseconds", Kind::Timer);
        let counts = TimerValue { count: 10, sum: 12_400_000, ..TimerValue::default() };
        let cell = counted(1234.5, OwnedValue::Timer(counts));
        assert_eq!(both(&timer, &cell), [["1,234", "1.24 ms"], ["1234.500", "0.001240000"]]);
        let idle = counted(0.0, OwnedValue::Timer(TimerValue::default()));
        assert_eq!(both(&timer, &idle), [["0", "-"], ["0.000", "-"]]);
        let unknown = Cell { interval: None, ..idle };
        assert_eq!(both(&timer, &unknown), [["-", "-"]; 2]);
        let gauge = Column::for_test("doing", "", Kind::Gauge);
        let text = value(OwnedValue::Text { text: "a b\u{1b}".into(), cut: false });
        assert_eq!(both(&gauge, &text), [["a b\\u{1b}"], ["a_b\\u{1b}"]]);
        // The width is that of the value, if it is a text.
        let width = |cell: &Cell| super::heads(&gauge, cell, "", NOW, TERMINAL)[0].width;
        assert_eq!((width(&text), width(&cell)), (9, 8));
        let ended = Interval { rate: None, ..cell.interval.unwrap() };
        let ended = Cell { total: None, verdict: Verdict::Consistent, interval: Some(ended) };
        assert_eq!(both(&sent, &ended), [["-"], ["-"]]);
    }

    /// JSON has the verdict beside the value of the parts that were read.
    #[test]
    fn cell_of_value_that_lacks_a_part_is_none() {
        let gauge = Column::for_test("queue", "", Kind::Gauge);
        let cell = value(OwnedValue::Unsigned(7));
        let partial = Cell { verdict: Verdict::Contended, ..cell.clone() };
        assert_eq!(both(&gauge, &cell), [["7"], ["7"]]);
        assert_eq!(both(&gauge, &partial), [["-"], ["-"]]);
    }

    #[test]
    fn values_of_lanes_counts_equal_ones() {
        let text = |text: &str| OwnedValue::Text { text: text.into(), cut: false };
        let each = [text("wait"), text("read"), text("wait"), text("")].map(|value| EachValue {
            origin: Origin::default(),
            value: Some(value),
            verdict: Verdict::Consistent,
        });
        assert_eq!(values_of_lanes(&each, ""), "wait ×2, read");
    }

    /// In a pipe times are seconds, and small values keep their digits.
    #[test]
    fn cells_of_times_are_seconds_in_pipe() {
        let average = Column::for_test("wait", "microseconds", Kind::Average);
        let cell = counted(2.0, OwnedValue::Average(AverageValue { count: 4.0, sum: 1.0 }));
        assert_eq!(both(&average, &cell), [["2", "250 ns"], ["2.000", "0.0000002500"]]);
        let lag = Column::for_test("lag", "milliseconds", Kind::Gauge);
        assert_eq!(both(&lag, &value(OwnedValue::Unsigned(20))), [["20.0 ms"], ["0.02000"]]);
        let mut named = lag.clone();
        named.qualifier.has_unit = true;
        assert_eq!(both(&named, &value(OwnedValue::Unsigned(20))), [["20.0 ms"], ["20"]]);
        let size = Column::for_test("size", "bytes", Kind::Gauge);
        assert_eq!(both(&size, &value(OwnedValue::Unsigned(2048))), [["2.00 KiB"], ["2048"]]);
    }

    #[test]
    fn cell_of_timestamp_is_age_and_seconds_since_1970() {
        let at = Column::for_test("at", "nanoseconds", Kind::Timestamp);
        let moment = value(OwnedValue::Unsigned(1_767_323_045_000_000_007));
        let now = NOW + Duration::from_secs(1_767_323_105);
        assert_eq!(cells(&at, &moment, now, TERMINAL), ["59s ago"]);
        assert_eq!(cells(&at, &moment, now, Screen::PIPE), ["1767323045.000000007"]);
        let epoch = Column::for_test("at", "seconds", Kind::Gauge);
        let moment = value(OwnedValue::F64(1_767_323_045.5));
        assert!(cells(&epoch, &moment, now, TERMINAL)[0].starts_with("2026-01-0"));
        assert_eq!(cells(&epoch, &moment, now, Screen::PIPE), ["1767323045.5"]);
    }

    #[test]
    fn heads_have_parts_and_qualifiers() {
        let heads = |column: &Column, cell: &Cell, screen| -> Vec<(String, String)> {
            let texts = super::heads(column, cell, "web", NOW, screen);
            texts.into_iter().map(|text| (text.head, text.below)).collect()
        };
        let names = |column: &Column, cell: &Cell| -> Vec<String> {
            heads(column, cell, Screen::PIPE).into_iter().map(|(head, _)| head).collect()
        };
        let mut timer = Column::for_test("web.latency", "", Kind::Timer);
        let idle = counted(0.0, OwnedValue::Timer(TimerValue::default()));
        let label = || "latency".to_owned();
        let wanted = [(label(), "/s".to_owned()), (label(), "mean".to_owned())];
        assert_eq!(heads(&timer, &idle, TERMINAL), wanted);
        assert_eq!(names(&timer, &idle), ["latency/s", "latency:mean"]);
        timer.qualifier.words = vec!["no unit".to_owned(), "timer".to_owned()];
        assert_eq!(
            names(&timer, &idle),
            ["latency/s(no_unit,timer)", "latency:mean(no_unit,timer)"]
        );
        assert_eq!(heads(&timer, &idle, TERMINAL)[0].1, "/s no unit timer");
        let sizes = Column::for_test("sizes", "", Kind::Histogram);
        let mut life = counted(0.0, OwnedValue::Unsigned(1));
        life.interval.as_mut().unwrap().over_life = true;
        assert_eq!(
            names(&sizes, &life),
            ["sizes/s", "sizes:p50(since_start)", "sizes:p99(since_start)"]
        );
    }
}
