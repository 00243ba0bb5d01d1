//! Members of lines as values.

use serde::de::DeserializeOwned;

/// The text as a value of a type.
pub(crate) fn json<T: DeserializeOwned>(key: &str, text: &str) -> Result<T, String> {
    serde_json::from_str(text)
        .map_err(|error| format!("`{}`: {error}", mmstats_json::escape::text(key)))
}

/// Digits as a number.
pub(crate) fn number(key: &str, text: &str) -> Result<Option<u64>, String> {
    let digits: Option<String> = json(key, text)?;
    digits.map(|digits| digits.parse().map_err(|_| format!("`{key}` is no number"))).transpose()
}
