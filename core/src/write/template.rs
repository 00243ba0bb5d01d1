//! Images laid out by the compiler, for processors with little flash.

use super::error::WriteError;
use super::geometry::Geometry;
use super::lane::Lane;
use super::spec::{Constant, FieldSpec, Group, cell_bytes};
use crate::checksum::Fletcher64;
use crate::header::RawHeader;
use crate::layout::{
    self, MAX_HELP, MAX_LABEL, MAX_UNIT, descriptor as d, halves, header as h, image_state, lane,
    set_bytes, table,
};
use crate::protocol;
use crate::region::{Memory, Region, Source};
use crate::types::Storage;

/// An image without values, made at compile time; it has one lane.
///
/// A program that makes its image with a [`Schema`](super::Schema) contains the code that checks
/// and lays out fields. With a template the compiler does that: flash has the finished bytes and
/// code that copies them. `N` is [`Template::words`] of the fields. Each item is a slice of one
/// field, or of several that are published together. Fields are numbered in their order.
///
/// ```
/// use mmstats_core::{Counter, DataType, FieldId, FieldSpec, StaticBytes, Template};
///
/// const FIELDS: &[&[FieldSpec<'_>]] = &[
///     &[FieldSpec::counter("boots").help("Starts since the power came.")],
///     &[FieldSpec::gauge("flow.litres", DataType::U64), FieldSpec::gauge("flow.drops", DataType::I64)],
/// ];
/// static IMAGE: Template<{ Template::<0>::words(FIELDS) }> = Template::new(FIELDS);
///
/// let memory = Box::leak(Box::new(StaticBytes::<1024>::new())).into_memory();
/// for boot in 1..=3 {
///     let (lane, resumed) = IMAGE.start(memory, *b"a random number.")?;
///     assert_eq!(resumed, boot > 1);
///     let boots = Counter::attach(&lane, FieldId::from_index(0))?;
///     boots.incr();
///     assert_eq!(boots.get(), boot);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Template<const N: usize> {
    /// Words from the start of the image to its lane.
    words: [u32; N],
    /// End of the used part of the heap.
    heap: u32,
    /// The descriptors of tables are among these: offset of the first, end of the last. A program without
    /// tables has no code for them.
    tables: (u32, u32),
}

/// Ranges that differ between runs and are not compared: instance, checksum, state, lanes_used,
/// fields_refused, lanes_refused.
const OWN: [(u32, u32); 3] =
    [(h::INSTANCE, h::PART), (h::CHECKSUM, h::FIELD_COUNT), (h::LANES_USED, h::PARTS)];

impl<const N: usize> Template<N> {
    /// The `N` of a template of these fields.
    #[must_use]
    pub const fn words(fields: &[&[FieldSpec<'_>]]) -> usize {
        header(fields).lanes_offset as usize / 4
    }

    /// The template of these fields. Call it in a constant expression: it takes long.
    ///
    /// # Panics
    ///
    /// If a field breaks a rule, or `N` is not [`Template::words`] of the fields. In a constant
    /// expression the program does not compile.
    #[must_use]
    pub const fn new(fields: &[&[FieldSpec<'_>]]) -> Self {
        let header = header(fields);
        assert!(N == header.lanes_offset as usize / 4, "N is not Template::words of the fields");
        let mut this = Self { words: [0; N], heap: header.heap_offset, tables: (0, 0) };
        let (mut index, mut place, mut i) = (0, header.cells_offset, 0);
        while i < fields.len() {
            let group = fields[i];
            assert!(!group.is_empty(), "a group without fields");
            let (mut slot, mut member) = (0, 0);
            while member < group.len() {
                check(&group[member]);
                slot += group[member].slot_bytes();
                member += 1;
            }
            let (mut at, mut member) = (0, 0);
            while member < group.len() {
                let spec = &group[member];
                if group.len() == 1 {
                    this.describe(index, spec, place, None);
                    place += spec.lane_bytes();
                } else {
                    assert!(
                        spec.constant.is_none()
                            && spec.properties.ring().is_none()
                            && !matches!(spec.storage(), Storage::Table),
                        "not for a group"
                    );
                    let member = Group { slot_size: slot, member: at };
                    this.describe(index, spec, place, Some(member));
                    at += spec.slot_bytes();
                }
                index += 1;
                member += 1;
            }
            if group.len() > 1 {
                place += cell_bytes(slot);
            }
            i += 1;
        }
        this.set_all(0, &header.words());
        this.set(h::FIELD_COUNT, index);
        this.set(h::HEAP_USED, this.heap - header.heap_offset);
        this
    }

    /// The words of the image before its lane, for [`Memory::metadata`].
    #[must_use]
    #[inline(always)]
    pub const fn metadata(&'static self) -> &'static [u32] {
        &self.words
    }

    /// Size of the image in bytes.
    #[must_use]
    pub const fn size(&self) -> u32 {
        self.words[h::FILE_SIZE as usize / 4]
    }

    /// Makes the image live in `memory`, or resumes the one there from before a reset, if it has
    /// exactly these fields: see [`Schema::resume`](super::Schema::resume). Claims its lane.
    /// Returns the lane and whether it resumed.
    ///
    /// `instance` should be random; a resumed image keeps its own.
    ///
    /// # Errors
    ///
    /// If the memory is misaligned or too small.
    pub fn start<M: Memory + Clone>(
        &self,
        memory: M,
        instance: [u8; 16],
    ) -> Result<(Lane<M>, bool), WriteError> {
        let region = Region::new(memory).map_err(WriteError::Region)?;
        let (size, have) = (self.size(), region.size());
        if have < size {
            return Err(WriteError::Memory { need: size, have });
        }
        let resumed = self.is_in(&region);
        region.store32(h::STATE, image_state::BUILDING);
        if !resumed {
            // Values first: after a reset in between, the old bytes are not yet an image of these
            // fields.
            (self.lane()..size).step_by(4).for_each(|offset| region.store32(offset, 0));
            // A loop, here and in `is_in`: an iterator over the offsets takes more flash.
            let mut at = 0;
            for word in &self.words {
                region.store32(at, *word);
                at += 4;
            }
            region.store32(h::STATE, image_state::BUILDING);
            region.write(h::INSTANCE, &instance);
            let [low, high] = halves(RawHeader::checksum_of(&region));
            region.store32(h::CHECKSUM, low);
            region.store32(h::CHECKSUM + 4, high);
        }
        let base = self.lane();
        let presence = self.words[h::CELLS_OFFSET as usize / 4] - lane::PRESENCE;
        let offsets = (base + lane::PRESENCE..).step_by(4).take(presence as usize / 4);
        offsets.for_each(|offset| region.store32(offset, 0));
        self.clear_tables(&region);
        let (owners, state) = (region.word(base + lane::OWNERS), region.word(base + lane::STATE));
        protocol::claim_lane(&owners, &state, Some((&region.word(h::LANES_USED), 1)));
        protocol::set_state(&region.word(h::STATE), image_state::LIVE);
        Ok((Lane::new(region, 0), resumed))
    }

    /// Ends the rows of all tables that the last run left in use.
    #[inline(always)]
    fn clear_tables<M>(&self, region: &Region<M>) {
        let (mut at, end) = self.tables;
        while at < end {
            let word =
                |member: u32| self.words.get((at + member) as usize / 4).copied().unwrap_or(0);
            if word(d::TYPE) >> 24 == u32::from(Storage::Table.code()) {
                let cell = self.lane() + word(d::PLACE);
                (cell..cell + table::REFUSED).step_by(4).for_each(|at| region.store32(at, 0));
            }
            at += d::SIZE;
        }
    }

    /// Offset of the lane.
    const fn lane(&self) -> u32 {
        self.words[h::LANES_OFFSET as usize / 4]
    }

    /// Whether the region holds an image with these words.
    fn is_in<M>(&self, region: &Region<M>) -> bool {
        let mut next = 0;
        let same = |word: &u32| {
            let at = next;
            next += 4;
            OWN.iter().any(|(from, to)| (*from..*to).contains(&at)) || region.load32(at) == *word
        };
        let [low, high] = halves(RawHeader::checksum_of(region));
        self.words.iter().all(same)
            && region.load32(h::CHECKSUM) == low
            && region.load32(h::CHECKSUM + 4) == high
            && region.load32(h::LANES_USED) <= 1
    }

    const fn set(&mut self, offset: u32, word: u32) {
        self.words[offset as usize / 4] = word;
    }

    /// Writes descriptor `index` with its strings.
    const fn describe(
        &mut self,
        index: u32,
        spec: &FieldSpec<'_>,
        place: u32,
        group: Option<Group>,
    ) {
        let mut raw = spec.descriptor(place, group);
        raw.label = self.string(&[spec.label]);
        raw.unit = self.string(&[spec.unit]);
        raw.help = self.string(&[spec.help]);
        raw.attributes = self.attributes(spec);
        raw.detail = self.string(spec.details);
        let mut constant_words = 0;
        if let Some(value) = &spec.constant {
            (raw.place, constant_words) = self.constant(value);
        }
        let at = h::SIZE + index * d::SIZE;
        if raw.storage == Storage::Table.code() {
            let first = if self.tables.1 == 0 { at } else { self.tables.0 };
            self.tables = (first, at + d::SIZE);
        }
        self.set_all(at, &raw.words());
        let mut sum = Fletcher64::new();
        self.add(&mut sum, at, d::COVERED / 4);
        let (mut i, strings) = (0, raw.strings());
        while i < strings.len() {
            let string = strings[i];
            if string != 0 {
                let length = self.words[string as usize / 4] & 0xFFFF;
                self.add(&mut sum, string, (2 + length).div_ceil(4));
            }
            i += 1;
        }
        self.add(&mut sum, raw.place, constant_words);
        raw.checksum = sum.finish();
        self.set_all(at, &raw.words());
    }

    const fn set_all(&mut self, offset: u32, words: &[u32]) {
        let mut i = 0;
        while i < words.len() {
            self.words[offset as usize / 4 + i] = words[i];
            i += 1;
        }
    }

    const fn add(&self, sum: &mut Fletcher64, offset: u32, words: u32) {
        let mut i = 0;
        while i < words {
            sum.word(self.words[(offset / 4 + i) as usize]);
            i += 1;
        }
    }

    #[allow(clippy::cast_possible_truncation)] // Of an image below 4 GiB.
    const fn bytes(&mut self, bytes: &[u8]) {
        set_bytes(&mut self.words, self.heap, bytes);
        self.heap += bytes.len() as u32;
    }

    /// Appends a heap string of items separated by zero bytes. Returns its offset, 0 if it is
    /// empty.
    const fn string(&mut self, items: &[&str]) -> u32 {
        let at = self.begin();
        let mut i = 0;
        while i < items.len() {
            if i > 0 {
                self.bytes(b"\0");
            }
            self.bytes(items[i].as_bytes());
            i += 1;
        }
        self.end(at)
    }

    const fn attributes(&mut self, spec: &FieldSpec<'_>) -> u32 {
        let at = self.begin();
        let mut i = 0;
        while i < spec.attributes.len() {
            let (key, value) = spec.attributes[i];
            self.bytes(if i > 0 { b"\0" } else { b"" });
            self.bytes(key.as_bytes());
            self.bytes(b"=");
            self.bytes(value.as_bytes());
            i += 1;
        }
        self.end(at)
    }

    const fn begin(&mut self) -> u32 {
        let at = self.heap.next_multiple_of(4);
        self.heap = at + 2;
        at
    }

    #[allow(clippy::cast_possible_truncation)] // A constant below 65,536.
    const fn end(&mut self, at: u32) -> u32 {
        let length = self.heap - at - 2;
        if length == 0 {
            self.heap = at;
            return 0;
        }
        assert!(length <= MAX_HELP as u32, "a text is too long");
        self.words[at as usize / 4] |= length;
        self.heap = self.heap.next_multiple_of(4);
        at
    }

    /// Appends a constant. Returns its offset and its number of words.
    #[allow(clippy::cast_possible_truncation)] // It is a constant in an image below 4 GiB.
    const fn constant(&mut self, value: &Constant<'_>) -> (u32, u32) {
        let at = self.heap.next_multiple_of(8);
        self.heap = at;
        if let Some(bytes) = value.scalar_bytes() {
            self.bytes(&bytes);
        } else {
            let tail = value.tail();
            self.set(at, tail.len() as u32);
            self.heap = at + 8;
            self.bytes(tail);
        }
        self.heap = self.heap.next_multiple_of(8);
        (at, (self.heap - at) / 4)
    }
}

/// The header of an image of these fields with one lane.
const fn header(fields: &[&[FieldSpec<'_>]]) -> RawHeader {
    let mut geometry = Geometry::new(1);
    let mut i = 0;
    while i < fields.len() {
        let (group, mut slot, mut member) = (fields[i], 0, 0);
        while member < group.len() {
            geometry.reserve(1, group[member].heap_bytes(), 0);
            slot += group[member].slot_bytes();
            member += 1;
        }
        let cell = if member == 1 { group[0].lane_bytes() } else { cell_bytes(slot) };
        geometry.reserve(0, 0, cell);
        i += 1;
    }
    match geometry.header_with_cells(8) {
        Some(header) => header,
        None => panic!("the image is too large"),
    }
}

/// Checks the rules of a field. Parameters and slots of kinds are not checked: the constructors of the
/// kinds give right ones.
pub(super) const fn check(spec: &FieldSpec<'_>) {
    assert!(!spec.label.is_empty() && spec.label.len() <= MAX_LABEL, "a label has 1 to 255 bytes");
    assert!(spec.unit.len() <= MAX_UNIT, "a unit has at most 63 bytes");
    let properties = spec.properties;
    let (Some(ty), Some(kind)) = (properties.ty(), properties.kind()) else {
        panic!("an unknown data type or kind")
    };
    assert!(properties.count() > 0 && spec.slot_bytes() <= layout::MAX_SLOT, "a bad count");
    assert!(
        kind.allows_type(ty, properties.count(), properties.is_array())
            && kind.allows_storage(spec.storage()),
        "a kind that does not have this type"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::{Field, Image, Value, Verdict};
    use crate::{
        Array, Buckets, Constant, Counter, DataType, Events, FieldId, Gauge, Histogram, Schema,
        StaticBytes, StaticMemory,
    };
    use core::hint::black_box;
    use std::boxed::Box;
    use std::string::{String, ToString};
    use std::vec::Vec;

    const GROUP: &[FieldSpec<'_>] = &[
        FieldSpec::gauge("load.one", DataType::F64).unit("ratio"),
        FieldSpec::gauge("load.ready", DataType::Bool),
    ];
    const FIELDS: &[&[FieldSpec<'_>]] = &[
        &[FieldSpec::counter("hits").help("Größer.").attributes(&[("code", "200"), ("x", "")])],
        GROUP,
        &[FieldSpec::gauge("volts", DataType::F64).unit("volts")],
        &[FieldSpec::state("phase", &["idle", "busy"])],
        &[FieldSpec::info("version", Constant::Text("1.2.3"))],
        &[FieldSpec::info("serial", Constant::U64(u64::MAX - 1))],
        &[FieldSpec::array("array", DataType::I16, 5)],
        &[FieldSpec::text("text", 20)],
        &[FieldSpec::events("log", 7, 16)],
        &[FieldSpec::histogram("sizes", Buckets::integers(0.1, 1, 1000))],
    ];
    static IMAGE: Template<{ Template::<0>::words(FIELDS) }> = Template::new(FIELDS);

    fn memory() -> StaticMemory {
        Box::leak(Box::new(StaticBytes::<16384>::new())).into_memory()
    }

    /// Descriptors, strings and values of all fields, without offsets.
    fn described<S: Source>(image: &Image<S>) -> Vec<(Vec<String>, String)> {
        let one = |field: Field| {
            let strings =
                [field.label(), field.unit(), field.help(), field.attributes(), field.detail()];
            let strings = strings.map(|s| s.read(image.source(), &mut [0; 64]).to_string());
            let (mut raw, mut buffer) = (field.raw(), [0; 4096]);
            let value = image.read(0, &field, &mut buffer);
            (raw.label, raw.unit, raw.help, raw.attributes, raw.detail) = (0, 0, 0, 0, 0);
            (raw.place, raw.checksum) = (0, 0);
            (strings.to_vec(), std::format!("{raw:?} {value:?}"))
        };
        image.fields().map(Result::unwrap).map(one).collect()
    }

    #[test]
    fn template_equals_schema() {
        let mut schema = Schema::<16>::new();
        for group in FIELDS {
            match group {
                [one] => schema.add(*one).unwrap(),
                _ => schema.add_group(group).unwrap(),
            };
        }
        let mut writer = schema.create(memory(), 1, [7; 16]).unwrap();
        writer.lane().unwrap();
        // Made by the compiler, and at run time.
        let running = Template::<{ Template::<0>::words(FIELDS) }>::new(black_box(FIELDS));
        assert_eq!(Template::<0>::words(black_box(FIELDS)), running.words.len());
        let (again, resumed) = running.start(memory(), [7; 16]).unwrap();
        assert!(!resumed);
        let (lane, resumed) = IMAGE.start(memory(), [7; 16]).unwrap();
        assert!(!resumed);
        let a = Image::open(writer.region()).unwrap();
        for region in [again.region(), lane.region()] {
            let b = Image::open(region).unwrap();
            assert_eq!(described(&a), described(&b));
            assert_eq!(a.header().instance(), b.header().instance());
            assert!(b.header().file_size() <= a.header().file_size());
            assert_eq!(b.header().file_size(), running.size());
        }
        // Handles attach to their fields.
        let field = FieldId::from_index;
        assert!(Gauge::<f64, _>::attach(&lane, field(3)).is_ok());
        assert!(Array::<i16, 5, _>::attach(&lane, field(7)).is_ok());
        assert!(Histogram::<u64, _>::attach(&lane, field(10)).is_ok());
    }

    #[test]
    fn start_after_reset_keeps_counters() {
        let memory = memory();
        let region = Region::new(memory).unwrap();
        (0..16384).step_by(4).for_each(|at: u32| region.store32(at, at.wrapping_mul(0x9E37_79B9)));
        let live = |instance| {
            let (lane, resumed) = IMAGE.start(memory, instance).unwrap();
            let hits = Counter::attach(&lane, FieldId::from_index(0)).unwrap();
            let volts = Gauge::<f64, _>::attach(&lane, FieldId::from_index(3)).unwrap();
            let log = Events::<16, _>::attach(&lane, FieldId::from_index(9)).unwrap();
            assert_eq!(volts.get(), None);
            hits.add(0x1_0000_0001);
            volts.set(1.5);
            log.record(1, "began");
            (resumed, hits.get(), log.number())
        };
        assert_eq!(live([7; 16]), (false, 0x1_0000_0001, 1));
        // After a reset during `start`.
        region.store32(h::STATE, image_state::BUILDING);
        assert_eq!(live([8; 16]), (true, 0x2_0000_0002, 2));
        let image = Image::open(&region).unwrap();
        assert_eq!(image.header().instance(), [7; 16]);
        let first = image.fields().next().unwrap().unwrap();
        let read =
            image.read(0, &first, &mut [0; 64]) == Verdict::Consistent(Value::U64(0x2_0000_0002));
        assert!(read);
        // Every word counts, except those of this run.
        for at in (0..IMAGE.lane()).step_by(4) {
            let own = (h::STATE..h::STATE + 4).contains(&at)
                || (h::FIELDS_REFUSED..h::PARTS).contains(&at);
            region.store32(at, region.load32(at) ^ 0x100);
            assert_eq!(live([7; 16]).0, own, "the word at {at}");
        }
    }

    #[test]
    fn start_memory_of_exact_size() {
        const SIZE: usize =
            Template::<{ Template::<0>::words(FIELDS) }>::new(FIELDS).size() as usize;
        let memory = Box::leak(Box::new(StaticBytes::<SIZE>::new())).into_memory();
        assert!(!IMAGE.start(memory, [7; 16]).unwrap().1);
    }

    #[test]
    fn start_memory_too_small_is_refused() {
        let small = Box::leak(Box::new(StaticBytes::<1024>::new())).into_memory();
        let need = IMAGE.size();
        let error = IMAGE.start(small, [7; 16]).unwrap_err();
        assert_eq!(error, WriteError::Memory { need, have: 1024 });
    }
}
