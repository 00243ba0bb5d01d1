//! Size of an image and offsets of its sections.

use super::heap::RecentTexts;
use super::spec::{FieldSpec, SpecError, cell_bytes};
use crate::header::RawHeader;
use crate::layout::{
    CACHE_LINE, MAGIC, MAJOR, MAX_FIELDS, MAX_LANES, MAX_SLOT, MINOR, descriptor, header, lane,
    presence_size, string_size,
};
use crate::types::Storage;

/// Room of an image: add its fields, then create it.
///
/// ```
/// use mmstats_core::{FieldSpec, Geometry};
/// let mut geometry = Geometry::new(4); // lanes
/// geometry.add(&FieldSpec::counter("requests"))?;
/// geometry.reserve(10, 1024, 256); // fields to come: number, heap bytes, bytes per lane
/// // Header, descriptors and heap up to a multiple of 64, then the lanes.
/// assert_eq!(geometry.file_size(), Some(1984 + 4 * 448));
/// # Ok::<(), mmstats_core::SpecError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Number of descriptors.
    pub fields: u32,
    /// Size of the heap in bytes.
    pub heap: u32,
    /// Size of the cells of a lane in bytes.
    pub cells: u32,
    /// Number of lanes.
    pub lanes: u32,
}

impl Geometry {
    /// No fields, `lanes` lanes.
    #[must_use]
    pub const fn new(lanes: u32) -> Self {
        Self { fields: 0, heap: 0, cells: 0, lanes }
    }

    /// Adds the room of one field.
    ///
    /// # Errors
    ///
    /// If the specification breaks a rule.
    pub fn add(&mut self, spec: &FieldSpec<'_>) -> Result<(), SpecError> {
        self.add_all(core::slice::from_ref(spec))
    }

    /// Adds the room of fields for [`Writer::add_all`](super::Writer::add_all).
    ///
    /// # Errors
    ///
    /// If a specification breaks a rule.
    pub fn add_all(&mut self, specs: &[FieldSpec<'_>]) -> Result<(), SpecError> {
        let mut before = None;
        for spec in specs {
            spec.check_after(before)?;
            self.reserve(1, spec.heap_bytes(), spec.lane_bytes());
            before = Some(spec);
        }
        Ok(())
    }

    /// Adds the room of fields that are published together.
    ///
    /// # Errors
    ///
    /// If a specification breaks a rule, or the group is empty or too large.
    pub fn add_group(&mut self, specs: &[FieldSpec<'_>]) -> Result<(), SpecError> {
        let slot = group_slot(specs)?;
        for spec in specs {
            self.reserve(1, spec.heap_bytes(), 0);
        }
        self.reserve(0, 0, cell_bytes(slot));
        Ok(())
    }

    /// Subtracts the room of a unit or help that the writer stores only once for this field and a
    /// recent one.
    ///
    /// Call it for the unit and then the help of each field, in the order in which the fields are
    /// added, with the same `recent`. Without it the image has more room than needed.
    pub fn share<'a>(&mut self, recent: &mut RecentTexts<'a>, text: &'a str) {
        if recent.reuse_or_insert(text) {
            let bytes = u32::try_from(string_size(text.len())).unwrap_or(0);
            self.heap = self.heap.saturating_sub(bytes);
        }
    }

    /// Adds room for `fields` more fields with `heap` bytes of strings and constants and
    /// `cells` bytes of values in each lane.
    pub const fn reserve(&mut self, fields: u32, heap: u32, cells: u32) {
        self.fields = self.fields.saturating_add(fields);
        self.heap = self.heap.saturating_add(heap);
        self.cells = self.cells.saturating_add(cells);
    }

    /// Size of the image in bytes; `None` without a lane or past a limit of the format (16,777,216
    /// fields, 65,536 lanes, 4 GiB).
    #[must_use]
    pub fn file_size(&self) -> Option<u32> {
        self.header().map(|header| header.file_size)
    }

    /// The header with the offsets of all sections. Cells start at a cache line.
    pub(crate) const fn header(&self) -> Option<RawHeader> {
        self.header_with_cells(CACHE_LINE)
    }

    /// [`Geometry::header`] with cells at a multiple of `alignment` in their lane.
    #[allow(clippy::cast_possible_truncation)] // Checked at the end: `file_size` is the largest.
    pub(super) const fn header_with_cells(&self, alignment: u32) -> Option<RawHeader> {
        if self.fields > MAX_FIELDS || self.lanes == 0 || self.lanes > MAX_LANES {
            return None;
        }
        let line = CACHE_LINE as u64;
        let descriptors = self.fields as u64 * descriptor::SIZE as u64;
        let heap_offset = header::SIZE as u64 + descriptors;
        let heap_size = (self.heap as u64).next_multiple_of(8);
        let lanes_offset = (heap_offset + heap_size).next_multiple_of(line);
        let presence = lane::PRESENCE + presence_size(self.fields);
        let cells_offset = presence.next_multiple_of(alignment);
        let lane_stride = (cells_offset as u64 + self.cells as u64).next_multiple_of(line);
        let file_size = lanes_offset + lane_stride * self.lanes as u64;
        if file_size > u32::MAX as u64 {
            return None;
        }
        Some(RawHeader {
            magic: MAGIC,
            major: MAJOR,
            minor: MINOR,
            min_minor: 0,
            header_size: header::SIZE as u16,
            required_features: 0,
            optional_features: 0,
            instance: [0; 16],
            part: 0,
            file_size: file_size as u32,
            descriptor_offset: header::SIZE,
            descriptor_capacity: self.fields,
            descriptor_size: descriptor::SIZE as u16,
            heap_offset: heap_offset as u32,
            heap_size: heap_size as u32,
            lanes_offset: lanes_offset as u32,
            lane_stride: lane_stride as u32,
            lane_capacity: self.lanes,
            cells_offset,
            checksum: 0,
        })
    }
}

/// Checks the members of a group. Returns the size of its slot in bytes.
pub(crate) fn group_slot(specs: &[FieldSpec<'_>]) -> Result<u32, SpecError> {
    let refused = SpecError::Group { members: specs.len() };
    let mut slot = 0_u32;
    for spec in specs {
        spec.check()?;
        // A ring, a journal or a table has a cell of its own.
        if matches!(spec.storage(), Storage::Constant | Storage::Table)
            || spec.properties.ring().is_some()
        {
            return Err(refused);
        }
        slot = slot.checked_add(spec.slot_bytes()).ok_or(refused)?;
    }
    if slot == 0 || slot > MAX_SLOT { Err(refused) } else { Ok(slot) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{StaticBytes, WriteError, Writer};

    #[test]
    fn header_sections_follow_each_other() {
        let mut geometry = Geometry::new(3);
        geometry.reserve(100, 1001, 801);
        let header = geometry.header().unwrap();
        assert_eq!(header.heap_offset, 192 + 6400);
        assert_eq!(header.heap_size, 1008);
        assert_eq!(header.lanes_offset, 7616);
        assert_eq!(header.cells_offset, 128);
        assert_eq!(header.lane_stride, 960);
        assert_eq!(header.file_size, 7616 + 3 * 960);
    }

    #[test]
    fn share_repeated_texts_take_room_once() {
        let mut geometry = Geometry::new(1);
        let helps: std::vec::Vec<_> = (0..20).map(|i| std::format!("Help number {i}.")).collect();
        // Repeated ones, then more than are remembered, then the first again.
        let order = [0, 0, 1, 2, 0].into_iter().chain(0..20).chain([19, 0]);
        let specs: std::vec::Vec<_> =
            order.map(|i| FieldSpec::counter("label").unit("bytes").help(&helps[i])).collect();
        let mut recent = RecentTexts::new();
        for spec in &specs {
            geometry.add(spec).unwrap();
            geometry.share(&mut recent, spec.unit);
            geometry.share(&mut recent, spec.help);
        }
        geometry.reserve(1, 0, 8);
        let bytes = std::boxed::Box::leak(std::boxed::Box::new(StaticBytes::<8192>::new()));
        let mut writer = Writer::create(bytes.into_memory(), &geometry, [0; 16], 0).unwrap();
        for spec in &specs {
            writer.add(spec).unwrap();
        }
        let error = writer.add(&FieldSpec::counter("one more")).unwrap_err();
        assert!(matches!(error, WriteError::HeapFull { .. }), "not a byte too much");
    }

    #[test]
    fn file_size_past_limit_is_none() {
        assert_eq!(Geometry::new(0).file_size(), None);
        assert_eq!(Geometry::new(MAX_LANES + 1).file_size(), None);
        let mut geometry = Geometry::new(1);
        geometry.reserve(MAX_FIELDS + 1, 0, 0);
        assert_eq!(geometry.file_size(), None);
        let mut geometry = Geometry::new(2);
        geometry.reserve(1, 0, u32::MAX / 2);
        assert_eq!(geometry.file_size(), None);
    }
}
