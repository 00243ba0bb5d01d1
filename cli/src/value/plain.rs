//! Exact values on one line, for programs: no grouping, no unit, texts escaped and unquoted.

use std::fmt::Write as _;

use mmstats_observe::{
    ActivityValue, AverageValue, HistogramValue, OwnedValue, StateValue, TimerValue, WindowRate,
};

use super::{QUANTILES, UNKNOWN, bounded_hex, bounded_text, list, quantile, single_state};
use crate::text::{escape, human};

/// The value as text; `-` for rates without one.
pub(crate) fn to_plain(value: &OwnedValue) -> String {
    match value {
        OwnedValue::Unsigned(n) => n.to_string(),
        OwnedValue::Signed(n) => n.to_string(),
        OwnedValue::F32(x) if x.is_finite() => x.to_string(),
        OwnedValue::F64(x) if x.is_finite() => x.to_string(),
        OwnedValue::F32(x) => human::non_finite(f64::from(*x)).to_owned(),
        OwnedValue::F64(x) => human::non_finite(*x).to_owned(),
        OwnedValue::Bool(b) => b.to_string(),
        OwnedValue::Text { text, .. } => bounded_text(text),
        OwnedValue::Bytes { bytes, .. } => bounded_hex(bytes),
        OwnedValue::Array(elements) => list(elements, usize::MAX, to_plain),
        OwnedValue::Each(each) => {
            let values: Vec<&OwnedValue> = each.iter().filter_map(|e| e.value.as_ref()).collect();
            list(&values, usize::MAX, |value| to_plain(value))
        }
        OwnedValue::Timer(value) => timer(value),
        OwnedValue::State(value) => state(value),
        OwnedValue::Histogram(value) => histogram(value),
        OwnedValue::Average(value) | OwnedValue::Window(value) => average(value),
        OwnedValue::Rate(value) => rates(value),
        OwnedValue::Activity(value) => activity(value),
        // Number and the time of the begin at most, 0 if it is not known.
        OwnedValue::Running(value) => format!("{}:{}", value.number, value.since.unwrap_or(0)),
        _ => UNKNOWN.to_owned(),
    }
}

/// `count=2 sum=7 min=3 max=4 last=4`, in nanoseconds.
fn timer(value: &TimerValue) -> String {
    let mut text = format!("count={} sum={}", value.count, value.sum);
    for (name, value) in [("min", value.min), ("max", value.max), ("last", value.last)] {
        if let Some(value) = value {
            let _ = write!(text, " {name}={value}");
        }
    }
    text
}

/// `[3:1767323045000000007:parse]`: number, begin (0 if it is not known) and text of each; then
/// ` contended=1 damaged=1 refused=2`, each if it is not 0.
fn activity(value: &ActivityValue) -> String {
    let mut text = list(&value.rows, usize::MAX, |row| {
        format!("{}:{}:{}", row.number, row.since.unwrap_or(0), bounded_text(&row.text))
    });
    let (contended, damaged) = (u64::from(value.contended), u64::from(value.damaged));
    let refused = value.refused.unwrap_or(0);
    for (name, n) in [("contended", contended), ("damaged", damaged), ("refused", refused)] {
        if n > 0 {
            let _ = write!(text, " {name}={n}");
        }
    }
    text
}

/// `busy`, or the number of lanes in each state: `idle=3 busy=1`.
fn state(value: &StateValue) -> String {
    if let Some(name) = single_state(value) {
        return escape::text(name).into_owned();
    }
    let states = value.iter().map(|(name, count)| format!("{}={count}", escape::text(name)));
    states.collect::<Vec<_>>().join(" ")
}

/// `count=3 sum=7 min=1 max=4 mean=2.3 p50=2 p90=4 p99=4 p99.9=4`; beyond the buckets `p99=>4`.
fn histogram(value: &HistogramValue) -> String {
    let mut text = format!("count={} sum={}", value.count(), to_plain(&value.sum().into()));
    for (name, end) in [("min", value.min()), ("max", value.max())] {
        if let Some(end) = end {
            let _ = write!(text, " {name}={}", to_plain(&end.into()));
        }
    }
    if let Some(mean) = value.mean() {
        let _ = write!(text, " mean={}", float(mean));
    }
    for (q, _, name) in QUANTILES {
        if let Some(x) = value.quantile(q) {
            let _ = write!(text, " {name}={}", quantile(x, float));
        }
    }
    text
}

/// `count=2 sum=3 mean=1.5`.
fn average(value: &AverageValue) -> String {
    let mean = value.mean().map_or_else(String::new, |mean| format!(" mean={}", float(mean)));
    format!("count={} sum={}{mean}", float(value.count), float(value.sum))
}

/// `60=12.3 300=11`: windows in seconds, rates per second.
fn rates(rates: &[WindowRate]) -> String {
    let rates = rates.iter().filter_map(|rate| Some((rate.window, rate.rate?)));
    let texts: Vec<String> = rates.map(|(window, rate)| format!("{window}={rate}")).collect();
    if texts.is_empty() { "-".to_owned() } else { texts.join(" ") }
}

fn float(x: f64) -> String {
    to_plain(&OwnedValue::F64(x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_plain_is_exact() {
        assert_eq!(to_plain(&OwnedValue::Unsigned(1_300_000)), "1300000");
        assert_eq!(to_plain(&OwnedValue::Bytes { bytes: vec![0, 255], cut: false }), "00ff");
        assert_eq!(to_plain(&OwnedValue::Rate(Vec::new())), "-");
        let idle = TimerValue { count: 0, sum: 0, min: None, max: None, last: None };
        assert_eq!(to_plain(&OwnedValue::Timer(idle)), "count=0 sum=0");
        let ends = (Some(1_000_000), Some(2_000_000));
        let busy = TimerValue { count: 2, sum: 3_000_000, min: ends.0, max: ends.1, last: ends.1 };
        assert_eq!(
            to_plain(&OwnedValue::Timer(busy)),
            "count=2 sum=3000000 min=1000000 max=2000000 last=2000000"
        );
    }

    #[test]
    fn to_plain_of_activity_counts_rows_that_cannot_be_read() {
        let mut value = ActivityValue::default();
        assert_eq!(to_plain(&OwnedValue::Activity(value.clone())), "[]");
        (value.contended, value.damaged, value.refused) = (2, 1, Some(7));
        assert_eq!(to_plain(&OwnedValue::Activity(value)), "[] contended=2 damaged=1 refused=7");
    }

    #[test]
    fn to_plain_limits_texts() {
        let text = OwnedValue::Text { text: "é".repeat(5000), cut: false };
        assert_eq!(to_plain(&text).chars().count(), 4096 + "… (10000 bytes)".chars().count());
    }
}
