//! Iteration over the fields of an image, in one pass and without memory.

use super::check::Preceding;
use super::error::FieldError;
use super::field::Field;
use super::header::Header;
use crate::region::Source;

/// Position of an iteration over the fields of an image.
///
/// The same cursor continues when the image has more fields. It remembers the end of the last cell,
/// to detect overlapping cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    next: u32,
    /// Number of fields; loaded again when `next` reaches it.
    count: u32,
    heap_used: u32,
    preceding: Preceding,
}

impl Cursor {
    /// Before the first field.
    #[must_use]
    pub const fn new() -> Self {
        Self { next: 0, count: 0, heap_used: 0, preceding: Preceding::NONE }
    }

    /// Index of the next field.
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
            self.load_counts(source, header)?;
        }
        let index = self.next;
        self.next = index.checked_add(1)?;
        Some((index, self.check(source, header, self.heap_used, index)))
    }

    /// Loads and checks descriptor `index`, in the order of FORMAT.md section 10. The fields
    /// before it must have been checked with this cursor; [`Cursor::index`] is not used.
    ///
    /// `heap_used` is [`Header::heap_used`], loaded after the count that `index` is below.
    /// `source` may be a copy of the metadata alone: all bytes before
    /// [`Header::lanes_offset`].
    ///
    /// # Errors
    ///
    /// The first broken rule. The other fields of the image are still good.
    #[inline]
    pub fn check<S: Source + ?Sized>(
        &mut self,
        source: &S,
        header: &Header,
        heap_used: u32,
        index: u32,
    ) -> Result<Field, FieldError> {
        Field::read(source, header, heap_used, index, &mut self.preceding)
    }

    /// Loads the counts. `None` if there are no more fields or a count is invalid now.
    #[cold]
    fn load_counts<S: Source + ?Sized>(&mut self, source: &S, header: &Header) -> Option<()> {
        let count = header.field_count(source).ok()?;
        // After the count, so that it includes the strings of all these fields.
        let heap_used = header.heap_used(source).ok()?;
        (self.count, self.heap_used) = (count, heap_used);
        (self.next < count).then_some(())
    }
}
