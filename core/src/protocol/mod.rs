//! Order of all accesses to shared memory: PROTOCOL.md.
//!
//! | module | PROTOCOL.md |
//! | --- | --- |
//! | `latch` | 2, latched cells and rings: [`publish`], [`read`], [`newest`], [`read_number`] |
//! | `journal` | 9, journals: [`change`], [`repair`], [`read_journal`] |
//! | `image` | 4 to 7: presence, state, fields, lanes |
//! | `table` | 11, tables: [`show_row`], [`hide_row`], [`claim_row`], [`load_rows`] |
//!
//! The functions are generic over small traits ([`WriteCell`] and [`ReadCell`], [`WriteJournal`]
//! and [`ReadJournal`], [`WriteWord`] and [`ReadWord`]), which [`Latch`](crate::Latch),
//! [`Region`](crate::Region) and the reader implement over shared memory, and the loom tests over
//! loom's atomics. So the model checker runs this source, not a copy. Each ordering has a [`Site`]
//! and each bound a [`Bound`]. For each of them a test weakens it and must then find the failure
//! that it prevents. `core/tests/orderings.rs` checks that no memory is ordered without a site.

mod image;
mod journal;
mod latch;
mod table;

pub use image::{
    ReadWord, SharedWord, WriteWord, begin_reuse, claim_lane, clear_presence,
    clear_shared_presence, end_reuse, follow_reuse, hand_back_lane, has_presence, load_count,
    load_lane_state, load_lanes_used, load_parts, load_presence, load_reuses, load_state,
    publish_count, retire, retired, reused_since, revive, set_parts, set_presence,
    set_shared_presence, set_state,
};
pub use journal::{
    Change, JournalError, ReadJournal, WriteJournal, change, change_if, pack, read_journal, repair,
};
pub use latch::{ReadCell, Slot, WriteCell, newest, peek, publish, publish_if, read, read_number};
pub use table::{
    ClaimWord, claim_row, give_back_row, hide_row, load_rows, lowest_free, show_claimed_row,
    show_row,
};

/// Maximum number of attempts of a read before the verdict *contended*.
pub const ATTEMPTS: u32 = 16;

macro_rules! enumerated {
    (
        $(#[$doc:meta])* $name:ident
        $($(#[$list_doc:meta])* $list:ident { $($(#[$variant_doc:meta])* $variant:ident,)* })*
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($($(#[$variant_doc])* $variant,)*)*
        }

        impl $name {
            $($(#[$list_doc])* pub const $list: &[Self] = &[$(Self::$variant),*];)*
        }
    };
}

enumerated! {
    /// Places where the protocol orders memory, each with its reason and its partner.
    ///
    /// The loom tests have a mutant for each entry of these lists, in this order.
    Site

    /// Of a latched cell.
    LATCH {
        /// fence(Release) before the slot's stores.
        ///
        /// Must be Release, because a reader that sees one of the stores that follow must
        /// also see the seq store of the publish before. Partner: [`Site::ReaderExit`].
        WriterEnter,
        /// seq.store(Release) after the slot's stores.
        ///
        /// Must be Release, because a reader that sees this seq must see the value of the
        /// slot it points to. Partner: [`Site::ReaderEnter`].
        WriterSeq,
        /// fence(Acquire) after the first load of seq.
        ///
        /// Must be Acquire, because the loads of the slot must not return anything older
        /// than the value that seq announced. Partner: [`Site::WriterSeq`].
        ReaderEnter,
        /// fence(Acquire) between the loads of the slot and the second load of seq.
        ///
        /// Must be Acquire, because a load that returned a store of a later publish must make
        /// that publish's predecessor visible to the second load. Partner:
        /// [`Site::WriterEnter`].
        ReaderExit,
    }

    /// Of a journal, besides [`Site::LATCH`].
    JOURNAL {
        /// element.store(Release) after the stores of a journal's slot.
        ///
        /// Must be Release, because a reader that sees the changed element must also see the
        /// slot that says so, and seq as it was before. Partner: [`Site::ReaderElements`].
        WriterElement,
        /// fence(Acquire) between the loads of a journal's elements and the second load of
        /// seq.
        ///
        /// Must be Acquire, because loads after it must see the slot and seq stored before a
        /// changed element. Partner: [`Site::WriterElement`].
        ReaderElements,
        /// fence(Acquire) between the second load of seq and the loads of a journal's slots.
        ///
        /// Must be Acquire, because the slots up to that seq must have their changes. Partner:
        /// [`Site::WriterSeq`].
        ReaderSlots,
    }

    /// Of header, descriptors, lane headers and presence.
    IMAGE {
        /// Store of a presence word with one more bit.
        ///
        /// Must be Release, because a reader that sees the bit must see a value that was
        /// set. Partner: [`Site::ReaderPresence`].
        WriterPresence,
        /// Store of a presence word with one bit less.
        ///
        /// Must be Release, because a reader that sees this word, with bits of other fields
        /// in it, must see the values of those. Partner: [`Site::ReaderPresence`].
        WriterAbsence,
        /// fence(Acquire) after a load of a presence word.
        ///
        /// Must be Acquire, because the value must not be older than the bit. Partners:
        /// [`Site::WriterPresence`], [`Site::WriterAbsence`].
        ReaderPresence,
        /// Store of the image's state: live, closed.
        ///
        /// Must be Release, because a reader that sees *live* must see the first fields, and
        /// one that sees *closed* the last values. Partner: [`Site::ReaderState`].
        WriterState,
        /// fence(Acquire) after a load of the image's state.
        ///
        /// Must be Acquire, because counts and values must not be older than the state.
        /// Partner: [`Site::WriterState`].
        ReaderState,
        /// Store of field_count.
        ///
        /// Must be Release, because a reader that sees the count must see descriptors,
        /// strings, constants and heap_used. Partner: [`Site::ReaderCount`].
        WriterCount,
        /// fence(Acquire) after a load of field_count.
        ///
        /// Must be Acquire, because the descriptors must not be older than their count.
        /// Partner: [`Site::WriterCount`].
        ReaderCount,
        /// Store of a descriptor's state: retired.
        ///
        /// Must be Release, because a reader that sees it must see the replacement, added before.
        /// Partner: [`Site::ReaderRetired`].
        WriterRetire,
        /// fence(Acquire) after a load that found a descriptor retired.
        ///
        /// Must be Acquire, because the count loaded after must include the replacement. Partner:
        /// [`Site::WriterRetire`].
        ReaderRetired,
        /// Store of a lane's state: owned, handed back.
        ///
        /// Must be Release, because a reader that sees a lane handed back must not find
        /// optional values of its last owner in it, and one that sees it owned must see
        /// that it was claimed. Partner: [`Site::ReaderLane`].
        WriterLane,
        /// fence(Acquire) after a load of a lane's state.
        ///
        /// Must be Acquire, because presence bits must not be older than the state. Partner:
        /// [`Site::WriterLane`].
        ReaderLane,
        /// Store of lanes_used.
        ///
        /// Must be Release, because a counted lane must be seen as claimed. Partner:
        /// [`Site::ReaderLanes`].
        WriterLanes,
        /// fence(Acquire) after a load of lanes_used.
        ///
        /// Must be Acquire, because a lane's state must not be older than the count. Partner:
        /// [`Site::WriterLanes`].
        ReaderLanes,
        /// Store of an odd number of reuses.
        ///
        /// Must be Release, because a reader that sees it must see the fields retired whose room
        /// is written. Partner: [`Site::ReaderReuses`].
        WriterReuse,
        /// fence(Release) after the odd number of reuses.
        ///
        /// Must be Release, because a reader that sees one of the stores that follow must not see
        /// the number before. Partner: [`Site::ReaderReused`].
        WriterRewrite,
        /// Store of the next even number of reuses.
        ///
        /// Must be Release, because a reader that sees it must see the new descriptor and the
        /// cells zeroed. Partner: [`Site::ReaderReuses`].
        WriterReused,
        /// Store of a descriptor's state: live again.
        ///
        /// Must be Release, because a reader that sees it must not see the odd number of reuses.
        /// Partner: [`Site::ReaderReused`].
        WriterRevive,
        /// fence(Release) before a handle of a field in such a room is attached.
        ///
        /// Must be Release, because a reader that sees an update through the handle must not see
        /// the number of reuses before. Partner: [`Site::ReaderReused`].
        WriterAttach,
        /// fence(Acquire) after the first load of the number of reuses.
        ///
        /// Must be Acquire, because descriptors and values must not be older than the number.
        /// Partners: [`Site::WriterReuse`], [`Site::WriterReused`].
        ReaderReuses,
        /// fence(Acquire) before the second load of the number of reuses.
        ///
        /// Must be Acquire, because a load that returned a store of a later reuse, or of a handle
        /// attached after it, must make that visible to the second load. Partners:
        /// [`Site::WriterRewrite`], [`Site::WriterRevive`], [`Site::WriterAttach`].
        ReaderReused,
        /// Store of the number of images.
        ///
        /// Must be Release, because a reader that sees the number must find the names of all.
        /// Partner: [`Site::ReaderParts`].
        WriterParts,
        /// fence(Acquire) after a load of the number of images.
        ///
        /// Must be Acquire, because the names must not be older than their number. Partner:
        /// [`Site::WriterParts`].
        ReaderParts,
    }

    /// Of a table, besides [`Site::LATCH`] of its rows.
    TABLE {
        /// Store of a word of used rows with one more bit.
        ///
        /// Must be Release, because a reader that sees the bit must see the first value of the
        /// row's use. Partner: [`Site::ReaderRow`].
        WriterRow,
        /// Store of a word of used rows with one bit less.
        ///
        /// Must be Release, because a reader that sees this word, with bits of other rows in it,
        /// must see the values of those. Partner: [`Site::ReaderRow`].
        WriterRowEnd,
        /// fence(Acquire) after a load of a word of used rows.
        ///
        /// Must be Acquire, because the value of a row must not be older than its bit. Partners:
        /// [`Site::WriterRow`], [`Site::WriterRowEnd`].
        ReaderRow,
        /// Exchange of a word of claimed rows for one with one more bit.
        ///
        /// Must be Acquire, because the thread must see the last seq of the row that another
        /// thread has given back. Partner: [`Site::WriterGiveBack`].
        WriterClaim,
        /// Read-modify-write of a word of claimed rows that clears a bit.
        ///
        /// Must be Release, because the next thread that claims the row must see its last seq.
        /// Partner: [`Site::WriterClaim`].
        WriterGiveBack,
    }
}

enumerated! {
    /// Numbers that the protocol compares with. For each of them a test takes another one and must
    /// fail.
    Bound

    /// Of a latched cell.
    LATCH {
        /// Maximum number of publishes during one pass of [`read`]: `slots - 2`.
        ///
        /// With one more, a slot may be overwritten while it is read. With one less, a cell
        /// of two slots is never read.
        Latch,
        /// Maximum distance to the newest value in [`read_number`]: `slots - 2`.
        ///
        /// With one more, its slot may be overwritten while it is read.
        Ring,
        /// Maximum number of attempts: [`ATTEMPTS`].
        ///
        /// Each refusal needs `slots - 1` publishes, so a writer that stops after a few of them
        /// never causes the verdict *contended*.
        Attempts,
    }

    /// Of a journal.
    JOURNAL {
        /// Maximum number of changes while the elements are loaded: `slots - 2`.
        ///
        /// It bounds the number of slots that are loaded afterwards.
        JournalMoved,
        /// Maximum number of changes during one pass of [`read_journal`]: `slots - 2`.
        ///
        /// With one more, a slot may be overwritten while it is read.
        Journal,
    }
}
