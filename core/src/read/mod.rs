//! The checked reader: from untrusted bytes to plain values.
//!
//! [`Image::open`] checks the header, [`Image::fields`] checks each field. After that no accessor
//! fails, and a read returns a value or another [`Verdict`] in bounded time. Nothing panics,
//! allocates or uses an unchecked offset, whatever the bytes are, also while they change.
//!
//! Images are read from a [`Source`]: a slice at any alignment, or a [`Region`](crate::Region) that
//! a writer is changing. [`Image`] is a thin layer over functions that take the source as an
//! argument. With these an observer can copy the metadata (all before [`Header::lanes_offset`])
//! once, iterate over that copy with a [`Cursor`], and read values from the region.
//!
//! ```
//! use mmstats_core::read::{Image, Refusal, Verdict};
//!
//! fn show(bytes: &[u8]) -> Result<(), Refusal> {
//!     let image = Image::open(bytes)?;
//!     let (mut label, mut value) = ([0; 255], [0; 4096]);
//!     for field in image.fields().flatten() {
//!         let label = image.label(&field, &mut label);
//!         if let Verdict::Consistent(value) = image.read(0, &field, &mut value) {
//!             println!("{label}: {value:?}");
//!         }
//!     }
//!     Ok(())
//! }
//! assert_eq!(show(b"").unwrap_err().code(), "too-short");
//! ```

mod attributes;
mod cell;
mod check;
mod decode;
mod error;
mod field;
mod fields;
mod header;
mod heap;
mod image;
mod journal;
mod kind_param;
mod lane;
mod scalar;
mod table;
mod text;
mod value;
mod verdict;

pub use attributes::{Attributes, check_attributes, parse_attributes};
#[cfg(feature = "alloc")]
pub(crate) use cell::SlotReader;
pub use decode::decode;
pub use error::{AttributeFault, FieldError, Refusal, Section, ValueError};
pub use field::Field;
pub use fields::Cursor;
pub use header::{Header, ImageState};
pub use heap::HeapStr;
pub use image::{Fields, Image, read_slot, read_value};
#[cfg(feature = "alloc")]
pub(crate) use journal::JournalReader;
pub use journal::{Histogram, Journal};
pub use lane::{Lane, LaneState, Slot, constant};
pub use scalar::{ArrayView, Scalar};
pub use table::{Table, TableRow};
pub use value::{Reading, Value, WindowSum};
pub use verdict::Verdict;

use crate::layout::MAGIC;
use crate::region::Source;

/// Format of an image, from its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Format 3: [`Image::open`].
    Three,
    /// Format 1, of the original library: [`format1`](crate::format1).
    One,
    /// Neither.
    Unknown,
}

/// Recognises the format by the first bytes. The rest is not checked.
pub fn sniff<S: Source + ?Sized>(source: &S) -> Format {
    let mut first = [0; 8];
    source.copy(0, &mut first);
    match first {
        MAGIC => Format::Three,
        [1, ..] => Format::One,
        _ => Format::Unknown,
    }
}
