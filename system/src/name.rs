//! File names: from a template, of continuation parts, and how to tell them apart.
//!
//! Nothing here touches a file.

use std::borrow::Cow;
use std::ffi::OsStr;

use super::{Error, ErrorKind, NameError, Result};

/// The environment variable with the template.
pub const VARIABLE: &str = "MMSTATS_FILES";

/// The template where the variable is not set.
///
/// The instance id makes names unique across containers, where everyone is pid 1.
pub const DEFAULT_TEMPLATE: &str = "{CMD}-{PID}-{ID}.mmst";

/// What the name of every published file ends in.
pub const SUFFIX: &str = ".mmst";

/// The most bytes a name may have: 255, less the room for the temporary name.
pub const MAX: usize = 255 - ".".len() - TEMPORARY.len() - TEMPORARY_DIGITS;

/// The most bytes that `{CMD}` stands for.
pub const MAX_COMMAND: usize = 64;

/// What the placeholders of a template stand for.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    /// `{CMD}`: the name of the program, made safe by [`sanitise`].
    pub command: &'a str,
    /// `{PID}`: the process id.
    pub pid: u32,
    /// `{TID}`: the thread id, 0 if there is none.
    pub tid: u64,
    /// `{ID}`: the instance id, as 32 hexadecimal digits.
    pub id: [u8; 16],
}

/// The template of this process: `MMSTATS_FILES`, or the default.
///
/// A value that is not UTF-8 is taken with replacement characters.
#[must_use]
pub fn template() -> String {
    of_variable(std::env::var_os(VARIABLE).as_deref())
}

/// An empty value is as none.
fn of_variable(value: Option<&OsStr>) -> String {
    match value {
        Some(value) if !value.is_empty() => value.to_string_lossy().into_owned(),
        _ => DEFAULT_TEMPLATE.to_owned(),
    }
}

/// Fills `template` in.
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
/// Where the template has an unknown placeholder or an unmatched brace, or the name it
/// gives breaks a rule of [`check`].
pub fn fill(template: &str, values: &Values<'_>) -> Result<String> {
    expand(template, values)
        .and_then(|name| check_rules(&name).map(|()| name))
        .map_err(|error| Error::pathless("make a file name", ErrorKind::Name(error)))
}

/// Checks that `name` can be the name of a published file.
///
/// # Errors
///
/// Where it has a path separator or a control character, starts with a dot, does not
/// end in [`SUFFIX`] or is longer than [`MAX`]; on Windows also where it has one of
/// `<>:"|?*` or is the name of a device.
pub fn check(name: &str) -> Result<()> {
    check_rules(name).map_err(|error| Error::pathless("use this file name", ErrorKind::Name(error)))
}

/// The name of a continuation: `x.mmst` becomes `x.1.mmst`; part 0 is the file itself.
///
/// ```
/// use mmstats_system::name::part_name;
/// assert_eq!(part_name("web-17.mmst", 0).unwrap(), "web-17.mmst");
/// assert_eq!(part_name("web-17.mmst", 2).unwrap(), "web-17.2.mmst");
/// ```
///
/// # Errors
///
/// Where `name` or the result breaks a rule of [`check`].
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

/// Whether `name` is that of a published file: it ends in `.mmst` and is not hidden.
#[must_use]
pub fn is_published(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.ends_with(SUFFIX.as_bytes()) && !name.starts_with(b".")
}

/// Whether `name` is that of a file which is being made, or was not finished.
#[must_use]
pub fn is_temporary(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let Some(start) = name.len().checked_sub(TEMPORARY_DIGITS) else { return false };
    let (head, digits) = name.split_at(start);
    let marker = [SUFFIX.as_bytes(), TEMPORARY.as_bytes()].concat();
    head.starts_with(b".") && head.ends_with(&marker) && digits.iter().all(u8::is_ascii_hexdigit)
}

/// The name under which `name` is made; `random` tells attempts apart.
#[must_use]
pub fn temporary(name: &str, random: u64) -> String {
    format!(".{name}{TEMPORARY}{random:016x}")
}

/// The name of a program, made safe for a file name.
///
/// Everything but letters, digits and `-_.+@=,` becomes `_`, a leading dot too; the
/// result has 1 to [`MAX_COMMAND`] bytes.
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

fn check_rules(name: &str) -> core::result::Result<(), NameError> {
    if name.contains(['/', '\\']) {
        return Err(NameError::Separator);
    }
    if name.contains(char::is_control) {
        return Err(NameError::Control);
    }
    // Elsewhere these mean nothing.
    if cfg!(windows) {
        check_windows(name)?;
    }
    if name.starts_with('.') {
        return Err(NameError::LeadingDot);
    }
    if !name.ends_with(SUFFIX) {
        return Err(NameError::Suffix);
    }
    if name.len() > MAX {
        return Err(NameError::TooLong { len: name.len() });
    }
    Ok(())
}

/// What Windows gives a meaning to: a colon names a stream of a file, for instance. (A dot or
/// a space at the end is lost there, but a name ends in [`SUFFIX`].)
fn check_windows(name: &str) -> core::result::Result<(), NameError> {
    if let Some(c) = name.chars().find(|c| "<>:\"|?*".contains(*c)) {
        return Err(NameError::Character(c));
    }
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    let numbered = |device: &str| {
        stem.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(device))
            && matches!(&stem[3..], "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9")
    };
    let plain = |device: &&str| stem.eq_ignore_ascii_case(device);
    if ["CON", "PRN", "AUX", "NUL"].iter().any(plain) || numbered("COM") || numbered("LPT") {
        return Err(NameError::Device);
    }
    Ok(())
}

/// Between the final name and the random digits of a temporary name.
const TEMPORARY: &str = ".tmp-";
/// Of the random number in a temporary name.
const TEMPORARY_DIGITS: usize = 16;

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
    fn default_names_have_all_facts() {
        let name = fill(DEFAULT_TEMPLATE, &VALUES).unwrap();
        assert_eq!(name, "web-17-0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f.mmst");
        assert_eq!(fill("{TID}{CMD}{CMD}.mmst", &VALUES).unwrap(), "1234webweb.mmst");
    }

    #[test]
    fn an_empty_variable_is_as_none() {
        assert_eq!(of_variable(None), DEFAULT_TEMPLATE);
        assert_eq!(of_variable(Some(OsStr::new(""))), DEFAULT_TEMPLATE);
        assert_eq!(of_variable(Some(OsStr::new("x-{ID}.mmst"))), "x-{ID}.mmst");
    }

    #[test]
    fn each_rule_has_its_error() {
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
    fn windows_has_rules_of_its_own() {
        for (name, want) in [
            ("web:17.mmst", Err(NameError::Character(':'))),
            ("a?.mmst", Err(NameError::Character('?'))),
            ("nul.mmst", Err(NameError::Device)),
            ("Com1 .x.mmst", Err(NameError::Device)),
            ("com.mmst", Ok(())),
            ("com10.mmst", Ok(())),
            ("console.mmst", Ok(())),
            ("€.mmst", Ok(())),
        ] {
            assert_eq!(check_windows(name), want, "{name}");
            // Elsewhere they mean nothing.
            if cfg!(windows) {
                assert_eq!(check_rules(name), want, "{name}");
            }
        }
    }

    #[test]
    fn longest_name_leaves_room_for_the_temporary_one() {
        let name = format!("{}.mmst", "a".repeat(MAX - 5));
        check(&name).unwrap();
        assert_eq!(temporary(&name, 1).len(), 255);
        assert!(part_name(&name, 1).is_err());
    }

    #[test]
    fn commands_are_made_safe() {
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
    fn kinds_of_names() {
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
