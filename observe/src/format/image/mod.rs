//! Files of format 3: mapped, described once, read in place.

mod events;
mod mapped;
mod order;
mod rates;
mod scan;

use std::ops::Range;
use std::path::Path;

pub(crate) use mapped::Image;

use super::api::{Format, Refreshed};
use super::refused::Refused;
use super::scratch::{CheckBuffer, Scratch};
use super::visitor::Visitor;
use crate::field::FieldRef;
use crate::identity::{FileState, Identity, Instance, LaneInfo, Lanes};
use crate::problem::Problem;
use crate::value::{Event, WindowRate};

impl Format for Image {
    fn number(&self) -> u8 {
        3
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
        if !self.is_same() {
            return Ok(Refreshed::Replaced);
        }
        Ok(Refreshed::Same { grown: self.refresh_fields(buffer) })
    }

    fn judge(&mut self, path: &Path, _identity: &Identity) -> Result<FileState, Refused> {
        Self::judge(self, path)
    }

    fn identity(&self) -> Identity {
        Self::identity(self)
    }

    fn generation(&self) -> u32 {
        Self::generation(self)
    }

    fn field_count(&self) -> usize {
        Self::field_count(self)
    }

    fn field(&self, index: usize) -> Option<FieldRef<'_>> {
        Self::field(self, index)
    }

    fn lanes(&self) -> Lanes {
        let used = self.lanes_used();
        let owned = (0..used).filter(|&lane| self.lane(lane).is_some_and(|lane| lane.owned));
        let owned = u32::try_from(owned.count()).unwrap_or(u32::MAX);
        Lanes { used, owned, capacity: self.header().lane_capacity() }
    }

    fn lanes_used(&self) -> u32 {
        Self::lanes_used(self)
    }

    fn lane(&self, lane: u32) -> Option<LaneInfo> {
        Self::lane(self, lane)
    }

    fn visit_constants<V: Visitor>(&self, scratch: &mut Scratch, visitor: &mut V) {
        visitor.lane(None);
        scan::constants(self, scratch, visitor);
    }

    #[inline]
    fn visit_scalars<V: Visitor>(&self, lane: u32, visitor: &mut V) {
        visitor.lane(Some(lane));
        scan::scalars(self, lane, visitor);
    }

    fn visit_lane<V: Visitor>(&self, lane: u32, scratch: &mut Scratch, visitor: &mut V) {
        self.visit_scalars(lane, visitor);
        scan::cells(self, lane, scratch, visitor);
        for &field in &self.order().rates {
            visitor.rates(field, &|| rates::in_lane(self, field, lane));
        }
    }

    fn visit_field<V: Visitor>(&self, index: u32, scratch: &mut Scratch, visitor: &mut V) {
        let Some(field) = self.good(index) else { return };
        if field.storage() == Some(mmstats_core::Storage::Constant) {
            visitor.lane(None);
            return scan::constant(self, (index, field), scratch, visitor);
        }
        for lane in 0..self.lanes_used() {
            visitor.lane(Some(lane));
            scan::field(self, lane, (index, field), scratch, visitor);
            if field.kind() == Some(mmstats_core::Kind::Rate) {
                visitor.rates(index, &|| rates::in_lane(self, index, lane));
            }
        }
    }

    fn instance(&self) -> Option<Instance> {
        Some(Instance(self.header().instance()))
    }

    fn part(&self) -> u32 {
        self.header().part()
    }

    fn fields_refused(&self) -> u32 {
        Self::fields_refused(self)
    }

    fn metadata_size(&self) -> u64 {
        Self::metadata_size(self)
    }

    fn is_lost(&self) -> bool {
        Self::is_lost(self)
    }

    fn is_whole(&self) -> bool {
        Self::is_whole(self)
    }

    fn has_mapping(&self) -> bool {
        true
    }

    fn close_handle(&mut self) {
        Self::close_handle(self);
    }

    fn events(&self, field: u32, lane: u32, seen: u32) -> Option<Vec<Event>> {
        events::events(self, field, lane, seen)
    }

    fn rates(&self, field: u32, lanes: Range<u32>) -> Option<Vec<WindowRate>> {
        let mut sum = rates::windows(self, field)?;
        for lane in lanes {
            WindowRate::merge(&mut sum, &rates::in_lane(self, field, lane)?);
        }
        Some(sum)
    }
}
