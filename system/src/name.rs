//! Names of published files, of their continuation parts and of temporary files.

use std::borrow::Cow;
use std::ffi::OsStr;

use crate::error::{Error, ErrorKind, Result};
use crate::name_rules::{NameError, TEMPORARY, TEMPORARY_DIGITS, check_rules};

pub use crate::name_rules::{MAX, SUFFIX};
pub use crate::variables::FILE_NAMES as VARIABLE;

/// Template where the variable is not set.
///
/// The instance id makes names unique across containers, where every program is pid 1.
pub const DEFAULT_TEMPLATE: &str = "{CMD}-{PID}-{ID}.mmst";

/// Maximum length of the text for `{CMD}`, in bytes.
pub const MAX_COMMAND: usize = 64;

/// Values of the placeholders of a template.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    /// `{CMD}`: name of the program; [`sanitise`] is applied.
    pub command: &'a str,
    /// `{PID}`: process id.
    pub pid: u32,
    /// `{TID}`: thread id, or 0.
    pub tid: u64,
    /// `{ID}`: instance id, as 32 hexadecimal digits.
    pub id: [u8; 16],
}

/// Makes a file name from `template`.
///
/// ```
/// use mmstats_system::name::{Values, fill};
/// let values = Values { command: "web server", pid: 17, tid: 18, id: [0xab; 16] };
/// assert_eq!(fill("{CMD}-{PID}.mmst", &values).unwrap(), "web_server-17.mmst");
/// assert!(fill("{USER}.mmst", &values).unwrap_err().to_string().contains("{USER}"));
/// ```
///
/// # Errors
///
/// If the template has an unknown placeholder or an unmatched brace, or the name breaks a rule of
/// [`check`].
pub fn fill(template: &str, values: &Values<'_>) -> Result<String> {
    expand(template, values)
        .and_then(|name| check_rules(&name).map(|()| name))
        .map_err(|error| Error::without_path("make a file name", ErrorKind::Name(error)))
}

/// Checks that `name` can be the name of a published file.
///
/// # Errors
///
/// If the name has a path separator or a control character, starts with a dot, does not end in
/// [`SUFFIX`] or is longer than [`MAX`]; on Windows also if it has one of `<>:"|?*` or is the name of
/// a device.
pub fn check(name: &str) -> Result<()> {
    check_rules(name)
        .map_err(|error| Error::without_path("use this file name", ErrorKind::Name(error)))
}

/// Name of a continuation part: `x.mmst` becomes `x.1.mmst`; part 0 has the name itself.
///
/// ```
/// use mmstats_system::name::part_name;
/// assert_eq!(part_name("web-17.mmst", 0).unwrap(), "web-17.mmst");
/// assert_eq!(part_name("web-17.mmst", 2).unwrap(), "web-17.2.mmst");
/// ```
///
/// # Errors
///
/// If `name` or the result breaks a rule of [`check`].
pub fn part_name(name: &str, part: u32) -> Result<String> {
    check(name)?;
    if part == 0 {
        return Ok(name.to_owned());
    }
    let stem = name.strip_suffix(SUFFIX).unwrap_or(name);
    let name = format!("{stem}.{part}{SUFFIX}");
    check(&name)?;
    Ok(name)
}

/// The part of a name that all files of a program have, by the rule of [`part_name`].
///
/// ```
/// use mmstats_system::name::without_part;
/// assert_eq!(without_part("web-17.2.mmst".as_ref()), "web-17");
/// assert_eq!(without_part("web-17.mmst".as_ref()), "web-17");
/// ```
#[must_use]
pub fn without_part(name: &OsStr) -> &OsStr {
    let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)) else { return name };
    match stem.rsplit_once('.') {
        Some((first, part))
            if !first.is_empty()
                && !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_digit()) =>
        {
            first.as_ref()
        }
        _ => stem.as_ref(),
    }
}

/// Whether `name` is that of a published file: it ends in `.mmst` and has no leading dot.
#[must_use]
pub fn is_published(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.ends_with(SUFFIX.as_bytes()) && !name.starts_with(b".")
}

/// Whether `name` is that of a file before its publication.
#[must_use]
pub fn is_temporary(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let Some(start) = name.len().checked_sub(TEMPORARY_DIGITS) else { return false };
    let (head, digits) = name.split_at(start);
    let marker = [SUFFIX.as_bytes(), TEMPORARY.as_bytes()].concat();
    head.starts_with(b".") && head.ends_with(&marker) && digits.iter().all(u8::is_ascii_hexdigit)
}

/// The name that a file has or will have when it is published, by its name now; `None` if it is
/// neither a published nor a temporary one, or not UTF-8.
///
/// ```
/// use mmstats_system::name::final_name;
/// assert_eq!(final_name(".x.mmst.tmp-0123456789abcdef".as_ref()), Some("x.mmst"));
/// assert_eq!(final_name("x.mmst".as_ref()), Some("x.mmst"));
/// assert_eq!(final_name("x.so".as_ref()), None);
/// ```
#[must_use]
pub fn final_name(name: &OsStr) -> Option<&str> {
    let text = name.to_str()?;
    if is_temporary(name) {
        return text.get(1..text.len() - TEMPORARY_DIGITS - TEMPORARY.len());
    }
    is_published(name).then_some(text)
}

/// Temporary name of the file `name` before its publication; `random` distinguishes attempts.
#[must_use]
pub fn temporary(name: &str, random: u64) -> String {
    format!(".{name}{TEMPORARY}{random:016x}")
}

/// Replaces characters of a program name that are not safe in a file name.
///
/// All characters but letters, digits and `-_.+@=,` become `_`, as does a leading dot. The result
/// has 1 to [`MAX_COMMAND`] bytes.
///
/// ```
/// use mmstats_system::name::sanitise;
/// assert_eq!(sanitise("../a b"), "_._a_b");
/// assert_eq!(sanitise(""), "unknown");
/// ```
#[must_use]
pub fn sanitise(command: &str) -> Cow<'_, str> {
    let safe = |c: char| c.is_alphanumeric() || "-_.+@=,".contains(c);
    if command.is_empty() {
        return Cow::Borrowed("unknown");
    }
    let mut name = String::new();
    for (at, c) in command.chars().enumerate() {
        let c = if safe(c) && !(at == 0 && c == '.') { c } else { '_' };
        if name.len() + c.len_utf8() > MAX_COMMAND {
            break;
        }
        name.push(c);
    }
    if name == command { Cow::Borrowed(command) } else { Cow::Owned(name) }
}

fn expand(template: &str, values: &Values<'_>) -> core::result::Result<String, NameError> {
    let mut name = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let offset = template.len() - rest.len() + at;
        let unmatched = NameError::UnmatchedBrace { offset };
        name.push_str(&rest[..at]);
        let Some(inner) = rest[at..].strip_prefix('{') else { return Err(unmatched) };
        let Some((placeholder, after)) = inner.split_once('}') else { return Err(unmatched) };
        match placeholder {
            "CMD" => name.push_str(&sanitise(values.command)),
            "PID" => name.push_str(&values.pid.to_string()),
            "TID" => name.push_str(&values.tid.to_string()),
            "ID" => name.push_str(&format!("{:032x}", u128::from_be_bytes(values.id))),
            unknown => {
                return Err(NameError::UnknownPlaceholder { name: unknown.to_owned() });
            }
        }
        rest = after;
    }
    name.push_str(rest);
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: Values<'_> = Values { command: "web", pid: 17, tid: 1234, id: [0x0f; 16] };

    fn broken_rule(template: &str, values: &Values<'_>) -> NameError {
        match fill(template, values).map_err(|e| e.kind().clone()) {
            Err(ErrorKind::Name(error)) => error,
            other => panic!("{template}: {other:?}"),
        }
    }

    #[test]
    fn fill_default_template_has_command_pid_and_id() {
        let name = fill(DEFAULT_TEMPLATE, &VALUES).unwrap();
        assert_eq!(name, "web-17-0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f.mmst");
        assert_eq!(fill("{TID}{CMD}{CMD}.mmst", &VALUES).unwrap(), "1234webweb.mmst");
    }

    #[test]
    fn fill_broken_rule_has_its_error() {
        let unknown = NameError::UnknownPlaceholder { name: "cmd".to_owned() };
        assert_eq!(broken_rule("{cmd}.mmst", &VALUES), unknown);
        assert_eq!(broken_rule("a{CMD.mmst", &VALUES), NameError::UnmatchedBrace { offset: 1 });
        assert_eq!(broken_rule("{PID}}.mmst", &VALUES), NameError::UnmatchedBrace { offset: 5 });
        assert_eq!(broken_rule("a/{PID}.mmst", &VALUES), NameError::Separator);
        assert_eq!(broken_rule("a\u{7}{PID}.mmst", &VALUES), NameError::Control);
        assert_eq!(broken_rule("a\0.mmst", &VALUES), NameError::Control);
        assert_eq!(broken_rule(".{PID}.mmst", &VALUES), NameError::LeadingDot);
        assert_eq!(broken_rule(".mmst", &VALUES), NameError::LeadingDot);
        assert_eq!(broken_rule("{PID}.txt", &VALUES), NameError::Suffix);
        assert_eq!(broken_rule("", &VALUES), NameError::Suffix);
        let long = format!("{}.mmst", "a".repeat(MAX));
        assert_eq!(broken_rule(&long, &VALUES), NameError::TooLong { len: MAX + 5 });
    }

    #[test]
    fn temporary_of_longest_name_has_255_bytes() {
        let name = format!("{}.mmst", "a".repeat(MAX - 5));
        check(&name).unwrap();
        assert_eq!(temporary(&name, 1).len(), 255);
        assert!(part_name(&name, 1).is_err());
    }

    #[test]
    fn sanitise_unsafe_characters_become_underscores() {
        for (command, want) in [
            ("web", "web"),
            ("a/b", "a_b"),
            (".hidden", "_hidden"),
            ("x\u{1b}[2J", "x__2J"),
            ("{PID}", "_PID_"),
            ("\u{202e}evil", "_evil"),
            ("größe", "größe"),
        ] {
            assert_eq!(sanitise(command), want);
        }
        let longest = "a".repeat(MAX_COMMAND);
        assert_eq!(sanitise(&longest), longest);
        assert_eq!(sanitise(&(longest.clone() + "b")), longest);
        // 64 bytes fall into the middle of a character.
        let long = sanitise(&"ü€".repeat(40)).into_owned();
        assert!(long.len() <= MAX_COMMAND && long.len() > MAX_COMMAND - 4, "{}", long.len());
        let values = Values { command: "../../etc/x", ..VALUES };
        assert_eq!(fill("{CMD}.mmst", &values).unwrap(), "_._.._etc_x.mmst");
    }

    #[test]
    fn is_published_and_is_temporary_exclude_each_other() {
        let name = "web-17.mmst";
        let temporary = temporary(name, 0xdead_beef);
        assert!(is_published(OsStr::new(name)));
        assert!(!is_temporary(OsStr::new(name)));
        assert!(is_temporary(OsStr::new(&temporary)));
        assert!(!is_published(OsStr::new(&temporary)));
        for other in [".mmst", "x.mmst.bak", ".x.mmst", "mmst", "", ".x.mmst.tmp-xyz"] {
            assert!(!is_published(OsStr::new(other)), "{other}");
            assert!(!is_temporary(OsStr::new(other)), "{other}");
        }
    }
}
