//! Events: the lines of a ring with their times. FORMAT.md section 4.6.

use mmstats_core::Kind;
use mmstats_core::read::{Field, Value, Verdict as RawVerdict};

use crate::file::File;
use crate::look::Content;
use crate::problem::Damage;

/// One line of an events field, in one lane.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// Number of the line in its ring, from 1, modulo 2^32.
    pub number: u32,
    /// Nanoseconds since 1970-01-01 UTC.
    pub time: u64,
    /// What was recorded.
    pub line: Result<EventLine, Damage>,
}

/// The text of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventLine {
    /// The text; escape it.
    pub text: String,
    /// Whether the writer cut it to fit.
    pub cut: bool,
}

impl File {
    /// The readable lines of events field `index` in one lane, the oldest first: those
    /// with numbers after `seen`, or all for 0. A gap between `seen` and the first of them
    /// was overwritten, and so was one between two of them.
    ///
    /// `None` if it is no events field, damaged, retired, or not in this lane; or if bytes
    /// of the file are missing.
    #[must_use]
    pub fn events(&self, index: usize, lane: u32, seen: u32) -> Option<Vec<Event>> {
        let Content::Three(three) = self.content() else { return None };
        let field = three.good(u32::try_from(index).ok()?)?;
        if field.kind() != Some(Kind::Events) {
            return None;
        }
        let region = &three.region();
        let lane = three.header().lane(region, lane).consistent()?;
        if !lane.has(region, field) {
            return None;
        }
        let newest = lane.newest(region, field);
        let most = field.slots().saturating_sub(1).min(newest);
        // A number from the future is of another ring: the difference is more than any ring has.
        let count = most.min(newest.wrapping_sub(seen));
        let mut slot = vec![0; field.slot_size() as usize];
        let numbers = (0..count).rev().map(|back| newest.wrapping_sub(back));
        let events = numbers.filter_map(|number| {
            let read = lane.read_number(region, field, number, &mut slot);
            let slot = read.consistent()?;
            let time = slot.bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
            Some(Event { number, time, line: line(field, &slot)? })
        });
        let events = events.collect();
        self.is_whole().then_some(events)
    }
}

fn line(field: &Field, slot: &mmstats_core::read::Slot<'_>) -> Option<Result<EventLine, Damage>> {
    match slot.value(field) {
        RawVerdict::Consistent(Value::Text { text, cut }) => {
            Some(Ok(EventLine { text: text.to_owned(), cut }))
        }
        RawVerdict::Damaged(error) => Some(Err(Damage::from(error))),
        _ => None,
    }
}
