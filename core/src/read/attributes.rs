//! The attributes of a field: FORMAT.md section 5.

use heapless::Vec;

use super::error::AttributeFault;
use crate::layout::{MAX_ATTRIBUTES, MAX_KEY};

/// Most items: the shortest is a one-byte key, `=`, and the zero byte after it.
const MAX_ITEMS: usize = MAX_ATTRIBUTES.div_ceil(3);
/// Up to here comparing each key with each is faster than sorting.
const FEW: usize = 12;

/// The key and value pairs in `text`.
///
/// Items without `=` have an empty value, an empty text has no items; the text of a
/// checked field has neither fault.
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
/// Where in `text` the first fault is, and what it is. Keys are compared last.
pub fn check_attributes(text: &str) -> Result<(), (usize, AttributeFault)> {
    let mut starts: Vec<u16, MAX_ITEMS> = Vec::new();
    let mut rest = text.as_bytes();
    loop {
        let at = text.len().saturating_sub(rest.len());
        let key = rest.iter().take_while(|b| is_key(**b)).count();
        match rest.get(key) {
            Some(b'=') if (1..=MAX_KEY).contains(&key) => {}
            Some(b'=') => return Err((at, AttributeFault::KeyLength)),
            Some(b) if *b != 0 && rest.iter().take_while(|b| **b != 0).any(|b| *b == b'=') => {
                return Err((at, AttributeFault::KeyByte));
            }
            _ => return Err((at, AttributeFault::NoEquals)),
        }
        // Longer texts than the format allows have no reader; they are cut here.
        if starts.push(u16::try_from(at).unwrap_or(u16::MAX)).is_err() {
            break;
        }
        match rest.iter().position(|b| *b == 0) {
            Some(end) => rest = rest.get(end.saturating_add(1)..).unwrap_or(&[]),
            None => break,
        }
    }
    repeated(text, &mut starts).map_or(Ok(()), |at| Err((at, AttributeFault::Repeated)))
}

const fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

/// Where a key stands for the second time. Time grows as n log n, not as n squared:
/// a hostile image can have a thousand keys in each of a million fields.
fn repeated(text: &str, starts: &mut [u16]) -> Option<usize> {
    let key = |start: &u16| {
        let item = text.as_bytes().get(usize::from(*start)..).unwrap_or(&[]);
        item.split(|b| *b == b'=').next().unwrap_or(&[])
    };
    if starts.len() <= FEW {
        let again = starts
            .iter()
            .enumerate()
            .find(|(i, start)| starts.iter().take(*i).any(|before| key(before) == key(start)));
        return again.map(|(_, start)| usize::from(*start));
    }
    starts.sort_unstable_by(|x, y| key(x).cmp(key(y)).then(x.cmp(y)));
    let mut pairs = starts.iter().zip(starts.iter().skip(1));
    pairs.find(|(x, y)| key(x) == key(y)).map(|(_, y)| usize::from(*y))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    #[test]
    fn pairs_come_out() {
        let pairs: std::vec::Vec<_> = parse_attributes("a=1\0b=\0c=x=y").collect();
        assert_eq!(pairs, [("a", "1"), ("b", ""), ("c", "x=y")]);
        assert_eq!(parse_attributes("").count(), 0);
        assert_eq!(parse_attributes("x").next(), Some(("x", "")));
    }

    #[test]
    fn each_fault_has_its_place() {
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
            ("\u{e4}=1", Some((0, KeyByte))),
            ("a=1\0b=2\0a=3", Some((8, Repeated))),
            ("aZ09_.-=\u{e4}", None),
        ] {
            assert_eq!(check_attributes(text).err(), fault, "{text:?}");
        }
    }

    #[test]
    fn many_keys_are_compared_too() {
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
