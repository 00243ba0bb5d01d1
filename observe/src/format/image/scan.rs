//! Reading the values of a lane from the mapping.

use std::time::{Duration, Instant};

use mmstats_core::read::{Field, Lane, Scalar, Verdict};
use mmstats_core::{DataType, Source, Storage};

use super::mapped::Image;
use super::order::Run;
use crate::format::scratch::Scratch;
use crate::format::visitor::Visitor;

/// A read that took longer is discarded: the sequence number of the cell may have wrapped
/// meanwhile (PROTOCOL.md).
const TOO_LONG: Duration = Duration::from_secs(2);
/// Maximum number of reads of a value that takes too long.
const ATTEMPTS: u32 = 3;
/// Presence bits in a word.
const BITS: u32 = 32;

/// Measures the duration of reads, with one look at the clock for each.
struct Watch {
    last: Instant,
}

impl Watch {
    fn start() -> Self {
        Self { last: Instant::now() }
    }

    /// Whether the read that ended now took too long.
    fn too_long(&mut self) -> bool {
        let now = Instant::now();
        let before = std::mem::replace(&mut self.last, now);
        now.saturating_duration_since(before) > TOO_LONG
    }
}

/// Visits the atomic scalars of a lane.
#[inline]
pub(super) fn scalars<V: Visitor>(image: &Image, lane: u32, visitor: &mut V) {
    match image.claimed(lane) {
        Verdict::Consistent(lane) => {
            for run in &image.order().runs {
                scan_run(image, &lane, run, visitor);
            }
        }
        other => {
            for run in &image.order().runs {
                for index in run.first..run.first.saturating_add(run.count) {
                    visitor.scalar(index, other.and_then(|_| Verdict::Absent));
                }
            }
        }
    }
}

#[inline]
fn scan_run<V: Visitor>(image: &Image, lane: &Lane, run: &Run, visitor: &mut V) {
    // One loop for each common type, so that the type is not matched for each field.
    match run.ty {
        DataType::U64 => wide(image, lane, run, Scalar::U64, visitor),
        DataType::I64 => wide(image, lane, run, |word| Scalar::I64(word.cast_signed()), visitor),
        DataType::F64 => wide(image, lane, run, |word| Scalar::F64(f64::from_bits(word)), visitor),
        _ => {
            for index in run.first..run.first.saturating_add(run.count) {
                if let Some(field) = image.good(index) {
                    visitor.scalar(index, lane.scalar(&image.region(), field));
                }
            }
        }
    }
}

/// Scalars of 8 bytes, each loaded whole.
#[inline]
fn wide<V: Visitor>(
    image: &Image,
    lane: &Lane,
    run: &Run,
    make: impl Fn(u64) -> Scalar,
    visitor: &mut V,
) {
    let region = &image.region();
    let mut at = lane.offset().saturating_add(run.place);
    let mut index = run.first;
    let end = run.first.saturating_add(run.count);
    while index < end {
        // Up to the end of one word of presence bits.
        let stop = if run.optional { end.min((index / BITS + 1) * BITS) } else { end };
        let present = if run.optional { lane.presence(region, index) } else { u32::MAX };
        while index < stop {
            let verdict = if present >> (index % BITS) & 1 == 0 {
                Verdict::Absent
            } else {
                region.load64(at).map_or(Verdict::Contended, |word| Verdict::Consistent(make(word)))
            };
            visitor.scalar(index, verdict);
            at = at.saturating_add(8);
            index += 1;
        }
    }
}

/// Visits the fields of a lane that are neither atomic scalars nor constants. The members of
/// a group come from one slot.
pub(super) fn cells<V: Visitor>(image: &Image, lane: u32, scratch: &mut Scratch, visitor: &mut V) {
    let cells = image.order().cells.as_slice();
    if cells.is_empty() {
        return;
    }
    let lane = match image.claimed(lane) {
        Verdict::Consistent(lane) => lane,
        other => {
            return cells
                .iter()
                .for_each(|&index| visitor.value(index, other.and_then(|_| Verdict::Absent)));
        }
    };
    let mut watch = None;
    let mut rest = cells;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        let Some(field) = image.good(first) else { continue };
        // An unknown type or storage cannot be read.
        if !is_latched(field) {
            visitor.value(first, Verdict::Unknown);
            continue;
        }
        let watch = watch.get_or_insert_with(Watch::start);
        let same = |index: &&u32| {
            image.good(**index).is_some_and(|other| is_latched(other) && field.same_cell(other))
        };
        let members = after.iter().take_while(same).count();
        let (more, after) = after.split_at_checked(members).unwrap_or((&[], after));
        if members == 0 {
            latched(image, &lane, (first, field), scratch, watch, visitor);
        } else {
            rest = after;
            group(image, &lane, (first, more), scratch, watch, visitor);
        }
    }
}

/// Whether the field has a cell that can be read; an unknown storage may resemble it.
fn is_latched(field: &Field) -> bool {
    field.storage().is_some_and(Storage::has_slots)
}

/// Reads and visits one latched field.
fn latched<V: Visitor>(
    image: &Image,
    lane: &Lane,
    (index, field): (u32, &Field),
    scratch: &mut Scratch,
    watch: &mut Watch,
    visitor: &mut V,
) {
    let bytes = scratch.bytes(field.buffer_size());
    for _ in 0..ATTEMPTS {
        let verdict = lane.read(&image.region(), field, bytes);
        if !watch.too_long() {
            return visitor.value(index, verdict);
        }
    }
    visitor.value(index, Verdict::Contended);
}

/// Reads the members of a group from one slot, and visits them.
fn group<V: Visitor>(
    image: &Image,
    lane: &Lane,
    (first, more): (u32, &[u32]),
    scratch: &mut Scratch,
    watch: &mut Watch,
    visitor: &mut V,
) {
    let region = &image.region();
    let members = || std::iter::once(first).chain(more.iter().copied());
    let fields = || members().filter_map(|index| image.good(index).map(|field| (index, field)));
    let mut present = std::mem::take(&mut scratch.present);
    for _ in 0..ATTEMPTS {
        // Before the slot is read: a present value is then in the slot.
        present.clear();
        present.extend(fields().map(|(_, field)| lane.has(region, field)));
        let there = fields().zip(&present).find(|(_, present)| **present);
        let Some(((_, field), _)) = there else { break };
        let bytes = scratch.bytes(field.slot_size() as usize);
        let slot = lane.read_slot(region, field, bytes);
        if watch.too_long() {
            continue;
        }
        for ((index, field), present) in fields().zip(&present) {
            let verdict = match &slot {
                _ if !present => Verdict::Absent,
                Verdict::Consistent(slot) => slot.value(field),
                other => other.and_then(|_| Verdict::Contended),
            };
            visitor.value(index, verdict);
        }
        scratch.present = present;
        return;
    }
    // No member is present, or every read took too long.
    for ((index, _), present) in fields().zip(&present) {
        visitor.value(index, if *present { Verdict::Contended } else { Verdict::Absent });
    }
    scratch.present = present;
}

/// Visits one field that is no constant, in one lane.
pub(super) fn field<V: Visitor>(
    image: &Image,
    lane: u32,
    (index, field): (u32, &Field),
    scratch: &mut Scratch,
    visitor: &mut V,
) {
    match image.claimed(lane) {
        Verdict::Consistent(lane) if field.slots() == 0 => {
            visitor.value(index, lane.read(&image.region(), field, &mut []));
        }
        Verdict::Consistent(lane) => {
            latched(image, &lane, (index, field), scratch, &mut Watch::start(), visitor);
        }
        other => visitor.value(index, other.and_then(|_| Verdict::Absent)),
    }
}

/// Visits the constants.
pub(super) fn constants<V: Visitor>(image: &Image, scratch: &mut Scratch, visitor: &mut V) {
    for &index in &image.order().constants {
        if let Some(field) = image.good(index) {
            constant(image, (index, field), scratch, visitor);
        }
    }
}

/// Visits one constant, from the checked copy.
pub(super) fn constant<V: Visitor>(
    image: &Image,
    (index, field): (u32, &Field),
    scratch: &mut Scratch,
    visitor: &mut V,
) {
    let bytes = scratch.bytes(field.buffer_size());
    visitor.constant(index, mmstats_core::read::constant(image.heap(), field, bytes));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watch_reports_slow_read_once() {
        let ago = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
        let mut watch = Watch { last: ago(3) };
        assert!(watch.too_long());
        assert!(!watch.too_long(), "the next read began just now");
        assert!(!Watch { last: ago(1) }.too_long());
    }
}
