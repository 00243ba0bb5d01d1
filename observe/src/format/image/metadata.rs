//! The checked metadata of an image: private copies of its descriptors and strings.

use mmstats_core::Source;
use mmstats_core::layout::field_state;
use mmstats_core::protocol::ATTEMPTS;
use mmstats_core::read::{Cursor, Field, Header};

use super::order::ReadOrder;
use crate::field::{FieldRef, Heap};
use crate::format::scratch::CheckBuffer;
use crate::identity::{Identity, Instance};
use crate::problem::Damage;
use crate::value::OwnedValue;

/// Fallback for an index that a search just returned.
const NO_DAMAGE: Damage = Damage { code: "field-state", offset: 0 };
/// Memory of a file without fields, in bytes, about.
const FILE_COST: u64 = 3 << 10;
/// Memory of a field besides its strings, in bytes, about.
const FIELD_COST: u64 = size_of::<Field>() as u64 + 32;

/// The checked metadata of an image.
#[derive(Debug, Clone)]
pub(crate) struct Metadata {
    pub(super) header: Header,
    pub(super) heap: Heap,
    /// Number of checked fields.
    pub(super) count: u32,
    /// Bytes of strings that the file says it has; more are read than kept.
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

    /// Memory that the metadata takes with `fields` fields and `heap` bytes of strings, in bytes,
    /// about.
    pub(super) fn cost_of(fields: u32, heap: u32) -> u64 {
        FILE_COST + u64::from(fields) * FIELD_COST + u64::from(heap)
    }

    /// Size that the file must have, in bytes.
    pub(crate) fn file_size(&self) -> u64 {
        self.header.file_size().into()
    }

    /// Memory that the metadata takes, or took while it was checked, in bytes, about: a file that
    /// only says that it has much takes as much time.
    pub(super) fn cost(&self) -> u64 {
        Self::cost_of(self.count, self.heap_used)
    }

    /// Adds the fields published since the last call, or all anew if room of retired fields was
    /// used again; false if there were none. `source` is the file.
    pub(super) fn extend<S: Source + ?Sized>(
        &mut self,
        count: u32,
        heap_used: u32,
        buffer: &mut CheckBuffer,
        source: &S,
    ) -> bool {
        let metadata = buffer.bytes(self.header.lanes_offset());
        let heap = self.header.heap_offset();
        let read = |to: &mut [u8], start: u32, end: u32| {
            if let Some(to) = to.get_mut(start as usize..end as usize) {
                source.copy(start, to);
            }
        };
        let (mut from, mut old, mut new) = (0, 0, 0);
        for _ in 0..ATTEMPTS {
            let reuses = self.header.reuses(source);
            if self.count > 0 && self.reuses != Some(reuses) {
                self.clear();
            }
            from = self.count;
            if count <= from {
                return false;
            }
            let place = |index| self.header.descriptor(index).unwrap_or(heap);
            read(metadata, place(from), place(count).min(heap));
            // The heap: the checked bytes, then the new ones. No overflow: it ends before the lanes.
            old = u32::try_from(self.heap.bytes().len()).unwrap_or(u32::MAX);
            new = heap_used.max(old);
            read(metadata, heap + old / 8 * 8, heap + new.next_multiple_of(8));
            self.reuses = Some(reuses);
            if !self.header.reused_since(source, reuses) {
                break;
            }
            // The copy may be torn: then the checksum of the field is wrong.
            self.reuses = None;
            std::hint::spin_loop();
        }
        put(metadata, heap, self.heap.bytes());
        let metadata = &*metadata;
        self.heap.extend(metadata.get((heap + old) as usize..(heap + new) as usize).unwrap_or(&[]));

        let mut checked = old;
        self.good.reserve_exact((count - from) as usize);
        for index in from..count {
            match self.cursor.check(metadata, &self.header, new, index) {
                Ok(field) => self.good.push(field),
                Err(error) => {
                    self.damaged.push((index, error.into()));
                    continue;
                }
            }
            // Read in place: moving a field takes as long as checking it.
            let Some(field) = self.good.last() else { continue };
            checked = checked.max(self.heap.end_of(field));
            if field.raw().state == field_state::LIVE {
                self.order.add(index, field);
            } else {
                self.retired.push(index);
            }
        }
        (self.count, self.heap_used) = (count, new);
        // Bytes behind may belong to a field that is being added, and be older than the count
        // of used bytes: they are copied again with that field.
        self.heap.truncate(checked);
        self.generation = self.generation.wrapping_add(1);
        true
    }

    /// Forgets all fields.
    fn clear(&mut self) {
        *self = Self { generation: self.generation.wrapping_add(1), ..Self::new(self.header) };
    }

    /// Marks the fields whose numbers are in `now`, ascending, as retired; false if they were.
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

/// Copies `bytes` to `offset`; nothing if they do not fit.
fn put(to: &mut [u8], offset: u32, bytes: &[u8]) {
    let to = to.get_mut(offset as usize..).and_then(|to| to.get_mut(..bytes.len()));
    if let Some(to) = to {
        to.copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn put_ignores_bytes_that_do_not_fit() {
        let mut bytes = [0; 8];
        put(&mut bytes, 4, &[1, 2, 3, 4]);
        put(&mut bytes, 5, &[9; 4]);
        put(&mut bytes, u32::MAX, &[9; 4]);
        assert_eq!(bytes, [0, 0, 0, 0, 1, 2, 3, 4]);
    }
}
