//! Words that announce others: presence bits, the image's state, counts, lanes. PROTOCOL.md
//! sections 4 to 7.

use super::Site;
use crate::layout::{field_state, lane_state};

/// A word of 4 bytes as its one writer sees it.
pub trait WriteWord {
    /// Relaxed load: the writer's own last store.
    fn load(&self) -> u32;

    /// Relaxed store.
    fn store(&self, value: u32);

    /// Release store.
    fn publish(&self, value: u32, site: Site);
}

/// A presence word whose bits several threads set: that of a lane that is no thread's.
pub trait SharedWord {
    /// Relaxed load.
    fn load(&self) -> u32;

    /// Sets a bit and leaves the others: the one read-modify-write, Release.
    fn set(&self, bit: u32, site: Site);
}

/// A word of 4 bytes as a reader sees it. Read-only memory is enough.
pub trait ReadWord {
    /// Relaxed load.
    fn load(&self) -> u32;

    /// fence(Acquire).
    fn fence(&self, site: Site);
}

/// Loads a word: what is loaded after is at least as new.
#[inline(always)]
fn load<W: ReadWord>(word: &W, site: Site) -> u32 {
    let value = word.load();
    word.fence(site);
    value
}

/// Says that a field has a value, which was stored before. `bit` is its bit in `word`.
#[inline(always)]
pub fn set_presence<W: WriteWord>(word: &W, bit: u32) {
    let bits = word.load();
    if bits & bit == 0 {
        word.publish(bits | bit, Site::WriterPresence);
    }
}

/// As [`set_presence`], where other threads may set other bits at the same time.
#[inline(always)]
pub fn set_shared_presence<W: SharedWord>(word: &W, bit: u32) {
    if word.load() & bit == 0 {
        word.set(bit, Site::WriterPresence);
    }
}

/// Says that a field has no value any more.
#[inline(always)]
pub fn clear_presence<W: WriteWord>(word: &W, bit: u32) {
    word.publish(word.load() & !bit, Site::WriterAbsence);
}

/// Whether the writer of the word has said that a field has a value.
#[inline(always)]
pub fn has_presence<W: WriteWord>(word: &W, bit: u32) -> bool {
    word.load() & bit != 0
}

/// The presence bits of 32 fields. The values of those that have one are visible after.
#[inline(always)]
pub fn load_presence<W: ReadWord>(word: &W) -> u32 {
    load(word, Site::ReaderPresence)
}

/// Says that an image is live, after its first fields, or closed, after the last update.
#[inline]
pub fn set_state<W: WriteWord>(word: &W, state: u32) {
    word.publish(state, Site::WriterState);
}

/// The state of an image. What was done before it became so is visible after.
#[inline]
pub fn load_state<W: ReadWord>(word: &W) -> u32 {
    load(word, Site::ReaderState)
}

/// Counts fields whose descriptors, strings and constants were stored before.
#[inline]
pub fn publish_count<W: WriteWord>(heap_used: &W, heap: u32, field_count: &W, count: u32) {
    // Before the count, which announces it too.
    heap_used.store(heap);
    field_count.publish(count, Site::WriterCount);
}

/// The number of fields. All that belongs to them is visible after.
#[inline]
pub fn load_count<W: ReadWord>(field_count: &W) -> u32 {
    load(field_count, Site::ReaderCount)
}

/// Retires a field. What takes its place was added before.
#[inline]
pub fn retire<W: WriteWord>(descriptor_state: &W) {
    descriptor_state.publish(field_state::RETIRED, Site::WriterRetire);
}

/// Whether a field is retired. If so, a count that is loaded after has what takes its place.
#[inline]
pub fn retired<W: ReadWord>(descriptor_state: &W) -> bool {
    let retired = descriptor_state.load() != field_state::LIVE;
    if retired {
        descriptor_state.fence(Site::ReaderRetired);
    }
    retired
}

/// Claims a lane. `used` is lanes_used and its new value, if the lane is a new one.
#[inline]
pub fn claim_lane<W: WriteWord>(owners: &W, state: &W, used: Option<(&W, u32)>) {
    owners.store(owners.load().wrapping_add(1));
    state.publish(lane_state::OWNED, Site::WriterLane);
    if let Some((lanes_used, count)) = used {
        lanes_used.publish(count, Site::WriterLanes);
    }
}

/// Hands a lane back: takes all optional values away. `presence` are the lane's words.
#[inline]
pub fn hand_back_lane<W: WriteWord>(presence: impl Iterator<Item = W>, state: &W) {
    // Which bits belong to optional fields need not be looked up: no other field has its
    // bit set. Relaxed, because the words announce nothing any more.
    presence.for_each(|word| word.store(0));
    state.publish(lane_state::FREE, Site::WriterLane);
}

/// How many lanes were ever claimed. They are no longer unused after.
#[inline]
pub fn load_lanes_used<W: ReadWord>(lanes_used: &W) -> u32 {
    load(lanes_used, Site::ReaderLanes)
}

/// The state of a lane. What was done before it became so is visible after.
#[inline]
pub fn load_lane_state<W: ReadWord>(state: &W) -> u32 {
    load(state, Site::ReaderLane)
}
