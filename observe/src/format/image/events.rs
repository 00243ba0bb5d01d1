//! Reads the ring of an events field: FORMAT.md section 4.6.

use mmstats_core::Kind;
use mmstats_core::read::{Field, Slot, Value, Verdict};

use super::mapped::Image;
use crate::problem::Damage;
use crate::value::{Event, EventLine};

/// The readable lines after number `seen`, oldest first; `None` if `index` is no events field
/// of the lane.
pub(super) fn events(image: &Image, index: u32, lane: u32, seen: u32) -> Option<Vec<Event>> {
    let field = image.good(index).filter(|field| field.kind() == Some(Kind::Events))?;
    let region = &image.region();
    let lane = image.claimed(lane).consistent()?;
    if !lane.has(region, field) {
        return None;
    }
    let newest = lane.newest(region, field);
    let most = field.slots().saturating_sub(1).min(newest);
    // A number above `newest` belongs to another ring; the wrapped difference exceeds `most`.
    let count = most.min(newest.wrapping_sub(seen));
    let mut slot = vec![0; field.slot_size() as usize];
    let numbers = (0..count).rev().map(|back| newest.wrapping_sub(back));
    let events = numbers.filter_map(|number| {
        let slot = lane.read_number(region, field, number, &mut slot).consistent()?;
        let time = slot.bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        Some(Event { number, time, line: line(field, &slot)? })
    });
    Some(events.collect())
}

fn line(field: &Field, slot: &Slot<'_>) -> Option<Result<EventLine, Damage>> {
    match slot.value(field) {
        Verdict::Consistent(Value::Text { text, cut }) => {
            Some(Ok(EventLine { text: text.to_owned(), cut }))
        }
        Verdict::Damaged(error) => Some(Err(Damage::from(error))),
        _ => None,
    }
}
