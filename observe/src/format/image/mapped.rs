//! An image of format 3 in a mapped file.
//!
//! The metadata (all bytes before the lanes) is copied to private memory, checked there, and
//! used from there. Only the decoded descriptors and the heap are kept: a fresh page costs
//! 1 ns a byte, more than all checks. Values are read from the mapping.

use std::path::Path;
use std::sync::Arc;

use mmstats_core::layout::field_state;
use mmstats_core::read::{
    Cursor, Field, Header, Image as CheckedImage, ImageState, Lane, LaneState, Refusal, Verdict,
};
use mmstats_core::{Source, Still, View};

use super::order::ReadOrder;
use crate::backend::{ObservedFile, ObservedMapping};
use crate::field::{FieldRef, Heap};
use crate::format::api::{Format, Refreshed, Refused};
use crate::format::scratch::CheckBuffer;
use crate::identity::{FileState, Identity, Instance, LaneInfo, Lanes};
use crate::problem::{Damage, Problem};
use crate::value::OwnedValue;

/// Maximum size of the metadata of a file, in bytes: the need of a million fields with unit
/// and help. Larger metadata is refused, so that a sparse file cannot exhaust the memory.
const MAX_METADATA: u32 = 256 << 20;
/// Maximum number of fields: a decoded descriptor needs more memory than one in the file.
const MAX_FIELDS: u32 = 2 << 20;
/// Maximum number of damaged fields: in the hole of a sparse file all fields are damaged.
const MAX_DAMAGED: usize = 1 << 16;
/// Maximum size of the metadata of all files of one observer, in bytes.
const MAX_TOTAL: u64 = 1 << 30;
/// Fallback for an index that a search just returned.
const NO_DAMAGE: Damage = Damage { code: "field-state", offset: 0 };

/// An image in a mapped file.
#[derive(Debug)]
pub(crate) struct Image {
    opened: ObservedFile,
    region: View<Arc<ObservedMapping>>,
    header: Header,
    pub(super) heap: Heap,
    /// Number of checked fields.
    count: u32,
    cursor: Cursor,
    /// Fields that are not damaged, by number.
    good: Vec<Field>,
    /// Damaged fields: number and broken rule, by number.
    damaged: Vec<(u32, Damage)>,
    /// Numbers of retired fields, ascending.
    retired: Vec<u32>,
    pub(super) order: ReadOrder,
    /// Raised whenever fields are added or retired.
    generation: u32,
    /// As judged last.
    pub(super) state: FileState,
}

impl Image {
    /// Checks the image in a mapped file and copies its metadata.
    pub(crate) fn new(
        path: &Path,
        opened: ObservedFile,
        region: View<Arc<ObservedMapping>>,
        buffer: &mut CheckBuffer,
    ) -> Result<Self, Refused> {
        let too_large =
            |message: String| Err(Refused::damaged(Problem::new(path, "too-large", message)));
        let checked =
            CheckedImage::open(&region).map_err(|refusal| Refused::from_refusal(path, &refusal))?;
        let header = *checked.header();
        let size = header.lanes_offset();
        if size > MAX_METADATA {
            return too_large(format!(
                "{size} bytes of metadata, this reader takes {MAX_METADATA}"
            ));
        }
        let count = header.field_count(&region).unwrap_or(0);
        if count > MAX_FIELDS {
            return too_large(format!("{count} fields, this reader takes {MAX_FIELDS}"));
        }
        if buffer.total.saturating_add(size.into()) > MAX_TOTAL {
            return too_large(format!("{size} bytes of metadata, and other files have too many"));
        }
        let mut image = Self {
            opened,
            region,
            header,
            heap: Heap::new(header.heap_offset()),
            count: 0,
            cursor: Cursor::new(),
            good: Vec::new(),
            damaged: Vec::new(),
            retired: Vec::new(),
            order: ReadOrder::default(),
            generation: 0,
            state: FileState::Unknown,
        };
        image.extend(buffer);
        if image.is_lost() {
            return Err(Refused::damaged(Problem::truncated(path, None)));
        }
        if image.damaged.len() > MAX_DAMAGED {
            return too_large(format!("{} fields are damaged", image.damaged.len()));
        }
        buffer.total = buffer.total.saturating_add(size.into());
        Ok(image)
    }

    /// Adds the fields published since the last call; false if there were none.
    fn extend(&mut self, buffer: &mut CheckBuffer) -> bool {
        // A count that breaks its rule is ignored.
        let Ok(count) = self.header.field_count(&self.region) else { return false };
        let Ok(heap_used) = self.header.heap_used(&self.region) else { return false };
        let from = self.count;
        if count <= from {
            return false;
        }
        let metadata = buffer.bytes(self.header.lanes_offset());
        let heap = self.header.heap_offset();
        let place = |index| self.header.descriptor(index).unwrap_or(heap);
        copy(&self.region, metadata, place(from), place(count).min(heap));
        // The heap: the checked bytes, then the new ones. No overflow: it ends before the lanes.
        let old = u32::try_from(self.heap.bytes().len()).unwrap_or(u32::MAX);
        let new = heap_used.max(old);
        copy(&self.region, metadata, heap + old / 8 * 8, heap + new.next_multiple_of(8));
        put(metadata, heap, self.heap.bytes());
        let metadata = &*metadata;
        self.heap.extend(metadata.get((heap + old) as usize..(heap + new) as usize).unwrap_or(&[]));

        let mut checked = old;
        self.good.reserve_exact((count - from) as usize);
        for index in from..count {
            match self.cursor.check(metadata, &self.header, new, index) {
                Ok(field) => self.good.push(field),
                Err(error) => {
                    self.damaged.push((index, error.into()));
                    continue;
                }
            }
            // Read in place: moving a field takes as long as checking it.
            let Some(field) = self.good.last() else { continue };
            checked = checked.max(self.heap.end_of(field));
            if field.raw().state == field_state::LIVE {
                self.order.add(index, field);
            } else {
                self.retired.push(index);
            }
        }
        self.count = count;
        // Bytes behind may belong to a field that is being added, and be older than the count
        // of used bytes: they are copied again with that field.
        self.heap.truncate(checked);
        self.generation = self.generation.wrapping_add(1);
        true
    }

    /// Adds new and marks retired fields; false if there were none.
    fn refresh_fields(&mut self, buffer: &mut CheckBuffer) -> bool {
        let now = self.good.iter().filter(|field| field.retired(&self.region));
        let now: Vec<_> = now.map(Field::index).collect();
        let retired = now != self.retired;
        self.retired = now;
        if retired {
            self.order = ReadOrder::default();
            for field in &self.good {
                if self.retired.binary_search(&field.index()).is_err() {
                    self.order.add(field.index(), field);
                }
            }
            self.generation = self.generation.wrapping_add(1);
        }
        self.extend(buffer) || retired
    }

    /// The source of values; still if the file has no writer any more.
    pub(super) const fn region(&self) -> Still<&View<Arc<ObservedMapping>>> {
        Still::new(&self.region, self.state.has_ended())
    }

    /// A lane that was claimed, or why it has no values.
    pub(super) fn claimed(&self, lane: u32) -> Verdict<Lane> {
        Lane::open(&self.region, &self.header, lane)
    }

    /// The description of a field that is neither damaged nor retired.
    pub(super) fn good(&self, index: u32) -> Option<&Field> {
        let place = self.place(index).ok()?;
        self.good.get(place).filter(|_| !self.is_retired(index))
    }

    /// Place of field `index` in `good`, or the rule that it breaks.
    fn place(&self, index: u32) -> Result<usize, Damage> {
        match self.damaged.binary_search_by_key(&index, |(index, _)| *index) {
            Ok(place) => Err(self.damaged.get(place).map_or(NO_DAMAGE, |(_, damage)| *damage)),
            Err(before) => Ok((index as usize).saturating_sub(before)),
        }
    }

    fn is_retired(&self, index: u32) -> bool {
        self.retired.binary_search(&index).is_ok()
    }

    /// Size that the file must have, in bytes.
    fn size(&self) -> u64 {
        self.header.file_size().into()
    }
}

impl Format for Image {
    fn number(&self) -> Option<u8> {
        Some(3)
    }

    fn refresh(
        &mut self,
        path: &Path,
        size: u64,
        buffer: &mut CheckBuffer,
    ) -> Result<Refreshed, Refused> {
        if size < self.size() {
            return Err(Refused::damaged(Problem::truncated(path, Some(size))));
        }
        // Another image may have been written over this one.
        if Header::read(&self.region).ok() != Some(self.header) {
            return Ok(Refreshed::Replaced);
        }
        Ok(Refreshed::Same { grown: self.refresh_fields(buffer) })
    }

    /// The state by header and lock.
    fn judge(&mut self, path: &Path, _identity: &Identity) -> Result<Option<FileState>, Refused> {
        let state = self
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
        let mut identity = Identity::default();
        let mut buffer = Vec::new();
        for &index in &self.order.constants {
            let Some(field) = self.good(index) else { continue };
            let Some(name) = self.heap.string(field.label()).strip_prefix("sys.") else {
                continue;
            };
            let mut value = || {
                let size = field.buffer_size();
                buffer.resize(buffer.len().max(size), 0);
                mmstats_core::read::constant(&self.heap, field, &mut buffer)
                    .consistent()
                    .map(OwnedValue::from)
            };
            identity.set(name, &mut value);
        }
        identity
    }

    fn generation(&self) -> u32 {
        self.generation
    }

    fn field_count(&self) -> usize {
        self.good.len() + self.damaged.len()
    }

    fn field(&self, index: usize) -> Option<FieldRef<'_>> {
        let number = u32::try_from(index).ok()?;
        Some(match self.place(number) {
            Ok(place) => {
                let field = self.good.get(place)?;
                FieldRef::from_image(number, field, &self.heap, self.is_retired(number))
            }
            Err(damage) => FieldRef::damaged(number, damage),
        })
    }

    fn lanes(&self) -> Lanes {
        let used = self.lanes_used();
        let owned = (0..used).filter(|&lane| self.lane(lane).is_some_and(|lane| lane.owned));
        let owned = u32::try_from(owned.count()).unwrap_or(u32::MAX);
        Lanes { used, owned, capacity: self.header.lane_capacity() }
    }

    fn lanes_used(&self) -> u32 {
        self.header.lanes_used(&self.region).unwrap_or(0)
    }

    fn lane(&self, index: u32) -> Option<LaneInfo> {
        let lane = self.claimed(index).consistent()?;
        let owned = lane.state() == LaneState::Owned;
        Some(LaneInfo { index, owned, owners: lane.owners(&self.region) })
    }

    fn instance(&self) -> Option<Instance> {
        Some(Instance(self.header.instance()))
    }

    fn part(&self) -> u32 {
        self.header.part()
    }

    fn fields_refused(&self) -> u32 {
        self.header.fields_refused(&self.region)
    }

    fn metadata_size(&self) -> u64 {
        self.header.lanes_offset().into()
    }

    fn is_lost(&self) -> bool {
        self.opened.mapping().is_damaged()
    }

    /// Bytes that were cut off inside the last page read as zero and cause no fault.
    fn is_whole(&self) -> bool {
        // By the open file: another file may have its name by now.
        let cut = || self.opened.size_now().is_ok_and(|now| now < self.size());
        !self.is_lost() && !cut()
    }

    fn has_mapping(&self) -> bool {
        true
    }

    fn close_handle(&mut self) {
        self.opened.close_handle();
    }
}

/// Copies the bytes of the file from `start` to `end`, both multiples of 8, to their place.
fn copy(region: &View<Arc<ObservedMapping>>, to: &mut [u8], start: u32, end: u32) {
    if let Some(to) = to.get_mut(start as usize..end as usize) {
        region.copy(start, to);
    }
}

/// Copies `bytes` to `offset`; nothing if they do not fit.
fn put(to: &mut [u8], offset: u32, bytes: &[u8]) {
    let to = to.get_mut(offset as usize..).and_then(|to| to.get_mut(..bytes.len()));
    if let Some(to) = to {
        to.copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn put_ignores_bytes_that_do_not_fit() {
        let mut bytes = [0; 8];
        put(&mut bytes, 4, &[1, 2, 3, 4]);
        put(&mut bytes, 5, &[9; 4]);
        put(&mut bytes, u32::MAX, &[9; 4]);
        assert_eq!(bytes, [0, 0, 0, 0, 1, 2, 3, 4]);
    }
}
