//! The state of open spans, by id: a table of fixed size that is searched without a lock.
//!
//! The table of tracing's own registry keeps the data of layers behind a lock for each span, so that
//! enter and exit would lock.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};

use mmstats::recorder_support::{Mutex, floor_char_boundary};

use crate::fields::OpenRow;
use crate::text::{BEYOND, SPAN, SpanText};

/// Number of slots where a span can be.
const PROBES: u32 = 8;
/// The id of a slot that is being filled. Spans with this id are not tracked.
const CLAIMED: u64 = u64::MAX;

/// A span, while it is open.
#[derive(Debug, Default)]
#[repr(align(128))] // Threads in different spans share no cache line.
pub(crate) struct Slot {
    /// The span's id; 0 if the slot is free.
    id: AtomicU64,
    /// Number of the text that was written last: of this span if `id` is.
    version: AtomicU64,
    /// The thread that opened the span.
    pub(crate) opener: AtomicU64,
    /// Nanoseconds in which the opener was in the span. Only the opener writes it.
    pub(crate) busy_of_opener: AtomicU64,
    /// Nanoseconds in which other threads were in the span.
    pub(crate) busy_of_others: AtomicU64,
    /// When the span was opened, by the layer's clock.
    pub(crate) created: AtomicU64,
    /// When it was entered last.
    pub(crate) entered: AtomicU64,
    /// Which enter that was. Two threads at once in the span see each other by it.
    pub(crate) last: AtomicU64,
    /// Which enter was exited last. If it is `last`, no thread is in the span, as far as is known.
    pub(crate) left: AtomicU64,
    /// Whether several threads were in the span at once.
    pub(crate) overlapped: AtomicBool,
    /// Number of exits by threads that had not entered. See `Thread::drop_strays`.
    pub(crate) strays: AtomicU32,
    /// When the last of these was, by the layer's clock.
    pub(crate) strayed: AtomicU64,
    texts: [Text; 2],
    /// State that only opening, recording and closing use.
    pub(crate) open: Mutex<Open>,
}

const WORDS: usize = (SPAN + BEYOND).div_ceil(8);

#[derive(Debug, Default)]
struct Text {
    /// Length of the text, and from bit 32 on that of the name.
    lengths: AtomicU64,
    words: [AtomicU64; WORDS],
}

/// The part of a span's state that is behind a lock.
#[derive(Debug, Default)]
pub(crate) struct Open {
    pub(crate) name: &'static str,
    pub(crate) text: SpanText,
    pub(crate) row: Option<OpenRow>,
}

impl Slot {
    /// Whether it is of the span with this id.
    #[inline]
    pub(crate) fn is(&self, id: u64) -> bool {
        self.id.load(Ordering::Relaxed) == id
    }

    /// Adds time that thread `thread` was in the span: without a read-modify-write if it opened it, as
    /// most do.
    #[inline]
    pub(crate) fn add_busy(&self, thread: u64, nanos: u64) {
        if self.opener.load(Ordering::Relaxed) == thread {
            let busy = self.busy_of_opener.load(Ordering::Relaxed);
            self.busy_of_opener.store(busy.wrapping_add(nanos), Ordering::Relaxed);
        } else {
            self.busy_of_others.fetch_add(nanos, Ordering::Relaxed);
        }
    }

    /// Nanoseconds in which threads were in the span.
    pub(crate) fn busy(&self) -> u64 {
        let others = self.busy_of_others.load(Ordering::Relaxed);
        self.busy_of_opener.load(Ordering::Relaxed).wrapping_add(others)
    }

    /// Number of the current text.
    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Relaxed)
    }

    /// Replaces the text. One thread at a time: the caller has [`Slot::open`] locked.
    ///
    /// Order of accesses as for latched cells with two slots: PROTOCOL.md section 2.
    pub(crate) fn write(&self, text: &SpanText) {
        let shown = text.as_str();
        let shown = &shown[..floor_char_boundary(shown, SPAN + BEYOND)];
        let number = self.version.load(Ordering::Relaxed).wrapping_add(1);
        // Must be Release, because a reader that sees a store that follows must also see the number of
        // the text before. Partner: the second fence of `read`.
        fence(Ordering::Release);
        let place = &self.texts[(number % 2) as usize];
        let lengths = shown.len() as u64 | (text.name().min(shown.len()) as u64) << 32;
        place.lengths.store(lengths, Ordering::Relaxed);
        for (word, bytes) in place.words.iter().zip(shown.as_bytes().chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_ne_bytes(whole), Ordering::Relaxed);
        }
        // Must be Release, because a reader that sees this number must see the text. Partner: the first
        // fence of `read`.
        self.version.store(number, Ordering::Release);
    }

    /// Replaces `text` by the current text of the span. Returns its number, and the length of the
    /// name. `None` if it was replaced during each of 16 attempts.
    pub(crate) fn read(&self, text: &mut String) -> Option<(u64, usize)> {
        for _ in 0..16 {
            let number = self.version.load(Ordering::Relaxed);
            fence(Ordering::Acquire); // Partner: the last store of `write`.
            let place = &self.texts[(number % 2) as usize];
            let lengths = place.lengths.load(Ordering::Relaxed);
            let mut bytes = [0; WORDS * 8];
            for (to, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(&place.words) {
                *to = word.load(Ordering::Relaxed).to_ne_bytes();
            }
            fence(Ordering::Acquire); // Partner: the fence of `write`.
            if self.version.load(Ordering::Relaxed) != number {
                std::hint::spin_loop();
                continue;
            }
            let bytes = bytes.get(..(lengths & 0xffff_ffff) as usize)?;
            text.clear();
            text.push_str(std::str::from_utf8(bytes).ok()?);
            return Some((number, (lengths >> 32) as usize));
        }
        None
    }
}

/// The slots of a layer.
#[derive(Debug)]
pub(crate) struct Slots {
    /// As many as a power of two, at least [`PROBES`].
    all: Box<[Slot]>,
    shift: u32,
}

impl Slots {
    /// Room for `slots` spans, rounded up to a power of two.
    pub(crate) fn new(slots: u32) -> Self {
        let count = slots.clamp(PROBES, 1 << 20).next_power_of_two();
        let all = (0..count).map(|_| Slot::default()).collect();
        Self { all, shift: 64 - count.trailing_zeros() }
    }

    /// Slot `at`.
    #[inline]
    pub(crate) fn get(&self, at: u32) -> Option<&Slot> {
        self.all.get(at as usize)
    }

    /// All slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.all.iter()
    }

    /// The slots where the span can be, with their numbers.
    #[inline]
    fn probe(&self, id: u64) -> impl Iterator<Item = (u32, &Slot)> {
        #[allow(clippy::cast_possible_truncation)] // At most 20 bits.
        let first = (scatter(id) >> self.shift) as u32;
        #[allow(clippy::cast_possible_truncation)] // At most 2^20.
        let mask = self.all.len() as u32 - 1;
        (0..PROBES).filter_map(move |n| {
            let at = first.wrapping_add(n) & mask;
            self.get(at).map(|slot| (at, slot))
        })
    }

    /// The slot of a span.
    #[inline]
    pub(crate) fn find(&self, id: u64) -> Option<(u32, &Slot)> {
        self.probe(id).find(|(_, slot)| slot.is(id))
    }

    /// Gives a span that is opened a slot, which `fill` prepares. `None` if there is none for it.
    pub(crate) fn claim(&self, id: u64, fill: impl FnOnce(&Slot)) -> Option<u32> {
        if id == CLAIMED {
            return None;
        }
        let is_claimed = |(_, slot): &(u32, &Slot)| {
            let free = slot.id.load(Ordering::Relaxed) == 0;
            // Must be Acquire, because what the last span left must not appear later. Partner: `free`.
            free && slot
                .id
                .compare_exchange(0, CLAIMED, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
        };
        let (at, slot) = self.probe(id).find(is_claimed)?;
        slot.opener.store(0, Ordering::Relaxed);
        slot.busy_of_opener.store(0, Ordering::Relaxed);
        slot.busy_of_others.store(0, Ordering::Relaxed);
        slot.entered.store(0, Ordering::Relaxed);
        slot.last.store(0, Ordering::Relaxed);
        slot.left.store(0, Ordering::Relaxed);
        slot.overlapped.store(false, Ordering::Relaxed);
        slot.strays.store(0, Ordering::Relaxed);
        slot.strayed.store(0, Ordering::Relaxed);
        fill(slot);
        // Must be Release, because who finds the id must see what `fill` wrote. Who enters the span has
        // its id by other ways that order memory.
        slot.id.store(id, Ordering::Release);
        Some(at)
    }

    /// Takes the slot of a span back. A span is closed once, so the slot is the caller's.
    pub(crate) fn free(slot: &Slot) {
        // Must be Release, because the next span must not see what this one leaves. Partner: `claim`.
        slot.id.store(0, Ordering::Release);
    }
}

/// The bits of an id, of which the high ones differ between ids that are close.
#[inline]
pub(crate) fn scatter(id: u64) -> u64 {
    id.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
