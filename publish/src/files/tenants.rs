//! Rooms of fields that were added at run time: when such a field is retired, its descriptor, its heap
//! bytes and its cells go to another one.
//!
//! A room is free when its field is retired, no handle of it exists in any lane, and no lane has a
//! value of it. A value is taken away by the owner of the lane, whose next call that takes the lock
//! anyway does it: it attaches a field that was added at run time, drops the last handle of one, or
//! hands the lane back.

use super::Files;
use super::inventory::Inventory;
use super::part::Part;
use super::room::{Room, Shape};
use super::segment::Entry;
use crate::error::Error;
use crate::schema::declaration::Declaration;
use crate::schema::key::Address;

impl Inventory {
    /// Gives a free room to a declaration; `None` if there is none.
    pub(super) fn move_in(
        &mut self,
        declaration: &Declaration,
        need: u32,
    ) -> Result<Option<Address>, Error> {
        let shape = Shape::new(declaration);
        while let Some((heap, (number, first))) = self.rooms.take(&shape, need) {
            let Self { segments, parts, rooms, names, .. } = self;
            let Some(segment) = segments.get_mut(number as usize) else { continue };
            // The bytes of a truncated part are lost.
            if segment.parts.iter().any(|part| !parts[*part].is_whole()) {
                continue;
            }
            // The copies of memory that observers do not see may be behind.
            if segment.parts.iter().any(|part| parts[*part].has_twin()) {
                rooms.put(shape, heap, (number, first));
                return Ok(None);
            }
            let room = segment.entry_mut(first).and_then(|entry| entry.room.as_mut());
            let Some(room) = room else { continue };
            room.free = false;
            // A handle was attached to the retired field meanwhile. Its end makes the room free again.
            if (room.handles, room.values) != (0, 0) {
                continue;
            }
            let count = declaration.count();
            let in_use =
                |part: &usize| parts[*part].writer.lanes_with_value(first, count).next().is_some();
            // A value of a lane that has no owner here: the room is lost.
            if segment.parts.iter().any(in_use) {
                continue;
            }
            for part in &segment.parts {
                let written = declaration.write_again(&mut parts[*part].writer, first, heap);
                written.map_err(Error::image)?;
            }
            let Some(entry) = segment.entry_mut(first) else { continue };
            let Some(room) = &mut entry.room else { continue };
            *room = Room { tenancy: room.tenancy + 1, ..Room::new(room.heap) };
            let address = Address { segment: number, id: first, tenancy: room.tenancy };
            names.insert(declaration.fields(), address);
            entry.replace(declaration.clone());
            return Ok(Some(address));
        }
        Ok(None)
    }

    /// Looks which lanes have a value of fields that were just retired.
    pub(super) fn move_out(&mut self, address: Address) {
        let Self { segments, parts, rooms, .. } = self;
        let Some(segment) = segments.get_mut(address.segment as usize) else { return };
        let owners = segment.parts.clone();
        let Some(entry) = segment.entry_mut(address.id) else { return };
        let (first, count) = (entry.first(), entry.declaration.count());
        let Some(room) = &mut entry.room else { return };
        for part in owners {
            for lane in parts[part].writer.lanes_with_value(first, count) {
                room.values += 1;
                rooms.values.entry((part, lane)).or_default().push(address);
            }
        }
        self.free_if_unused(address);
    }

    /// Takes the values of retired fields away from a lane, whose owner calls.
    pub(super) fn settle(&mut self, part: usize, lane: u32) {
        let Some(addresses) = self.rooms.values.remove(&(part, lane)) else { return };
        for address in addresses {
            self.clear(part, lane, address);
            if let Some(room) = self.room(address) {
                room.values = room.values.saturating_sub(1);
            }
            self.free_if_unused(address);
        }
    }

    /// Takes the values of fields away from a lane, whose owner calls.
    fn clear(&mut self, part: usize, lane: u32, address: Address) {
        let Self { segments, parts, .. } = self;
        let entry = segments.get(address.segment as usize).and_then(|s| s.entry(address.id));
        let Some(entry) = entry.filter(|entry| entry.has_tenant(address)) else { return };
        if let Some(Part { writer, .. }) = parts.get_mut(part) {
            writer.clear_values(lane, entry.first(), entry.declaration.count());
        }
    }

    /// The room of the fields at `address`; `None` if others have it.
    fn room(&mut self, address: Address) -> Option<&mut Room> {
        let segment = self.segments.get_mut(address.segment as usize)?;
        let entry = segment.entry_mut(address.id).filter(|entry| entry.has_tenant(address))?;
        entry.room.as_mut()
    }

    fn free_if_unused(&mut self, address: Address) {
        let segment = self.segments.get_mut(address.segment as usize);
        let Some(entry) = segment.and_then(|segment| segment.entry_mut(address.id)) else { return };
        if !entry.has_tenant(address) || !entry.is_retired() {
            return;
        }
        let first = entry.first();
        let Some(room) = &mut entry.room else { return };
        if (room.handles, room.values, room.free) == (0, 0, false) {
            room.free = true;
            let heap = room.heap;
            self.rooms.put(Shape::new(&entry.declaration), heap, (address.segment, first));
        }
    }
}

impl Files {
    /// Counts a handle of fields whose room others may get, in a lane that the caller owns; false if no
    /// room is given away any more.
    pub(super) fn count_use(
        &self,
        address: Address,
        part: usize,
        lane: u32,
    ) -> Result<bool, Error> {
        if self.shares_memory() {
            return Ok(false); // The rooms are the parent's.
        }
        self.refuse_reentry()?;
        let mut inventory = self.inventory.lock();
        if inventory.closed || self.is_forked() {
            return Ok(false);
        }
        inventory.settle(part, lane);
        let count = inventory.segments.get(address.segment as usize);
        let count = count.map_or(0, |segment| segment.next_id().index());
        let Some(room) = inventory.room(address) else {
            return Err(Error::no_such_field(address.id.index() as usize, count as usize));
        };
        room.handles += 1;
        Ok(true)
    }

    /// The last clone of a handle was dropped, by the owner of its lane.
    pub(super) fn uncount_use(&self, address: Address, part: usize, lane: u32) {
        if self.shares_memory() || self.refuse_reentry().is_err() {
            return; // The parent's, or a call from within the library: the room stays taken.
        }
        let mut inventory = self.inventory.lock();
        if inventory.closed || self.is_forked() {
            return;
        }
        let Some(room) = inventory.room(address) else { return };
        room.handles = room.handles.saturating_sub(1);
        let segment = inventory.segments.get(address.segment as usize);
        let retired = segment.and_then(|s| s.entry(address.id)).is_some_and(Entry::is_retired);
        if retired {
            // The handle may have stored a value after the field was retired.
            inventory.clear(part, lane, address);
            inventory.free_if_unused(address);
        }
        inventory.settle(part, lane);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::LaneOwner;
    use crate::files::settings::{Fallback, Settings};
    use crate::handles::Counter;
    use crate::schema::Schema;
    use crate::schema::declaration::Field;
    use crate::schema::options::AnyOptions;

    #[test]
    fn retired_field_with_many_handles_is_free_once() {
        let settings = Settings { hidden: true, ..Settings::default() };
        let files = Files::open(settings, Schema::default()).unwrap();
        let add = |label: &str| {
            let declaration = Counter::declaration(label.to_owned(), AnyOptions::default());
            files.add_passing(declaration).unwrap()
        };
        let old = add("old");
        files.retire(old).unwrap();
        let _lane = files.claim(old.segment as usize, Fallback::Always).unwrap();
        for _ in 0..100 {
            assert!(files.begin_use(old, 0, 0).unwrap());
            files.end_use(old, 0, 0);
        }
        assert_eq!(files.inventory.lock().rooms.free_count(), 1);
        // A room with a handle is not given away, and is free again after it.
        assert!(files.begin_use(old, 0, 0).unwrap());
        let second = add("second");
        assert!((second.segment, second.id) != (old.segment, old.id));
        files.end_use(old, 0, 0);
        let third = add("third");
        assert_eq!((third.segment, third.id), (old.segment, old.id));
        assert_eq!(files.inventory.lock().rooms.free_count(), 0);
    }
}
