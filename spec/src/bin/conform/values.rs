//! Runs a reader over the cases of level values: directories of images, and what they add up to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::run::{command, wait};

type Error = Box<dyn std::error::Error>;

/// Stands for the number of the user in the names of images.
const OWNER: &str = "@OWNER@";
/// Members of a field by which it is found.
const NAMES: [&str; 6] = ["label", "unit", "attributes", "type", "kind", "aggregation"];
/// Relative difference of two numbers that are the same: the order of additions is free.
const NEAR: f64 = 1e-12;

/// Whether the reader has the expected values in all cases.
pub(crate) fn values(reader: &str, place: &Path, limit: Duration) -> Result<bool, Error> {
    let entries = fs::read_dir(place).map_err(|e| format!("{}: {e}", place.display()))?;
    let mut cases: Vec<PathBuf> =
        entries.map(|entry| Ok(entry?.path())).collect::<Result<_, Error>>()?;
    cases.retain(|case| case.join("expected.json").is_file());
    cases.sort();
    let mut failed = 0;
    for case in &cases {
        if let Err(why) = one(reader, case, limit)? {
            println!("FAILED {}: {why}", case.file_name().unwrap_or_default().display());
            failed += 1;
        }
    }
    println!("{} passed, {failed} failed, 0 skipped", cases.len() - failed);
    Ok(failed == 0 && !cases.is_empty())
}

fn one(reader: &str, case: &Path, limit: Duration) -> Result<Result<(), String>, Error> {
    let expected: Value = serde_json::from_slice(&fs::read(case.join("expected.json"))?)?;
    let directory = tempfile::tempdir()?;
    copy(case, directory.path())?;
    let mut command = command(reader, "", directory.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    Ok(wait(&mut child, limit).and_then(|(status, out, err)| {
        if status.code() != Some(0) {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&err).trim()));
        }
        let got = serde_json::from_slice(&out).map_err(|e| format!("no JSON: {e}"))?;
        compare(&expected, &got)
    }))
}

/// Copies the images, with the number of this user in their names.
fn copy(case: &Path, to: &Path) -> Result<(), Error> {
    let owner = owner(to)?;
    for entry in fs::read_dir(case)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "mmst") {
            let name = path.file_name().and_then(|name| name.to_str()).ok_or("no UTF-8")?;
            fs::copy(&path, to.join(name.replace(OWNER, &owner)))?;
        }
    }
    Ok(())
}

#[cfg(unix)] // has owners
fn owner(of: &Path) -> Result<String, Error> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(fs::metadata(of)?.uid().to_string())
}

#[cfg(not(unix))] // as above; 0 where there is none
fn owner(_: &Path) -> Result<String, Error> {
    Ok("0".to_owned())
}

fn compare(expected: &Value, got: &Value) -> Result<(), String> {
    if expected["complete"] != got["complete"] {
        return Err(format!("complete is {}, not {}", got["complete"], expected["complete"]));
    }
    let fields = |of: &Value| of["fields"].as_array().cloned().unwrap_or_default();
    let (wanted, found) = (fields(expected), fields(got));
    let of_label = |of: &[Value], label: &Value| of.iter().filter(|f| f["label"] == *label).count();
    for field in &wanted {
        let label = &field["label"];
        let (here, there) = (of_label(&found, label), of_label(&wanted, label));
        if here != there {
            return Err(format!("{label} stands {here} times, not {there} times"));
        }
        let same_names = |f: &&Value| NAMES.iter().all(|name| f[*name] == field[*name]);
        let candidates: Vec<&Value> = found.iter().filter(same_names).collect();
        let same_value =
            |f: &&Value| f["verdict"] == field["verdict"] && is_same(&field["value"], &f["value"]);
        if !candidates.iter().any(same_value) {
            let Some(first) = candidates.first() else { return Err(format!("no field {field}")) };
            return Err(format!(
                "{label} is {} {}, not {} {}",
                first["verdict"], first["value"], field["verdict"], field["value"]
            ));
        }
    }
    Ok(())
}

/// Whether all that is expected is there; states, rates and numbers that are not expected must not be.
fn is_same(expected: &Value, got: &Value) -> bool {
    match (expected, got) {
        (Value::Object(expected), Value::Object(got)) => {
            let is_whole = |name: &str| name == "states" || name == "rates";
            let same_size = |name: &str, of: &Value, map: &Map<String, Value>| {
                !is_whole(name)
                    || of.as_object().map(Map::len) == map[name].as_object().map(Map::len)
            };
            expected.iter().all(|(name, value)| {
                let found = got.get(name).unwrap_or(&Value::Null);
                is_same(value, found) && same_size(name, found, expected)
            })
        }
        (Value::Array(expected), Value::Array(got)) => {
            expected.len() == got.len() && expected.iter().zip(got).all(|(e, g)| is_same(e, g))
        }
        (Value::String(expected), Value::String(got)) => is_number(expected, got),
        _ => expected == got,
    }
}

/// Numbers and bounds, `< u` or `> l`: integers exactly, others nearly.
fn is_number(expected: &str, got: &str) -> bool {
    let split = |text: &str| match text.split_once(' ') {
        Some((sign, number)) => (sign.to_owned(), number.to_owned()),
        None => (String::new(), text.to_owned()),
    };
    let ((sign, expected), (other, got)) = (split(expected), split(got));
    if sign != other {
        return false;
    }
    match (
        expected.parse::<u128>(),
        got.parse::<u128>(),
        expected.parse::<f64>(),
        got.parse::<f64>(),
    ) {
        (Ok(expected), Ok(got), ..) => expected == got,
        (_, _, Ok(expected), Ok(got)) => {
            expected.is_nan() && got.is_nan()
                || (expected - got).abs() <= NEAR * expected.abs().max(got.abs())
        }
        _ => expected == got,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_that_differ_are_found() {
        for (expected, got, same) in [
            ("5", "5", true),
            ("5", "5.0", true),
            ("5.333333333333333", "5.333333333333334", true),
            ("5.3", "5.4", false),
            ("36893488147419103231", "36893488147419103232", false),
            ("> 4", "> 4.0", true),
            ("> 4", "< 4", false),
            ("> 4", "4", false),
            ("NaN", "NaN", true),
            ("NaN", "0", false),
        ] {
            assert_eq!(is_number(expected, got), same, "{expected}, {got}");
        }
    }

    #[test]
    fn fields_that_differ_are_found() {
        let field = |label: &str, value: &str| {
            json!({"label": label, "unit": "", "attributes": {}, "type": "u64", "kind": "counter",
                   "aggregation": "sum", "verdict": "consistent", "value": {"number": value}})
        };
        let expected = json!({"complete": true, "fields": [field("a", "1")]});
        assert_eq!(compare(&expected, &expected), Ok(()));
        for got in [
            json!({"complete": false, "fields": [field("a", "1")]}),
            json!({"complete": true, "fields": []}),
            json!({"complete": true, "fields": [field("a", "2")]}),
            json!({"complete": true, "fields": [field("a", "1"), field("a", "1")]}),
        ] {
            assert!(compare(&expected, &got).is_err(), "{got}");
        }
        let more = json!({"complete": true, "fields": [field("b", "7"), field("a", "1")]});
        assert_eq!(compare(&expected, &more), Ok(()));
    }
}
