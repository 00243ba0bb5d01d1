//! Files of format 3: mapped, described once, read in place.

mod mapped;
mod metadata;
mod order;
mod parked;
mod rings;
mod scan;

use std::ops::Range;

use mmstats_core::{Kind, Storage};

pub(crate) use mapped::Image;
pub(crate) use metadata::Metadata;
pub(crate) use parked::Parked;

use self::scan::Scan;
use super::api::{Format as _, Values};
use super::scratch::Scratch;
use super::visitor::Visitor;
use crate::value::{Event, WindowRate};

impl Values for Image {
    fn visit_constants<V: Visitor>(&self, scratch: &mut Scratch, visitor: &mut V) {
        visitor.lane(None);
        let constants = self.metadata.order.constants.iter().filter_map(|&index| self.good(index));
        let mut scan = Scan { image: self, scratch, visitor };
        constants.for_each(|field| scan.constant(field));
    }

    #[inline]
    fn visit_scalars<V: Visitor>(&self, lane: u32, visitor: &mut V) {
        visitor.lane(Some(lane));
        scan::scalars(self, lane, visitor);
    }

    fn visit_lane<V: Visitor>(&self, lane: u32, scratch: &mut Scratch, visitor: &mut V) {
        self.visit_scalars(lane, visitor);
        Scan { image: self, scratch, visitor }.cells(lane);
        for &field in &self.metadata.order.rates {
            visitor.rates(field, &|| rings::rates(self, field, lane));
        }
    }

    fn visit_field<V: Visitor>(&self, index: u32, scratch: &mut Scratch, visitor: &mut V) {
        let Some(field) = self.good(index) else { return };
        let mut scan = Scan { image: self, scratch, visitor };
        if field.storage() == Some(Storage::Constant) {
            scan.visitor.lane(None);
            return scan.constant(field);
        }
        for lane in 0..self.lanes_used() {
            scan.visitor.lane(Some(lane));
            scan.field(lane, field);
            if field.kind() == Some(Kind::Rate) {
                scan.visitor.rates(index, &|| rings::rates(self, index, lane));
            }
        }
    }

    fn events(&self, field: u32, lane: u32, seen: u32) -> Option<Vec<Event>> {
        rings::events(self, field, lane, seen)
    }

    fn rates(&self, field: u32, lanes: Range<u32>) -> Option<Vec<WindowRate>> {
        let mut sum = rings::windows(self, field)?;
        for lane in lanes {
            WindowRate::merge(&mut sum, &rings::rates(self, field, lane)?);
        }
        Some(sum)
    }
}
