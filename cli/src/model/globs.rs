//! Globs for labels.

use globset::{GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};

use crate::text::escape;

/// The union of `patterns`; `None` if there are none.
///
/// # Errors
///
/// The message about a bad glob, escaped.
pub(crate) fn glob_set(patterns: &[String]) -> Result<Option<GlobSet>, String> {
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
/// As [`glob_set`].
pub(crate) fn matcher(pattern: &str) -> Result<GlobMatcher, String> {
    glob(pattern).map(|glob| glob.compile_matcher())
}

fn glob(pattern: &str) -> Result<globset::Glob, String> {
    GlobBuilder::new(pattern)
        .literal_separator(false)
        .backslash_escape(true)
        .build()
        .map_err(|error| format!("bad glob '{}': {}", escape::text(pattern), error.kind()))
}

/// Splits a list at its commas, but not inside braces and brackets: `a,{b,c}.d` is `a` and
/// `{b,c}.d`.
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
    fn split_keeps_commas_of_globs() {
        assert_eq!(split("a, b.*,,c"), ["a", "b.*", "c"]);
        assert_eq!(split("http.{get,put}.x,y"), ["http.{get,put}.x", "y"]);
        assert_eq!(split("a[,]b,c"), ["a[,]b", "c"]);
        assert_eq!(split("a\\,b"), ["a\\,b"]);
        assert!(split(" , ").is_empty());
    }

    #[test]
    fn star_matches_dots_and_slashes() {
        let set = glob_set(&["http.*".to_owned(), "*errors".to_owned()]).unwrap().unwrap();
        for label in ["http.get/x", "http.a.b", "db.errors"] {
            assert!(set.is_match(label), "{label}");
        }
        assert!(!set.is_match("db.reads"));
        assert!(glob_set(&[]).unwrap().is_none());
        assert!(glob_set(&["[".to_owned()]).unwrap_err().starts_with("bad glob '['"));
    }
}
