//! Globs for labels.

use globset::{ErrorKind, GlobBuilder, GlobMatcher};

use crate::text::escape;

/// One glob.
///
/// # Errors
///
/// The message about a bad glob, escaped.
pub(crate) fn matcher(pattern: &str) -> Result<GlobMatcher, String> {
    GlobBuilder::new(pattern)
        .literal_separator(false)
        .backslash_escape(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| format!("bad glob '{}': {}", escape::text(pattern), reason(error.kind())))
}

fn reason(kind: &ErrorKind) -> String {
    match kind {
        ErrorKind::UnclosedAlternates | ErrorKind::UnopenedAlternates => {
            "a brace has no other one; attributes are written {key=\"value\"}, within quotes of the shell".to_owned()
        }
        kind => kind.to_string(),
    }
}

/// Splits a list at its commas, but not inside braces, brackets and, in braces, quotes: `a,{b,c}.d`
/// is `a` and `{b,c}.d`.
pub(crate) fn split(list: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut braces, mut bracket, mut quoted, mut escaped) = (0_u32, false, false, false);
    for c in list.chars() {
        let separates = c == ',' && braces == 0 && !bracket && !escaped;
        if separates {
            parts.push(String::new());
            continue;
        }
        match c {
            _ if escaped => {}
            '"' if braces > 0 => quoted = !quoted,
            _ if quoted => {}
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
        assert_eq!(split("a{b=\"},\",c=d},e"), ["a{b=\"},\",c=d}", "e"]);
        assert!(split(" , ").is_empty());
    }

    #[test]
    fn star_matches_dots_and_slashes() {
        let glob = matcher("http.*").unwrap();
        assert!(glob.is_match("http.get/x") && glob.is_match("http.a.b"));
        assert!(!glob.is_match("db.reads"));
        assert!(matcher("[").unwrap_err().starts_with("bad glob '['"));
    }
}
