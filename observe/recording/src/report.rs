//! Reports about threads as JSON, and the difference of two of them.

use mmstats_threads::{Finding, Report, ReportDocument};
use serde_json::{Map, Value};

use crate::parse::json;

/// Numbers of threads, of locks and of activities of a program; less of each if the text is too long.
const LIMITS: [usize; 5] = [500, 100, 20, 5, 0];
/// Maximum length of a report, in bytes.
pub(crate) const MAX_REPORT: usize = 64 << 10;
/// Maximum length of a change that a reader takes, in bytes.
const MAX_CHANGE: usize = 1 << 20;
/// Maximum memory of a report, in bytes, as [`memory`] counts it.
const MAX_MEMORY: usize = 8 << 20;
/// Memory of an object in a document beside its texts, at most, in bytes.
const OBJECT: usize = 320;
/// Least difference between two moments of a last change, in seconds: the clocks of two looks differ a little.
const SETTLED: f64 = 0.5;
/// The lists whose elements have a key, by which they are told apart.
const KEYS: [(&str, &str); 2] = [("threads", "tid"), ("locks", "number")];

/// A report as a recording has it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorded {
    value: Map<String, Value>,
    findings: Vec<Finding>,
}

impl Recorded {
    /// With the texts and moments of the report before, where they tell the same.
    pub(crate) fn new(report: Report, before: Option<&Self>) -> Self {
        let mut value = Map::new();
        for limit in LIMITS {
            let document = serde_json::to_value(ReportDocument::recorded(&report, limit));
            value = match document.map(compact) {
                Ok(Value::Object(value)) => value,
                _ => Map::new(),
            };
            if mmstats_json::to_text(&value).len() <= MAX_REPORT {
                break;
            }
        }
        let findings = report.findings;
        if let Some(before) = before {
            settle(&mut value, &before.value);
            let same = before.findings.iter().zip(&findings).all(|(a, b)| a.is_same(b));
            if same
                && before.findings.len() == findings.len()
                && let Some(texts) = before.value.get("findings")
            {
                value.insert("findings".to_owned(), texts.clone());
            }
        }
        Self { value, findings }
    }

    /// The whole report as JSON, with further members.
    pub(crate) fn text(&self, more: Map<String, Value>) -> String {
        with(&self.value, more)
    }

    /// What differs from the report before, with further members.
    pub(crate) fn change(&self, before: &Self, more: Map<String, Value>) -> String {
        with(&difference(&before.value, &self.value), more)
    }
}

fn with(value: &Map<String, Value>, mut all: Map<String, Value>) -> String {
    all.extend(value.iter().map(|(key, value)| (key.clone(), value.clone())));
    mmstats_json::to_text(&all)
}

/// Without members that are `null`, false or an empty list.
fn compact(value: Value) -> Value {
    match value {
        Value::Object(all) => {
            let is_empty = |value: &Value| match value {
                Value::Null | Value::Bool(false) => true,
                Value::Array(all) => all.is_empty(),
                _ => false,
            };
            let all = all.into_iter().map(|(key, value)| (key, compact(value)));
            Value::Object(all.filter(|(_, value)| !is_empty(value)).collect())
        }
        Value::Array(all) => Value::Array(all.into_iter().map(compact).collect()),
        other => other,
    }
}

/// Keeps moments of last changes that are the same.
fn settle(now: &mut Map<String, Value>, before: &Map<String, Value>) {
    keep_moment(now, before);
    let Some(Value::Array(old)) = before.get("threads") else { return };
    let Some(Value::Array(new)) = now.get_mut("threads") else { return };
    let mut old = old.iter().filter_map(Value::as_object).peekable();
    // Both are in the order of their ids.
    for thread in new.iter_mut().filter_map(Value::as_object_mut) {
        let Some(id) = thread.get("tid").and_then(Value::as_u64) else { continue };
        let id_of = |thread: &Map<String, Value>| thread.get("tid").and_then(Value::as_u64);
        while old.next_if(|thread| id_of(thread).is_none_or(|before| before < id)).is_some() {}
        if let Some(before) = old.peek().filter(|thread| id_of(thread) == Some(id)) {
            keep_moment(thread, before);
        }
    }
}

fn keep_moment(now: &mut Map<String, Value>, before: &Map<String, Value>) {
    let key = "quiet_since";
    let moment = |all: &Map<String, Value>| all.get(key).and_then(Value::as_f64);
    if let (Some(new), Some(old)) = (moment(now), moment(before))
        && (new - old).abs() < SETTLED
        && let Some(old) = before.get(key)
    {
        now.insert(key.to_owned(), old.clone());
    }
}

/// The key of a list, if its elements have one.
fn key_of(list: &str) -> Option<&'static str> {
    KEYS.iter().find(|(name, _)| *name == list).map(|(_, key)| *key)
}

/// The members that differ; `null` for one that went away.
fn difference(before: &Map<String, Value>, now: &Map<String, Value>) -> Map<String, Value> {
    let mut all = Map::new();
    for (key, value) in now {
        let old = before.get(key);
        if old == Some(value) {
            continue;
        }
        let change = match (old, value, key_of(key)) {
            (Some(Value::Object(old)), Value::Object(new), _) => {
                Value::Object(difference(old, new))
            }
            (Some(Value::Array(old)), Value::Array(new), Some(id)) => elements(old, new, id),
            _ => value.clone(),
        };
        all.insert(key.clone(), change);
    }
    for key in before.keys().filter(|key| !now.contains_key(*key)) {
        all.insert(key.clone(), Value::Null);
    }
    all
}

/// The elements that differ, with their ids; `gone` for one that went away. Those without an id are all there, if
/// one of them differs.
fn elements(before: &[Value], now: &[Value], id: &str) -> Value {
    let id_of = |value: &Value| value.get(id).and_then(Value::as_u64);
    let old: std::collections::HashMap<u64, &Value> =
        before.iter().filter_map(|value| Some((id_of(value)?, value))).collect();
    let mut seen = std::collections::HashSet::new();
    let mut all = Vec::new();
    for value in now {
        let Some(number) = id_of(value) else { continue };
        seen.insert(number);
        match (old.get(&number).map(|old| old.as_object()), value.as_object()) {
            (Some(Some(old)), Some(new)) => {
                let mut change = difference(old, new);
                if !change.is_empty() {
                    change.insert(id.to_owned(), number.into());
                    all.push(Value::Object(change));
                }
            }
            _ => all.push(value.clone()),
        }
    }
    for number in before.iter().filter_map(id_of).filter(|number| !seen.contains(number)) {
        all.push(serde_json::json!({ id: number, "gone": true }));
    }
    let nameless = |all: &[Value]| {
        all.iter().filter(|value| id_of(value).is_none()).cloned().collect::<Vec<_>>()
    };
    let (old, new) = (nameless(before), nameless(now));
    if new.is_empty() && !old.is_empty() {
        all.push(serde_json::json!({ "gone": true }));
    } else if old != new {
        all.extend(new);
    }
    Value::Array(all)
}

/// Takes a change into a report. The result is checked by the caller.
pub(crate) fn apply(report: &mut Map<String, Value>, text: &str) -> Result<(), String> {
    if text.len() > MAX_CHANGE {
        return Err(format!("`threads`: a program has more than {} KiB", MAX_CHANGE >> 10));
    }
    let change: Map<String, Value> = json("threads", text)?;
    for (key, change) in change {
        match (report.get_mut(&key), change, key_of(&key)) {
            (_, Value::Null, _) => drop(report.remove(&key)),
            (Some(Value::Array(old)), Value::Array(changes), Some(id)) => {
                merge_elements(old, changes, id);
            }
            (Some(Value::Object(old)), Value::Object(change), _) => merge(old, change),
            (_, value, _) => drop(report.insert(key, value)),
        }
    }
    if memory(report) > MAX_MEMORY {
        return Err(format!("`threads`: a program takes more than {} MiB", MAX_MEMORY >> 20));
    }
    Ok(())
}

fn merge(old: &mut Map<String, Value>, change: Map<String, Value>) {
    for (key, value) in change {
        match (old.get_mut(&key), value) {
            (_, Value::Null) => drop(old.remove(&key)),
            (Some(Value::Object(old)), Value::Object(change)) => merge(old, change),
            (_, value) => drop(old.insert(key, value)),
        }
    }
}

fn merge_elements(old: &mut Vec<Value>, changes: Vec<Value>, id: &str) {
    let id_of = |value: &Value| value.get(id).and_then(Value::as_u64);
    let is_gone = |value: &Value| value.get("gone") == Some(&Value::Bool(true));
    if changes.iter().any(|change| id_of(change).is_none()) {
        old.retain(|value| id_of(value).is_some());
    }
    let mut places: std::collections::HashMap<u64, usize> =
        old.iter().enumerate().filter_map(|(place, value)| Some((id_of(value)?, place))).collect();
    let mut gone = std::collections::HashSet::new();
    for change in changes {
        let number = id_of(&change);
        if is_gone(&change) {
            gone.extend(number);
            continue;
        }
        let place = number.and_then(|number| places.get(&number).copied());
        match (place.and_then(|place| old.get_mut(place)), change) {
            (Some(Value::Object(old)), Value::Object(change)) => merge(old, change),
            (_, value) => {
                places.extend(number.map(|number| (number, old.len())));
                old.push(value);
            }
        }
    }
    old.retain(|value| id_of(value).is_none_or(|number| !gone.contains(&number)));
}

/// Memory of a report, in bytes, nearly.
pub(crate) fn memory(report: &Map<String, Value>) -> usize {
    fn of(value: &Value) -> usize {
        size_of::<Value>()
            + match value {
                Value::String(text) => text.len(),
                Value::Array(all) => all.iter().map(of).sum(),
                Value::Object(all) => OBJECT + memory(all),
                _ => 0,
            }
    }
    // Beside its name an entry of a map has about this.
    report.iter().map(|(key, value)| 32 + key.len() + of(value)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(value) = value else { panic!("{value}") };
        value
    }

    fn text(value: Map<String, Value>) -> String {
        mmstats_json::to_text(&value)
    }

    #[test]
    fn change_has_what_differs_and_brings_a_report_up_to_date() {
        let a = serde_json::json!({
            "system": {"pid": 1, "state": "sleeping", "memory": 7},
            "findings": [{"code": "quiet", "text": "a"}],
            "threads": [{"name": "x"}, {"tid": 5, "name": "a", "processors": 0.1, "ready": 1.0}, {"tid": 6}],
            "locks": [{"number": 1, "acquired": 5}],
        });
        let b = serde_json::json!({
            "system": {"pid": 1, "state": "running", "memory": 7},
            "threads": [{"name": "y"}, {"tid": 5, "name": "a", "processors": 0.2}, {"tid": 7, "name": "c"}],
            "locks": [{"number": 1, "acquired": 5}],
            "activities": [1, 2],
        });
        let wanted = serde_json::json!({
            "system": {"state": "running"},
            "findings": null,
            "threads": [
                {"tid": 5, "processors": 0.2, "ready": null}, {"tid": 7, "name": "c"},
                {"tid": 6, "gone": true}, {"name": "y"},
            ],
            "activities": [1, 2],
        });
        let (a, b) = (object(a), object(b));
        let change = difference(&a, &b);
        assert_eq!(Value::Object(change.clone()), wanted);
        let sorted = |mut report: Map<String, Value>| {
            if let Some(Value::Array(all)) = report.get_mut("threads") {
                all.sort_by_key(|thread| thread.get("tid").and_then(Value::as_u64));
            }
            report
        };
        let mut merged = a.clone();
        apply(&mut merged, &text(change)).unwrap();
        assert_eq!(sorted(merged), sorted(b.clone()));
        let mut merged = b.clone();
        apply(&mut merged, &text(difference(&b, &a))).unwrap();
        assert_eq!(sorted(merged), sorted(a.clone()));
        assert!(difference(&a, &a).is_empty());
        let mut whole = Map::new();
        apply(&mut whole, &text(difference(&Map::new(), &a))).unwrap();
        assert_eq!(whole, a);
    }

    #[test]
    fn change_of_threads_without_ids_removes_those_before() {
        let (a, b) = (
            object(serde_json::json!({"threads": [{"name": "x"}, {"tid": 1}]})),
            object(serde_json::json!({"threads": [{"tid": 1}]})),
        );
        let mut merged = a.clone();
        apply(&mut merged, &text(difference(&a, &b))).unwrap();
        assert_eq!(merged, b);
    }

    #[test]
    fn report_takes_bounded_memory() {
        let mut report = Map::new();
        let mut error = Ok(());
        for n in 0..100 {
            let threads: Vec<Value> =
                (0..10_000).map(|tid| serde_json::json!({"tid": n * 10_000 + tid})).collect();
            error = apply(&mut report, &text(object(serde_json::json!({"threads": threads}))));
            if error.is_err() {
                break;
            }
        }
        assert_eq!(error, Err("`threads`: a program takes more than 8 MiB".to_owned()));
        let error = apply(&mut Map::new(), &" ".repeat(MAX_CHANGE + 1));
        assert_eq!(error, Err("`threads`: a program has more than 1024 KiB".to_owned()));
    }

    #[test]
    fn report_of_many_threads_has_bounded_text() {
        let mut report = Report::default();
        for id in 0..2_000 {
            let mut thread = mmstats_threads::Thread::default();
            (thread.id, thread.name) = (Some(id), Some("é".repeat(300)));
            report.threads.push(thread);
        }
        let recorded = Recorded::new(report, None);
        let text = recorded.text(Map::new());
        assert!(text.len() <= MAX_REPORT, "{}", text.len());
        let kept = recorded.value["threads"].as_array().unwrap().len();
        assert_eq!((kept, &recorded.value["threads_left_out"]), (100, &Value::from(1_900)));
    }

    #[test]
    fn moments_that_differ_by_the_clocks_of_looks_stay() {
        let with = |since: f64, thread: f64| {
            let threads = [serde_json::json!({"tid": 1, "quiet_since": thread})];
            object(serde_json::json!({"quiet_since": since, "threads": threads}))
        };
        let before = with(10.0, 20.0);
        let mut now = with(10.003, 20.6);
        settle(&mut now, &before);
        assert_eq!(now, with(10.0, 20.6));
    }
}
