//! Fields that are added and retired while the program runs.

use std::sync::Arc;

use mmstats_core::Geometry;

use super::Files;
use super::family::FamilyFields;
use super::inventory::Inventory;
use super::room::{ALIGNMENT, Room};
use super::segment::Segment;
use crate::error::Error;
use crate::schema::declaration::{Declaration, Field, FieldDeclaration, FieldName};
use crate::schema::family::FamilyDeclaration;
use crate::schema::key::Address;
use crate::schema::options::{FamilyOf, FieldOptions};

impl Files {
    /// Adds a field that stays, to the files of the last segment, or opens a further one.
    pub(crate) fn add(&self, declaration: Declaration) -> Result<Address, Error> {
        self.add_with(declaration, false)
    }

    /// [`Files::add`] for a field of the library, which a publisher that was started again has already.
    pub(crate) fn find_or_add(&self, declaration: Declaration) -> Result<Address, Error> {
        let inventory = self.inventory.lock();
        let found = inventory.names.find(&inventory.segments, &declaration);
        drop(inventory);
        found.map_or_else(|| self.add(declaration), Ok)
    }

    /// Adds a field whose room other fields get when it is retired.
    pub(crate) fn add_passing(&self, declaration: Declaration) -> Result<Address, Error> {
        self.add_with(declaration, true)
    }

    fn add_with(&self, declaration: Declaration, passing: bool) -> Result<Address, Error> {
        let mut need = Geometry::new(1);
        declaration.measure(&mut need)?;
        let heap = passing.then(|| Room::heap_of(&declaration));
        need.heap = heap.map_or(need.heap, |heap| heap.saturating_add(ALIGNMENT));
        let mut inventory = self.attend();
        if inventory.closed {
            return Err(Error::Closed);
        }
        if !inventory.unclaimed.is_empty()
            && let Some(address) = inventory.claim_earlier(&declaration)
        {
            return Ok(address);
        }
        inventory.check_names(&declaration)?;
        if let Some(heap) = heap
            && !self.is_forked()
            && let Some(address) = inventory.move_in(&declaration, heap)?
        {
            return Ok(address);
        }
        if !inventory.write(&declaration, heap)? {
            let opened = self.open_segment(&mut inventory, &need);
            opened.inspect_err(|_| inventory.count_refused())?;
            inventory.write(&declaration, heap)?;
        }
        let address = inventory.push_with(declaration, &need, heap.map(Room::new));
        inventory.tell();
        Ok(address)
    }

    fn open_segment(&self, inventory: &mut Inventory, need: &Geometry) -> Result<(), Error> {
        let lanes = self.settings.lanes;
        let capacity = inventory.segments.last().and_then(|last| last.capacity_after(need, lanes));
        let capacity = capacity.ok_or(Error::TooLarge { fields: need.fields as usize, lanes })?;
        let number = inventory.segments.len();
        let segment = Segment::with_prelude(&inventory.prelude, capacity);
        inventory.segments.push(segment);
        let opened = self.open_part(inventory, number, self.settings.fallback());
        opened.map(drop).inspect_err(|_| drop(inventory.segments.pop()))
    }

    /// Retires the field at `address` with all fields of its declaration. Does nothing if it is
    /// retired.
    pub(crate) fn retire(&self, address: Address) -> Result<(), Error> {
        let mut inventory = self.inventory.lock();
        if inventory.closed {
            return Err(Error::Closed);
        }
        let Inventory { segments, parts, names, .. } = &mut *inventory;
        let segment = segments.get_mut(address.segment as usize);
        let count = segment.as_ref().map_or(0, |segment| segment.next_id().index());
        let Some(segment) = segment.filter(|segment| segment.entry(address.id).is_some()) else {
            return Err(Error::no_such_field(address.id.index() as usize, count as usize));
        };
        if segment.entry(address.id).is_some_and(|entry| !entry.has_tenant(address)) {
            return Ok(());
        }
        let Some(entry) = segment.retire(address.id) else { return Ok(()) };
        names.remove(entry.declaration.fields(), Address { id: entry.first(), ..address });
        let ids = entry.ids();
        for &part in &segment.parts {
            for writer in parts[part].writers() {
                ids.clone().try_for_each(|id| writer.retire(id)).map_err(Error::image)?;
            }
        }
        inventory.move_out(address);
        Ok(())
    }

    /// Label and attributes of the first field of the declaration at `address`, and its number of fields.
    pub(crate) fn name_of(&self, address: Address) -> Result<(FieldName, u32), Error> {
        let inventory = self.inventory.lock();
        let segment = inventory.segments.get(address.segment as usize);
        let entry = segment.and_then(|segment| segment.entry(address.id));
        let Some(entry) = entry.filter(|entry| entry.has_tenant(address)) else {
            let count = segment.map_or(0, |segment| segment.next_id().index());
            return Err(Error::no_such_field(address.id.index() as usize, count as usize));
        };
        let name = entry.declaration.fields().first().map(FieldDeclaration::owned_name);
        Ok((name.unwrap_or_default(), entry.declaration.count()))
    }

    /// Adds a family; returns its number.
    pub(crate) fn add_family<H: Field>(
        &self,
        label: String,
        keys: &[&str],
        options: FieldOptions<FamilyOf<H>>,
    ) -> Result<usize, Error> {
        let (mut declared, overflow) = FamilyDeclaration::new(label, keys, options);
        declared.check()?;
        declared.overflow = self.add(overflow)?;
        let mut inventory = self.inventory.lock();
        inventory.families.push(Arc::new(FamilyFields::new(declared)));
        Ok(inventory.families.len() - 1)
    }

    /// The family with this number.
    pub(crate) fn family(&self, number: usize) -> Result<Arc<FamilyFields>, Error> {
        let inventory = self.inventory.lock();
        let family = inventory.families.get(number).cloned();
        family.ok_or_else(|| Error::no_such_field(number, inventory.families.len()))
    }
}
