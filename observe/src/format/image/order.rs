//! The order in which the fields of an image are read.

use mmstats_core::read::Field;
use mmstats_core::{DataType, Kind, Storage};

/// Numbers of the live fields, by the way they are read.
#[derive(Debug, Clone, Default)]
pub(super) struct ReadOrder {
    /// Atomic scalars.
    pub(super) runs: Vec<Run>,
    /// Latched fields, and those of an unknown type or storage.
    pub(super) cells: Vec<u32>,
    pub(super) constants: Vec<u32>,
    /// The rate fields among `cells`.
    pub(super) rates: Vec<u32>,
}

/// Consecutive atomic scalars of one type, 8 bytes apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// Number of the first field.
    pub(super) first: u32,
    /// Number of fields.
    pub(super) count: u32,
    /// Offset of the first cell in the lane, in bytes.
    pub(super) place: u32,
    pub(super) ty: DataType,
    pub(super) optional: bool,
}

impl ReadOrder {
    /// Adds a field, with a number above those of all fields before.
    pub(super) fn add(&mut self, index: u32, field: &Field) {
        match (field.storage(), field.ty()) {
            (Some(Storage::Constant), _) => self.constants.push(index),
            (Some(Storage::Atomic), Some(ty)) => self.add_scalar(index, field, ty),
            _ => self.cells.push(index),
        }
        if field.kind() == Some(Kind::Rate) {
            self.rates.push(index);
        }
    }

    fn add_scalar(&mut self, first: u32, field: &Field, ty: DataType) {
        let (place, optional) = (field.place(), field.properties().is_optional());
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
