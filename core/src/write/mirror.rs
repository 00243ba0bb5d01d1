//! Copies the lanes of an image into a second one.
//!
//! Handles store to addresses. If the image of their lanes is in memory that no reader sees (private
//! memory, or a file whose name is gone), the cells cannot move to another place while they are
//! written. [`Writer::twin`] makes a second image of the same fields, and a [`Mirror`] copies the
//! lanes into it from time to time: it reads as PROTOCOL.md tells a reader to, and stores as it tells
//! a writer to.
//!
//! A reader of the twin sees values that were published, with two exceptions, both within one call of
//! [`Mirror::copy`]:
//!
//! - A histogram is brought up to date bucket by bucket: a reader may find some buckets of the old
//!   moment and some of the new one. Count and buckets agree at any moment; the sum is interpolated.
//! - A ring that had more new values than it keeps skips numbers: a reader may find an older value
//!   under the newest number.

use alloc::vec::Vec;

use super::lane::FieldId;
use super::writer::Writer;
use crate::descriptor::RawDescriptor;
use crate::layout::{
    MAX_ROWS, field_state, header as h, image_state, lane, lane_state, presence_size, table,
};
use crate::protocol::{self, Site, WriteCell, WriteJournal, WriteWord};
use crate::read::{JournalReader, SlotReader};
#[cfg(target_pointer_width = "64")]
use crate::region::Atom64;
use crate::region::{Journal, Latch, Memory, Region, Source, SourceWord, Table, Word};
use crate::types::{DataType, Kind, Storage};

/// Copies the lanes of an image into its [twin](Writer::twin).
#[derive(Debug, Default)]
pub struct Mirror {
    /// Presence words of a lane.
    presence: Vec<u32>,
    /// A slot, or elements and slot of a journal.
    bytes: Vec<u8>,
}

impl Mirror {
    /// A mirror without buffers; [`Mirror::copy`] makes them.
    #[must_use]
    pub const fn new() -> Self {
        Self { presence: Vec::new(), bytes: Vec::new() }
    }

    /// Brings all lanes of `to` up to those of `from`, whose handles may be used meanwhile. Returns
    /// the number of values that were not copied, because their writers changed them too fast
    /// (contended) or their memory is damaged; `to` keeps the values before, and has none where it had
    /// none; a row of a table that was missed is not shown.
    ///
    /// The field `own` is not copied: the caller sets it in `to`.
    ///
    /// `to` must be the twin of `from` and have all its fields; no other thread calls methods of one
    /// of the writers. The caller never claims lanes of `to`.
    pub fn copy<N: Memory, M: Memory + Clone>(
        &mut self,
        from: &Writer<N>,
        to: &mut Writer<M>,
        own: Option<FieldId>,
    ) -> usize {
        (0..from.lanes).map(|index| self.copy_lane(from, to, index, own)).sum()
    }

    fn copy_lane<N: Memory, M: Memory + Clone>(
        &mut self,
        from: &Writer<N>,
        to: &mut Writer<M>,
        index: u32,
        own: Option<FieldId>,
    ) -> usize {
        let base = from.lane_base(index);
        let owned = from.region.load32(base + lane::STATE) == lane_state::OWNED;
        claim(from, to, index, base, owned);

        // Before the values: a value that is present has been stored.
        let words = presence_size(from.header.descriptor_capacity) / 4;
        let first = base + lane::PRESENCE;
        let offsets = (first..).step_by(4).take(words as usize);
        let load = |offset| protocol::load_presence(&SourceWord { source: &from.region, offset });
        self.presence.clear();
        self.presence.extend(offsets.clone().map(load));

        copy_wide(&from.region, &to.region, base + lane::SAMPLES_REFUSED);
        let mut missed = 0;
        // Cell of the group seen last, and whether it was copied.
        let mut group = None;
        // From the last field to the first: a rate is declared after its counter, so it is copied
        // earlier, and no checkpoint is newer than its counter.
        for id in (0..from.fields.min(to.fields)).rev() {
            if own.is_some_and(|own| own.index() == id) {
                continue;
            }
            let raw = RawDescriptor::load(&from.region, from.descriptor(id));
            // The members of a group share a cell.
            let member = raw.properties.is_member().then_some(raw.place);
            if raw.state != field_state::LIVE {
                continue;
            }
            let copied = match group {
                Some((place, copied)) if member == Some(place) => copied,
                _ => {
                    let copied = self.copy_cell(&from.region, to, base + raw.place, &raw);
                    missed += usize::from(!copied);
                    copied
                }
            };
            group = member.map(|place| (place, copied));
            // Not copied: the presence bit is set only if the twin already has it.
            if !copied && let Some(bits) = self.presence.get_mut(id as usize / 32) {
                let shown = to.region.load32(first + id / 32 * 4);
                *bits &= shown | !(1 << (id % 32));
            }
        }

        // The bit of `own`, if it is in word `i`.
        let own_bit = |i: usize| {
            own.filter(|own| own.index() as usize / 32 == i)
                .map_or(0, |own| 1 << (own.index() % 32))
        };
        for (i, (offset, bits)) in offsets.clone().zip(&self.presence).enumerate() {
            let word = to.region.word(offset);
            let bits = bits & !own_bit(i) | word.load() & own_bit(i);
            if bits != word.load() {
                word.publish(bits, Site::WriterPresence);
            }
        }
        if !owned && to.region.load32(base + lane::STATE) == lane_state::OWNED {
            to.hand_back(index);
        }
        missed
    }

    /// Copies one cell; `false` if its value is contended or damaged.
    fn copy_cell<N, M: Memory + Clone>(
        &mut self,
        from: &Region<N>,
        to: &Writer<M>,
        at: u32,
        raw: &RawDescriptor,
    ) -> bool {
        let ring = matches!(raw.properties.kind(), Some(Kind::Events | Kind::Window | Kind::Rate));
        match Storage::from_code(raw.storage) {
            Some(Storage::Atomic) if raw.properties.ty().is_some_and(|ty| ty.size() == 8) => {
                copy_wide(from, &to.region, at);
                true
            }
            Some(Storage::Atomic) => {
                copy_narrow(from, &to.region, at);
                true
            }
            Some(Storage::Latched) => {
                self.bytes.resize(raw.slot_size as usize, 0);
                let slots = raw.properties.slots();
                let Some(cell) = Latch::new(&to.region, at, slots, raw.slot_size) else {
                    return false;
                };
                let reader = SlotReader::new(from, at, &mut self.bytes);
                if ring {
                    copy_ring(reader, slots, &cell)
                } else {
                    copy_latch(reader, slots, &cell)
                }
            }
            Some(Storage::Journal) => self.copy_journal(from, to, at, raw),
            Some(Storage::Table) => self.copy_table(from, to, at, raw),
            // Constants were copied with the metadata.
            _ => true,
        }
    }

    /// Copies the rows in use, then the bits that show them. A row that is missed is not shown: the
    /// twin may have the value of an activity that ended.
    fn copy_table<N, M: Memory + Clone>(
        &mut self,
        from: &Region<N>,
        to: &Writer<M>,
        at: u32,
        raw: &RawDescriptor,
    ) -> bool {
        let (rows, slots) = (raw.properties.param(), raw.properties.slots());
        let Some(cells) = Table::new(&to.region, at, rows, slots, raw.slot_size) else {
            return false;
        };
        self.bytes.resize(raw.slot_size as usize, 0);
        let mut complete = true;
        // Rows in use, copied.
        let mut copied = [0; (MAX_ROWS / 32) as usize];
        for (first, copied) in (0..rows).step_by(32).zip(&mut copied) {
            let offset = at + table::USED + first / 8;
            let mut used = protocol::load_rows(&SourceWord { source: from, offset });
            for row in (first..rows).take(32) {
                if used >> (row - first) & 1 == 0 {
                    continue;
                }
                let cell = at + table::ROWS + row * table::row_size(slots, raw.slot_size);
                let reader = SlotReader::new(from, cell, &mut self.bytes);
                if !copy_latch(reader, slots, &cells.row(row)) {
                    complete = false;
                    used &= !(1 << (row - first));
                }
            }
            *copied = used;
        }
        // After the rows, before the bits that show them: the numbers of activities begun and refused
        // are never older than the rows shown.
        copy_wide(from, &to.region, at + table::REFUSED);
        copy_wide(from, &to.region, at + table::BEGUN);
        for (offset, used) in (at + table::USED..).step_by(4).zip(copied) {
            let shown = to.region.word(offset);
            if used != shown.load() {
                shown.publish(used, Site::WriterRow);
            }
        }
        complete
    }

    fn copy_journal<N, M: Memory + Clone>(
        &mut self,
        from: &Region<N>,
        to: &Writer<M>,
        at: u32,
        raw: &RawDescriptor,
    ) -> bool {
        let (slots, count) = (raw.properties.slots(), raw.properties.count());
        let size = count as usize * 8;
        self.bytes.resize(size + raw.slot_size as usize, 0);
        let (elements, slot) = self.bytes.split_at_mut(size);
        let mut reader = JournalReader::new(from, at, slots, elements, slot);
        if protocol::read_journal(&mut reader, slots).is_err() {
            return false;
        }
        let journal = Journal::new(&to.region, at, slots, raw.slot_size, count);
        let Some(journal) = journal else { return false };
        let new = Value { elements: units(elements), slot: units(slot), ty: value_type(raw) };
        let building = to.region.load32(h::STATE) == image_state::BUILDING;
        if building { new.store(&journal) } else { new.change(&journal) }
    }
}

/// Makes the lane of `to` owned, if that of `from` is owned or was claimed since the last copy.
fn claim<N, M: Memory>(from: &Writer<N>, to: &mut Writer<M>, index: u32, base: u32, owned: bool) {
    let load = |offset| to.region.load32(base + offset);
    let (count, new) = (from.region.load32(base + lane::OWNERS), index >= to.lanes);
    let (is_known, is_owned) =
        (load(lane::OWNERS) == count, load(lane::STATE) == lane_state::OWNED);
    if !new && is_known && (is_owned || !owned) {
        return;
    }
    if !new && !is_known && is_owned {
        // Another owner: optional values of the earlier one are removed.
        to.hand_back(index);
    }
    // A handle used after its lane was handed back may have set bits.
    to.owner_words(index).for_each(|at| to.region.store32(at, 0));
    let (owners, state) = (to.region.word(base + lane::OWNERS), to.region.word(base + lane::STATE));
    // `claim_lane` counts one more.
    owners.store(count.wrapping_sub(1));
    let used = to.region.word(h::LANES_USED);
    to.lanes = to.lanes.max(index + 1);
    protocol::claim_lane(&owners, &state, new.then_some((&used, to.lanes)));
}

/// Copies 8 bytes.
#[cfg(target_pointer_width = "64")]
fn copy_wide<N, M: Memory + Clone>(from: &Region<N>, to: &Region<M>, at: u32) {
    let value = from.load64(at).unwrap_or(0);
    if let Some(word) = Atom64::new(to, at).filter(|word| word.load() != value) {
        word.store(value);
    }
}

/// Copies 8 bytes in two halves: on this machine only counts of lanes and tables are 8 bytes wide.
#[cfg(not(target_pointer_width = "64"))]
fn copy_wide<N, M: Memory + Clone>(from: &Region<N>, to: &Region<M>, at: u32) {
    copy_narrow(from, to, at);
    copy_narrow(from, to, at + 4);
}

/// Copies 4 bytes.
fn copy_narrow<N, M: Memory>(from: &Region<N>, to: &Region<M>, at: u32) {
    let value = from.load32(at);
    if to.load32(at) != value {
        to.store32(at, value);
    }
}

/// Publishes the newest value, unless the cell has it; the cell counts its own publishes.
fn copy_latch<N, M>(mut reader: SlotReader<'_, Region<N>>, slots: u32, cell: &Latch<M>) -> bool {
    if protocol::read(&mut reader, slots).is_none() {
        return false;
    }
    let (words, _) = reader.copied().as_chunks();
    let newest = cell.seq();
    let same = |(i, word): (usize, &[u8; size_of::<Word>()])| {
        cell.load(newest, i) == Word::from_le_bytes(*word)
    };
    if !words.iter().enumerate().all(same) {
        publish(cell, words);
    }
    true
}

/// Publishes the values that `cell` does not have, under the same numbers.
fn copy_ring<N, M>(mut reader: SlotReader<'_, Region<N>>, slots: u32, cell: &Latch<M>) -> bool {
    for _ in 0..protocol::ATTEMPTS {
        let newest = protocol::newest(&mut reader);
        let missing = newest.wrapping_sub(cell.seq());
        // Values that `reader` no longer keeps.
        let skipped = missing.saturating_sub(slots - 1);
        if skipped >= slots - 1 {
            // The number jumps past all slots: a read of the twin in progress starts again, and does
            // not take the slot of an old number for that of a new one. Until the next publish the
            // newest number has the slot of an older value: see the documentation of the module.
            cell.set_seq(cell.seq().wrapping_add(skipped), Site::WriterSeq);
        } else {
            // Too few for a jump: publishes without new values.
            (0..skipped).for_each(|_| protocol::publish(cell, |_| {}));
        }
        while cell.seq() != newest {
            if !protocol::read_number(&mut reader, slots, cell.seq().wrapping_add(1)) {
                break;
            }
            publish(cell, reader.copied().as_chunks().0);
        }
        if cell.seq() == newest {
            return true;
        }
    }
    false
}

fn publish<M>(cell: &Latch<M>, words: &[[u8; size_of::<Word>()]]) {
    protocol::publish(cell, |slot| {
        let (cell, n) = slot.parts();
        cell.store_words(n, 0, words);
    });
}

/// Units of 8 bytes.
fn units(bytes: &[u8]) -> &[[u8; 8]] {
    bytes.as_chunks().0
}

/// Type of the sum of a histogram.
fn value_type(raw: &RawDescriptor) -> DataType {
    let buckets =
        crate::buckets::Buckets::from_param(raw.properties.param(), raw.properties.count());
    buckets.map_or(DataType::U64, |buckets| buckets.ty())
}

/// Elements and slot of a journal.
struct Value<'a> {
    elements: &'a [[u8; 8]],
    slot: &'a [[u8; 8]],
    ty: DataType,
}

impl Value<'_> {
    fn elements(&self) -> impl Iterator<Item = (u32, u64)> {
        (0..).zip(self.elements.iter().map(|unit| u64::from_le_bytes(*unit)))
    }

    fn unit(&self, unit: usize) -> u64 {
        self.slot.get(unit).map_or(0, |unit| u64::from_le_bytes(*unit))
    }

    /// Stores the value in an image that no reader has.
    fn store<M>(&self, journal: &Journal<M>) -> bool {
        for (index, element) in self.elements() {
            journal.set_element(index, element, Site::WriterElement);
        }
        let n = journal.seq().wrapping_add(1);
        (0..self.slot.len()).for_each(|unit| journal.store(n, unit, self.unit(unit)));
        journal.set_seq(n, Site::WriterSeq);
        true
    }

    /// Changes the value, element by element.
    fn change<M>(&self, journal: &Journal<M>) -> bool {
        let more =
            |(index, new): (u32, u64)| new.wrapping_sub(journal.element(index)).cast_signed();
        let steps = |more: i64| more.unsigned_abs().div_ceil(STEP);
        let all: u64 = self.elements().map(more).map(steps).fold(0, u64::saturating_add);
        if all > MAX_STEPS {
            return false;
        }
        let first = journal.load(journal.seq(), SUM);
        let limit = STEP.cast_signed();
        let mut done = 0;
        for (index, new) in self.elements() {
            loop {
                let left = more((index, new));
                if left == 0 {
                    break;
                }
                done += 1;
                let step = left.clamp(-limit, limit).cast_unsigned();
                protocol::change(journal, index, step, |slot| {
                    for unit in SUM..self.slot.len() {
                        slot.set(unit, self.unit(unit));
                    }
                    if done < all {
                        slot.set(SUM, between(self.ty, first, self.unit(SUM), done, all));
                    }
                });
            }
        }
        true
    }
}

/// The sum after `done` of `all` steps from `old` to `new`.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
// An estimate; `as` stops at the limits.
fn between(ty: DataType, old: u64, new: u64, done: u64, all: u64) -> u64 {
    let part = done as f64 / all as f64;
    if ty == DataType::F64 {
        let (old, new) = (f64::from_bits(old), f64::from_bits(new));
        (old + (new - old) * part).to_bits()
    } else {
        old.wrapping_add((new.wrapping_sub(old) as f64 * part) as u64)
    }
}

/// Unit of the sum in the slot of a histogram.
const SUM: usize = 2;
/// Maximum change of an element in one step: FORMAT.md section 6.
const STEP: u64 = (1 << 30) - 1;
/// Maximum number of steps: 10^15 values. More is damage.
const MAX_STEPS: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::descriptor as d;
    use crate::read::{Image, Value, Verdict};
    use crate::{
        Activity, FieldSpec, Geometry, Group, Lane, MemberSpec, Record, StaticBytes, StaticMemory,
        Text,
    };

    type Image64 = Writer<StaticMemory>;

    struct Pair([u64; 2]);

    impl Record for Pair {
        const MEMBERS: &'static [MemberSpec] = &[
            MemberSpec { label: "a", spec: FieldSpec::gauge("", DataType::U64) },
            MemberSpec { label: "b", spec: FieldSpec::gauge("", DataType::U64) },
        ];

        type Words<'a>
            = [u64; 2]
        where
            Self: 'a;

        fn words(&self) -> [u64; 2] {
            self.0
        }
    }

    fn memory() -> StaticMemory {
        std::boxed::Box::leak(std::boxed::Box::new(StaticBytes::<8192>::new())).into_memory()
    }

    /// An image with the text 0 and the group 1, 2.
    fn image() -> Image64 {
        let mut geometry = Geometry::new(1);
        geometry.reserve(8, 1024, 1024);
        let mut from = Writer::create(memory(), &geometry, [7; 16], 0).unwrap();
        from.add(&FieldSpec::text("text", 16)).unwrap();
        from.add_group(&["a", "b"].map(|label| FieldSpec::gauge(label, DataType::U64))).unwrap();
        from.go_live();
        from
    }

    fn set(lane: &Lane<StaticMemory>, text: &str, pair: [u64; 2]) {
        Text::<16, _>::attach(lane, FieldId::from_index(0)).unwrap().set(text);
        Group::attach(lane, FieldId::from_index(1)).unwrap().set(&Pair(pair));
    }

    /// Copies while text and group of `from` are damaged: they have no slots.
    fn copy_damaged(from: &Image64, to: &mut Image64) -> usize {
        let places: Vec<u32> = (0..3).map(|id| from.descriptor(id) + d::SLOT_BITS).collect();
        let words: Vec<u32> = places.iter().map(|at| from.region.load32(*at)).collect();
        for (at, word) in places.iter().zip(&words) {
            from.region.store32(*at, word & !0xFF);
        }
        let missed = Mirror::new().copy(from, to, None);
        for (at, word) in places.iter().zip(words) {
            from.region.store32(*at, word);
        }
        missed
    }

    fn read(of: &Image64) -> [Option<std::string::String>; 3] {
        let image = Image::open(of.region()).unwrap();
        let mut fields = image.fields().map(Result::unwrap);
        core::array::from_fn(|_| match image.read(0, &fields.next().unwrap(), &mut [0; 64]) {
            Verdict::Consistent(Value::Text { text, .. }) => Some(text.into()),
            Verdict::Consistent(Value::U64(n)) => Some(std::format!("{n}")),
            Verdict::Absent => None,
            other => panic!("{other:?}"),
        })
    }

    fn values(text: &str, a: &str, b: &str) -> [Option<std::string::String>; 3] {
        [text, a, b].map(|value| Some(value.into()))
    }

    #[test]
    fn missed_first_copy_leaves_values_absent() {
        let mut from = image();
        set(&from.lane().unwrap(), "first", [1, 2]);
        let mut to = from.twin(memory(), 0).unwrap();
        // The members of a group are one value.
        assert_eq!(copy_damaged(&from, &mut to), 2);
        to.go_live();
        assert_eq!(read(&to), [None, None, None]);
        assert_eq!(Mirror::new().copy(&from, &mut to, None), 0);
        assert_eq!(read(&to), values("first", "1", "2"));
    }

    #[test]
    fn missed_copy_keeps_the_value_before_or_its_absence() {
        let mut from = image();
        let lane = from.lane().unwrap();
        set(&lane, "first", [1, 2]);
        let mut to = from.twin(memory(), 0).unwrap();
        Mirror::new().copy(&from, &mut to, None);
        to.go_live();
        set(&lane, "second", [3, 4]);
        assert_eq!(copy_damaged(&from, &mut to), 2);
        assert_eq!(read(&to), values("first", "1", "2"));
        lane.clear(FieldId::from_index(0)).unwrap();
        copy_damaged(&from, &mut to);
        assert_eq!(read(&to)[0], None);
        set(&lane, "third", [5, 6]);
        copy_damaged(&from, &mut to);
        assert_eq!(read(&to)[0], None);
    }

    #[test]
    fn missed_copy_of_another_owner_has_no_value_of_the_one_before() {
        let mut from = image();
        set(&from.lane().unwrap(), "first", [1, 2]);
        let mut to = from.twin(memory(), 0).unwrap();
        Mirror::new().copy(&from, &mut to, None);
        to.go_live();
        from.hand_back(0);
        set(&from.lane().unwrap(), "second", [3, 4]);
        copy_damaged(&from, &mut to);
        assert_eq!(read(&to), [None, None, None]);
        Mirror::new().copy(&from, &mut to, None);
        assert_eq!(read(&to), values("second", "3", "4"));
    }

    #[test]
    fn bits_of_a_handle_that_outlived_its_lane_end_in_the_twin() {
        let mut geometry = Geometry::new(1);
        geometry.reserve(2, 1024, 1024);
        let mut from = Writer::create(memory(), &geometry, [7; 16], 0).unwrap();
        from.add(&FieldSpec::text("text", 16)).unwrap();
        from.add(&FieldSpec::activity("doing", 3, 16)).unwrap();
        from.go_live();
        let lane = from.lane().unwrap();
        let text = Text::<16, _>::attach(&lane, FieldId::from_index(0)).unwrap();
        let activity = Activity::<16, _>::attach(&lane, FieldId::from_index(1)).unwrap();
        let stale = || {
            text.set("stale");
            core::mem::forget(activity.begin(1, "stale"));
        };
        let mut to = from.twin(memory(), 0).unwrap();
        Mirror::new().copy(&from, &mut to, None);
        let bits = |of: &Image64| -> u32 {
            of.owner_words(0).map(|at| of.region.load32(at).count_ones()).sum()
        };
        from.hand_back(0);
        stale();
        Mirror::new().copy(&from, &mut to, None);
        assert_eq!((bits(&from), bits(&to)), (2, 0), "handed back");
        Mirror::new().copy(&from, &mut to, None);
        assert_eq!(bits(&to), 2);
        from.lane().unwrap();
        assert_eq!(bits(&from), 0, "claimed");
        // As when nothing is copied before a reader looks.
        let base = to.lane_base(0);
        claim(&from, &mut to, 0, base, true);
        assert_eq!((bits(&to), to.region.load32(base + lane::STATE)), (0, lane_state::OWNED));
        stale();
        Mirror::new().copy(&from, &mut to, None);
        assert_eq!(bits(&to), 2);
        from.hand_back(0);
        Mirror::new().copy(&from, &mut to, None);
        assert_eq!(bits(&to), 0);
    }
}
