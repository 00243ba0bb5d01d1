//! State sets: one of several named states.

use core::marker::PhantomData;

use super::scalar::{ScalarCell, ScalarType};
use crate::region::Memory;
use crate::types::{DataType, Kind};
use crate::write::{AttachError, FieldId, Lane, Presence};

/// The states of a [`StateSet`]: an enum without data. The `mmstats` crate derives it.
pub trait State: Copy + 'static {
    /// The names in the order of their numbers: 1 to 1,024 names of 1 to 63 bytes.
    const NAMES: &'static [&'static str];

    /// The number of this state, below the number of names.
    fn number(self) -> u32;

    /// The state with this number.
    fn from_number(number: u32) -> Option<Self>;
}

/// The current one of several states. It has none until one is set.
#[derive(Clone)]
pub struct StateSet<S, M> {
    cell: <u32 as ScalarType>::Cell<M>,
    presence: Option<Presence<M>>,
    state: PhantomData<fn(S)>,
}

impl<S: State, M: Memory + Clone> StateSet<S, M> {
    /// Attaches to the state set `field` in `lane`.
    ///
    /// # Errors
    ///
    /// If the field is not a state set.
    pub fn attach(lane: &Lane<M>, field: FieldId) -> Result<Self, AttachError> {
        let raw = lane.field(field, DataType::U32, Some(Kind::State))?;
        let presence = lane.presence(&raw, field)?;
        Ok(Self { cell: ScalarCell::new(lane, &raw)?, presence, state: PhantomData })
    }
}

impl<S: State, M> StateSet<S, M> {
    /// Enters a state.
    #[inline(always)]
    pub fn set(&self, state: S) {
        self.cell.store(state.number());
        if let Some(presence) = &self.presence {
            presence.set();
        }
    }

    /// Removes the state: readers see that it is absent.
    #[inline]
    pub fn clear(&self) {
        if let Some(presence) = &self.presence {
            presence.clear();
        }
    }

    /// This lane's state, if there is one.
    #[inline]
    #[must_use]
    pub fn get(&self) -> Option<S> {
        let present = self.presence.as_ref().is_none_or(Presence::is_set);
        if present { S::from_number(self.cell.load()) } else { None }
    }
}

impl<S, M> core::fmt::Debug for StateSet<S, M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("StateSet").field(&self.cell.load()).finish()
    }
}

/// The current one of several states that are known at run time, by its number: see [`StateSet`].
#[derive(Clone)]
pub struct DynState<M> {
    cell: <u32 as ScalarType>::Cell<M>,
    presence: Option<Presence<M>>,
    states: u32,
}

impl<M: Memory + Clone> DynState<M> {
    /// Attaches to the state set `field` in `lane`.
    ///
    /// # Errors
    ///
    /// If the field is not a state set.
    pub fn attach(lane: &Lane<M>, field: FieldId) -> Result<Self, AttachError> {
        let raw = lane.field(field, DataType::U32, Some(Kind::State))?;
        let presence = lane.presence(&raw, field)?;
        let states = lane.details(&raw);
        Ok(Self { cell: ScalarCell::new(lane, &raw)?, presence, states })
    }
}

impl<M> DynState<M> {
    /// Number of states.
    #[must_use]
    pub const fn states(&self) -> u32 {
        self.states
    }

    /// Enters the state with this number. Without such a state nothing changes, and the result is
    /// `false`.
    pub fn set(&self, number: u32) -> bool {
        if number >= self.states {
            return false;
        }
        self.cell.store(number);
        if let Some(presence) = &self.presence {
            presence.set();
        }
        true
    }

    /// Removes the state: readers see that it is absent.
    pub fn clear(&self) {
        if let Some(presence) = &self.presence {
            presence.clear();
        }
    }

    /// The number of this lane's state, if there is one.
    #[must_use]
    pub fn get(&self) -> Option<u32> {
        let present = self.presence.as_ref().is_none_or(Presence::is_set);
        present.then(|| self.cell.load())
    }
}

impl<M> core::fmt::Debug for DynState<M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("DynState").field(&self.get()).finish()
    }
}
