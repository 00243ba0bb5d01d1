//! What lanes add up to, and quantiles, against `spec/semantics.json`.

use std::path::Path;

use mmstats_observe::{Observer, OwnedValue, Quantile, Sources};
use serde_json::Value as Json;

/// A quantile as the document writes it: a number, or `< u` or `> l`.
fn is_quantile(found: Quantile, wanted: &Json) -> bool {
    match (found, wanted) {
        (Quantile::Value(found), Json::Number(wanted)) => Some(found) == wanted.as_f64(),
        (Quantile::Below(found), Json::String(wanted)) => {
            wanted.strip_prefix("< ").and_then(|n| n.parse().ok()) == Some(found)
        }
        (Quantile::Above(found), Json::String(wanted)) => {
            wanted.strip_prefix("> ").and_then(|n| n.parse().ok()) == Some(found)
        }
        _ => false,
    }
}

#[test]
fn combined_values_are_those_of_the_document() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/fixtures");
    let text = std::fs::read_to_string(fixtures.join("../semantics.json")).unwrap();
    let entries: Vec<Json> = serde_json::from_str(&text).unwrap();
    assert!(entries.len() >= 8);
    for entry in entries {
        let name = entry["fixture"].as_str().unwrap();
        let path = fixtures.join(format!("{name}.mmst"));
        let mut observer = Observer::new(Sources::new().path(path));
        observer.refresh();
        let value = observer.files()[0].value(0).value.unwrap();
        let numbers: Vec<(&str, Option<f64>)> = match &value {
            OwnedValue::Histogram(all) => {
                for (q, wanted) in entry["quantiles"].as_object().unwrap() {
                    let found = all.quantile(q.parse().unwrap()).unwrap();
                    assert!(is_quantile(found, wanted), "{name} {q}: {found:?}, not {wanted}");
                }
                vec![("count", Some(all.count() as f64)), ("sum", Some(all.sum().as_f64()))]
            }
            OwnedValue::Average(all) => {
                vec![("count", Some(all.count)), ("sum", Some(all.sum)), ("mean", all.mean())]
            }
            OwnedValue::Timer(all) => {
                let float = |n: Option<u64>| n.map(|n| n as f64);
                vec![
                    ("count", Some(all.count as f64)),
                    ("sum", Some(all.sum as f64)),
                    ("min", float(all.min)),
                    ("max", float(all.max)),
                    ("last", float(all.last)),
                ]
            }
            OwnedValue::Running(all) => {
                let since = all.since.map(|since| since as f64);
                vec![("number", Some(all.number as f64)), ("since", since)]
            }
            other => panic!("{name}: {other:?}"),
        };
        for (key, found) in numbers {
            assert_eq!(found, entry[key].as_f64(), "{name}: {key}");
        }
    }
}
