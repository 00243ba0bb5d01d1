//! The names of a publisher's fields.

use hashbrown::{DefaultHashBuilder, HashTable};
use mmstats_core::FieldId;

use super::segment::Segment;
use crate::schema::declaration::{Declaration, FieldDeclaration};
use crate::schema::key::Address;
use crate::strings;

/// Finds fields by label and attributes. The names themselves are in the segments.
#[derive(Debug, Default, Clone)]
pub(crate) struct Names {
    state: DefaultHashBuilder,
    table: HashTable<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    hash: u64,
    address: Address,
}

impl Names {
    fn hash(&self, field: &FieldDeclaration) -> u64 {
        strings::hash(&self.state, field.name().iter())
    }

    /// The first of the new `fields` that has the name of an old field, or of another new one.
    pub(crate) fn taken<'a>(
        &self,
        segments: &[Segment],
        fields: &'a [FieldDeclaration],
    ) -> Option<&'a FieldDeclaration> {
        fields.iter().enumerate().find_map(|(i, field)| {
            let twice = || fields[..i].iter().any(|other| other.name() == field.name());
            let known = |known: &Entry| {
                name(segments, known.address).is_some_and(|other| other.name() == field.name())
            };
            let hash = self.hash(field);
            let old = self.table.find(hash, |other| other.hash == hash && known(other));
            (old.is_some() || twice()).then_some(field)
        })
    }

    /// The address of a declaration that is equal to `declaration`.
    pub(crate) fn find(&self, segments: &[Segment], declaration: &Declaration) -> Option<Address> {
        let hash = self.hash(declaration.fields().first()?);
        let is_equal = |known: &Entry| {
            let segment = segments.get(known.address.segment as usize);
            let entry = segment.and_then(|segment| segment.entry(known.address.id));
            entry.is_some_and(|entry| {
                entry.first() == known.address.id && entry.declaration == *declaration
            })
        };
        let found = self.table.find(hash, |known| known.hash == hash && is_equal(known));
        found.map(|known| known.address)
    }

    /// Adds `fields`, whose numbers begin with that of `first`.
    pub(crate) fn insert(&mut self, fields: &[FieldDeclaration], first: Address) {
        for (address, field) in addresses(first).zip(fields) {
            let hash = self.hash(field);
            self.table.insert_unique(hash, Entry { hash, address }, |known| known.hash);
        }
    }

    /// Removes `fields`, whose numbers begin with that of `first`.
    pub(crate) fn remove(&mut self, fields: &[FieldDeclaration], first: Address) {
        for (address, field) in addresses(first).zip(fields) {
            let hash = self.hash(field);
            if let Ok(known) = self.table.find_entry(hash, |known| known.address == address) {
                known.remove();
            }
        }
    }
}

/// `first`, and the addresses after it in its segment.
fn addresses(first: Address) -> impl Iterator<Item = Address> {
    (first.id.index()..).map(move |id| Address { id: FieldId::from_index(id), ..first })
}

fn name(segments: &[Segment], address: Address) -> Option<&FieldDeclaration> {
    let entry = segments.get(address.segment as usize)?.entry(address.id)?;
    let member = entry.ids().position(|id| id == address.id)?;
    entry.declaration.fields().get(member)
}
