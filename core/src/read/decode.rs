//! Values of fields from the bytes of slots and constants: FORMAT.md section 6.

use core::str;

use super::error::ValueError;
use super::field::Field;
use super::scalar::{ArrayView, Scalar, scalar};
use super::value::{Reading, Value};
use super::verdict::Verdict;
use crate::layout::{CUT, TEXT_HEAD};
use crate::types::{DataType, Storage};

const PREFIX: usize = TEXT_HEAD as usize;

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
        return decode_text(field, ty, bytes, at);
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

fn decode_text<'a>(field: &Field, ty: DataType, bytes: &'a [u8], at: u32) -> Reading<'a> {
    let Some(([a, b, c, d, e, f, g, h], rest)) = bytes.split_first_chunk::<PREFIX>() else {
        return Verdict::NoRoom;
    };
    let found = u32::from_le_bytes([*a, *b, *c, *d]);
    let cut = u32::from_le_bytes([*e, *f, *g, *h]) & CUT != 0;
    if found > field.count() {
        let limit = field.count();
        return Verdict::Damaged(ValueError::Length { offset: at, found, limit });
    }
    let Some(bytes) = rest.get(..found as usize) else { return Verdict::NoRoom };
    if ty == DataType::Bytes {
        return Verdict::Consistent(Value::Bytes { bytes, cut });
    }
    match str::from_utf8(bytes) {
        Ok(text) => Verdict::Consistent(Value::Text { text, cut }),
        Err(error) => {
            let good = u32::try_from(error.valid_up_to() + PREFIX).unwrap_or(u32::MAX);
            Verdict::Damaged(ValueError::Utf8 { offset: at.saturating_add(good) })
        }
    }
}

/// Whether `found` is no state of a state set.
#[inline]
pub(super) const fn no_state(field: &Field, found: u64) -> bool {
    field.states() != 0 && found >= field.states() as u64
}
