//! Files of format 3: mapped, described once, read in place.
//!
//! The metadata (all bytes before the lanes) is copied into private memory and checked
//! there, so that what was checked is what is used. Of it the decoded descriptors and the
//! heap are kept, and no more: memory that was never touched before costs 1 ns a byte,
//! more than all checks. Values are read from the mapping.

use std::path::Path;
use std::sync::Arc;

use crate::backend::{Mapping, Opened};
use mmstats_core::layout::field_state;
use mmstats_core::read::{Cursor, Field, Header, Image, LaneState, Refusal, Verdict};
use mmstats_core::{DataType, Kind, Region, Source, Still, Storage};

use crate::field::FieldRef;
use crate::heap::Heap;
use crate::problem::{Damage, Problem};
use crate::state::{Identity, Instance, LaneInfo, Lanes, State};

/// Most bytes of metadata that are copied; a million fields with unit and help have less.
/// More is refused, so that a hostile sparse file does not eat the memory.
const MAX_METADATA: u32 = 256 << 20;
/// Most fields that are read, for the same reason: a reader needs more for each than the file
/// has.
const MAX_FIELDS: u32 = 2 << 20;
/// Most fields that may be damaged before the file is: in the hole of a sparse file all are.
const MAX_DAMAGED: usize = 1 << 16;
/// Most bytes of metadata that the files of one observer have together.
const MAX_TOGETHER: u64 = 1 << 30;
/// Never seen: what was just found in a list is there.
const NO_DAMAGE: Damage = Damage { code: "field-state", offset: 0 };

/// An image in a mapped file.
#[derive(Debug)]
pub(crate) struct Three {
    opened: Opened,
    region: Region<Arc<Mapping>>,
    header: Header,
    heap: Heap,
    /// How many fields were checked.
    count: u32,
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
    /// Whether nobody writes any more, as judged last.
    still: bool,
}

/// The fields that have values, in the order they are read.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Atomic scalars.
    pub(crate) runs: Vec<Run>,
    /// Fields in latched cells, and those of a type or storage that is not known.
    pub(crate) others: Vec<u32>,
    pub(crate) constants: Vec<u32>,
    /// Those of `others` that are rates: what they say takes more than their own value.
    pub(crate) rates: Vec<u32>,
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
    pub(crate) fn load(
        path: &Path,
        opened: Opened,
        room: &mut Room,
    ) -> Result<Self, (State, Problem)> {
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
        let count = header.field_count(&region).unwrap_or(0);
        if count > MAX_FIELDS {
            let message = format!("{count} fields, this reader takes {MAX_FIELDS}");
            return Err((State::Damaged, Problem::new(path, "too-large", message)));
        }
        if room.together.saturating_add(size.into()) > MAX_TOGETHER {
            let message = format!("{size} bytes of metadata, and other files have too many");
            return Err((State::Damaged, Problem::new(path, "too-large", message)));
        }
        let mut three = Self {
            opened,
            region,
            header,
            heap: Heap::new(header.heap_offset()),
            count: 0,
            cursor: Cursor::new(),
            good: Vec::new(),
            damaged: Vec::new(),
            retired: Vec::new(),
            plan: Plan::default(),
            generation: 0,
            still: false,
        };
        three.extend(room);
        if three.is_damaged() {
            return Err((State::Damaged, Problem::truncated(path, None)));
        }
        if three.damaged.len() > MAX_DAMAGED {
            let message = format!("{} fields are damaged", three.damaged.len());
            return Err((State::Damaged, Problem::new(path, "too-large", message)));
        }
        room.together = room.together.saturating_add(size.into());
        Ok(three)
    }

    /// Bytes of its metadata.
    pub(crate) const fn metadata(&self) -> u64 {
        self.header.lanes_offset() as u64
    }

    /// Takes in the fields published since; says whether there were any.
    fn extend(&mut self, room: &mut Room) -> bool {
        // A count that broke its rule since the file was opened is not used.
        let Ok(count) = self.header.field_count(&self.region) else { return false };
        let Ok(heap_used) = self.header.heap_used(&self.region) else { return false };
        let from = self.count;
        if count <= from {
            return false;
        }
        let metadata = room.bytes(self.header.lanes_offset());
        let heap = self.header.heap_offset();
        let place = |index| self.header.descriptor(index).unwrap_or(heap);
        copy(&self.region, metadata, place(from), place(count).min(heap));
        // Of the heap, what was checked before and then what is new. No overflow: it ends
        // before the lanes.
        let old = u32::try_from(self.heap.bytes().len()).unwrap_or(u32::MAX);
        let new = heap_used.max(old);
        copy(&self.region, metadata, heap + old / 8 * 8, heap + new.next_multiple_of(8));
        put(metadata, heap, self.heap.bytes());
        let metadata = &*metadata;
        self.heap.extend(metadata.get((heap + old) as usize..(heap + new) as usize).unwrap_or(&[]));

        let mut sure = old;
        self.good.reserve_exact((count - from) as usize);
        for index in from..count {
            match Field::read(metadata, &self.header, new, index, &mut self.cursor) {
                Ok(field) => self.good.push(field),
                Err(error) => {
                    self.damaged.push((index, error.into()));
                    continue;
                }
            }
            // Looked at where it is: moving it about takes as long as checking it.
            let Some(field) = self.good.last() else { continue };
            sure = sure.max(self.heap.end_of(field));
            if field.raw().state == field_state::LIVE {
                self.plan.add(index, field);
            } else {
                self.retired.push(index);
            }
        }
        self.count = count;
        // What lies behind may belong to a field that is being added just now, and some of its
        // bytes be older than the count of used ones: it is copied again with that field.
        self.heap.truncate(sure);
        self.generation = self.generation.wrapping_add(1);
        true
    }

    /// Looks for new and retired fields; says whether there were any.
    pub(crate) fn refresh(&mut self, room: &mut Room) -> bool {
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
        self.extend(room) || retired
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
    pub(crate) fn state(&mut self, path: &Path) -> Result<State, (State, Problem)> {
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
        // No file is ever written by a second process.
        self.still = state.has_ended();
        Ok(state)
    }

    pub(crate) fn close_handle(&mut self) {
        self.opened.close_handle();
    }

    pub(crate) const fn header(&self) -> &Header {
        &self.header
    }

    /// What values are read from.
    pub(crate) const fn region(&self) -> Still<&Region<Arc<Mapping>>> {
        Still::new(&self.region, self.still)
    }

    pub(crate) const fn heap(&self) -> &Heap {
        &self.heap
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
                FieldRef::three(number, field, &self.heap, self.is_retired(number))
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
            let Some(name) = self.heap.string(field.label()).strip_prefix("sys.") else {
                continue;
            };
            let mut value = || {
                let size = field.buffer_size();
                buffer.resize(buffer.len().max(size), 0);
                mmstats_core::read::constant(&self.heap, field, &mut buffer)
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
        if field.kind() == Some(Kind::Rate) {
            self.rates.push(index);
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

fn put(to: &mut [u8], offset: u32, bytes: &[u8]) {
    let to = to.get_mut(offset as usize..).and_then(|to| to.get_mut(..bytes.len()));
    if let Some(to) = to {
        to.copy_from_slice(bytes);
    }
}

/// Room in which metadata is checked, used for one file after the other.
#[derive(Debug, Default)]
pub(crate) struct Room {
    bytes: Vec<u8>,
    /// Bytes of metadata that the files have which are known.
    together: u64,
}

impl Room {
    /// More than this is given back.
    const KEPT: usize = 1 << 20;

    /// Before the files are looked at: what those have that are known.
    pub(crate) const fn set_together(&mut self, bytes: u64) {
        self.together = bytes;
    }

    /// So many bytes; what is in them is left from before.
    fn bytes(&mut self, size: u32) -> &mut [u8] {
        let size = size as usize;
        if self.bytes.len() < size {
            // Zeroed memory costs nothing until it is touched, so it is not moved.
            self.bytes = vec![0; size];
        }
        self.bytes.get_mut(..size).unwrap_or(&mut [])
    }

    /// After the last file.
    pub(crate) fn rest(&mut self) {
        if self.bytes.len() > Self::KEPT {
            self.bytes = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_not_put() {
        let mut bytes = [0; 8];
        put(&mut bytes, 4, &[1, 2, 3, 4]);
        put(&mut bytes, 5, &[9; 4]);
        put(&mut bytes, u32::MAX, &[9; 4]);
        assert_eq!(bytes, [0, 0, 0, 0, 1, 2, 3, 4]);
    }

    #[test]
    fn room_is_used_again_and_given_back() {
        let mut room = Room::default();
        assert_eq!(room.bytes(100).len(), 100);
        assert_eq!((room.bytes(10).len(), room.bytes.len()), (10, 100));
        room.rest();
        assert_eq!(room.bytes.len(), 100);
        assert_eq!(room.bytes(2 << 20).len(), 2 << 20);
        room.rest();
        assert!(room.bytes.is_empty());
        room.bytes(1 << 20);
        room.rest();
        assert_eq!(room.bytes.len(), 1 << 20, "so much is kept");
    }
}
