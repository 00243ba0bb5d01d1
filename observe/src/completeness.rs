//! Whether a reading of a program covers all of it.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

/// Age from which values that are copied from private memory are too old to be called current. The
/// publisher copies them several times a second.
const STALE: Duration = Duration::from_secs(10);

/// Parts of a program that a reading does not cover, as of the last refresh.
///
/// Its text says it in words; it is empty if the reading covers all.
///
/// ```
/// use mmstats_observe::{Observer, Sources};
///
/// let mut observer = Observer::new(Sources::new());
/// observer.refresh();
/// for program in observer.programs() {
///     let completeness = program.completeness();
///     if !completeness.is_complete() {
///         eprintln!("incomplete: {completeness}");
///     }
/// }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Completeness {
    /// Parts that exist and were not seen, or cannot be read, as ascending ranges.
    pub missing_parts: Vec<Range<u32>>,
    /// Number of parts that the program says it has, or more if more were seen; 0 if unknown.
    pub parts: u32,
    /// Lanes whose values are in no file at present.
    pub lanes_refused: u32,
    /// Fields that fit in no file.
    pub fields_refused: u32,
    /// Number of ended programs in a ledger of which something was missing.
    pub instances_incomplete: u64,
    /// Samples that were not recorded, because they are not finite, negative where the field has no
    /// negative values, or too large. Aggregates are right without them.
    pub samples_refused: u64,
    /// Age of the oldest values that are copied from memory that no reader sees; `None` if all
    /// values are read in place. Of a program that ended: up to its end.
    pub mirror_age: Option<Duration>,
}

impl Completeness {
    /// Finds the gaps in the parts that were seen, which are ascending; `said` is the number of
    /// parts by the word of part 0, 0 if it says none.
    pub(crate) fn set_parts(&mut self, seen: impl IntoIterator<Item = u32>, said: u32) {
        let mut next = 0;
        for part in seen {
            if part > next {
                self.missing_parts.push(next..part);
            }
            next = next.max(part.saturating_add(1));
        }
        if said > next {
            self.missing_parts.push(next..said);
        }
        self.parts = said.max(next);
    }

    /// Whether the reading covers the program: no part, lane or field is missing, and no value is
    /// older than it looks. Refused samples are not missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing_parts.is_empty()
            && self.lanes_refused == 0
            && self.fields_refused == 0
            && self.instances_incomplete == 0
            && !self.is_stale()
    }

    fn is_stale(&self) -> bool {
        self.mirror_age.is_some_and(|age| age >= STALE)
    }
}

impl fmt::Display for Completeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let mut item = |f: &mut fmt::Formatter<'_>, text: fmt::Arguments<'_>| {
            write!(f, "{separator}{text}")?;
            separator = "; ";
            Ok(())
        };
        if let Some(missing) = Missing::new(&self.missing_parts) {
            item(f, format_args!("{missing} of {} missing", self.parts))?;
        }
        if self.lanes_refused > 0 {
            let (count, lanes) = (self.lanes_refused, plural(self.lanes_refused, "lane"));
            item(f, format_args!("the values of {count} {lanes} are in no file"))?;
        }
        if self.fields_refused > 0 {
            let (count, fields) = (self.fields_refused, plural(self.fields_refused, "field"));
            item(f, format_args!("{count} {fields} did not fit into the files"))?;
        }
        if self.instances_incomplete > 0 {
            let count = self.instances_incomplete;
            item(f, format_args!("something of {count} ended workers is missing"))?;
        }
        if let Some(age) = self.mirror_age.filter(|_| self.is_stale()) {
            item(f, format_args!("some values are {} s old", age.as_secs()))?;
        }
        Ok(())
    }
}

/// The missing parts in words.
struct Missing<'a>(&'a [Range<u32>]);

/// Ranges that are written out.
const MAX_RANGES: usize = 4;

impl<'a> Missing<'a> {
    fn new(ranges: &'a [Range<u32>]) -> Option<Self> {
        (!ranges.is_empty()).then_some(Self(ranges))
    }
}

impl fmt::Display for Missing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = matches!(self.0, [range] if range.len() == 1);
        f.write_str(if one { "part " } else { "parts " })?;
        for (at, Range { start, end }) in self.0.iter().take(MAX_RANGES).enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            match end - start {
                0 | 1 => write!(f, "{comma}{start}")?,
                _ => write!(f, "{comma}{start} to {}", end - 1)?,
            }
        }
        let rest = self.0.iter().skip(MAX_RANGES).map(|range| u64::from(range.end - range.start));
        match rest.sum::<u64>() {
            0 => Ok(()),
            rest => write!(f, " and {rest} more"),
        }
    }
}

fn plural(count: u32, noun: &str) -> String {
    if count == 1 { noun.to_owned() } else { format!("{noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(seen: &[u32], said: u32) -> Completeness {
        let mut completeness = Completeness::default();
        completeness.set_parts(seen.iter().copied(), said);
        completeness
    }

    #[test]
    fn set_parts_finds_gaps_at_start_middle_and_end() {
        for (seen, said, want) in [
            (&[0, 1, 2][..], 3, ""),
            (&[0, 1, 2], 0, ""),
            (&[0, 1, 2], 2, ""),
            (&[1, 2], 0, "part 0 of 3 missing"),
            (&[0, 2], 3, "part 1 of 3 missing"),
            (&[0, 1], 3, "part 2 of 3 missing"),
            (&[0], 9, "parts 1 to 8 of 9 missing"),
            (&[2, 5], 0, "parts 0 to 1, 3 to 4 of 6 missing"),
            (&[0, 2, 4, 6, 8, 10], 13, "parts 1, 3, 5, 7 and 3 more of 13 missing"),
            (&[0], u32::MAX, "parts 1 to 4294967294 of 4294967295 missing"),
            (&[u32::MAX], 0, "parts 0 to 4294967294 of 4294967295 missing"),
        ] {
            let completeness = of(seen, said);
            assert_eq!(completeness.to_string(), want, "{seen:?} {said}");
            assert_eq!(completeness.is_complete(), want.is_empty(), "{seen:?} {said}");
        }
    }

    #[test]
    fn completeness_lists_all_that_is_missing() {
        let mut all = of(&[0], 2);
        (all.lanes_refused, all.fields_refused, all.samples_refused) = (1, 2, 3);
        all.mirror_age = Some(Duration::from_secs(60));
        let want = "part 1 of 2 missing; the values of 1 lane are in no file; \
                    2 fields did not fit into the files; some values are 60 s old";
        assert_eq!(all.to_string(), want);
        let recent = Some(Duration::from_secs(1));
        let fine = Completeness { samples_refused: 3, mirror_age: recent, ..of(&[0], 1) };
        assert!(fine.is_complete() && fine.to_string().is_empty());
    }
}
