//! Reading the values of a lane from the mapping.

use std::time::{Duration, Instant};

use mmstats_core::read::{Field, Lane, Scalar, Value, Verdict, constant};
use mmstats_core::{DataType, Source, Storage};

use crate::three::{Run, Three, lane_of};

/// A read that took longer is thrown away: so many publishes fit into its time that the
/// numbers of the protocol could have come round (PROTOCOL.md).
const TOO_LONG: Duration = Duration::from_secs(2);
/// How often a read that took too long is tried.
const ATTEMPTS: u32 = 3;
/// Presence bits in a word.
const BITS: u32 = 32;

/// Buffers that are used again, so that reading values allocates nothing.
#[derive(Debug, Default)]
pub struct Scratch {
    /// A multiple of 8 bytes.
    bytes: Vec<u8>,
    present: Vec<bool>,
}

impl Scratch {
    /// Empty buffers, which grow to what the largest value needs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn bytes(&mut self, size: usize) -> &mut [u8] {
        if self.bytes.len() < size {
            self.bytes.resize(size.next_multiple_of(8), 0);
        }
        self.bytes.get_mut(..size).unwrap_or(&mut [])
    }
}

/// Watches how long reads take: one look at the clock for each.
struct Watch {
    last: Instant,
}

impl Watch {
    fn start() -> Self {
        Self { last: Instant::now() }
    }

    /// Whether the read that just ended began too long ago.
    fn too_long(&mut self) -> bool {
        let now = Instant::now();
        let before = std::mem::replace(&mut self.last, now);
        now.saturating_duration_since(before) > TOO_LONG
    }
}

/// Visits the atomic scalars of a lane.
#[inline]
pub(crate) fn scalars(three: &Three, lane: u32, mut visit: impl FnMut(u32, Verdict<Scalar>)) {
    match lane_of(three, lane) {
        Verdict::Consistent(lane) => {
            for run in &three.plan().runs {
                scan_run(three, &lane, run, &mut visit);
            }
        }
        other => {
            for run in &three.plan().runs {
                for index in run.first..run.first.saturating_add(run.count) {
                    visit(index, other.and_then(|_| Verdict::Absent));
                }
            }
        }
    }
}

#[inline]
fn scan_run(three: &Three, lane: &Lane, run: &Run, visit: &mut impl FnMut(u32, Verdict<Scalar>)) {
    // One loop for each of the common types, so that nothing is decided inside it.
    match run.ty {
        DataType::U64 => wide(three, lane, run, Scalar::U64, visit),
        DataType::I64 => wide(three, lane, run, |word| Scalar::I64(word.cast_signed()), visit),
        DataType::F64 => wide(three, lane, run, |word| Scalar::F64(f64::from_bits(word)), visit),
        _ => {
            for index in run.first..run.first.saturating_add(run.count) {
                if let Some(field) = three.good(index) {
                    visit(index, lane.scalar(&three.region(), field));
                }
            }
        }
    }
}

/// Scalars of 8 bytes, each loaded whole.
#[inline]
fn wide(
    three: &Three,
    lane: &Lane,
    run: &Run,
    make: impl Fn(u64) -> Scalar,
    visit: &mut impl FnMut(u32, Verdict<Scalar>),
) {
    let region = &three.region();
    let mut at = lane.offset().saturating_add(run.place);
    let mut index = run.first;
    let end = run.first.saturating_add(run.count);
    while index < end {
        // As far as one word of presence bits says.
        let stop = if run.optional { end.min((index / BITS + 1) * BITS) } else { end };
        let present = if run.optional { lane.presence(region, index) } else { u32::MAX };
        while index < stop {
            let verdict = if present >> (index % BITS) & 1 == 0 {
                Verdict::Absent
            } else {
                region.load64(at).map_or(Verdict::Contended, |word| Verdict::Consistent(make(word)))
            };
            visit(index, verdict);
            at = at.saturating_add(8);
            index += 1;
        }
    }
}

/// Visits the fields of a lane that are not atomic scalars, nor constants. The members of
/// a group come from one slot.
pub(crate) fn others(
    three: &Three,
    lane: u32,
    scratch: &mut Scratch,
    mut visit: impl FnMut(u32, Verdict<Value<'_>>),
) {
    let others = three.plan().others.as_slice();
    let lane = match lane_of(three, lane) {
        Verdict::Consistent(lane) => lane,
        other => {
            return others.iter().for_each(|&i| visit(i, other.and_then(|_| Verdict::Absent)));
        }
    };
    let mut watch = None;
    let mut rest = others;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        let Some(field) = three.good(first) else { continue };
        // Fields of a type or storage that is not known have nothing to be read.
        if !is_latched(field) {
            visit(first, Verdict::Unknown);
            continue;
        }
        let watch = watch.get_or_insert_with(Watch::start);
        let same = |index: &&u32| {
            three.good(**index).is_some_and(|other| is_latched(other) && field.same_cell(other))
        };
        let members = after.iter().take_while(same).count();
        let (more, after) = after.split_at_checked(members).unwrap_or((&[], after));
        if members == 0 {
            alone(three, &lane, first, field, scratch, watch, &mut visit);
        } else {
            rest = after;
            group(three, &lane, (first, more), scratch, watch, &mut visit);
        }
    }
}

/// Whether there is a cell that can be read. One of an unknown storage may look like it.
fn is_latched(field: &Field) -> bool {
    field.storage().is_some_and(Storage::has_slots)
}

/// Reads one latched field.
fn alone(
    three: &Three,
    lane: &Lane,
    index: u32,
    field: &Field,
    scratch: &mut Scratch,
    watch: &mut Watch,
    visit: &mut impl FnMut(u32, Verdict<Value<'_>>),
) {
    let bytes = scratch.bytes(field.buffer_size());
    for _ in 0..ATTEMPTS {
        let verdict = lane.read(&three.region(), field, bytes);
        if !watch.too_long() {
            return visit(index, verdict);
        }
    }
    visit(index, Verdict::Contended);
}

/// Reads the members of a group, from one slot.
fn group(
    three: &Three,
    lane: &Lane,
    (first, more): (u32, &[u32]),
    scratch: &mut Scratch,
    watch: &mut Watch,
    visit: &mut impl FnMut(u32, Verdict<Value<'_>>),
) {
    let region = &three.region();
    let members = || std::iter::once(first).chain(more.iter().copied());
    let fields = || members().filter_map(|index| three.good(index).map(|field| (index, field)));
    let mut present = std::mem::take(&mut scratch.present);
    for _ in 0..ATTEMPTS {
        // Before the slot is read, so that what is present is in it.
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
            visit(index, verdict);
        }
        scratch.present = present;
        return;
    }
    // No member is there, or every read took too long.
    for ((index, _), present) in fields().zip(&present) {
        visit(index, if *present { Verdict::Contended } else { Verdict::Absent });
    }
    scratch.present = present;
}

/// Visits one field in a lane.
pub(crate) fn one(
    three: &Three,
    lane: u32,
    index: u32,
    field: &Field,
    scratch: &mut Scratch,
    mut visit: impl FnMut(Verdict<Value<'_>>),
) {
    match lane_of(three, lane) {
        Verdict::Consistent(lane) if field.slots() == 0 => {
            visit(lane.read(&three.region(), field, &mut []));
        }
        Verdict::Consistent(lane) => {
            let watch = &mut Watch::start();
            alone(three, &lane, index, field, scratch, watch, &mut |_, verdict| visit(verdict));
        }
        other => visit(other.and_then(|_| Verdict::Absent)),
    }
}

/// Visits the constants.
pub(crate) fn constants(
    three: &Three,
    scratch: &mut Scratch,
    mut visit: impl FnMut(u32, Verdict<Value<'_>>),
) {
    for &index in &three.plan().constants {
        if let Some(field) = three.good(index) {
            visit(index, constant_of(three, field, scratch));
        }
    }
}

/// The value of a constant, from the checked copy.
pub(crate) fn constant_of<'s>(
    three: &Three,
    field: &Field,
    scratch: &'s mut Scratch,
) -> Verdict<Value<'s>> {
    let bytes = scratch.bytes(field.buffer_size());
    constant(three.heap(), field, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_that_took_too_long_is_thrown_away_once() {
        let ago = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
        let mut watch = Watch { last: ago(3) };
        assert!(watch.too_long());
        assert!(!watch.too_long(), "the next read began just now");
        assert!(!Watch { last: ago(1) }.too_long());
    }

    #[test]
    fn scratch_grows_in_whole_words_and_keeps_its_bytes() {
        let mut scratch = Scratch::new();
        assert_eq!(scratch.bytes(13).len(), 13);
        assert_eq!(scratch.bytes.len(), 16);
        assert_eq!(scratch.bytes(8).len(), 8);
        assert_eq!(scratch.bytes.len(), 16);
    }
}
