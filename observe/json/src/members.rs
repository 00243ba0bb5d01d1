//! Members of JSON objects as text, and the difference of two objects.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::ParseError;

/// Maximum number of members of an object: more than a machine has fields.
const MAX_MEMBERS: usize = 1 << 20;

/// The members of a JSON object: keys, and texts of the values, in their order.
///
/// # Errors
///
/// If the text is no JSON object, or has more than 1,048,576 members.
pub fn members(text: &str) -> Result<Vec<(String, &str)>, ParseError> {
    struct Members;

    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, &'de str)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
            let mut all = Vec::new();
            while let Some((key, value)) = map.next_entry::<String, &'de RawValue>()? {
                if all.len() == MAX_MEMBERS {
                    return Err(serde::de::Error::custom(
                        "an object has more than 1048576 members",
                    ));
                }
                all.push((key, value.get()));
            }
            Ok(all)
        }
    }

    let mut json = serde_json::Deserializer::from_str(text);
    let all = json.deserialize_map(Members).map_err(ParseError::from)?;
    json.end().map_err(ParseError::from)?;
    Ok(all)
}

/// The elements of a JSON array, as texts.
///
/// # Errors
///
/// If the text is no JSON array.
pub fn elements(text: &str) -> Result<Vec<&str>, ParseError> {
    let all: Vec<&RawValue> = serde_json::from_str(text).map_err(ParseError::from)?;
    Ok(all.into_iter().map(RawValue::get).collect())
}

/// Difference of a recorded value from the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The values are equal.
    Same,
    /// An object of the members and buckets that differ, if both are objects. A removed member is `null`, a
    /// removed bucket has the count 0.
    Part(String),
    /// The new value.
    Whole,
}

/// The difference of two texts of [`RecordedValue`](crate::RecordedValue).
#[must_use]
pub fn change(before: &str, now: &str) -> Change {
    if before == now {
        return Change::Same;
    }
    if !(before.starts_with('{') && now.starts_with('{')) {
        return Change::Whole;
    }
    let (Ok(old), Ok(new)) = (members(before), members(now)) else { return Change::Whole };
    let mut text = String::from("{");
    let mut add = |key: &str, value: &str| {
        let comma = if text.len() > 1 { "," } else { "" };
        text.push_str(comma);
        text.push_str(&crate::to_text(&key));
        text.push(':');
        text.push_str(value);
    };
    for (place, (key, value)) in new.iter().enumerate() {
        // Both objects usually have the same members in the same order.
        let guess = old.get(place).filter(|(old, _)| old == key);
        match guess.or_else(|| old.iter().find(|(old, _)| old == key)) {
            Some((_, old)) if old == value => {}
            Some((_, old)) if key == "buckets" => match buckets(old, value) {
                Some(changed) => add(key, &changed),
                None => return Change::Whole,
            },
            _ => add(key, value),
        }
    }
    for (key, _) in old.iter().filter(|(key, _)| !new.iter().any(|(new, _)| new == key)) {
        add(key, "null");
    }
    text.push('}');
    Change::Part(text)
}

/// The buckets that differ.
fn buckets(before: &str, now: &str) -> Option<String> {
    let (old, new) = (elements(before).ok()?, elements(now).ok()?);
    fn number(bucket: &str) -> Option<&str> {
        Some(bucket.strip_prefix('[')?.split_once(',')?.0)
    }
    let known: HashSet<&str> = old.iter().copied().collect();
    let numbers: HashSet<Option<&str>> = new.iter().map(|bucket| number(bucket)).collect();
    // The bounds follow from the number.
    let changed = new.iter().filter(|bucket| !known.contains(**bucket));
    let changed = changed
        .filter_map(|bucket| Some(format!("[{},{}", number(bucket)?, bucket.rsplit_once(',')?.1)));
    let gone = old.iter().filter(|bucket| !numbers.contains(&number(bucket)));
    let gone = gone.filter_map(|bucket| Some(format!("[{},0]", number(bucket)?)));
    let all: Vec<String> = changed.chain(gone).collect();
    Some(format!("[{}]", all.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn change_has_members_that_differ() {
        let part = |before, now| match change(before, now) {
            Change::Part(text) => text,
            other => format!("{other:?}"),
        };
        assert_eq!(change("1", "1"), Change::Same);
        assert_eq!(change("1", "{}"), Change::Whole);
        assert_eq!(part(r#"{"a":1,"b":2}"#, r#"{"a":1,"b":3}"#), r#"{"b":3}"#);
        assert_eq!(part(r#"{"busy":1}"#, r#"{"idle":1}"#), r#"{"idle":1,"busy":null}"#);
        let (before, now) =
            (r#"{"buckets":[[1,2,3,4],[5,6,7,8]]}"#, r#"{"buckets":[[1,2,3,9],[10,6,7,8]]}"#);
        assert_eq!(part(before, now), r#"{"buckets":[[1,9],[10,8],[5,0]]}"#);
    }

    #[test]
    fn members_of_other_json_are_an_error() {
        for text in ["[]", "", "{", "{\"a\":1}x", "{\"a\"}", "null"] {
            assert!(members(text).is_err(), "{text}");
        }
        let deep = format!("{}{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
        assert!(members(&deep).is_err());
    }
}
