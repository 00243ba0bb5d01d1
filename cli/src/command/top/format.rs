//! Names, numbers and colours of the screen.

use std::time::{Duration, SystemTime};

use mmstats_history::Condition;
use mmstats_observe::{FieldInfo, FileState, Kind, OwnedValue};
use mmstats_threads::{Process, State};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

pub(super) use crate::live::name::{attributes, name};
use crate::output::{self, style};
use crate::text::{escape, human, time, unit};
use crate::value::{Moment, progress_line, to_human};

/// A value with its unit, on one line; a point in time as such, ages up to `now`.
pub(super) fn value(value: Option<&OwnedValue>, info: &FieldInfo, now: SystemTime) -> String {
    let Some(value) = value else { return "-".to_owned() };
    if let Some(line) = progress_line(value, now) {
        return line;
    }
    if let Some(moment) = crate::value::moment(info, value) {
        let (Moment::Timestamp(time) | Moment::Epoch(time)) = moment;
        return time::date(time).unwrap_or_else(|| "-".to_owned());
    }
    unit::followed_by(to_human(value, &info.unit), &info.unit)
}

/// A change for each second: of a counter of bytes `1.24 MiB/s`; empty for none.
pub(super) fn rate(rate: Option<f64>, info: &FieldInfo) -> String {
    let counts =
        matches!(info.properties.kind(), Some(Kind::Timer | Kind::Histogram | Kind::Average));
    match rate {
        None => String::new(),
        Some(0.0) => "0".to_owned(),
        // Noise of a gauge.
        Some(rate) if rate.abs() < 0.005 => "0.00".to_owned(),
        Some(rate) if counts => human::compact(rate),
        Some(rate) => unit::compact(rate, &info.unit),
    }
}

/// How long a value has not changed: `12s`, or `>12s` if it did not since the first look; empty for
/// less than two seconds.
pub(super) fn still(changed: Option<Duration>, seen: Duration) -> String {
    let (sign, time) = changed.map_or((">", seen), |time| ("", time));
    if time.as_secs() < 2 { String::new() } else { format!("{sign}{}", human::age(time)) }
}

/// A value on at most `width` columns. No number is cut: a list loses its last parts, and a number its
/// last digits.
pub(super) fn value_in(
    text: String,
    value: Option<&OwnedValue>,
    info: &FieldInfo,
    width: u16,
) -> String {
    let width = usize::from(width);
    let only = value.map(OwnedValue::only);
    let is_text = matches!(only, Some(OwnedValue::Text { .. } | OwnedValue::Bytes { .. }));
    if escape::width(&text) <= width || is_text {
        return escape::clip(&text, width).into_owned();
    }
    if let Some(value) = only.filter(|value| crate::value::moment(info, value).is_none())
        && let Some(x) = value.as_f64()
    {
        return escape::clip(&unit::compact(x, &info.unit), width).into_owned();
    }
    // `2 × 1.50 ms  (min 1.00 ms, max 2.00 ms)`, `2,657, p50 824 µs, max 17.3 ms`.
    let ends = text.match_indices(", ").chain(text.match_indices("  (")).map(|(at, _)| at);
    let fits = |end: &usize| escape::width(&text[..*end]) + 2 <= width;
    match ends.filter(fits).max() {
        Some(end) => format!("{} …", &text[..end]),
        None => escape::clip(&text, width).into_owned(),
    }
}

/// Breaks a text between words into lines of at most `width` columns; a longer word is cut.
pub(super) fn wrap(text: &str, width: u16) -> Vec<String> {
    let width = usize::from(width.max(1));
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if escape::width(line) + 1 + escape::width(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(escape::clip(word, width).into_owned()),
        }
    }
    lines
}

/// A span of charts, in its largest unit: `10s`, `5m`, `6h`.
pub(super) fn span(span: Duration) -> String {
    match span.as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m", seconds / 60),
        seconds => format!("{}h", seconds / 3600),
    }
}

/// The time of day of a moment, with its zone.
pub(super) fn time_of_day(time: std::time::SystemTime) -> String {
    let nanoseconds = time.duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    let local = time::local(i128::try_from(nanoseconds).unwrap_or(0), "%H:%M:%S %Z");
    local.unwrap_or_default()
}

/// The start of a text, with an ellipsis if it is cut.
pub(super) fn clip(text: &str, width: u16) -> String {
    escape::clip(text, width.into()).into_owned()
}

/// Styles; without colours the terminal's own attributes tell things apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Theme {
    colours: bool,
}

impl Theme {
    pub(super) const fn new(colours: bool) -> Self {
        Self { colours }
    }

    const fn colour(self, colour: Color, otherwise: Modifier) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new().add_modifier(otherwise) }
    }

    pub(super) const fn head(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) const fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(super) const fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    pub(super) const fn good(self) -> Style {
        self.colour(Color::Green, Modifier::empty())
    }

    pub(super) const fn bad(self) -> Style {
        self.colour(Color::Red, Modifier::BOLD)
    }

    pub(super) const fn odd(self) -> Style {
        self.colour(Color::Yellow, Modifier::BOLD)
    }

    pub(super) const fn graph(self) -> Style {
        self.colour(Color::Cyan, Modifier::empty())
    }

    /// Line number `index` of a chart.
    pub(super) const fn series(self, index: usize) -> Style {
        let colours =
            [Color::Cyan, Color::Yellow, Color::Magenta, Color::Green, Color::Blue, Color::Red];
        self.colour(colours[index % colours.len()], Modifier::empty())
    }

    /// A line of other commands in these styles.
    pub(super) fn line(self, line: &output::Line) -> Line<'static> {
        let span = |(style, text): (anstyle::Style, &str)| {
            let style = match style {
                style::BOLD => self.head(),
                style::DIM => self.dim(),
                style::GOOD => self.good(),
                style::BAD => self.bad(),
                style::ODD => self.odd(),
                _ => Style::new(),
            };
            Span::styled(text.to_owned(), style)
        };
        Line::from(line.spans().map(span).collect::<Vec<_>>())
    }

    pub(super) fn state(self, condition: Condition, process: Option<&Process>) -> Style {
        let state = process.map(|process| process.state);
        match (condition.state(), state) {
            (FileState::Live, Some(State::Stopped | State::Traced)) => self.odd(),
            (FileState::Live, _) => self.good(),
            (FileState::Dead | FileState::Damaged, _) => self.bad(),
            _ if condition.has_ended() => self.dim(),
            _ => self.odd(),
        }
    }
}

/// Bars of eight heights, scaled between the smallest and the largest, or from zero; a space where
/// there is none.
pub(super) fn sparkline(values: &[Option<f64>], from_zero: bool) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let known = || values.iter().flatten().copied().filter(|x| x.is_finite());
    let (min, max) =
        (known().fold(f64::INFINITY, f64::min), known().fold(f64::NEG_INFINITY, f64::max));
    let min = if from_zero { min.min(0.0) } else { min };
    let bar = |value: &Option<f64>| match value {
        Some(x) if x.is_finite() => {
            let height = if max > min { (x - min) / (max - min) * 7.0 } else { 0.0 };
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // From 0 to 7.
            BARS.get(height.round() as usize).copied().unwrap_or('█')
        }
        _ => ' ',
    };
    values.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use mmstats_observe::{Aggregation, DataType, Properties, TimerValue};

    use super::*;

    #[test]
    fn value_in_cuts_no_number() {
        let latency = FieldInfo::new(
            "latency",
            Properties::new(DataType::U64, Kind::Timer, Aggregation::Sum),
        );
        let (ms, count) = (1_000_000, 886);
        let timer = TimerValue {
            count,
            sum: count * 2_000_000,
            min: Some(ms),
            max: Some(3 * ms),
            last: Some(2 * ms),
        };
        let timer = OwnedValue::Timer(timer);
        let shown = |value: &OwnedValue, info: &FieldInfo, width| {
            value_in(super::value(Some(value), info, SystemTime::now()), Some(value), info, width)
        };
        let whole = "886 × 2.00 ms  (min 1.00 ms, max 3.00 ms, last 2.00 ms)";
        assert_eq!(shown(&timer, &latency, 80), whole);
        assert_eq!(shown(&timer, &latency, 30), "886 × 2.00 ms  (min 1.00 ms …");
        assert_eq!(shown(&timer, &latency, 16), "886 × 2.00 ms …");
        let counter = Properties::new(DataType::U64, Kind::Counter, Aggregation::Sum);
        let bytes = FieldInfo::new("requests", counter);
        let number = OwnedValue::Unsigned(1_234_567_890_123);
        assert_eq!(shown(&number, &bytes, 17), "1,234,567,890,123");
        assert_eq!(shown(&number, &bytes, 12), "1.23T");
        let text = OwnedValue::Text { text: "a, b, c, d".to_owned(), cut: false };
        assert_eq!(shown(&text, &bytes, 8), "\"a, b, …");
    }

    #[test]
    fn wrap_breaks_between_words() {
        assert_eq!(wrap("select a line; also j k", 10), ["select a", "line; also", "j k"]);
        assert_eq!(wrap("", 10), [""; 0]);
        assert_eq!(wrap("abcdefgh i", 4), ["abc…", "i"]);
    }

    #[test]
    fn sparkline_scales_between_extremes() {
        let values = [Some(0.0), Some(7.0), None, Some(3.5), Some(f64::NAN)];
        assert_eq!(sparkline(&values, false), "▁█ ▅ ");
        assert_eq!(sparkline(&[Some(5.0), Some(5.0)], false), "▁▁");
        assert_eq!(sparkline(&[Some(99.0), Some(100.0)], true), "██");
        assert_eq!(sparkline(&[], true), "");
    }
}
