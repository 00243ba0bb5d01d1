//! Presence bits, the state of the image, counts and lanes: PROTOCOL.md sections 4 to 7.

use super::Site;
use crate::layout::{field_state, lane_state};

/// A word of 4 bytes with one writer, from the writer's side.
pub trait WriteWord {
    /// Relaxed load: the writer's own last store.
    fn load(&self) -> u32;

    /// Relaxed store.
    fn store(&self, value: u32);

    /// Release store.
    fn publish(&self, value: u32, site: Site);

    /// fence(Release).
    fn fence(&self, site: Site);
}

/// A presence word whose bits several threads change: in a lane shared by all threads.
pub trait SharedWord {
    /// Relaxed load.
    fn load(&self) -> u32;

    /// Sets a bit and keeps the others: a read-modify-write, Release.
    fn set(&self, bit: u32, site: Site);

    /// Clears a bit and keeps the others: a read-modify-write, Relaxed.
    fn clear(&self, bit: u32);
}

/// A word of 4 bytes from a reader's side. Read-only memory is enough.
pub trait ReadWord {
    /// Relaxed load.
    fn load(&self) -> u32;

    /// fence(Acquire).
    fn fence(&self, site: Site);
}

/// Loads a word. Later loads return values that are at least as new.
#[inline(always)]
pub(super) fn load<W: ReadWord>(word: &W, site: Site) -> u32 {
    let value = word.load();
    word.fence(site);
    value
}

/// Marks a field as present after its value was stored. `bit` is its bit in `word`.
#[inline(always)]
pub fn set_presence<W: WriteWord>(word: &W, bit: u32) {
    let bits = word.load();
    if bits & bit == 0 {
        word.publish(bits | bit, Site::WriterPresence);
    }
}

/// [`set_presence`] for a word whose other bits other threads may set at the same time.
#[inline(always)]
pub fn set_shared_presence<W: SharedWord>(word: &W, bit: u32) {
    if word.load() & bit == 0 {
        word.set(bit, Site::WriterPresence);
    }
}

/// Marks a field as absent.
#[inline(always)]
pub fn clear_presence<W: WriteWord>(word: &W, bit: u32) {
    word.publish(word.load() & !bit, Site::WriterAbsence);
}

/// [`clear_presence`] for a word whose other bits other threads may change at the same time.
#[inline]
pub fn clear_shared_presence<W: SharedWord>(word: &W, bit: u32) {
    // Relaxed: a read-modify-write continues the release sequences of the bits that stay.
    word.clear(bit);
}

/// Whether the writer has marked a field as present.
#[inline(always)]
pub fn has_presence<W: WriteWord>(word: &W, bit: u32) -> bool {
    word.load() & bit != 0
}

/// The presence bits of 32 fields. Later loads see the values of the fields present.
#[inline(always)]
pub fn load_presence<W: ReadWord>(word: &W) -> u32 {
    load(word, Site::ReaderPresence)
}

/// Sets the state of the image: live after its first fields, closed after the last update.
#[inline]
pub fn set_state<W: WriteWord>(word: &W, state: u32) {
    word.publish(state, Site::WriterState);
}

/// The state of the image. Later loads see what was stored before it was set.
#[inline]
pub fn load_state<W: ReadWord>(word: &W) -> u32 {
    load(word, Site::ReaderState)
}

/// Sets the number of images of the instance. The last one has its name.
#[inline]
pub fn set_parts<W: WriteWord>(word: &W, parts: u32) {
    word.publish(parts, Site::WriterParts);
}

/// The number of images of the instance. Names looked up later include those of all of them.
#[inline]
pub fn load_parts<W: ReadWord>(word: &W) -> u32 {
    load(word, Site::ReaderParts)
}

/// Publishes fields whose descriptors, strings and constants were stored before.
#[inline]
pub fn publish_count<W: WriteWord>(heap_used: &W, heap: u32, field_count: &W, count: u32) {
    // Before the count, which publishes it too.
    heap_used.store(heap);
    field_count.publish(count, Site::WriterCount);
}

/// The number of fields. Later loads see all that belongs to them.
#[inline]
pub fn load_count<W: ReadWord>(field_count: &W) -> u32 {
    load(field_count, Site::ReaderCount)
}

/// Retires a field. Its replacement must have been added before.
#[inline]
pub fn retire<W: WriteWord>(descriptor_state: &W) {
    descriptor_state.publish(field_state::RETIRED, Site::WriterRetire);
}

/// Whether a field is retired. If so, a count loaded later includes its replacement.
#[inline]
pub fn retired<W: ReadWord>(descriptor_state: &W) -> bool {
    let retired = descriptor_state.load() != field_state::LIVE;
    if retired {
        descriptor_state.fence(Site::ReaderRetired);
    }
    retired
}

/// Begins to give the room of retired fields to others: what follows, up to [`end_reuse`], stores
/// their cells, strings and descriptors. No handle of them exists any more.
#[inline]
pub fn begin_reuse<W: WriteWord>(reuses: &W) {
    reuses.publish(reuses.load() | 1, Site::WriterReuse);
    reuses.fence(Site::WriterRewrite);
}

/// Ends a reuse; [`revive`] of each descriptor follows.
#[inline]
pub fn end_reuse<W: WriteWord>(reuses: &W) {
    reuses.publish(reuses.load().wrapping_add(1), Site::WriterReused);
}

/// Marks a descriptor that was written again as live.
#[inline]
pub fn revive<W: WriteWord>(descriptor_state: &W) {
    descriptor_state.publish(field_state::LIVE, Site::WriterRevive);
}

/// Orders later updates after reuses before this call. `word` is any word of the image.
#[inline]
pub fn follow_reuse<W: WriteWord>(word: &W) {
    word.fence(Site::WriterAttach);
}

/// The word that counts reuses. Later loads see at least the descriptors of that time, and no cell
/// from before them.
#[inline]
pub fn load_reuses<W: ReadWord>(reuses: &W) -> u32 {
    load(reuses, Site::ReaderReuses)
}

/// Whether room may have been given to other fields since `before` was loaded: then what was loaded
/// in between may belong to those.
#[inline]
pub fn reused_since<W: ReadWord>(reuses: &W, before: u32) -> bool {
    reuses.fence(Site::ReaderReused);
    reuses.load() != before
}

/// Claims a lane. For a new lane `used` is the word `lanes_used` and its new value.
#[inline]
pub fn claim_lane<W: WriteWord>(owners: &W, state: &W, used: Option<(&W, u32)>) {
    owners.store(owners.load().wrapping_add(1));
    state.publish(lane_state::OWNED, Site::WriterLane);
    if let Some((lanes_used, count)) = used {
        lanes_used.publish(count, Site::WriterLanes);
    }
}

/// Hands a lane back: clears its bits, in the words of presence and of the rows of its tables.
#[inline]
pub fn hand_back_lane<W: WriteWord>(bits: impl Iterator<Item = W>, state: &W) {
    // Only optional fields have a presence bit set. Relaxed, because cleared bits publish nothing.
    bits.for_each(|word| word.store(0));
    state.publish(lane_state::FREE, Site::WriterLane);
}

/// The number of lanes ever claimed. Later loads see that these were claimed.
#[inline]
pub fn load_lanes_used<W: ReadWord>(lanes_used: &W) -> u32 {
    load(lanes_used, Site::ReaderLanes)
}

/// The state of a lane. Later loads see what was stored before it was set.
#[inline]
pub fn load_lane_state<W: ReadWord>(state: &W) -> u32 {
    load(state, Site::ReaderLane)
}
