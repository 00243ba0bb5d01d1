//! Fields that are added and retired while the program runs.

use std::sync::Arc;

use mmstats_core::{AttachError, Geometry};

use crate::error::Error;
use crate::family::{Declared, Definition};
use crate::item::Item;
use crate::parts::Shared;
use crate::segment::{Address, Segment};
use crate::state::{Part, Reach, State, image};

impl Shared {
    /// Adds a field to the files of the last segment, or opens a further one.
    pub(crate) fn add(&self, item: Item) -> Result<Address, Error> {
        let mut need = Geometry::new(1);
        item.measure(&mut need).map_err(|error| item.refused(error))?;
        let mut state = self.lock();
        if state.closed {
            return Err(Error::Closed);
        }
        if !state.carried.is_empty()
            && let Some(address) = state.take_carried(&item)
        {
            return Ok(address);
        }
        state.check_names(&item)?;
        if !state.write(&item)? {
            let opened = self.open_segment(&mut state, &need);
            opened.inspect_err(|_| state.count_refused())?;
            state.write(&item)?;
        }
        let address = state.push(item, &need);
        if !state.is_seen(address.segment as usize) {
            state.count_refused();
        }
        Ok(address)
    }

    fn open_segment(&self, state: &mut State, need: &Geometry) -> Result<(), Error> {
        let lanes = self.lanes();
        let last = state.segments.last();
        let capacity = last
            .and_then(|last| last.capacity_after(need, lanes))
            .ok_or(Error::TooLarge { fields: need.fields as usize, lanes })?;
        let number = state.segments.len();
        let segment = Segment::with(&state.prelude, capacity);
        state.segments.push(segment);
        let opened = self.open_part(state, number).or_else(|error| {
            if !self.fallback().takes(&error) {
                return Err(error);
            }
            state.problem.get_or_insert(error);
            self.open_part_as(Reach::Memory, state, number).map(drop)
        });
        opened.inspect_err(|_| drop(state.segments.pop()))
    }

    /// Retires the field at `address` with all that belongs to it; nothing if it is retired.
    pub(crate) fn retire(&self, address: Address) -> Result<(), Error> {
        let mut state = self.lock();
        if state.closed {
            return Err(Error::Closed);
        }
        let State { segments, parts, names, .. } = &mut *state;
        let segment = segments.get_mut(address.segment as usize);
        let count = segment.as_ref().map_or(0, |segment| segment.next_id().index());
        let Some(segment) = segment.filter(|segment| segment.entry(address.id).is_some()) else {
            let error = AttachError::NoSuchField { index: address.id.index(), count };
            return Err(Error::Attach(error));
        };
        let Some(entry) = segment.retire(address.id) else { return Ok(()) };
        names.remove(entry.item.fields(), Address { id: entry.first(), ..address });
        let ids = entry.ids();
        for &part in &segment.parts {
            let Some(Part { writer, .. }) = &mut parts[part] else { continue };
            ids.clone().try_for_each(|id| writer.retire(id)).map_err(|e| image(&e))?;
        }
        Ok(())
    }

    /// Adds a family; returns its number.
    pub(crate) fn add_family(
        &self,
        mut declared: Declared,
        overflow: Item,
    ) -> Result<usize, Error> {
        declared.check()?;
        declared.overflow = self.add(overflow)?;
        let mut state = self.lock();
        state.families.push(Arc::new(Definition::new(declared)));
        Ok(state.families.len() - 1)
    }

    /// The family with this number.
    pub(crate) fn family(&self, number: usize) -> Result<Arc<Definition>, Error> {
        let state = self.lock();
        state.families.get(number).cloned().ok_or_else(|| {
            let small = |n| u32::try_from(n).unwrap_or(u32::MAX);
            let (index, count) = (small(number), small(state.families.len()));
            Error::Attach(AttachError::NoSuchField { index, count })
        })
    }
}
