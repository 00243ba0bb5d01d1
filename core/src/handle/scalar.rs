//! Scalar types and their cells for a writer of this word size.

use crate::descriptor::RawDescriptor;
use crate::protocol::Slot;
#[cfg(not(target_pointer_width = "64"))]
use crate::protocol::WriteCell;
#[cfg(target_pointer_width = "64")]
use crate::region::Atom64;
use crate::region::{Atom32, Latch, Memory, Word};
use crate::types::DataType;
#[cfg(not(target_pointer_width = "64"))]
use crate::types::Storage;
use crate::write::{AttachError, Lane};

mod sealed {
    pub trait Sealed {}
}

/// A type of gauges, elements of arrays and members of groups.
pub trait ScalarType: sealed::Sealed + Copy + PartialEq + core::fmt::Debug + 'static {
    /// The type in the format.
    const TYPE: DataType;
    /// Zero.
    const ZERO: Self;

    /// The cell of one value in a lane.
    #[doc(hidden)]
    type Cell<M>: ScalarCell<M>;

    /// The value as the low bits of a little-endian word of a slot.
    fn to_bits(self) -> u64;

    /// The value in an atomic cell, widened to 32 bits or all 64.
    #[doc(hidden)]
    fn to_cell(self) -> u64;

    /// The value of an atomic cell.
    #[doc(hidden)]
    fn from_cell(bits: u64) -> Self;

    /// Whether sums of 65,536 such values are finite.
    #[doc(hidden)]
    #[inline(always)]
    fn is_summable(self) -> bool {
        true
    }

    /// `self + other`; integers saturate.
    #[must_use]
    fn plus(self, other: Self) -> Self;

    /// `self - other`; integers saturate.
    #[must_use]
    fn minus(self, other: Self) -> Self;
}

/// Cell of one scalar in a lane.
#[doc(hidden)]
pub trait ScalarCell<M>: Sized {
    fn new(lane: &Lane<M>, raw: &RawDescriptor) -> Result<Self, AttachError>
    where
        M: Memory + Clone;
    fn duplicate(&self) -> Self
    where
        M: Clone;
    fn load(&self) -> u64;
    fn store(&self, cell: u64);
    /// The address of the cell, of 4 or 8 bytes; `None` if it is latched.
    #[cfg(feature = "raw")] // See `Atom32::place`.
    fn place(&self) -> Option<core::ptr::NonNull<u8>>;
}

impl<M> ScalarCell<M> for Atom32<M> {
    #[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
    fn new(lane: &Lane<M>, raw: &RawDescriptor) -> Result<Self, AttachError>
    where
        M: Memory + Clone,
    {
        let at = lane.atomic(raw)?;
        Self::new(lane.region(), at).ok_or(AttachError::Place { place: raw.place })
    }

    fn duplicate(&self) -> Self
    where
        M: Clone,
    {
        self.clone()
    }

    #[inline(always)]
    fn load(&self) -> u64 {
        u64::from(self.load())
    }

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)] // A 32-bit cell.
    fn store(&self, cell: u64) {
        self.store(cell as u32);
    }

    #[cfg(feature = "raw")] // See `Atom32::place`.
    fn place(&self) -> Option<core::ptr::NonNull<u8>> {
        Some(Self::place(self).cast())
    }
}

#[cfg(target_pointer_width = "64")]
impl<M> ScalarCell<M> for Atom64<M> {
    #[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
    fn new(lane: &Lane<M>, raw: &RawDescriptor) -> Result<Self, AttachError>
    where
        M: Memory + Clone,
    {
        let at = lane.atomic(raw)?;
        Self::new(lane.region(), at).ok_or(AttachError::Place { place: raw.place })
    }

    fn duplicate(&self) -> Self
    where
        M: Clone,
    {
        self.clone()
    }

    #[inline(always)]
    fn load(&self) -> u64 {
        self.load()
    }

    #[inline(always)]
    fn store(&self, cell: u64) {
        self.store(cell);
    }

    #[cfg(feature = "raw")] // See `Atom32::place`.
    fn place(&self) -> Option<core::ptr::NonNull<u8>> {
        Some(Self::place(self).cast())
    }
}

/// A 64-bit scalar of a 32-bit writer: a latched cell of one value.
#[cfg(not(target_pointer_width = "64"))]
impl<M> ScalarCell<M> for Latch<M> {
    #[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
    fn new(lane: &Lane<M>, raw: &RawDescriptor) -> Result<Self, AttachError>
    where
        M: Memory + Clone,
    {
        // An array or a member of a group is latched too, but not in a cell of its own. The error
        // is that of a 64-bit machine, where a scalar of its own is atomic.
        if raw.properties.is_array() || raw.properties.is_member() {
            return Err(AttachError::OtherStorage { found: raw.storage, wanted: Storage::Atomic });
        }
        lane.latch(raw)
    }

    fn duplicate(&self) -> Self
    where
        M: Clone,
    {
        self.clone()
    }

    #[inline(always)]
    fn load(&self) -> u64 {
        let n = self.seq();
        u64::from(WriteCell::load(self, n, 0)) | u64::from(WriteCell::load(self, n, 1)) << 32
    }

    #[inline(always)]
    fn store(&self, cell: u64) {
        crate::protocol::publish(self, |slot| set64(slot, 0, cell));
    }

    #[cfg(feature = "raw")] // See `Atom32::place`.
    fn place(&self) -> Option<core::ptr::NonNull<u8>> {
        None
    }
}

/// Cell of a 64-bit scalar.
#[cfg(target_pointer_width = "64")]
type Wide<M> = Atom64<M>;
/// Cell of a 64-bit scalar.
#[cfg(not(target_pointer_width = "64"))]
type Wide<M> = Latch<M>;

/// Stores 8-byte unit `index` of a slot.
#[inline(always)]
#[allow(clippy::cast_possible_truncation)] // The halves of a word.
pub(crate) fn set64<M>(slot: &Slot<'_, Latch<M>>, index: usize, value: u64) {
    if Word::BITS == 64 {
        slot.set(index, value as Word);
    } else {
        slot.set(index * 2, value as Word);
        slot.set(index * 2 + 1, (value >> 32) as Word);
    }
}

/// Loads 8-byte unit `index` of the value published last.
#[inline(always)]
#[allow(clippy::unnecessary_cast)] // A word is 4 bytes elsewhere.
pub(crate) fn last64<M>(slot: &Slot<'_, Latch<M>>, index: usize) -> u64 {
    if Word::BITS == 64 {
        slot.last(index) as u64
    } else {
        slot.last(index * 2) as u64 | (slot.last(index * 2 + 1) as u64) << 32
    }
}

macro_rules! scalar {
    ($type:ty, $variant:ident, $cell_type:ident, $zero:expr, $bits:expr, $cell:expr, $back:expr, $plus:expr, $minus:expr $(, $summable:expr)?) => {
        impl sealed::Sealed for $type {}
        impl ScalarType for $type {
            const TYPE: DataType = DataType::$variant;
            const ZERO: Self = $zero;
            type Cell<M> = $cell_type<M>;

            #[inline(always)]
            fn to_bits(self) -> u64 {
                $bits(self)
            }
            #[inline(always)]
            fn to_cell(self) -> u64 {
                $cell(self)
            }
            #[inline(always)]
            #[allow(clippy::cast_possible_truncation)] // The cell holds a value of the type.
            fn from_cell(bits: u64) -> Self {
                $back(bits)
            }
            $(#[inline(always)]
            fn is_summable(self) -> bool {
                $summable(self)
            })?
            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                $plus(self, other)
            }
            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                $minus(self, other)
            }
        }
    };
}

macro_rules! integer {
    // `$low` is the unsigned type of the same size. The value is widened to `$cell`, u32 or u64,
    // through `$wide`, the type of that size with the value's sign.
    ($($type:ty, $variant:ident, $cell_type:ident, $low:ty, $wide:ty, $cell:ty;)*) => {$(
        scalar!(
            $type,
            $variant,
            $cell_type,
            0,
            |v: $type| v as $low as u64,
            |v: $type| v as $wide as $cell as u64,
            |bits: u64| bits as $type,
            <$type>::saturating_add,
            <$type>::saturating_sub
        );
    )*};
}

#[rustfmt::skip]
#[allow(clippy::cast_lossless, clippy::cast_sign_loss, clippy::unnecessary_cast)] // One macro for all.
mod integers {
    use super::*;
    integer! {
        u8, U8, Atom32, u8, u32, u32;
        u16, U16, Atom32, u16, u32, u32;
        u32, U32, Atom32, u32, u32, u32;
        u64, U64, Wide, u64, u64, u64;
        i8, I8, Atom32, u8, i32, u32;
        i16, I16, Atom32, u16, i32, u32;
        i32, I32, Atom32, u32, i32, u32;
        i64, I64, Wide, u64, i64, u64;
    }
}

scalar!(
    f32,
    F32,
    Atom32,
    0.0,
    |v: f32| u64::from(v.to_bits()),
    |v: f32| u64::from(v.to_bits()),
    |bits: u64| f32::from_bits(bits as u32),
    core::ops::Add::add,
    core::ops::Sub::sub
);
scalar!(
    f64,
    F64,
    Wide,
    0.0,
    |v: f64| v.to_bits(),
    |v: f64| v.to_bits(),
    f64::from_bits,
    core::ops::Add::add,
    core::ops::Sub::sub,
    // False for NaN and infinity too.
    |v: f64| v.abs() <= f64::MAX / 65_536.0
);
scalar!(
    bool,
    Bool,
    Atom32,
    false,
    u64::from,
    u64::from,
    |bits: u64| bits != 0,
    core::ops::BitOr::bitor,
    |a: bool, b: bool| a & !b
);
