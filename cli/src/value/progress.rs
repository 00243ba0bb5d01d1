//! Activities in progress, on one line.

use std::time::SystemTime;

use mmstats_observe::{ActivityValue, EachValue, OwnedValue, RunningValue};

use super::bounded_text;
use super::human::{age, count_in_progress, cut_mark};
use crate::text::human;

/// Activities in progress, of one lane or of all, on one short line: `2, oldest 1m 03s, "parse"`, or of a
/// timer `2, oldest at least 1m 03s`, the age up to `now`; `None` for other kinds.
pub(crate) fn progress_line(value: &OwnedValue, now: SystemTime) -> Option<String> {
    let values: Vec<&ActivityValue> = match value {
        OwnedValue::Activity(value) => vec![value],
        OwnedValue::Each(each) => {
            if let Some(sum) = running_of(each) {
                return Some(running_line(&sum, now));
            }
            each.iter().filter_map(|lane| activity_of(lane.value.as_ref()?)).collect()
        }
        OwnedValue::Running(value) => return Some(running_line(value, now)),
        _ => vec![],
    };
    let count: usize = values.iter().map(|value| value.in_progress()).sum();
    let rows = || values.iter().flat_map(|value| &value.rows);
    // Of rows without a time, the first of a lane.
    let oldest = rows().filter(|row| row.since.is_some()).min_by_key(|row| row.since);
    Some(match oldest.or_else(|| rows().next()) {
        _ if values.is_empty() => return None,
        None if count == 0 => "nothing in progress".to_owned(),
        None => format!("{count} in progress"),
        Some(row) => {
            let age = human::or_dash(age(row.since, now));
            let text = bounded_text(&row.text);
            format!("{count}, oldest {age}, \"{text}\"{}", cut_mark(row.cut))
        }
    })
}

fn running_line(value: &RunningValue, now: SystemTime) -> String {
    match age(value.since, now) {
        Some(age) => {
            format!("{}, oldest at least {age}", human::grouped(&value.number.to_string()))
        }
        None => count_in_progress(value.number),
    }
}

/// The sections of all lanes, if they are listed.
fn running_of(each: &[EachValue]) -> Option<RunningValue> {
    let lanes = each.iter().filter_map(|lane| match lane.value {
        Some(OwnedValue::Running(value)) => Some(value),
        _ => None,
    });
    lanes.reduce(|mut sum, lane| {
        sum.merge(&lane);
        sum
    })
}

const fn activity_of(value: &OwnedValue) -> Option<&ActivityValue> {
    match value {
        OwnedValue::Activity(value) => Some(value),
        _ => None,
    }
}
