//! The fields of a publisher, their names, and the files that have them.

use std::sync::Arc;

use hashbrown::HashMap;
use mmstats_core::Geometry;
use mmstats_core::layout::MAX_LANES;

use super::attempts::Attempts;
use super::earlier_run::EarlierRun;
use super::family::FamilyFields;
use super::names::Names;
use super::part::Part;
use super::place::Place;
use super::room::{self, Room, Rooms};
use super::segment::Segment;
use super::settings::{Fallback, Settings};
use crate::backend::Mapping;
use crate::error::Error;
use crate::schema::Schema;
use crate::schema::declaration::Declaration;
use crate::schema::key::Address;
use crate::strings::Strings;

/// The fields of a publisher and its files. Changed only under its lock.
#[derive(Default)]
pub(crate) struct Inventory {
    pub(crate) parts: Vec<Part>,
    pub(crate) segments: Vec<Segment>,
    pub(crate) names: Names,
    pub(crate) rooms: Rooms,
    pub(crate) families: Vec<Arc<FamilyFields>>,
    /// Where files are made; `None` for a publisher that makes none.
    pub(crate) place: Option<Place>,
    /// Number of images that have or had a name.
    pub(crate) images: u32,
    pub(crate) attempts: Attempts,
    pub(crate) closed: bool,
    /// Whether forked children and applications know of the first file.
    pub(crate) joined: bool,
    /// The standard constants, repeated in every file, so that each identifies its program.
    pub(crate) prelude: Arc<Vec<Declaration>>,
    /// The values of an earlier run, while the publisher starts.
    pub(crate) earlier: EarlierRun,
    /// Files of an earlier run whose values are in private memory.
    pub(crate) replaced: EarlierRun,
    /// Fields of an earlier run that this one has not added yet.
    pub(crate) unclaimed: HashMap<Strings, Address>,
    /// Fields that were refused.
    pub(crate) refused: u32,
    /// An error to be shown that does not pass.
    pub(crate) reported: Option<Error>,
}

impl Inventory {
    /// The fields of a schema, checked, without a part.
    pub(crate) fn new(schema: Schema, settings: &Settings) -> Result<Self, Error> {
        let used = schema.measure(settings.lanes)?;
        let mut capacity = used;
        let (fields, strings) = settings.reserve;
        // Each field has a room of its own.
        let rooms = fields.saturating_mul(room::SMALLEST + room::ALIGNMENT);
        let heap = if fields == 0 { strings } else { strings.saturating_add(rooms) };
        let values = settings.reserve_values.unwrap_or(fields.saturating_mul(8));
        capacity.reserve(fields, heap, values);
        let families = schema.families.into_iter().map(|f| Arc::new(FamilyFields::new(f)));
        let mut inventory = Self {
            segments: vec![Segment::new(capacity)],
            families: families.collect(),
            ..Self::default()
        };
        // Without the standard fields, the program may have fields of these names.
        let system = settings.system_fields;
        let standard = |declared: &&Declaration| {
            declared.is_standard() || (system && declared.lane_field().is_some())
        };
        let standard = schema.declarations.iter().filter(standard);
        inventory.prelude = Arc::new(standard.cloned().collect());
        // Strings that fields share were measured once, so the first declaration takes all.
        let mut need = used;
        for declaration in schema.declarations {
            inventory.check_names(&declaration)?;
            inventory.push(declaration, &std::mem::replace(&mut need, Geometry::new(0)));
        }
        if settings.system_fields {
            inventory.segments[0].find_lane_fields();
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
        self.push_with(declaration, need, None)
    }

    /// [`Inventory::push`] with a room that may be used again.
    pub(crate) fn push_with(
        &mut self,
        declaration: Declaration,
        need: &Geometry,
        room: Option<Room>,
    ) -> Address {
        let last = self.segments.len() - 1;
        let segment = u32::try_from(last).unwrap_or(u32::MAX);
        let tenancy = room.as_ref().map_or(0, |room| room.tenancy);
        let address = Address { segment, id: self.segments[last].next_id(), tenancy };
        self.names.insert(declaration.fields(), address);
        self.segments[last].push(declaration, need, room);
        address
    }

    /// Writes a declaration into all images of the last segment, with `heap` in a room of its own;
    /// `false` if there is no room.
    pub(crate) fn write(
        &mut self,
        declaration: &Declaration,
        heap: Option<u32>,
    ) -> Result<bool, Error> {
        let Self { segments, parts, .. } = self;
        let last = segments.last().map_or(&[][..], |last| &last.parts);
        for &number in last {
            for writer in parts[number].writers() {
                let written = match heap {
                    Some(heap) => declaration.write_room(writer, heap),
                    None => declaration.write(writer),
                };
                match written {
                    Ok(_) => {}
                    // All images of a segment are equally full, so nothing was written.
                    Err(error) if error.is_full() => return Ok(false),
                    Err(error) => return Err(Error::image(error)),
                }
            }
        }
        Ok(true)
    }

    /// Number of lanes of the next part of `segment`: twice that of the one before.
    pub(crate) fn lanes_after(&self, segment: usize, first: u32) -> u32 {
        match self.segments[segment].parts.len() {
            0 => first,
            further => first.saturating_mul(1 << further.min(16)).min(MAX_LANES),
        }
    }

    /// Adds a part; returns its index.
    pub(crate) fn push_part(&mut self, part: Part) -> usize {
        let index = self.parts.len();
        self.segments[part.segment].parts.push(index);
        if part.number.is_some() {
            self.images += 1;
        }
        self.parts.push(part);
        self.tell();
        index
    }

    /// Claims a lane in a part of `segment`: one whose memory observers see if `published`, else any.
    pub(crate) fn claim(
        &mut self,
        segment: usize,
        published: bool,
    ) -> Option<(usize, u32, Arc<Mapping>)> {
        for i in 0..self.segments[segment].parts.len() {
            let index = self.segments[segment].parts[i];
            let part = &mut self.parts[index];
            if !part.writer.has_free_lane() {
                continue;
            }
            if part.look_for_truncation() {
                self.attempts.expire();
            }
            // Lanes are claimed in whole files only.
            if part.is_whole() && (part.is_published() || !published) {
                return self.claim_in(index);
            }
        }
        None
    }

    /// Whether a part exists and was not truncated.
    pub(crate) fn is_whole(&self, index: usize) -> bool {
        self.parts.get(index).is_some_and(Part::is_whole)
    }

    /// Claims a lane in a part: index of the part, number of the lane, memory of the part.
    pub(crate) fn claim_in(&mut self, index: usize) -> Option<(usize, u32, Arc<Mapping>)> {
        let part = &mut self.parts[index];
        let lane = part.writer.claim().ok()?;
        let claimed = (index, lane, Arc::clone(&part.mapping));
        self.tell();
        Some(claimed)
    }

    pub(crate) fn hand_back(&mut self, index: usize, lane: u32) {
        // A closed file does not change.
        if let Some(part) = self.parts.get_mut(index).filter(|_| !self.closed) {
            part.writer.hand_back(lane);
            self.settle(index, lane);
        }
    }

    /// Keeps an error that `fallback` covers as the publisher's problem; returns any other.
    pub(crate) fn cover(&mut self, error: Error, fallback: Fallback) -> Result<(), Error> {
        if !fallback.covers(&error) {
            return Err(error);
        }
        self.attempts.fail(error);
        Ok(())
    }

    /// Counts a field that was refused.
    pub(crate) fn count_refused(&mut self) {
        self.refused = self.refused.saturating_add(1);
        self.tell();
    }

    /// Stores in the headers how many images there are, and how much is in none of them.
    pub(crate) fn tell(&mut self) {
        if self.place.is_none() {
            return;
        }
        // A twin shows the last values of a truncated file, but no later ones.
        let is_shown = |part: &Part| part.is_seen() && part.is_whole();
        let lanes = |part: &Part| if is_shown(part) { 0 } else { part.writer.lane_count() };
        let lanes = self.parts.iter().map(lanes).sum();
        let is_seen = |i: &usize| self.parts[*i].is_seen();
        let unseen = |segment: &&Segment| !segment.parts.iter().any(is_seen);
        let fields = self.segments.iter().filter(unseen).map(Segment::own_fields);
        let fields = fields.fold(self.refused, u32::saturating_add);
        let images = self.images;
        let number = |part: &Part| part.number.unwrap_or(u32::MAX);
        // The first image that observers see has the numbers.
        let first = self.parts.iter().filter(|part| part.is_seen()).map(number).min();
        for part in &mut self.parts {
            let number = part.number;
            let Some(image) = part.image() else { continue };
            let counts = number == first;
            image.set_lanes_refused(if counts { lanes } else { 0 });
            image.set_fields_refused(if counts { fields } else { 0 });
            if number == Some(0) {
                image.set_parts(images);
            }
        }
    }
}
