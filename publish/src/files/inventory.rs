//! The fields of a publisher, their names, and the files that have them.

use std::sync::Arc;

use hashbrown::HashMap;
use mmstats_core::layout::MAX_LANES;
use mmstats_core::{Geometry, Writer};

use super::earlier_run::EarlierRun;
use super::family::FamilyFields;
use super::names::Names;
use super::segment::Segment;
use super::settings::{Fallback, Settings};
use crate::backend::{Mapping, OwnedFile};
use crate::error::Error;
use crate::schema::Schema;
use crate::schema::declaration::Declaration;
use crate::schema::key::Address;
use crate::strings::Strings;

/// The fields of a publisher and its files. Changed only under its lock.
#[derive(Default)]
pub(crate) struct Inventory {
    /// By number; `None` for a part that is gone.
    pub(crate) parts: Vec<Option<Part>>,
    pub(crate) segments: Vec<Segment>,
    pub(crate) names: Names,
    pub(crate) families: Vec<Arc<FamilyFields>>,
    /// Number of files opened so far.
    pub(crate) files: u32,
    pub(crate) closed: bool,
    /// The standard constants, repeated in every file, so that each identifies its program.
    pub(crate) prelude: Arc<Vec<Declaration>>,
    /// The values of an earlier run, while the publisher starts.
    pub(crate) earlier: EarlierRun,
    /// Fields of an earlier run that this one has not added yet.
    pub(crate) unclaimed: HashMap<Strings, Address>,
    pub(crate) problem: Option<Error>,
}

impl Inventory {
    /// The fields of a schema, checked, without a part.
    pub(crate) fn new(schema: Schema, settings: &Settings) -> Result<Self, Error> {
        let used = schema.measure(settings.lanes)?;
        let mut capacity = used;
        let (fields, strings) = settings.reserve;
        capacity.reserve(fields, strings, fields.saturating_mul(8));
        let families = schema.families.into_iter().map(|f| Arc::new(FamilyFields::new(f)));
        let mut inventory = Self {
            segments: vec![Segment::new(capacity)],
            families: families.collect(),
            ..Self::default()
        };
        let standard = schema.declarations.iter().filter(|declared| declared.is_standard());
        inventory.prelude = Arc::new(standard.cloned().collect());
        // Strings that fields share were measured once, so the first declaration takes all.
        let mut need = used;
        for declaration in schema.declarations {
            inventory.check_names(&declaration)?;
            inventory.push(declaration, &std::mem::replace(&mut need, Geometry::new(0)));
        }
        Ok(inventory)
    }

    /// Refuses a declaration with a name that another field has.
    pub(crate) fn check_names(&self, declaration: &Declaration) -> Result<(), Error> {
        match self.names.taken(&self.segments, declaration.fields()) {
            Some(field) => Err(Error::Duplicate { label: field.label().to_owned() }),
            None => Ok(()),
        }
    }

    /// The address of the field of an earlier run that `declaration` continues.
    pub(crate) fn claim_earlier(&mut self, declaration: &Declaration) -> Option<Address> {
        let Declaration::Field(field) = declaration else { return None };
        let address = *self.unclaimed.get(field.name())?;
        let entry = self.segments.get(address.segment as usize)?.entry(address.id)?;
        let Declaration::Field(old) = &entry.declaration else { return None };
        if !old.continues(field) {
            return None;
        }
        self.unclaimed.remove(field.name())
    }

    /// Appends a declaration to the last segment.
    pub(crate) fn push(&mut self, declaration: Declaration, need: &Geometry) -> Address {
        let last = self.segments.len() - 1;
        let segment = u32::try_from(last).unwrap_or(u32::MAX);
        let address = Address { segment, id: self.segments[last].next_id() };
        self.names.insert(declaration.fields(), address);
        self.segments[last].push(declaration, need);
        address
    }

    /// Writes a declaration into all parts of the last segment; `false` if there is no room.
    pub(crate) fn write(&mut self, declaration: &Declaration) -> Result<bool, Error> {
        let Self { segments, parts, .. } = self;
        let last = segments.last().map_or(&[][..], |last| &last.parts);
        for &number in last {
            let Some(part) = &mut parts[number] else { continue };
            match declaration.write(&mut part.writer) {
                Ok(_) => {}
                // All parts of a segment are equally full, so nothing was written.
                Err(error) if error.is_full() => return Ok(false),
                Err(error) => return Err(Error::image(error)),
            }
        }
        Ok(true)
    }

    /// Number of lanes of the next part of `segment`: twice that of the one before.
    pub(crate) fn lanes_after(&self, segment: usize, first: u32) -> u32 {
        let shared =
            |&&n: &&usize| self.parts[n].as_ref().is_some_and(|p| p.reach != Reach::OneLane);
        match self.segments[segment].parts.iter().filter(shared).count() {
            0 => first,
            further => first.saturating_mul(1 << further.min(16)).min(MAX_LANES),
        }
    }

    /// Adds a part; returns its number.
    pub(crate) fn push_part(&mut self, segment: usize, part: Part) -> usize {
        // Files stay in the order in which they were opened, so only private parts fill holes.
        let hole = self.parts.iter().position(Option::is_none);
        let number = hole.filter(|_| part.reach == Reach::OneLane).unwrap_or(self.parts.len());
        if number == self.parts.len() {
            self.parts.push(None);
        }
        self.files += u32::from(part.reach == Reach::File);
        self.parts[number] = Some(part);
        self.segments[segment].parts.push(number);
        number
    }

    /// Claims a lane in a part of `segment` that is within reach.
    pub(crate) fn claim(
        &mut self,
        segment: usize,
        reach: impl Fn(Reach) -> bool,
    ) -> Option<(usize, u32, Arc<Mapping>)> {
        (0..self.segments[segment].parts.len()).find_map(|i| {
            let number = self.segments[segment].parts[i];
            let part = self.parts[number].as_ref()?;
            // A truncated file gives no more lanes; the next ones are in another file.
            if !reach(part.reach) || !part.is_whole() {
                return None;
            }
            self.claim_in(number)
        })
    }

    /// Whether a part exists and was not truncated.
    pub(crate) fn is_whole(&self, number: usize) -> bool {
        self.parts.get(number).and_then(Option::as_ref).is_some_and(Part::is_whole)
    }

    /// Claims a lane in a part: number of the part, number of the lane, memory of the part.
    pub(crate) fn claim_in(&mut self, number: usize) -> Option<(usize, u32, Arc<Mapping>)> {
        let part = self.parts[number].as_mut()?;
        let index = part.writer.claim().ok()?;
        Some((number, index, Arc::clone(&part.mapping)))
    }

    pub(crate) fn hand_back(&mut self, number: usize, lane: u32) {
        let Some(slot) = self.parts.get_mut(number) else { return };
        let Some(part) = slot else { return };
        match part.reach {
            Reach::OneLane => {
                *slot = None;
                for segment in &mut self.segments {
                    segment.parts.retain(|part| *part != number);
                }
            }
            // A closed file does not change.
            _ if self.closed => {}
            _ => part.writer.hand_back(lane),
        }
    }

    /// Keeps an error that `fallback` covers as the publisher's problem; returns any other.
    pub(crate) fn cover(&mut self, error: Error, fallback: Fallback) -> Result<(), Error> {
        if !fallback.covers(&error) {
            return Err(error);
        }
        self.problem.get_or_insert(error);
        Ok(())
    }

    /// Whether observers see the fields of `segment`.
    pub(crate) fn is_seen(&self, segment: usize) -> bool {
        let seen = |&n: &usize| self.parts[n].as_ref().is_some_and(|p| p.reach == Reach::File);
        self.segments[segment].parts.iter().any(seen)
    }

    /// Counts a field that observers do not see.
    pub(crate) fn count_refused(&mut self) {
        if let Some(part) = self.parts.iter_mut().flatten().find(|part| part.file.is_some()) {
            part.writer.count_refused();
        }
    }
}

/// One file, or one image in private memory.
pub(crate) struct Part {
    pub(crate) writer: Writer<Arc<Mapping>>,
    pub(crate) mapping: Arc<Mapping>,
    pub(crate) file: Option<OwnedFile>,
    pub(crate) reach: Reach,
}

impl Part {
    /// Whether the file has all its bytes and was not truncated.
    pub(crate) fn is_whole(&self) -> bool {
        let is_truncated =
            |file: &OwnedFile| matches!(file.standing(), crate::backend::Standing::Truncated);
        !self.file.as_ref().is_some_and(is_truncated) && !self.mapping.is_damaged()
    }
}

/// Readers and writers of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Observers read it, all threads write it.
    File,
    /// All threads write it.
    Memory,
    /// One thread that got no lane elsewhere writes it. It is dropped with the lane.
    OneLane,
}
