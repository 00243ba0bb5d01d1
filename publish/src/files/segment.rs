//! Segments: lists of fields that several files share.
//!
//! A publisher begins with one segment, which has the fields of its schema. Fields added at run time that find
//! no room there go to a new segment, in files of their own. When the lanes of a segment run
//! out, it gets a further file with the same fields and more lanes. So a field has one number in
//! all files of its segment, for ever.

use std::sync::Arc;

use mmstats_core::{FieldId, Geometry, Memory, WriteError, Writer};

use super::room::Room;
use crate::claim::LaneFields;
use crate::error::Error;
use crate::schema::declaration::{Declaration, LANE_FIELDS};
use crate::schema::key::Address;

/// One declaration of a segment, with the numbers of its fields.
#[derive(Debug)]
pub(crate) struct Entry {
    first: u32,
    retired: bool,
    /// If other fields may get the room of these.
    pub(crate) room: Option<Room>,
    pub(crate) declaration: Declaration,
}

impl Entry {
    pub(crate) const fn first(&self) -> FieldId {
        FieldId::from_index(self.first)
    }

    /// Whether the fields at `address` are those of the declaration, and not earlier ones.
    pub(super) fn has_tenant(&self, address: Address) -> bool {
        self.room.as_ref().map_or(0, |room| room.tenancy) == address.tenancy
    }

    /// Whether its fields are retired.
    pub(crate) const fn is_retired(&self) -> bool {
        self.retired
    }

    /// Gives the room to other fields.
    pub(crate) fn replace(&mut self, declaration: Declaration) {
        (self.retired, self.declaration) = (false, declaration);
    }

    /// Numbers of its fields.
    pub(crate) fn ids(&self) -> impl Iterator<Item = FieldId> + Clone + use<> {
        (self.first..self.first + self.declaration.count()).map(FieldId::from_index)
    }
}

/// Fields that several files share.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Capacity of each of its files, lanes aside.
    capacity: Geometry,
    /// Upper bound of the used capacity.
    used: Geometry,
    /// The standard constants, which come first in every file.
    prelude: Arc<Vec<Declaration>>,
    entries: Vec<Entry>,
    fields: u32,
    pub(crate) lane_fields: Option<LaneFields>,
    /// Its files, as indices into the list of all parts.
    pub(crate) parts: Vec<usize>,
}

impl Segment {
    pub(crate) fn new(capacity: Geometry) -> Self {
        let used = Geometry::new(0);
        let (prelude, entries, parts) = (Arc::default(), Vec::new(), Vec::new());
        Self { capacity, used, prelude, entries, fields: 0, lane_fields: None, parts }
    }

    /// A segment whose files begin with `prelude`, in addition to `capacity`.
    pub(crate) fn with_prelude(prelude: &Arc<Vec<Declaration>>, mut capacity: Geometry) -> Self {
        for declaration in prelude.iter() {
            // Cannot fail: they are in the first segment too.
            let _ = declaration.measure(&mut capacity);
        }
        let fields = prelude.iter().map(Declaration::count).sum();
        // Each is one field.
        let lane_fields = find_lane_fields((0..).zip(prelude.iter()));
        Self { prelude: Arc::clone(prelude), fields, lane_fields, ..Self::new(capacity) }
    }

    /// The same fields, without files and handles.
    pub(super) fn without_parts(&self) -> Self {
        let again = |entry: &Entry| Entry {
            first: entry.first,
            retired: entry.retired,
            room: entry.room.as_ref().map(|room| room.again(entry.retired)),
            declaration: entry.declaration.clone(),
        };
        Self {
            prelude: Arc::clone(&self.prelude),
            entries: self.entries.iter().map(again).collect(),
            parts: Vec::new(),
            ..*self
        }
    }

    /// Replaces the declaration of a standard field by that of another process; `false` if there is none.
    pub(super) fn renew(&mut self, declaration: &Declaration) -> bool {
        let prelude = Arc::make_mut(&mut self.prelude).iter_mut();
        let entries = self.entries.iter_mut().map(|entry| &mut entry.declaration);
        let mut all = prelude.chain(entries);
        let Some(old) = all.find(|old| old.is_standard_as(declaration)) else { return false };
        let heap = |declaration: &Declaration| {
            let mut need = Geometry::new(0);
            // Cannot fail: it was checked when its process began to publish.
            let _ = declaration.measure(&mut need);
            need.heap
        };
        // Its value may be longer.
        let more = heap(declaration).saturating_sub(heap(old));
        *old = declaration.clone();
        self.capacity.reserve(0, more, 0);
        true
    }

    /// Makes room for `need` more.
    pub(super) const fn reserve(&mut self, need: &Geometry) {
        self.capacity.reserve(need.fields, need.heap, need.cells);
    }

    /// The declarations, without the standard constants.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Finds the fields that describe a lane among the declarations of the first segment.
    pub(crate) fn find_lane_fields(&mut self) {
        let declarations = self.entries.iter().map(|entry| (entry.first, &entry.declaration));
        self.lane_fields = find_lane_fields(declarations);
    }

    /// Number of fields of the program, without those that are in every file.
    pub(crate) fn own_fields(&self) -> u32 {
        let prelude: u32 = self.prelude.iter().map(Declaration::count).sum();
        self.fields.saturating_sub(prelude)
    }

    /// Capacity and size of a file with `lanes` lanes. After the first file of the segment, too
    /// many lanes for the format are reduced to as many as fit.
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

    /// Appends a declaration that is in all files, or will be.
    pub(crate) fn push(
        &mut self,
        mut declaration: Declaration,
        need: &Geometry,
        room: Option<Room>,
    ) {
        if let Some(last) = self.entries.last() {
            declaration.share(&last.declaration);
        }
        let first = self.fields;
        self.fields = first.saturating_add(declaration.count());
        self.used.reserve(need.fields, need.heap, need.cells);
        self.entries.push(Entry { first, retired: false, room, declaration });
    }

    /// Writes all fields into a new file.
    pub(crate) fn write<M: Memory>(&self, writer: &mut Writer<M>) -> Result<(), WriteError> {
        for declaration in self.prelude.iter() {
            declaration.write(writer)?;
        }
        for entry in &self.entries {
            match &entry.room {
                Some(room) => entry.declaration.write_room(writer, room.heap)?,
                None => entry.declaration.write(writer)?,
            };
            if entry.retired {
                entry.ids().try_for_each(|id| writer.retire(id))?;
            }
        }
        Ok(())
    }

    /// The declaration with field `id`.
    pub(crate) fn entry(&self, id: FieldId) -> Option<&Entry> {
        self.entries.get(self.index(id)?)
    }

    /// The declaration with field `id`, to be changed.
    pub(crate) fn entry_mut(&mut self, id: FieldId) -> Option<&mut Entry> {
        let index = self.index(id)?;
        self.entries.get_mut(index)
    }

    fn index(&self, id: FieldId) -> Option<usize> {
        let after = self.entries.partition_point(|entry| entry.first <= id.index());
        let index = after.checked_sub(1)?;
        let entry = self.entries.get(index)?;
        (id.index() - entry.first < entry.declaration.count()).then_some(index)
    }

    /// Marks the declaration with field `id` as retired. `None` if it was retired before, or if
    /// there is no such field.
    pub(crate) fn retire(&mut self, id: FieldId) -> Option<&Entry> {
        let index = self.index(id)?;
        let entry = &mut self.entries[index];
        (!std::mem::replace(&mut entry.retired, true)).then_some(entry)
    }

    /// The number of the next field.
    pub(crate) const fn next_id(&self) -> FieldId {
        FieldId::from_index(self.fields)
    }

    /// Capacity of the segment after this one: doubled where more than half is used, and enough
    /// for `need`. `None` if that passes a limit of the format.
    pub(crate) fn capacity_after(&self, need: &Geometry, lanes: u32) -> Option<Geometry> {
        let (had, used) = (&self.capacity, &self.used);
        let smallest = SMALLEST.cells.max(need.cells.saturating_mul(SMALLEST.fields));
        let smallest = smallest.min((MOST_CELLS / lanes.max(1)).max(SMALLEST.cells));
        let room = |had: u32, used: u32, least: u32, need: u32, halvings: u32| {
            let wanted = if used > had / 2 { had.saturating_mul(2) } else { had };
            wanted.max(least).checked_shr(halvings).unwrap_or(0).max(need)
        };
        // Halved until it fits; after 32 times only `need` is left.
        let capacity = |n| Geometry {
            fields: room(had.fields, used.fields, SMALLEST.fields, need.fields, n),
            heap: room(had.heap, used.heap, SMALLEST.heap, need.heap, n),
            cells: room(had.cells, used.cells, smallest, need.cells, n),
            lanes,
        };
        (0..=u32::BITS).map(capacity).find(|capacity| capacity.file_size().is_some())
    }
}

fn find_lane_fields<'a>(
    declarations: impl Iterator<Item = (u32, &'a Declaration)>,
) -> Option<LaneFields> {
    let mut found = [None; LANE_FIELDS.len()];
    for (id, declaration) in declarations {
        if let Some(position) = declaration.lane_field() {
            found[position] = Some(FieldId::from_index(id));
        }
    }
    let [tid, thread, mirrored] = found;
    Some(LaneFields { tid: tid?, thread: thread?, mirrored: mirrored? })
}

/// Least capacity of a segment of fields added at run time. Cells are for as many fields as the one
/// that needs the segment, up to [`MOST_CELLS`].
const SMALLEST: Geometry = Geometry { fields: 1024, heap: 72 << 10, cells: 1024, lanes: 0 };
/// Most bytes of cells in all lanes of the first such segment, unless one field needs more.
const MOST_CELLS: u32 = 512 << 10;
