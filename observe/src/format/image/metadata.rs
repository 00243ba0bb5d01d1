//! The checked metadata of an image: private copies of its descriptors and strings.

use mmstats_core::Source;
use mmstats_core::layout::field_state;
use mmstats_core::protocol::{ATTEMPTS, Site};
use mmstats_core::read::{Cursor, Field, Header};

use super::order::ReadOrder;
use crate::field::{FieldRef, Heap};
use crate::identity::{Identity, Instance};
use crate::problem::Damage;
use crate::value::OwnedValue;

/// Fallback for an index that a search just returned.
const NO_DAMAGE: Damage = Damage { code: "field-state", offset: 0 };
/// Approximate memory of a file without fields, in bytes.
const FILE_COST: u64 = 3 << 10;
/// Approximate memory of a field besides its strings, in bytes.
const FIELD_COST: u64 = size_of::<Field>() as u64 + 32;

/// The checked metadata of an image.
#[derive(Debug, Clone)]
pub(crate) struct Metadata {
    pub(super) header: Header,
    pub(super) heap: Heap,
    /// Number of checked fields.
    pub(super) count: u32,
    /// Bytes of strings that the file claims to have; all are read, some are kept.
    heap_used: u32,
    /// The header's number of reuses under which the fields were copied; `None` if it changed
    /// during each attempt.
    pub(super) reuses: Option<u32>,
    cursor: Cursor,
    /// Fields that are not damaged, by number.
    pub(super) good: Vec<Field>,
    /// Damaged fields: number and broken rule, by number.
    pub(super) damaged: Vec<(u32, Damage)>,
    /// Numbers of retired fields, ascending.
    pub(super) retired: Vec<u32>,
    pub(super) order: ReadOrder,
    /// Raised whenever fields are added or retired.
    pub(super) generation: u32,
}

impl Metadata {
    pub(super) fn new(header: Header) -> Self {
        Self {
            header,
            heap: Heap::new(header.heap_offset()),
            count: 0,
            heap_used: 0,
            reuses: None,
            cursor: Cursor::new(),
            good: Vec::new(),
            damaged: Vec::new(),
            retired: Vec::new(),
            order: ReadOrder::default(),
            generation: 0,
        }
    }

    /// Approximate memory of the metadata of `fields` fields with `heap` bytes of strings, in bytes.
    pub(super) fn cost_of(fields: u32, heap: u32) -> u64 {
        FILE_COST + u64::from(fields) * FIELD_COST + u64::from(heap)
    }

    /// Size that the file must have, in bytes.
    pub(crate) fn file_size(&self) -> u64 {
        self.header.file_size().into()
    }

    /// Approximate memory of the metadata, or of its check if that took more, in bytes: checking what a
    /// file only claims to have takes as long.
    pub(super) fn cost(&self) -> u64 {
        Self::cost_of(self.count, self.heap_used)
    }

    /// Adds the fields published since the last call; reads all fields again if room of retired ones was
    /// reused. False if there is none to add. `source` is the file.
    pub(super) fn extend<S: Source + ?Sized>(
        &mut self,
        count: u32,
        heap_used: u32,
        source: &S,
    ) -> bool {
        for _ in 0..ATTEMPTS {
            let reuses = self.header.reuses(source);
            if self.count > 0 && self.reuses != Some(reuses) {
                self.clear();
            }
            if count <= self.count {
                return false;
            }
            self.reuses = Some(reuses);
            self.add(count, heap_used, source);
            if !self.header.reused_since(source, reuses) {
                break;
            }
            // The copy may be torn: then the checksum of the field is wrong.
            self.reuses = None;
            std::hint::spin_loop();
        }
        self.generation = self.generation.wrapping_add(1);
        true
    }

    /// Copies and checks the fields up to `count`.
    fn add<S: Source + ?Sized>(&mut self, count: u32, heap_used: u32, source: &S) {
        let from = self.count;
        let mut checked = self.heap.len();
        let new = heap_used.max(checked);
        self.heap.extend(source, new);
        self.good.reserve_exact((count - from) as usize);
        for index in from..count {
            let copy = Copied { file: source, heap: &self.heap, start: self.header.heap_offset() };
            match self.cursor.check(&copy, &self.header, new, index) {
                Ok(field) => self.good.push(field),
                Err(error) => {
                    self.damaged.push((index, error.into()));
                    continue;
                }
            }
            // Read in place: moving a field takes as long as checking it.
            let Some(field) = self.good.last() else { continue };
            checked = checked.max(self.heap.end_of(field));
            if field.state() == field_state::LIVE {
                self.order.add(index, field);
            } else {
                self.retired.push(index);
            }
        }
        (self.count, self.heap_used) = (count, new);
        // Bytes behind may belong to a field that is being added, and be older than the count
        // of used bytes: they are copied again with that field.
        self.heap.truncate(checked);
    }

    /// Forgets all fields.
    fn clear(&mut self) {
        *self = Self { generation: self.generation.wrapping_add(1), ..Self::new(self.header) };
    }

    /// Marks the fields whose numbers are in `now`, ascending, as retired; false if they already were.
    pub(super) fn retire(&mut self, now: Vec<u32>) -> bool {
        let retired = now != self.retired;
        self.retired = now;
        if retired {
            self.order = ReadOrder::default();
            for field in &self.good {
                if self.retired.binary_search(&field.index()).is_err() {
                    self.order.add(field.index(), field);
                }
            }
            self.generation = self.generation.wrapping_add(1);
        }
        retired
    }

    /// Whether both describe the same fields.
    pub(crate) fn same_fields(&self, other: &Self) -> bool {
        self.header == other.header
            && (self.count, self.reuses) == (other.count, other.reuses)
            && self.retired == other.retired
    }

    /// The description of a field that is neither damaged nor retired.
    pub(super) fn good(&self, index: u32) -> Option<&Field> {
        let place = self.place(index).ok()?;
        self.good.get(place).filter(|_| !self.is_retired(index))
    }

    /// Place of field `index` in `good`, or the rule that it breaks.
    fn place(&self, index: u32) -> Result<usize, Damage> {
        match self.damaged.binary_search_by_key(&index, |(index, _)| *index) {
            Ok(place) => Err(self.damaged.get(place).map_or(NO_DAMAGE, |(_, damage)| *damage)),
            Err(before) => Ok((index as usize).saturating_sub(before)),
        }
    }

    fn is_retired(&self, index: u32) -> bool {
        self.retired.binary_search(&index).is_ok()
    }

    /// Values of the standard fields.
    pub(super) fn identity(&self) -> Identity {
        let mut identity = Identity::default();
        let mut buffer = Vec::new();
        for &index in &self.order.constants {
            let Some(field) = self.good(index) else { continue };
            let mut value = || {
                let size = field.buffer_size();
                buffer.resize(buffer.len().max(size), 0);
                mmstats_core::read::constant(&self.heap, field, &mut buffer)
                    .consistent()
                    .map(OwnedValue::from)
            };
            identity.set(self.heap.string(field.label()), &mut value);
        }
        identity
    }

    pub(super) fn field_count(&self) -> usize {
        self.good.len() + self.damaged.len()
    }

    pub(super) fn field(&self, index: usize) -> Option<FieldRef<'_>> {
        let number = u32::try_from(index).ok()?;
        Some(match self.place(number) {
            Ok(place) => {
                let field = self.good.get(place)?;
                FieldRef::from_image(number, field, &self.heap, self.is_retired(number))
            }
            Err(damage) => FieldRef::damaged(number, damage),
        })
    }

    pub(super) fn instance(&self) -> Instance {
        Instance(self.header.instance())
    }

    pub(super) fn part(&self) -> u32 {
        self.header.part()
    }
}

/// An image whose heap is a private copy. A check copies each descriptor once, so that no byte of the file
/// is loaded twice.
struct Copied<'a, S: ?Sized> {
    file: &'a S,
    heap: &'a Heap,
    /// Offset of the heap; descriptors are before it.
    start: u32,
}

impl<S: Source + ?Sized> Source for Copied<'_, S> {
    fn size(&self) -> u32 {
        self.heap.size()
    }

    #[inline]
    fn load32(&self, offset: u32) -> u32 {
        self.heap.load32(offset)
    }

    #[inline]
    fn load64(&self, offset: u32) -> Option<u64> {
        self.heap.load64(offset)
    }

    // The copy does not change.
    fn fence(&self, _site: Site) {}

    #[inline]
    fn slice(&self, offset: u32, len: u32) -> Option<&[u8]> {
        self.heap.slice(offset, len)
    }

    #[inline]
    fn copy(&self, offset: u32, out: &mut [u8]) {
        if offset < self.start {
            self.file.copy(offset, out);
        } else {
            self.heap.copy(offset, out);
        }
    }
}
