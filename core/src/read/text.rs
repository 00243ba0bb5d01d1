//! Text and bytes with their length: FORMAT.md section 6.

use core::str;

use super::error::ValueError;
use super::verdict::Verdict;
use crate::layout::{CUT, TEXT_HEAD};

const PREFIX: usize = TEXT_HEAD as usize;

/// The bytes of a text or bytes value at offset `at` of the image, and whether they were cut to fit.
pub(super) fn decode_bytes(capacity: u32, bytes: &[u8], at: u32) -> Verdict<(&[u8], bool)> {
    let Some(([a, b, c, d, e, f, g, h], rest)) = bytes.split_first_chunk::<PREFIX>() else {
        return Verdict::NoRoom;
    };
    let found = u32::from_le_bytes([*a, *b, *c, *d]);
    let cut = u32::from_le_bytes([*e, *f, *g, *h]) & CUT != 0;
    if found > capacity {
        return Verdict::Damaged(ValueError::Length { offset: at, found, limit: capacity });
    }
    match rest.get(..found as usize) {
        Some(bytes) => Verdict::Consistent((bytes, cut)),
        None => Verdict::NoRoom,
    }
}

/// The text of a value at offset `at` of the image.
pub(super) fn decode_utf8(bytes: &[u8], at: u32) -> Verdict<&str> {
    match str::from_utf8(bytes) {
        Ok(text) => Verdict::Consistent(text),
        Err(error) => {
            let good = u32::try_from(error.valid_up_to() + PREFIX).unwrap_or(u32::MAX);
            Verdict::Damaged(ValueError::Utf8 { offset: at.saturating_add(good) })
        }
    }
}
