//! Values for people: grouped digits, sizes and durations by the unit.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use mmstats_observe::{
    ActivityValue, AverageValue, HistogramValue, OwnedValue, StateValue, TimerValue, WindowRate,
};

use super::{QUANTILES, UNKNOWN, bounded_hex, bounded_text, list, quantile, single_state};
use crate::text::unit::{self, UnitForm, with_unit};
use crate::text::{escape, human};

/// A value of a kind that counts, while the count is 0.
const NONE_YET: &str = "none yet";
/// Maximum number of elements of an array.
const MAX_ELEMENTS: usize = 64;
/// Maximum number of groups of buckets on a line.
const MAX_GROUPS: usize = 5;

/// The value as text; the unit is in it if [`shows_unit`].
pub(crate) fn to_human(value: &OwnedValue, unit: &str) -> String {
    let form = UnitForm::from_unit(unit);
    match value {
        OwnedValue::Unsigned(_)
        | OwnedValue::Signed(_)
        | OwnedValue::F32(_)
        | OwnedValue::F64(_)
            if form != UnitForm::Plain =>
        {
            form.format(value.as_f64().unwrap_or(f64::NAN))
        }
        OwnedValue::Unsigned(n) => human::grouped(&n.to_string()),
        OwnedValue::Signed(n) => human::grouped(&n.to_string()),
        OwnedValue::F32(x) => human::float(f64::from(*x)),
        OwnedValue::F64(x) => human::float(*x),
        OwnedValue::Bool(b) => if *b { "yes" } else { "no" }.to_owned(),
        OwnedValue::Text { text, cut } => format!("\"{}\"{}", bounded_text(text), cut_mark(*cut)),
        OwnedValue::Bytes { bytes, cut } => format!("0x{}{}", bounded_hex(bytes), cut_mark(*cut)),
        OwnedValue::Array(elements) => {
            list(elements, MAX_ELEMENTS, |element| to_human(element, unit))
        }
        OwnedValue::Each(each) => {
            let values: Vec<&OwnedValue> = each.iter().filter_map(|e| e.value.as_ref()).collect();
            list(&values, MAX_ELEMENTS, |value| to_human(value, unit))
        }
        OwnedValue::Timer(value) => timer(value),
        OwnedValue::State(value) => state(value),
        OwnedValue::Histogram(value) => histogram(value, unit),
        OwnedValue::Average(value) => average(value, unit, ""),
        OwnedValue::Window(value) => average(value, unit, "the last "),
        OwnedValue::Rate(value) => rates(value, unit),
        OwnedValue::Activity(value) => activity(value),
        OwnedValue::Running(value) => count_in_progress(value.number),
        _ => UNKNOWN.to_owned(),
    }
}

/// Whether [`to_human`] includes the unit.
pub(crate) fn shows_unit(value: &OwnedValue, unit: &str) -> bool {
    UnitForm::from_unit(unit) != UnitForm::Plain || matches!(value, OwnedValue::Timer(_))
}

pub(super) const fn cut_mark(cut: bool) -> &'static str {
    if cut { " (cut)" } else { "" }
}

/// `2 × 1.50 ms  (min 1.00 ms, max 2.00 ms, last 2.00 ms)`; the mean is `?` if it is not known.
fn timer(value: &TimerValue) -> String {
    if value.count == 0 {
        return NONE_YET.to_owned();
    }
    let count = human::grouped(&value.count.to_string());
    let mean = value.mean().map(|mean| human::seconds(mean / 1e9));
    let mut text = format!("{count} × {}", mean.as_deref().unwrap_or(UNKNOWN));
    let ends = [("min", value.min), ("max", value.max), ("last", value.last)];
    let ends = ends.map(|(name, n)| n.map(|n| format!("{name} {}", nanoseconds(n))));
    let ends: Vec<String> = ends.into_iter().flatten().collect();
    if !ends.is_empty() {
        let _ = write!(text, "  ({})", ends.join(", "));
    }
    text
}

#[allow(clippy::cast_precision_loss)] // Shown with three digits.
fn nanoseconds(n: u64) -> String {
    human::seconds(n as f64 / 1e9)
}

/// `busy`, or the number of lanes in each state: `idle 3, busy 1`.
fn state(value: &StateValue) -> String {
    if let Some(name) = single_state(value) {
        return escape::text(name).into_owned();
    }
    let states = value.iter().map(|(name, count)| format!("{} {count}", escape::text(name)));
    states.collect::<Vec<_>>().join(", ")
}

/// `2,657, p50 824 µs, p99 3.10 ms, p99.9 9.00 ms, max 17.3 ms`.
fn histogram(value: &HistogramValue, unit: &str) -> String {
    if value.count() == 0 {
        return NONE_YET.to_owned();
    }
    let mut text = human::grouped(&value.count().to_string());
    for (q, _, name) in QUANTILES.iter().filter(|(q, ..)| *q != 0.9) {
        if let Some(x) = value.quantile(*q) {
            let _ = write!(text, ", {name} {}", quantile(x, |x| with_unit(x, unit)));
        }
    }
    if let Some(max) = value.max() {
        let _ = write!(text, ", max {}", with_unit(max.as_f64(), unit));
    }
    text
}

/// Counts of a histogram in a few groups of buckets, each with its upper bound; `None` while
/// the count is 0.
pub(crate) fn buckets(value: &HistogramValue, unit: &str) -> Option<String> {
    let full: Vec<(f64, u128)> = value.buckets().map(|(_, _, upper, n)| (upper, n)).collect();
    let size = full.len().div_ceil(MAX_GROUPS).max(1);
    let group = |group: &[(f64, u128)]| {
        let upper = group.last().map_or(f64::NAN, |(upper, _)| *upper);
        (upper, group.iter().map(|(_, count)| count).sum::<u128>())
    };
    let mut parts = Vec::new();
    if value.below() > 0 {
        parts.push(format!("{} below", human::grouped(&value.below().to_string())));
    }
    parts.extend(full.chunks(size).map(group).map(|(upper, count)| {
        format!("{} to {}", human::grouped(&count.to_string()), with_unit(upper, unit))
    }));
    if value.above() > 0 {
        parts.push(format!("{} above", human::grouped(&value.above().to_string())));
    }
    let error = human::float(value.relative_error() * 100.0);
    // The error holds inside the buckets only.
    let range = match value.bounds() {
        (None, None) => String::new(),
        (Some(low), None) => format!(" above {}", with_unit(low, unit)),
        (None, Some(high)) => format!(" up to {}", with_unit(high, unit)),
        (Some(low), Some(high)) => {
            format!(" from {} to {}", with_unit(low, unit), with_unit(high, unit))
        }
    };
    (!parts.is_empty()).then(|| format!("{}; quantiles{range} within {error} %", parts.join(", ")))
}

/// `12.5 requests, mean of 2,657`; `last` stands before the count.
fn average(value: &AverageValue, unit: &str, last: &str) -> String {
    // Not `<=`: a negative count or NaN is damage, not the count 0.
    if value.count == 0.0 {
        return NONE_YET.to_owned();
    }
    let mean = value.mean().map(|mean| with_unit(mean, unit));
    let mean = mean.as_deref().unwrap_or(UNKNOWN);
    format!("{mean}, mean of {last}{}", human::float(value.count))
}

/// `12.3/s over 1m, 11/s over 5m`.
fn rates(rates: &[WindowRate], unit: &str) -> String {
    let rates = rates.iter().filter_map(|rate| Some((rate.window, rate.rate?)));
    let text = |(window, rate)| {
        let rate = unit::followed_by(unit::compact(rate, unit), unit);
        format!("{rate}/s over {}", duration(window))
    };
    let texts: Vec<String> = rates.map(text).collect();
    if texts.is_empty() { NONE_YET.to_owned() } else { texts.join(", ") }
}

/// `2 in progress, 1 of them contended; 7 were not shown`: the rows stand on lines of their own.
fn activity(value: &ActivityValue) -> String {
    let mut text = count_in_progress(value.in_progress() as u128);
    for (count, word) in [(value.contended, "contended"), (value.damaged, "damaged")] {
        if count > 0 {
            let _ = write!(text, ", {count} of them {word}");
        }
    }
    if let Some(refused) = value.refused.filter(|refused| *refused > 0) {
        let _ = write!(text, "; {} found no row", human::grouped(&refused.to_string()));
    }
    text
}

pub(super) fn count_in_progress(count: u128) -> String {
    match count {
        0 => "nothing in progress".to_owned(),
        count => format!("{} in progress", human::grouped(&count.to_string())),
    }
}

/// `2 in progress, the oldest for at least 1m 03s`, up to `now`; `None` for other kinds, and if the time
/// is not known.
pub(crate) fn running(value: &OwnedValue, now: SystemTime) -> Option<String> {
    let OwnedValue::Running(value) = value else { return None };
    let age = age(value.since, now)?;
    let count = count_in_progress(value.number);
    let who = if value.number == 1 { "" } else { "the oldest " };
    Some(format!("{count}, {who}for at least {age}"))
}

/// Time since `since`, in nanoseconds since 1970, up to `now`.
pub(super) fn age(since: Option<u64>, now: SystemTime) -> Option<String> {
    let since = SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(since?))?;
    // The clock of the program may be ahead.
    Some(human::age(now.duration_since(since).unwrap_or_default()))
}

/// A line for each activity: `1m 03s  "parse"`, the age up to `now`.
pub(crate) fn activity_rows(value: &ActivityValue, now: SystemTime) -> Vec<String> {
    let ages: Vec<String> =
        value.rows.iter().map(|row| human::or_dash(age(row.since, now))).collect();
    let width = ages.iter().map(String::len).max().unwrap_or(0);
    let rows = ages.iter().zip(&value.rows);
    rows.map(|(age, row)| {
        format!("{age:>width$}  \"{}\"{}", bounded_text(&row.text), cut_mark(row.cut))
    })
    .collect()
}

/// The length of a window: `90s`, `5m`, `2h`.
fn duration(seconds: u32) -> String {
    match seconds {
        s if s.is_multiple_of(3600) => format!("{}h", s / 3600),
        s if s.is_multiple_of(60) => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_human_uses_form_of_unit() {
        let n = OwnedValue::Unsigned(1_300_000);
        assert_eq!(to_human(&n, "bytes"), "1.24 MiB");
        assert_eq!(to_human(&n, ""), "1,300,000");
        assert_eq!(to_human(&OwnedValue::F64(0.001_24), "seconds"), "1.24 ms");
        assert_eq!(to_human(&OwnedValue::Signed(-1_240_000), "nanoseconds"), "-1.24 ms");
    }

    #[test]
    fn to_human_shows_timers_as_count_and_mean() {
        let ends = (Some(1_000_000), Some(2_000_000));
        let busy = TimerValue { count: 2, sum: 3_000_000, min: ends.0, max: ends.1, last: ends.1 };
        assert_eq!(
            to_human(&OwnedValue::Timer(busy), ""),
            "2 × 1.50 ms  (min 1.00 ms, max 2.00 ms, last 2.00 ms)"
        );
        let idle = TimerValue { count: 0, sum: 0, min: None, max: None, last: None };
        assert_eq!(to_human(&OwnedValue::Timer(idle), ""), NONE_YET);
    }

    #[test]
    fn to_human_escapes_texts() {
        let text = OwnedValue::Text { text: "a\u{1b}[2J".into(), cut: true };
        assert_eq!(to_human(&text, ""), "\"a\\u{1b}[2J\" (cut)");
    }

    #[test]
    fn rates_without_windows_are_none_yet() {
        assert_eq!(rates(&[], ""), NONE_YET);
    }

    #[test]
    fn duration_uses_largest_whole_unit() {
        let names = [1, 90, 60, 900, 3600, 86_400].map(duration);
        assert_eq!(names, ["1s", "90s", "1m", "15m", "1h", "24h"]);
    }
}
