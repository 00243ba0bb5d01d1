//! The order of all accesses to shared memory: PROTOCOL.md, written once.
//!
//! | module | PROTOCOL.md |
//! | --- | --- |
//! | `latch` | 2, latched cells and rings: [`publish`], [`read`], [`newest`], [`read_number`] |
//! | `journal` | 9, journals: [`change`], [`repair`], [`read_journal`] |
//! | `image` | 4 to 7: presence, state, fields, lanes |
//!
//! The functions know nothing of memory: they work on small traits ([`WriteCell`] and
//! [`ReadCell`], [`WriteJournal`] and [`ReadJournal`], [`WriteWord`] and [`ReadWord`]), which
//! [`Latch`](crate::Latch), [`Region`](crate::Region) and the reader implement over shared
//! memory, and the loom tests over loom's atomics. So the model checker runs this source and
//! not a copy. Every ordering has a [`Site`] and every bound a [`Bound`]; a test weakens one of
//! them and must then find a value that nobody published, or what else it was there for.
//! `core/tests/orderings.rs` looks that nobody orders memory without a site.

mod image;
mod journal;
mod latch;

pub use image::{
    ReadWord, SharedWord, WriteWord, claim_lane, clear_presence, hand_back_lane, has_presence,
    load_count, load_lane_state, load_lanes_used, load_presence, load_state, publish_count, retire,
    retired, set_presence, set_shared_presence, set_state,
};
pub use journal::{
    Change, JournalError, ReadJournal, WriteJournal, change, pack, read_journal, repair,
};
pub use latch::{ReadCell, Slot, WriteCell, newest, peek, publish, read, read_number};

/// How often a reader tries before it says *contended*.
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
    /// Where the protocol orders memory. Each names its reason and its partner.
    ///
    /// The lists are what the loom tests must have a mutant for, in this order.
    Site

    /// Those of a latched cell.
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

    /// Those that only a journal has, besides [`Site::LATCH`].
    JOURNAL {
        /// element.store(Release) after the stores of a journal's slot.
        ///
        /// Must be Release, because a reader that sees the changed element must also see the
        /// slot that says so, and seq as it was before. Partner: [`Site::ReaderElements`].
        WriterElement,
        /// fence(Acquire) between the loads of a journal's elements and the second load of
        /// seq.
        ///
        /// Must be Acquire, because what made an element new must be visible to the loads
        /// that find it out. Partner: [`Site::WriterElement`].
        ReaderElements,
        /// fence(Acquire) between the second load of seq and the loads of a journal's slots.
        ///
        /// Must be Acquire, because the slots up to that seq must be those of their changes.
        /// Partner: [`Site::WriterSeq`].
        ReaderSlots,
    }

    /// Those of header, descriptors, lane headers and presence.
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
        /// Must be Release, because a reader that sees it must see the field that was added
        /// before to take its place. Partner: [`Site::ReaderRetired`].
        WriterRetire,
        /// fence(Acquire) after a load that found a descriptor retired.
        ///
        /// Must be Acquire, because the count loaded after must have what took its place.
        /// Partner: [`Site::WriterRetire`].
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
        /// Must be Release, because a lane that is counted has been claimed. Partner:
        /// [`Site::ReaderLanes`].
        WriterLanes,
        /// fence(Acquire) after a load of lanes_used.
        ///
        /// Must be Acquire, because a lane's state must not be older than the count. Partner:
        /// [`Site::WriterLanes`].
        ReaderLanes,
    }
}

enumerated! {
    /// Where the protocol compares with a number. Tests say another one, and must see it.
    Bound

    /// Those of a latched cell.
    LATCH {
        /// How many publishes one pass of [`read`] may span: `slots - 2`.
        ///
        /// With one more, a slot may be overwritten while it is read. With one less, a cell
        /// of two slots is never read.
        Latch,
        /// How much older than the newest a value may be for [`read_number`]: `slots - 2`.
        ///
        /// With one more, its slot may be overwritten while it is read.
        Ring,
        /// How often a reader tries: [`ATTEMPTS`].
        ///
        /// Each refusal takes `slots - 1` publishes, so a writer that stops after a few never
        /// brings about the verdict *contended*.
        Attempts,
    }

    /// Those that only a journal has.
    JOURNAL {
        /// How many changes may come while the elements are loaded: `slots - 2`.
        ///
        /// It bounds how many slots are looked at afterwards.
        JournalMoved,
        /// How many changes one pass of [`read_journal`] may span: `slots - 2`.
        ///
        /// With one more, a slot may be overwritten while it is read.
        Journal,
    }
}
