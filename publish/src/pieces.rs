//! Several strings in one allocation: a field's label and attributes, a family's values.

use std::hash::{BuildHasher, Hasher};

/// Strings one after the other.
///
/// A program may have a million of these, so they are kept small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pieces {
    text: Box<str>,
    /// Where each string but the last ends, in bytes.
    ends: Box<[u32]>,
}

impl Pieces {
    /// `pieces` has at least one string; more than 4 GiB in all are no name of anything.
    pub(crate) fn new<'a>(pieces: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut text, mut ends) = (String::new(), Vec::new());
        for (i, piece) in pieces.into_iter().enumerate() {
            if i > 0 {
                ends.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
            }
            text.push_str(piece);
        }
        Self { text: text.into(), ends: ends.into() }
    }

    pub(crate) fn first(&self) -> &str {
        self.ends.first().map_or(&self.text, |&end| &self.text[..end as usize])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        let ends = self.ends.iter().map(|&end| end as usize).chain([self.text.len()]);
        let mut start = 0;
        ends.map(move |end| &self.text[std::mem::replace(&mut start, end)..end])
    }

    /// Whether these are `pieces`.
    #[inline]
    pub(crate) fn are(&self, pieces: &[&str]) -> bool {
        let mut rest = self.text.as_bytes();
        let mut at = 0;
        for (i, piece) in pieces.iter().enumerate() {
            at += piece.len();
            // One comparison of numbers tells most strings apart.
            let ends = self.ends.get(i).map_or(self.text.len(), |&end| end as usize);
            let Some((start, more)) = rest.split_at_checked(piece.len()) else { return false };
            if ends != at || start != piece.as_bytes() {
                return false;
            }
            rest = more;
        }
        self.ends.len() + 1 == pieces.len()
    }
}

/// The hash of strings: the same for [`Pieces`] and for a slice.
#[inline]
pub(crate) fn hash<'a>(state: &impl BuildHasher, pieces: impl Iterator<Item = &'a str>) -> u64 {
    let mut hasher = state.build_hasher();
    for piece in pieces {
        hasher.write(piece.as_bytes());
        // So that `a`, `bc` and `ab`, `c` differ.
        hasher.write_u8(0xFF);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_come_back_and_are_told_apart() {
        let lists: [&[&str]; 9] = [
            &["a"],
            &[""],
            &["a", ""],
            &["", "a"],
            &["ab", "c"],
            &["a", "bc"],
            &["abc"],
            &["a", "b", "c"],
            &["", "", ""],
        ];
        let state = hashbrown::DefaultHashBuilder::default();
        for (i, list) in lists.iter().enumerate() {
            let pieces = Pieces::new(list.iter().copied());
            assert_eq!(pieces.iter().collect::<Vec<_>>(), *list);
            assert_eq!(pieces.first(), list[0]);
            assert_eq!(hash(&state, pieces.iter()), hash(&state, list.iter().copied()));
            for (j, other) in lists.iter().enumerate() {
                assert_eq!(pieces.are(other), i == j, "{list:?} {other:?}");
                assert_eq!(pieces == Pieces::new(other.iter().copied()), i == j);
            }
        }
    }
}
