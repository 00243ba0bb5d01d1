//! Rooms: places of fields that others may get.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use mmstats_core::{Aggregation, FieldId, Level, Properties};

use crate::schema::declaration::Declaration;
use crate::schema::key::Address;

/// The room of a declaration.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    /// Bytes of heap, in each image.
    pub(crate) heap: u32,
    /// Number of declarations that had it, and this one.
    pub(crate) tenancy: u64,
    /// Handles of this one, in all lanes, without clones.
    pub(super) handles: u32,
    /// Lanes that may have a value of it that their owners have to take away.
    pub(super) values: u32,
    /// Whether it is among the free ones of [`Rooms`], once. It may have handles again.
    pub(super) free: bool,
}

/// Most bytes between the end of the heap and a room.
pub(super) const ALIGNMENT: u32 = 8;

impl Room {
    pub(super) const fn new(heap: u32) -> Self {
        Self { heap, tenancy: 1, handles: 0, values: 0, free: false }
    }

    /// The same room in other files, where it has no handles.
    pub(super) const fn again(&self, free: bool) -> Self {
        Self { free, tenancy: self.tenancy, ..Self::new(self.heap) }
    }

    /// Bytes of heap for a declaration, with some to spare for a longer name in its place.
    pub(super) fn heap_of(declaration: &Declaration) -> u32 {
        let need = declaration.with_tenants(|tenants| tenants.heap());
        let step = if need <= 512 { SMALLEST } else { need.next_power_of_two() / 8 };
        need.checked_next_multiple_of(step).unwrap_or(need)
    }
}

/// Least bytes of heap of a room: a label of 62 bytes.
pub(super) const SMALLEST: u32 = 64;

/// Properties that fields must share to use the same room one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    /// Properties of each, and whether it is a constant.
    fields: Vec<(Properties, bool)>,
    is_group: bool,
}

impl Shape {
    pub(super) fn new(declaration: &Declaration) -> Self {
        declaration.with_tenants(|tenants| {
            let shape = |properties: Properties| {
                properties.with_level(Level::Info).with_aggregation(Aggregation::Sum)
            };
            let fields = tenants.specs.iter();
            let fields = fields.map(|spec| (shape(spec.properties), spec.constant.is_some()));
            Self { fields: fields.collect(), is_group: tenants.is_group }
        })
    }
}

/// Segment, and number of the first field, by bytes of heap.
type Free = BTreeMap<u32, Vec<(u32, FieldId)>>;

/// The rooms of all segments.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    /// Perhaps with some that have handles again.
    free: HashMap<Shape, Free>,
    /// Retired fields of which a lane may have a value, by part and lane.
    pub(super) values: HashMap<(usize, u32), Vec<Address>>,
}

impl Rooms {
    /// A free room with the least heap that is enough.
    pub(super) fn take(&mut self, shape: &Shape, need: u32) -> Option<(u32, (u32, FieldId))> {
        let free = self.free.get_mut(shape)?;
        let (&heap, rooms) = free.range_mut(need..).next()?;
        let room = rooms.pop();
        if rooms.is_empty() {
            free.remove(&heap);
        }
        room.map(|room| (heap, room))
    }

    #[cfg(test)]
    pub(super) fn free_count(&self) -> usize {
        self.free.values().flat_map(BTreeMap::values).map(Vec::len).sum()
    }

    pub(super) fn put(&mut self, shape: Shape, heap: u32, room: (u32, FieldId)) {
        self.free.entry(shape).or_default().entry(heap).or_default().push(room);
    }
}
