//! The fields of a publisher without its files and values, from which another one starts.

use std::sync::Arc;
use std::time::Duration;

use mmstats_core::Geometry;

use super::family::FamilyFields;
use super::inventory::Inventory;
use super::names::Names;
use super::room::{Rooms, Shape};
use super::segment::Segment;
use crate::error::Error;
use crate::lock::Mutex;
use crate::schema::Schema;
use crate::schema::declaration::Declaration;
use crate::schema::key::Address;

/// The fields of a publisher, with the addresses that their keys have.
pub(super) struct Blueprint {
    segments: Vec<Segment>,
    names: Names,
    families: Vec<Arc<FamilyFields>>,
    prelude: Arc<Vec<Declaration>>,
}

/// Time to wait for a lock of the publisher. In a forked child a thread of the parent may have it, which
/// never releases it.
const PATIENCE: Duration = Duration::from_millis(500);

impl Blueprint {
    /// The fields at present.
    pub(super) fn new(all: &Mutex<Inventory>) -> Result<Self, Error> {
        loop {
            let inventory = all.lock_within(PATIENCE).ok_or(Error::Forked)?;
            let known = inventory.families.clone();
            drop(inventory);
            // Without the lock: a family takes it while it has its own. So its combinations are copied
            // before the fields.
            let families = known.iter().map(|family| family.again(PATIENCE).map(Arc::new));
            let families = families.collect::<Option<Vec<_>>>().ok_or(Error::Forked)?;
            let inventory = all.lock_within(PATIENCE).ok_or(Error::Forked)?;
            if inventory.families.len() != families.len() {
                continue; // One was added meanwhile.
            }
            return Ok(Self {
                segments: inventory.segments.iter().map(Segment::without_parts).collect(),
                names: inventory.names.clone(),
                families,
                prelude: Arc::clone(&inventory.prelude),
            });
        }
    }

    /// The fields, with the `standard` ones of the process that starts in the place of the old ones.
    pub(super) fn into_inventory(self, standard: Schema) -> Inventory {
        let Self { mut segments, mut names, families, prelude } = self;
        let mut prelude = Arc::unwrap_or_clone(prelude);
        for declaration in standard.declarations {
            for (number, segment) in (0..).zip(&mut segments) {
                if segment.renew(&declaration) {
                    continue;
                }
                // One that the other process did not have comes after all others, so that these keep
                // their numbers.
                let mut need = Geometry::new(0);
                // Cannot fail: its process begins to publish.
                let _ = declaration.measure(&mut need);
                segment.reserve(&need);
                if number == 0 {
                    let address = Address::lasting(0, segment.next_id());
                    names.insert(declaration.fields(), address);
                }
                segment.push(declaration.clone(), &need, None);
            }
            match prelude.iter_mut().find(|old| old.is_standard_as(&declaration)) {
                Some(old) => *old = declaration,
                None => prelude.push(declaration),
            }
        }
        let mut rooms = Rooms::default();
        for (number, segment) in (0..).zip(&segments) {
            for entry in segment.entries().filter(|entry| entry.is_retired()) {
                if let Some(room) = &entry.room {
                    let shape = Shape::new(&entry.declaration);
                    rooms.put(shape, room.heap, (number, entry.first()));
                }
            }
        }
        Inventory {
            segments,
            names,
            rooms,
            families,
            prelude: Arc::new(prelude),
            ..Inventory::default()
        }
    }
}
