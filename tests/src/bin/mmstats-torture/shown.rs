//! Answers of `mmstats show --json`, compared with exact values, and whether they claim to be whole.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use crate::tools::{judge, tool};

/// One answer of `show --json`.
#[derive(Debug)]
pub(crate) struct Shown {
    /// Consistent values of all fields by label.
    fields: BTreeMap<String, Vec<Value>>,
    /// The first reservation: the tool says by it that not everything is there.
    reservation: Option<String>,
    programs: usize,
}

impl Shown {
    /// Asks for all programs of a directory, also ended ones.
    pub(crate) fn look(directory: &Path) -> Result<Self, String> {
        Self::look_at(directory, &["--all"], None)
    }

    /// Asks with further arguments, and takes the answer for one process.
    pub(crate) fn look_at(
        directory: &Path,
        arguments: &[&str],
        pid: Option<u32>,
    ) -> Result<Self, String> {
        let words: Vec<&str> = ["show", "--json"].iter().chain(arguments).copied().collect();
        let printed = judge(&mut tool(directory, &words), || ())?;
        let mut document: Value = match printed.out.trim() {
            "" => Value::Null,
            text => serde_json::from_str(text).map_err(|error| format!("{error}: {text}"))?,
        };
        if let (Some(pid), Some(programs)) = (pid, document["files"].as_array_mut()) {
            programs.retain(|program| program["pid"] == pid);
        }
        let mut fields: BTreeMap<String, Vec<_>> = BTreeMap::new();
        // A second name of a part that is counted once.
        let is_copy = |line: &&str| line.contains("is counted instead");
        let errors: Vec<_> = printed.err.lines().filter(|line| !is_copy(line)).collect();
        let mut reservation = match (printed.code, &errors[..]) {
            (0, []) => reservation_in(&document),
            (code, errors) => Some(format!("code {code}, {errors:?}")),
        };
        for program in document["files"].as_array().into_iter().flatten() {
            for row in program["fields"].as_array().into_iter().flatten() {
                let label = row["label"].as_str().unwrap_or_default().to_owned();
                match row["verdict"].as_str() {
                    Some("consistent") => {
                        fields.entry(label).or_default().push(row["value"].clone());
                    }
                    Some("absent" | "retired") => {}
                    // At full speed a read may find no pause.
                    verdict => {
                        reservation.get_or_insert_with(|| format!("{label} is {verdict:?}"));
                    }
                }
            }
        }
        let programs = document["files"].as_array().map_or(0, Vec::len);
        Ok(Self { fields, reservation, programs })
    }

    /// Whether a reader must take the values for all there are.
    pub(crate) fn claims_whole(&self) -> bool {
        self.reservation.is_none() && !self.fields.is_empty()
    }

    /// Why the values are not all there are, if the tool says so.
    pub(crate) fn reservation(&self) -> Option<&str> {
        self.reservation.as_deref()
    }

    pub(crate) fn shows_nothing(&self) -> bool {
        self.fields.is_empty()
    }

    /// The number shown for a label, over all its attributes.
    pub(crate) fn number(&self, label: &str) -> u64 {
        sum(self.rows(label).into_iter()).as_u64().unwrap_or(0)
    }

    /// The fields of a label; of all labels that begin so, where a `*` is at its end.
    fn rows(&self, label: &str) -> Vec<&Value> {
        let is_it = |name: &str| match label.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == label,
        };
        let named = self.fields.iter().filter(|(name, _)| is_it(name));
        named.flat_map(|(_, values)| values).collect()
    }

    /// Differences from the exact values that the role `workers` tells; `None` if there is none.
    pub(crate) fn difference(&self, truth: &Value) -> Option<String> {
        let truth = truth.as_object().expect("values by label");
        let differ = truth.iter().filter_map(|(label, right)| {
            let of_all = label.strip_prefix("sum:").or(label.ends_with('*').then_some(label));
            let values = self.rows(of_all.unwrap_or(label)).into_iter();
            let found = if of_all.is_some() {
                sum(values)
            } else if is_list_of_texts(right) {
                let mut texts: Vec<_> = values.cloned().collect();
                texts.sort_by_key(Value::to_string);
                Value::Array(texts)
            } else {
                let mut values = values.cloned();
                match (values.next(), values.next()) {
                    (Some(value), None) => value,
                    (None, _) => Value::Null,
                    (Some(one), Some(two)) => return Some(format!("{label} is {one} and {two}")),
                }
            };
            (!is_the_same(right, &found)).then(|| format!("{label} is {found}, not {right}"))
        });
        let mut differ: Vec<_> = differ.collect();
        let more = differ.len().saturating_sub(4);
        differ.truncate(4);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!differ.is_empty()).then(|| differ.join(", ") + &more)
    }

    /// Number of fields whose labels begin so.
    pub(crate) fn count(&self, beginning: &str) -> u64 {
        self.rows(&format!("{beginning}*")).len() as u64
    }

    /// Number of programs that are shown.
    pub(crate) fn programs(&self) -> usize {
        self.programs
    }
}

/// The path of the first key `incomplete` with a value.
fn reservation_in(document: &Value) -> Option<String> {
    match document {
        Value::Object(members) => members.iter().find_map(|(key, value)| {
            let empty = match value {
                Value::Null | Value::Bool(false) => true,
                Value::Array(items) => items.is_empty(),
                Value::Object(items) => items.is_empty(),
                Value::Number(number) => number.as_f64() == Some(0.0),
                Value::String(text) => text.is_empty(),
                Value::Bool(true) => false,
            };
            if key == "incomplete" && !empty {
                return Some(format!("{key}: {value}"));
            }
            // Values and attributes are the program's.
            (key != "value" && key != "attributes").then(|| reservation_in(value)).flatten()
        }),
        Value::Array(items) => items.iter().find_map(reservation_in),
        _ => None,
    }
}

fn is_list_of_texts(value: &Value) -> bool {
    value.as_array().is_some_and(|items| items.iter().all(Value::is_string))
}

/// Adds numbers, or the counts and sums of objects.
fn sum<'a>(values: impl Iterator<Item = &'a Value>) -> Value {
    values.fold(Value::Null, |sum, value| match (sum, value) {
        (Value::Null, value) => value.clone(),
        (Value::Object(one), Value::Object(two)) => ["count", "sum"]
            .iter()
            .map(|key| ((*key).to_owned(), add(&one[*key], &two[*key])))
            .collect::<Map<_, _>>()
            .into(),
        (one, two) => add(&one, two),
    })
}

fn add(one: &Value, two: &Value) -> Value {
    match (one.as_u64(), two.as_u64()) {
        (Some(one), Some(two)) => (one + two).into(),
        _ => (one.as_f64().unwrap_or(f64::NAN) + two.as_f64().unwrap_or(f64::NAN)).into(),
    }
}

/// Whether all that is right was found; `found` may say more.
fn is_the_same(right: &Value, found: &Value) -> bool {
    match (right, found) {
        (Value::Object(right), Value::Object(found)) => right
            .iter()
            .all(|(key, value)| found.get(key).is_some_and(|found| is_the_same(value, found))),
        (Value::Array(right), Value::Array(found)) => {
            right.len() == found.len()
                && right.iter().zip(found).all(|(right, found)| is_the_same(right, found))
        }
        // 3 and 3.0 are the same number.
        (Value::Number(right), Value::Number(found)) => {
            right == found || right.as_f64() == found.as_f64()
        }
        (right, found) => right == found,
    }
}
