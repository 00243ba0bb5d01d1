//! An image without a mapping: its descriptions, and numbers as of the last refresh.

use std::sync::Arc;

use super::metadata::Metadata;
use crate::field::FieldRef;
use crate::format::api::{Format, Reach, Values};
use crate::identity::{FileState, Identity, Instance, Lanes};

/// An image whose mapping was given back: the system limits the number of mappings. Its values are
/// read from another opening of the file, by the same metadata.
#[derive(Debug)]
pub(crate) struct Parked {
    pub(super) metadata: Arc<Metadata>,
    pub(super) state: FileState,
    pub(super) lanes: Lanes,
    pub(super) reach: Reach,
}

impl Parked {
    pub(crate) fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

impl Format for Parked {
    fn number(&self) -> Option<u8> {
        Some(3)
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
        self.lanes
    }

    fn lanes_used(&self) -> u32 {
        self.lanes.used
    }

    fn instance(&self) -> Option<Instance> {
        Some(self.metadata.instance())
    }

    fn part(&self) -> u32 {
        self.metadata.part()
    }

    fn reach(&self) -> Reach {
        self.reach
    }

    fn metadata_size(&self) -> u64 {
        self.metadata.cost()
    }
}

/// Never visited: the file opens its image again.
impl Values for Parked {}
