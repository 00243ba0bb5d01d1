//! Values of fields from the bytes of slots and constants: FORMAT.md section 6.

use super::error::ValueError;
use super::field::Field;
use super::scalar::{ArrayView, Scalar, scalar};
use super::text;
use super::value::{Reading, Value};
use super::verdict::Verdict;
use crate::types::{DataType, Storage};

/// Decodes a field's value from the bytes of a whole slot of its cell.
///
/// All members of a group can be decoded from one consistent slot. Offsets in errors count from the
/// start of `slot`; see [`Slot::value`](super::Slot::value).
#[must_use]
pub fn decode<'a>(field: &Field, slot: &'a [u8]) -> Reading<'a> {
    decode_slot(field, slot, 0)
}

/// [`decode`] for a slot that starts at offset `at` of the image.
pub(super) fn decode_slot<'a>(field: &Field, slot: &'a [u8], at: u32) -> Reading<'a> {
    if field.storage() != Some(Storage::Latched) {
        return Verdict::Unknown;
    }
    match slot.get(field.member() as usize..) {
        Some(bytes) => decode_value(field, bytes, at.saturating_add(field.member())),
        None => Verdict::NoRoom,
    }
}

/// Decodes a field's value from bytes that start with it, at offset `at` of the image.
pub(super) fn decode_value<'a>(field: &Field, bytes: &'a [u8], at: u32) -> Reading<'a> {
    let Some(ty) = field.ty() else { return Verdict::Unknown };
    if !ty.is_scalar() {
        return decode_text(field.count(), ty, bytes, at);
    }
    let Some(bytes) = bytes.get(..field.value_size() as usize) else { return Verdict::NoRoom };
    if ty == DataType::Bool
        && let Some((i, found)) = bytes.iter().enumerate().find(|(_, byte)| **byte > 1)
    {
        let offset = at.saturating_add(u32::try_from(i).unwrap_or(u32::MAX));
        return Verdict::Damaged(ValueError::Range { offset, found: u32::from(*found), ty });
    }
    if field.properties().is_array() {
        return Verdict::Consistent(Value::Array(ArrayView::new(ty, bytes)));
    }
    match scalar(ty, bytes) {
        Some(Scalar::U64(found)) if no_state(field, found) => {
            let found = u32::try_from(found).unwrap_or(u32::MAX);
            Verdict::Damaged(ValueError::Range { offset: at, found, ty })
        }
        Some(scalar) => Verdict::Consistent(scalar.into()),
        None => Verdict::NoRoom,
    }
}

/// Decodes text or bytes of this capacity.
fn decode_text(capacity: u32, ty: DataType, bytes: &[u8], at: u32) -> Reading<'_> {
    text::decode_bytes(capacity, bytes, at).and_then(|(bytes, cut)| {
        if ty == DataType::Bytes {
            return Verdict::Consistent(Value::Bytes { bytes, cut });
        }
        text::decode_utf8(bytes, at).map(|text| Value::Text { text, cut })
    })
}

/// Whether `found` is no state of a state set.
#[inline]
pub(super) const fn no_state(field: &Field, found: u64) -> bool {
    field.states() != 0 && found >= field.states() as u64
}
