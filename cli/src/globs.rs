//! Globs for labels.

use globset::{GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};

use crate::escape;

/// A set that matches what any of `patterns` does; `None` if there are none.
///
/// # Errors
///
/// The text of the complaint, escaped.
pub(crate) fn any(patterns: &[String]) -> Result<Option<GlobSet>, String> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(glob(pattern)?);
    }
    set.build().map(Some).map_err(|error| escape::text(&error.to_string()).into_owned())
}

/// One glob.
///
/// # Errors
///
/// As [`any`].
pub(crate) fn one(pattern: &str) -> Result<GlobMatcher, String> {
    glob(pattern).map(|glob| glob.compile_matcher())
}

fn glob(pattern: &str) -> Result<globset::Glob, String> {
    GlobBuilder::new(pattern)
        .literal_separator(false)
        .backslash_escape(true)
        .build()
        .map_err(|error| format!("bad glob '{}': {}", escape::text(pattern), error.kind()))
}

/// `a,{b,c}.d` as `a` and `{b,c}.d`: commas in braces and brackets belong to the glob.
pub(crate) fn split(list: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut braces, mut bracket, mut escaped) = (0_u32, false, false);
    for c in list.chars() {
        let separates = c == ',' && braces == 0 && !bracket && !escaped;
        if separates {
            parts.push(String::new());
            continue;
        }
        match c {
            _ if escaped => {}
            '{' if !bracket => braces += 1,
            '}' if !bracket => braces = braces.saturating_sub(1),
            '[' => bracket = true,
            ']' => bracket = false,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    parts.iter().map(|part| part.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_braces_stay() {
        assert_eq!(split("a, b.*,,c"), ["a", "b.*", "c"]);
        assert_eq!(split("http.{get,put}.x,y"), ["http.{get,put}.x", "y"]);
        assert_eq!(split("a[,]b,c"), ["a[,]b", "c"]);
        assert_eq!(split("a\\,b"), ["a\\,b"]);
        assert!(split(" , ").is_empty());
    }

    #[test]
    fn a_star_crosses_dots_and_slashes() {
        let set = any(&["http.*".to_owned(), "*errors".to_owned()]).unwrap().unwrap();
        for label in ["http.get/x", "http.a.b", "db.errors"] {
            assert!(set.is_match(label), "{label}");
        }
        assert!(!set.is_match("db.reads"));
        assert!(any(&[]).unwrap().is_none());
        assert!(any(&["[".to_owned()]).unwrap_err().starts_with("bad glob '['"));
    }
}
