//! Files of format 3: mapped, described once, read in place.

mod events;
mod mapped;
mod order;
mod rates;
mod scan;

use std::ops::Range;

use mmstats_core::{Kind, Storage};

pub(crate) use mapped::Image;

use super::api::{Format as _, Values};
use super::scratch::Scratch;
use super::visitor::Visitor;
use crate::value::{Event, WindowRate};

impl Values for Image {
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
        if field.storage() == Some(Storage::Constant) {
            visitor.lane(None);
            return scan::constant(self, (index, field), scratch, visitor);
        }
        for lane in 0..self.lanes_used() {
            visitor.lane(Some(lane));
            scan::field(self, lane, (index, field), scratch, visitor);
            if field.kind() == Some(Kind::Rate) {
                visitor.rates(index, &|| rates::in_lane(self, index, lane));
            }
        }
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
