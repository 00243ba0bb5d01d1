//! Heap of the writer: FORMAT.md section 5.

use heapless::Vec;

use super::spec::{Constant, FieldSpec};
use crate::layout::{round_up, string_size};
use crate::region::{Region, Source};

/// End of the used part of the heap. The writer checks the room before each call.
#[derive(Debug, Clone)]
pub(super) struct HeapWriter {
    next: u32,
    /// Offsets of recent units and helps, which are likely to repeat; the oldest first.
    recent: Vec<u32, RECENT>,
}

/// Maximum number of recent units and helps.
const RECENT: usize = 16;

/// Recent units and helps, which a [`Writer`](super::Writer) does not store again: see
/// [`Geometry::share`](super::Geometry::share).
#[derive(Debug, Clone, Default)]
pub struct RecentTexts<'a> {
    /// The oldest first.
    texts: Vec<&'a str, RECENT>,
    /// Number of texts added in all.
    count: usize,
}

impl<'a> RecentTexts<'a> {
    /// Without recent texts.
    #[must_use]
    pub const fn new() -> Self {
        Self { texts: Vec::new(), count: 0 }
    }

    /// Whether `text` needs no storage, because it is empty or recent. Else it is added to the recent ones.
    pub(super) fn reuse_or_insert(&mut self, text: &'a str) -> bool {
        let known = text.is_empty() || self.texts.contains(&text);
        if !known {
            push(&mut self.texts, text);
            self.count += 1;
        }
        known
    }
}

/// Appends an item; removes the oldest if there is no room.
fn push<T>(recent: &mut Vec<T, RECENT>, newest: T) {
    if recent.is_full() {
        recent.remove(0);
    }
    // Never fails: there is room.
    let _ = recent.push(newest);
}

impl HeapWriter {
    pub(super) const fn new(start: u32) -> Self {
        Self { next: start, recent: Vec::new() }
    }

    /// End of the used part.
    pub(super) const fn end(&self) -> u32 {
        self.next
    }

    /// Moves the end.
    pub(super) const fn skip_to(&mut self, end: u32) {
        self.next = end;
    }

    /// Appends a heap string; 0 for an empty one.
    pub(super) fn string<M>(&mut self, region: &Region<M>, text: &str) -> u32 {
        self.items(region, text.len(), [[text]].into_iter())
    }

    /// Appends a heap string of `len` bytes: items with zero bytes between them. Each item is given
    /// in parts. 0 if `len` is 0.
    fn items<'t, M, const PARTS: usize>(
        &mut self,
        region: &Region<M>,
        len: usize,
        items: impl Iterator<Item = [&'t str; PARTS]>,
    ) -> u32 {
        if len == 0 {
            return 0;
        }
        let mut bytes = HeapBytes::new(self.next);
        bytes.put(region, &u16::try_from(len).unwrap_or(u16::MAX).to_le_bytes());
        for (i, parts) in items.enumerate() {
            if i > 0 {
                bytes.put(region, b"\0");
            }
            parts.iter().for_each(|part| bytes.put(region, part.as_bytes()));
        }
        core::mem::replace(&mut self.next, bytes.finish(region))
    }

    /// `string` that returns a recent equal one.
    pub(super) fn interned<M>(&mut self, region: &Region<M>, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        self.recent.iter().copied().find(|&at| holds(region, at, text)).unwrap_or_else(|| {
            let at = self.string(region, text);
            push(&mut self.recent, at);
            at
        })
    }

    /// Maximum number of bytes that fields take. Recent units and helps take none.
    pub(super) fn need<M>(&self, region: &Region<M>, specs: &[FieldSpec<'_>]) -> u32 {
        let mut new = RecentTexts::new();
        let mut need = 0_u32;
        for spec in specs {
            need = need.saturating_add(spec.heap_bytes());
            for text in [spec.unit, spec.help] {
                // New ones replace the oldest.
                let gone = (self.recent.len() + new.count).saturating_sub(RECENT);
                let mut left = self.recent.iter().skip(gone);
                let known = left.any(|&at| holds(region, at, text));
                if known || new.reuse_or_insert(text) {
                    let bytes = string_size(text.len());
                    need = need.saturating_sub(u32::try_from(bytes).unwrap_or(0));
                }
            }
        }
        need
    }

    /// Appends the attributes.
    pub(super) fn attributes<M>(&mut self, region: &Region<M>, spec: &FieldSpec<'_>) -> u32 {
        let items = spec.attributes.iter().map(|(key, value)| [*key, "=", *value]);
        self.items(region, spec.attributes_len(), items)
    }

    /// Appends the detail.
    pub(super) fn detail<M>(&mut self, region: &Region<M>, spec: &FieldSpec<'_>) -> u32 {
        self.items(region, spec.details_len(), spec.details.iter().map(|item| [*item]))
    }

    /// Appends a constant. Returns its offset and its size with padding.
    pub(super) fn constant<M>(&mut self, region: &Region<M>, value: &Constant<'_>) -> (u32, u32) {
        // `room` counted these bytes.
        let place = round_up(self.next, 8).unwrap_or(self.next);
        let end = match value.scalar_bytes() {
            Some(bytes) => {
                region.write(place, &bytes);
                place + 8
            }
            None => {
                let tail = value.tail();
                let len = u32::try_from(tail.len()).unwrap_or(u32::MAX);
                region.store32(place, len);
                region.store32(place + 4, 0);
                region.write(place + 8, tail);
                round_up(place + 8 + len, 8).unwrap_or(place + 8)
            }
        };
        self.next = end;
        (place, end - place)
    }
}

/// Whether the string at `at` is `text`.
fn holds<M>(region: &Region<M>, at: u32, text: &str) -> bool {
    let mut stored = (0..).map(|i: u32| heap_byte(region, at + i));
    let len = u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes();
    len.iter().chain(text.as_bytes()).all(|byte| stored.next() == Some(*byte))
}

/// One byte of the heap.
fn heap_byte<M>(region: &Region<M>, offset: u32) -> u8 {
    region.load32(offset & !3).to_le_bytes()[(offset % 4) as usize]
}

/// Bytes appended to the heap in whole words.
struct HeapBytes {
    at: u32,
    word: [u8; 4],
    filled: usize,
}

impl HeapBytes {
    const fn new(at: u32) -> Self {
        Self { at, word: [0; 4], filled: 0 }
    }

    fn put<M>(&mut self, region: &Region<M>, bytes: &[u8]) {
        for &byte in bytes {
            self.word[self.filled] = byte;
            self.filled += 1;
            if self.filled == 4 {
                region.store32(self.at, u32::from_le_bytes(self.word));
                *self = Self::new(self.at + 4);
            }
        }
    }

    /// Stores the last word. Returns the end.
    fn finish<M>(self, region: &Region<M>) -> u32 {
        if self.filled == 0 {
            return self.at;
        }
        region.store32(self.at, u32::from_le_bytes(self.word));
        self.at + 4
    }
}
