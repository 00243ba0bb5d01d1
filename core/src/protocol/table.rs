//! Tables: PROTOCOL.md section 11.

use super::Site;
use super::image::{ReadWord, SharedWord, WriteWord, load};

/// A word of bits that several threads of the writer take and give back.
pub trait ClaimWord: SharedWord {
    /// Replaces `old` by `new`: a compare-and-swap, Acquire. `false` if the word was another one, or
    /// for no reason.
    fn exchange(&self, old: u32, new: u32, site: Site) -> bool;

    /// Clears a bit and keeps the others: a read-modify-write, Release.
    fn give_back(&self, bit: u32, site: Site);
}

/// The lowest of the first `rows` bits that is 0 in `bits`.
#[inline(always)]
#[must_use]
pub const fn lowest_free(bits: u32, rows: u32) -> Option<u32> {
    let row = bits.trailing_ones();
    if row < rows { Some(row) } else { None }
}

/// Shows a row whose first value was published before. `bit` is its bit in `used`.
#[inline(always)]
pub fn show_row<W: WriteWord>(used: &W, bit: u32) {
    used.publish(used.load() | bit, Site::WriterRow);
}

/// Ends the use of a row.
#[inline(always)]
pub fn hide_row<W: WriteWord>(used: &W, bit: u32) {
    used.publish(used.load() & !bit, Site::WriterRowEnd);
}

/// Claims one of the first `rows` rows of a word, against other threads that do the same. Returns its
/// number in the word; `None` if all are claimed.
///
/// Lock-free: an attempt fails only if another thread claimed a row or gave one back, or for no reason.
#[inline]
pub fn claim_row<W: ClaimWord>(claimed: &W, rows: u32) -> Option<u32> {
    loop {
        let bits = claimed.load();
        let row = lowest_free(bits, rows)?;
        if claimed.exchange(bits, bits | 1 << row, Site::WriterClaim) {
            return Some(row);
        }
    }
}

/// [`show_row`] of a row that was claimed.
#[inline]
pub fn show_claimed_row<W: SharedWord>(used: &W, bit: u32) {
    used.set(bit, Site::WriterRow);
}

/// Ends the use of a row that was claimed, and gives it back.
#[inline]
pub fn give_back_row<W: ClaimWord>(used: &W, claimed: &W, bit: u32) {
    // Relaxed: a read-modify-write continues the release sequences of the bits that stay.
    used.clear(bit);
    claimed.give_back(bit, Site::WriterGiveBack);
}

/// A word with the rows in use. Later loads see their values.
#[inline]
pub fn load_rows<W: ReadWord>(used: &W) -> u32 {
    load(used, Site::ReaderRow)
}
