//! Compares a reader's document with the expected one.

use serde_json::Value;

/// The first difference between `got` and `expected`. Members of `got` that `expected` lacks are
/// ignored. Codes count only if `strict`.
pub(crate) fn difference(expected: &Value, got: &Value, strict: bool) -> Option<String> {
    at("", expected, got, strict)
}

fn at(place: &str, expected: &Value, got: &Value, strict: bool) -> Option<String> {
    match (expected, got) {
        (Value::Object(wanted), Value::Object(found)) => {
            for (key, value) in wanted {
                let Some(have) = found.get(key) else {
                    if key == "code" && !strict {
                        continue;
                    }
                    return Some(format!("{place}: no {key:?}, but {}", short(got)));
                };
                let is_code = key == "code" || (key == "damaged" && value.is_string());
                if is_code && have.is_string() && !strict {
                    continue;
                }
                let place = format!("{place}.{key}");
                if let Some(difference) = at(&place, value, have, strict) {
                    return Some(difference);
                }
            }
            // A value has one tag: another one beside it, or where there is none, is wrong.
            let tag = |key: &&String| TAGS.contains(&key.as_str()) && !wanted.contains_key(*key);
            let more = found.keys().find(tag)?;
            Some(format!("{place}: {more:?} is too much: {}", short(got)))
        }
        (Value::Array(wanted), Value::Array(found)) => {
            if wanted.len() != found.len() {
                return Some(format!("{place}: {} elements, not {}", found.len(), wanted.len()));
            }
            let mut pairs = wanted.iter().zip(found).enumerate();
            pairs.find_map(|(i, (a, b))| at(&format!("{place}[{i}]"), a, b, strict))
        }
        (a, b) if a == b => None,
        (a, b) => Some(format!("{place}: {}, not {}", short(b), short(a))),
    }
}

/// Members that say something by being there.
const TAGS: [&str; 18] = [
    "verdict", "damaged", "retired", "value", "lanes", "u8", "u16", "u32", "u64", "i8", "i16",
    "i32", "i64", "f32", "f64", "bool", "text", "bytes",
];

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(100) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::difference;
    use serde_json::json;

    #[test]
    fn what_counts() {
        let expected = json!({"a": [{"u8": "1"}, {"damaged": "count"}]});
        let same = json!({"a": [{"u8": "1"}, {"damaged": "utf8"}], "more": 1});
        assert_eq!(difference(&expected, &same, false), None);
        assert!(difference(&expected, &same, true).unwrap().contains(".a[1].damaged"));
        for other in [
            json!({"a": [{"u8": "2"}, {"damaged": "count"}]}),
            json!({"a": [{"u8": "1"}]}),
            json!({"a": [{"u8": 1}, {"damaged": "count"}]}),
            json!({"a": [{"u8": "1", "verdict": "contended"}, {"damaged": "count"}]}),
            json!({"a": [{"u8": "1"}, {"label": "x"}]}),
            json!({"b": []}),
        ] {
            assert!(difference(&expected, &other, false).is_some(), "{other}");
        }
    }
}
