//! Rules for the cells of a written image: FORMAT.md sections 6 and 7, PROTOCOL.md section 2.

use super::description::Field;
use super::image::{Descriptor, Image};

/// Checks the cell of a field in the lane that begins at `lane`.
pub(super) fn check(image: &mut Image<'_>, lane: usize, field: &Field, d: &Descriptor) {
    let at = lane + d.place;
    match field.storage {
        "constant" => {}
        "atomic" => {
            image.mark(at, 8);
            if field.is_absent() {
                image.zero("unused", &name(field), at, 8);
            } else if field.element_size() < 8 {
                image.zero("reserved", &name(field), at + 4, 4);
            }
        }
        _ => slots(image, at, field, d),
    }
}

fn name(field: &Field) -> String {
    format!("the cell of {:?}", field.label)
}

/// A latched cell or a journal.
fn slots(image: &mut Image<'_>, at: usize, field: &Field, d: &Descriptor) {
    let what = name(field);
    let slots = 1_usize << d.slot_bits.min(16);
    let elements = if field.storage == "journal" { 8 * field.count.unwrap_or(0) } else { 0 };
    let size = 8 + slots * d.slot_size + elements;
    // A member comes after the first of its group, which has checked the cell.
    let first = !field.joins;
    image.mark(at, size);
    image.zero("reserved", &what, at + 4, 4);
    let seq = image.size(at, 4);
    if field.is_absent() {
        image.zero("unused", &what, at, size);
        return;
    }
    let slot = |number: usize| at + 8 + number % slots * d.slot_size;
    let steps = field.histogram.as_ref().map(|histogram| histogram.steps().0);
    // A writer that comes after another one skips as many numbers as there are slots (PROTOCOL.md section
    // 9.4), and each writer may be such a one.
    let published = match &steps {
        Some(steps) => steps.len(),
        None => seq,
    };
    // What was never published: slot 0 is the fresh value, until there were as many values as slots.
    if first && published < slots {
        let fresh = |number: &usize| *number == 0 || *number > published;
        for number in (0..slots).filter(fresh) {
            image.zero("unused", &format!("slot {number} of {what}"), slot(number), d.slot_size);
        }
    }
    if let Some(steps) = steps {
        if seq < published || seq % slots != published % slots {
            let changes = format!("seq of {what} is {seq}, after {published} changes");
            image.problem("seq", &changes);
        }
        journal(image, &what, &steps, &slot, slots);
    } else if seq == 0 {
        image.problem("seq", &format!("{what} has a value, and seq is 0"));
    } else if field.is_blob() && image.word(slot(seq) + d.member + 4, 4) > 1 {
        image.problem("reserved", &format!("flags of the text of {what}"));
    }
}

/// Each slot of a journal is that of its change: total, change, sum, minimum, maximum.
fn journal(
    image: &mut Image<'_>,
    what: &str,
    steps: &[[u64; 5]],
    slot: &dyn Fn(usize) -> usize,
    slots: usize,
) {
    // Change number n is at n - 1; the last ones are still there.
    let last = steps.iter().zip(1..).skip(steps.len().saturating_sub(slots));
    for (step, number) in last {
        let names = ["total", "change", "sum", "minimum", "maximum"].iter().zip(step).zip(0..);
        for ((name, wanted), index) in names {
            let found = image.word(slot(number) + 8 * index, 8);
            if found != *wanted {
                let of = format!("{name} of change {number} of {what} is {found}, not {wanted}");
                image.problem("journal", &of);
                return;
            }
        }
    }
}
