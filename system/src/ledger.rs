//! Names and labels of ledgers: FILES.md section 3.
//!
//! A ledger has the values of the ended instances of an application. Its name says which one it is,
//! so that two processes cannot both make the next generation.

use core::fmt;
use std::ffi::OsStr;

/// Label of the constant that each instance of an application has: its name, a text.
pub const MEMBER: &str = "sys.application";
/// Label of the name of the application, a text.
pub const APPLICATION: &str = "ledger.application";
/// Label of the generation, a u64.
pub const GENERATION: &str = "ledger.generation";
/// Label of the number of instances that the ledger has taken in, a u64.
pub const INSTANCES: &str = "ledger.instances";
/// Label of the number of incomplete ones among these, a u64.
pub const INCOMPLETE: &str = "ledger.incomplete";
/// Label of the instances that were taken in and may still have files: 16 bytes each, the latest
/// last.
pub const SUPERSEDES: &str = "ledger.supersedes";
/// Number of instances that a ledger names at least: the latest, with files or without.
pub const KEPT: usize = 512;
/// Maximum length of the name of an application, in bytes.
pub const MAX_APPLICATION: usize = 255;

/// The name of a ledger: `ledger-HASH-OWNER-GENERATION.mmst`.
///
/// ```
/// use mmstats_system::ledger::LedgerName;
/// let name = LedgerName::new("shop", 1000, 7);
/// assert_eq!(name.to_string(), "ledger-46dc5e18e28e2409-1000-7.mmst");
/// assert_eq!(LedgerName::parse(name.to_string().as_ref()), Some(name));
/// assert_eq!(name.next().generation, 8);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LedgerName {
    /// FNV-1a hash, 64 bits, of the name of the application.
    pub application: u64,
    /// User id of the owner; on Windows the last number of the security identifier.
    pub owner: u32,
    /// Number of the ledger, from 1: the highest is valid.
    pub generation: u64,
}

impl LedgerName {
    /// The name of generation `generation` of the ledger that `owner` has for an application.
    #[must_use]
    pub fn new(application: &str, owner: u32, generation: u64) -> Self {
        Self { application: hash(application), owner, generation }
    }

    /// Reads a file name; `None` if it is not exactly that of a ledger. The highest number is none:
    /// no generation could follow.
    #[must_use]
    pub fn parse(name: &OsStr) -> Option<Self> {
        let text = name.to_str()?;
        let mut parts = text.strip_prefix(PREFIX)?.strip_suffix(crate::name::SUFFIX)?.split('-');
        let found = Self {
            application: u64::from_str_radix(parts.next()?, 16).ok()?,
            owner: parts.next()?.parse().ok()?,
            generation: parts.next()?.parse().ok()?,
        };
        // No second spelling of a name: no sign, no zeros in front, no further part.
        (found.to_string() == text && found.generation < u64::MAX).then_some(found)
    }

    /// Whether this is the name of a ledger of the same owner and application.
    #[must_use]
    pub const fn is_of(&self, other: &Self) -> bool {
        self.application == other.application && self.owner == other.owner
    }

    /// The name of the next generation.
    #[must_use]
    pub const fn next(self) -> Self {
        Self { generation: self.generation.saturating_add(1), ..self }
    }
}

impl fmt::Display for LedgerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { application, owner, generation } = self;
        write!(f, "{PREFIX}{application:016x}-{owner}-{generation}{}", crate::name::SUFFIX)
    }
}

/// FNV-1a, 64 bits. Source: G. Fowler, L. Noll, K.-P. Vo, RFC 9923.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

const PREFIX: &str = "ledger-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_of_known_texts_is_fnv() {
        assert_eq!(hash(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(hash("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn parse_takes_one_spelling() {
        let text = |text: &str| LedgerName::parse(text.as_ref());
        let name = LedgerName { application: 0xab, owner: 0, generation: u64::MAX - 1 };
        assert_eq!(text(&name.to_string()), Some(name));
        assert_eq!(text(&name.next().to_string()), None);
        assert_eq!(name.next().next(), name.next());
        for other in [
            "ledger-00000000000000ab-0-01.mmst",
            "ledger-00000000000000ab-0-+1.mmst",
            "ledger-00000000000000AB-0-1.mmst",
            "ledger-ab-0-1.mmst",
            "ledger-00000000000000ab-0-1-2.mmst",
            "ledger-00000000000000ab-0.mmst",
            "ledger-00000000000000ab-4294967296-1.mmst",
            "ledger-00000000000000ab-0-1.mmstats",
            "xledger-00000000000000ab-0-1.mmst",
            "",
        ] {
            assert_eq!(text(other), None, "{other}");
        }
    }
}
