//! The checked reader: from bytes that nobody vouches for to plain values.
//!
//! [`Image::open`] checks the header, [`Image::fields`] checks each field; after that,
//! no accessor fails, and a read of a value gives the value or a [`Verdict`], in
//! bounded time. Nothing here panics, allocates, or follows an offset that was not
//! checked, whatever the bytes are and whoever changes them meanwhile.
//!
//! Everything works over a [`Source`]: a slice at any alignment, or a
//! [`Region`](crate::Region) that a writer is changing. [`Image`] is a thin layer over
//! functions that take the source explicitly, so that an observer may copy the metadata
//! (all before [`Header::lanes_offset`]) once, walk that copy with a [`Cursor`], and
//! read values from the region.
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
mod value;
mod verdict;

pub use attributes::{Attributes, check_attributes, parse_attributes};
pub use decode::decode;
pub use error::{AttributeFault, FieldError, Refusal, Section, ValueError};
pub use field::Field;
pub use fields::Cursor;
pub use header::{Header, ImageState};
pub use heap::HeapStr;
pub use image::{Fields, Image, read_slot, read_value};
pub use journal::{Histogram, Journal};
pub use lane::{Lane, LaneState, Slot, constant};
pub use scalar::{ArrayView, Scalar};
pub use value::{Reading, Value, WindowSum};
pub use verdict::Verdict;

use crate::layout::MAGIC;
use crate::region::Source;

/// Which format some bytes are in, by their first bytes.
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

/// Tells formats apart. The rest of the bytes may still be damaged.
pub fn sniff<S: Source + ?Sized>(source: &S) -> Format {
    let mut first = [0; 8];
    source.copy(0, &mut first);
    match first {
        MAGIC => Format::Three,
        [1, ..] => Format::One,
        _ => Format::Unknown,
    }
}
