//! An image of format 3 in a mapped file.
//!
//! The strings are copied to private memory once, and each descriptor when it is checked: what was
//! checked is used from there. Only the decoded descriptors and the heap are kept: a fresh page costs
//! 1 ns a byte, more than all checks. Values are read from the mapping.

use std::path::Path;
use std::sync::Arc;

use mmstats_core::layout::header;
use mmstats_core::read::{
    Field, Header, Image as CheckedImage, ImageState, Lane, LaneState, Refusal, Verdict,
};
use mmstats_core::{Source, Still, View};

use super::metadata::Metadata;
use super::parked::Parked;
use crate::backend::{ObservedFile, ObservedMapping};
use crate::field::FieldRef;
use crate::format::api::{Format, Reach, Refreshed, Refused};
use crate::format::scratch::Allowance;
use crate::identity::{FileState, Identity, Instance, LaneInfo, Lanes};
use crate::problem::Problem;

/// Maximum size of the metadata of a file, in bytes: the need of a million fields with unit
/// and help. Larger metadata is refused, so that a sparse file cannot exhaust the memory.
const MAX_METADATA: u32 = 256 << 20;
/// Maximum number of fields: a decoded descriptor needs more memory than one in the file.
const MAX_FIELDS: u32 = 2 << 20;
/// Maximum number of damaged fields: in the hole of a sparse file all fields are damaged.
const MAX_DAMAGED: usize = 1 << 16;

/// An image in a mapped file.
#[derive(Debug)]
pub(crate) struct Image {
    opened: ObservedFile,
    region: View<Arc<ObservedMapping>>,
    /// The metadata; for a file without a mapping, shared with it for one reading.
    pub(super) metadata: Arc<Metadata>,
    /// State by the last judgement.
    pub(super) state: FileState,
}

impl Image {
    /// Checks the image in a mapped file and copies its metadata.
    pub(crate) fn new(
        path: &Path,
        opened: ObservedFile,
        region: View<Arc<ObservedMapping>>,
        allowance: &mut Allowance,
    ) -> Result<Self, Refused> {
        let checked =
            CheckedImage::open(&region).map_err(|refusal| Refused::from_refusal(path, &refusal))?;
        let header = *checked.header();
        let size = header.lanes_offset();
        if size > MAX_METADATA {
            let message = format!("{size} bytes of metadata, this reader takes {MAX_METADATA}");
            return Err(too_large(path, message));
        }
        let metadata = Arc::new(Metadata::new(header));
        let mut image = Self { opened, region, metadata, state: FileState::Unknown };
        image.extend(path, allowance)?;
        Ok(image)
    }

    /// Opens an image again whose mapping was given back; `None` if the file is not the same any
    /// more, or too short.
    pub(crate) fn open_again(
        parked: &Parked,
        opened: ObservedFile,
        region: View<Arc<ObservedMapping>>,
    ) -> Option<Self> {
        let metadata = Arc::clone(&parked.metadata);
        let image = Self { opened, region, metadata, state: parked.state };
        let header = Header::read(&image.region).ok()?;
        (header == image.metadata.header && image.opened.info().size >= image.size())
            .then_some(image)
    }

    /// Adds the fields published since the last call; false if there were none.
    fn extend(&mut self, path: &Path, allowance: &mut Allowance) -> Result<bool, Refused> {
        let header = self.metadata.header;
        // A count that breaks its rule is ignored.
        let Ok(count) = header.field_count(&self.region) else { return Ok(false) };
        let Ok(heap_used) = header.heap_used(&self.region) else { return Ok(false) };
        if count > MAX_FIELDS {
            let message = format!("{count} fields, this reader takes {MAX_FIELDS}");
            return Err(too_large(path, message));
        }
        let cost = Metadata::cost_of(count, heap_used);
        if !allowance.has_room(cost) {
            return Err(Refused::no_room(path, cost));
        }
        let metadata = Arc::make_mut(&mut self.metadata);
        let grown = metadata.extend(count, heap_used, &self.region);
        if self.is_lost() {
            return Err(Refused::damaged(Problem::truncated(path, None)));
        }
        let damaged = self.metadata.damaged.len();
        if damaged > MAX_DAMAGED {
            return Err(too_large(path, format!("{damaged} fields are damaged")));
        }
        Ok(grown)
    }

    /// Begins to read values of a field: the number of reuses, for [`Image::is_stale`]. `None` if its
    /// room belongs to another field.
    #[inline]
    pub(super) fn begin(&self, field: &Field) -> Option<u32> {
        let reuses = self.metadata.header.reuses(&self.region);
        let known = self.metadata.reuses == Some(reuses);
        (known || field.is_current(&self.region)).then_some(reuses)
    }

    /// Whether what was read since [`Image::begin`] may belong to another field.
    #[inline]
    pub(super) fn is_stale(&self, begun: u32) -> bool {
        self.metadata.header.reused_since(&self.region, begun)
    }

    /// Adds new and marks retired fields; false if there were none.
    fn refresh_fields(&mut self, path: &Path, allowance: &mut Allowance) -> Result<bool, Refused> {
        let reused = self.metadata.header.reuses(&self.region) != 0;
        let is_gone = |field: &&Field| {
            if reused { !field.is_current(&self.region) } else { field.retired(&self.region) }
        };
        let now = self.metadata.good.iter().filter(is_gone);
        let now: Vec<_> = now.map(Field::index).collect();
        let retired = now != self.metadata.retired && Arc::make_mut(&mut self.metadata).retire(now);
        Ok(self.extend(path, allowance)? || retired)
    }

    /// The source of values; still if the file has no writer any more.
    pub(super) const fn region(&self) -> Still<&View<Arc<ObservedMapping>>> {
        Still::new(&self.region, self.state.has_ended())
    }

    /// A lane that was claimed, or why it has no values.
    pub(super) fn claimed(&self, lane: u32) -> Verdict<Lane> {
        Lane::open(&self.region, &self.metadata.header, lane)
    }

    /// The description of a field that is neither damaged nor retired.
    #[inline]
    pub(super) fn good(&self, index: u32) -> Option<&Field> {
        self.metadata.good(index)
    }

    /// Size that the file must have, in bytes.
    fn size(&self) -> u64 {
        self.metadata.file_size()
    }

    /// Gives back the mapping and the open file.
    pub(crate) fn park(self) -> Parked {
        let (lanes, reach) = (self.lanes(), self.reach());
        Parked { metadata: self.metadata, state: self.state, lanes, reach }
    }

    /// The metadata, to compare it with that of another opening of the file.
    pub(crate) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Continues the numbering of another opening of the file, whose fields were `before`.
    pub(crate) fn follow(&mut self, before: &Metadata) -> bool {
        let same = self.metadata.same_fields(before);
        let generation = before.generation.wrapping_add((!same).into());
        Arc::make_mut(&mut self.metadata).generation = generation;
        !same
    }
}

fn too_large(path: &Path, message: String) -> Refused {
    Refused::damaged(Problem::new(path, "too-large", message))
}

impl Format for Image {
    fn number(&self) -> Option<u8> {
        Some(3)
    }

    fn refresh(
        &mut self,
        path: &Path,
        size: u64,
        allowance: &mut Allowance,
    ) -> Result<Refreshed, Refused> {
        // A copy does not change; it is made anew.
        if self.opened.is_snapshot() {
            return Ok(Refreshed::Unreadable);
        }
        if size < self.size() {
            return Err(Refused::damaged(Problem::truncated(path, Some(size))));
        }
        // Another image may have been written over this one.
        if Header::read(&self.region).ok() != Some(self.metadata.header) {
            return Ok(Refreshed::Replaced);
        }
        Ok(Refreshed::Same { grown: self.refresh_fields(path, allowance)? })
    }

    /// The state by header and lock.
    fn judge(&mut self, path: &Path, _identity: &Identity) -> Result<Option<FileState>, Refused> {
        let state = self
            .metadata
            .header
            .state(&self.region)
            .map_err(|refusal| Refused::damaged(Problem::from_refusal(path, &refusal)))?;
        // The lock of a closed file says nothing, and is not asked for.
        let locked = match state {
            ImageState::Live => self.opened.is_locked().ok(),
            _ => None,
        };
        let state = FileState::from_image(state, locked);
        if state == FileState::Building {
            return Err(Refused::from_refusal(path, &Refusal::Building));
        }
        self.state = state;
        Ok(Some(state))
    }

    fn identity(&self) -> Identity {
        self.metadata.identity()
    }

    fn generation(&self) -> u32 {
        self.metadata.generation
    }

    fn field_count(&self) -> usize {
        self.metadata.field_count()
    }

    fn field(&self, index: usize) -> Option<FieldRef<'_>> {
        self.metadata.field(index)
    }

    fn lanes(&self) -> Lanes {
        let used = self.lanes_used();
        let owned = (0..used).filter(|&lane| self.lane(lane).is_some_and(|lane| lane.owned));
        let owned = u32::try_from(owned.count()).unwrap_or(u32::MAX);
        Lanes { used, owned, capacity: self.metadata.header.lane_capacity() }
    }

    fn lanes_used(&self) -> u32 {
        self.metadata.header.lanes_used(&self.region).unwrap_or(0)
    }

    fn lane(&self, index: u32) -> Option<LaneInfo> {
        let lane = self.claimed(index).consistent()?;
        let owned = lane.state() == LaneState::Owned;
        Some(LaneInfo { index, owned, owners: lane.owners(&self.region) })
    }

    fn instance(&self) -> Option<Instance> {
        Some(self.metadata.instance())
    }

    fn part(&self) -> u32 {
        self.metadata.part()
    }

    fn reach(&self) -> Reach {
        let header = &self.metadata.header;
        Reach {
            // Only part 0 has the number of parts.
            parts: header.parts(&self.region).unwrap_or(0),
            fields_refused: header.fields_refused(&self.region),
            lanes_refused: header.lanes_refused(&self.region),
        }
    }

    fn metadata_size(&self) -> u64 {
        self.metadata.cost()
    }

    fn is_lost(&self) -> bool {
        self.opened.mapping().is_damaged()
    }

    /// Bytes that were cut off inside the last page read as zero and cause no fault.
    fn is_whole(&self) -> bool {
        // By the open file: another file may have its name by now.
        let cut = || {
            !self.opened.is_snapshot() && self.opened.size_now().is_ok_and(|now| now < self.size())
        };
        !self.is_lost() && !cut()
    }

    fn has_mapping(&self) -> bool {
        true
    }

    fn close_handle(&mut self) {
        self.opened.close_handle();
    }

    fn samples_refused(&self) -> u64 {
        let lanes = (0..self.lanes_used()).filter_map(|lane| self.claimed(lane).consistent());
        lanes.fold(0, |sum, lane| {
            sum.saturating_add(lane.samples_refused(&self.region).unwrap_or(0))
        })
    }

    fn start(&self) -> Vec<u8> {
        let mut bytes = vec![0; header::STATE as usize];
        self.region.copy(0, &mut bytes);
        bytes
    }
}
