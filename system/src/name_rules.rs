//! Rules for the names of published files.

use std::fmt;

/// Suffix of the name of every published file.
pub const SUFFIX: &str = ".mmst";

/// Maximum length of a name, in bytes: 255 less the room for the temporary name.
pub const MAX: usize = 255 - ".".len() - TEMPORARY.len() - TEMPORARY_DIGITS;

/// Marker between the final name and the random digits of a temporary name.
pub(crate) const TEMPORARY: &str = ".tmp-";
/// Digits of the random number in a temporary name.
pub(crate) const TEMPORARY_DIGITS: usize = 16;

/// The rule that a file name or a template breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// Unknown placeholder.
    UnknownPlaceholder {
        /// Text between the braces.
        name: String,
    },
    /// Brace without a partner.
    UnmatchedBrace {
        /// In bytes from the start of the template.
        offset: usize,
    },
    /// `/` or `\` in a name.
    Separator,
    /// Control character in a name.
    Control,
    /// Character that this system forbids in names.
    Character(char),
    /// Name that, up to its first dot, is a device on this system.
    Device,
    /// Leading dot.
    LeadingDot,
    /// Name that does not end in `.mmst`.
    Suffix,
    /// More than [`name::MAX`](crate::name::MAX) bytes.
    TooLong {
        /// In bytes.
        len: usize,
    },
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownPlaceholder { name } => write!(
                f,
                "unknown placeholder {{{}}}, known are {{CMD}}, {{PID}}, {{TID}} and {{ID}}",
                name.escape_debug()
            ),
            Self::UnmatchedBrace { offset } => {
                write!(f, "the brace at byte {offset} has no partner")
            }
            Self::Separator => f.write_str("a file name must not contain a path separator"),
            Self::Control => f.write_str("a file name must not contain control characters"),
            Self::Character(c) => write!(f, "a file name must not contain {c:?} on this system"),
            Self::Device => f.write_str("the name is that of a device on this system"),
            Self::LeadingDot => f.write_str("a file name must not start with a dot"),
            Self::Suffix => write!(f, "a file name must end in {SUFFIX}"),
            Self::TooLong { len } => write!(f, "file name of {len} bytes, the limit is {MAX}"),
        }
    }
}

impl std::error::Error for NameError {}

/// Checks that `name` can be the name of a published file.
pub(crate) fn check_rules(name: &str) -> Result<(), NameError> {
    if name.contains(['/', '\\']) {
        return Err(NameError::Separator);
    }
    if name.contains(char::is_control) {
        return Err(NameError::Control);
    }
    // Other systems allow all characters.
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

/// Characters and names with a meaning on Windows: a colon names a stream of a file, for instance.
/// (Windows drops a dot or a space at the end, but a name ends in [`SUFFIX`].)
fn check_windows(name: &str) -> Result<(), NameError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_windows_names_with_a_meaning_are_refused() {
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
            // Other systems allow all of them.
            if cfg!(windows) {
                assert_eq!(check_rules(name), want, "{name}");
            }
        }
    }
}
