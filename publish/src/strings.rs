//! Several strings in one allocation: a field's label and attributes, a family's values.

use std::hash::{BuildHasher, Hasher};

/// At least one string, in little memory: a program may have a million of these.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Strings {
    text: Box<str>,
    /// The end of each string but the last, in bytes.
    ends: Box<[u32]>,
}

impl Strings {
    /// `strings` has at least one string and less than 4 GiB in all.
    pub(crate) fn new<'a>(strings: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut text, mut ends) = (String::new(), Vec::new());
        for (i, string) in strings.into_iter().enumerate() {
            if i > 0 {
                ends.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
            }
            text.push_str(string);
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

    /// Whether these strings are equal to `strings`.
    #[inline]
    pub(crate) fn equals(&self, strings: &[&str]) -> bool {
        let mut rest = self.text.as_bytes();
        let mut at = 0;
        for (i, string) in strings.iter().enumerate() {
            at += string.len();
            // The lengths differ for most unequal strings.
            let ends = self.ends.get(i).map_or(self.text.len(), |&end| end as usize);
            let Some((start, more)) = rest.split_at_checked(string.len()) else { return false };
            if ends != at || start != string.as_bytes() {
                return false;
            }
            rest = more;
        }
        self.ends.len() + 1 == strings.len()
    }
}

/// The hash of strings: the same for [`Strings`] and for a slice.
#[inline]
pub(crate) fn hash<'a>(state: &impl BuildHasher, strings: impl Iterator<Item = &'a str>) -> u64 {
    let mut hasher = state.build_hasher();
    for string in strings {
        hasher.write(string.as_bytes());
        // Separates `a`, `bc` from `ab`, `c`.
        hasher.write_u8(0xFF);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_equal_only_the_same_list() {
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
            let strings = Strings::new(list.iter().copied());
            assert_eq!(strings.iter().collect::<Vec<_>>(), *list);
            assert_eq!(strings.first(), list[0]);
            assert_eq!(hash(&state, strings.iter()), hash(&state, list.iter().copied()));
            for (j, other) in lists.iter().enumerate() {
                assert_eq!(strings.equals(other), i == j, "{list:?} {other:?}");
                assert_eq!(strings == Strings::new(other.iter().copied()), i == j);
            }
        }
    }
}
