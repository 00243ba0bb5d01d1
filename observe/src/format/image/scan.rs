//! Reading the values of a lane from the mapping.

use std::time::{Duration, Instant};

use mmstats_core::protocol::ATTEMPTS as REUSES;
use mmstats_core::read::{Field, Lane, Scalar, Value, Verdict};
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
            for run in &image.metadata.order.runs {
                scan_run(image, &lane, run, visitor);
            }
        }
        other => {
            for run in &image.metadata.order.runs {
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
                visit_scalar(image, lane, index, visitor);
            }
        }
    }
}

/// Reads and visits one atomic scalar.
fn visit_scalar<V: Visitor>(image: &Image, lane: &Lane, index: u32, visitor: &mut V) {
    let Some(field) = image.good(index) else { return };
    visitor.scalar(index, scalar(image, lane, field));
}

/// An atomic scalar, in bounded time.
fn scalar(image: &Image, lane: &Lane, field: &Field) -> Verdict<Scalar> {
    for _ in 0..REUSES {
        let Some(begun) = image.begin(field) else { return Verdict::Retired };
        let verdict = lane.scalar(&image.region(), field);
        if !image.is_stale(begun) {
            return verdict;
        }
        std::hint::spin_loop();
    }
    Verdict::Contended
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
    let mut words = [None; BITS as usize];
    while index < end {
        // Up to the end of one word of presence bits.
        let stop = end.min((index / BITS + 1) * BITS);
        let present = if run.optional { lane.presence(region, index) } else { u32::MAX };
        let words = words.get_mut(..(stop - index) as usize).unwrap_or(&mut []);
        for word in &mut *words {
            *word = region.load64(at);
            at = at.saturating_add(8);
        }
        // Most files have never used room again.
        if image.metadata.reuses.is_none_or(|reuses| image.is_stale(reuses)) {
            (index..stop).for_each(|index| visit_scalar(image, lane, index, visitor));
            index = stop;
            continue;
        }
        for word in words {
            let verdict = if present >> (index % BITS) & 1 == 0 {
                Verdict::Absent
            } else {
                word.map_or(Verdict::Contended, |word| Verdict::Consistent(make(word)))
            };
            visitor.scalar(index, verdict);
            index += 1;
        }
    }
}

/// Whether the field has a cell that can be read; an unknown storage may resemble it.
fn is_latched(field: &Field) -> bool {
    field.storage().is_some_and(Storage::has_slots)
}

/// Reads values that need a buffer, for a visitor.
pub(super) struct Scan<'a, V> {
    pub(super) image: &'a Image,
    pub(super) scratch: &'a mut Scratch,
    pub(super) visitor: &'a mut V,
}

impl<V: Visitor> Scan<'_, V> {
    /// Visits the fields of a lane that are neither atomic scalars nor constants. The members
    /// of a group come from one slot.
    pub(super) fn cells(&mut self, lane: u32) {
        let image = self.image;
        let mut rest = image.metadata.order.cells.as_slice();
        if rest.is_empty() {
            return;
        }
        let lane = match image.claimed(lane) {
            Verdict::Consistent(lane) => lane,
            other => {
                let absent = other.and_then(|_| Verdict::Absent);
                return rest.iter().for_each(|&index| self.visitor.value(index, absent));
            }
        };
        let mut watch = None;
        while let Some((&first, after)) = rest.split_first() {
            let Some(field) = image.good(first) else {
                rest = after;
                continue;
            };
            let same = |index: &&u32| {
                image.good(**index).is_some_and(|other| is_latched(other) && field.same_cell(other))
            };
            // An unknown type or storage cannot be read.
            if !is_latched(field) {
                self.visitor.value(first, Verdict::Unknown);
                rest = after;
                continue;
            }
            let count = 1 + after.iter().take_while(same).count();
            let (members, after) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            rest = after;
            let watch = watch.get_or_insert_with(Watch::start);
            if members.len() == 1 {
                self.latched(&lane, field, watch);
            } else {
                self.group(&lane, members, watch);
            }
        }
    }

    /// Reads and visits one latched field.
    fn latched(&mut self, lane: &Lane, field: &Field, watch: &mut Watch) {
        let bytes = self.scratch.bytes(field.buffer_size());
        let (mut slow, mut stale) = (0, 0);
        while slow < ATTEMPTS && stale < REUSES {
            let Some(begun) = self.image.begin(field) else {
                return self.visitor.value(field.index(), Verdict::Retired);
            };
            let verdict = lane.read(&self.image.region(), field, bytes);
            if watch.too_long() {
                slow += 1;
            } else if self.image.is_stale(begun) {
                stale += 1;
            } else {
                return self.visitor.value(field.index(), verdict);
            }
        }
        self.visitor.value(field.index(), Verdict::Contended);
    }

    /// Reads the members of a group from one slot, and visits them.
    fn group(&mut self, lane: &Lane, members: &[u32], watch: &mut Watch) {
        let region = &self.image.region();
        let fields = || members.iter().filter_map(|&index| self.image.good(index));
        let mut present = std::mem::take(&mut self.scratch.present);
        let (mut slow, mut stale) = (0, 0);
        while slow < ATTEMPTS && stale < REUSES {
            // They take and leave their room together.
            let begun = fields().next().and_then(|field| self.image.begin(field));
            let Some(begun) = begun else {
                fields().for_each(|field| self.visitor.value(field.index(), Verdict::Retired));
                self.scratch.present = present;
                return;
            };
            // Before the slot is read: a present value is then in the slot.
            present.clear();
            present.extend(fields().map(|field| lane.has(region, field)));
            let there = fields().zip(&present).find(|(_, present)| **present);
            let Some((field, _)) = there else {
                if self.image.is_stale(begun) {
                    stale += 1;
                    continue;
                }
                break;
            };
            let bytes = self.scratch.bytes(field.slot_size() as usize);
            let slot = lane.read_slot(region, field, bytes);
            if watch.too_long() {
                slow += 1;
                continue;
            }
            if self.image.is_stale(begun) {
                stale += 1;
                continue;
            }
            for (field, present) in fields().zip(&present) {
                let verdict = match &slot {
                    _ if !present => Verdict::Absent,
                    Verdict::Consistent(slot) => slot.value(field),
                    other => other.and_then(|_| Verdict::Contended),
                };
                self.visitor.value(field.index(), verdict);
            }
            self.scratch.present = present;
            return;
        }
        // No member is present, or every read took too long.
        for (field, present) in fields().zip(&present) {
            let verdict = if *present { Verdict::Contended } else { Verdict::Absent };
            self.visitor.value(field.index(), verdict);
        }
        self.scratch.present = present;
    }

    /// Visits one field that is no constant, in one lane.
    pub(super) fn field(&mut self, lane: u32, field: &Field) {
        match self.image.claimed(lane) {
            Verdict::Consistent(lane) if field.slots() == 0 => {
                let verdict = scalar(self.image, &lane, field);
                self.visitor.value(field.index(), verdict.map(Value::from));
            }
            Verdict::Consistent(lane) => self.latched(&lane, field, &mut Watch::start()),
            other => self.visitor.value(field.index(), other.and_then(|_| Verdict::Absent)),
        }
    }

    /// Visits one constant, from the checked copy.
    pub(super) fn constant(&mut self, field: &Field) {
        let bytes = self.scratch.bytes(field.buffer_size());
        let verdict = mmstats_core::read::constant(&self.image.metadata.heap, field, bytes);
        self.visitor.constant(field.index(), verdict);
    }
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
