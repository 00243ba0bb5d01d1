//! The attributes of a field: FORMAT.md section 5.

use heapless::Vec;

use super::error::AttributeFault;
use crate::layout::{MAX_ATTRIBUTES, MAX_KEY, is_key_byte};

/// Maximum number of items: the shortest is a key of one byte, `=`, and the zero byte after it.
const MAX_ITEMS: usize = MAX_ATTRIBUTES.div_ceil(3);
/// Maximum number of items whose keys are compared pair by pair, without a large buffer.
const FEW: usize = 8;

/// The key and value pairs in `text`.
///
/// An item without `=` has an empty value; checked fields have no such items. An empty text has no
/// items.
///
/// ```
/// let mut pairs = mmstats_core::read::parse_attributes("method=GET\0path=/a=b");
/// assert_eq!(pairs.next(), Some(("method", "GET")));
/// assert_eq!(pairs.next(), Some(("path", "/a=b")));
/// assert_eq!(pairs.next(), None);
/// ```
#[must_use]
pub fn parse_attributes(text: &str) -> Attributes<'_> {
    Attributes { rest: if text.is_empty() { None } else { Some(text) } }
}

/// Iterator over key and value pairs: see [`parse_attributes`].
#[derive(Debug, Clone)]
pub struct Attributes<'a> {
    rest: Option<&'a str>,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest?;
        let (item, rest) = match rest.split_once('\0') {
            Some((item, rest)) => (item, Some(rest)),
            None => (rest, None),
        };
        self.rest = rest;
        Some(item.split_once('=').unwrap_or((item, "")))
    }
}

/// Checks that `text` (not empty) has the form of FORMAT.md section 5.
///
/// # Errors
///
/// The first fault and its offset in `text`. Repeated keys are looked for last.
pub fn check_attributes(text: &str) -> Result<(), (usize, AttributeFault)> {
    find_fault(text.as_bytes()).map_or(Ok(()), Err)
}

/// [`check_attributes`] in one pass over the bytes; values need not be UTF-8.
pub(super) fn find_fault(bytes: &[u8]) -> Option<(usize, AttributeFault)> {
    let mut keys: Vec<(usize, &[u8]), FEW> = Vec::new();
    let mut many = false;
    let (mut start, mut in_key) = (0, true);
    for (at, &byte) in bytes.iter().enumerate() {
        if !in_key {
            if byte == 0 {
                (start, in_key) = (at.saturating_add(1), true);
            }
        } else if byte == b'=' {
            let key = bytes.get(start..at).unwrap_or(&[]);
            if key.is_empty() || key.len() > MAX_KEY {
                return Some((start, AttributeFault::KeyLength));
            }
            many |= keys.push((start, key)).is_err();
            in_key = false;
        } else if !is_key_byte(byte) {
            let mut rest = bytes.iter().skip(at).take_while(|byte| **byte != 0);
            let equals = rest.any(|byte| *byte == b'=');
            let fault = if equals { AttributeFault::KeyByte } else { AttributeFault::NoEquals };
            return Some((start, fault));
        }
    }
    if in_key {
        return Some((start, AttributeFault::NoEquals));
    }
    let again = if many { repeated(bytes) } else { repeated_of_few(&keys) };
    again.map(|start| (start, AttributeFault::Repeated))
}

fn repeated_of_few(keys: &[(usize, &[u8])]) -> Option<usize> {
    let mut all = keys.iter().enumerate();
    let again = all.find(|(i, (_, key))| keys.iter().take(*i).any(|(_, other)| other == key));
    again.map(|(_, (start, _))| *start)
}

/// Offset of a repeated key, in well-formed items. Takes n log n steps, not n squared: a hostile
/// image can have a thousand keys in each of a million fields.
#[inline(never)] // Its stack frame is large.
fn repeated(bytes: &[u8]) -> Option<usize> {
    let mut starts: Vec<u16, MAX_ITEMS> = Vec::new();
    let mut at = 0_usize;
    for item in bytes.split(|byte| *byte == 0) {
        // Texts longer than the format allows are refused before; they are cut here.
        starts.push(u16::try_from(at).ok()?).ok()?;
        at = at.saturating_add(item.len()).saturating_add(1);
    }
    let key = |start: &u16| {
        let item = bytes.get(usize::from(*start)..).unwrap_or(&[]);
        item.split(|byte| *byte == b'=').next().unwrap_or(&[])
    };
    starts.sort_unstable_by(|at, to| key(at).cmp(key(to)).then(at.cmp(to)));
    let mut pairs = starts.iter().zip(starts.iter().skip(1));
    pairs.find(|(at, to)| key(at) == key(to)).map(|(_, to)| usize::from(*to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    #[test]
    fn parse_attributes_pairs_in_order() {
        let pairs: std::vec::Vec<_> = parse_attributes("a=1\0b=\0c=x=y").collect();
        assert_eq!(pairs, [("a", "1"), ("b", ""), ("c", "x=y")]);
        assert_eq!(parse_attributes("").count(), 0);
        assert_eq!(parse_attributes("x").next(), Some(("x", "")));
    }

    #[test]
    fn check_attributes_fault_has_offset() {
        use AttributeFault::{KeyByte, KeyLength, NoEquals, Repeated};
        let long = "k".repeat(64) + "=";
        for (text, fault) in [
            ("a", Some((0, NoEquals))),
            ("a=1\0b", Some((4, NoEquals))),
            ("a=1\0", Some((4, NoEquals))),
            ("=1", Some((0, KeyLength))),
            (long.as_str(), Some((0, KeyLength))),
            (&long[1..], None),
            ("a=1\0b c=2", Some((4, KeyByte))),
            ("a=1\0b c", Some((4, NoEquals))),
            ("a b\0c=2", Some((0, NoEquals))),
            ("a =", Some((0, KeyByte))),
            ("\u{e4}=1", Some((0, KeyByte))),
            ("a=1\0b=2\0a=3", Some((8, Repeated))),
            ("aZ09_.-=\u{e4}", None),
        ] {
            assert_eq!(check_attributes(text).err(), fault, "{text:?}");
        }
    }

    #[test]
    fn check_attributes_many_keys_repeated_key_found() {
        let mut text = String::new();
        for i in 0..500 {
            text += &std::format!("k{i}=\0");
        }
        let all = text.len();
        text += "last=1";
        assert_eq!(check_attributes(&text), Ok(()));
        text.truncate(all);
        text += "k77=1";
        assert_eq!(check_attributes(&text), Err((all, AttributeFault::Repeated)));
    }
}
