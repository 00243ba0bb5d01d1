//! An image that keeps source and header together.

use super::error::{FieldError, Refusal};
use super::field::Field;
use super::fields::Cursor;
use super::header::{Header, ImageState};
use super::lane::{Lane, Slot, constant};
use super::value::Reading;
use super::verdict::Verdict;
use crate::region::Source;
use crate::types::Storage;

/// An image whose header passed all checks.
#[derive(Debug, Clone, Copy)]
pub struct Image<S> {
    source: S,
    header: Header,
}

impl<S: Source> Image<S> {
    /// Checks the header, the state and the counts, in the order of FORMAT.md section 10.
    ///
    /// `source` may be a `&[u8]` or a [`Region`](crate::Region).
    ///
    /// # Errors
    ///
    /// The first broken rule.
    pub fn open(source: S) -> Result<Self, Refusal> {
        let header = Header::read(&source)?;
        if header.state(&source)? == ImageState::Building {
            return Err(Refusal::Building);
        }
        header.field_count(&source)?;
        header.heap_used(&source)?;
        header.lanes_used(&source)?;
        Ok(Self { source, header })
    }

    /// The checked header.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The source of the image.
    pub const fn source(&self) -> &S {
        &self.source
    }

    /// The state now.
    ///
    /// # Errors
    ///
    /// `bad-state`, if a hostile writer changed it after [`Image::open`].
    pub fn state(&self) -> Result<ImageState, Refusal> {
        self.header.state(&self.source)
    }

    /// Number of lanes of the program whose values are in no image: see [`Header::lanes_refused`].
    pub fn lanes_refused(&self) -> u32 {
        self.header.lanes_refused(&self.source)
    }

    /// Number of images of the instance: see [`Header::parts`].
    pub fn parts(&self) -> Option<u32> {
        self.header.parts(&self.source)
    }

    /// The word that counts reuses of room: see [`Header::reuses`].
    pub fn reuses(&self) -> u32 {
        self.header.reuses(&self.source)
    }

    /// All fields published until now. A damaged one does not end the iteration.
    pub const fn fields(&self) -> Fields<'_, S> {
        Fields { image: self, cursor: Cursor::new() }
    }

    /// The field after `cursor`; `None` if no more are published now.
    #[inline]
    pub fn next_field(&self, cursor: &mut Cursor) -> Option<(u32, Result<Field, FieldError>)> {
        cursor.next(&self.source, &self.header)
    }

    /// The label of a field: at most [`MAX_LABEL`](crate::layout::MAX_LABEL) bytes.
    pub fn label<'b>(&self, field: &Field, out: &'b mut [u8]) -> &'b str {
        field.label().read(&self.source, out)
    }

    /// Lane `index` as it is now: absent if it was never claimed.
    pub fn lane(&self, index: u32) -> Verdict<Lane> {
        Lane::open(&self.source, &self.header, index)
    }

    /// The value of a field in a lane: see [`read_value`].
    pub fn read<'b>(&self, lane: u32, field: &Field, out: &'b mut [u8]) -> Reading<'b> {
        read_value(&self.source, &self.header, lane, field, out)
    }

    /// A whole slot of a field's cell in a lane: see [`read_slot`].
    pub fn read_slot<'b>(&self, lane: u32, field: &Field, out: &'b mut [u8]) -> Verdict<Slot<'b>> {
        read_slot(&self.source, &self.header, lane, field, out)
    }
}

/// Iterator over the fields of an image: see [`Image::fields`].
#[derive(Debug, Clone)]
pub struct Fields<'a, S> {
    image: &'a Image<S>,
    cursor: Cursor,
}

impl<S: Source> Iterator for Fields<'_, S> {
    type Item = Result<Field, FieldError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.image.next_field(&mut self.cursor).map(|(_, field)| field)
    }
}

/// The value of a field in a lane, unless the field is retired or the lane was never claimed. A
/// constant has its value in every lane.
///
/// Contended if room of retired fields is used again meanwhile; retired if it was that of `field`.
///
/// `out` must have [`Field::buffer_size`] bytes. To read many fields, open the lane once and use
/// [`Lane::read`].
pub fn read_value<'b, S: Source + ?Sized>(
    source: &S,
    header: &Header,
    lane: u32,
    field: &Field,
    out: &'b mut [u8],
) -> Reading<'b> {
    let before = header.reuses(source);
    if !field.is_current(source) {
        return Verdict::Retired;
    }
    let reading = if field.storage() == Some(Storage::Constant) {
        constant(source, field, out)
    } else {
        Lane::open(source, header, lane).and_then(|lane| lane.read(source, field, out))
    };
    if header.reused_since(source, before) { Verdict::Contended } else { reading }
}

/// A whole slot of a latched field's cell in a lane, with the same conditions as [`read_value`].
/// `out` must have [`Field::slot_size`] bytes.
pub fn read_slot<'b, S: Source + ?Sized>(
    source: &S,
    header: &Header,
    lane: u32,
    field: &Field,
    out: &'b mut [u8],
) -> Verdict<Slot<'b>> {
    let before = header.reuses(source);
    if !field.is_current(source) {
        return Verdict::Retired;
    }
    let slot = Lane::open(source, header, lane).and_then(|lane| lane.read_slot(source, field, out));
    if header.reused_since(source, before) { Verdict::Contended } else { slot }
}
