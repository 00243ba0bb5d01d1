//! The interface of a format.

use std::ops::Range;
use std::path::Path;

use super::refused::Refused;
use super::scratch::{CheckBuffer, Scratch};
use super::visitor::Visitor;
use crate::field::FieldRef;
use crate::identity::{FileState, Identity, Instance, LaneInfo, Lanes};
use crate::value::{Event, WindowRate};

/// The content of a file that was refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refreshed {
    /// The same content; `grown` if fields were added or retired.
    Same { grown: bool },
    /// Another image lies in the file.
    Replaced,
}

/// The content of a file, of either format.
///
/// Default methods are those of a format without instances, locks and rings.
pub(crate) trait Format {
    /// Number of the format.
    fn number(&self) -> u8;

    /// Looks for new and retired fields. `size` is that of the file now, in bytes.
    fn refresh(
        &mut self,
        path: &Path,
        size: u64,
        buffer: &mut CheckBuffer,
    ) -> Result<Refreshed, Refused>;

    /// Judges whether the writer lives.
    fn judge(&mut self, path: &Path, identity: &Identity) -> Result<FileState, Refused>;

    /// Values of the standard fields.
    fn identity(&self) -> Identity;

    /// Changes whenever the fields do.
    fn generation(&self) -> u32;

    /// Number of fields, with damaged and retired ones.
    fn field_count(&self) -> usize;

    /// Field `index`; `None` past the end.
    fn field(&self, index: usize) -> Option<FieldRef<'_>>;

    /// Number of lanes now.
    fn lanes(&self) -> Lanes;

    /// Number of lanes that may have values.
    fn lanes_used(&self) -> u32;

    /// A lane; `None` if it was never claimed.
    fn lane(&self, lane: u32) -> Option<LaneInfo>;

    /// Visits the constants.
    fn visit_constants<V: Visitor>(&self, scratch: &mut Scratch, visitor: &mut V);

    /// Visits the atomic scalars of a lane; of format 1, bools and numbers.
    fn visit_scalars<V: Visitor>(&self, lane: u32, visitor: &mut V);

    /// Visits all fields of a lane that are not constants.
    fn visit_lane<V: Visitor>(&self, lane: u32, scratch: &mut Scratch, visitor: &mut V);

    /// Visits one field: the constant, or its values in all lanes.
    fn visit_field<V: Visitor>(&self, index: u32, scratch: &mut Scratch, visitor: &mut V);

    /// Identity of the publisher.
    fn instance(&self) -> Option<Instance> {
        None
    }

    /// Number of the file within its instance.
    fn part(&self) -> u32 {
        0
    }

    /// Number of fields that fit in no file.
    fn fields_refused(&self) -> u32 {
        0
    }

    /// Metadata of which a copy is kept, in bytes.
    fn metadata_size(&self) -> u64 {
        0
    }

    /// Whether bytes are known to be missing. No system call.
    fn is_lost(&self) -> bool {
        false
    }

    /// Whether no byte is missing now. One system call.
    fn is_whole(&self) -> bool {
        true
    }

    /// Whether the file is mapped, and may be kept open.
    fn has_mapping(&self) -> bool {
        false
    }

    /// Closes the file; keeps the mapping.
    fn close_handle(&mut self) {}

    /// The lines of an events field after number `seen`, oldest first.
    fn events(&self, field: u32, lane: u32, seen: u32) -> Option<Vec<Event>> {
        let _ = (field, lane, seen);
        None
    }

    /// The rates of a rate field, added over lanes.
    fn rates(&self, field: u32, lanes: Range<u32>) -> Option<Vec<WindowRate>> {
        let _ = (field, lanes);
        None
    }
}
