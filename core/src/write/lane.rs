//! Lane of the writer, and reasons why a handle cannot be attached to it.

use core::fmt;
use core::marker::PhantomData;

use crate::descriptor::RawDescriptor;
use crate::layout::{ATOMIC_CELL, descriptor as d, header as h, lane};
use crate::properties::Properties;
use crate::protocol;
use crate::region::{Atom32, AtomWord, Journal, Latch, Memory, Region, Source, Table};
use crate::types::{DataType, Kind, Storage};

/// Number of a field in its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldId(u32);

impl FieldId {
    /// The index of the descriptor, from 0.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.0
    }

    /// The field with this index. `attach` refuses an index past the last field.
    #[must_use]
    pub const fn from_index(index: u32) -> Self {
        Self(index)
    }
}

/// A claimed lane. The lane and its handles stay on one thread.
///
/// ```compile_fail
/// fn needs_send<T: Send>() {}
/// needs_send::<mmstats_core::Lane<mmstats_core::StaticMemory>>();
/// ```
#[derive(Debug)]
pub struct Lane<M> {
    region: Region<M>,
    index: u32,
    base: u32,
    // Neither `Send` nor `Sync`: a lane has one writer.
    not_send: PhantomData<*const ()>,
}

// Without an operating system all code that attaches a handle is inlined: from `Memory::metadata`
// the compiler then knows the descriptors and removes loads and most checks.
impl<M: Memory + Clone> Lane<M> {
    /// Opens lane `index` of the image in `region`. The caller has claimed it with
    /// [`Writer::claim`](super::Writer::claim) and opens it once.
    #[must_use]
    #[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
    pub fn new(region: Region<M>, index: u32) -> Self {
        // This program wrote the header. If it is damaged, `attach` refuses cells that do not fit.
        let stride = region.metadata32(h::LANE_STRIDE);
        let base = region.metadata32(h::LANES_OFFSET).wrapping_add(index.wrapping_mul(stride));
        Self { region, index, base, not_send: PhantomData }
    }

    /// The number of the lane, from 0.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// Orders the updates of handles that are attached from now on after reuses of room: see
    /// [`Writer::reuse`](super::Writer::reuse), after which the caller must have synchronised with
    /// the writer, for example by a lock.
    pub fn follow_reuse(&self) {
        protocol::follow_reuse(&self.region.word(h::REUSES));
    }

    /// The memory of the image.
    #[must_use]
    pub const fn region(&self) -> &Region<M> {
        &self.region
    }

    /// Removes the value of a field of any kind: readers see that it is absent. A field that always has
    /// a value keeps it.
    ///
    /// # Errors
    ///
    /// If the image has no such field.
    pub fn clear(&self, field: FieldId) -> Result<(), AttachError> {
        if let Some(presence) = self.presence(&self.field_any(field)?, field)? {
            presence.clear();
        }
        Ok(())
    }

    /// Adds to the number of samples of this lane that were not recorded, which saturates at the
    /// largest number of a word.
    pub fn refuse_samples(&self, n: u64) {
        let word = self.offset_of(lane::SAMPLES_REFUSED);
        if let Some(word) = word.and_then(|at| AtomWord::new(&self.region, at)) {
            word.add_saturating(n);
        }
    }

    /// The descriptor of `field`, if it has this type and kind.
    #[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
    pub(crate) fn field(
        &self,
        field: FieldId,
        ty: DataType,
        kind: Option<Kind>,
    ) -> Result<RawDescriptor, AttachError> {
        let index = field.index();
        let raw = self.field_any(field)?;
        if raw.properties.ty_code() != ty.code()
            || kind.is_some_and(|kind| !raw.properties.is_kind(kind))
        {
            return Err(AttachError::OtherType {
                index,
                found: raw.properties.ty_code(),
                wanted: ty,
            });
        }
        Ok(raw)
    }

    /// The properties of a field, for handles of a shape that is known at run time.
    ///
    /// # Errors
    ///
    /// If the image has no such field.
    pub fn properties(&self, field: FieldId) -> Result<Properties, AttachError> {
        self.field_any(field).map(|raw| raw.properties)
    }

    /// The descriptor of `field`, of any type.
    #[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
    pub(crate) fn field_any(&self, field: FieldId) -> Result<RawDescriptor, AttachError> {
        let (index, count) = (field.index(), self.region.metadata32(h::FIELD_COUNT));
        if index >= count {
            return Err(AttachError::NoSuchField { index, count });
        }
        Ok(self.descriptor(field))
    }

    /// Number of items in the detail of a field: of a state, the number of its states.
    pub(crate) fn details(&self, raw: &RawDescriptor) -> u32 {
        // The string is a length in 2 bytes, then the items with zero bytes between them.
        let [a, b, _, _] = self.region.load32(raw.detail).to_le_bytes();
        let len = u32::from(u16::from_le_bytes([a, b]));
        let byte = |i: u32| {
            let at = raw.detail.wrapping_add(2 + i);
            self.region.load32(at & !3) >> (8 * (at & 3)) & 0xFF
        };
        let separators: u32 = (0..len).map(|i| u32::from(byte(i) == 0)).sum();
        if len == 0 { 0 } else { separators + 1 }
    }

    /// The descriptor of an existing field.
    #[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
    pub(crate) fn descriptor(&self, field: FieldId) -> RawDescriptor {
        let offset = field.index().wrapping_mul(d::SIZE);
        let at = self.region.metadata32(h::DESCRIPTOR_OFFSET).wrapping_add(offset);
        RawDescriptor::from_words(
            #[inline(always)]
            |word| self.region.metadata32(at.wrapping_add(word)),
        )
    }

    /// The offset of the field's cell of `size` bytes, if it lies in this lane.
    #[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
    fn cell(&self, raw: &RawDescriptor, size: u32) -> Result<u32, AttachError> {
        let place = AttachError::Place { place: raw.place };
        let end = raw.place.checked_add(size).ok_or(place)?;
        if end > self.region.metadata32(h::LANE_STRIDE)
            || raw.place < self.region.metadata32(h::CELLS_OFFSET)
        {
            return Err(place);
        }
        self.base.checked_add(raw.place).ok_or(place)
    }

    /// The offset of `place` in this lane.
    pub(crate) fn offset_of(&self, place: u32) -> Option<u32> {
        self.base.checked_add(place)
    }

    /// The offset of the cell of an atomic field.
    #[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
    pub(crate) fn atomic(&self, raw: &RawDescriptor) -> Result<u32, AttachError> {
        if raw.storage != Storage::Atomic.code() {
            return Err(AttachError::OtherStorage { found: raw.storage, wanted: Storage::Atomic });
        }
        self.cell(raw, ATOMIC_CELL)
    }

    /// The cell of a latched field.
    #[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
    pub(crate) fn latch(&self, raw: &RawDescriptor) -> Result<Latch<M>, AttachError> {
        if raw.storage != Storage::Latched.code() {
            return Err(AttachError::OtherStorage { found: raw.storage, wanted: Storage::Latched });
        }
        let at = self.cell(raw, raw.cell_size())?;
        Latch::new(&self.region, at, raw.properties.slots(), raw.slot_size)
            .ok_or(AttachError::Place { place: raw.place })
    }

    /// The cell of a journal.
    pub(crate) fn journal(&self, raw: &RawDescriptor) -> Result<Journal<M>, AttachError> {
        if raw.storage != Storage::Journal.code() {
            return Err(AttachError::OtherStorage { found: raw.storage, wanted: Storage::Journal });
        }
        let at = self.cell(raw, raw.cell_size())?;
        Journal::new(
            &self.region,
            at,
            raw.properties.slots(),
            raw.slot_size,
            raw.properties.count(),
        )
        .ok_or(AttachError::Place { place: raw.place })
    }

    /// The cell of a table.
    #[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
    pub(crate) fn table(&self, raw: &RawDescriptor) -> Result<Table<M>, AttachError> {
        if raw.storage != Storage::Table.code() {
            return Err(AttachError::OtherStorage { found: raw.storage, wanted: Storage::Table });
        }
        let at = self.cell(raw, raw.cell_size())?;
        let (rows, slots) = (raw.properties.param(), raw.properties.slots());
        Table::new(&self.region, at, rows, slots, raw.slot_size)
            .ok_or(AttachError::Place { place: raw.place })
    }

    /// The presence bit of `field`; `None` if it always has a value.
    #[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
    pub(crate) fn presence(
        &self,
        raw: &RawDescriptor,
        field: FieldId,
    ) -> Result<Option<Presence<M>>, AttachError> {
        let Some((at, mask)) = self.presence_place(raw, field)? else { return Ok(None) };
        let word = Atom32::new(&self.region, at).ok_or(AttachError::Place { place: raw.place })?;
        Ok(Some(Presence { word, mask }))
    }

    /// The offset of the word with the presence bit of `field`, and the bit.
    #[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
    pub(crate) fn presence_place(
        &self,
        raw: &RawDescriptor,
        field: FieldId,
    ) -> Result<Option<(u32, u32)>, AttachError> {
        if !raw.properties.is_optional() {
            return Ok(None);
        }
        let index = field.index();
        let at = self.base.checked_add(lane::PRESENCE + index / 32 * 4);
        let at = at.ok_or(AttachError::Place { place: raw.place })?;
        Ok(Some((at, 1 << (index % 32))))
    }
}

/// The presence bit of a field in this lane.
#[derive(Debug, Clone)]
pub struct Presence<M> {
    word: Atom32<M>,
    mask: u32,
}

impl<M> Presence<M> {
    /// Marks the value, stored before, as present.
    #[inline(always)]
    pub(crate) fn set(&self) {
        protocol::set_presence(&self.word, self.mask);
    }

    /// Marks the value as absent.
    #[inline]
    pub(crate) fn clear(&self) {
        protocol::clear_presence(&self.word, self.mask);
    }

    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        protocol::has_presence(&self.word, self.mask)
    }

    /// The address of the word, and the bit in it.
    #[cfg(feature = "raw")] // See `Atom32::place`.
    pub(crate) const fn place(&self) -> (core::ptr::NonNull<u32>, u32) {
        (self.word.place(), self.mask)
    }
}

/// Reason why a handle does not fit a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttachError {
    /// The image has no such field.
    NoSuchField {
        /// Number of the field.
        index: u32,
        /// Number of fields.
        count: u32,
    },
    /// The field has another type or kind.
    OtherType {
        /// Number of the field.
        index: u32,
        /// Code of its type.
        found: u8,
        /// Type of the handle.
        wanted: DataType,
    },
    /// The value, or an element, of the field is no scalar.
    NotScalar {
        /// Number of the field.
        index: u32,
        /// Code of its type.
        found: u8,
    },
    /// The field has another number of elements, or capacity.
    OtherCount {
        /// Number or capacity of the field.
        found: u32,
        /// Number or capacity of the handle.
        wanted: u32,
    },
    /// The field has another storage class, for example constant.
    OtherStorage {
        /// Code of its storage class.
        found: u8,
        /// Storage that the handle needs.
        wanted: Storage,
    },
    /// The field's cell is not inside the lane.
    Place {
        /// Offset of the cell in its lane.
        place: u32,
    },
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchField { index, count } => {
                write!(f, "there is no field {index}: the image has {count}")
            }
            Self::OtherType { index, found, wanted } => {
                let name = DataType::from_code(*found).map_or("unknown", DataType::name);
                write!(
                    f,
                    "field {index} has type {name}, or another kind than this handle for {wanted}"
                )
            }
            Self::NotScalar { index, found } => {
                let name = DataType::from_code(*found).map_or("unknown", DataType::name);
                write!(f, "field {index} has type {name}, which is no scalar")
            }
            Self::OtherCount { found, wanted } => {
                write!(f, "the field has {found} elements or bytes, the handle {wanted}")
            }
            Self::OtherStorage { found, wanted } => {
                let name = Storage::from_code(*found).map_or("unknown", Storage::name);
                write!(f, "the field is stored as {name}, the handle needs {wanted}")
            }
            Self::Place { place } => write!(f, "the cell at {place} is not inside its lane"),
        }
    }
}

impl core::error::Error for AttachError {}
