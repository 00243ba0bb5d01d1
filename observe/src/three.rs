//! Files of format 3: mapped, described once, read in place.
//!
//! The metadata (all bytes before the lanes) is copied into private memory and checked
//! there, so that what was checked is what is used. Values are read from the mapping.

use std::path::Path;
use std::sync::Arc;

use mmstats_core::layout::{field_state, header as h};
use mmstats_core::read::{Cursor, Field, Header, Image, LaneState, Refusal, Verdict};
use mmstats_core::{DataType, Region, Source, Storage};
use mmstats_unix::{Mapping, Opened};

use crate::field::FieldRef;
use crate::problem::{Damage, Problem};
use crate::state::{Identity, Instance, LaneInfo, Lanes, State};

/// Most bytes of metadata that are copied; a million fields with unit and help have less.
/// More is refused, so that a hostile sparse file does not eat the memory.
const MAX_METADATA: u32 = 256 << 20;
/// Never seen: what was just found in a list is there.
const NO_DAMAGE: Damage = Damage { code: "field-state", offset: 0 };

/// An image in a mapped file.
#[derive(Debug)]
pub(crate) struct Three {
    opened: Opened,
    region: Region<Arc<Mapping>>,
    header: Header,
    /// As long as the metadata; what is not used yet is zero.
    metadata: Vec<u8>,
    /// How much of the heap was copied, in bytes.
    heap_copied: u32,
    cursor: Cursor,
    /// Those that are not damaged, in the order of their numbers.
    good: Vec<Field>,
    /// The others, with their numbers.
    damaged: Vec<(u32, Damage)>,
    /// Numbers of fields, sorted.
    retired: Vec<u32>,
    plan: Plan,
    /// Raised whenever fields were added or retired.
    generation: u32,
}

/// The fields that have values, in the order they are read.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Atomic scalars.
    pub(crate) runs: Vec<Run>,
    /// Fields in latched cells, and those of a type or storage that is not known.
    pub(crate) others: Vec<u32>,
    pub(crate) constants: Vec<u32>,
}

/// Neighbouring atomic scalars of one type, 8 bytes apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// Number of the first field.
    pub(crate) first: u32,
    pub(crate) count: u32,
    /// Of the first cell, from the start of the lane.
    pub(crate) place: u32,
    pub(crate) ty: DataType,
    pub(crate) optional: bool,
}

impl Three {
    /// Checks the image in a mapped file and copies its metadata.
    pub(crate) fn load(path: &Path, opened: Opened) -> Result<Self, (State, Problem)> {
        let refused =
            |refusal: Refusal| (State::of_refusal(&refusal), Problem::of_refusal(path, &refusal));
        let region = Region::new(Arc::clone(opened.mapping()))
            .map_err(|error| (State::Damaged, Problem::new(path, "io", error.to_string())))?;
        let header = *Image::open(&region).map_err(refused)?.header();
        let size = header.lanes_offset();
        if size > MAX_METADATA {
            let message = format!("{size} bytes of metadata, this reader takes {MAX_METADATA}");
            return Err((State::Damaged, Problem::new(path, "too-large", message)));
        }
        // Zeroed memory costs nothing until it is touched.
        let mut metadata = vec![0; size as usize];
        copy(&region, &mut metadata, 0, header.descriptor_offset());
        let mut three = Self {
            opened,
            region,
            header,
            metadata,
            heap_copied: 0,
            cursor: Cursor::new(),
            good: Vec::new(),
            damaged: Vec::new(),
            retired: Vec::new(),
            plan: Plan::default(),
            generation: 0,
        };
        // What was copied so far may have been newer than what was checked.
        put32(&mut three.metadata, h::FIELD_COUNT, 0);
        three.extend();
        if three.is_damaged() {
            return Err((State::Damaged, Problem::truncated(path, None)));
        }
        Ok(three)
    }

    /// Takes in the fields published since; says whether there were any.
    fn extend(&mut self) -> bool {
        // A count that broke its rule since the file was opened is not used.
        let Ok(count) = self.header.field_count(&self.region) else { return false };
        let Ok(heap_used) = self.header.heap_used(&self.region) else { return false };
        let from = self.cursor.index();
        if count <= from {
            return false;
        }
        let place = |index| self.header.descriptor(index).unwrap_or(self.header.heap_offset());
        let (start, end) = (place(from), place(count).min(self.header.heap_offset()));
        copy(&self.region, &mut self.metadata, start, end);
        let heap = self.header.heap_offset();
        let (old, new) = (self.heap_copied / 8 * 8, heap_used.max(self.heap_copied));
        // No overflow: the heap ends before the lanes.
        copy(&self.region, &mut self.metadata, heap + old, heap + new.next_multiple_of(8));
        self.heap_copied = new;
        put32(&mut self.metadata, h::FIELD_COUNT, count);
        put32(&mut self.metadata, h::HEAP_USED, new);

        self.good.reserve((count - from) as usize);
        let metadata = self.metadata.as_slice();
        while let Some((index, field)) = self.cursor.next(metadata, &self.header) {
            match field {
                Ok(field) => {
                    if field.raw().state == field_state::LIVE {
                        self.plan.add(index, &field);
                    } else {
                        self.retired.push(index);
                    }
                    self.good.push(field);
                }
                Err(error) => self.damaged.push((index, error.into())),
            }
        }
        self.generation = self.generation.wrapping_add(1);
        true
    }

    /// Looks for new and retired fields; says whether there were any.
    pub(crate) fn refresh(&mut self) -> bool {
        let now = self.good.iter().filter(|field| field.retired(&self.region));
        let now: Vec<_> = now.map(Field::index).collect();
        let retired = now != self.retired;
        self.retired = now;
        if retired {
            self.plan = Plan::default();
            for field in &self.good {
                if self.retired.binary_search(&field.index()).is_err() {
                    self.plan.add(field.index(), field);
                }
            }
            self.generation = self.generation.wrapping_add(1);
        }
        self.extend() || retired
    }

    /// Whether the file still starts with the header that was checked: nobody wrote
    /// another image over it.
    pub(crate) fn is_same(&self) -> bool {
        Header::read(&self.region).is_ok_and(|header| header == self.header)
    }

    /// Whether bytes were lost under us.
    pub(crate) fn is_damaged(&self) -> bool {
        self.opened.mapping().is_damaged()
    }

    /// Whether no byte is missing now. One system call: bytes that were cut off inside the
    /// last page read as zero and cause no fault.
    pub(crate) fn is_whole(&self) -> bool {
        // What has no name any more is not judged by what has it now.
        let cut = || self.opened.size_now().is_ok_and(|now| now < self.size());
        !self.is_damaged() && !cut()
    }

    /// The state now.
    pub(crate) fn state(&self, path: &Path) -> Result<State, (State, Problem)> {
        let state = self
            .header
            .state(&self.region)
            .map_err(|refusal| (State::Damaged, Problem::of_refusal(path, &refusal)))?;
        // The lock says nothing about a closed file, so it is not asked for.
        let locked = match state {
            mmstats_core::read::ImageState::Live => self.opened.is_locked().ok(),
            _ => None,
        };
        let state = State::of_image(state, locked);
        if state == State::Building {
            return Err((state, Problem::of_refusal(path, &Refusal::Building)));
        }
        Ok(state)
    }

    pub(crate) fn close_handle(&mut self) {
        self.opened.close_handle();
    }

    pub(crate) const fn header(&self) -> &Header {
        &self.header
    }

    pub(crate) const fn region(&self) -> &Region<Arc<Mapping>> {
        &self.region
    }

    pub(crate) fn metadata(&self) -> &[u8] {
        &self.metadata
    }

    pub(crate) const fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(crate) const fn generation(&self) -> u32 {
        self.generation
    }

    /// Bytes that the file must have.
    pub(crate) fn size(&self) -> u64 {
        self.header.file_size().into()
    }

    pub(crate) const fn instance(&self) -> Instance {
        Instance(self.header.instance())
    }

    pub(crate) fn fields_refused(&self) -> u32 {
        self.header.fields_refused(&self.region)
    }

    /// Lanes that may have been claimed.
    pub(crate) fn lanes_used(&self) -> u32 {
        self.header.lanes_used(&self.region).unwrap_or(0)
    }

    pub(crate) fn lanes(&self) -> Lanes {
        let used = self.lanes_used();
        let owned = (0..used).filter(|&lane| self.lane(lane).is_some_and(|lane| lane.owned));
        let owned = u32::try_from(owned.count()).unwrap_or(u32::MAX);
        Lanes { used, owned, capacity: self.header.lane_capacity() }
    }

    pub(crate) fn lane(&self, index: u32) -> Option<LaneInfo> {
        let lane = self.header.lane(&self.region, index).consistent()?;
        let owned = lane.state() == LaneState::Owned;
        Some(LaneInfo { index, owned, owners: lane.owners(&self.region) })
    }

    pub(crate) const fn field_count(&self) -> usize {
        self.good.len() + self.damaged.len()
    }

    pub(crate) fn field(&self, index: usize) -> Option<FieldRef<'_>> {
        let number = u32::try_from(index).ok()?;
        Some(match self.place(number) {
            Ok(place) => {
                let field = self.good.get(place)?;
                FieldRef::three(number, field, &self.metadata, self.is_retired(number))
            }
            Err(damage) => FieldRef::damaged(number, damage),
        })
    }

    /// The checked description of a field that is neither damaged nor retired.
    pub(crate) fn good(&self, index: u32) -> Option<&Field> {
        let place = self.place(index).ok()?;
        self.good.get(place).filter(|_| !self.is_retired(index))
    }

    /// Where field `index` is among the good ones, if it is one of them.
    fn place(&self, index: u32) -> Result<usize, Damage> {
        match self.damaged.binary_search_by_key(&index, |(index, _)| *index) {
            Ok(place) => Err(self.damaged.get(place).map_or(NO_DAMAGE, |(_, damage)| *damage)),
            Err(before) => Ok((index as usize).saturating_sub(before)),
        }
    }

    fn is_retired(&self, index: u32) -> bool {
        self.retired.binary_search(&index).is_ok()
    }

    /// What the standard fields say.
    pub(crate) fn identity(&self) -> Identity {
        let mut identity = Identity::default();
        let mut buffer = Vec::new();
        for &index in &self.plan.constants {
            let Some(field) = self.good(index) else { continue };
            let Some(name) = field.label().slice(&self.metadata).strip_prefix("sys.") else {
                continue;
            };
            let mut value = || {
                let size = field.buffer_size();
                buffer.resize(buffer.len().max(size), 0);
                mmstats_core::read::constant(self.metadata.as_slice(), field, &mut buffer)
                    .consistent()
                    .map(crate::value::OwnedValue::from)
            };
            identity.set(name, &mut value);
        }
        identity
    }
}

impl Plan {
    fn add(&mut self, index: u32, field: &Field) {
        match (field.storage(), field.ty()) {
            (Some(Storage::Constant), _) => self.constants.push(index),
            (Some(Storage::Atomic), Some(ty)) => self.add_scalar(index, field, ty),
            _ => self.others.push(index),
        }
    }

    fn add_scalar(&mut self, first: u32, field: &Field, ty: DataType) {
        let (place, optional) = (field.place(), field.is_optional());
        if let Some(run) = self.runs.last_mut()
            && run.ty == ty
            && run.optional == optional
            && run.first.checked_add(run.count) == Some(first)
            && run.place.checked_add(run.count.saturating_mul(8)) == Some(place)
        {
            run.count += 1;
            return;
        }
        self.runs.push(Run { first, count: 1, place, ty, optional });
    }
}

/// What can be read of a lane: whether it was claimed, or why not.
pub(crate) fn lane_of(three: &Three, lane: u32) -> Verdict<mmstats_core::read::Lane> {
    three.header.lane(&three.region, lane)
}

/// Copies the bytes from `start` to `end`, both multiples of 8, of the file.
fn copy(region: &Region<Arc<Mapping>>, to: &mut [u8], start: u32, end: u32) {
    if let Some(to) = to.get_mut(start as usize..end as usize) {
        region.copy(start, to);
    }
}

fn put32(to: &mut [u8], offset: u32, value: u32) {
    if let Some(to) = to.get_mut(offset as usize..).and_then(<[u8]>::first_chunk_mut::<4>) {
        *to = value.to_le_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_loaded() {
        let mut bytes = [0; 8];
        put32(&mut bytes, 4, 0x0102_0304);
        put32(&mut bytes, 5, 9);
        put32(&mut bytes, u32::MAX, 9);
        assert_eq!(bytes.as_slice().load32(4), 0x0102_0304);
    }
}
