//! Segments: the fields that files have in common.
//!
//! A publisher begins with one segment, that of its schema. Fields that are added at run
//! time and do not fit any more go to a new segment, in files of their own. When the lanes
//! of a segment run out, it gets a further file with the same fields and more lanes. So a
//! field has the same number in all files of its segment, and never any other.

use std::sync::Arc;

use mmstats_core::{FieldId, Geometry, Memory, WriteError, Writer};

use crate::error::Error;
use crate::item::Item;

/// What names a field of a publisher: its segment, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) segment: u32,
    pub(crate) id: FieldId,
}

/// One item of a segment.
#[derive(Debug)]
pub(crate) struct Entry {
    first: u32,
    retired: bool,
    pub(crate) item: Item,
}

impl Entry {
    pub(crate) const fn first(&self) -> FieldId {
        FieldId::from_index(self.first)
    }

    /// The numbers of its descriptors.
    pub(crate) fn ids(&self) -> impl Iterator<Item = FieldId> + Clone + use<> {
        (self.first..self.first + self.item.count()).map(FieldId::from_index)
    }
}

/// Fields that files have in common.
#[derive(Debug)]
pub(crate) struct Segment {
    /// The room of each of its files, apart from lanes.
    capacity: Geometry,
    /// How much of it is used, at most.
    used: Geometry,
    /// What every file says of the program, before its own fields.
    prelude: Arc<Vec<Item>>,
    entries: Vec<Entry>,
    fields: u32,
    /// Its files, as indices into the list of all.
    pub(crate) parts: Vec<usize>,
}

impl Segment {
    pub(crate) fn new(capacity: Geometry) -> Self {
        let used = Geometry::new(0);
        let prelude = Arc::default();
        Self { capacity, used, prelude, entries: Vec::new(), fields: 0, parts: Vec::new() }
    }

    /// A segment whose files begin with `prelude`, for which it has room besides.
    pub(crate) fn with(prelude: &Arc<Vec<Item>>, mut capacity: Geometry) -> Self {
        for item in prelude.iter() {
            // They are in the first segment too, so they break no rule.
            let _ = item.measure(&mut capacity);
        }
        let fields = prelude.iter().map(Item::count).sum();
        Self { prelude: Arc::clone(prelude), fields, ..Self::new(capacity) }
    }

    /// The room of a file with `lanes` lanes, or as many as the format allows but for the
    /// first file; and its size.
    pub(crate) fn size(&self, mut lanes: u32) -> Result<(Geometry, u32), Error> {
        loop {
            let geometry = Geometry { lanes, ..self.capacity };
            if let Some(size) = geometry.file_size() {
                return Ok((geometry, size));
            }
            if self.parts.is_empty() || lanes <= 1 {
                return Err(Error::TooLarge { fields: self.fields as usize, lanes });
            }
            lanes /= 2;
        }
    }

    /// Remembers what was written into all files, or will be.
    pub(crate) fn push(&mut self, mut item: Item, need: &Geometry) {
        if let Some(last) = self.entries.last() {
            item.share(&last.item);
        }
        let first = self.fields;
        self.fields = first.saturating_add(item.count());
        self.used.reserve(need.fields, need.heap, need.cells);
        self.entries.push(Entry { first, retired: false, item });
    }

    /// Writes all fields into a new file.
    pub(crate) fn write<M: Memory>(&self, writer: &mut Writer<M>) -> Result<(), WriteError> {
        for item in self.prelude.iter() {
            item.write(writer)?;
        }
        for entry in &self.entries {
            entry.item.write(writer)?;
            if entry.retired {
                entry.ids().try_for_each(|id| writer.retire(id))?;
            }
        }
        Ok(())
    }

    /// The item that has descriptor `id`.
    pub(crate) fn entry(&self, id: FieldId) -> Option<&Entry> {
        self.entries.get(self.index(id)?)
    }

    fn index(&self, id: FieldId) -> Option<usize> {
        let after = self.entries.partition_point(|entry| entry.first <= id.index());
        let index = after.checked_sub(1)?;
        let entry = self.entries.get(index)?;
        (id.index() - entry.first < entry.item.count()).then_some(index)
    }

    /// Marks the item that has descriptor `id` as retired; `None` if it was or there is
    /// none.
    pub(crate) fn retire(&mut self, id: FieldId) -> Option<&Entry> {
        let index = self.index(id)?;
        let entry = &mut self.entries[index];
        (!std::mem::replace(&mut entry.retired, true)).then_some(entry)
    }

    /// The number that the next field gets; so many there are.
    pub(crate) const fn next_id(&self) -> FieldId {
        FieldId::from_index(self.fields)
    }

    /// The room of the segment after this one: twice as much of what was needed, and
    /// enough for `need`. `None` if that passes a limit of the format.
    pub(crate) fn capacity_after(&self, need: &Geometry, lanes: u32) -> Option<Geometry> {
        let (had, used) = (&self.capacity, &self.used);
        let more = |had: u32, used: u32, least: u32| {
            // What was not even half used is enough.
            if used > had / 2 { had.saturating_mul(2).max(least) } else { had.max(least) }
        };
        let mut next = Geometry {
            fields: more(had.fields, used.fields, SMALLEST.fields),
            heap: more(had.heap, used.heap, SMALLEST.heap),
            cells: more(had.cells, used.cells, SMALLEST.cells),
            lanes,
        };
        loop {
            let room = Geometry {
                fields: next.fields.max(need.fields),
                heap: next.heap.max(need.heap),
                cells: next.cells.max(need.cells),
                lanes,
            };
            if room.file_size().is_some() {
                return Some(room);
            }
            if (next.fields, next.heap, next.cells) == (0, 0, 0) {
                return None;
            }
            next = Geometry {
                fields: next.fields / 2,
                heap: next.heap / 2,
                cells: next.cells / 2,
                lanes,
            };
        }
    }
}

/// The room of the first segment for fields of run time: a few pages.
const SMALLEST: Geometry = Geometry { fields: 64, heap: 4096, cells: 1024, lanes: 0 };
