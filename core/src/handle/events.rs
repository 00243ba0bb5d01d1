//! Events: the last lines of text with their times.

use core::fmt::{self, Write};

use super::scalar::set64;
use super::text::{fill, floor};
use crate::protocol::{WriteCell, publish};
use crate::region::{Latch, Memory};
use crate::types::{DataType, Kind};
use crate::write::{AttachError, FieldId, Lane};

/// A ring of the last lines, of at most `N` bytes each. Readers get a whole line or none.
#[derive(Debug, Clone)]
pub struct Events<const N: usize, M> {
    latch: Latch<M>,
}

impl<const N: usize, M: Memory + Clone> Events<N, M> {
    /// Attaches to the events `field` in `lane`.
    ///
    /// # Errors
    ///
    /// If the field is not a ring of lines of capacity `N`.
    #[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
    pub fn attach(lane: &Lane<M>, field: FieldId) -> Result<Self, AttachError> {
        let (latch, capacity) = attach(lane, field)?;
        if capacity as usize != N {
            let wanted = u32::try_from(N).unwrap_or(u32::MAX);
            return Err(AttachError::OtherCount { found: capacity, wanted });
        }
        Ok(Self { latch })
    }
}

/// The ring of lines, and the capacity of each.
#[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
fn attach<M: Memory + Clone>(
    lane: &Lane<M>,
    field: FieldId,
) -> Result<(Latch<M>, u32), AttachError> {
    let raw = lane.field(field, DataType::Text, Some(Kind::Events))?;
    let capacity = raw.properties.count();
    let size = (capacity as usize).next_multiple_of(8) + 16;
    if raw.member != 8 || size > raw.slot_size as usize {
        return Err(AttachError::Place { place: raw.place });
    }
    Ok((lane.latch(&raw)?, capacity))
}

/// Adds a line of at most `capacity` bytes.
#[inline(always)]
fn put<M>(latch: &Latch<M>, capacity: usize, now: u64, bytes: &[u8], cut: bool) {
    if !latch.holds_units(2 + capacity.div_ceil(8)) {
        return; // Never: `attach` checked it.
    }
    publish(
        latch,
        #[inline(always)]
        |slot| {
            set64(slot, 0, now);
            fill(slot, 1, bytes, cut);
        },
    );
}

impl<const N: usize, M> Events<N, M> {
    /// Adds a line at the time `now`, in nanoseconds since 1970-01-01 UTC. A line of more than `N`
    /// bytes is cut at the last character boundary that fits; then the result is `false` and
    /// readers see that it was cut.
    #[inline]
    pub fn record(&self, now: u64, text: &str) -> bool {
        let whole = text.len() <= N;
        let bytes = if whole { text.as_bytes() } else { floor(text, N) };
        put(&self.latch, N, now, bytes, !whole);
        whole
    }

    /// [`Events::record`] with formatted text, without allocation.
    pub fn record_fmt(&self, now: u64, text: fmt::Arguments<'_>) -> bool {
        let line = Line::<N>::format(text);
        let (bytes, cut) = line.text();
        put(&self.latch, N, now, bytes, cut);
        !cut
    }

    /// Number of lines added in this lane, modulo 2^32.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.latch.seq()
    }
}

/// A ring of the last lines, whose capacity is known at run time: see [`Events`].
#[derive(Debug, Clone)]
pub struct DynEvents<M> {
    latch: Latch<M>,
    capacity: usize,
}

impl<M: Memory + Clone> DynEvents<M> {
    /// Attaches to the events `field` in `lane`.
    ///
    /// # Errors
    ///
    /// If the field is not a ring of lines.
    pub fn attach(lane: &Lane<M>, field: FieldId) -> Result<Self, AttachError> {
        let (latch, capacity) = attach(lane, field)?;
        Ok(Self { latch, capacity: capacity as usize })
    }
}

impl<M> DynEvents<M> {
    /// Maximum length of a line, in bytes.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Adds a line at the time `now`, in nanoseconds since 1970-01-01 UTC. A longer line than
    /// [`DynEvents::capacity`] is cut at the last character boundary that fits; then the result is
    /// `false` and readers see that it was cut.
    pub fn record(&self, now: u64, text: &str) -> bool {
        let bytes = floor(text, self.capacity);
        let whole = bytes.len() == text.len();
        put(&self.latch, self.capacity, now, bytes, !whole);
        whole
    }
}

/// A buffer that keeps the first `N` bytes of text.
pub(super) struct Line<const N: usize> {
    bytes: [u8; N],
    len: usize,
    /// Whether the text was longer.
    cut: bool,
}

impl<const N: usize> Line<N> {
    /// Formats text. An error leaves the text written before it.
    pub(super) fn format(text: fmt::Arguments<'_>) -> Self {
        let mut line = Self { bytes: [0; N], len: 0, cut: false };
        let _ = line.write_fmt(text);
        line
    }

    /// The bytes, and whether the text was longer.
    pub(super) fn text(&self) -> (&[u8], bool) {
        (self.bytes.get(..self.len).unwrap_or(&[]), self.cut)
    }
}

impl<const N: usize> Write for Line<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.cut {
            return Ok(());
        }
        let left = self.bytes.get_mut(self.len..).unwrap_or(&mut []);
        let part = floor(text, left.len());
        left.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
        self.len += part.len();
        self.cut = part.len() < text.len();
        Ok(())
    }
}
