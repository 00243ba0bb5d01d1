//! Scalars shared by all threads.

use core::marker::PhantomData;

use super::scalar::ScalarType;
use crate::protocol;
use crate::region::{Atom64, Memory, Region, SharedAtom64};
use crate::write::{AttachError, FieldId, Lane};

/// A scalar of the whole program instead of one per thread: the last store wins.
///
/// For values that several threads replace and that do not add up, for example the number of the
/// configuration in use. Unlike other handles it is `Send` and `Sync`, if the memory is.
/// [`SharedGauge::set`] is a plain store; [`SharedGauge::add`] and [`SharedGauge::sub`] are
/// read-modify-writes of one word. Threads that set it often contend for a cache line: use a
/// counter or a gauge instead.
pub struct SharedGauge<T, M> {
    region: Region<M>,
    /// Offset of the cell.
    at: u32,
    /// Offset and bit of the presence word.
    presence: Option<(u32, u32)>,
    value: PhantomData<fn(T)>,
}

impl<T: ScalarType, M: Memory + Clone> SharedGauge<T, M> {
    /// Attaches to the gauge `field` in `lane`, which must be the lane shared by all threads.
    ///
    /// # Errors
    ///
    /// If the field is not a scalar of type `T`, or is latched.
    pub fn attach(lane: &Lane<M>, field: FieldId) -> Result<Self, AttachError> {
        let raw = lane.field(field, T::TYPE, None)?;
        let at = lane.atomic(&raw)?;
        let presence = lane.presence_place(&raw, field)?;
        Ok(Self { region: lane.region().clone(), at, presence, value: PhantomData })
    }
}

impl<T: ScalarType, M> SharedGauge<T, M> {
    /// Replaces the value.
    #[inline]
    pub fn set(&self, value: T) {
        self.region.store_cell(self.at, T::TYPE.size() == 8, value.to_cell());
        self.mark();
    }

    /// Adds to the value, or to zero if there is none. Integers saturate.
    #[inline]
    pub fn add(&self, n: T) {
        self.update(|old| old.plus(n));
    }

    /// Subtracts from the value, or from zero if there is none. Integers saturate.
    #[inline]
    pub fn sub(&self, n: T) {
        self.update(|old| old.minus(n));
    }

    /// The value, if present.
    #[inline]
    #[must_use]
    pub fn get(&self) -> Option<T> {
        let present = self.presence.is_none_or(|(at, bit)| self.region.is_set(at, bit));
        present.then(|| T::from_cell(self.region.load_cell(self.at, T::TYPE.size() == 8)))
    }

    /// Removes the value: readers see that it is absent. A field that always has a value gets zero.
    ///
    /// A read-modify-write of one word. Another thread that sets the value at the same time may not
    /// be seen.
    pub fn clear(&self) {
        match self.presence {
            Some((at, bit)) => protocol::clear_shared_presence(&self.region.word(at), bit),
            None => self.set(T::ZERO),
        }
    }

    #[inline]
    fn update(&self, new: impl Fn(T) -> T) {
        let wide = T::TYPE.size() == 8;
        self.region.update_cell(self.at, wide, |old| new(T::from_cell(old)).to_cell());
        self.mark();
    }

    #[inline]
    fn mark(&self) {
        if let Some((at, bit)) = self.presence
            && !self.region.is_set(at, bit)
        {
            self.mark_first(at, bit);
        }
    }

    #[cold]
    #[inline(never)]
    fn mark_first(&self, at: u32, bit: u32) {
        protocol::set_shared_presence(&self.region.word(at), bit);
    }
}

impl<M: Memory + Clone> SharedGauge<u64, M> {
    /// A handle that only stores the value: readers see it if the gauge has a value, by
    /// [`SharedGauge::set`] before. One store, without a look at anything else. `None` if the field has
    /// no cell of 8 bytes.
    #[must_use]
    pub fn storing(&self) -> Option<StoringGauge<M>> {
        Atom64::new(&self.region, self.at).map(SharedAtom64).map(StoringGauge)
    }
}

/// Stores the value of a gauge that all threads share: see [`SharedGauge::storing`].
#[derive(Debug)]
pub struct StoringGauge<M>(SharedAtom64<M>);

impl<M> StoringGauge<M> {
    /// Replaces the value: one store.
    #[inline(always)]
    pub fn set(&self, value: u64) {
        self.0.0.store(value);
    }

    /// The value that was stored last.
    #[inline(always)]
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.0.load()
    }
}

impl<T, M: Clone> Clone for SharedGauge<T, M> {
    fn clone(&self) -> Self {
        Self { region: self.region.clone(), ..*self }
    }
}

impl<T, M> core::fmt::Debug for SharedGauge<T, M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SharedGauge").field("at", &self.at).finish_non_exhaustive()
    }
}
