//! The interface of a format.

use std::fmt::Debug;
use std::ops::Range;
use std::path::Path;

use mmstats_core::read::Refusal;

use super::scratch::{Allowance, Scratch};
use super::visitor::Visitor;
use crate::field::FieldRef;
use crate::identity::{FileState, Identity, Instance, LaneInfo, Lanes};
use crate::problem::Problem;
use crate::value::{Event, WindowRate};

/// Why nothing of a file is shown.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) state: FileState,
    pub(crate) problem: Problem,
    /// Whether it would be shown if there were more memory.
    pub(crate) for_room: bool,
}

impl Refused {
    /// A file that breaks a rule of its format, or is truncated.
    pub(crate) const fn damaged(problem: Problem) -> Self {
        Self { state: FileState::Damaged, problem, for_room: false }
    }

    /// A file whose metadata needs more memory than is left for it.
    pub(crate) fn no_room(path: &Path, cost: u64) -> Self {
        let message = format!("its metadata takes {cost} bytes, and other files have too many");
        Self { for_room: true, ..Self::damaged(Problem::new(path, "too-large", message)) }
    }

    /// A file whose image was refused.
    pub(crate) fn from_refusal(path: &Path, refusal: &Refusal) -> Self {
        let problem = Problem::from_refusal(path, refusal);
        Self { state: FileState::from_refusal(refusal), problem, for_room: false }
    }
}

/// Numbers by which an image tells which parts of its program are in other files or in none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Number of parts of the program; 0 if the file does not say it.
    pub(crate) parts: u32,
    /// Fields of the program that fit in no file.
    pub(crate) fields_refused: u32,
    /// Lanes of the program whose values are in no file at present.
    pub(crate) lanes_refused: u32,
}

/// The content of a file that was refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refreshed {
    /// The same content; `grown` if fields were added or retired.
    Same { grown: bool },
    /// Another image lies in the file.
    Replaced,
    /// The content must be opened anew.
    Unreadable,
}

/// Descriptions and state of a file's content. The defaults are those of unreadable content.
pub(crate) trait Format: Debug {
    /// Number of the format; `None` for unreadable content.
    fn number(&self) -> Option<u8> {
        None
    }

    /// Looks for new and retired fields. `size` is that of the file now, in bytes.
    fn refresh(
        &mut self,
        _path: &Path,
        _size: u64,
        _allowance: &mut Allowance,
    ) -> Result<Refreshed, Refused> {
        Ok(Refreshed::Unreadable)
    }

    /// Judges whether the writer lives; `None` for unreadable content.
    fn judge(&mut self, _path: &Path, _identity: &Identity) -> Result<Option<FileState>, Refused> {
        Ok(None)
    }

    /// Values of the standard fields.
    fn identity(&self) -> Identity {
        Identity::default()
    }

    /// Changes whenever the fields do.
    fn generation(&self) -> u32 {
        0
    }

    /// Number of fields, with damaged and retired ones.
    fn field_count(&self) -> usize {
        0
    }

    /// Field `index`; `None` past the end.
    fn field(&self, _index: usize) -> Option<FieldRef<'_>> {
        None
    }

    /// Number of lanes now.
    fn lanes(&self) -> Lanes {
        Lanes::default()
    }

    /// Number of lanes that may have values.
    fn lanes_used(&self) -> u32 {
        0
    }

    /// A lane; `None` if it was never claimed.
    fn lane(&self, _lane: u32) -> Option<LaneInfo> {
        None
    }

    /// Identity of the publisher.
    fn instance(&self) -> Option<Instance> {
        None
    }

    /// Number of the file within its instance.
    fn part(&self) -> u32 {
        0
    }

    /// Parts of the program that are in other files or in none.
    fn reach(&self) -> Reach {
        Reach::default()
    }

    /// Number of samples that were not recorded, over all lanes.
    fn samples_refused(&self) -> u64 {
        0
    }

    /// The bytes before the values that change; empty if there are none.
    fn start(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Approximate memory of the descriptions, in bytes.
    fn metadata_size(&self) -> u64 {
        0
    }

    /// Whether a read met missing bytes. No system call.
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
}

/// Values of a file's content; generic, so that each visit is compiled for its visitor.
/// The defaults are those of unreadable content.
pub(crate) trait Values {
    /// Visits the constants.
    fn visit_constants<V: Visitor>(&self, _scratch: &mut Scratch, _visitor: &mut V) {}

    /// Visits the atomic scalars of a lane; of format 1, bools and numbers.
    fn visit_scalars<V: Visitor>(&self, _lane: u32, _visitor: &mut V) {}

    /// Visits all fields of a lane that are not constants.
    fn visit_lane<V: Visitor>(&self, _lane: u32, _scratch: &mut Scratch, _visitor: &mut V) {}

    /// Visits one field: the constant, or its values in all lanes.
    fn visit_field<V: Visitor>(&self, _index: u32, _scratch: &mut Scratch, _visitor: &mut V) {}

    /// The lines of an events field after number `seen`, oldest first.
    fn events(&self, _field: u32, _lane: u32, _seen: u32) -> Option<Vec<Event>> {
        None
    }

    /// The rates of a rate field, added over lanes.
    fn rates(&self, _field: u32, _lanes: Range<u32>) -> Option<Vec<WindowRate>> {
        None
    }
}
