//! The walk over the descriptors of an image, in one pass and without memory.

use super::error::FieldError;
use super::field::Field;
use super::header::Header;
use crate::region::Source;

/// The group that the field before belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) place: u32,
    pub(super) slot_bits: u8,
    pub(super) slot_size: u32,
    /// Where the next member may start in the slot.
    pub(super) member_end: u32,
}

/// Where a walk over the fields of an image stands, and what it must remember to find
/// cells that overlap: the end of the last cell, and the group it may belong to.
///
/// Keep it, and go on when the image has more fields.
///
/// A damaged field changes nothing in it: its cell is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    next: u32,
    /// As loaded last: until `next` arrives there, nothing is loaded again.
    count: u32,
    heap_used: u32,
    /// End of the cells so far, from the start of the lane.
    pub(super) end: u32,
    pub(super) group: Option<Group>,
    /// Where the descriptor of a rate must be that belongs to the field before.
    pub(super) counter: Option<u32>,
    /// Bytes of constants looked at so far.
    pub(super) constants: u64,
}

impl Cursor {
    /// Before the first field.
    #[must_use]
    pub const fn new() -> Self {
        Self { next: 0, count: 0, heap_used: 0, end: 0, group: None, counter: None, constants: 0 }
    }

    /// Index of the field that comes next.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.next
    }

    /// Checks the next field; `None` if no more are published now.
    #[inline]
    pub fn next<S: Source + ?Sized>(
        &mut self,
        source: &S,
        header: &Header,
    ) -> Option<(u32, Result<Field, FieldError>)> {
        if self.next >= self.count {
            self.look_again(source, header)?;
        }
        let index = self.next;
        self.next = index.checked_add(1)?;
        let heap_used = self.heap_used;
        Some((index, Field::read(source, header, heap_used, index, self)))
    }

    /// Loads the counts. One that broke its rule since the image was opened is not used.
    #[cold]
    fn look_again<S: Source + ?Sized>(&mut self, source: &S, header: &Header) -> Option<()> {
        let count = header.field_count(source).ok()?;
        // After the count: the strings of all fields counted are inside.
        let heap_used = header.heap_used(source).ok()?;
        (self.count, self.heap_used) = (count, heap_used);
        (self.next < count).then_some(())
    }
}
