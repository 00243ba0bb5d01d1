//! Which names a publisher has.

use hashbrown::{DefaultHashBuilder, HashTable};
use mmstats_core::FieldId;

use crate::item::Owned;
use crate::pieces;
use crate::segment::{Address, Segment};

/// Finds fields by label and attributes; the names themselves are in the segments.
#[derive(Debug, Default)]
pub(crate) struct Names {
    state: DefaultHashBuilder,
    table: HashTable<Known>,
}

#[derive(Debug)]
struct Known {
    hash: u64,
    address: Address,
}

impl Names {
    fn hash(&self, field: &Owned) -> u64 {
        pieces::hash(&self.state, field.name().iter())
    }

    /// Whether one of `fields`, which are new, has the name of a field or of another one
    /// of them.
    pub(crate) fn taken<'a>(&self, segments: &[Segment], fields: &'a [Owned]) -> Option<&'a Owned> {
        fields.iter().enumerate().find_map(|(i, field)| {
            let twice = || fields[..i].iter().any(|other| other.name() == field.name());
            let known = |known: &Known| {
                name(segments, known.address).is_some_and(|other| other.name() == field.name())
            };
            let hash = self.hash(field);
            let old = self.table.find(hash, |other| other.hash == hash && known(other));
            (old.is_some() || twice()).then_some(field)
        })
    }

    /// Remembers `fields`, whose numbers follow that of `first`.
    pub(crate) fn insert(&mut self, fields: &[Owned], first: Address) {
        for (id, field) in (first.id.index()..).zip(fields) {
            let hash = self.hash(field);
            let address = Address { id: FieldId::from_index(id), ..first };
            self.table.insert_unique(hash, Known { hash, address }, |known| known.hash);
        }
    }

    /// Forgets `fields`, whose numbers follow that of `first`.
    pub(crate) fn remove(&mut self, fields: &[Owned], first: Address) {
        for (id, field) in (first.id.index()..).zip(fields) {
            let address = Address { id: FieldId::from_index(id), ..first };
            let hash = self.hash(field);
            if let Ok(known) = self.table.find_entry(hash, |known| known.address == address) {
                known.remove();
            }
        }
    }
}

fn name(segments: &[Segment], address: Address) -> Option<&Owned> {
    let entry = segments.get(address.segment as usize)?.entry(address.id)?;
    let member = entry.ids().position(|id| id == address.id)?;
    entry.item.fields().get(member)
}
