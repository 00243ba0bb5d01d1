//! What a publisher has: its fields, their names, and the files they are in.

use std::collections::HashMap;
use std::sync::Arc;

use crate::backend::{Mapping, OwnedFile};
use mmstats_core::layout::MAX_LANES;
use mmstats_core::{Geometry, WriteError, Writer};

use crate::carry::Carry;
use crate::error::Error;
use crate::family::Definition;
use crate::item::Item;
use crate::names::Names;
use crate::options::Options;
use crate::schema::Schema;
use crate::segment::{Address, Segment};

/// One file, or one private image.
pub(crate) struct Part {
    pub(crate) writer: Writer<Arc<Mapping>>,
    pub(crate) mapping: Arc<Mapping>,
    pub(crate) file: Option<OwnedFile>,
    pub(crate) reach: Reach,
}

impl Part {
    /// Whether all bytes are there: nobody has truncated the file.
    fn is_whole(&self) -> bool {
        // On Windows the system sees to it: a mapped file cannot be made shorter.
        #[cfg(windows)]
        let has_its_size = true;
        #[cfg(not(windows))]
        let has_its_size = self.file.as_ref().is_none_or(OwnedFile::has_its_size);
        has_its_size && !self.mapping.is_damaged()
    }
}

/// Who gets to a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Observers, and all threads.
    File,
    /// All threads.
    Memory,
    /// The one thread that got no lane elsewhere; gone with its lane.
    OneLane,
}

/// What a publisher has. Changed under its lock alone.
#[derive(Default)]
pub(crate) struct State {
    /// By number. Those that are gone left a hole.
    pub(crate) parts: Vec<Option<Part>>,
    pub(crate) segments: Vec<Segment>,
    pub(crate) names: Names,
    pub(crate) families: Vec<Arc<Definition>>,
    /// How many files were opened.
    pub(crate) files: u32,
    pub(crate) closed: bool,
    /// The standard constants, which every file has: who looks at one file alone knows whose it
    /// is.
    pub(crate) prelude: Arc<Vec<Item>>,
    pub(crate) common: crate::common::Common,
    /// What an earlier run left, while the publisher starts.
    pub(crate) carry: Carry,
    /// Fields of an earlier run that this one has not asked for yet.
    pub(crate) carried: HashMap<Vec<String>, Address>,
    pub(crate) problem: Option<Error>,
}

impl State {
    /// The fields of a schema, checked, and no part yet.
    pub(crate) fn of(schema: Schema, options: &Options) -> Result<Self, Error> {
        let used = schema.measure(options.lanes)?;
        let mut capacity = used;
        let (fields, strings) = options.reserve;
        capacity.reserve(fields, strings, fields.saturating_mul(8));
        let families = schema.families.into_iter().map(|f| Arc::new(Definition::new(f)));
        let mut state = Self {
            segments: vec![Segment::new(capacity)],
            families: families.collect(),
            ..Self::default()
        };
        let standard = schema.items.iter().filter(|item| item.is_standard());
        state.prelude = Arc::new(standard.cloned().collect());
        // The strings that fields have in common were measured once: no item alone.
        let mut need = used;
        for item in schema.items {
            state.check_names(&item)?;
            state.push(item, &std::mem::replace(&mut need, Geometry::new(0)));
        }
        Ok(state)
    }

    /// Whether the names of a new item are new.
    pub(crate) fn check_names(&self, item: &Item) -> Result<(), Error> {
        match self.names.taken(&self.segments, item.fields()) {
            Some(field) => Err(Error::Duplicate { label: field.label().to_owned() }),
            None => Ok(()),
        }
    }

    /// The address of a field of an earlier run that `item` goes on with.
    pub(crate) fn take_carried(&mut self, item: &Item) -> Option<Address> {
        let Item::One(field) = item else { return None };
        let key = field.key();
        let address = *self.carried.get(&key)?;
        let entry = self.segments.get(address.segment as usize)?.entry(address.id)?;
        let Item::One(old) = &entry.item else { return None };
        if !old.is_like(field) {
            return None;
        }
        self.carried.remove(&key)
    }

    /// Remembers an item of the last segment.
    pub(crate) fn push(&mut self, item: Item, need: &Geometry) -> Address {
        let last = self.segments.len() - 1;
        let segment = u32::try_from(last).unwrap_or(u32::MAX);
        let address = Address { segment, id: self.segments[last].next_id() };
        self.names.insert(item.fields(), address);
        self.segments[last].push(item, need);
        address
    }

    /// Writes an item into all parts of the last segment; `false` if there is no room.
    pub(crate) fn write(&mut self, item: &Item) -> Result<bool, Error> {
        let Self { segments, parts, .. } = self;
        let last = segments.last().map_or(&[][..], |last| &last.parts);
        for &number in last {
            let Some(part) = &mut parts[number] else { continue };
            match item.write(&mut part.writer) {
                Ok(_) => {}
                // All parts of a segment are equally full, so this is the first one.
                Err(error) if error.is_full() => return Ok(false),
                Err(error) => return Err(image(&error)),
            }
        }
        Ok(true)
    }

    /// How many lanes the next part of `segment` has: twice those of the one before.
    pub(crate) fn lanes_after(&self, segment: usize, first: u32) -> u32 {
        let shared =
            |&&n: &&usize| self.parts[n].as_ref().is_some_and(|p| p.reach != Reach::OneLane);
        match self.segments[segment].parts.iter().filter(shared).count() {
            0 => first,
            further => first.saturating_mul(1 << further.min(16)).min(MAX_LANES),
        }
    }

    /// Takes a new part in; returns its number.
    pub(crate) fn push_part(&mut self, segment: usize, part: Part) -> usize {
        // Files stay in the order in which they were opened.
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
            // What was truncated has no more lanes to give: the next ones are in another file.
            if !reach(part.reach) || !part.is_whole() {
                return None;
            }
            self.claim_in(number)
        })
    }

    /// Claims a lane in a part.
    pub(crate) fn claim_in(&mut self, number: usize) -> Option<(usize, u32, Arc<Mapping>)> {
        let part = self.parts[number].as_mut()?;
        let index = part.writer.claim().ok()?;
        Some((number, index, Arc::clone(&part.mapping)))
    }

    pub(crate) fn hand_back(&mut self, number: usize, lane: u32) {
        let Some(place) = self.parts.get_mut(number) else { return };
        let Some(part) = place else { return };
        match part.reach {
            Reach::OneLane => {
                *place = None;
                for segment in &mut self.segments {
                    segment.parts.retain(|part| *part != number);
                }
            }
            // Nothing in a closed file changes any more.
            _ if self.closed => {}
            _ => part.writer.hand_back(lane),
        }
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

/// What goes wrong with an image in spite of all checks.
pub(crate) fn image(error: &WriteError) -> Error {
    Error::Image(error.to_string())
}
